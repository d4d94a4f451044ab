"""What does the report return of our message? Its header fields, from a part of its own or from the end of
a text.

Every value is marked `derived`: the report quotes it, nobody states it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from angarium.mail.mime import MAX_HEADER, Fields, Part, decode_transfer, decode_words, read_fields, split
from angarium.mail.trace import TRACE_FIELD
from angarium.reports.fields import clean_address
from angarium.reports.values import Mark, Original

RETURNED_TYPES: Final = frozenset(
    {
        "message/rfc822", "text/rfc822-headers", "text/rfc822-header", "text/rfc822",
        "message/rfc822-headers",        "message/global", "message/global-headers", "message/partial",
    }
)  # fmt: skip
_FIELDS: Final = {
    "message_id": "message-id",
    "sender": "from",
    "to": "to",
    "subject": "subject",
    "date": "date",
    "list_unsubscribe": "list-unsubscribe",
    "feedback_id": "cfbl-feedback-id",
    "trace": TRACE_FIELD.lower(),
}
# Who the returned message was for, the most telling field first.
_RECIPIENT_FIELDS: Final = ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to", "to", "cc", "bcc")
_FOR = re.compile(r"\bfor\s+<?([^\s<>;@]{1,80}@[^\s<>;,]{1,255}?)>?(?:;|\s|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>\"'(),;:\[\]]{1,80}@[^\s<>\"'(),;:\[\]]{1,255}")


def returned_fields(part: Part) -> Fields:
    """The header fields of a part that returns our message, wholly or in part."""
    octets = decode_transfer(part.body[: 2 * MAX_HEADER], part.get("content-transfer-encoding"))
    return read_fields(split(octets.lstrip(b"\r\n"))[0])


def find_returned(parts: Sequence[Part]) -> Fields:
    """The fields of the last part that returns a message, outermost first; empty where there is none."""
    for part in reversed(parts):
        if part.media_type in RETURNED_TYPES and part.parent is not None:
            fields = returned_fields(part)
            if fields:
                return fields
    return {}


def read_original(fields: Fields) -> Original | None:
    """The values that help to find our message; None where there is none of them."""
    values = {
        name: decode_words(fields[field][0]) for name, field in _FIELDS.items() if fields.get(field, [""])[0]
    }
    marks: dict[str, Mark] = dict.fromkeys(values, "derived")
    return Original(**values, marks=marks) if values else None


def recipients_of(fields: Fields) -> tuple[str, ...]:
    """The addresses that the returned message was for, as far as its header tells."""
    for name in _RECIPIENT_FIELDS:
        found = _addresses(fields.get(name, ()))
        if found:
            return found
    hops = (match[1] for value in fields.get("received", ()) for match in _FOR.finditer(value))
    return tuple(dict.fromkeys(hops))[:1]


def _addresses(values: Iterable[str]) -> tuple[str, ...]:
    found = (clean_address(text) for value in values for text in _ADDRESS.findall(decode_words(value)))
    return tuple(dict.fromkeys(found))
