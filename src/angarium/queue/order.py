"""What has an operator ordered, and about which messages? The values: selectors, and orders that stand.

A Selector says which messages are meant: every condition that it has must hold. An Order is a suspension, a
hold or a bounce with a name: it stands until it expires or is cancelled, and is kept in the spool. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from angarium.queue.message import Message
    from angarium.queue.scheduled import ScheduledQueue

SiteOf = Callable[["ScheduledQueue"], str | None]
"""The site that a queue's mail goes to, where that is known."""


class Selector(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which messages are meant."""

    ids: tuple[str, ...] = ()
    """These messages."""
    queue: str | None = None
    """The whole name of a queue."""
    domain: str | None = None
    """The recipient's domain; `*.example.com` means every name below it."""
    tenant: str | None = None
    campaign: str | None = None
    site: str | None = None
    """Hosts that share limits, as `queue list` names them."""
    sender: str | None = None
    """An address, `@example.com` for a domain's, or `<>`."""
    recipient: str | None = None
    """An address, or `@example.com`."""
    older_than: float | None = None
    """Seconds since it was accepted, at least."""

    @property
    def is_empty(self) -> bool:
        """Whether it means every message."""
        return self == _EVERYTHING

    def covers_queue(self, queue: ScheduledQueue, site: str | None) -> bool:
        """Whether messages of a queue may be meant, whose mail goes to this site."""
        name = queue.name
        return (
            (self.queue is None or self.queue == str(name))
            and (self.domain is None or _is_below(name.domain, self.domain))
            and (self.tenant is None or self.tenant == name.tenant)
            and (self.campaign is None or self.campaign == name.campaign)
            and (self.site is None or self.site == site)
        )

    def covers(self, message: Message, now: float) -> bool:
        """Whether a message of a queue that is covered is meant. Raises SpoolError."""
        if self.ids and message.ident not in self.ids:
            return False
        if self.older_than is not None and now - message.created < self.older_than:
            return False
        if self.sender is None and self.recipient is None:
            return True
        stored = message.peek()
        return _is_from(stored.sender or "<>", self.sender) and _is_from(stored.recipient, self.recipient)

    def __str__(self) -> str:
        """As the command line has it."""
        said = ((name, getattr(self, name)) for name in self.__struct_fields__)
        words = (f"{name}={value if name != 'ids' else ','.join(value)}" for name, value in said if value)
        return " ".join(words) or "everything"


_EVERYTHING = Selector()


def _is_below(domain: str, wanted: str) -> bool:
    return domain.endswith(wanted[1:]) if wanted.startswith("*.") else domain == wanted


def _is_from(address: str, wanted: str | None) -> bool:
    """Whether an address is the one that is wanted; local parts compare without case, as people search."""
    if wanted is None:
        return True
    address, wanted = address.lower(), wanted.lower()
    return address.endswith(wanted) if wanted.startswith("@") else address == wanted


class Order(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="order"):
    """One order that stands. Fields are only ever added at the end, with defaults."""

    name: str
    kind: Literal["suspend", "hold", "bounce"]
    """`suspend`: what is meant waits, now and later; `hold`: what was marked with its name waits; `bounce`:
    what is meant fails."""
    selector: Selector
    reason: str
    author: str
    created: float
    expires: float | None = None
    """Unix seconds; None: until it is cancelled."""

    def stands(self, now: float) -> bool:
        """Whether it has not expired."""
        return self.expires is None or now < self.expires

    def is_about_queue(self, queue: ScheduledQueue, site: str | None) -> bool:
        """Whether it means a queue as such, and not single messages, wherever they are."""
        chosen = self.selector
        is_of_messages = chosen.ids or chosen.sender or chosen.recipient or chosen.older_than
        return not is_of_messages and chosen.covers_queue(queue, site)

    def covers(self, message: Message, site: str | None, now: float) -> bool:
        """Whether it is about a message. Raises SpoolError where that cannot be read."""
        if self.kind == "hold":
            return message.held == self.name
        return self.selector.covers_queue(message.queue, site) and self.selector.covers(message, now)
