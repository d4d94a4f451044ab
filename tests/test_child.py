"""child: another program begins beside a server, which does not stand still for it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import uvloop

from angarium.child import begin


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_what_it_writes_and_how_it_ends(loop: object) -> None:
    """Its pipe is read to its end, its input is empty, and its status is told to everybody who waits."""

    async def run() -> tuple[bytes, list[int]]:
        code = "import sys; assert sys.stdin.read() == ''; print('x' * 1_000_000, end=''); sys.exit(3)"
        child = await begin([sys.executable, "-c", code], niceness=0, has_pipe=True)
        written = await child.stdout.read()
        statuses = await asyncio.gather(child.wait(), child.wait())
        await child.close()
        return written, [await child.wait(), *statuses]

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]
        assert runner.run(run()) == (b"x" * 1_000_000, [3, 3, 3])


def test_priority_comes_before_loading() -> None:
    """A child has its low priority when its interpreter has not even begun to load modules."""

    async def run() -> int:
        program = ["/bin/sh", "-c", "read -r line < /proc/self/stat; echo $line"]
        child = await begin(program, niceness=7, has_pipe=True)
        told = await child.stdout.read()
        await child.close()
        return int(told.rpartition(b")")[2].split()[16])

    assert asyncio.run(run()) == min(os.getpriority(os.PRIO_PROCESS, 0) + 7, 19)


def test_a_server_is_never_copied() -> None:
    """No child is forked, under the loop that serves either: what a fork would run first is not run."""
    forks: list[int] = []
    os.register_at_fork(before=lambda: forks.append(1))

    async def run() -> int:
        child = await begin(["/bin/true"], niceness=19)
        return await child.wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == 0
    assert forks == []


def test_files_are_not_inherited(tmp_path: Path) -> None:
    """Open files and sockets of a server do not get into the other program."""

    async def run() -> bytes:
        with (tmp_path / "file").open("w"):
            child = await begin(["/bin/ls", "-l", "/proc/self/fd"], niceness=0, has_pipe=True)
            told = await child.stdout.read()
            await child.close()
            return told

    assert str(tmp_path).encode() not in asyncio.run(run())


def test_closing_ends_it() -> None:
    """One that would never end is killed, also while its pipe is full and nobody reads."""

    async def run() -> int:
        child = await begin(
            [sys.executable, "-c", "while True: print('x' * 100_000)"], niceness=19, has_pipe=True
        )
        await child.stdout.readexactly(100_000)
        await child.close()
        return await child.wait()

    assert asyncio.run(run()) == -9


def test_a_program_that_is_not_there() -> None:
    """What cannot be run is an OSError at once."""
    with pytest.raises(FileNotFoundError):
        asyncio.run(begin(["/nowhere/at/all"], niceness=0))
