"""Is this list of networks somebody's own machines, or a part of the Internet?

One network may be too wide, or many narrow ones together. Only public addresses count: nobody from outside
comes from private, special or unassigned ones. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import collapse_addresses

from angarium.policy.config import Network
from angarium.policy.networks import parse_network

WIDE = {4: 8, 6: 17}
"""Prefixes shorter than this hold parts of the Internet, not somebody's network."""
PART = 16
"""How many of the widest networks that may be somebody's make a part of the Internet: a sixteenth of IPv4."""
UNREACHABLE = tuple(
    parse_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/3", "::/3", "2001::/23", "2001:db8::/32", "3fff::/20"),
        *("4000::/2", "8000::/1"),
    )
)
"""Private, special and unassigned networks (RFC 6890): no outsider comes from there."""


def collapsed(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in as few networks as can be."""
    each = list(networks)
    return [
        *collapse_addresses(network for network in each if network.version == 4),
        *collapse_addresses(network for network in each if network.version == 6),
    ]


def is_wide(network: Network) -> bool:
    """Whether a network alone holds a part of the Internet."""
    return network.prefixlen < WIDE[network.version] and _is_reachable(network)


def vast(networks: Iterable[Network]) -> list[Network]:
    """The narrow networks of a list, widest first, if they are a part of the Internet together."""
    each = [network for network in collapsed(networks) if not is_wide(network)]
    return [
        network
        for version in WIDE
        if _public(each, version) > PART * _widest(version)
        for network in sorted(_reachable(each, version), key=lambda network: network.prefixlen)
    ]


def is_open(networks: Iterable[Network]) -> bool:
    """Whether a list holds a part of the Internet, in one network or in many."""
    each = collapsed(networks)
    return any(map(is_wide, each)) or bool(vast(each))


def many(networks: Iterable[Network]) -> int:
    """How many public addresses a list holds; 0 where they are no more than somebody's network may have."""
    each = collapsed(networks)
    counts = ((_public(each, version), _widest(version)) for version in WIDE)
    return max((count for count, widest in counts if count > widest), default=0)


def _widest(version: int) -> int:
    """Addresses of the widest network that may be somebody's."""
    return 1 << ((32 if version == 4 else 128) - WIDE[version])


def _public(each: Iterable[Network], version: int) -> int:
    return sum(_public_part(network) for network in _reachable(each, version))


def _public_part(network: Network) -> int:
    inside = (other for other in UNREACHABLE if other.version == network.version and other.overlaps(network))
    return network.num_addresses - sum(other.num_addresses for other in inside)


def _reachable(each: Iterable[Network], version: int) -> Iterator[Network]:
    return (network for network in each if network.version == version and _is_reachable(network))


def _is_reachable(network: Network) -> bool:
    """Whether somebody from outside may come from there."""
    return not any(
        other.version == network.version and network.subnet_of(other)  # type: ignore[arg-type]
        for other in UNREACHABLE
    )
