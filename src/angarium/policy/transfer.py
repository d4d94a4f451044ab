"""How do loaded tables travel from the process that read the files to the one that serves?

Reading 100,000 entries takes a second or two, which a server with sessions open cannot spend. A child process
reads; `to_chunks` makes octet strings of its tables, and the server gives them to a Receiver one at a time,
each in a few milliseconds, so that between two of them its event loop turns. Chunks hold values, never code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import msgspec

from angarium.policy.match import PolicyTables, Row, Scope, Shape, Table
from angarium.policy.recipients import Recipients

CHUNK = 2048
"""Entries in one chunk."""

T = TypeVar("T")


class TransferError(Exception):
    """The chunks are not whole: the child ended before its time."""


class _Scope(msgspec.Struct, array_like=True, frozen=True):
    """A scope, with numbers in place of what several may share."""

    listener: str | None
    """None: the default scope."""
    local: str | None
    table: int | None
    identities: int


class _Head(msgspec.Struct, tag=0, array_like=True, frozen=True):
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


class _End(msgspec.Struct, tag=4, array_like=True, frozen=True):
    chunks: int


class _Recipients(msgspec.Struct, tag=5, array_like=True, frozen=True):
    file: str
    digest: bytes
    names: list[str]


_Chunk = _Head | _Shapes | _Rows | _Identities | _End | _Recipients
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Chunk)


def to_chunks(tables: PolicyTables) -> Iterator[bytes]:
    """Take tables apart into octet strings, each of which a Receiver takes in a millisecond or two."""
    count = 0
    for chunk in _chunks(tables):
        yield _encoder.encode(chunk)
        count += 1
    yield _encoder.encode(_End(count))


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


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists of at most CHUNK."""
    iterator = iter(values)
    while batch := list(islice(iterator, CHUNK)):
        yield batch


class Receiver:
    """Puts tables together again. `take` each chunk in its order; `finish` when the last one came."""

    def __init__(self) -> None:
        self._tables = PolicyTables()
        self._sections: list[Table] = [self._tables.top]
        self._identities: list[dict[str, str]] = []
        self._recipients: dict[str, set[str]] = {}
        self._taken = 0
        self._complete = False

    def take(self, chunk: bytes) -> None:
        """Add one chunk; raises TransferError for octets that are none."""
        try:
            value = _decoder.decode(chunk)
        except msgspec.MsgspecError as error:
            raise TransferError(f"not a chunk of tables: {error}") from None
        if isinstance(value, _End):
            self._complete = value.chunks == self._taken
            return
        if isinstance(value, _Head) != (self._taken == 0):
            raise TransferError("the head of the tables comes first")
        self._taken += 1
        if isinstance(value, _Rows):
            self._take_rows(value)
        elif isinstance(value, _Shapes):
            self._tables.shapes.extend(value.shapes)
        elif isinstance(value, _Identities):
            self._identities[value.number].update(zip(value.identities, value.names, strict=True))
        elif isinstance(value, _Recipients):
            self._take_recipients(value)
        else:
            self._take_head(value)

    def finish(self) -> PolicyTables:
        """The tables; raises TransferError if a chunk is missing."""
        if not self._complete:
            raise TransferError("the tables did not arrive whole")
        return self._tables

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
        self._tables.recipients[chunk.file] = Recipients(names, chunk.digest)

    def _take_head(self, head: _Head) -> None:
        self._tables.files = head.files
        count = max((scope.table for scope in head.scopes if scope.table is not None), default=0)
        self._sections += [Table() for _ in range(count)]
        self._identities = [{} for _ in range(max(scope.identities for scope in head.scopes) + 1)]
        for scope in head.scopes:
            self._take_scope(scope)

    def _take_scope(self, scope: _Scope) -> None:
        section = None if scope.table is None else self._sections[scope.table]
        made = Scope(section, self._identities[scope.identities])
        if scope.listener is None:
            self._tables.default_scope = made
        elif scope.local is None:
            self._tables.scopes[scope.listener] = made
        else:
            self._tables.local_scopes.setdefault(scope.listener, {})[scope.local] = made
