"""May an outsider use this server to send mail to anywhere?

Puts to the real `decide` the questions whose answer should be no: from an unauthenticated peer in no network
that anybody listed, IPv4 and IPv6, to a domain that no entry names. Networks as wide as a part of the
Internet, one or many together, or the name of a whole top-level domain, are no list of anybody's machines or
domains, and so count as open.

Pure. `allow = "reason"` in the entry or the listener accepts the risk. Handlers are not asked: what code
decides cannot be looked through from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from angarium.mail.address import Address
from angarium.policy.breadth import UNREACHABLE, collapsed, is_open, is_wide, many, vast
from angarium.policy.config import Configuration, Listener, ListenerOptions, Network, Overlay, Problem, Source
from angarium.policy.context import Context
from angarium.policy.decision import DecidedBy, Verdict
from angarium.policy.domains import representative
from angarium.policy.listeners import effective_options
from angarium.policy.match import LINE_BITS, NULL_PATH, PolicyTables, Raw, Row, Scope, Table
from angarium.policy.networks import IPAddress, NetworkSet, parse_network
from angarium.policy.relay import decide

MAX_SENDERS = 100
"""Entries with too wide a relay_from that are looked at on each level: one is reason enough."""
MAX_OF_A_LIST = 8
"""Networks of a list that is a part of the Internet by many of them, in which an outsider is looked for."""

_NOT_PUBLIC = frozenset(
    (
        "test",
        "example",
        "invalid",
        "localhost",
        "local",
        "internal",
        "onion",
        "lan",
        "home",
        "corp",
        "intranet",
    )
)
"""Top-level domains that are nobody's or one's own (RFC 6761, RFC 6762)."""
_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "gob", "gov", "gv", "mil", "ne", "net", "or", "org"))
"""Under a country's domain these are as public as the country's domain itself."""

# "*" never answers for a literal, so that one right at a time can be asked about.
_SENDER = Address("someone", "[IPv6:3fff::1]")
_RECIPIENT = Address("someone", "[IPv6:3fff::2]")
_NAMELESS = "?"
"""A name that no key can have, so that only `"*"` answers for it."""
_NOBODY = NetworkSet()


class _Way(NamedTuple):
    """One way in: what is accepted, and by which line."""

    source: Source
    text: str


def open_relays(configuration: Configuration) -> list[Problem]:
    """Every line that makes the server an open relay, as an error; none: it is not one."""
    search = _Search(configuration)
    ways: dict[_Way, list[str]] = {}
    for listener in configuration.listeners:
        if listener.allow is None:
            for way in dict.fromkeys(search.ways(listener)):
                ways.setdefault(way, []).append(listener.label)
    every = len(configuration.listeners)
    return sorted(Problem(way.source, _said(way, names, every)) for way, names in ways.items())


def _said(way: _Way, listeners: list[str], every: int) -> str:
    where = "" if len(listeners) == every else f" (on {', '.join(listeners)})"
    return f"open relay: {way.text}{where}"


class _Search:
    """The outsiders, senders and recipients of one configuration, and what they may do."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._tables = configuration.domains
        self._peers = outsiders(peer_lists(configuration))
        self._wide_shapes = _wide_shapes(self._tables)

    def ways(self, listener: Listener) -> Iterator[_Way]:
        for local in _locals(listener, self._tables):
            scope = self._tables.scope(listener.label, local)
            for peer in self._peers:
                options = effective_options(listener, peer, local)
                asked = _Asked(self._configuration, listener, options, local, peer)
                yield from asked.by_address()
                yield from self._by_entries(asked, scope)

    def _by_entries(self, asked: _Asked, scope: Scope) -> Iterator[_Way]:
        levels = [self._tables.top, *([scope.section] if scope.section is not None else [])]
        recipients = [_NAMELESS, *(name for level in levels for name in _public_suffixes(level))]
        for name in dict.fromkeys(recipients):
            yield from self._unless_allowed(asked.to(name), name, scope)
        senders = [name for level in levels for name in self._senders(level)]
        for name in dict.fromkeys(senders):
            yield from self._unless_allowed(asked.by(name), name, scope)

    def _unless_allowed(self, way: _Way | None, name: str, scope: Scope) -> Iterator[_Way]:
        if way is not None:
            entry = self._tables.lookup(name, scope)
            if entry is None or entry.allow is None:
                yield way

    def _senders(self, level: Table) -> Iterator[str]:
        """Names for whose senders too wide a network is named."""
        if not self._wide_shapes:
            return
        found = 0
        for key, row in level.items():
            if found < MAX_SENDERS and any(one >> LINE_BITS in self._wide_shapes for one in _rows(row)):
                found += 1
                yield representative(key)


