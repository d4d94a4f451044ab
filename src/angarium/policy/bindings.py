"""Which listener sections are in force for which connections?

A section `[listener."X"."DOMAIN"]` names a listener by its `name`, its `listen` text, `ip:port` or `ip`. A
listener on a wildcard address accepts on many addresses, so that a section may name one of them; such a
binding holds for connections accepted on that address alone. Pure: takes texts and listeners, gives bindings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from angarium.policy.config import Listener
from angarium.policy.networks import IPAddress, canonical_address, parse_address


class Binding(NamedTuple):
    """The sections in force for one listener, in the order of the files."""

    listener: str
    """Its label."""
    local: str | None
    """The address that the connection must have been accepted on; None: any without a binding of its own."""
    sections: tuple[str, ...]


class Socket(NamedTuple):
    """An address and perhaps a port, as a section or a listener gives them."""

    address: IPAddress
    port: int | None


def bind_sections(texts: Iterable[str], listeners: Sequence[Listener]) -> list[Binding]:
    """For each listener its binding, then one for each of its addresses that a section names."""
    sections = list(texts)
    return [binding for listener in listeners for binding in _bind(sections, listener)]


def _bind(sections: Sequence[str], listener: Listener) -> list[Binding]:
    matches = {text: _match(text, listener) for text in sections}
    everywhere = tuple(text for text, local in matches.items() if local == "")
    addresses = dict.fromkeys(local for local in matches.values() if local)
    bindings = [Binding(listener.label, None, everywhere)]
    for address in addresses:
        named = tuple(text for text, local in matches.items() if local in ("", address))
        bindings.append(Binding(listener.label, address, named))
    return bindings


def _match(text: str, listener: Listener) -> str | None:
    """None: the section does not name the listener; "": it does; else the one address where it does."""
    if text in (listener.name, listener.listen):
        return ""
    named, bound = parse_socket(text), parse_socket(listener.listen)
    if named is None or bound is None or named.port not in (None, bound.port):
        return None
    if named.address == bound.address:
        return ""
    accepts = bound.address.is_unspecified and named.address.version in (4, bound.address.version)
    return str(named.address) if accepts else None


def parse_socket(text: str) -> Socket | None:
    """Read `ip`, `ip:port` or `[ip6]:port`; None for anything else."""
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in host or host.endswith("]")):
        address = parse_address(host.removeprefix("[").removesuffix("]"))
        return Socket(canonical_address(address), int(port)) if address else None
    address = parse_address(text.removeprefix("[").removesuffix("]"))
    return Socket(canonical_address(address), None) if address else None
