"""Is this message news of our own mail? One bounded pass over its octets, and never an exception.

Answers with a `Report` whose kind is `oob` (an out-of-band bounce), `arf` (a feedback report) or `none`. A
report is first known by the type that an RFC gives it, in any nesting of multiparts but not inside an
embedded message, then by its shape. A part of such a type that no `multipart/report` encloses may be what a
person attached: with a reverse-path it counts as a shape. Receipts of reading, aggregate reports and
vacation notices are none, whatever they look like.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence

import msgspec

from angarium.mail.mime import Part, normalize, text_of, walk
from angarium.reports import arf
from angarium.reports.bounce import is_from_nobody, own_words, read_bounce, told_recipients
from angarium.reports.dsn import choose_status, read_dsn
from angarium.reports.original import (
    RETURNED_TYPES,
    find_returned,
    read_original,
    returned_fields,
    returned_text,
)
from angarium.reports.reply import status_weight
from angarium.reports.values import Bounce, Feedback, Mark, Recipient, Report

STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
FEEDBACK_TYPES = frozenset({"message/feedback-report"})
# What a multipart/report may say that it is, and then is nothing of ours.
OTHER_REPORTS = frozenset({"disposition-notification", "tlsrpt", "dmarc", "dmarc-aggregate", "tls-report"})
OTHER_TYPES = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
MAX_STATUS = 1 << 19  # octets of a delivery-status part: a thousand recipients with what was said of each
OUR_REPORTS = {"delivery-status": STATUS_TYPES, "feedback-report": FEEDBACK_TYPES}
JMRP_FIELD = b"x-hmxmroriginalrecipient"
MAX_JMRP = 1 << 13  # octets of a returned message that are searched for it


def examine(content: bytes, *, null_sender: bool | None = None) -> Report:
    """Tell what kind of report a message is, and what it says. Pure, total, bounded in time and memory.

    `null_sender` says whether it came with the null reverse-path; None where only its header can tell.
    """
    parts = walk(normalize(content.removeprefix(codecs.BOM_UTF8)))
    kinds = {part.media_type for part in parts}
    if _is_other(parts, kinds):
        return Report(kind="none", why="other-report")
    is_null = is_from_nobody(parts[0].fields, null_sender=null_sender)
    feedback = _feedback(parts, kinds, is_null=is_null)
    if feedback is not None:
        return feedback
    if STATUS_TYPES & kinds:
        report = _status(parts, is_null=is_null)
        if report is not None:
            return report
    reading = read_bounce(parts, null_sender=null_sender)
    if reading is not None:
        original = read_original(reading.returned)
        return Report(kind="oob", why=reading.why, by_shape=True, bounce=reading.bounce, original=original)
    if STATUS_TYPES & kinds:
        return Report(kind="oob", why="delivery-status", problem="no recipient in the delivery-status part")
    return Report(kind="none", why="mail")


def _is_other(parts: Sequence[Part], kinds: set[str]) -> bool:
    """A report of another kind: the report type says so, else the first part that is a report's."""
    stated = parts[0].parameters.get("report-type", "").lower()
    if stated in OTHER_REPORTS or not OTHER_TYPES & kinds:
        return stated in OTHER_REPORTS
    if OUR_REPORTS.get(stated, frozenset()) & kinds:
        return False
    first = next(p for p in parts if p.media_type in OTHER_TYPES | STATUS_TYPES | FEEDBACK_TYPES)
    return first.media_type in OTHER_TYPES


def _is_attached(parts: Sequence[Part], kinds: frozenset[str]) -> bool:
    """No part of these types stands in a multipart/report (RFC 6522), at whatever depth."""
    return not any(_is_reported(part) for part in parts if part.media_type in kinds)


def _is_reported(part: Part) -> bool:
    above = part.parent
    while above is not None and above.media_type != "multipart/report":
        above = above.parent
    return above is not None


