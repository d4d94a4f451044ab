"""Which tenant, which campaign, and when? What a message's own header says, where the queues files name
fields for it (reference Q4 to Q10).

Only those who send by a right of their own are asked: a stranger's header chooses nothing, and goes on as it
came. A tenant that asks for it must be named by an identity that it lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from angarium.mail.header import Headers, header_section, readable
from angarium.mail.status import Reply, reply
from angarium.policy.queues import HeaderOptions, QueueTable
from angarium.policy.schedule import ScheduleError, parse_schedule_text
from angarium.policy.views import Message


class Choice(Exception):  # noqa: N818 - it is an answer
    """The message is refused."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer))
        self.reply = answer


def choose(
    queues: QueueTable, content: bytes, authz_id: str | None
) -> tuple[dict[str, Any], tuple[bytes | memoryview, ...]]:
    """The metadata that the header asks for, and the content without fields that are to go. Raises Choice."""
    options = queues.headers
    headers = Headers(header_section(content))
    meta: dict[str, Any] = {}
    if options.scheduling_header and (text := headers.get(options.scheduling_header)) is not None:
        meta["schedule"] = _schedule(text)
    if options.campaign_header and (campaign := headers.get(options.campaign_header)):
        meta["campaign"] = readable(campaign)
    tenant = headers.get(options.tenant_header) if options.tenant_header else None
    if tenant := tenant or options.default_tenant:
        tenant = readable(tenant)
        _check_tenant(queues, tenant, authz_id)
        meta["tenant"] = tenant
    return meta, _without(content, headers, _fields_to_go(options))


def _schedule(text: str) -> Mapping[str, Any]:
    try:
        parse_schedule_text(text)
    except ScheduleError as error:
        raise Choice(reply(550, f"5.6.0 {error}")) from None
    value: Mapping[str, Any] = msgspec.json.decode(text)
    return value


def _check_tenant(queues: QueueTable, tenant: str, authz_id: str | None) -> None:
    if tenant not in queues.tenants:
        raise Choice(reply(500, f"5.7.1 no tenant is named {tenant[:80]}"))
    wanted = queues.require_authz.get(tenant)
    if wanted is not None and authz_id is None:
        raise Choice(reply(500, f"5.7.1 tenant {tenant[:80]} requires SMTP AUTH"))
    if wanted is not None and authz_id not in wanted:
        raise Choice(reply(500, f"5.7.1 {authz_id} may not send as tenant {tenant[:80]}"))


def _fields_to_go(options: HeaderOptions) -> list[str]:
    fields = [options.scheduling_header]
    if options.remove_tenant_header:
        fields.append(options.tenant_header)
    if options.remove_campaign_header:
        fields.append(options.campaign_header)
    return [field for field in fields if field]


def _without(content: bytes, headers: Headers, fields: list[str]) -> tuple[bytes | memoryview, ...]:
    present = [field for field in fields if field in headers]
    if not present:
        return (content,)
    message = Message(None, [], content)
    for field in present:
        message.remove_header(field)
    return tuple(message.parts)
