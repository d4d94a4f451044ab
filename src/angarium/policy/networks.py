"""Sets of networks: "is this peer in one of them, and in which?"

Promises one spelling for each network (host bits zero, IPv4-mapped IPv6 folded into IPv4, so that a peer of
a dual-stack socket matches the IPv4 network it is in), and a cost of one dictionary look-up per distinct
prefix length, however many networks there are. Refuses networks with host bits set, and says what was meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from angarium.policy.config import Network

IPAddress = IPv4Address | IPv6Address

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
SHOWN_NETWORKS = 4

_Level = tuple[int, dict[int, Network]]


class NetworkError(ValueError):
    """The text is not a network; the message says what to write instead."""


def parse_network(text: str) -> Network:
    """Read `10.0.0.0/8`, `2001:db8::/32` or one address; raises NetworkError."""
    try:
        return _fold(ip_network(text))
    except ValueError:
        pass
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        advice = "write 192.0.2.0/24 or 2001:db8::1"
        raise NetworkError(f"{text!r} is not an address or network: {advice}") from None
    raise NetworkError(f"{text!r} has host bits set: write {str(meant)!r}, or one address alone")


def parse_address(text: str) -> IPAddress | None:
    """Read an address without a zone; None where the text is none."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def canonical_address(address: IPAddress) -> IPAddress:
    """The address itself, or the IPv4 address that an IPv4-mapped IPv6 address stands for."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _fold(network: Network) -> Network:
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network


class NetworkSet:
    """An immutable set of networks, asked by address. Iterates in the order they were written."""

    __slots__ = ("_levels", "_text", "networks")

    def __init__(self, networks: Iterable[Network] = ()) -> None:
        self.networks = tuple(_fold(network) for network in networks)
        self._levels = {version: _levels(self.networks, version) for version in (4, 6)}
        self._text: str | None = None

    @classmethod
    def parse(cls, texts: Iterable[str]) -> NetworkSet:
        """Read networks as `parse_network` does; raises NetworkError at the first that is none."""
        return cls(parse_network(text) for text in texts)

    def find(self, address: IPAddress) -> Network | None:
        """The narrowest network that holds the address, or None."""
        if isinstance(address, IPv6Address):
            address = address.ipv4_mapped or address
        number = int(address)
        for mask, networks in self._levels[address.version]:
            if (network := networks.get(number & mask)) is not None:
                return network
        return None

    def __contains__(self, address: IPAddress) -> bool:
        return self.find(address) is not None

    def __iter__(self) -> Iterator[Network]:
        return iter(self.networks)

    def __len__(self) -> int:
        return len(self.networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NetworkSet) and set(self.networks) == set(other.networks)

    def __hash__(self) -> int:
        return hash(frozenset(self.networks))

    def __str__(self) -> str:
        """The first few networks, for people."""
        if self._text is None:
            more = len(self.networks) - SHOWN_NETWORKS
            texts = [*map(str, self.networks[:SHOWN_NETWORKS]), *([f"{more} more"] if more > 0 else [])]
            self._text = ", ".join(texts) or "no network"
        return self._text

    def __repr__(self) -> str:
        return f"NetworkSet({self})"


def _levels(networks: Iterable[Network], version: int) -> tuple[_Level, ...]:
    """(mask, network address → network) of each prefix length in use, the longest first."""
    levels: dict[int, dict[int, Network]] = {}
    for network in networks:
        if network.version == version:
            levels.setdefault(int(network.netmask), {})[int(network.network_address)] = network
    return tuple(sorted(levels.items(), key=lambda level: -level[0]))


def _with_embedded(networks: Iterable[Network]) -> Iterator[Network]:
    """The networks, and those IPv6 networks through which a translator or a tunnel would reach them."""
    for network in networks:
        yield network
        if isinstance(network, IPv4Network):
            for prefix in _EMBEDDING:
                shift = 128 - 32 - prefix.prefixlen
                start = int(prefix.network_address) | int(network.network_address) << shift
                yield IPv6Network((start, prefix.prefixlen + network.prefixlen))


_EMBEDDING = (
    IPv6Network("64:ff9b::/96"),  # NAT64: RFC 6052 section 2.1
    IPv6Network("2002::/16"),  # 6to4: RFC 3056 section 2
    IPv6Network("::/96"),  # "IPv4-compatible": RFC 4291 section 2.5.5.1
)
PROHIBITED_HOSTS = NetworkSet(
    _with_embedded(
        map(parse_network, ("127.0.0.0/8", "::1", "169.254.0.0/16", "fe80::/10", "0.0.0.0/8", "::"))
    )
)
"""Where mail never goes unless the operator's own files say so: loopback, link-local, unspecified."""
