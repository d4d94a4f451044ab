"""The header section of a message (RFC 5322 section 2.2), read tolerantly and never rewritten.

Answers "which fields stand above the body?" on the octets as they came: LF and CRLF, folded fields, lines
that are no fields at all (real mail has them). Bounded by the caller: it reads only what it is given.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain
from typing import NamedTuple

_END = re.compile(rb"\n\r?\n")  # begins with one octet to look for: forty times as fast
_FIELD = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*(.*(?:\r?\n[ \t].*)*)", re.MULTILINE)
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_NAME = re.compile("[!-9;-~]+")

# What `outline` looks for. The set after the line end is what makes it fast: of other lines no more is read.
_NAMES = rb"(?i:received[ \t]*:)|((?i:message-id:))"
_FIRST = re.compile(_NAMES)
_MARK = re.compile(rb"\n(?=[RrMm\r\n])(?:" + _NAMES + rb"|(\r?\n))")
_MESSAGE_ID = re.compile(rb"\s*(<[^<>\s]{1,900}>)")

_SURROGATES = re.compile("[\ud800-\udfff]")


def readable(text: str) -> str:
    """The text with U+FFFD for each octet that is not UTF-8: what JSON and replies can say."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def header_section(content: bytes) -> bytes:
    """The header section with its last line end; the body is neither read nor copied."""
    if content.startswith((b"\r\n", b"\n")):
        return b""
    match = _END.search(content)
    return content if match is None else content[: match.start() + 1]


class Outline(NamedTuple):
    """What is asked of every message's header section."""

    size: int
    """Its octets, last line end included: as long as `header_section`."""
    hops: int
    """How many Received fields it holds: the hops made so far (RFC 5321 section 6.3)."""
    message_id: str | None
    """The first Message-ID field (RFC 5322 section 3.6.4), as it was written; None where it says none."""


def outline(content: bytes, limit: int = sys.maxsize) -> Outline:
    """Read a header section in one pass; of content that has no empty line in `limit` octets, so much."""
    if content.startswith((b"\r\n", b"\n")):
        return Outline(0, 0, None)
    size, hops, ident = min(len(content), limit), 0, None
    first = _FIRST.match(content, 0, limit)
    for mark in chain(() if first is None else (first,), _MARK.finditer(content, 0, limit)):
        if mark.lastindex is None:
            hops += 1
        elif mark.lastindex == 1:
            ident = ident or mark
        else:
            size = mark.start() + 1
            break
    return Outline(size, hops, None if ident is None else _message_id(content, ident.end(), size))


def has_more_lines(canonical: bytes, size: int, most: int) -> bool:
    """Whether a header section of that `size`, with CRLF alone, has more than so many lines.

    None is empty, so that a line takes three octets at least: short sections are not looked at, and most
    others not in the whole.
    """
    return (
        size > 3 * most
        and canonical.count(b"\r\n", 2 * most, size) >= most // 3
        and canonical.count(b"\r\n", 0, size) > most
    )


def _message_id(content: bytes, start: int, end: int) -> str | None:
    found = _MESSAGE_ID.match(content, start, end)
    return None if found is None else found[1].decode("utf-8", "replace")


def split_content(content: bytes) -> tuple[bytes, bytes]:
    """Split content at the first empty line into header section (with its last line end) and body."""
    section = header_section(content)
    rest = content[len(section) :]
    return section, rest.removeprefix(b"\r\n") if rest.startswith(b"\r") else rest.removeprefix(b"\n")


@dataclass(frozen=True)
class Headers:
    """The fields of a header section. Names compare without case; values are unfolded text.

    Octets that are not UTF-8 are kept as surrogate escapes, so that no value is lost.
    """

    section: bytes

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """Every field in order, as (name as written, unfolded value)."""
        return tuple(_fields(self.section))

    @cached_property
    def _to_search(self) -> bytes:
        """The section as `matching` reads it: each line behind a line end, in lower case."""
        return b"\n" + self.section.lower()

    def get(self, name: str) -> str | None:
        """The first field of that name, or None."""
        return next(self._named(name), None)

    def get_all(self, name: str) -> tuple[str, ...]:
        """All fields of that name, topmost first."""
        return tuple(self._named(name))

    def _named(self, name: str) -> Iterator[str]:
        return (value for _, value in self.matching(name)) if _NAME.fullmatch(name) else iter(())

    def matching(self, *patterns: str) -> Iterator[tuple[str, str]]:
        """The fields of these names, in order; a final `*` stands for everything that begins so.

        Other fields are not looked at one by one: a header section may hold thousands of them.
        """
        wanted = _of_names(tuple(pattern.lower() for pattern in patterns))
        for match in wanted.finditer(self._to_search):
            (begin, end), (start, stop) = match.span(1), match.span(2)
            yield self.section[begin - 1 : end - 1].decode(), _value(self.section[start - 1 : stop - 1])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.fields)


def _fields(section: bytes) -> Iterator[tuple[str, str]]:
    for match in _FIELD.finditer(section):
        name, value = match.groups()
        yield name.decode("ascii"), _value(value)


def _value(octets: bytes) -> str:
    return _FOLD.sub(b"", octets).strip().decode("utf-8", "surrogateescape")


@lru_cache(maxsize=64)
def _of_names(patterns: tuple[str, ...]) -> re.Pattern[bytes]:
    """Fields in lower case: a literal to look for is ten times as fast as letters in both cases."""
    names = b"|".join(
        re.escape(pattern.removesuffix("*").encode()) + (rb"[!-9;-~]*" if pattern.endswith("*") else b"")
        for pattern in patterns
    )
    return re.compile(rb"\n(?=[!-9;-~])(" + names + rb")[ \t]*:[ \t]*(.*(?:\r?\n[ \t].*)*)")
