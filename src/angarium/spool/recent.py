"""Which contents are still in memory? The most recent ones, within a budget, so that a delivery seldom reads
the disk.

Promises: a content that is not on stable storage yet is never dropped before its message is over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from angarium.spool.files import Part


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A message in memory, as it was put."""

    payload: bytes
    content: Sequence[Part]
    length: int


class Recent:
    """Messages by place, oldest first."""

    def __init__(self, budget: int, must_stay: Callable[[int], bool]) -> None:
        self._budget = budget
        self._must_stay = must_stay
        self._kept: OrderedDict[int, Kept] = OrderedDict()
        self._octets = 0

    def add(self, place: int, payload: bytes, content: Sequence[Part], length: int) -> None:
        """Keep a message; older ones make room for it."""
        self._kept[place] = Kept(payload, content, length)
        self._octets += length
        while self._octets > self._budget and not self._must_stay(next(iter(self._kept))):
            self._octets -= self._kept.popitem(last=False)[1].length

    def get(self, place: int) -> Kept | None:
        """The message, if it is in memory."""
        return self._kept.get(place)

    def drop(self, place: int) -> None:
        """Its message is over."""
        kept = self._kept.pop(place, None)
        if kept is not None:
            self._octets -= kept.length
