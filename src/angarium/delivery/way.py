"""Which way does mail take: the hosts of a site, by which source, how, and under which options?

A Way is a value, made when a route is looked up (`routes`), and replaced whole when anything in it changes.
Its name is the site's: mail with equal names shares connections and limits.
"""

from __future__ import annotations

from typing import Protocol as TypingProtocol

import msgspec

from angarium.delivery.outcome import Peer
from angarium.delivery.plan import Demand, Plan
from angarium.mail.status import Reply
from angarium.policy.egress import NO_POOL, EgressSource
from angarium.policy.shaping import PathOptions
from angarium.queue.message import Message
from angarium.queue.passage import Passage


class Agent(TypingProtocol):
    """Takes mail in place of a next hop."""

    @property
    def protocol(self) -> str:
        """Its name in records."""

    async def deliver(self, message: Message) -> Reply:
        """Hand one message over; the reply says what became of it. Raises nothing of its own."""


class Target(msgspec.Struct, frozen=True):
    """One address to connect to, and what TLS has to be there."""

    peer: Peer
    demand: Demand


class Way(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One way out."""

    name: str
    plan: Plan
    options: PathOptions = PathOptions()
    pool: str = NO_POOL
    """Of the queue that asked; others that come by the same source share its connections."""
    source: EgressSource | None = None
    """None: the kernel chooses."""
    provider: str | None = None
    is_lmtp: bool = False
    agent: Agent | None = None
    """Who takes the mail, where no host does."""

    @property
    def passage(self) -> Passage:
        """What is known of a connection before it exists."""
        protocol = "LMTP" if self.is_lmtp else "ESMTP"
        return Passage(
            protocol=protocol if self.agent is None else self.agent.protocol,
            egress_pool=self.pool,
            egress_source=self.source.name if self.source else None,
            provider=self.provider,
        )

    @property
    def bind_to(self) -> str | None:
        """The address that connections come from."""
        return self.source.source_address if self.source else None

    @property
    def targets(self) -> list[Target]:
        """Every address of every host, in the order in which they are tried."""
        return [
            Target(Peer(host.name, address, host.port), host.demand)
            for host in self.plan.hosts
            for address in host.addresses
        ]
