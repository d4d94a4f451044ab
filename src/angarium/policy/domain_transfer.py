"""Of which values do the tables of listener_domains consist, on their way to the process that serves?

Says what the chunks of `policy.transfer` hold: rows in lists, shared tables and identities once, by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from angarium.policy.match import PolicyTables, Row, Scope, Shape, Table
from angarium.policy.recipients import Recipients
from angarium.policy.transfer import Head, Receiver, batches, pack

T = TypeVar("T")


class _Scope(msgspec.Struct, array_like=True, frozen=True):
    """A scope, with numbers in place of what several may share."""

    listener: str | None
    """None: the default scope."""
    local: str | None
    table: int | None
    identities: int


class _Head(Head, tag=0, array_like=True, frozen=True):
    files: list[str]
    scopes: list[_Scope]


class _Shapes(msgspec.Struct, tag=1, array_like=True, frozen=True):
    shapes: list[Shape]


class _Rows(msgspec.Struct, tag=2, array_like=True, frozen=True):
    table: int
    part: int
    """0: exact names, 1: wildcards, 2: the default."""
    names: list[str]
    rows: list[Row]


class _Identities(msgspec.Struct, tag=3, array_like=True, frozen=True):
    number: int
    identities: list[str]
    names: list[str]


class _Recipients(msgspec.Struct, tag=4, array_like=True, frozen=True):
    file: str
    digest: bytes
    names: list[str]


_Chunk = _Head | _Shapes | _Rows | _Identities | _Recipients


def domains_to_chunks(tables: PolicyTables) -> Iterator[bytes]:
    """Take tables apart into octet strings."""
    return pack(_chunks(tables))


def _chunks(tables: PolicyTables) -> Iterator[_Chunk]:
    scopes: list[tuple[str | None, str | None, Scope]] = [(None, None, tables.default_scope)]
    scopes += [(listener, None, scope) for listener, scope in tables.scopes.items()]
    for listener, by_address in tables.local_scopes.items():
        scopes += [(listener, local, scope) for local, scope in by_address.items()]
    sections = _unique([tables.top, *(scope.section for *_, scope in scopes if scope.section is not None)])
    identities = _unique(scope.identities for *_, scope in scopes)
    yield _Head(
        tables.files,
        [
            _Scope(
                listener,
                local,
                None if scope.section is None else sections[id(scope.section)][0],
                identities[id(scope.identities)][0],
            )
            for listener, local, scope in scopes
        ],
    )
    for some in batches(tables.shapes):
        yield _Shapes(some)
    for number, table in sections.values():
        yield from _rows(number, table)
    for number, mapping in identities.values():
        for pairs in batches(mapping.items()):
            yield _Identities(number, [identity for identity, _ in pairs], [name for _, name in pairs])
    for file, recipients in tables.recipients.items():
        yield _Recipients(file, recipients.digest, [])
        for names in batches(recipients):
            yield _Recipients(file, recipients.digest, names)


def _unique(values: Iterable[T]) -> dict[int, tuple[int, T]]:
    """Identity → (number, value): shared tables travel once."""
    unique: dict[int, tuple[int, T]] = {}
    for value in values:
        unique.setdefault(id(value), (len(unique), value))
    return unique


def _rows(number: int, table: Table) -> Iterator[_Rows]:
    for part, rows in ((0, table.exact), (1, table.wildcards)):
        for pairs in batches(rows.items()):
            yield _Rows(number, part, [name for name, _ in pairs], [row for _, row in pairs])
    if table.default is not None:
        yield _Rows(number, 2, ["*"], [table.default])


class DomainReceiver(Receiver[PolicyTables]):
    """Puts the tables of listener_domains together again."""

    def __init__(self) -> None:
        super().__init__(PolicyTables(), _Chunk)
        self._sections: list[Table] = [self._table.top]
        self._identities: list[dict[str, str]] = []
        self._recipients: dict[str, set[str]] = {}

    def _add(self, chunk: _Chunk) -> None:
        if isinstance(chunk, _Rows):
            self._take_rows(chunk)
        elif isinstance(chunk, _Shapes):
            self._table.shapes.extend(chunk.shapes)
        elif isinstance(chunk, _Identities):
            self._identities[chunk.number].update(zip(chunk.identities, chunk.names, strict=True))
        elif isinstance(chunk, _Recipients):
            self._take_recipients(chunk)
        else:
            self._take_head(chunk)

    def _take_rows(self, chunk: _Rows) -> None:
        table = self._sections[chunk.table]
        if chunk.part == 0:
            table.exact.update(zip(chunk.names, chunk.rows, strict=True))
        else:
            for name, row in zip(chunk.names, chunk.rows, strict=True):
                table.put(name if chunk.part == 2 else "*." + name, row)

    def _take_recipients(self, chunk: _Recipients) -> None:
        names = self._recipients.setdefault(chunk.file, set())
        names.update(chunk.names)
        self._table.recipients[chunk.file] = Recipients(names, chunk.digest)

    def _take_head(self, head: _Head) -> None:
        self._table.files = head.files
        count = max((scope.table for scope in head.scopes if scope.table is not None), default=0)
        self._sections += [Table() for _ in range(count)]
        self._identities = [{} for _ in range(max(scope.identities for scope in head.scopes) + 1)]
        for scope in head.scopes:
            self._take_scope(scope)

    def _take_scope(self, scope: _Scope) -> None:
        section = None if scope.table is None else self._sections[scope.table]
        made = Scope(section, self._identities[scope.identities])
        if scope.listener is None:
            self._table.default_scope = made
        elif scope.local is None:
            self._table.scopes[scope.listener] = made
        else:
            self._table.local_scopes.setdefault(scope.listener, {})[scope.local] = made
