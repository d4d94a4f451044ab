"""Angarium itself, as `angarium run` starts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path

from bench.machine import version_of
from bench.peers import Setup
from bench.peers.running import Running
from bench.peers.running import start as start_running
from bench.tools import angarium

NAME = "angarium"
MODES = ("full", "receive")
SETTINGS = (
    "as many connections to the next hop as the client has; records written; "
    "receive-only: one connection to a next hop that never greets, so that mail stays in the queue"
)

_MAIN = """\
hostname = "bench.invalid"
{workers}
[[listener]]
listen = "127.0.0.1:{port}"
relay_hosts = ["127.0.0.1"]

[policy]
queues = ["queues.toml"]
{policy}

[spool]
path = "spool"
{spool}

[log]
dir = "logs"
{log}

[control]
socket = "control.sock"
"""
_QUEUES = """\
[queue.default]
connection_limit = {limit}
routing_domain = '[127.0.0.1]:{next_hop}'
"""


@dataclass(frozen=True)
class More:
    """What a measurement wants besides: further lines of three tables, further files, another program."""

    policy: str = ""
    spool: str = ""
    log: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    program: Sequence[str] = ()
    """In place of `angarium`, with the same arguments."""


def missing() -> str | None:
    """Nothing is missing: it is what this repository is about."""
    return None


def version() -> str:
    """Its own version, with the commit where there is one."""
    commit = version_of("git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD")
    return f"{package_version(NAME)} ({commit})"


def start(setup: Setup, more: More | None = None) -> Running:
    """Write its configuration, start it, and wait for its greeting."""
    more = more or More()
    setup.folder.mkdir(parents=True, exist_ok=True)
    limit = setup.connections if setup.delivers else 1
    files = {
        "angarium.toml": _MAIN.format(
            port=setup.port,
            policy=more.policy,
            spool=more.spool,
            log=more.log,
            workers=f"workers = {setup.workers}" if setup.workers != 1 else "",
        ),
        "queues.toml": _QUEUES.format(limit=limit, next_hop=setup.next_hop),
        **more.files,
    }
    for name, text in files.items():
        (setup.folder / name).write_text(text)
    run = ("run", str(setup.folder / "angarium.toml"))
    return start_running(NAME, setup, [*more.program, *run] if more.program else angarium(*run))
