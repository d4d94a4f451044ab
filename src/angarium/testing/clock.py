"""A clock that jumps: an asyncio event loop for tests that never sleep.

Answers "what happens in an hour?" in a millisecond. While anything can run, time stands still; when
nothing can, it jumps to the next timer. So `await asyncio.sleep(3600)` returns at once, and `clock.now()`
is an hour later.

Promises: timers fire in order and at exactly their time. Threads started through the loop are waited for,
in real time, before any jump, and so is other work outside the loop once it has been announced (`outside`,
`busy_while`). Sockets are looked at before each jump; `patience` gives them real time, for peers in other
processes.

Refuses to wait for ever: where no timer is left, or announced work goes on, and nothing wakes the loop within
`limit` seconds of real time, `StuckError` is raised.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

START = 1_767_225_600.0
"""Where `now()` starts unless told otherwise: 2026-01-01T00:00:00Z."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]


class StuckError(Exception):
    """Nothing wakes the loop: the test waits for what does not come."""


class VirtualClock:
    """Time as a value that the loop moves. One clock serves one test; `run` is all that most tests need."""

    def __init__(self, *, start: float = START, patience: float = 0.0, limit: float = 5.0) -> None:
        """`start`: epoch seconds; `patience`, `limit`: real seconds (see above)."""
        self.elapsed = 0.0
        """Virtual seconds since the start; the loop's `time()`."""
        self.patience = patience
        self.limit = limit
        self._start = start
        self._outside = 0
        self._predicates: list[Callable[[], bool]] = []
        self._idle: list[asyncio.Future[None]] = []

    def now(self) -> float:
        """The wall clock, in epoch seconds; what the rooms take as `clock`."""
        return self._start + self.elapsed

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run one coroutine in a loop of this clock, as `asyncio.run` does."""
        with asyncio.Runner(loop_factory=self.new_event_loop) as runner:
            return runner.run(main)

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Make an event loop that lives in this clock's time."""
        return _VirtualLoop(self)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Time stands still inside: something outside the loop is at work and will wake it."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def busy_while(self, predicate: Callable[[], bool]) -> None:
        """Ask `predicate` before each jump; while it says true, wait for a wake-up from outside instead."""
        self._predicates.append(predicate)

    async def idle(self) -> None:
        """Return when nothing can run any more unless time passes."""
        future = asyncio.get_running_loop().create_future()
        self._idle.append(future)
        await future

    def end_idle(self) -> bool:
        """Wake whoever waits in `idle`; tells whether there was anybody."""
        waiting, self._idle = self._idle, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return bool(waiting)

    @property
    def is_busy(self) -> bool:
        """True while announced work outside the loop goes on."""
        return self._outside > 0 or any(predicate() for predicate in self._predicates)


class _VirtualLoop(asyncio.SelectorEventLoop):
    """The standard loop with two things replaced: what time it is, and what waiting means."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        super().__init__(_JumpingSelector(clock))

    def time(self) -> float:
        return self._clock.elapsed

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """As the standard one; until the thread is done, time stands still."""
        future = super().run_in_executor(executor, func, *args)
        announcement = self._clock.outside()
        announcement.__enter__()
        future.add_done_callback(lambda _: announcement.__exit__(None, None, None))
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """As the standard one, which joins its threads in a thread of its own; it has real time for that."""
        with self._clock.outside():
            await super().shutdown_default_executor()


class _JumpingSelector(selectors.BaseSelector):
    """A selector that, instead of waiting for `timeout`, moves the clock by it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> _Ready:
        """Return what is ready now or what outside work makes ready; else let `timeout` pass in no time."""
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        clock = self._clock
        if clock.is_busy:
            ready = self._until_woken(lambda: not clock.is_busy)
        elif clock.patience:
            ready = self._real.select(clock.patience)
        if ready or clock.end_idle():
            return ready
        if timeout is None:
            return self._until_woken(lambda: False)
        clock.elapsed += timeout
        return ready

    def _until_woken(self, is_over: Callable[[], bool]) -> _Ready:
        """Wait in real time; at short intervals, since a predicate may turn without a wake-up."""
        deadline = time.monotonic() + self._clock.limit
        while time.monotonic() < deadline:
            ready = self._real.select(0.01)
            if ready or is_over():
                return ready
        raise StuckError(f"nothing woke the event loop within {self._clock.limit} s of real time")
