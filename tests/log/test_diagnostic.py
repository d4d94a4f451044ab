"""What the operator sees on stderr."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from angarium.log.diagnostic import set_up


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    logger = logging.getLogger("angarium")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate


def test_a_line_has_time_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: time, program, level, text; what is below the level is left out."""
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    stream = io.StringIO()
    set_up(stream=stream)
    logging.getLogger("angarium.spool").warning("disk is %s", "slow")
    logging.getLogger("angarium.spool").debug("not this")
    assert stream.getvalue().endswith(" angarium: warning: disk is slow\n")
    assert stream.getvalue().count("\n") == 1


def test_journald_gets_priorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under systemd every line, also of a traceback, begins with its priority."""
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    stream = io.StringIO()
    set_up(stream=stream)
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("angarium").exception("failed")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "<3>angarium: error: failed"
    assert all(line.startswith("<3>") for line in lines)


def test_what_a_client_sent_cannot_forge_a_line() -> None:
    """Control characters are escaped."""
    stream = io.StringIO()
    set_up(stream=stream)
    logging.getLogger("angarium").info("helo %s", "x\nangarium: error: forged\x1b[2J")
    assert stream.getvalue().count("\n") == 1
    assert "\\n" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_setting_up_twice_says_things_once() -> None:
    """The second stream replaces the first."""
    first, second = io.StringIO(), io.StringIO()
    set_up(stream=first)
    set_up(stream=second)
    logging.getLogger("angarium").info("hello")
    assert not first.getvalue()
    assert second.getvalue().count("hello") == 1
