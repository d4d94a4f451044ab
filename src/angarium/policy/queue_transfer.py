"""How does the queue table travel from the process that read the files to the one that serves?

As `policy.transfer` does it for the domains: octet strings, each taken in a few milliseconds, so that the
event loop turns between two of them. Chunks hold values, never code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import msgspec

from angarium.policy.config import Protocol
from angarium.policy.networks import parse_network
from angarium.policy.queues import HeaderOptions, Level, QueueTable, Row, Shape, Tenant, Tenants
from angarium.policy.throttle import Rate
from angarium.policy.transfer import TransferError, batches


class _Head(msgspec.Struct, tag=0, array_like=True, frozen=True):
    files: list[str]
    default: Level
    tenants: Tenants
    headers: HeaderOptions
    require_authz: dict[str, tuple[str, ...]]


class _Shapes(msgspec.Struct, tag=1, array_like=True, frozen=True):
    shapes: list[Shape]


class _Domains(msgspec.Struct, tag=2, array_like=True, frozen=True):
    names: list[str]
    rows: list[Row]


class _TenantsOf(msgspec.Struct, tag=3, array_like=True, frozen=True):
    domains: dict[str, Tenants]


class _End(msgspec.Struct, tag=4, array_like=True, frozen=True):
    chunks: int


_Chunk = _Head | _Shapes | _Domains | _TenantsOf | _End


def _plain(value: object) -> str:
    """Networks, the only values that msgpack does not know, travel as text."""
    if isinstance(value, IPv4Network | IPv6Network):
        return str(value)
    raise NotImplementedError(f"no form for {value!r}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_decoder = msgspec.msgpack.Decoder(_Chunk)


def queues_to_chunks(table: QueueTable) -> Iterator[bytes]:
    """Take a table apart into octet strings."""
    count = 0
    for chunk in _chunks(table):
        yield _encoder.encode(chunk)
        count += 1
    yield _encoder.encode(_End(count))


def _chunks(table: QueueTable) -> Iterator[_Chunk]:
    yield _Head(table.files, table.default, table.tenants, table.headers, table.require_authz)
    for shapes in batches(table.shapes):
        yield _Shapes(shapes)
    for pairs in batches(table.domains.items()):
        yield _Domains([name for name, _ in pairs], [row for _, row in pairs])
    for below in batches(table.tenants_of.items()):
        yield _TenantsOf(dict(below))


class QueueReceiver:
    """Puts a queue table together again. `take` each chunk in its order; `finish` when the last one came."""

    def __init__(self) -> None:
        self._table = QueueTable()
        self._taken = 0
        self._complete = False

    def take(self, chunk: bytes) -> None:
        """Add one chunk; raises TransferError for octets that are none."""
        try:
            value = _decoder.decode(chunk)
        except msgspec.MsgspecError as error:
            raise TransferError(f"not a chunk of queues: {error}") from None
        if isinstance(value, _End):
            self._complete = value.chunks == self._taken
            return
        self._taken += 1
        self._add(value)

    def finish(self) -> QueueTable:
        """The table; raises TransferError if a chunk is missing."""
        if not self._complete:
            raise TransferError("the queues did not arrive whole")
        return self._table

    def _add(self, value: _Head | _Shapes | _Domains | _TenantsOf) -> None:
        table = self._table
        if isinstance(value, _Domains):
            table.domains.update(zip(value.names, value.rows, strict=True))
        elif isinstance(value, _Shapes):
            table.shapes.extend(map(_shape, value.shapes))
        elif isinstance(value, _TenantsOf):
            table.tenants_of.update((domain, _tenants(below)) for domain, below in value.domains.items())
        else:
            table.files = value.files
            table.default = _level(value.default)
            table.tenants = _tenants(value.tenants)
            table.headers, table.require_authz = value.headers, value.require_authz


def _shape(shape: Shape) -> Shape:
    file, options = shape
    return file, tuple((name, _value(name, value), delta) for name, value, delta in options)


def _level(level: Level) -> Level:
    return {name: (_value(name, value), source) for name, (value, source) in level.items()}


def _tenants(tenants: Mapping[str, Tenant]) -> Tenants:
    return {name: Tenant(_level(each.options), _tenants(each.below)) for name, each in tenants.items()}


def _value(name: str, value: Any) -> Any:
    """The value of an option as it was before it travelled."""
    if name == "prohibited_hosts":
        return tuple(map(parse_network, value))
    kind = {"protocol": Protocol, "max_message_rate": Rate}.get(name)
    return value if kind is None else msgspec.convert(value, kind)
