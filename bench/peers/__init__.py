"""The servers that are measured, one file each; `ALL` is where a new one is added.

A peer is a module with `NAME`, `missing() -> str | None` (why it cannot be measured here),
`version() -> str`, `SETTINGS` (what was set), `MODES` and `start(setup) -> Server`. README.md says why it is
fair.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

ALL = ("angarium", "postfix", "exim", "opensmtpd", "haraka", "aiosmtpd")


@dataclass(frozen=True)
class Setup:
    """What a server is to be: where it keeps everything, where it listens, and where mail goes.

    With `delivers` false, mail stays in the queue, by whatever costs the peer least: a queue on hold, or the
    next hop, which then never greets.
    """

    folder: Path
    port: int
    next_hop: int
    connections: int
    delivers: bool
    workers: int = 1
    """Of Angarium; others start processes as they like."""


class Server(Protocol):
    """A server that runs."""

    pid: int
    """The root of its tree of processes."""

    def stop(self) -> None: ...


class Peer(Protocol):
    """What the module of a peer offers."""

    NAME: str
    MODES: tuple[str, ...]
    """Which of `full` and `receive` it can do."""
    SETTINGS: str

    def missing(self) -> str | None: ...

    def version(self) -> str: ...

    def start(self, setup: Setup) -> Server: ...


def load(name: str) -> Peer:
    """The module of a peer."""
    return cast("Peer", import_module(f"bench.peers.{name}"))
