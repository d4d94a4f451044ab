"""What does the queue ask of whatever keeps its messages? A Store does it, and so may another behind it."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from angarium.spool.files import Part
from angarium.spool.store import Loaded, Recovered


class Keeper(Protocol):
    """See `spool.store.Store` for what each verb promises. A place means something to its keeper alone."""

    reports: list[str]
    """What the start found to be damaged."""

    def recover(self) -> Iterator[Recovered]:
        """Every message that waits."""

    def put(self, content: Sequence[Part], messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """Keep messages (ident, payload) with one content; a place for each."""

    def note(self, place: int, ident: str, payload: bytes) -> None:
        """Remember something about a message."""

    def finish(self, place: int, ident: str) -> None:
        """The message is over."""

    def commit(self) -> Future[None]:
        """Resolves when all that was put is on stable storage."""

    def load(self, place: int) -> Loaded:
        """A waiting message."""

    def read_note(self, place: int) -> bytes | None:
        """Its latest note."""

    def set_moved(self, callback: Callable[[str, int], None]) -> None:
        """Who is told (ident, new place) when a message was moved."""

    @property
    def is_healthy(self) -> bool:
        """Whether a put would probably succeed."""

    @property
    def can_finish(self) -> bool:
        """Whether what ends now is sure of its place on the disk."""

    @property
    def problem(self) -> str | None:
        """What is wrong, for the operator."""

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be written, and nothing is being written."""

    @property
    def unwritten(self) -> int:
        """Messages whose end `close` could not write."""

    def close(self) -> None:
        """Write what is left and release everything."""