def _feedback(parts: Sequence[Part], kinds: set[str], *, is_null: bool) -> Report | None:
    """A feedback report: by its part, by its report type, or by Microsoft's own field in what it returns."""
    declared = parts[0].parameters.get("report-type", "").lower() == "feedback-report"
    if FEEDBACK_TYPES & kinds or declared:
        part = next((p for p in parts if p.media_type in FEEDBACK_TYPES), None) or _feedback_text(parts)
        returned = find_returned(parts)
        read = arf.read_arf(text_of(part), _prose(parts), returned) if part else None
        if read is None:
            return Report(
                kind="arf", why="feedback-report", problem="no field of RFC 5965 in the feedback part"
            )
        attached = part is not None and not _is_reported(part)
        return _arf("feedback-report", read, parts, by_shape=attached and not is_null)
    if any(_is_jmrp(p) for p in parts if p.media_type in RETURNED_TYPES):
        read = arf.read_jmrp(_prose(parts), find_returned(parts))
        return _arf("jmrp", read, parts, by_shape=True)
    return None


def _is_jmrp(part: Part) -> bool:
    """Microsoft's field, however it is spelt, in the header section of what is returned."""
    return JMRP_FIELD in part.body[:MAX_JMRP].lower() and JMRP_FIELD.decode() in returned_fields(part)


def _feedback_text(parts: Sequence[Part]) -> Part | None:
    """The part with the feedback fields where its type is wrong."""
    return next(
        (p for p in parts if not p.is_split and "\nfeedback-type:" in "\n" + text_of(p)[:4096].lower()), None
    )


def _arf(why: str, read: Feedback, parts: Sequence[Part], *, by_shape: bool = False) -> Report:
    original = read_original(find_returned(parts))
    whole = msgspec.structs.replace(read, original_message=returned_text(parts))
    return Report(kind="arf", why=why, by_shape=by_shape, feedback=whole, original=original)


def _prose(parts: Sequence[Part]) -> str:
    return next((text_of(p)[:4000] for p in parts if p.media_type == "text/plain" and not p.is_split), "")


def _status(parts: Sequence[Part], *, is_null: bool) -> Report | None:
    """A notification (RFC 3464), completed from its words; None where its fields name nobody."""
    bounce = read_dsn(text_of(part, MAX_STATUS) for part in parts if part.media_type in STATUS_TYPES)
    if bounce is None:
        return None
    words, returned = own_words(parts)
    if any(status_weight(r.status) < 3 or r.reply is None for r in bounce.recipients):
        bounce = _completed(bounce, told_recipients(words, parts[0].fields, returned))
    attached = _is_attached(parts, STATUS_TYPES) and not is_null
    original = read_original(returned)
    return Report(kind="oob", why="delivery-status", by_shape=attached, bounce=bounce, original=original)


def _completed(bounce: Bounce, told: Sequence[Recipient]) -> Bounce:
    """The bounce with replies that only its words tell: some generators leave Diagnostic-Code out."""
    by_address = {one.address.lower(): one for one in told}
    if len(told) == 1 and len(bounce.recipients) == 1:
        by_address.setdefault(bounce.recipients[0].address.lower(), told[0])
    completed = tuple(_complete(one, by_address.get(one.address.lower())) for one in bounce.recipients)
    return msgspec.structs.replace(bounce, recipients=completed)


def _complete(one: Recipient, told: Recipient | None) -> Recipient:
    if told is None or told.reply is None:
        return one
    if one.reply is not None and status_weight(told.reply.enhanced) <= status_weight(one.status):
        return one
    status, mark = choose_status(one.status, told.reply)
    marks: dict[str, Mark] = {"reply": "derived"}
    if told.diagnostic:
        marks["diagnostic"] = "derived"
    return msgspec.structs.replace(
        one,
        status=status,
        reply=one.reply or told.reply,
        diagnostic=one.diagnostic or told.diagnostic,
        marks={**marks, **one.marks, **({"status": mark} if status else {})},
    )
