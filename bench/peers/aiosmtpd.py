"""aiosmtpd from PyPI: a library; the server made of it here keeps each message safely in a Maildir."""

from __future__ import annotations

import sys
from pathlib import Path

from bench.peers import Setup, unpacked
from bench.peers.running import Running
from bench.peers.running import start as start_running
from bench.tools import BenchError

NAME = "aiosmtpd"
MODES = ("receive",)
SETTINGS = (
    "uvloop; each message a file, written and synced in a thread, then renamed, before the 250; no delivery"
)

_PACKAGE = unpacked.PEERS / "aiosmtpd"


def missing() -> str | None:
    """Why it cannot be measured here."""
    return unpacked.missing_here(_PACKAGE / "aiosmtpd")


def version() -> str:
    """As its metadata say."""
    found = sorted(_PACKAGE.glob("aiosmtpd-*.dist-info"))
    return found[-1].name.removeprefix("aiosmtpd-").removesuffix(".dist-info") if found else "unknown"


def start(setup: Setup) -> Running:
    """Start it, and wait for its greeting."""
    if setup.delivers:
        raise BenchError("aiosmtpd does not deliver")
    setup.folder.mkdir(parents=True)
    server = Path(__file__).with_name("aiosmtpd_server.py")
    command = [sys.executable, "-P", str(server), str(setup.port), str(setup.folder / "mail")]
    return start_running("aiosmtpd", setup, command, {"PYTHONPATH": str(_PACKAGE)})
