"""Where would the policy in force put a message that waits? Its queue, and what code says of that queue.

`get_queue_config` is asked once for each queue, with what the spool still knows of the message's session: its
id, its two ends and its metadata. Where the code refuses or fails, or the message cannot be
read, there is no answer: the message stays as it is.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Any

from angarium.policy.config import Configuration, QueueConfig
from angarium.policy.hooks import HandlerFailed, Rejected
from angarium.policy.route import QueueName, RouteError
from angarium.policy.views import ConnectionMeta, Endpoint, Meta
from angarium.queue.intake import queue_name_of
from angarium.queue.message import Message, Stored
from angarium.queue.steering import Place
from angarium.spool.errors import SpoolError

log = logging.getLogger(__name__)

NOWHERE = Endpoint(ip_address("0.0.0.0"), 0)  # noqa: S104 - an end that nobody has noted


class Placement:
    """The answers of one configuration, for one request."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._answers: dict[QueueName, QueueConfig | None] = {}

    async def __call__(self, message: Message) -> Place | None:
        """The place of a message; None where nobody can say."""
        try:
            stored = message.peek()
            name = queue_name_of(stored.meta, stored.recipient)
            if name not in self._answers:
                self._answers[name] = await self._ask(name, stored)
        except (SpoolError, RouteError, HandlerFailed, Rejected) as trouble:
            log.error("message %s stays where it is: %s", message.ident, trouble)
            return None
        return Place(str(name), self._answers[name])

    async def _ask(self, name: QueueName, stored: Stored) -> QueueConfig | None:
        hooks = self._configuration.hooks
        if not hooks.handles("get_queue_config"):
            return None
        session = _session_of(stored, self._configuration.hostname)
        answer, _ = await hooks.call(
            "get_queue_config", name.domain, name.tenant, name.campaign, name.routing_domain, session
        )
        return answer if isinstance(answer, QueueConfig) else None


def _session_of(stored: Stored, hostname: str) -> ConnectionMeta:
    """The session that a message came in, as far as the spool knows it."""
    meta = stored.meta
    return ConnectionMeta(
        session_id=stored.session_id,
        peer=_endpoint(meta.get("received_from")),
        local=_endpoint(meta.get("received_via")),
        listener=str(meta.get("received_via", "")),
        hostname=str(meta.get("hostname", hostname)),
        meta=Meta(dict(meta)),
    )


def _endpoint(text: Any) -> Endpoint:
    """The end of a connection that metadata name as `ip:port`."""
    host, _, port = str(text).rpartition(":")
    try:
        return Endpoint(ip_address(host.strip("[]")), int(port))
    except ValueError:
        return NOWHERE
