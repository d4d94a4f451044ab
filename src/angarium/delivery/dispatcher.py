"""Where messages that are due leave the house: `dispatch` takes one, and `settle` is told what became of it.

Finds the route of each queue, and hands messages to the site that the route leads to. Promises: every
message dispatched is settled once, unless the server stops first (then it is still in the spool); nothing
here waits, so that a dead domain, a slow name server or a hanging host delays nobody else; while a route is
renewed the old one serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from angarium.delivery.link import Setup
from angarium.delivery.outcome import Blame, Kind, Outcome, Stage
from angarium.delivery.resolve import PROHIBITED_HOSTS, NoRoute, Own, Plan, Rules, resolve
from angarium.delivery.site import Services, Settle, Site, SiteState
from angarium.mail.status import reply
from angarium.net.dns import Resolver
from angarium.net.local import is_local_address
from angarium.policy.config import Network, QueueConfig
from angarium.policy.route import RouteError, next_hop
from angarium.queue.message import Message

MAX_CONNECTIONS = 2000
"""To all sites together."""
MAX_LOOKUPS = 100
"""Routes that are looked up at the same time."""
ROUTE_TIME = 30.0
"""Seconds for which a route is used before it is looked up again (in the resolver's cache, mostly)."""
MAX_ROUTES = 20_000

_Key = tuple[str, str | None, int, tuple[Network, ...] | None]


class _Route:
    """The way of one destination: what is known, and who waits to know."""

    __slots__ = ("found", "is_sought", "until", "waiting")

    def __init__(self) -> None:
        self.found: Plan | NoRoute | None = None
        self.until = 0.0
        self.is_sought = False
        self.waiting: list[Message] = []


class Dispatcher:
    """Delivery as the queue sees it. `shuffle` puts a list into random order, in place."""

    def __init__(
        self,
        setup: Setup,
        resolver: Resolver,
        settle: Settle,
        shuffle: Callable[[list[str]], None],
        *,
        own: Own = Own(),  # noqa: B008 - a frozen value
        is_local: Callable[[str], bool] = is_local_address,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.own = own
        """What is this server itself; may be replaced at any time."""
        self._loop = asyncio.get_running_loop()
        self._resolver = resolver
        self._settle = settle
        self._shuffle = shuffle
        self._is_local = is_local
        self._services = Services(setup, settle, self._forget, max_connections=max_connections)
        self._routes: dict[_Key, _Route] = {}
        self._sites: dict[str, Site] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._may_look_up = asyncio.Semaphore(MAX_LOOKUPS)
        self._is_stopping = False

    def dispatch(self, message: Message) -> None:
        """Take a message that is due. It is settled later, or at once. While stopping, nothing is taken."""
        if self._is_stopping:
            return
        queue = message.queue
        config = queue.config
        key = (queue.name.domain, queue.routing_domain, config.smtp_port, config.prohibited_hosts)
        route = self._routes.get(key)
        if route is None or route.until <= self._loop.time():
            route = self._seek(key, config)
        if route.found is None:
            route.waiting.append(message)
        else:
            self._follow(route.found, message)

    # --- routes ---

    def _seek(self, key: _Key, config: QueueConfig) -> _Route:
        """Look a route up, unless that is under way."""
        route = self._routes.get(key)
        if route is None:
            self._drop_old_routes()
            route = self._routes[key] = _Route()
        if not route.is_sought:
            route.is_sought = True
            task = asyncio.create_task(self._look_up(key, route, config))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
        return route

    def _drop_old_routes(self) -> None:
        if len(self._routes) >= MAX_ROUTES:
            now = self._loop.time()
            old = [key for key, route in self._routes.items() if route.until <= now and not route.is_sought]
            for key in old:
                del self._routes[key]

    async def _look_up(self, key: _Key, route: _Route, config: QueueConfig) -> None:
        async with self._may_look_up:
            route.found = await self._find(key, config)
        route.until = self._loop.time() + ROUTE_TIME
        route.is_sought = False
        if isinstance(route.found, Plan) and route.found.site in self._sites:
            self._sites[route.found.site].plan = route.found
        waiting, route.waiting = route.waiting, []
        for message in waiting:
            self._follow(route.found, message)

    async def _find(self, key: _Key, config: QueueConfig) -> Plan | NoRoute:
        domain, routing_domain, port, prohibited = key
        rules = Rules(
            prohibited=PROHIBITED_HOSTS if prohibited is None else prohibited,
            own=self.own,
            is_local=self._is_local,
            shuffle=self._shuffle,
            port=port,
        )
        try:
            return await resolve(next_hop(domain, routing_domain), self._resolver, rules)
        except RouteError as error:
            return NoRoute(Kind.TRANSIENT, reply(451, f"4.3.5 {error}"))

    def _follow(self, found: Plan | NoRoute, message: Message) -> None:
        if isinstance(found, Plan):
            site = self._sites.get(found.site)
            if site is None:
                site = self._sites[found.site] = Site(found, self._services)
            site.add(message)
            return
        outcome = Outcome(
            kind=found.kind, reply=found.reply, stage=Stage.ROUTE, blame=Blame.SITE, is_local=True
        )
        self._settle(message, outcome)

    def _forget(self, site: Site) -> None:
        if self._sites.get(site.name) is site:
            del self._sites[site.name]

    # --- the end, and what an operator sees ---

    async def drain(self, limit: float) -> bool:
        """Finish what is in flight, begin nothing more; what is not finished in `limit` seconds is cut off.

        Returns whether all was finished. What was waiting, or was cut off, is not settled: the spool has it.
        """
        self._is_stopping = True
        for task in self._lookups:
            task.cancel()
        for site in self._sites.values():
            site.stop()
        tasks = [task for site in self._sites.values() for task in site.sessions.values()]
        if not tasks:
            return True
        _, unfinished = await asyncio.wait(tasks, timeout=limit)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        return not unfinished

    def snapshot(self) -> list[SiteState]:
        """Every site that has anything to do, or failed lately, by name."""
        return [self._sites[name].state() for name in sorted(self._sites)]
