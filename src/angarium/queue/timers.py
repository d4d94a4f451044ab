"""When things are due: buckets of a quarter of a second, so that a million waiting items cost a pointer each.

Pure: the caller brings the time. An item may leave early; whoever takes it out of a bucket checks that it is
still due.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

Item = TypeVar("Item")

BUCKETS_PER_SECOND = 4


class Timers(Generic[Item]):
    """Items by the time, in Unix seconds, that they are due at."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[Item]] = {}
        self._order: list[int] = []

    def add(self, due: float, item: Item) -> None:
        """Hold an item until it is due: never early, at most a bucket late."""
        number = int(due * BUCKETS_PER_SECOND) + 1
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = [item]
            heappush(self._order, number)
        else:
            bucket.append(item)

    def pop_due(self, now: float, limit: int) -> list[Item]:
        """Take out what is due, earliest first, at most `limit` items."""
        due: list[Item] = []
        while self._order and self._order[0] <= now * BUCKETS_PER_SECOND and len(due) < limit:
            bucket = self._buckets[self._order[0]]
            room = limit - len(due)
            due += bucket[:room]
            del bucket[:room]
            if not bucket:
                del self._buckets[heappop(self._order)]
        return due

    def has_popped(self, due: float) -> bool:
        """Whether nothing is held any longer that would be due then."""
        return int(due * BUCKETS_PER_SECOND) + 1 not in self._buckets

    @property
    def next_due(self) -> float | None:
        """When the next bucket is due, or None where nothing waits."""
        return self._order[0] / BUCKETS_PER_SECOND if self._order else None

    def __len__(self) -> int:
        return sum(len(bucket) for bucket in self._buckets.values())