class _Asked:
    """One outsider's connection to one listener: what may it do?"""

    def __init__(
        self,
        configuration: Configuration,
        listener: Listener,
        options: ListenerOptions,
        local: IPAddress,
        peer: IPAddress,
    ) -> None:
        self._configuration = configuration
        self._listener = listener
        self._options = options
        self._local = local
        self._peer = peer

    def by_address(self) -> Iterator[_Way]:
        """Whether the peer's address alone is enough, or its word about whose mail it brings."""
        for option in believed(self._options, self._peer):
            text = f"{option} believes a part of the Internet: anyone may pass for somebody else"
            advice = 'name your proxies, or accept it with allow = "the reason" on the listener'
            source = self._options.sources.get(option, self._listener.sources["listen"])
            yield _Way(source, f"{text}: {advice}")
        relay_hosts = NetworkSet(self._options.relay_hosts)
        decided = self._decide(_SENDER, _RECIPIENT, relay_hosts)
        if decided is not None:
            network = relay_hosts.find(self._peer)
            held = f"{network} in relay_hosts is"
            if network is not None and not is_wide(network):
                held = f"relay_hosts holds {many(relay_hosts):,} public addresses,"
            text = f"{held} far more than one's own machines, and they may relay anywhere"
            advice = 'name the networks that you mean, or accept it with allow = "the reason" on the listener'
            yield _Way(_source(decided), f"{text}: {advice}")

    def to(self, name: str) -> _Way | None:
        """Whether anyone may send to this recipient domain."""
        decided = self._decide(_SENDER, Address("someone", name), _NOBODY)
        if decided is None:
            return None
        what = "anywhere" if decided.key == "*" else "a whole top-level domain"
        text = f'"{decided.key}" with relay_to = true relays mail from anyone to {what}'
        return _Way(_source(decided), f'{text}: list the domains, or accept it with allow = "the reason"')

    def by(self, name: str) -> _Way | None:
        """Whether anyone who writes this sender domain may send anywhere."""
        sender = None if name == NULL_PATH else Address("someone", name)
        decided = self._decide(sender, _RECIPIENT, _NOBODY)
        if decided is None:
            return None
        text = f'relay_from of "{decided.key}" names a part of the Internet, and anyone can write that sender'
        advice = 'name the networks that you mean, or accept it with allow = "the reason"'
        return _Way(_source(decided), f"{text}: {advice}")

    def _decide(
        self, sender: Address | None, recipient: Address, relay_hosts: NetworkSet
    ) -> DecidedBy | None:
        """Who lets this mail through; None: it is refused, or only examined."""
        context = Context(
            listener=self._listener.label,
            local=self._local,
            peer=self._peer,
            relay_hosts=relay_hosts,
            relay_hosts_source=self._options.sources.get("relay_hosts"),
            sender=sender,
            recipient=recipient,
            hostnames=(self._options.hostname, self._configuration.hostname),
            allow_sender_routing=self._options.allow_sender_routing,
        )
        decision = decide(self._configuration, context)
        return decision.decided_by if decision.verdict is Verdict.RELAY else None


def believed(options: ListenerOptions, peer: IPAddress) -> list[str]:
    """The options by which this peer may say that it speaks for somebody else."""
    found = []
    for option, for_everyone in (
        ("xclient_hosts", "allow_xclient"),
        ("proxy_hosts", "require_proxy_protocol"),
    ):
        if getattr(options, for_everyone):
            found.append(for_everyone)
        elif any(peer in network for network in getattr(options, option)):
            found.append(option)
    return found


def proxies_with_rights(configuration: Configuration) -> Iterator[Problem]:
    """Proxies that may relay themselves, as warnings: so may clients of whom they say nothing."""
    for listener in configuration.listeners:
        options = listener.options
        for option in ("xclient_hosts", "proxy_hosts"):
            for proxy in getattr(options, option):
                if any(_meet(proxy, network) for network in options.relay_hosts):
                    text = f"{option}: {proxy} meets relay_hosts: a client of whom the proxy says nothing may"
                    text += " relay anywhere; take the proxy out of relay_hosts"
                    yield Problem(options.sources[option], text, is_error=False)


