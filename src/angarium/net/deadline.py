"""A time limit on work that is done again and again: `asyncio.timeout`, at the price of one timer for many.

Promises what `asyncio.timeout` promises, one piece of work at a time: what takes too long is cancelled and
ends as a TimeoutError, while a cancellation by others stays one. The timer is set once and looks, when it
rings, whether work is still going on: nothing for work that takes milliseconds and may take minutes.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Deadline:
    """`with deadline(seconds): await work()`. Raises TimeoutError; work under one deadline does not nest."""

    __slots__ = ("_before", "_is_over", "_limit", "_loop", "_rings", "_task", "_timer", "_until")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = self._until = 0.0
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0
        """When the timer rings; not every loop's handles know that of themselves."""
        self._is_over = False
        self._before = 0
        """How often others had cancelled the task when the work began."""

    def __call__(self, seconds: float) -> Deadline:
        """How long the work that follows may take."""
        self._limit = seconds
        return self

    def __enter__(self) -> None:
        self._until = self._loop.time() + self._limit
        self._task = asyncio.current_task()
        self._before = 0 if self._task is None else self._task.cancelling()
        self._is_over = False
        if self._timer is not None and self._rings > self._until:
            self.close()
        if self._timer is None:
            self._set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._is_over and task is not None:
            is_ours = task.uncancel() <= self._before
            if is_ours and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _set(self) -> None:
        self._rings = self._until
        self._timer = self._loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._loop.time() < self._until:
            self._set()
        else:
            self._is_over = True
            self._task.cancel()

    def close(self) -> None:
        """There is no more work."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
