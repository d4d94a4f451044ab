"""Who takes mail in place of a next hop: maildirs, and the operator's own code.

An agent says what became of a message with a Reply, as a next hop would. Promises: a message is in a maildir
once, whole and on stable storage, or its reply is transient; a path is built from parts that cannot leave
their place; what the operator's handler raises costs one attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from angarium.mail.address import Address
from angarium.mail.status import Reply, reply
from angarium.policy.config import Protocol
from angarium.policy.hooks import HandlerFailed, Hooks, Rejected
from angarium.policy.views import Message as View
from angarium.policy.views import Meta
from angarium.queue.message import Message
from angarium.spool.errors import SpoolError
from angarium.spool.maildir import deliver_to_maildir

MAX_COMPONENT = 200
"""Octets of a part of a path; file systems take 255."""
TAKES_NOTHING = reply(451, "4.3.5 The policy has no handler `deliver`")


class Maildir:
    """Writes each message into the maildir that a template says."""

    protocol = "Maildir"

    def __init__(self, options: Protocol, hostname: str) -> None:
        self._options = options
        self._hostname = hostname

    async def deliver(self, message: Message) -> Reply:
        """See `way.Agent`."""
        try:
            folder = folder_of(self._options.maildir_path or "", message)
            name = f"{int(message.created)}.{message.ident}.{quote(self._hostname, safe='')}"
            content = [b"Return-Path: <", str(message.sender or "").encode(), b">\r\n", *message.content]
            modes = self._options.dir_mode, self._options.file_mode
            await asyncio.to_thread(deliver_to_maildir, folder, name, content, *modes)
        except SpoolError as error:
            return reply(451, f"4.2.0 The maildir cannot be written: {error}")
        return reply(200, f"2.0.0 {message.ident} is in {folder}")


def folder_of(template: str, message: Message) -> str:
    """The maildir of a message. Names that are filled in stay single names, whatever is in them."""
    recipient, name = message.recipient.address, message.queue.name
    parts = {
        "queue": str(name),
        "campaign": name.campaign,
        "tenant": name.tenant,
        "domain": name.domain,
        "routing_domain": message.routing_domain,
        **_address("", recipient),
        **_address("sender_", message.sender),
    }
    return template.format_map({key: safe_component(value or "") for key, value in parts.items()})


def _address(prefix: str, address: Address | None) -> dict[str, str]:
    if address is None:
        return dict.fromkeys((f"{prefix}local_part", f"{prefix}domain_part", f"{prefix}email"), "")
    return {
        f"{prefix}local_part": address.user,  # "bob" and bob are one (RFC 5321 section 4.1.2)
        f"{prefix}domain_part": address.domain,
        f"{prefix}email": f"{address.user}@{address.domain}",
    }


def safe_component(text: str) -> str:
    """One part of a path: no separator, no dot in front, not empty, not too long. Different texts stay so."""
    safe = quote(text, safe="@+=,!~ ") or "%"
    if safe.startswith("."):
        safe = f"%2E{safe[1:]}"
    if len(safe) > MAX_COMPONENT:
        raise SpoolError(f"{safe[:40]}... is too long for the name of a folder")
    return safe


class Handler:
    """Gives each message to the policy's `deliver`; `hooks` are those in force at that moment."""

    protocol = "Handler"

    def __init__(self, hooks: Callable[[], Hooks]) -> None:
        self._hooks = hooks

    async def deliver(self, message: Message) -> Reply:
        """See `way.Agent`."""
        hooks = self._hooks()
        if not hooks.handles("deliver"):
            return TAKES_NOTHING
        content = b"".join(message.content)
        recipients = [message.recipient.address]
        view = View(message.sender, recipients, content, Meta(dict(message.meta)))
        try:
            answer, _ = await hooks.call("deliver", view)
        except Rejected as rejected:
            return rejected.reply
        except HandlerFailed as failed:
            return failed.reply
        return reply(200, f"2.0.0 {answer or 'delivered'}")


def agent_of(
    options: Protocol, hostname: str, hooks: Callable[[], Hooks]
) -> tuple[str, Maildir | Handler] | None:
    """The agent of a protocol, and its name; None for those that speak to hosts."""
    if options.kind == "maildir":
        return f"maildir:{options.maildir_path}", Maildir(options, hostname)
    if options.kind == "handler":
        return "handler:deliver", Handler(hooks)
    return None
