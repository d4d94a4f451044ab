"""What does a relay decision read, and which domains must a handler be asked about first?

A Context is everything that is known of the session at the moment of the RCPT command, as plain values. The
questions say for which domains the session must await `get_listener_domain` before it can decide.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from angarium.mail.address import Address
from angarium.policy.config import Source
from angarium.policy.decision import HandlerAnswer, HandlerPlace, TransactionKind
from angarium.policy.match import NULL_PATH, PolicyTables
from angarium.policy.networks import PROHIBITED_HOSTS, IPAddress, NetworkSet


class Configuration(Protocol):
    """The part of a configuration that decisions read."""

    @property
    def domains(self) -> PolicyTables:
        """The listener_domains files."""

    @property
    def hash(self) -> str:
        """Names this configuration in records."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the session, at this moment, and the question: may it send to this recipient?"""

    listener: str
    """The label of the listener that accepted the connection."""
    local: IPAddress | None = None
    """The address it was accepted on, before any PROXY or XCLIENT."""
    peer: IPAddress
    relay_hosts: NetworkSet
    relay_hosts_source: Source | None = None
    """None: the built-in default."""
    identity: str | None = None
    """The authorisation identity; None: the session is not authenticated."""
    sender: Address | None
    """None: the null reverse-path."""
    recipient: Address
    hostnames: tuple[str, ...]
    """Names of ours, the listener's own first."""
    postmaster: Address | None = None
    postmaster_source: Source | None = None
    allow_sender_routing: bool = False
    prohibited_hosts: NetworkSet = PROHIBITED_HOSTS
    sender_answer: HandlerAnswer | None = None
    recipient_answer: HandlerAnswer | None = None
    written_by: HandlerPlace | None = None
    """The handler that wrote this recipient after DATA; None: the client did."""
    transaction: TransactionKind | None = None
    """What the first accepted recipient made of the transaction."""


def sender_question(context: Context) -> str | None:
    """The domain that get_listener_domain must be asked about for the sender, or None: it need not.

    `"<>"` stands for the null reverse-path.
    """
    if is_postmaster(context) or context.written_by is not None or context.peer in context.relay_hosts:
        return None
    return sender_domain(context)


def recipient_question(context: Context) -> str | None:
    """The domain that get_listener_domain must be asked about for the recipient; None: it cannot matter.

    It matters to a peer with a right too, since the answer may have the message examined.
    """
    return None if is_postmaster(context) else effective_recipient(context).domain


def sender_domain(context: Context) -> str:
    """The domain whose entry may grant right B."""
    return NULL_PATH if context.sender is None else context.sender.domain


def is_postmaster(context: Context) -> bool:
    """Whether it is `<Postmaster>` or postmaster at a name of ours, and the operator reads such mail.

    RFC 5321 section 4.5.1.
    """
    address = context.recipient
    if context.postmaster is None or len(address.user) != 10 or address.user.lower() != "postmaster":
        return False
    return not address.domain or address.domain in context.hostnames


def effective_recipient(context: Context) -> Address:
    """The recipient; the bare `<Postmaster>` is the one at our own name."""
    address = context.recipient
    return address if address.domain else Address(address.local_part, context.hostnames[0])
