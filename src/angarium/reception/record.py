"""The records of a session: Reception, OOB and Feedback of what was taken, Rejection of what was refused.

What a decision was made from stands in them, so that `explain`, `why` and `replay` can make it again: the
session, the envelope, the rule and the handlers' calls. Of a refused RCPT that is the recipient refused and
those accepted before it; others that were refused have records of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from angarium.log.captured import Fields, as_captured, captured_meta, wanted_fields
from angarium.log.records import (
    EnhancedCode,
    Notice,
    RecipientDecision,
    Record,
    Response,
    rfc3339,
)
from angarium.mail.envelope import Recipient
from angarium.mail.header import Outline, outline
from angarium.mail.ident import created_at
from angarium.mail.status import Reply
from angarium.policy.decision import Decision
from angarium.queue.classified import classified
from angarium.reception.decided import limit_reached, who_discarded, who_refused
from angarium.reception.guard import OF_CONTENT
from angarium.reception.report_record import report_records
from angarium.reception.told import told_of
from angarium.reception.transaction import Accepted
from angarium.wire import events
from angarium.wire.framing import as_bytes

if TYPE_CHECKING:
    from angarium.policy.config import LogConfig
    from angarium.reception.custody import Draft
    from angarium.reception.session import Session
    from angarium.reports.classify import Classifier

MAX_COMMAND = 1024
"""Octets of a client's line that a record keeps."""
MAX_TOLD = 20
"""Recipients of a transaction that each of its records tells. Of more, it tells the first, which made the
transaction what it is, and its own: a record with all of them for each of them would grow with their square.
"""
MAX_CLASSIFIED_INLINE = 2000
"""Characters of replies in the records of one message that are classified at once; more are in a thread."""


class Kept(NamedTuple):
    """What records keep of a header section."""

    message_id: str | None
    fields: Fields


NOTHING_KEPT = Kept(None, ())


def kept_of(content: Sequence[bytes | memoryview], log: LogConfig, known: Outline | None = None) -> Kept:
    """What the records of a message with this content keep of its header; `known` if it was read already."""
    header = as_bytes(content[0]) if len(content) == 1 else b"".join(content[:2])  # a handler's fields first
    known = known or outline(header)
    fields = wanted_fields(log.headers, header[: known.size]) if log.headers else ()
    return Kept(known.message_id, fields)


def reception_records(session: Session, draft: Draft) -> list[Record]:
    """The records of one message that is taken: its Reception, and what a report says, not yet classified."""
    reception = _reception(session, draft)
    if draft.report is None:
        return [reception]
    reception.notices = _notices(draft)[: draft.share] or UNSET
    reception.left_out = _left_out(draft) or UNSET
    return [reception, *report_records(draft, reception)]


def _reception(session: Session, draft: Draft) -> Record:
    arrival, fate, log = draft.arrival, draft.fate, session.door.configuration.log
    assert fate is not None
    is_discarded = fate.queue and not arrival.is_queued
    created, now = created_at(arrival.ident), session.door.clock()
    sender, recipient = arrival.envelope.sender, arrival.envelope.recipients[0]
    everyone = _accepted(session)
    told, left_out = _told(_recipients(everyone, recipient, draft.decision), everyone)
    return replace(
        told_of(session).record,
        id=arrival.ident,
        sender="" if sender is None else sender.text,
        recipient=recipient.address.text,
        queue=arrival.queue or "",
        size=arrival.size,
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(created),
        created_time=rfc3339(created),
        meta=captured_meta(log.meta, arrival.meta),
        headers=_headers(draft, log),
        handlers=session.handlers.calls.told() or UNSET,
        recipients=told,
        recipients_left_out=left_out,
        decided_by=who_discarded(session) if is_discarded else fate.decided_by,
        message_id=draft.kept.message_id,
        disposition="discarded" if is_discarded else fate.disposition or UNSET,
        report_error=fate.report_error or UNSET,
        why=fate.why or UNSET,
    )


def _headers(draft: Draft, log: LogConfig) -> dict[str, Any]:
    """The header fields that the record keeps, those that we put on top first."""
    if not log.headers:
        return {}
    return as_captured((*wanted_fields(log.headers, draft.arrival.prefix), *draft.kept.fields))


async def classify_records(records: Sequence[Record], classifier: Classifier) -> None:
    """Give each record its class; in a thread where they say much, so that other sessions go on."""

    def classify() -> None:
        for record in records:
            classified(record, classifier)

    said = sum(len(record.response.content) for record in records if record.type == "OOB")
    if said > MAX_CLASSIFIED_INLINE:
        await asyncio.to_thread(classify)
    else:
        classify()


