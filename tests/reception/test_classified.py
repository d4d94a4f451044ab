"""Classifying what a report says holds up nobody else."""

from __future__ import annotations

import asyncio
import threading

import pytest

from angarium.log.records import PeerAddress, Record, Response
from angarium.reception.record import classify_records
from angarium.reports.classify import Classifier, Verdict
from angarium.reports.rules import shipped


class Watched(Classifier):
    """Remembers which threads it was used in."""

    def classify(self, text: str) -> Verdict:
        self.threads = {*getattr(self, "threads", ()), threading.get_ident()}
        return super().classify(text)


def oob(content: str) -> Record:
    return Record(
        type="OOB",
        id="x",
        sender="",
        recipient="u@example.net",
        queue="",
        size=0,
        response=Response(code=550, content=content),
        peer_address=PeerAddress(name="x", addr="192.0.2.1"),
        timestamp=0,
        event_time="",
        created=0,
        created_time="",
    )


@pytest.mark.parametrize(("words", "is_here"), [(1, True), (600, False)])
def test_long_reports_are_classified_in_a_thread(words: int, is_here: bool) -> None:
    """One that says much leaves the event loop to others; both get their classes."""
    watched = Watched.load(shipped())
    records = [oob("mailbox full " + f"lorem{n} " * words) for n in range(3)]
    asyncio.run(classify_records(records, watched))
    assert {record.bounce_classification for record in records} == {"QuotaIssues"}
    assert (watched.threads == {threading.get_ident()}) is is_here  # type: ignore[attr-defined]
