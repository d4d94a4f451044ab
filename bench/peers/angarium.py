"""Angarium itself, one worker, as `angarium run` starts it."""

from __future__ import annotations

import subprocess
from importlib.metadata import version as package_version
from pathlib import Path

from bench.machine import version_of
from bench.peers import Setup
from bench.tools import BenchError, angarium, is_greeting, stop, wait_for

NAME = "angarium"
MODES = ("full", "receive")
SETTINGS = (
    "one worker; as many connections to the next hop as the client has; records written; "
    "receive-only: one connection to a next hop that never greets, so that mail stays in the queue"
)

_MAIN = """\
hostname = "bench.invalid"

[[listener]]
listen = "127.0.0.1:{port}"
relay_hosts = ["127.0.0.1"]

[policy]
queues = ["queues.toml"]

[spool]
path = "spool"

[log]
dir = "logs"

[control]
socket = "control.sock"
"""
_QUEUES = """\
[queue.default]
connection_limit = {limit}

[queue.'example.com']
routing_domain = '[127.0.0.1]:{next_hop}'
"""


def missing() -> str | None:
    """Nothing is missing: it is what this repository is about."""
    return None


def version() -> str:
    """Its own version, with the commit where there is one."""
    commit = version_of("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    return f"{package_version(NAME)} ({commit})"


class _Running:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def stop(self) -> None:
        stop(self._process)


def start(setup: Setup) -> _Running:
    """Write its configuration, start it, and wait for its greeting."""
    setup.folder.mkdir(parents=True)
    limit = setup.connections if setup.delivers else 1
    (setup.folder / "angarium.toml").write_text(_MAIN.format(port=setup.port))
    (setup.folder / "queues.toml").write_text(_QUEUES.format(limit=limit, next_hop=setup.next_hop))
    errors = setup.folder / "stderr.txt"
    with errors.open("wb") as output:
        process = subprocess.Popen(
            angarium("run", str(setup.folder / "angarium.toml")), stdout=output, stderr=output
        )

    def is_ready() -> bool:
        if process.poll() is not None:
            raise BenchError(f"angarium run ended with {process.returncode}: {errors.read_text()[-1000:]}")
        return is_greeting(setup.port)

    wait_for(is_ready, "angarium run")
    return _Running(process)
