"""Have the files changed, and are they done changing?

The kernel tells that something happened in their folders; whether it concerns them is seen by what they are
now (so that files replaced by renaming, and links that are turned to other files, count too). `changed` is
called when the whole set has been left alone for a while.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import awatch

log = logging.getLogger(__name__)

QUIET = 0.5
"""Seconds for which the whole set must be left alone."""
_STEP = 100  # milliseconds: how long events are gathered
_LOOK = 5000  # milliseconds: file systems that tell nothing are looked at so often

_Signature = tuple[tuple[int, ...] | None, ...]


class FileWatch:
    """Watches files until closed. Never raises: where the kernel will not watch, that is logged."""

    def __init__(self, changed: Callable[[], None], quiet: float = QUIET) -> None:
        self._changed = changed
        self._quiet = quiet
        self._files: tuple[Path, ...] = ()
        self._seen: _Signature | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, files: Iterable[Path]) -> None:
        """Watch these files from now on, instead of others; `changed` is called once in any case."""
        self._stop.set()
        self._stop = threading.Event()
        self._files = tuple(files)
        self._seen = None
        task = asyncio.create_task(self._run(self._stop))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # By its turn the task has begun to watch, so that nothing falls between this look and the events.
        asyncio.get_running_loop().call_soon(self._look)

    async def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._tasks)

    async def _run(self, stop: threading.Event) -> None:
        folders = {folder for path in self._files for folder in (path.parent, path.resolve().parent)}
        try:
            async for _ in awatch(
                *(folder for folder in folders if folder.is_dir()),
                watch_filter=None,
                debounce=_STEP,
                step=_STEP,
                stop_event=stop,
                rust_timeout=_LOOK,
                yield_on_timeout=True,
                recursive=False,
            ):
                if not stop.is_set():
                    self._look()
        except OSError as error:
            log.error("cannot watch the configuration's files (%s): tell of changes with SIGHUP", error)

    def _look(self) -> None:
        signature = tuple(map(_signature, self._files))
        if signature != self._seen:
            self._seen = signature
            self._wait()

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._stop.is_set():
            self._timer = asyncio.get_running_loop().call_later(self._quiet, self._end_wait)

    def _end_wait(self) -> None:
        signature = tuple(map(_signature, self._files))
        if signature == self._seen:
            self._changed()
        else:
            self._seen = signature
            self._wait()


def _signature(path: Path) -> tuple[int, ...] | None:
    """What changes whenever the file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        status.st_mode,
    )
