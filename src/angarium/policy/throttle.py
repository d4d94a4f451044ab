"""How often may something happen? Rates as operators write them, and the meter that keeps to one (GCRA).

Pure: the time comes in as an argument, in seconds of any clock that does not jump. Promises: however the
calls fall, no more than the rate's burst at once, and no more than its count in a period on top of that; one
number is all that a meter remembers. Raises ValueError for a text that is no rate.
"""

from __future__ import annotations

import math
import re
from typing import Protocol

import msgspec

_RATE = re.compile(
    r"\s*(?P<count>[0-9][0-9,_]*)\s*/\s*(?P<number>[0-9]+)?\s*(?P<unit>[a-zA-Z]+)"
    r"(?:\s*,\s*max_burst\s*=\s*(?P<burst>[0-9]+))?\s*"
)
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
SMOOTHING = 0.1
"""Seconds for whose share of the rate may happen at once where no burst is written: timers are not exact."""


class Rate(msgspec.Struct, frozen=True):
    """So many in so many seconds, spread evenly but for a burst."""

    count: int
    period: float
    burst: int = 1

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read `100/s`, `1,000/hour`, `50/30s`, `10/min,max_burst=5`; raises ValueError."""
        match = _RATE.fullmatch(text)
        unit = _UNITS.get(match["unit"].lower()) if match else None
        if match is None or unit is None:
            raise ValueError(f"{text!r} is not a rate: write '100/s', '50/min' or '500/day,max_burst=10'")
        count = int(re.sub("[,_]", "", match["count"]))
        period = unit * int(match["number"] or 1)
        if not (count and period):
            raise ValueError(f"{text!r} lets nothing through: write a number above zero")
        burst = int(match["burst"]) if match["burst"] else math.ceil(count / period * SMOOTHING)
        if not burst:
            raise ValueError(f"{text!r} lets nothing through: write a max_burst above zero")
        return cls(count, period, burst)

    def __str__(self) -> str:
        names = {1.0: "s", 60.0: "min", 3600.0: "hour", 86400.0: "day"}
        return f"{self.count}/{names.get(self.period) or f'{self.period:g}s'}"


class Meter(Protocol):
    """Who keeps to one rate: a Throttle, or several workers together. Ask `wait`; when it is 0, and the thing
    happens, `spend`.
    """

    rate: Rate
    """What it keeps to; may be replaced."""

    def wait(self, now: float) -> float:
        """Seconds until the next may be allowed; 0.0 where it is allowed now."""

    def spend(self, now: float) -> None:
        """It has happened."""

    def is_rested(self, now: float) -> bool:
        """Whether it remembers nothing that a new meter would not know."""


class Throttle:
    """A meter of one rate. Ask `wait`; when it is 0, and the thing happens, `spend`."""

    __slots__ = ("_interval", "_rate", "_tolerance", "_usual")

    def __init__(self, rate: Rate) -> None:
        self._usual = 0.0
        """When the next would come if all came evenly (the theoretical arrival time)."""
        self.rate = rate

    @property
    def rate(self) -> Rate:
        """What it keeps to; may be replaced: what was spent counts as if it had been spent by the new one."""
        return self._rate

    @rate.setter
    def rate(self, rate: Rate) -> None:
        self._rate = rate
        self._interval = rate.period / rate.count
        self._tolerance = (rate.burst - 1) * self._interval

    def wait(self, now: float) -> float:
        """Seconds until the next is allowed; 0.0 where it is allowed now."""
        wait = self._usual - self._tolerance - now
        if wait > self._interval:  # a debt of a slower rate, which was replaced
            self._usual -= wait - self._interval
            return self._interval
        return max(wait, 0.0)

    def spend(self, now: float) -> None:
        """It has happened."""
        self._usual = max(self._usual, now) + self._interval

    def is_rested(self, now: float) -> bool:
        """Whether it remembers nothing that a new meter would not know."""
        return self._usual <= now
