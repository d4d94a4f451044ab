"""What a report says, as records: one OOB for each failed recipient, or one Feedback (reference 5.3 and 5.4).

Values that were recovered keep their mark (`reported`, `derived`, `trace`) in the record's `report`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from angarium.log.records import EnhancedCode, PeerAddress, Record, Response, rfc3339
from angarium.mail.ident import created_at
from angarium.mail.status import split_enhanced
from angarium.reception.reference import Trace
from angarium.reports.values import Bounce, Feedback, Mark, Recipient, Report

if TYPE_CHECKING:
    from angarium.reception.custody import Draft

_DEFAULT_CODE = 550
MANY = 50
"""Failed recipients of one report from which on its records say only what is needed, so that a small report
cannot fill the log.
"""
MAX_AGE = 30 * 86_400
"""Seconds that a failure may be past when its report comes; an older date is somebody's wrong clock."""


def report_records(draft: Draft, facts: dict[str, Any]) -> list[Record]:
    """The records of a report that is logged; none for ordinary mail."""
    report, fate = draft.report, draft.fate
    if report is None or fate is None or not draft.is_logged:
        return []
    common = facts | {
        "decided_by": fate.report_decided_by or UNSET,
        "id": draft.arrival.ident,
        "size": 0,
        "verified": draft.trace.verified,
    }
    if report.feedback is not None:
        return [_feedback(report.feedback, report, draft, common)]
    return [_bounce(failed, report, draft, common) for failed in report.failed]


def _bounce(failed: Recipient, report: Report, draft: Draft, common: dict[str, Any]) -> Record:
    """One OOB record: who the mail was for, and what the remote server said."""
    bounce = report.bounce
    reporting = bounce.reporting_mta if bounce is not None else None
    peer: PeerAddress = common["peer_address"]
    return Record(
        type="OOB",
        response=_response(failed),
        report=_account(report, failed, draft.trace),
        **common
        | {
            "sender": str(draft.arrival.envelope.recipients[0].address),
            "recipient": draft.trace.recipient or failed.original or failed.address,
            "peer_address": PeerAddress(name=reporting.name if reporting else peer.name, addr=peer.addr),
        }
        | _when(failed, common["timestamp"]),
    )


def _when(failed: Recipient, now: int) -> dict[str, Any]:
    """When the mail failed, as far as the report can be believed (reference O26)."""
    if failed.last_attempt_date is None:
        return {}
    stated = datetime.fromisoformat(failed.last_attempt_date).timestamp()
    if not now - MAX_AGE <= stated <= now:
        return {}
    return {"timestamp": int(stated), "event_time": rfc3339(stated)}


def _feedback(feedback: Feedback, report: Report, draft: Draft, common: dict[str, Any]) -> Record:
    """The Feedback record; `original_rcpto_to` is the reference's spelling, written beside ours."""
    said = msgspec.to_builtins(_completed(feedback, draft.trace))
    said["supplemental_trace"] = draft.trace.data
    for name in ("fields", "unparsed"):
        if not said[name]:
            del said[name]
    said["original_rcpto_to"] = said["original_rcpt_to"]
    created = created_at(draft.arrival.ident)
    return Record(
        type="Feedback",
        response=Response(code=250),
        feedback_report=said,
        report=_account(report, None, draft.trace),
        **common | {"created": int(created), "created_time": rfc3339(created), "size": draft.arrival.size},
    )


def _completed(feedback: Feedback, trace: Trace) -> Feedback:
    """The feedback with the recipient that our own signed header names, whatever the provider shows."""
    if trace.recipient is None or trace.recipient in feedback.original_rcpt_to:
        return feedback
    marks: dict[str, Mark] = {**feedback.marks, "original_rcpt_to": "trace"}
    return msgspec.structs.replace(feedback, original_rcpt_to=(trace.recipient,), marks=marks)


def _response(failed: Recipient) -> Response:
    """The remote server's reply; the enhanced status of the report where the reply has none."""
    reply = failed.reply
    status, _ = split_enhanced((reply.enhanced if reply else None) or failed.status or "")
    return Response(
        code=(reply.code if reply else None) or _DEFAULT_CODE,
        enhanced_code=EnhancedCode(status.class_, status.subject, status.detail) if status else None,
        content=reply.text if reply else failed.diagnostic or "",
    )


def _account(report: Report, failed: Recipient | None, trace: Trace) -> dict[str, Any]:
    """Everything else that the report says, with its marks; what our own reference says is `trace`."""
    account: dict[str, Any] = {"kind": report.kind, "why": report.why}
    is_short = len(report.failed) > MANY
    if failed is not None:
        account["recipient"] = msgspec.to_builtins(failed)
    if report.bounce is not None:
        account["message"] = msgspec.to_builtins(_without_recipients(report.bounce, is_short=is_short))
    if trace.data is not None and (trace.verified or not is_short):
        account["trace"] = trace.data
    if report.original is not None:
        original = msgspec.structs.replace(report.original, trace=None)
        account["original"] = (
            {"message_id": original.message_id} if is_short else msgspec.to_builtins(original)
        )
    return account


def _without_recipients(bounce: Bounce, *, is_short: bool) -> Bounce:
    """What a bounce says of the message, without what nobody reads a thousand times."""
    about = msgspec.structs.replace(bounce, recipients=())
    return msgspec.structs.replace(about, extensions={}, unparsed={}) if is_short else about
