"""When is a measurement worth something? While nobody else uses the machine or steals its time.

`undisturbed` waits for quiet, measures, and repeats what was disturbed by stolen time. What a whole run may
wait is bounded: a machine that is never quiet is measured all the same, and what was stolen is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from bench.machine import MachineTime

MAX_STOLEN = 0.04
"""The share of a round that may be stolen before it is repeated."""
QUIET = 0.15
"""The share of the machine that others may use when a round begins."""
REPEATS = 3

T = TypeVar("T")


@dataclass
class Patience:
    """Seconds that may yet be spent on waiting for a quiet machine, in all and before one round."""

    left: float = 60.0
    each: float = 20.0

    def wait(self) -> None:
        """Wait until others leave the machine alone."""
        began = time.monotonic()
        until = began + min(self.left, self.each)
        while time.monotonic() < until:
            before = MachineTime.now()
            time.sleep(0.25)
            passed = MachineTime.now().since(before)
            if passed.busy <= QUIET * passed.total:
                break
        self.left -= time.monotonic() - began


@dataclass
class Steady:
    """Measures again what was disturbed, and remembers how much was stolen from what counts."""

    patience: Patience
    say: Callable[[str], None]
    stolen: list[float] = field(default_factory=list)

    def undisturbed(self, measure: Callable[[], T]) -> T:
        """The result of the first round from which little was stolen, or of the last one."""
        for _ in range(REPEATS):
            self.patience.wait()
            before = MachineTime.now()
            result = measure()
            passed = MachineTime.now().since(before)
            stolen = passed.stolen / passed.total if passed.total else 0.0
            if stolen <= MAX_STOLEN:
                break
            self.say(f"  {stolen:.0%} of the time was stolen: again")
        self.stolen.append(stolen)
        return result

    def told(self) -> str:
        """How much was stolen, for the foot of a table."""
        if not self.stolen:
            return "nothing was measured"
        most, middle = max(self.stolen), median(self.stolen)
        return f"Stolen time: {middle:.1%} at the median, {most:.1%} at most in a round that counts."
