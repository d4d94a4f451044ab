"""The broker of leases at work: hears workers, answers them, and looks again when something comes free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from angarium.node.leases import SOON, Answer, Ask, Broker


class Lender:
    """A Broker with a clock. `tell` says answers to a worker."""

    def __init__(self, tell: Callable[[int, list[Answer]], None]) -> None:
        self.broker = Broker()
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, worker: int, asks: Sequence[Ask]) -> None:
        """A worker asks."""
        self.broker.hear(worker, asks, self._loop.time())
        self._answer()

    def leave(self, worker: int) -> None:
        """A worker is no more."""
        self.broker.leave(worker, self._loop.time())
        self._answer()

    def _tick(self) -> None:
        self._timer = None
        self.broker.tick(self._loop.time())
        self._answer()

    def _answer(self) -> None:
        for worker, answers in self.broker.drain().items():
            self._tell(worker, answers)
        now = self._loop.time()
        if (at := self.broker.wakes_at(now)) is None:
            return
        at = max(at, now + SOON)
        if self._timer is None or at < self._timer.when():
            self.close()
            self._timer = self._loop.call_at(at, self._tick)

    def close(self) -> None:
        """Look again no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
