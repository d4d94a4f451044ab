"""Which fields does this report state? Blocks of `Name: value` lines, as in RFC 3464 section 2.1 and RFC
5965.

Each field is read on its own: a line that is none continues the one before, an empty line more or less
changes nothing, and what cannot be understood stays as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Final

from angarium.mail.mime import MAX_VALUE, decode_words
from angarium.reports.values import Mta, Texts

MAX_FIELDS: Final = 5000  # lines with something on them, of all parts of a message
MAX_LINES: Final = 20_000  # of all parts of a message, empty ones too
Field = tuple[str, str]

_LINE = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,60})[ \t]{0,9}:(?!//)[ \t]*(.*)")
_TYPED = re.compile(r"\s*([A-Za-z][\w/.-]{0,40})\s*;\s*(.*)", re.DOTALL)
_BRACKETS = re.compile(r"<([^<>\s]+)>")
_ADDRESS = re.compile(r"(?:\"[^\"\n]{1,64}\"|[^\s<>\"',;()\[\]]{1,200})@[^\s<>\"',;()]{1,255}")
# The Internet address inside an X.400 address (RFC 2156 section 4.1): `/RFC-822=user(a)example.com/`.
_X400 = re.compile(r"(?:RFC-?822|SMTP)\s*[=:;]\s*([^/;]+)", re.IGNORECASE)
_COMMENT = re.compile(r"\s*\([^()]*\)\s*$")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_UNITEXT = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")  # RFC 6533 section 3


def read_blocks(texts: Iterable[str]) -> list[list[Field]]:
    """The blocks between empty lines, each as its fields in order, names in lower case.

    The texts are all parts of one message: together they get no more than one message may cost.
    """
    blocks: list[list[Field]] = [[]]
    count = 0
    for line in islice(_lines(texts), MAX_LINES):
        if line.strip():
            count += 1
            if count > MAX_FIELDS:
                break
            _read_line(line, blocks[-1])
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of each text, and an empty one after it."""
    for text in texts:
        yield from text.split("\n", MAX_LINES)
        yield ""


def _read_line(line: str, block: list[Field]) -> None:
    match = _LINE.match(line)
    if match is not None:
        block.append((match[1].lower(), match[2].strip()))
    elif block and len(block[-1][1]) < MAX_VALUE:
        name, value = block[-1]
        block[-1] = name, f"{value} {line.strip()}".strip()


def gather(fields: Iterable[Field]) -> Texts:
    """The values of each name, in order."""
    texts: dict[str, list[str]] = {}
    for name, value in fields:
        texts.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in texts.items()}


def typed(value: str) -> tuple[str | None, str]:
    """Split `type; value` (RFC 3464 section 2.1.2); the type in lower case, None where it is missing."""
    match = _TYPED.match(value[:MAX_VALUE])
    return (match[1].lower(), match[2].strip()) if match else (None, value[:MAX_VALUE].strip())


def read_mta(value: str) -> Mta | None:
    """An MTA name (RFC 3464 section 2.1.2); the type is `dns` where it is missing."""
    kind, name = typed(value)
    name = _COMMENT.sub("", name)
    return Mta(mta_type=kind or "dns", name=name) if name else None


def read_address(value: str) -> tuple[str, str] | None:
    """Type and address of a recipient field, without brackets and comments; None where there is none.

    An address with control characters, decoded ones too, is none.
    """
    kind, text = typed(value.replace("\t", " "))
    text = _UNITEXT.sub(_from_hex, decode_words(text)) if kind == "utf-8" else decode_words(text)
    if has_controls(text):
        return None  # what stands between them is not the address either
    if "@" in text and kind not in {"x400", "x500"}:
        match = _BRACKETS.search(text) or _ADDRESS.search(text)
        if match is not None:
            return kind or "rfc822", clean_address(match[1] if match.re is _BRACKETS else match[0])
    inner = _X400.search(text) if kind == "x400" else None
    if inner is not None and "(a)" in inner[1]:
        return "x400", clean_address(inner[1].replace("(a)", "@").replace("(p)", "%").replace("(u)", "_"))
    text = clean_address(_COMMENT.sub("", text))
    return (kind or "unknown", text) if text else None


def has_controls(text: str) -> bool:
    """Characters that no address holds, and that could end a line or steer a terminal."""
    return _CONTROL.search(text) is not None


def _from_hex(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""


def unxtext(text: str) -> str:
    """Undo xtext (RFC 3461 section 4), which many leave in the field that they copy from ORCPT."""
    return _XTEXT.sub(lambda match: chr(int(match[1], 16)), text)


def clean_address(text: str) -> str:
    """An address without brackets, quotes around the whole, or the punctuation of the sentence about it."""
    text = text.strip().strip("<>").strip()
    if text.lower().startswith(("mailto:", "smtp:")):
        text = text.partition(":")[2]
    if text.startswith(("'", '"')) and "@" in text and not text.partition("@")[0].endswith('"'):
        text = text.strip("'\"")
    return text.rstrip(".,:;'`>)")


def read_date(value: str) -> str | None:
    """An RFC 5322 date as RFC 3339 text; None where it cannot be read. A missing or unknown zone is UTC."""
    try:
        moment = parsedate_to_datetime(value[:100])
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
