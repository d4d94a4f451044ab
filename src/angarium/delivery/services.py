"""What do all sites share? How connections are made and how many there are, hosts that failed, and rates.

Promises: there are never more connections than allowed to all sites together, and who has wanted one for
longest gets the next; a rate remembers what it has let through although its site was forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from angarium.delivery.link import Setup
from angarium.delivery.outcome import Outcome
from angarium.delivery.shares import Shares, Slots
from angarium.policy.throttle import Meter, Rate, Throttle
from angarium.queue.message import Message
from angarium.queue.scheduled import ScheduledQueue

if TYPE_CHECKING:
    from angarium.delivery.site import Site

MAX_THROTTLES = 10_000
"""Above that, those that have nothing to remember are forgotten."""

Settle = Callable[[Message, Outcome], None]


class Services:
    """What all sites share: how connections are made, and how many there may be."""

    def __init__(
        self,
        setup: Setup,
        settle: Settle,
        on_unused: Callable[[Site], None],
        *,
        max_connections: int,
        shares: Shares | None = None,
    ) -> None:
        self.setup = setup
        self.settle = settle
        self.on_unused = on_unused
        """Told when nothing is left to do for a site."""
        self.max_connections = max_connections
        self.connections = 0
        self.quiet_hosts: dict[tuple[str, int], float] = {}
        """(address, port) of hosts that failed → Unix seconds until when others are tried before them."""
        self._wanting: dict[str, Site] = {}
        self._throttles: dict[str, Meter] = {}
        self._shares = shares

    def slots(self, site: str, on_change: Callable[[], None]) -> Slots | None:
        """This worker's share of a site's connections; None where it has them all."""
        return None if self._shares is None else self._shares.slots(site, on_change)

    def throttle(self, name: str, rate: Rate | None) -> Meter | None:
        """The meter of that name, which remembers what was spent although its site was forgotten."""
        if rate is None:
            self._throttles.pop(name, None)
            return None
        throttle = self._throttles.get(name)
        if throttle is None:
            self._drop_rested()
            throttle = Throttle(rate) if self._shares is None else self._shares.meter(name, rate)
            self._throttles[name] = throttle
        throttle.rate = rate
        return throttle

    def _drop_rested(self) -> None:
        if len(self._throttles) >= MAX_THROTTLES:
            now = asyncio.get_running_loop().time()
            for name in [name for name, each in self._throttles.items() if each.is_rested(now)]:
                del self._throttles[name]

    def throttle_of(self, queue: Hashable) -> Meter | None:
        """The meter of a queue that has a rate of its own."""
        assert isinstance(queue, ScheduledQueue)
        rate = queue.config.max_message_rate
        return None if rate is None else self.throttle(f"queue {queue.name}", rate)

    def may_connect(self, site: Site) -> bool:
        """Count one more connection; where there are too many, remember the site until one has ended."""
        if self.connections >= self.max_connections:
            self._wanting.setdefault(site.name, site)
            return False
        self.connections += 1
        return True

    def disconnected(self) -> None:
        """One connection less: the site that has wanted one for longest may open it."""
        self.connections -= 1
        if self._wanting:
            site = self._wanting.pop(next(iter(self._wanting)))
            asyncio.get_running_loop().call_soon(site.act)
