"""What clients and the operator hear while spool or log take nothing."""

from __future__ import annotations

from typing import Any

import pytest

from angarium.log.writer import Writer

MAIN = "[[listener]]\nlisten = '127.0.0.1:0'\n"


def test_clients_are_turned_away_and_the_operator_told(
    mta: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the log fails the greeting is 421 4.3.1; stderr says why, once, and when it is over."""
    server = mta(MAIN)
    monkeypatch.setattr(Writer, "problem", property(lambda _: "the log failed: No space left on device"))
    for _ in range(2):
        assert str(server.session(helo=None).dialogue[0]).startswith("S: 421 4.3.1")
    monkeypatch.undo()
    assert server.session().mail("a@b.example", "postmaster").reply.code != 421
    records = [record for record in caplog.records if record.name == "angarium.reception.door"]
    said = [(record.levelname, record.getMessage()) for record in records]
    assert said == [
        ("ERROR", "clients are turned away: the log failed: No space left on device"),
        ("WARNING", "clients are served again, after: the log failed: No space left on device"),
    ]
