"""What becomes of a message at end of data: the table of contract section 2."""

from __future__ import annotations

import pytest

from angarium.policy.decision import Decision
from angarium.policy.fate import Fate, Report, fate
from tests.policy.listener_files import OUTSIDER, RELAY_HOST, ask, tables

LOADED = tables("""
["drop.example"]
log_oob = true
log_arf = true
["keep.example"]
log_oob = "LogThenRelay"
log_arf = "LogThenRelay"
["relay-drop.example"]
relay_to = true
log_oob = true
log_arf = true
["relay-keep.example"]
relay_to = true
log_oob = "LogThenRelay"
["oob.example"]
log_oob = true
["relay.example"]
relay_to = true
""")
OOB, ARF = Report("oob"), Report("arf")
SHAPE = Report("oob", by_shape=True)
BROKEN = Report("oob", error="no fields of a recipient")


def decision(domain: str, peer: str = OUTSIDER) -> Decision:
    return ask(LOADED, peer, None, f"b@{domain}.example")


def summary(found: Fate) -> tuple[int, bool, str | None, tuple[str, ...]]:
    return found.reply.code if found.reply else 250, found.queue, found.disposition, found.records


@pytest.mark.parametrize(
    ("domain", "report", "expected"),
    [
        # no right, log_X on
        ("drop", OOB, (250, False, "logged", ("Reception", "OOB"))),
        ("drop", ARF, (250, False, "logged", ("Reception", "Feedback"))),
        ("drop", SHAPE, (250, False, "logged", ("Reception", "OOB"))),
        ("keep", OOB, (250, False, "logged", ("Reception", "OOB"))),
        ("drop", None, (550, False, None, ("Rejection",))),
        ("oob", ARF, (550, False, None, ("Rejection",))),
        ("drop", BROKEN, (550, False, None, ("Rejection",))),
        # right C, log_X Drop
        ("relay-drop", OOB, (250, False, "logged", ("Reception", "OOB"))),
        ("relay-drop", ARF, (250, False, "logged", ("Reception", "Feedback"))),
        ("relay-drop", SHAPE, (250, True, "logged+queued", ("Reception", "OOB"))),
        ("relay-drop", BROKEN, (250, True, "queued", ("Reception",))),
        ("relay-drop", None, (250, True, "queued", ("Reception",))),
        # right C, log_X Relay
        ("relay-keep", OOB, (250, True, "logged+queued", ("Reception", "OOB"))),
        ("relay-keep", SHAPE, (250, True, "logged+queued", ("Reception", "OOB"))),
        ("relay-keep", ARF, (250, True, "queued", ("Reception",))),
        # right C, nothing logged
        ("relay", OOB, (250, True, "queued", ("Reception",))),
        ("relay", None, (250, True, "queued", ("Reception",))),
    ],
)
def test_table_of_the_contract(
    domain: str, report: Report | None, expected: tuple[int, bool, str | None, tuple[str, ...]]
) -> None:
    """Reply, queue and records for each row."""
    assert summary(fate(decision(domain), report)) == expected


@pytest.mark.parametrize(("domain", "queue"), [("drop", False), ("keep", True)])
def test_peer_with_a_right_sends_a_report(domain: str, queue: bool) -> None:
    """Right A does not take a report out of an exact entry's log mode; only LogThenRelay queues it."""
    assert fate(decision(domain, RELAY_HOST), OOB).queue is queue


def test_replies_after_content() -> None:
    """The refusals are 5.7.1 for what is no report, 5.6.0 for a report that cannot be used."""
    assert str(fate(decision("drop"), None).reply) == (
        "550 5.7.1 only bounces and feedback reports are accepted for drop.example"
    )
    assert str(fate(decision("oob"), None).reply) == "550 5.7.1 only bounces are accepted for oob.example"
    assert str(fate(decision("drop"), BROKEN).reply) == "550 5.6.0 this report is too broken to be used"


def test_what_was_wrong_is_recorded() -> None:
    """Reception or Rejection say what was wrong with a report."""
    assert fate(decision("drop"), BROKEN).report_error == BROKEN.error
    assert fate(decision("relay-drop"), BROKEN).report_error == BROKEN.error


def test_shape_is_told() -> None:
    """A message that was queued because only its shape says bounce is recorded so."""
    assert fate(decision("relay-drop"), SHAPE).why == "shape"
    assert fate(decision("drop"), SHAPE).why is None
    assert fate(decision("relay-drop"), OOB).why is None


def test_who_decided() -> None:
    """A report that is only logged names the log option, one that is queued the right as well."""
    logged, queued = fate(decision("relay-drop"), OOB), fate(decision("relay-drop"), SHAPE)
    assert (logged.decided_by.line, logged.report_decided_by) == (10, logged.decided_by)
    assert (queued.decided_by.line, queued.report_decided_by) == (9, logged.decided_by)
    assert fate(decision("drop"), None).decided_by.line == 3


def test_refused_recipients_have_no_fate() -> None:
    """Only accepted recipients reach the end of data."""
    with pytest.raises(AssertionError):
        fate(decision("elsewhere"), None)
