"""How do loaded tables travel from the process that read the files to the one that serves?

Reading 100,000 entries takes a second or two, which a server with sessions open cannot spend. A child
process reads, and `pack` makes octet strings of its tables; the server gives them to a Receiver one at a
time, each in a few milliseconds, so that between two of them its event loop turns. Chunks hold values, never
code. What they hold is said in `policy.domain_transfer` and `policy.queue_transfer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

CHUNK = 2048
"""Entries in one chunk."""

T = TypeVar("T")


class TransferError(Exception):
    """The chunks are not whole: the child ended before its time."""


class Head(msgspec.Struct, tag=0, array_like=True, frozen=True):
    """The chunk that comes first; its own kinds count their tags from 1."""


class End(msgspec.Struct, tag=-1, array_like=True, frozen=True):
    """The chunk that comes last."""

    chunks: int


def _plain(value: object) -> str:
    """Networks, the only values that msgpack does not know, travel as text."""
    if isinstance(value, IPv4Network | IPv6Network):
        return str(value)
    raise NotImplementedError(f"no form for {value!r}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)


def pack(chunks: Iterable[msgspec.Struct]) -> Iterator[bytes]:
    """Octet strings of chunks, each of which a Receiver takes in a millisecond or two."""
    count = 0
    for chunk in chunks:
        yield _encoder.encode(chunk)
        count += 1
    yield _encoder.encode(End(count))


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """The values in lists of at most CHUNK."""
    iterator = iter(values)
    while batch := list(islice(iterator, CHUNK)):
        yield batch


class Receiver(Generic[T]):
    """Puts a table together again. `take` each chunk in its order; `finish` when the last one came."""

    def __init__(self, table: T, kinds: Any) -> None:
        """`kinds` is the union of the chunks that the table is made of."""
        self._table = table
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(kinds | End)
        self._taken = 0
        self._complete = False

    def take(self, chunk: bytes) -> None:
        """Add one chunk; raises TransferError for octets that are none."""
        try:
            value = self._decoder.decode(chunk)
        except msgspec.MsgspecError as error:
            raise TransferError(f"not a chunk of a table: {error}") from None
        if isinstance(value, End):
            self._complete = value.chunks == self._taken
            return
        if isinstance(value, Head) != (self._taken == 0):
            raise TransferError("the head of a table comes first")
        self._taken += 1
        self._add(value)

    def finish(self) -> T:
        """The table; raises TransferError if a chunk is missing."""
        if not self._complete:
            raise TransferError("the table did not arrive whole")
        return self._table

    def _add(self, chunk: Any) -> None:
        """Add what a chunk holds to the table."""
        raise NotImplementedError
