"""Where messages that are due leave the house: `dispatch` takes one, and `settle` is told what became of it.

Finds the way of each queue's mail, and hands messages to the site that it leads to. Promises: every message
dispatched is settled once, unless the server stops first (then it is still in the spool); nothing here waits,
so that a dead domain, a slow name server or a hanging host delays nobody else; a configuration that is
replaced holds for what waits already.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from angarium.delivery.egress import Addresses, Turns
from angarium.delivery.link import Setup
from angarium.delivery.outcome import Blame, Outcome, Stage
from angarium.delivery.plan import NoRoute
from angarium.delivery.routes import NO_USABLE_SOURCE, Route, Routes, Terms, no_pool
from angarium.delivery.services import Services, Settle
from angarium.delivery.shares import Shares
from angarium.delivery.site import Site, SiteState
from angarium.delivery.way import Way
from angarium.net.dns import Resolver
from angarium.net.local import is_local_address
from angarium.net.mta_sts import Policies
from angarium.net.tls import client_context
from angarium.policy.config import QueueConfig
from angarium.policy.egress import NO_POOL, EgressSource
from angarium.queue.message import Message
from angarium.queue.scheduled import ScheduledQueue

MAX_CONNECTIONS = 2000
"""To all sites together."""
MAX_LEADS = 20_000
MOVED_AT_ONCE = 500
CUT_TIME = 5.0
"""Seconds that code which was cut off has to end: what clings on is left behind with its message."""


class _Lead:
    """How a queue's mail finds its route: at once, or after asking whose turn it is."""

    __slots__ = ("config", "route", "routes", "turns")

    def __init__(self, config: QueueConfig) -> None:
        self.config = config
        self.route: Route | None = None
        """Where there is no pool: the only one."""
        self.routes: dict[EgressSource, Route] = {}
        self.turns: Turns | None = None


