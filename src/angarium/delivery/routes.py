"""Which way does the mail of a queue take? Looked up, remembered, and shared by all who ask alike.

A Route knows its way, or who waits to know it. Promises: nobody waits for another's name servers; while a
route is renewed the old way serves; a route that leads nowhere is remembered as well, with the reply that
says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from angarium.delivery.agents import agent_of
from angarium.delivery.outcome import NO_SOURCE, Kind
from angarium.delivery.plan import NoRoute, Plan
from angarium.delivery.resolve import PROHIBITED_HOSTS, Own, Rules, resolve, resolve_list
from angarium.delivery.security import secure
from angarium.delivery.way import Way
from angarium.mail.status import reply
from angarium.net.dns import Resolver
from angarium.net.mta_sts import Policies
from angarium.policy.config import QueueConfig
from angarium.policy.egress import Egress, EgressSource
from angarium.policy.hooks import Hooks
from angarium.policy.route import NextHop, RouteError, next_hop, parse_next_hop
from angarium.policy.shaping import PathOptions, Shaping, overrides
from angarium.queue.message import Message
from angarium.queue.scheduled import ScheduledQueue

MAX_LOOKUPS = 500
"""Routes that are looked up at the same time: as many dead domains delay a new one by a resolver's limit."""
ROUTE_TIME = 30.0
"""Seconds for which a route is used before it is looked up again (in the resolver's cache, mostly)."""
MAX_ROUTES = 20_000


