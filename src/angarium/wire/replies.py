"""What a server answers: replies (RFC 5321 section 4.2) and the extensions it offers (section 4.1.1.1).

Answers "which reply is this?" of octets cut in any way. Tolerant of texts, strict about structure: whatever
is no reply raises NotAReply once, and so does a reply longer than any server has reason to send.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache

from angarium.mail.status import Reply, reply
from angarium.wire.framing import Octets, as_bytes, split_lines

MAX_LINE = 4096  # octets; RFC 5321 section 4.5.3.1.5 allows 512, real servers send more
MAX_LINES = 200

_SHORT = 80
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)


class NotAReply(Exception):  # noqa: N818  (said of the octets, not of us)
    """What the server sent is no reply."""


class ReplyReader:
    """Reads replies off the octets a server sends."""

    __slots__ = ("_code", "_rest", "_texts", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        """Lines that came in and have not been looked at."""
        self._rest = b""
        """What came of the line after them."""
        self._code = b""
        self._texts: list[str] = []
        """Of the reply that has not come to its end."""

    def receive_data(self, data: Octets) -> None:
        """Take in octets."""
        lines = split_lines(self._rest + as_bytes(data))
        self._rest = lines.pop()
        self._waiting += lines

    @property
    def ended_by_lf(self) -> bytes | None:
        """What came of a line, where it ends with a bare LF: that ends none (RFC 5321 section 2.3.8), but its
        server may think so.
        """
        return self._rest[:_SHORT].strip() if self._rest.endswith(b"\n") else None

    @property
    def has_buffered_input(self) -> bool:
        """Whether octets, or lines of an unfinished reply, are waiting."""
        return bool(self._waiting or self._rest or self._texts)

    def next_reply(self) -> Reply | None:
        """The next whole reply, or None; raises NotAReply."""
        while self._waiting:
            line = self._waiting.popleft()
            if len(line) <= _SHORT and not self._texts:
                answer = _short_reply(line)
                if answer is not None:
                    return answer
            if len(line) > MAX_LINE or len(self._texts) >= MAX_LINES:
                raise NotAReply("a reply that is too long")
            if self._add(line):
                text, self._texts = "\n".join(self._texts), []
                return reply(int(self._code), text)
        if len(self._rest) > MAX_LINE + 1:  # one more: the last octet may be the CR of a line that just fits
            raise NotAReply("a line that is too long")
        return None

    def _add(self, line: bytes) -> bool:
        """Take in one line; tells whether it was the last of its reply."""
        match = _LINE.fullmatch(line)
        if match is None or (self._texts and match[1] != self._code):
            raise NotAReply(f"not a reply: {line[:80]!r}")
        self._code = match[1]
        self._texts.append((match[3] or b"").decode("utf-8", "replace").replace("\n", " "))
        return match[2] != b"-"


@lru_cache(maxsize=1024)
def _short_reply(line: bytes) -> Reply | None:
    """A reply of one short line, or None where it is something else. Most replies come again and again."""
    match = _LINE.fullmatch(line)
    if match is None or match[2] == b"-":
        return None
    return reply(int(match[1]), (match[3] or b"").decode("utf-8", "replace").replace("\n", " "))


@dataclass(frozen=True, slots=True)
class PeerExtensions:
    """What a server offered in its reply to EHLO or LHLO."""

    size: int | None = None
    """SIZE in octets, 0 where it names no limit; None: not offered (RFC 1870)."""
    pipelining: bool = False
    eight_bit: bool = False
    smtputf8: bool = False
    starttls: bool = False
    auth: tuple[str, ...] = ()
    """SASL mechanisms, upper case."""
    dsn: bool = False
    chunking: bool = False
    enhanced: bool = False

    @classmethod
    def read(cls, answer: Reply) -> PeerExtensions:
        """Read the keyword lines below the first line of a positive reply to EHLO."""
        offered: dict[str, list[str]] = {}
        for line in answer.text.split("\n")[1:]:
            # AUTH=LOGIN is how servers of the last century spoke; they still do.
            keyword, *values = line.upper().replace("AUTH=", "AUTH ", 1).split() or [""]
            offered.setdefault(keyword, []).extend(values)
        return cls(
            size=_size(offered.get("SIZE")),
            pipelining="PIPELINING" in offered,
            eight_bit="8BITMIME" in offered,
            smtputf8="SMTPUTF8" in offered,
            starttls="STARTTLS" in offered,
            auth=tuple(dict.fromkeys(offered.get("AUTH", ()))),
            dsn="DSN" in offered,
            chunking="CHUNKING" in offered,
            enhanced="ENHANCEDSTATUSCODES" in offered,
        )


def _size(values: list[str] | None) -> int | None:
    if values is None:
        return None
    text = values[0] if values else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 20 else 0
