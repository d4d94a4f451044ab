"""Who makes the indexes of finished segments? A child process, for which everything else comes first.

The Librarian of a server begins one when the server starts, and when a segment is finished; the child makes
every index that is missing and ends. So neither the event loop nor the interpreter's lock is held meanwhile,
and `why` finds its answer at once. Between two children it rests, however often segments are finished: to
begin one takes a tenth of a second of somebody's processor. An index that is not made yet costs a question
some time, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from angarium.child import begin
from angarium.log.index import complete, remove_orphans, without_index

_UMASK = 0o027
"""Whoever may read segments may read their indexes."""
_LOWEST = 19
REST = 10.0
"""Seconds between two children: what is finished meanwhile is indexed by the next one."""

log = logging.getLogger(__name__)


class Librarian:
    """Has indexes made, one child at a time."""

    def __init__(
        self, folders: Sequence[Path], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._folders = [str(folder) for folder in folders]
        self._sleep = sleep
        self._is_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Make what is missing now, and whenever `ask` says so."""
        self.ask()
        self._task = asyncio.create_task(self._work())

    def ask(self) -> None:
        """A segment has been finished."""
        self._is_asked.set()

    async def close(self) -> None:
        """End; a child at work is ended too."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _work(self) -> None:
        while True:
            await self._is_asked.wait()
            self._is_asked.clear()
            try:
                await self._index()
            except OSError as error:
                log.warning("the log is not indexed, so `angarium why` takes longer: %s", error)
            await self._sleep(REST)

    async def _index(self) -> None:
        command = (sys.executable, "-P", "-m", __name__, *self._folders)
        child = await begin(command, niceness=_LOWEST)
        try:
            status = await child.wait()
        except asyncio.CancelledError:
            child.terminate()
            await child.wait()
            raise
        if status:
            log.warning(
                "the log is not indexed, so `angarium why` takes longer: the indexer ended with %d", status
            )


def index_folders(folders: Sequence[Path]) -> None:
    """Make the indexes of all finished segments whole, and remove those of segments that are gone.

    Raises OSError.
    """
    remove_orphans(folders)
    for segment in without_index(folders):
        with contextlib.suppress(FileNotFoundError):  # it was kept no longer
            complete(segment)


def main() -> None:
    """Index the folders that the command line names."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.umask(_UMASK)
    try:
        index_folders([Path(folder) for folder in sys.argv[1:]])
    except OSError as error:
        sys.exit(f"angarium: the log is not indexed: {error}")


if __name__ == "__main__":
    main()