class Terms(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What of the configuration delivery goes by; replaced whole."""

    own: Own = Own()
    shaping: Shaping = msgspec.field(default_factory=Shaping)
    egress: Egress = Egress()
    hooks: Hooks = msgspec.field(default_factory=Hooks)
    hostname: str = "localhost"


class Question(NamedTuple):
    """What decides about a route, and nothing else."""

    domain: str
    routing_domain: str | None
    config: QueueConfig
    """Without what delivery does not look at: see `question`."""
    source: EgressSource | None


_SEEN = ("smtp_port", "prohibited_hosts", "egress_pool", "protocol", "tls", "connection_limit",
         "max_deliveries_per_connection")  # fmt: skip


def question(queue: ScheduledQueue, source: EgressSource | None) -> tuple[Any, ...]:
    """The key under which a route is shared."""
    config = queue.config
    name = source.name if source else None
    return queue.name.domain, queue.routing_domain, name, *(getattr(config, option) for option in _SEEN)


class Route:
    """The way of those who ask alike: what is known, and who waits to know."""

    __slots__ = ("found", "is_sought", "is_stale", "question", "until", "waiting")

    def __init__(self, asked: Question) -> None:
        self.question = asked
        self.found: Way | NoRoute | None = None
        self.until = 0.0
        self.is_sought = False
        self.is_stale = False
        """Found under a configuration that is in force no more: what comes of it is of no interest."""
        self.waiting: list[Message] = []

    @property
    def is_unfit(self) -> bool:
        """Whether only another source leads anywhere."""
        return isinstance(self.found, NoRoute) and self.found.is_unfit


class Routes:
    """All routes. `on_found` is told of each that was looked up, with those who waited for it."""

    def __init__(
        self,
        resolver: Resolver,
        policies: Policies,
        terms: Callable[[], Terms],
        on_found: Callable[[Route, list[Message]], None],
        *,
        is_local: Callable[[str], bool],
        shuffle: Callable[[list[str]], None],
    ) -> None:
        self._resolver = resolver
        self._policies = policies
        self._terms = terms
        self._on_found = on_found
        self._is_local = is_local
        self._shuffle = shuffle
        self._loop = asyncio.get_running_loop()
        self._routes: dict[tuple[Any, ...], Route] = {}
        self._lookups: set[asyncio.Task[None]] = set()
        self._sought: set[Route] = set()
        """Those that messages may wait for."""
        self._may_look_up = asyncio.Semaphore(MAX_LOOKUPS)

    def of(self, queue: ScheduledQueue, source: EgressSource | None) -> Route:
        """The route of a queue's mail by a source; `seek` it where its time is over."""
        key = question(queue, source)
        route = self._routes.get(key)
        if route is None:
            self._drop_old()
            asked = Question(queue.name.domain, queue.routing_domain, queue.config, source)
            route = self._routes[key] = Route(asked)
        return route

    def seek(self, route: Route) -> None:
        """Look a route up, unless that is under way."""
        if not route.is_sought:
            route.is_sought = True
            self._sought.add(route)
            task = asyncio.create_task(self._look_up(route))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)

    def _drop_old(self) -> None:
        if len(self._routes) >= MAX_ROUTES:
            now = self._loop.time()
            old = [key for key, route in self._routes.items() if route.until <= now and not route.is_sought]
            for key in old:
                del self._routes[key]

    def clear(self) -> list[Message]:
        """Look everything up anew: the configuration has changed. Returns who waited."""
        for route in self._routes.values():
            route.is_stale = True
        self._routes.clear()
        return self.withdraw(lambda _: True)

    def messages(self) -> Iterator[Message]:
        """Every message that waits for a route."""
        return (message for route in self._sought for message in route.waiting)

    def withdraw(self, is_meant: Callable[[Message], bool]) -> list[Message]:
        """Take out the messages that are meant; the others keep their order."""
        taken: list[Message] = []
        for route in self._sought:
            taken += filter(is_meant, route.waiting)
            route.waiting = [message for message in route.waiting if not is_meant(message)]
        return taken

    def stop(self) -> None:
        """Look nothing up any more."""
        for task in self._lookups:
            task.cancel()

    async def _look_up(self, route: Route) -> None:
        async with self._may_look_up:
            route.found = await self._find(route.question)
        route.until = self._loop.time() + ROUTE_TIME
        route.is_sought = False
        self._sought.discard(route)
        if route.is_stale:
            return
        waiting, route.waiting = route.waiting, []
        self._on_found(route, waiting)

    async def _find(self, asked: Question) -> Way | NoRoute:
        local = self._local_way(asked)
        if local is not None:
            return local
        try:
            hop = next_hop(asked.domain, asked.routing_domain)
            hops = [parse_next_hop(text, is_trusted=True) for text in asked.config.protocol.mx_list]
        except RouteError as error:
            return NoRoute(Kind.TRANSIENT, reply(451, f"4.3.5 {error}"))
        rules = self._rules(asked)
        found = await (
            resolve_list(hops, self._resolver, rules) if hops else resolve(hop, self._resolver, rules)
        )
        if isinstance(found, Plan) and asked.source is not None:
            found = _of_family(found, asked.source)
        return found if isinstance(found, NoRoute) else await self._way(asked, found, hop, is_list=bool(hops))

    def _rules(self, asked: Question) -> Rules:
        config, source = asked.config, asked.source
        prohibited = config.prohibited_hosts
        return Rules(
            prohibited=PROHIBITED_HOSTS if prohibited is None else prohibited,
            own=self._terms().own,
            is_local=self._is_local,
            shuffle=self._shuffle,
            port=config.smtp_port,
            remote_port=source.remote_port if source else None,
        )

    async def _way(self, asked: Question, plan: Plan, hop: NextHop, *, is_list: bool) -> Way | NoRoute:
        """The way to a site, under its options, as encrypted as they ask for."""
        names = [host.name for host in plan.hosts]
        shaping = self._terms().shaping
        options = shaping.options(hop.domain, names, asked.config)
        mx_domain = hop.name if hop.uses_mx and not is_list else None
        secured = await secure(plan, options.tls, mx_domain, self._resolver, self._policies)
        if isinstance(secured, NoRoute):
            return secured
        provider = shaping.provider(names)
        is_lmtp = asked.config.protocol.kind == "lmtp"
        return Way(
            name=self._name(asked, secured, hop.domain, is_lmtp=is_lmtp),
            plan=secured,
            options=options,
            pool=asked.config.egress_pool,
            source=asked.source,
            provider=provider.name if provider else None,
            is_lmtp=is_lmtp,
        )

    def _local_way(self, asked: Question) -> Way | None:
        """The way of mail that no host gets."""
        found = agent_of(asked.config.protocol, self._terms().hostname, lambda: self._terms().hooks)
        if found is None:
            return None
        site, agent = found
        domain = asked.domain
        options: PathOptions = self._terms().shaping.options(domain, [], asked.config)
        plan = Plan(site, ())
        name = self._name(asked, plan, domain, is_lmtp=False)
        return Way(name=name, plan=plan, options=options, pool=asked.config.egress_pool, agent=agent)

    def _name(self, asked: Question, plan: Plan, domain: str, *, is_lmtp: bool) -> str:
        """The site, and all that keeps mail for it from sharing connections and limits with other mail."""
        entry = self._terms().shaping.domain_key(domain)
        parts = [f"{plan.site}{'@lmtp' if is_lmtp else ''}", plan.vouched]
        parts += [f"domain={entry}"] if entry else []
        parts += [f"{name}={value}" for name, value in overrides(asked.config)]
        text = ";".join(filter(None, parts))
        return text if asked.source is None else f"{asked.source.name}->{text}"


def _of_family(plan: Plan, source: EgressSource) -> Plan | NoRoute:
    """The hosts that an address can reach: IPv4 from IPv4, IPv6 from IPv6."""
    if source.source_address is None:
        return plan
    is_six = ":" in source.source_address
    hosts = [
        msgspec.structs.replace(host, addresses=tuple(a for a in host.addresses if (":" in a) == is_six))
        for host in plan.hosts
    ]
    hosts = [host for host in hosts if host.addresses]
    if not hosts:
        family = "IPv6" if is_six else "IPv4"
        text = (
            f"4.4.4 Egress source {source.name} is {family}, and no host of {plan.site} has such an address"
        )
        return NoRoute(Kind.TRANSIENT, reply(451, text), is_unfit=True)
    return msgspec.structs.replace(plan, hosts=tuple(hosts))


NO_USABLE_SOURCE = NoRoute(Kind.TRANSIENT, NO_SOURCE)


def no_pool(name: str) -> NoRoute:
    """What becomes of mail whose pool nobody has written."""
    return NoRoute(Kind.TRANSIENT, reply(451, f"4.3.5 There is no egress pool {name}"))
