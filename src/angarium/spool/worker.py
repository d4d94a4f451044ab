"""Who waits for the disk? A thread that runs jobs in order, so that the event loop does not.

Promises: the loop is woken once for each job; a job's OSError or SpoolError comes back as a value; `stop`
returns when every job has run and its outcome has been handed over. Refuses to think: jobs are made in the
loop, and should do nothing but system calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol

from angarium.spool.errors import SpoolError

Job = Callable[[], Any]
Done = Callable[[Any], None]
"""Takes what the job returned, or its error."""


class Worker(Protocol):
    """Runs jobs in order. Tests have one without a thread."""

    def submit(self, job: Job, done: Done) -> None:
        """Run a job; its outcome reaches `done` in the event loop that is running now."""

    def stop(self) -> None:
        """Run what was submitted, hand over all outcomes, and end."""


class ThreadWorker:
    """A Worker with one daemon thread, started by the first job."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[tuple[Job, Done, asyncio.AbstractEventLoop] | None] = SimpleQueue()
        self._outcomes: deque[tuple[Done, Any]] = deque()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job, done: Done) -> None:
        """See Worker."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put((job, done, asyncio.get_running_loop()))

    def stop(self) -> None:
        """See Worker. Blocks until the thread has ended."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None
        self._reap()

    def _work(self) -> None:
        while (task := self._jobs.get()) is not None:
            job, done, loop = task
            self._outcomes.append((done, _outcome(job)))
            del job
            _wake(loop, self._reap)

    def _reap(self) -> None:
        while self._outcomes:
            done, outcome = self._outcomes.popleft()
            done(outcome)


def _outcome(job: Job) -> Any:
    try:
        return job()
    except (OSError, SpoolError) as error:
        return error


def _wake(loop: asyncio.AbstractEventLoop, reap: Callable[[], None]) -> None:
    """A loop that is closed by now gets its outcomes from `stop`."""
    try:
        loop.call_soon_threadsafe(reap)
    except RuntimeError:
        if not loop.is_closed():
            raise
