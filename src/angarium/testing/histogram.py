"""Times in constant memory: a histogram whose buckets grow by two per cent, from a microsecond up.

Answers "how long do most take, and how long the slowest?". A percentile is right to within two per cent; the
largest value is exact.
"""

from __future__ import annotations

import math
from collections import Counter

_STEPS = 50  # buckets for each factor of e


class Histogram:
    """Durations in seconds."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.total = 0.0
        self.largest = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration; less than a microsecond is a microsecond."""
        self._buckets[int(math.log(max(seconds * 1e6, 1.0)) * _STEPS)] += 1
        self.count += 1
        self.total += seconds
        self.largest = max(self.largest, seconds)

    def percentile(self, percent: float) -> float:
        """The duration that so many per cent do not exceed, in seconds; 0 when nothing was counted."""
        wanted = self.count * percent / 100
        seen = 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(math.exp((bucket + 1) / _STEPS) / 1e6, self.largest)
        return 0.0

    def doublings(self) -> list[tuple[float, int]]:
        """Coarse rows for the eye: (upper edge in seconds, count), each edge twice the one before."""
        rows: Counter[int] = Counter()
        for bucket, count in self._buckets.items():
            rows[math.ceil((bucket + 1) / _STEPS / math.log(2))] += count
        if not rows:
            return []
        return [(2**power / 1e6, rows[power]) for power in range(min(rows), max(rows) + 1)]
