"""Which questions about relaying can be asked, and which of them must have the same answer?

Divides what can be asked of a configuration (or of two, side by side) into cells: listeners and their local
addresses, peers, identities, sender and recipient domains. Domains are told apart by the keys of the files
alone: each named key, what remains of each wildcard, and any other. Pure; every answer comes from the real
`decide`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, ip_address
from typing import NamedTuple

from angarium.mail.address import Address
from angarium.policy.config import Configuration, Listener, ListenerOptions, Network, Overlay
from angarium.policy.context import Context
from angarium.policy.decision import Decision
from angarium.policy.domains import representative
from angarium.policy.listeners import effective_options
from angarium.policy.match import LINE_BITS, NULL_PATH, KeyKind, PolicyTables, Row, Scope, Table
from angarium.policy.networks import PROHIBITED_HOSTS, IPAddress, NetworkSet, parse_network
from angarium.policy.regions import EVERY_IPV4, Cover
from angarium.policy.relay import decide

ANY_DOMAIN = "*"
ANY_LITERAL = "[*]"
PROHIBITED_LITERAL = "[prohibited]"
POSTMASTER = "<Postmaster>"
STRANGER = "?"
"""A domain or an identity that nothing can name."""

_NOBODY = NetworkSet()

ClassKey = tuple[object, ...]
"""Names with equal keys have equal effective entries: the same options, from entries of the same kind."""


class Stand(NamedTuple):
    """One listener, on local addresses that are alike: its sections and `via` overlays are the same there."""

    label: str
    """The listener's label, and its address where that makes a difference."""
    listener: Listener
    local: IPAddress


class Stance(NamedTuple):
    """What the options in force for a peer contribute to decisions about recipients."""

    hostnames: tuple[str, ...]
    allow_sender_routing: bool


def overlays(*groups: Iterable[Overlay]) -> Iterator[Overlay]:
    """Every overlay of these, and those inside them."""
    for group in groups:
        for overlay in group:
            yield overlay
            yield from overlays(overlay.peer, overlay.via)


def stands(configuration: Configuration, other: Configuration | None = None) -> list[Stand]:
    """The stands of a configuration's listeners, divided by what the other one says of them too."""
    found: list[Stand] = []
    others = {listener.label: listener for listener in other.listeners} if other is not None else {}
    for listener in configuration.listeners:
        sides = [(configuration.domains, listener)]
        if other is not None and listener.label in others:
            sides.append((other.domains, others[listener.label]))
        found += _stands(listener, sides)
    return found


def _stands(listener: Listener, sides: Sequence[tuple[PolicyTables, Listener]]) -> Iterator[Stand]:
    bound = ip_address(listener.host)
    if not bound.is_unspecified:
        yield Stand(listener.label, listener, bound)
        return
    networks = [network for tables, side in sides for network in _local_networks(tables, side)]
    cover = Cover(networks, only=4 if bound.version == 4 else None)
    named = len(set(networks)) > 0
    for atom in cover.atoms:
        if not named and atom.network != EVERY_IPV4 and bound.version == 6:
            continue  # nothing tells its IPv6 addresses from its IPv4 addresses
        where = "" if not named or not atom.network.prefixlen else f" on {_plain(atom.network)}"
        yield Stand(f"{listener.label}{where}", listener, atom.address)