def rejection_record(
    session: Session, answer: Reply, event: events.Answerable | None, limit: str | None = None
) -> Record:
    """The record of a refusal, with the line that was refused and every recipient known so far."""
    transaction, now = session.transaction, session.door.clock()
    recipient = _refused_recipient(session, event)
    told, left_out = _told(_known(session, event), _accepted(session))
    limit = limit or limit_reached(session, answer, event)
    return replace(
        told_of(session).record,
        type="Rejection",
        sender=str(transaction.sender or "") if transaction is not None else "",
        recipient=recipient,
        response=response(answer, _command(event)),
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(now),
        created_time=rfc3339(now),
        meta=captured_meta(session.door.configuration.log.meta, session.handlers.connection.meta),
        headers={},
        reception_protocol=None,
        handlers=session.handlers.calls.told() or UNSET,
        recipients=told,
        recipients_left_out=left_out,
        decided_by=who_refused(session, answer, event, limit),
        limit=limit or UNSET,
        report_error=(transaction.fate.report_error if transaction and transaction.fate else None) or UNSET,
    )


def _accepted(session: Session) -> list[Accepted]:
    return session.transaction.accepted if session.transaction is not None else []


def _told(
    recipients: Sequence[Accepted], everyone: Sequence[Accepted]
) -> tuple[list[RecipientDecision] | UnsetType, int | UnsetType]:
    """These recipients with their decisions, and how many of the transaction are not among them."""
    told = [
        RecipientDecision(
            address=one.recipient.address.text,
            decided_by=one.decision.decided_by,
            reply=str(one.decision.reply),
        )
        for one in recipients
    ]
    left_out = len(everyone) - len(told)
    return told or UNSET, left_out if left_out > 0 else UNSET


def _recipients(everyone: list[Accepted], own: Recipient, decision: Decision) -> list[Accepted]:
    """Those that the record of one message tells."""
    if len(everyone) <= MAX_TOLD:
        return everyone
    first = everyone[0]
    is_first = first.recipient.address == own.address
    return [first] if is_first else [first, Accepted(own, decision)]


def _known(session: Session, event: events.Answerable | None) -> list[Accepted]:
    """Those that the record of a refusal tells: all where they share it, and it comes once."""
    everyone = _accepted(session)
    return everyone if len(everyone) <= MAX_TOLD or _is_about_content(event) else everyone[:1]


def _is_about_content(event: events.Answerable | None) -> bool:
    """Whether a refusal ends the transaction, for everybody in it."""
    if isinstance(event, events.Refused):
        return event.why in OF_CONTENT
    return isinstance(event, events.Content)


def _refused_recipient(session: Session, event: events.Answerable | None) -> str | list[str]:
    """The recipient that was refused; after content, all of them (reference W28)."""
    if isinstance(event, events.Rcpt):
        return str(event.address)
    everyone = [one.recipient.address.text for one in _known(session, event)]
    return everyone[0] if len(everyone) == 1 else everyone or ""


def _command(event: events.Answerable | None) -> str | None:
    """The line that was refused, as a record keeps it."""
    if isinstance(event, events.Refused):
        return event.line[:MAX_COMMAND].decode("utf-8", "replace") or None
    if isinstance(event, events.Rcpt):
        return f"RCPT TO:<{event.address}>"
    if isinstance(event, events.Mail):
        return f"MAIL FROM:<{event.sender or ''}>"
    if isinstance(event, events.Ehlo | events.Helo):
        return f"{type(event).__name__.upper()} {event.domain}"
    return None if event is None else _NAMES.get(type(event))


_NAMES: dict[type, str] = {
    events.Content: "DATA",
    events.Data: "DATA",
    events.Chunk: "BDAT",
    events.Auth: "AUTH",
    events.AuthResponse: "AUTH",
    events.Xclient: "XCLIENT",
}


def response(answer: Reply, command: str | None = None) -> Response:
    """A reply as records have it: one line, the enhanced status taken apart."""
    status = answer.enhanced
    return Response(
        code=answer.code,
        enhanced_code=EnhancedCode(status.class_, status.subject, status.detail) if status else None,
        content=" ".join(answer.text.split()),
        command=command,
    )


def _notices(draft: Draft) -> list[Notice]:
    """Delayed and success notices of a report (contract 2, the table's last line)."""
    report = draft.report
    if report is None or not report.is_usable:
        return []
    return [Notice(recipient=one.address, action=one.action, status=one.status) for one in report.notices]


def _left_out(draft: Draft) -> int:
    """How many failed recipients and notices of a report have no record, since it names too many."""
    if draft.report is None or not draft.report.is_usable:
        return 0
    failed = len(draft.report.failed) if draft.is_logged else 0
    return sum(max(0, number - draft.share) for number in (failed, len(draft.report.notices)))
