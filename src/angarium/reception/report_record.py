"""What a report says, as records: one OOB for each failed recipient, or one Feedback (reference 5.3 and 5.4).

Values that were recovered keep their mark (`reported`, `derived`, `trace`) in the record's `report`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from angarium.log.records import EnhancedCode, PeerAddress, Record, Response, rfc3339
from angarium.mail.ident import created_at
from angarium.mail.status import split_enhanced
from angarium.reception.reference import Trace
from angarium.reports.values import Feedback, Mark, Recipient, Report

if TYPE_CHECKING:
    from angarium.reception.custody import Draft

_DEFAULT_CODE = 550
"""What `response.code` says where a report tells no reply code (reference O25)."""
MAX_RECORDS = 100
"""OOB records of one transaction: a report of a mebibyte can name thousands. The others are counted."""
MAX_COMMON = 1 << 16
"""Octets that the records of one report may spend on what all of them share; where they would spend more, the
first says it for the others, so that a small report cannot fill the log.
"""
MAX_AGE = 30 * 86_400
"""Seconds that a failure may be past when its report comes; an older date is somebody's wrong clock."""


def report_records(draft: Draft, reception: Record) -> list[Record]:
    """The records of a report that is logged, which say of the session what its Reception does."""
    report, fate = draft.report, draft.fate
    if report is None or fate is None or not draft.is_logged:
        return []
    common = replace(
        reception,
        decided_by=fate.report_decided_by or UNSET,
        size=0,
        verified=draft.trace.verified,
        **dict.fromkeys(_OF_RECEPTIONS, UNSET),
    )
    if report.feedback is not None:
        return [_feedback(report.feedback, report, draft, common)]
    if len(report.failed) > draft.share:
        common.left_out = len(report.failed) - draft.share
    failed = report.failed[: draft.share]
    shared = _shared(report, draft.trace)
    size = len(msgspec.json.encode((shared, common.headers)))
    later = shared, common
    if size * len(failed) > MAX_COMMON:
        later = _in_brief(shared), replace(common, headers={})
    return [_bounce(one, report, draft, *(later if n else (shared, common))) for n, one in enumerate(failed)]


_OF_RECEPTIONS = ("message_id", "disposition", "notices", "left_out", "report_error", "why")
"""What Receptions alone say."""


def _bounce(
    failed: Recipient, report: Report, draft: Draft, shared: dict[str, Any], common: Record
) -> Record:
    """One OOB record: who the mail was for, and what the remote server said."""
    bounce, trace = report.bounce, draft.trace
    reporting = bounce.reporting_mta if bounce is not None else None
    peer = common.peer_address
    assert peer is not None
    is_traced = _is_traced(failed, report, trace)
    proves = {"proves": [what for what in trace.proves if is_traced or what != "recipient"]}
    return replace(
        common,
        type="OOB",
        response=_response(failed),
        report=shared | (proves if trace.proves else {}) | {"recipient": msgspec.to_builtins(failed)},
        sender=draft.arrival.envelope.recipients[0].address.text,
        recipient=trace.recipient if is_traced else failed.meant,
        peer_address=PeerAddress(name=reporting.name if reporting else peer.name, addr=peer.addr),
        **_when(failed, common.timestamp),
    )


def _is_traced(failed: Recipient, report: Report, trace: Trace) -> bool:
    """Whether our reference's recipient is this one: the only one that failed, or the one of that name."""
    if trace.recipient is None:
        return False
    names = {failed.address.lower(), (failed.original or "").lower()}
    return len(report.failed) == 1 or trace.recipient.lower() in names


def _when(failed: Recipient, now: int) -> dict[str, Any]:
    """When the mail failed, as far as the report can be believed (reference O26)."""
    if failed.last_attempt_date is None:
        return {}
    stated = datetime.fromisoformat(failed.last_attempt_date).timestamp()
    if not now - MAX_AGE <= stated <= now:
        return {}
    return {"timestamp": int(stated), "event_time": rfc3339(stated)}


def _feedback(feedback: Feedback, report: Report, draft: Draft, common: Record) -> Record:
    """The Feedback record; `original_rcpto_to` is the reference's spelling, written beside ours."""
    said = msgspec.to_builtins(_completed(feedback, draft.trace))
    said["supplemental_trace"] = draft.trace.data
    for name in ("fields", "unparsed"):
        if not said[name]:
            del said[name]
    said["original_rcpto_to"] = said["original_rcpt_to"]
    created = created_at(draft.arrival.ident)
    proves = list(draft.trace.proves)
    return replace(
        common,
        type="Feedback",
        response=Response(code=250),
        feedback_report=said,
        report=_shared(report, draft.trace) | ({"proves": proves} if proves else {}),
        created=int(created),
        created_time=rfc3339(created),
        size=draft.arrival.size,
    )


def _completed(feedback: Feedback, trace: Trace) -> Feedback:
    """The feedback with the recipient that our own signed header names, whatever the provider shows."""
    if trace.recipient is None or trace.recipient in feedback.original_rcpt_to:
        return feedback
    marks: dict[str, Mark] = {**feedback.marks, "original_rcpt_to": "trace"}
    return replace(feedback, original_rcpt_to=(trace.recipient,), marks=marks)


def _response(failed: Recipient) -> Response:
    """The remote server's reply; the enhanced status of the report where the reply has none."""
    reply = failed.reply
    status, _ = split_enhanced((reply.enhanced if reply else None) or failed.status or "")
    return Response(
        code=(reply.code if reply else None) or _DEFAULT_CODE,
        enhanced_code=EnhancedCode(status.class_, status.subject, status.detail) if status else None,
        content=reply.text if reply else failed.diagnostic or "",
    )


def _shared(report: Report, trace: Trace) -> dict[str, Any]:
    """What a report says of the message, with its marks; what our own reference says is `trace`."""
    shared: dict[str, Any] = {"kind": report.kind, "why": report.why}
    if report.bounce is not None:
        shared["message"] = msgspec.to_builtins(report.bounce)
        del shared["message"]["recipients"]
    if trace.data is not None:
        shared["trace"] = trace.data
    if report.original is not None:
        shared["original"] = msgspec.to_builtins(report.original)
        del shared["original"]["traces"]
    return shared


def _in_brief(shared: dict[str, Any]) -> dict[str, Any]:
    """What the later records of a large report keep of that: which message it is, and who says so."""
    brief: dict[str, Any] = {"kind": shared["kind"], "why": shared["why"]}
    for name, kept in _KEPT.items():
        if name in shared:
            brief[name] = {key: shared[name][key] for key in kept if key in shared[name]}
    return brief


_KEPT = {
    "message": ("reporting_mta", "original_envelope_id", "queue_id"),
    "trace": ("id", "recipient"),
    "original": ("message_id",),
}
