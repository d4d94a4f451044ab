"""How is another program begun beside a server, without anybody waiting for it?

The event loop's own way (of uvloop) forks: a page table of 300 MB takes 22 ms to copy, and then each page
that is written to costs a fault, 80 ms in all. Here the child shares the memory until it has become the other
program (vfork), which takes half a millisecond whatever the server holds. Its priority is lowered before it
has begun to load anything, so that it uses what the server leaves.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress


class Child:
    """Another program that runs; made by `begin`, and to be closed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.stdout = asyncio.StreamReader()
        """What it writes, where a pipe was asked for."""
        self._process = process
        self._pipe: asyncio.BaseTransport | None = None
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._await_end, name="child", daemon=True).start()

    def _await_end(self) -> None:
        """In a thread, which does nothing else: so it works on every kernel, and needs no signal."""
        status = self._process.wait()
        with suppress(RuntimeError):  # the loop is closed
            self._ended.get_loop().call_soon_threadsafe(self._tell, status)

    def _tell(self, status: int) -> None:
        if not self._ended.done():
            self._ended.set_result(status)

    async def connect(self) -> None:
        """Read the pipe from now on."""
        protocol = asyncio.StreamReaderProtocol(self.stdout)
        loop = asyncio.get_running_loop()
        self._pipe, _ = await loop.connect_read_pipe(lambda: protocol, self._process.stdout)

    async def wait(self) -> int:
        """Its exit status, or the negative number of the signal that ended it; waits for its end."""
        return await asyncio.shield(self._ended)

    def terminate(self) -> None:
        """Ask it to end, where it has not ended."""
        self._process.terminate()

    async def close(self) -> None:
        """Kill it where it has not ended, and wait for that; what it wrote is not read any more."""
        self._process.kill()
        if self._pipe is not None:
            self._pipe.close()
        await self.wait()


async def begin(command: Sequence[str], *, niceness: int, has_pipe: bool = False) -> Child:
    """Run a command with nothing on its standard input; `niceness` (0 to 19) comes on top of our own.

    Its standard output is a pipe where `has_pipe`, else nowhere. Raises OSError.
    """
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - a thread would hold the lock meanwhile all the same
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if has_pipe else subprocess.DEVNULL,
        close_fds=False,  # Python's files close themselves; looking for others costs 2 ms with 15,000 open
    )
    with suppress(OSError):  # it has ended, or we may not
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + niceness)
    child = Child(process)
    if has_pipe:
        try:
            await child.connect()
        except BaseException:
            await child.close()
            raise
    return child
