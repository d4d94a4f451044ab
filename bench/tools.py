"""The two ends of a measurement: a client that sends, and a next hop that receives.

Clients: Postfix's smtp-source where it is installed, else `angarium bench`. Next hops: `angarium sink`, which
costs less than Postfix's smtp-sink, or that one on request. The same two serve every peer of a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SENDER = "sender@example.org"
RECIPIENT = "recipient@example.com"


class BenchError(Exception):
    """The measurement cannot go on; the text says why."""


def angarium(*arguments: str) -> list[str]:
    """A command line of ours."""
    return [sys.executable, "-c", "from angarium.cli import main; main()", *arguments]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Look again every few milliseconds; raises BenchError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.005)


def is_greeting(port: int) -> bool:
    """True if an SMTP server greets on this port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
        return probe.recv(3) == b"220"
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process of ours, with force if need be."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Spent:
    """What sending took: seconds of CPU, and from when to when, in epoch seconds."""

    cpu: float
    began: float
    ended: float


@dataclass(frozen=True)
class Client:
    """Sends `count` messages of `size` octets over some connections, which stay open."""

    name: str
    connections: int

    def command(self, port: int, size: int, count: int) -> list[str]:
        if self.name == "smtp-source":
            many = ["-s", str(self.connections), "-l", str(size), "-m", str(count)]
            return ["smtp-source", "-d", *many, "-f", SENDER, "-t", RECIPIENT, f"127.0.0.1:{port}"]
        many = ["--connections", str(self.connections), "--size", str(size), "--messages", str(count)]
        ends = ["--sender", SENDER, "--to", RECIPIENT, "--target", f"127.0.0.1:{port}"]
        return angarium(*self.name.split()[1:], "--json", *many, *ends)

    def send(self, port: int, size: int, count: int) -> Spent:
        """Send them. Raises BenchError if one was not accepted."""
        began = time.time()
        text, cpu = _ended(self.command(port, size, count))
        if self.name == "smtp-source":
            return Spent(cpu, began, time.time())
        # Ours tells what sending took: starting Python costs as much as thousands of messages.
        said = json.loads(text)
        return Spent(float(said["cpu"]), said["began"], said["began"] + said["seconds"])


def _ended(command: list[str]) -> tuple[str, float]:
    """What a program said, and the seconds of CPU that it took. Raises BenchError if it failed."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    with process.stdout as output:
        text = output.read().decode(errors="replace")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"{command[0]} ended with {process.returncode}: {text.strip()[-500:]}")
    return text, usage.ru_utime + usage.ru_stime


def load(port: int, *options: str, connections: int = 20) -> dict[str, Any]:
    """What `angarium bench` with these options says of itself (`cli.bench.summary`). Raises BenchError."""
    ends = ("--target", f"127.0.0.1:{port}", "--sender", SENDER, "--connections", str(connections))
    said: dict[str, Any] = json.loads(_ended(angarium("bench", "--json", *ends, *options))[0])
    return said


def client(name: str | None, connections: int) -> Client:
    """The client asked for, or the best one here."""
    if name is None:
        name = "smtp-source" if shutil.which("smtp-source") else "angarium bench"
    if name == "smtp-source" and not shutil.which(name):
        raise BenchError("smtp-source is not installed: it comes with Postfix (apt install postfix)")
    return Client(name, connections)


class NextHop:
    """`angarium sink`. Runs through all rounds, since a next hop that goes away is another test."""

    name = "angarium sink"

    def __init__(self, folder: Path, *rules: str) -> None:
        self.port = free_port()
        self._output = folder / f"sink-{self.port}.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(self._command(*rules), stdout=output, stderr=subprocess.DEVNULL)
        self.pid = self._process.pid
        wait_for(self._is_ready, self.name)

    def _command(self, *rules: str) -> list[str]:
        return angarium("sink", "--listen", f"127.0.0.1:{self.port}", "--json", "--interval", "0.05", *rules)

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            raise BenchError(f"{self.name} does not start")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def count(self) -> int:
        """Messages received so far; may lag behind by a twentieth of a second."""
        return int(self._last_line().get("messages", 0))

    def last(self) -> float:
        """When the last message came, in epoch seconds."""
        return float(self._last_line().get("last", 0.0))

    def _last_line(self) -> dict[str, float]:
        lines = self._output.read_bytes().splitlines(keepends=True)
        complete = [line for line in lines[-2:] if line.endswith(b"\n")]
        return json.loads(complete[-1]) if complete else {}

    def stop(self) -> None:
        stop(self._process)


class SmtpSink(NextHop):
    """Postfix's smtp-sink. Its counters are a file that grows by some octets a message."""

    name = "smtp-sink"

    def _command(self, *rules: str) -> list[str]:
        if not shutil.which("smtp-sink"):
            raise BenchError("smtp-sink is not installed: it comes with Postfix (apt install postfix)")
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        return ["smtp-sink", *user, "-c", f"127.0.0.1:{self.port}", "1000"]

    def count(self) -> int:
        with self._output.open("rb") as file:
            file.seek(max(0, self._output.stat().st_size - 200))
            _, _, last = file.read().rpartition(b"mesg=")
        return int(last or 0)

    def last(self) -> float:
        return time.time()


def next_hop(name: str | None, folder: Path) -> NextHop:
    """The next hop asked for, or the cheapest one here."""
    return SmtpSink(folder) if name == "smtp-sink" else NextHop(folder)


def hanging_next_hop(folder: Path) -> NextHop:
    """A next hop that never greets: mail for it stays in the queue and costs nothing."""
    return NextHop(folder, "--hang", "connect")