class Dispatcher:
    """Delivery as the queue sees it. `shuffle` puts a list into random order, in place."""

    def __init__(  # noqa: PLR0913 - what delivery stands on, each by its name
        self,
        setup: Setup,
        resolver: Resolver,
        settle: Settle,
        shuffle: Callable[[list[str]], None],
        *,
        terms: Terms = Terms(),  # noqa: B008 - a frozen value
        is_local: Callable[[str], bool] = is_local_address,
        policies: Policies | None = None,
        max_connections: int = MAX_CONNECTIONS,
        shares: Shares | None = None,
    ) -> None:
        self.terms = terms
        self.diverts: Callable[[Message, str], bool] = lambda _message, _site: False
        """Asked before a message goes to a site: True where it has another fate."""
        self._loop = asyncio.get_running_loop()
        self._settle = settle
        self._services = Services(
            setup, self._settle_own, self._forget, max_connections=max_connections, shares=shares
        )
        self._addresses = Addresses(is_local, self._loop.time)
        self._routes = Routes(
            resolver,
            policies or Policies(resolver, connect=setup.connect),
            lambda: self.terms,
            self._found,
            is_local=is_local,
            shuffle=shuffle,
        )
        self._leads: dict[ScheduledQueue, _Lead] = {}
        self._turns: dict[str, Turns] = {}
        self._sites: dict[str, Site] = {}
        self._moving: deque[Message] = deque()
        """Messages that lost their place to a new configuration, and have not found another yet."""
        self._is_stopping = False

    def dispatch(self, message: Message) -> None:
        """Take a message that is due. It is settled later, or at once. While stopping, nothing is taken."""
        if self._is_stopping:
            return
        queue = message.queue
        lead = self._leads.get(queue)
        if lead is None or lead.config is not queue.config:
            lead = self._new_lead(queue)
        route = lead.route or self._choose(lead, queue)
        if isinstance(route, NoRoute):
            self._send_nowhere(route, message)
            return
        if route.until <= self._loop.time():
            self._routes.seek(route)
        if route.found is None:
            route.waiting.append(message)
        else:
            self._follow(route.found, message)

    def _new_lead(self, queue: ScheduledQueue) -> _Lead:
        if len(self._leads) >= MAX_LEADS:
            self._leads.clear()
        lead = self._leads[queue] = _Lead(queue.config)
        if queue.config.egress_pool == NO_POOL:
            lead.route = self._routes.of(queue, None)
        return lead

    def _choose(self, lead: _Lead, queue: ScheduledQueue) -> Route | NoRoute:
        """The route by the source whose turn it is."""
        pool = queue.config.egress_pool
        turns = self._turns.get(pool)
        if turns is None:
            if not self.terms.egress.knows(pool):
                return no_pool(pool)
            turns = self._turns[pool] = Turns(self.terms.egress.members(pool))
        while (source := turns.next(lambda each: self._fits(lead, each))) is not None:
            route = lead.routes.get(source)
            if route is None:
                route = lead.routes[source] = self._routes.of(queue, source)
            if not route.is_unfit:
                return route
            turns.give_back(source, lambda each: self._fits(lead, each))
        return next(self._misfits(lead), NO_USABLE_SOURCE)

    def _fits(self, lead: _Lead, source: EgressSource) -> bool:
        """Whether a source can be used for a queue's mail, as far as is known."""
        route = lead.routes.get(source)
        if route is None or not route.is_unfit:
            return self._addresses.has(source)
        if route.until <= self._loop.time():
            self._routes.seek(route)
        return False

    def _misfits(self, lead: _Lead) -> Iterator[NoRoute]:
        """Why the sources that are here do not fit."""
        for source, route in lead.routes.items():
            if isinstance(route.found, NoRoute) and route.is_unfit and self._addresses.has(source):
                yield route.found

    def _choose_again(self, route: Route, message: Message) -> None:
        """The source whose turn it was cannot reach the hosts: it is another's turn."""
        queue, source = message.queue, route.question.source
        lead, turns = self._leads.get(queue), self._turns.get(queue.config.egress_pool)
        if lead is not None and turns is not None and source in lead.routes:
            turns.give_back(source, lambda each: self._fits(lead, each))
        self.dispatch(message)

    def _found(self, route: Route, waiting: list[Message]) -> None:
        """A route has been looked up."""
        found = route.found
        assert found is not None
        if route.is_unfit:
            for message in waiting:
                self._choose_again(route, message)
            return
        if isinstance(found, Way) and found.name in self._sites:
            self._sites[found.name].take_way(found)
        for message in waiting:
            self._follow(found, message)

    def _follow(self, found: Way | NoRoute, message: Message) -> None:
        if isinstance(found, NoRoute):
            self._send_nowhere(found, message)
            return
        message.queue.site = found.name
        if self.diverts(message, found.name):
            return
        site = self._sites.get(found.name)
        if site is None:
            site = self._sites[found.name] = Site(found, self._services)
        site.add(message)

    def _send_nowhere(self, found: NoRoute, message: Message) -> None:
        outcome = Outcome(
            kind=found.kind, reply=found.reply, stage=Stage.ROUTE, blame=Blame.SITE, is_local=True
        )
        self._settle(message, outcome)

    def _settle_own(self, message: Message, outcome: Outcome) -> None:
        """Settle what a site has done: other pools that have the source may share its connections."""
        passage, pool = outcome.passage, message.queue.config.egress_pool
        if passage is not None and passage.egress_pool != pool:
            own = msgspec.structs.replace(passage, egress_pool=pool)
            outcome = msgspec.structs.replace(outcome, passage=own)
        self._settle(message, outcome)

    def _forget(self, site: Site) -> None:
        if self._sites.get(site.name) is site:
            del self._sites[site.name]

    def reconfigure(self, terms: Terms) -> None:
        """Go by other terms from now on: what waits for a site finds its way anew, in its order."""
        self.terms = terms
        self._leads.clear()
        self._turns.clear()
        self._moving.extend(self._routes.clear())
        client_context.cache_clear()
        for site in tuple(self._sites.values()):
            self._moving.extend(site.take_all())
        self._move()

    def _move(self) -> None:
        """Let some messages that lost their place find their way; a part in each turn of the loop."""
        for _ in range(min(MOVED_AT_ONCE, len(self._moving))):
            self.dispatch(self._moving.popleft())
        if self._moving and not self._is_stopping:
            self._loop.call_soon(self._move)

    # --- what an operator may do (queue.steering.Yard) ---

    def withdraw(self, is_meant: Callable[[Message], bool]) -> list[Message]:
        """Take back the messages that are meant and are not on the wire."""
        taken = self._routes.withdraw(is_meant)
        taken += filter(is_meant, self._moving)
        self._moving = deque(message for message in self._moving if not is_meant(message))
        for site in tuple(self._sites.values()):
            taken += site.withdraw(is_meant)
        return taken

    def messages(self) -> Iterator[Message]:
        """Every message that it has."""
        yield from self._routes.messages()
        yield from self._moving
        for site in self._sites.values():
            yield from site.messages()

    def site_of(self, queue: ScheduledQueue) -> str | None:
        """Where a queue's mail goes, if that is known; of several ways, the one that was found first. After a
        reload it is where the last message went.
        """
        return next((way.name for way in self._ways(queue)), queue.site)

    def at_work(self) -> dict[str, str]:
        """Id of each message that a session has → what that does, for people."""
        sessions = (session for site in self._sites.values() for session in site.sessions)
        return {message.ident: session.doing for session in sessions for message in session.messages()}

    def try_now(self, queue: ScheduledQueue) -> None:
        """Leave the sites of a queue alone no longer."""
        for way in self._ways(queue):
            if way.name in self._sites:
                self._sites[way.name].try_now()

    def _ways(self, queue: ScheduledQueue) -> Iterator[Way]:
        lead = self._leads.get(queue)
        routes = [] if lead is None else [*filter(None, [lead.route]), *lead.routes.values()]
        return (route.found for route in routes if isinstance(route.found, Way))

    # --- the end, and what an operator sees ---

    async def drain(self, limit: float) -> bool:
        """Finish what is in flight, begin nothing more; what is not finished in `limit` seconds is cut off.

        Returns whether all was finished. What was waiting is not settled: the spool has it. What was cut off
        has an outcome: it was an attempt, whose end nobody knows.
        """
        self._is_stopping = True
        self._routes.stop()
        for site in self._sites.values():
            site.stop()
        tasks = [task for site in self._sites.values() for task in site.sessions.values()]
        if not tasks:
            return True
        _, unfinished = await asyncio.wait(tasks, timeout=limit)
        for task in unfinished:
            task.cancel()
        if unfinished:
            await asyncio.wait(unfinished, timeout=CUT_TIME)
        return not unfinished

    def snapshot(self) -> list[SiteState]:
        """Every site that has anything to do, or failed lately, by name."""
        return [self._sites[name].state() for name in sorted(self._sites)]