def _plain(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _local_networks(tables: PolicyTables, listener: Listener) -> Iterator[Network]:
    for address in tables.local_scopes.get(listener.label, ()):
        yield parse_network(address)
    for overlay in listener.via:
        yield overlay.network
    for overlay in overlays(listener.peer, listener.via):
        yield from (inner.network for inner in overlay.via)


def peer_networks(listener: Listener) -> Iterator[Network]:
    """Every network that a listener's options tell peers apart by."""
    yield from listener.options.relay_hosts
    for overlay in listener.peer:
        yield overlay.network
    for overlay in overlays(listener.peer, listener.via):
        yield from overlay.options.get("relay_hosts", ())
        yield from (inner.network for inner in overlay.peer)


class View:
    """One configuration, as sessions on one stand see it."""

    def __init__(self, configuration: Configuration, listener: Listener, local: IPAddress) -> None:
        self.configuration = configuration
        self.tables = configuration.domains
        self.listener = listener
        self.local = local
        self.scope: Scope = self.tables.scope(listener.label, local)
        section = self.scope.section
        self.levels = (self.tables.top,) if section is None else (self.tables.top, section)
        self._unnamed = unnamed_literal(self.levels)

    def options(self, peer: IPAddress) -> ListenerOptions:
        """The options in force for a peer."""
        return effective_options(self.listener, peer, self.local)

    def stance(self, peer: IPAddress) -> Stance:
        """What a peer's options contribute to decisions about recipients."""
        options = self.options(peer)
        return Stance((options.hostname, self.configuration.hostname), options.allow_sender_routing)

    def by_address(self, peer: IPAddress) -> Decision:
        """What the peer's address alone gives it."""
        return self._decide(peer, None, self._unnamed, self._unnamed, by_address=True)

    def by_sender(self, peer: IPAddress, identity: str | None, sender: str) -> Decision:
        """What the sender gives a peer that relay_hosts does not name."""
        return self._decide(peer, identity, sender, self._unnamed)

    def to(self, recipient: Address, stance: Stance, *, righted: bool) -> Decision:
        """What the recipient gives a peer without a right of its own, or with one."""
        peer = IPv4Address("192.0.2.1")
        configuration = self.configuration
        context = Context(
            listener=self.listener.label,
            local=self.local,
            peer=peer,
            relay_hosts=NetworkSet([parse_network(str(peer))]) if righted else _NOBODY,
            sender=Address("someone", self._unnamed),
            recipient=recipient,
            hostnames=stance.hostnames,
            postmaster=configuration.postmaster,
            postmaster_source=configuration.sources.get("postmaster"),
            allow_sender_routing=stance.allow_sender_routing,
        )
        return decide(configuration, context)

    def _decide(
        self, peer: IPAddress, identity: str | None, sender: str, recipient: str, *, by_address: bool = False
    ) -> Decision:
        options = self.options(peer)
        context = Context(
            listener=self.listener.label,
            local=self.local,
            peer=peer,
            relay_hosts=NetworkSet(options.relay_hosts) if by_address else _NOBODY,
            relay_hosts_source=options.sources.get("relay_hosts"),
            identity=identity,
            sender=None if sender == NULL_PATH else Address("someone", sender),
            recipient=Address("someone", recipient),
            hostnames=(options.hostname, self.configuration.hostname),
        )
        return decide(self.configuration, context)

    def class_of(self, name: str) -> ClassKey:
        """What a name's effective entry is made of."""
        section = self.scope.section
        laid = section.find(name) if section is not None else None
        return (*_shapes(self.tables.top.find(name)), *_shapes(laid))

    def named(self) -> Iterator[str]:
        """Every key that can answer on this stand."""
        for level in self.levels:
            yield from (key for key, _ in level.items())


def _shapes(match: tuple[KeyKind, str, Row] | None) -> ClassKey:
    if match is None:
        return (None, None)
    row = match[2]
    return match[0], tuple(one >> LINE_BITS for one in (row if isinstance(row, tuple) else (row,)))


def unnamed_literal(tables: Iterable[Table], candidates: Iterable[int] | None = None) -> str:
    """An address literal that none of the tables names, and that mail may go to."""
    each = list(tables)
    numbers = range(0xCB007101, 0xFFFFFFFF) if candidates is None else candidates
    return next(text for n in numbers if all((text := f"[{IPv4Address(n)}]") not in t.exact for t in each))


def senders(views: Sequence[View]) -> dict[str, str]:
    """Every class of sender domains: how it is called, and a name that stands for it."""
    return {**_named(views), NULL_PATH: NULL_PATH}


def recipients(views: Sequence[View]) -> dict[str, Address]:
    """Every class of recipients: how it is called, and an address that stands for it."""
    found = {key: Address("someone", name) for key, name in _named(views).items() if key != NULL_PATH}
    taken = [table for view in views for table in view.levels]
    for network in PROHIBITED_HOSTS:
        if network.version == 4 and network.prefixlen < 24:
            start = int(network.network_address) + 1
            literal = unnamed_literal(taken, range(start, start + 65000))
            found.setdefault(PROHIBITED_LITERAL, Address("someone", literal))
    found[POSTMASTER] = Address("Postmaster", "")
    hostnames = {name for view in views for name in _hostnames(view)}
    if any(view.configuration.postmaster is not None for view in views):
        found |= {f"postmaster@{name}": Address("postmaster", name) for name in sorted(hostnames)}
    return found


def _hostnames(view: View) -> Iterator[str]:
    yield view.configuration.hostname
    yield view.listener.options.hostname
    for overlay in overlays(view.listener.peer, view.listener.via):
        if "hostname" in overlay.options:
            yield overlay.options["hostname"]


def _named(views: Sequence[View]) -> dict[str, str]:
    names = {key: representative(key) for view in views for key in view.named()}
    names[ANY_DOMAIN] = STRANGER
    names[ANY_LITERAL] = unnamed_literal(table for view in views for table in view.levels)
    return names
