"""Which addresses are alike? Parts of the address space, IPv4 and IPv6, that named networks divide.

Networks are nested or apart, so that they form a tree: a Cover. An atom is a network without those inside
it; no named network tells two addresses of one atom apart. A Region is a union of atoms, written as few
networks. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

import msgspec

from angarium.policy.config import Network
from angarium.policy.networks import IPAddress, NetworkSet, parse_network

EVERY_IPV4 = parse_network("0.0.0.0/0")
EVERY_IPV6 = parse_network("::/0")
SHOWN = 6
"""Networks that are written out before the rest is counted."""


class Region(msgspec.Struct, frozen=True):
    """A set of addresses: the narrowest network that holds an address says whether it is in."""

    networks: tuple[Network, ...] = ()
    but: tuple[Network, ...] = ()

    @property
    def is_everyone(self) -> bool:
        """Whether no address is outside."""
        return not self.but and EVERY_IPV4 in self.networks and EVERY_IPV6 in self.networks

    def __contains__(self, address: IPAddress) -> bool:
        inside, outside = NetworkSet(self.networks).find(address), NetworkSet(self.but).find(address)
        if inside is None or outside is None:
            return inside is not None
        return inside.prefixlen > outside.prefixlen

    def __str__(self) -> str:
        """As an operator would say it."""
        if {EVERY_IPV4, EVERY_IPV6} <= set(self.networks):
            rest = [network for network in self.networks if network.prefixlen]
            text = "anyone"
        else:
            rest, text = list(self.networks), ""
        text = ", ".join([*([text] if text else []), *_few(rest)]) or "nobody"
        return f"{text} but {', '.join(_few(self.but))}" if self.but else text


def _few(networks: Collection[Network]) -> list[str]:
    texts = [_plain(network) for network in networks]
    return texts if len(texts) <= SHOWN else [*texts[: SHOWN - 1], f"{len(texts) - SHOWN + 1} more"]


def _plain(network: Network) -> str:
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


class Atom(NamedTuple):
    """A network without those inside it, and an address in it that stands for all."""

    network: Network
    address: IPAddress


class Cover:
    """The parts into which networks divide the addresses; those of one version alone where `only` says so."""

    def __init__(self, networks: Iterable[Network], only: int | None = None) -> None:
        roots = [root for root in (EVERY_IPV4, EVERY_IPV6) if only in (None, root.version)]
        named = {*roots, *(network for network in networks if only in (None, network.version))}
        self._inside: dict[Network | None, list[Network]] = {None: []}
        self._place(sorted(named, key=lambda n: (n.version, int(n.network_address), n.prefixlen)))
        self.atoms = tuple(self._atoms())

    def _place(self, ordered: list[Network]) -> None:
        holders: list[Network] = []
        for network in ordered:
            while holders and not _holds(holders[-1], network):
                holders.pop()
            self._inside[holders[-1] if holders else None].append(network)
            self._inside[network] = []
            holders.append(network)

    def _atoms(self) -> Iterator[Atom]:
        for network, inside in self._inside.items():
            address = None if network is None else _free(network, inside)
            if network is not None and address is not None:
                yield Atom(network, address)

    def region(self, chosen: Collection[Network]) -> Region:
        """The union of the atoms of these networks."""
        networks: list[Network] = []
        but: list[Network] = []
        full = {atom.network for atom in self.atoms}

        def walk(holder: Network | None, *, is_in: bool) -> None:
            for network in self._inside[holder]:
                now = network in chosen if network in full else is_in
                if now is not is_in:
                    (networks if now else but).append(network)
                walk(network, is_in=now)

        walk(None, is_in=False)
        return Region(tuple(networks), tuple(but))


def _holds(holder: Network, network: Network) -> bool:
    return (
        holder.version == network.version
        and holder.prefixlen <= network.prefixlen
        and int(network.network_address) & int(holder.netmask) == int(holder.network_address)
    )


def _free(network: Network, inside: Iterable[Network]) -> IPAddress | None:
    """The first address that none of the networks inside holds; they are apart and in order."""
    candidate = int(network.network_address)
    for taken in inside:
        if int(taken.network_address) > candidate:
            break
        candidate = int(taken.broadcast_address) + 1
    if candidate > int(network.broadcast_address):
        return None
    return IPv4Address(candidate) if network.version == 4 else IPv6Address(candidate)