def _meet(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _source(decided: DecidedBy) -> Source:
    return Source(decided.file or "", decided.line or 1)


# Who is an outsider?


def outsiders(lists: Iterable[Sequence[Network]]) -> list[IPAddress]:
    """Addresses that stand for everybody whom no list names, one for each part of the Internet lists divide.

    Lists are the networks as somebody wrote them together: they may be wide together and not each.
    """
    each = [collapsed(networks) for networks in dict.fromkeys(map(tuple, lists))]
    wide: dict[Network, None] = dict.fromkeys((parse_network("0.0.0.0/0"), parse_network("::/0")))
    for networks in each:
        wide |= dict.fromkeys([*filter(is_wide, networks), *vast(networks)[:MAX_OF_A_LIST]])
    named = dict.fromkeys(network for networks in each for network in networks if network not in wide)
    narrow = [*UNREACHABLE, *named]
    peers = (_free(base, [*narrow, *(other for other in wide if _inside(other, base))]) for base in wide)
    return [peer for peer in peers if peer is not None]


def _inside(network: Network, base: Network) -> bool:
    """Whether the network is a part of the other, and not all of it."""
    return (
        network.version == base.version and network != base and network.subnet_of(base)  # type: ignore[arg-type]
    )


def _free(base: Network, taken: Iterable[Network]) -> IPAddress | None:
    """The first address of a network that none of the others holds."""
    spans = sorted(
        (int(network.network_address), int(network.broadcast_address))
        for network in taken
        if network.version == base.version
    )
    candidate, last = int(base.network_address), int(base.broadcast_address)
    for first, end in spans:
        if first > candidate:
            break
        candidate = max(candidate, end + 1)
    if candidate > last:
        return None
    return IPv4Address(candidate) if base.version == 4 else IPv6Address(candidate)


def peer_lists(configuration: Configuration) -> Iterator[Sequence[Network]]:
    """Every list of networks that somebody wrote."""
    for listener in configuration.listeners:
        yield listener.options.relay_hosts
        yield listener.options.xclient_hosts
        yield listener.options.proxy_hosts
        for overlay in all_overlays(listener.peer, listener.via):
            for option in ("relay_hosts", "xclient_hosts", "proxy_hosts"):
                yield overlay.options.get(option, ())
        for overlay in all_overlays(listener.peer):
            yield (overlay.network,)
    for raw in {raw for raw in _relay_from(configuration.domains) if raw is not None}:
        yield _parsed(raw)


def all_overlays(*groups: Iterable[Overlay]) -> Iterator[Overlay]:
    """These and those inside them."""
    for overlays in groups:
        for overlay in overlays:
            yield overlay
            yield from all_overlays(overlay.peer, overlay.via)


def _locals(listener: Listener, tables: PolicyTables) -> list[IPAddress]:
    """The local addresses that make a difference."""
    named = [ip_address(text) for text in tables.local_scopes.get(listener.label, ())]
    via = [overlay.network.network_address for overlay in all_overlays(listener.peer, listener.via)]
    own = ip_address(listener.host)
    return list(dict.fromkeys([own, *(other for other in (*named, *via) if _comes_here(other, own))]))


def _comes_here(local: IPAddress, bound: IPAddress) -> bool:
    """Whether a connection to this address can reach a listener bound there; `[::]` takes IPv4 too."""
    if not bound.is_unspecified:
        return local == bound
    return bound.version == 6 or local.version == 4


# Which entries are worth a question?


def _relay_from(tables: PolicyTables) -> Iterator[tuple[str, ...] | None]:
    """What each shape says of relay_from."""
    for shape in tables.shapes:
        yield next((_texts(raw) for option, raw, _ in shape.options if option == "relay_from"), None)


def _texts(raw: Raw) -> tuple[str, ...]:
    assert isinstance(raw, tuple)
    return raw


@lru_cache(maxsize=1024)
def _parsed(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(map(parse_network, texts))


def _wide_shapes(tables: PolicyTables) -> frozenset[int]:
    """The numbers of the shapes whose relay_from is too wide."""
    wide = set()
    for number, texts in enumerate(_relay_from(tables)):
        if texts is not None and is_open(_parsed(texts)):
            wide.add(number)
    return frozenset(wide)


def _rows(row: Row) -> tuple[int, ...]:
    return row if isinstance(row, tuple) else (row,)


def _public_suffixes(level: Table) -> list[str]:
    """Names below the wildcards that stand for whole top-level domains."""
    return [f"?.{suffix}" for suffix in level.wildcards if is_public_suffix(suffix)]


def is_public_suffix(suffix: str) -> bool:
    """Whether names of anybody's stand below this name: a top-level domain, or `co.uk` and the like."""
    first, dot, country = suffix.rpartition(".")
    if not dot:
        return suffix not in _NOT_PUBLIC
    return first in _SECOND_LEVEL and len(country) == 2
