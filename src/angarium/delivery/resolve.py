"""Which hosts take mail for a next hop, in which order (RFC 5321 section 5.1, RFC 7505)?

Answers with a Plan, or with a NoRoute that is a reply already. Promises: MX hosts by preference, shuffled
among equals; never an address that `prohibited_hosts` names, unless the operator wrote that literal; never
one of our own listeners, nor a host less preferred than ourselves; domains with the same MX hosts have the
same site. Refuses to guess: an MX record that holds an address instead of a name is no host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import groupby

import msgspec

from angarium.delivery.outcome import LOOP, NO_ROUTE, NULL_MX, PROHIBITED, Kind
from angarium.delivery.plan import SMTP_PORT, Host, NoRoute, Plan
from angarium.mail.status import reply
from angarium.net.dns import DnsError, DnsTrouble, MxHost, NoAnswer, Resolver
from angarium.policy import networks
from angarium.policy.config import Network
from angarium.policy.route import NextHop

MAX_HOSTS = 12
"""MX hosts of one domain that are looked up; nobody needs more."""
MAX_ADDRESSES = 4
"""Addresses of one host that are tried."""

PROHIBITED_HOSTS: tuple[Network, ...] = networks.PROHIBITED_HOSTS.networks
"""The built-in list: loopback, unspecified, link-local (contract 2.11)."""


class Own(msgspec.Struct, frozen=True):
    """What is this server itself: its host names, and its listeners as (address, port)."""

    names: frozenset[str] = frozenset()
    listeners: tuple[tuple[str, int], ...] = ()

    def takes(self, address: str, port: int, is_local: Callable[[str], bool]) -> bool:
        """Whether a connection to that address and port would come back to us."""
        for listening, listening_port in self.listeners:
            if listening_port != port:
                continue
            if listening == address or (listening in ("0.0.0.0", "::", "") and is_local(address)):  # noqa: S104
                return True
        return False


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a next hop may not be, and what is needed to choose among hosts."""

    prohibited: tuple[Network, ...] = PROHIBITED_HOSTS
    own: Own = Own()
    is_local: Callable[[str], bool]
    """Whether an address is this machine's own: `net.local.is_local_address`."""
    shuffle: Callable[[list[str]], None]
    """Puts a list into a random order, in place."""
    port: int = SMTP_PORT
    """Where nothing else names one."""
    remote_port: int | None = None
    """The egress source's, before that of the route."""


_LOOP = NoRoute(Kind.PERMANENT, LOOP)
_PROHIBITED = NoRoute(Kind.PERMANENT, PROHIBITED)
_NULL_MX = NoRoute(Kind.PERMANENT, NULL_MX)
_NO_ROUTE = NoRoute(Kind.TRANSIENT, NO_ROUTE)


async def resolve(hop: NextHop, resolver: Resolver, rules: Rules) -> Plan | NoRoute:
    """Find the hosts of a next hop. Asks the resolver, and nothing else."""
    port = rules.remote_port or hop.port or rules.port
    if hop.address is not None:
        return _literal(hop, port, rules)
    try:
        exchanges = await _exchanges(hop, resolver)
    except DnsError as error:
        return _no_route(error)
    if exchanges[0].name == "" and len(exchanges) == 1:
        return _NULL_MX
    site = _site([exchange.name for exchange in exchanges], port)
    # RFC 5321 section 5.1: where we are an MX host ourselves, only those more preferred than us are left.
    usable = _until_own(exchanges, lambda exchange: hop.uses_mx and exchange.name in rules.own.names)
    if not usable:
        return _LOOP
    return await _plan(site, _ordered(usable, rules.shuffle), port, resolver, rules)


async def resolve_list(hops: Sequence[NextHop], resolver: Resolver, rules: Rules) -> Plan | NoRoute:
    """The hosts of an operator's list of next hops, in its order. One that leads nowhere spoils nothing."""
    found = await asyncio.gather(*(_resolve_host(hop, resolver, rules) for hop in hops))
    plans = [plan for plan in found if isinstance(plan, Plan)]
    if not plans:
        return found[0]
    site = f"mx_list:{','.join(map(str, hops))}"
    return Plan(site, tuple(host for plan in plans for host in plan.hosts))


