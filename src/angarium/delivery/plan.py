"""What a route is made of: hosts with their addresses, what TLS has to be there, or why there are none."""

from __future__ import annotations

from typing import Literal

import msgspec

from angarium.delivery.outcome import Kind
from angarium.mail.status import Reply
from angarium.net.dane import Tlsa

SMTP_PORT = 25


class Demand(msgspec.Struct, frozen=True):
    """What TLS has to be on the way to a host."""

    tls: Literal["none", "offered", "required"]
    """`none`: never; `offered`: where the host offers it, nothing depends on it; `required`: else no mail."""
    verify: bool = False
    """The certificate is for the host's name, by an authority that is believed (RFC 5280)."""
    tlsa: tuple[Tlsa, ...] = ()
    """The certificate is one of these, instead."""
    why: str = ""
    """What requires it, for people."""

    def for_credentials(self) -> Demand:
        """The same where credentials go this way: the host proves who it is, unless there is no TLS at all.

        TLSA records that nobody can use ask for TLS and prove nothing (RFC 7672 section 2.2).
        """
        if self.tls == "none" or self.verify or self.tlsa:
            return self
        return Demand("required", verify=True, why="auth")


class Host(msgspec.Struct, frozen=True):
    """One host of a plan. `name` is its DNS name, or the address literal that stands for it."""

    name: str
    addresses: tuple[str, ...]
    port: int = SMTP_PORT
    demand: Demand = Demand("none")


class Plan(msgspec.Struct, frozen=True):
    """Hosts in the order in which they are tried, and the site that they make together."""

    site: str
    hosts: tuple[Host, ...]
    vouched: str = ""
    """By what it is more than the sum of its hosts: `dane`, or `mta-sts=DOMAIN` with its policy."""


class NoRoute(msgspec.Struct, frozen=True):
    """There is nowhere to go: what becomes of the messages, and the reply that says why."""

    kind: Kind
    reply: Reply
    is_unfit: bool = False
    """From this source: another may have an address of a family that the hosts have."""
