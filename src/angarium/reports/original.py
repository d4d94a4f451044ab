"""What does the report return of our message? Its header fields, from a part of its own or from the end of
a text.

Every value is marked `derived`: the report quotes it, nobody states it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

from angarium.mail.mime import MAX_HEADER, Fields, Part, decode_transfer, decode_words, read_fields, split
from angarium.mail.trace import may_be_reference
from angarium.reports.fields import clean_address
from angarium.reports.values import Mark, Original

RETURNED_TYPES: Final = frozenset(
    {
        "message/rfc822", "text/rfc822-headers", "text/rfc822-header", "text/rfc822",
        "message/rfc822-headers",        "message/global", "message/global-headers", "message/partial",
    }
)  # fmt: skip
MAX_QUOTED: Final = 1000  # characters of a field of the returned message
MAX_TRACES: Final = 8  # fields that look like our trace header: other hosts may write such fields too
MAX_RETURNED: Final = 1 << 16  # octets of the returned message that a record keeps
_FIELDS: Final = {
    "message_id": "message-id",
    "sender": "from",
    "to": "to",
    "subject": "subject",
    "date": "date",
    "list_unsubscribe": "list-unsubscribe",
    "feedback_id": "cfbl-feedback-id",
}
# Who the returned message was for, the most telling field first.
_RECIPIENT_FIELDS: Final = ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to", "to", "cc", "bcc")
_OF_ALL: Final = frozenset({"message-id", "from", "received"})  # fields that every message has one of
_NAMED_MESSAGE = re.compile(r"""filename\*?=[^;]{0,200}\.eml["']?\s*(?:;|$)""", re.IGNORECASE)
_FOR = re.compile(r"\bfor\s+<?([^\s<>;@]{1,80}@[^\s<>;,]{1,255}?)>?(?:;|\s|$)", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>\"'(),;:\[\]]{1,80}@[^\s<>\"'(),;:\[\]]{1,255}")


def returned_fields(part: Part) -> Fields:
    """The header fields of a part that returns our message, wholly or in part."""
    octets = decode_transfer(part.body[: 2 * MAX_HEADER], part.get("content-transfer-encoding"))
    return read_fields(split(octets.lstrip(b"\r\n"))[0])


def returned_text(parts: Sequence[Part]) -> str | None:
    """The last part that returns a message, as text with LF as line end, cut at `MAX_RETURNED`."""
    part = next((p for p in reversed(parts) if p.parent is not None and _returns(p)), None)
    if part is None:
        return None
    octets = decode_transfer(part.body[: 2 * MAX_RETURNED], part.get("content-transfer-encoding"))
    return octets[:MAX_RETURNED].replace(b"\r\n", b"\n").decode("utf-8", "replace")


def find_returned(parts: Sequence[Part]) -> Fields:
    """The fields of the last part that returns a message, outermost first; empty where there is none.

    A file that is called a message (`x.eml`) is one where it has the fields of one, whatever its type.
    """
    for part in reversed(parts):
        if part.parent is not None and _returns(part):
            fields = returned_fields(part)
            if fields and (part.media_type in RETURNED_TYPES or _OF_ALL & fields.keys()):
                return fields
    return {}


def _returns(part: Part) -> bool:
    return part.media_type in RETURNED_TYPES or _is_called_message(part)


def _is_called_message(part: Part) -> bool:
    """A file of no type that says something, with the name of a message."""
    return part.media_type == "application/octet-stream" and (
        part.parameters.get("name", "").lower().endswith(".eml")
        or _NAMED_MESSAGE.search(part.get("content-disposition")) is not None
    )


def read_original(fields: Fields) -> Original | None:
    """The values that help to find our message; None where there is none of them."""
    values = {
        name: decode_words(fields[field][0])[:MAX_QUOTED]
        for name, field in _FIELDS.items()
        if fields.get(field, [""])[0]
    }
    traces = _find_traces(fields)
    marks: dict[str, Mark] = dict.fromkeys(values, "derived")
    return Original(**values, traces=traces, marks=marks) if values or traces else None


def _find_traces(fields: Fields) -> tuple[str, ...]:
    """The values of our trace header, whatever its name: the X- fields that look like one, up to a bound."""
    likely = (
        value
        for name, values in fields.items()
        if name.startswith("x-")
        for value in values
        if may_be_reference(value)
    )
    return tuple(islice(likely, MAX_TRACES))


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
