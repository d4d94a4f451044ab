"""Of which values does the queue table consist, on its way to the process that serves?

Says what the chunks of `policy.transfer` hold. Values that JSON does not know travel as text, and become what
they were when they arrive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from angarium.policy.config import Protocol
from angarium.policy.networks import parse_network
from angarium.policy.queues import HeaderOptions, Level, QueueTable, Row, Shape, Tenant, Tenants
from angarium.policy.throttle import Rate
from angarium.policy.transfer import Head, Receiver, batches, pack


class _Head(Head, tag=0, array_like=True, frozen=True):
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


_Chunk = _Head | _Shapes | _Domains | _TenantsOf


def queues_to_chunks(table: QueueTable) -> Iterator[bytes]:
    """Take a table apart into octet strings."""
    return pack(_chunks(table))


def _chunks(table: QueueTable) -> Iterator[_Chunk]:
    yield _Head(table.files, table.default, table.tenants, table.headers, table.require_authz)
    for shapes in batches(table.shapes):
        yield _Shapes(shapes)
    for pairs in batches(table.domains.items()):
        yield _Domains([name for name, _ in pairs], [row for _, row in pairs])
    for below in batches(table.tenants_of.items()):
        yield _TenantsOf(dict(below))


class QueueReceiver(Receiver[QueueTable]):
    """Puts the queue table together again."""

    def __init__(self) -> None:
        super().__init__(QueueTable(), _Chunk)

    def _add(self, chunk: _Chunk) -> None:
        table = self._table
        if isinstance(chunk, _Domains):
            table.domains.update(zip(chunk.names, chunk.rows, strict=True))
        elif isinstance(chunk, _Shapes):
            table.shapes.extend(map(_shape, chunk.shapes))
        elif isinstance(chunk, _TenantsOf):
            table.tenants_of.update((domain, _tenants(below)) for domain, below in chunk.domains.items())
        else:
            table.files = chunk.files
            table.default = _level(chunk.default)
            table.tenants = _tenants(chunk.tenants)
            table.headers, table.require_authz = chunk.headers, chunk.require_authz


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
