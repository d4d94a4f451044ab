"""Dialogues and smuggling sequences of others, through a real receiver on a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from angarium.wire.extensions import Extensions
from angarium.wire.framing import has_long_line, is_canonical
from angarium.wire.receiver import Limits

from .client import LIMITS, MEBIBYTE, Session, open_transaction, server

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared corpora are not here"),
]
SEQUENCES = CORPORA / "smtp" / "smuggling" / "sequences.json"
PLAIN = Extensions(size=MEBIBYTE)

NOT_OURS = {
    "auth_multi_dialog.cmy": "needs TLS",
    "auth_too_many_failures.cmy": "needs TLS",
    "bad_data.cmy": "header lines without a colon occur in real bounces",
}


def sequences() -> list[bytes]:
    return [bytes(entry["seq"]) for entry in json.loads(SEQUENCES.read_text())] if SEQUENCES.exists() else []


def run(script: str, *arguments: str) -> str:
    """What a scoring script of the corpora says about a server here."""
    with server(lambda: Session(PLAIN)) as (host, port):
        command = [sys.executable, str(CORPORA / "score" / script), f"{host}:{port}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_dialogues() -> None:
    """Every dialogue that needs no TLS holds with a limit of 1 MiB."""
    verdicts = {
        line.split()[1]: line
        for line in run("run_cmy.py", str(CORPORA / "smtp" / "chasquid")).splitlines()[:-1]
    }
    assert len(verdicts) > 15
    failed = {name: line for name, line in verdicts.items() if line[0] != "+" and name not in NOT_OURS}
    assert failed == {}


@pytest.mark.parametrize("fix", [False, True])
@pytest.mark.parametrize("octets", sequences(), ids=repr)
def test_smuggling(octets: bytes, fix: bool) -> None:
    """No sequence ends content early: it is refused, or kept as one message without a bare CR or LF."""
    session = open_transaction(Session(PLAIN, Limits(fix_line_endings=fix)))
    events = len(session.events)
    session.feed(
        b"From: a@t.example\r\n\r\nbody"
        + octets
        + b"MAIL FROM:<b@t.example>\r\nRCPT TO:<user@testserver>\r\nDATA\r\n"
        b"smuggled\r\n.\r\n"
    )
    assert len(session.events) == events + 1
    for content in session.contents:
        assert is_canonical(content)
        assert not has_long_line(content, LIMITS.line_length)
        assert b"MAIL FROM" in content


def test_unstuffed() -> None:
    """The message of the stuffing dialogue arrives as its author meant it."""
    folder = CORPORA / "smtp" / "chasquid"
    dialogue = (folder / "data_dot_stuffing.cmy").read_text().split("c <~ 354\n")[1]
    lines = [line[5:] for line in dialogue.splitlines() if line.startswith("c ->")]
    session = open_transaction(Session(PLAIN))
    session.feed("".join(f"{line}\r\n" for line in lines).encode())
    expected = (folder / "data_dot_stuffing.cmy.verify").read_text()
    assert session.contents[0].decode().replace("\r\n", "\n").rstrip() == expected.rstrip()
