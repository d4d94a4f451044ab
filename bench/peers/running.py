"""A peer in the foreground: started, awaited until it greets, and stopped with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.peers import Setup
from bench.tools import BenchError, is_greeting, wait_for


class Running:
    """The root of a tree of processes, which is a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def stop(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


def start(
    name: str, setup: Setup, command: list[str], environment: Mapping[str, str] | None = None
) -> Running:
    """Start it and wait for its greeting, two minutes at most. Raises BenchError with what it said."""
    errors = setup.folder / "stderr.txt"
    with errors.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    running = Running(process)

    def is_ready() -> bool:
        if process.poll() is not None:
            raise BenchError(f"{name} ended with {process.returncode}: {_tail(errors)}")
        return is_greeting(setup.port)

    try:
        wait_for(is_ready, f"{name}'s greeting", seconds=120)
    except BenchError as error:
        running.stop()
        raise BenchError(f"{error}; it said: {_tail(errors)}") from None
    return running


def _tail(path: Path) -> str:
    return path.read_text(errors="replace")[-1000:]