async def _resolve_host(hop: NextHop, resolver: Resolver, rules: Rules) -> Plan | NoRoute:
    """A name in a list is a host, whether a port stands behind it or not."""
    return await resolve(
        NextHop(hop.name, hop.address, hop.port or rules.port, hop.is_trusted), resolver, rules
    )


async def _exchanges(hop: NextHop, resolver: Resolver) -> Sequence[MxHost]:
    """The MX hosts, or the name itself where it has none or is a host. Raises DnsError."""
    if not hop.uses_mx:
        return [MxHost(0, hop.name)]
    try:
        return await resolver.mx(hop.name)
    except NoAnswer:
        return [MxHost(0, hop.name)]


def _literal(hop: NextHop, port: int, rules: Rules) -> Plan | NoRoute:
    address = str(hop.address)
    if not hop.is_trusted and _is_prohibited(address, rules.prohibited):
        return _PROHIBITED
    if rules.own.takes(address, port, rules.is_local):
        return _LOOP
    name = f"[{address}]"
    return Plan(_site([name], port), (Host(name, (address,), port),))


async def _plan(
    site: str, exchanges: list[MxHost], port: int, resolver: Resolver, rules: Rules
) -> Plan | NoRoute:
    names = [exchange.name for exchange in exchanges]
    found = await asyncio.gather(*(_addresses(name, resolver) for name in names))
    pairs = zip(names, found, strict=True)
    addresses = {name: answer for name, answer in pairs if not isinstance(answer, DnsError)}
    if not addresses:
        return _no_route(*(answer for answer in found if isinstance(answer, DnsError)))
    if any(_is_prohibited(address, rules.prohibited) for each in addresses.values() for address in each):
        return _PROHIBITED
    reachable = [exchange for exchange in exchanges if exchange.name in addresses]
    others = _until_own(
        reachable,
        lambda exchange: any(rules.own.takes(a, port, rules.is_local) for a in addresses[exchange.name]),
    )
    if not others:
        return _LOOP
    return Plan(site, tuple(Host(e.name, _few(addresses[e.name], rules.shuffle), port) for e in others))


async def _addresses(name: str, resolver: Resolver) -> tuple[str, ...] | DnsError:
    """The addresses of a host, or why there are none."""
    if name.rpartition(".")[2].isdigit():
        return NoAnswer(f"{name} is no host name")
    try:
        return await resolver.addresses(name)
    except DnsError as error:
        return error


def _no_route(*errors: DnsError) -> NoRoute:
    trouble = next((error for error in errors if isinstance(error, DnsTrouble)), None)
    if trouble is None:
        return _NO_ROUTE
    return NoRoute(Kind.TRANSIENT, reply(451, f"4.4.3 DNS gave no answer: {trouble}"))


def _ordered(exchanges: Iterable[MxHost], shuffle: Callable[[list[str]], None]) -> list[MxHost]:
    """By preference, shuffled among equals, and not too many."""
    ordered = []
    for preference, equals in groupby(sorted(exchanges), key=lambda exchange: exchange.preference):
        names = [exchange.name for exchange in equals if exchange.name]
        shuffle(names)
        ordered += [MxHost(preference, name) for name in names]
    return ordered[:MAX_HOSTS]


def _until_own(exchanges: Sequence[MxHost], is_own: Callable[[MxHost], bool]) -> list[MxHost]:
    """Those that are more preferred than the first one that is ourselves."""
    limit = min((exchange.preference for exchange in exchanges if is_own(exchange)), default=None)
    return [exchange for exchange in exchanges if limit is None or exchange.preference < limit]


def _few(addresses: tuple[str, ...], shuffle: Callable[[list[str]], None]) -> tuple[str, ...]:
    """Some addresses of a host, IPv4 first, each family in random order."""
    four = [address for address in addresses if ":" not in address]
    six = [address for address in addresses if ":" in address]
    shuffle(four)
    shuffle(six)
    return tuple([*four, *six][:MAX_ADDRESSES])


def _is_prohibited(address: str, prohibited: tuple[Network, ...]) -> bool:
    plain: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(plain, IPv6Address) and plain.ipv4_mapped is not None:
        plain = plain.ipv4_mapped
    return any(plain in network for network in prohibited)


def _site(names: list[str], port: int) -> str:
    site = ",".join(sorted(set(names)))
    return site if port == SMTP_PORT else f"{site}:{port}"
