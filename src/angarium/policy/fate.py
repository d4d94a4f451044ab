"""What becomes of an accepted recipient's message at end of data?

`fate` answers from the decision at RCPT and from what the report parsers found. Promises that a report is
never discarded without a record, that a message seen as a report by its shape alone is never discarded if it
may be relayed, and that a report gains no right.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from angarium.mail.status import EnhancedStatus, Reply, reply
from angarium.policy.decision import DecidedBy, Decision, Examination, LogMode, ReportKind, Verdict

TOO_BROKEN = reply(550, "5.6.0 this report is too broken to be used")
_NOT_PERMITTED = EnhancedStatus(5, 7, 1)
_SPOKEN = {"oob": "bounces", "arf": "feedback reports"}

RecordType = Literal["Reception", "Rejection", "OOB", "Feedback"]
Disposition = Literal["queued", "logged", "logged+queued"]
_RECORD_OF: dict[ReportKind, RecordType] = {"oob": "OOB", "arf": "Feedback"}


class Report(msgspec.Struct, frozen=True):
    """What was found in a message that was examined; none of it where it is no report."""

    kind: ReportKind
    by_shape: bool = False
    """It follows no RFC; only its shape says that it is a bounce."""
    error: str | None = None
    """Why it is too broken to be used."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one message, and what must be recorded before it is answered."""

    reply: Reply | None
    """None: 250. Otherwise the refusal, of the whole transaction."""
    queue: bool
    disposition: Disposition | None
    """The Reception's; None: there is none."""
    records: tuple[RecordType, ...]
    decided_by: DecidedBy
    """Who decided about the message."""
    report_decided_by: DecidedBy | None = None
    """Who decided that the report is logged."""
    why: Literal["shape"] | None = None
    report_error: str | None = None
    """For the Reception or Rejection: what was wrong with a report."""


def fate(decision: Decision, report: Report | None) -> Fate:
    """The fate of a message to one accepted recipient; `report` is what examining it found."""
    assert decision.verdict.accepts, "only accepted recipients reach the end of data"
    examination = None if report is None else _examination(decision, report)
    if report is None or examination is None:
        return _ordinary(decision)
    if report.error is not None:
        return _broken(decision, examination, report.error)
    return _logged(decision, examination, report)


def _examination(decision: Decision, report: Report) -> Examination | None:
    return next((found for found in decision.examinations if found.kind == report.kind), None)


def _ordinary(decision: Decision, report_error: str | None = None) -> Fate:
    """Not a report, or none that is looked for."""
    if decision.verdict is Verdict.RELAY:
        return Fate(
            reply=None,
            queue=True,
            disposition="queued",
            records=("Reception",),
            decided_by=decision.decided_by,
            report_error=report_error,
        )
    spoken = " and ".join(_SPOKEN[examination.kind] for examination in decision.examinations)
    text = f"only {spoken} are accepted for {decision.recipient.domain}"
    return _refused(decision.decided_by, Reply(550, _NOT_PERMITTED, text))


def _broken(decision: Decision, examination: Examination, error: str) -> Fate:
    if decision.verdict is Verdict.RELAY:
        return _ordinary(decision, error)
    return _refused(examination.decided_by, TOO_BROKEN, error)


def _refused(decided_by: DecidedBy, answer: Reply, report_error: str | None = None) -> Fate:
    return Fate(
        reply=answer,
        queue=False,
        disposition=None,
        records=("Rejection",),
        decided_by=decided_by,
        report_error=report_error,
    )


def _logged(decision: Decision, examination: Examination, report: Report) -> Fate:
    may_relay = decision.verdict is Verdict.RELAY
    queue = may_relay and (report.by_shape or examination.mode is LogMode.LOG_THEN_RELAY)
    return Fate(
        reply=None,
        queue=queue,
        disposition="logged+queued" if queue else "logged",
        records=("Reception", _RECORD_OF[report.kind]),
        decided_by=decision.decided_by if queue else examination.decided_by,
        report_decided_by=examination.decided_by,
        why="shape" if queue and report.by_shape else None,
    )
