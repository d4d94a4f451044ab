"""A server between a load and a next hop, for measurements that ask more of it than rounds in turn do."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import cpu_of_tree, memory_of_tree
from bench.peers import Server, Setup
from bench.tools import BenchError, NextHop, free_port, load, wait_for

CONNECTIONS = 20
_SETTLE = 0.3  # seconds in which a server removes what it has delivered


@contextlib.contextmanager
def scratch(parent: Path = Path("/var/tmp")) -> Iterator[Path]:
    """A folder on a disk, which servers with users of their own may enter."""
    with tempfile.TemporaryDirectory(
        prefix="angarium-bench-", dir=parent, ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@dataclass(frozen=True)
class Sent:
    """What one load came to. CPU of the server alone, in seconds; times as `angarium bench` tells them."""

    messages: int
    seconds: float
    cpu: float
    said: dict[str, Any]

    @property
    def rate(self) -> float:
        """Messages a second, from the first one sent to the last one delivered."""
        return self.messages / self.seconds

    @property
    def microseconds(self) -> float:
        """CPU of the server for a message."""
        return self.cpu / self.messages * 1e6


class Stand:
    """A server that runs, with a next hop of its own."""

    def __init__(self, folder: Path, start: Callable[[Setup], Server]) -> None:
        folder.mkdir(parents=True)
        self.folder = folder / "server"
        self._next_hop = NextHop(folder)
        self._port = free_port()
        setup = Setup(self.folder, self._port, self._next_hop.port, CONNECTIONS, delivers=True)
        try:
            self.server = start(setup)
        except BaseException:
            self._next_hop.stop()
            raise

    def __enter__(self) -> Stand:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self._next_hop.stop()

    def _told(self) -> str:
        errors = self.folder / "stderr.txt"
        return errors.read_text(errors="replace")[-2000:] if errors.exists() else "nothing"

    def delivered(self) -> int:
        """Messages that the next hop has."""
        return self._next_hop.count()

    def memory(self) -> int:
        """Octets of the server."""
        return memory_of_tree(self.server.pid)

    def send(self, *options: str) -> Sent:
        """Send as `angarium bench` does with these options, and wait until all is delivered."""
        before, received = cpu_of_tree(self.server.pid), self._next_hop.count()
        try:
            said = load(self._port, *options, connections=CONNECTIONS)
        except BenchError as error:
            raise BenchError(f"{error}; the server said: {self._told()}") from None
        wanted = received + said["accepted"]
        wait_for(lambda: self._next_hop.count() >= wanted, f"{wanted} messages at the next hop", seconds=180)
        seconds = self._next_hop.last() - said["began"]
        time.sleep(_SETTLE)
        cpu = cpu_of_tree(self.server.pid) - before
        return Sent(said["accepted"], seconds, cpu, said)
