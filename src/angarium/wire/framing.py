"""Lines, content and chunks in a stream of octets (RFC 5321 sections 2.3.8 and 4.5.2, RFC 3030 section 2).

Answers "where does this line, this content, this chunk end?" for what comes in, and makes content safe for
the wire on its way out. It is the only place that knows CRLF and the leading dot: smuggling comes back
through a second copy.

Promises: only CRLF ends a line and only CRLF `.` CRLF ends content; the way the octets were cut into pieces
never changes an answer; memory is bounded by the limits given; content that leaves here, in either direction,
holds no bare CR or LF, and no line that a next hop which drops NUL would take for the end. Refuses to guess:
after a defect the real end is sought all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from io import IncrementalNewlineDecoder

Octets = bytes | bytearray | memoryview

CRLF = b"\r\n"
HEAD = 64
"""Octets that are kept of a line longer than its bound."""

_FINAL = b".\r\n"
_END = CRLF + _FINAL
_DOT_LINE = CRLF + b"."
_ANY_LINE_END = re.compile(rb"\r\n|\r|\n")
_NUL_DOT_LINE = re.compile(rb"(?:\A|(?<=\n))\0+\.\0*(?=\r\n|\Z)")  # one that begins with its dot gets stuffed


class Defect(Enum):
    """Why content cannot be taken."""

    TOO_BIG = "too-big"
    LINE_ENDINGS = "line-endings"
    LONG_LINE = "long-line"


class Input:
    """The octets that came in and have not been taken yet.

    What was received stays the object that it is; only where something has to wait for more is it copied.
    """

    __slots__ = ("_bound", "_dotted", "_dropped", "_overflowed", "_scanned", "_taken", "octets")

    def __init__(self) -> None:
        self.octets: bytes | bytearray = b""
        """What came in; empty as soon as everything was taken."""
        self._taken = 0  # octets at its beginning that were taken already
        self._scanned = 0  # nothing before this position needs to be looked at again
        self._dropped = 0  # octets of the current line that are gone already
        self._dotted = False  # content: a line that begins with a stuffed dot has come
        self._overflowed = False
        self._bound = 0

    def __len__(self) -> int:
        return len(self.octets) - self._taken

    def append(self, data: Octets) -> None:
        """Take in octets."""
        if not self.octets:
            self.octets = data if type(data) is bytes else bytes(data)
            return
        if self._taken or type(self.octets) is bytes:
            self._make_growable()
        self.octets += data

    def _make_growable(self) -> None:
        """Keep what waits in one buffer of its own, so that octets which come one by one cost no more."""
        self.octets = bytearray(memoryview(self.octets)[self._taken :])
        self._scanned -= self._taken
        self._taken = 0

    def _let_go(self) -> None:
        """What was taken is not kept while the rest waits, for minutes perhaps."""
        if self._taken:
            self._make_growable()

    def clear(self) -> None:
        """Forget everything that was not taken."""
        self._take_to(len(self.octets))
        self._dropped = 0

    def _take_to(self, position: int) -> None:
        """What stands before `position` was taken."""
        if position == len(self.octets):
            self.octets = b""
            position = 0
        self._taken = self._scanned = position

    def take_line(self, bound: int) -> tuple[bytes, int] | None:
        """The next line without its CRLF, with its length; None while it is incomplete.

        Of a line longer than `bound` the first HEAD octets are exact and the rest may be missing.
        """
        end = self.octets.find(CRLF, self._scanned)
        if end < 0:
            if self.octets:
                self._await_line_end(bound)
                self._let_go()
            return None
        line, length = self.octets[self._taken : end], end - self._taken + self._dropped
        self._take_to(end + 2)
        self._dropped = 0
        return (line if type(line) is bytes else bytes(line)), length

    @property
    def is_overlong(self) -> bool:
        """Whether the line that is coming has outgrown its bound already."""
        return self._dropped > 0

    def _await_line_end(self, bound: int) -> None:
        length = len(self)
        if length > bound + 1:  # one more: the last octet may be the CR of a line that just fits
            self._dropped += length - HEAD - 1
            self.octets = self.octets[self._taken : self._taken + HEAD] + self.octets[-1:]
            self._taken = 0
        self._scanned = max(self._taken, len(self.octets) - 1)

    def begin_content(self, limit: int) -> None:
        """The next octets are content that ends with CRLF `.` CRLF, and has at most `limit` octets."""
        self._dotted = self._overflowed = False
        # Stuffing makes content longer by a third at most: above that it is certainly over the limit.
        self._bound = limit + limit // 3 + len(_END)

    def take_content(self, limit: int, line_length: int, *, fix: bool) -> bytes | Defect | None:
        """The whole content, unstuffed and checked; None while its end has not come."""
        dot = self._find_final_dot()
        if dot < 0:
            if len(self) > self._bound:
                self._discard_content()
            self._let_go()
            return None
        content = self._cut_content(dot)
        self._take_to(dot + 3)
        return Defect.TOO_BIG if self._overflowed else checked(content, limit, line_length, fix=fix)

    def _find_final_dot(self) -> int:
        """Where it stands, or -1. One scan serves the end and the unstuffing."""
        if not self._dotted:
            dot = self._find_dot()
            if dot < 0:
                return -1
            line = bytes(self.octets[dot : dot + 3])
            if line == _FINAL:
                return dot
            self._dotted = not _FINAL.startswith(line)
        return self._find_end()

    def _find_dot(self) -> int:
        """Where the first dot stands that begins a line, or -1."""
        octets = self.octets
        if self._scanned == self._taken and octets.startswith(b".", self._taken):
            return self._taken  # the CRLF before it is that of the command
        end = octets.find(_DOT_LINE, self._scanned)
        if end < 0:
            self._scanned = max(self._scanned, len(octets) - 2)
            return -1
        self._scanned = end
        return end + 2

    def _find_end(self) -> int:
        octets = self.octets
        end = octets.find(_END, self._scanned)
        if end < 0:
            self._scanned = max(self._scanned, len(octets) + 1 - len(_END))
            return -1
        return end + 2

    def _cut_content(self, dot: int) -> Canonical:
        """What stands before the final dot, unstuffed; `checked` comes next."""
        if self._dotted:
            stuffed = self.octets[self._taken : dot]
            return Canonical(stuffed.removeprefix(b".").replace(_DOT_LINE, CRLF))
        return Canonical(memoryview(self.octets)[self._taken : dot])

    def _discard_content(self) -> None:
        """Keep only what may be the beginning of the end."""
        self.octets = self.octets[1 - len(_END) :]
        self._taken = self._scanned = 0
        self._overflowed = self._dotted = True

    def begin_chunk(self, size: int) -> None:
        """The next `size` octets are a chunk of content (RFC 3030)."""
        self._bound = size

    def take_chunk(self, into: bytearray | None) -> bool:
        """Move what has come of the chunk to `into` (None: drop it); tells whether the chunk is complete."""
        size = min(self._bound, len(self))
        if into is not None:
            into += self.octets[self._taken : self._taken + size]
        self._take_to(self._taken + size)
        self._bound -= size
        return self._bound == 0


def split_lines(octets: bytes) -> list[bytes]:
    """Every line without its CRLF, and at last what stands behind the last CRLF: an unfinished line."""
    return octets.split(CRLF)


class Canonical(bytes):
    """Content that `checked` has looked at: on its way out nobody looks again, unless somebody changed it."""

    __slots__ = ()


def checked(content: bytes, limit: int, line_length: int, *, fix: bool) -> bytes | Defect:
    """Content that is canonical and within its limits (in all; a line, CRLF not counted), or its defect.

    `fix` makes bare CR and LF line ends of their own instead of refusing them.
    """
    if len(content) > limit:
        return Defect.TOO_BIG
    if not is_canonical(content):
        if not fix:
            return Defect.LINE_ENDINGS
        content = Canonical(canonical(content))
    return Defect.LONG_LINE if has_long_line(content, line_length) else content


def is_canonical(content: bytes) -> bool:
    """Whether CR and LF stand only in CRLF, and no line is a dot to those who drop NUL.

    The newline decoder is the one routine of the standard library that tells bare CR, bare LF and CRLF apart
    in one pass; counting them takes three.
    """
    ends = IncrementalNewlineDecoder(None, translate=False)
    ends.decode(content.decode("latin-1"), final=True)
    if ends.newlines not in {None, "\r\n"}:
        return False
    return 0 not in content or _NUL_DOT_LINE.search(content) is None


def canonical(content: bytes) -> bytes:
    """Make every bare CR and every bare LF a CRLF, and take the NULs out of a line of NULs and a dot."""
    return _NUL_DOT_LINE.sub(b".", _ANY_LINE_END.sub(CRLF, content))


def has_long_line(content: bytes, line_length: int) -> bool:
    """Whether content that `is_canonical` and ends with CRLF has a line longer than `line_length` octets.

    Strides from line end to line end as far as a line may reach, so that few lines are touched.
    """
    window = line_length + 2
    position, last, rfind = 0, len(content) - window, content.rfind
    while position < last:
        position = rfind(b"\n", position, position + window) + 1
        if not position:
            return True
    return False


def wire_content(parts: Sequence[Octets]) -> list[Octets]:
    """Content as it goes on the wire: dots stuffed, a final CRLF, and the end (RFC 5321 section 4.5.2).

    Parts that are canonical, end with CRLF and need no stuffing are passed on as they are. What is not
    canonical is made so: a next hop less strict than this one must not find a second message in it.
    """
    out: list[Octets] = []
    for part in _whole_lines(parts):
        out += _stuffed(_canonical_part(part))
    out.append(b".\r\n" if not out or out[-1][-2:] == CRLF else _END)
    return out


def chunk_content(parts: Sequence[Octets]) -> list[Octets]:
    """Content as it goes into a chunk (RFC 3030): canonical as in `wire_content`, with a final CRLF."""
    out: list[Octets] = [_canonical_part(part) for part in _whole_lines(parts)]
    if out and out[-1][-2:] != CRLF:
        out.append(CRLF)
    return out


def _whole_lines(parts: Sequence[Octets]) -> list[Octets]:
    """Parts that end with whole lines, but for the last one."""
    content = [part for part in parts if len(part)]
    return [b"".join(content)] if any(part[-2:] != CRLF for part in content[:-1]) else content


def as_bytes(part: Octets) -> bytes:
    """The octets of a part; nothing is copied that is bytes, of whatever class."""
    return part if isinstance(part, bytes) else bytes(part)


def _canonical_part(part: Octets) -> bytes:
    octets = as_bytes(part)
    if type(octets) is Canonical:
        return octets
    return octets if is_canonical(octets) else canonical(octets)


def _stuffed(octets: bytes) -> Iterable[Octets]:
    if _DOT_LINE in octets:
        octets = octets.replace(_DOT_LINE, b"\r\n..")
    return (b".", octets) if octets[:1] == b"." else (octets,)
