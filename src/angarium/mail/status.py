"""Replies and enhanced status codes (RFC 5321 section 4.2, RFC 3463), and the predicates on their classes.

Answers "what kind of reply is this?". Nobody else divides a reply code by a hundred.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

_CONTROLS = dict.fromkeys([*range(32), 127], " ") | dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)\s*")


@dataclass(frozen=True, slots=True)
class EnhancedStatus:
    """An enhanced status code `class.subject.detail` (RFC 3463 section 2)."""

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"

    @classmethod
    def parse(cls, text: str) -> EnhancedStatus:
        """Read `5.7.1`; raises ValueError for anything else."""
        status, rest = split_enhanced(text)
        if status is None or rest:
            raise ValueError(f"not an enhanced status code: {text!r}")
        return status


def split_enhanced(text: str) -> tuple[EnhancedStatus | None, str]:
    """Split a leading enhanced status code off a text: `5.1.1 No such user` → (5.1.1, `No such user`)."""
    match = _ENHANCED.match(text)
    if match is None:
        return None, text
    return _status(*match.groups()), text[match.end() :]


@lru_cache(maxsize=512)
def _status(class_: str, subject: str, detail: str) -> EnhancedStatus:
    return EnhancedStatus(int(class_), int(subject), int(detail))


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply. `text` may hold several lines, separated by LF; it never holds CR."""

    code: int
    enhanced: EnhancedStatus | None
    text: str
    disconnects: bool = False
    """The server closes the connection after it, whatever its code is."""
    full_text: str = field(init=False, repr=False, compare=False)
    """The text with the enhanced status code before every line (RFC 2034 section 4)."""
    is_positive: bool = field(init=False, repr=False, compare=False)
    """2yz: the command succeeded."""
    is_refusal: bool = field(init=False, repr=False, compare=False)
    """4yz or 5yz."""
    closes: bool = field(init=False, repr=False, compare=False)
    """The server closes the connection after this reply, as after every 421 (RFC 5321 section 3.8)."""

    def __post_init__(self) -> None:
        """Work out once what is asked each time that the reply is sent."""
        full = self.text
        if self.enhanced is not None:
            status = f"{self.enhanced} "
            full = status + full.replace("\n", "\n" + status)
        keep = object.__setattr__
        keep(self, "full_text", full)
        keep(self, "is_positive", 200 <= self.code < 300)
        keep(self, "is_refusal", 400 <= self.code < 600)
        keep(self, "closes", self.code == 421 or self.disconnects)

    @property
    def is_intermediate(self) -> bool:
        """3yz: the command waits for more."""
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        """4yz: refused for now; the same command may succeed later."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5yz: refused for good."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        return f"{self.code} {self.full_text}"


def reply(code: int, text: str) -> Reply:
    """Make a reply from a code and a text that may begin with an enhanced status code.

    Control characters, which would let a text speak for the server, become spaces, and octets that are not
    UTF-8 U+FFFD; LF separates lines.
    Raises ValueError for a code outside 200 to 599.
    """
    if not 200 <= code <= 599:
        raise ValueError(f"not a reply code: {code}")
    lines = []
    enhanced: EnhancedStatus | None = None
    for line in text.split("\n"):
        status, rest = split_enhanced(line)
        enhanced = enhanced or status
        lines.append((rest if rest.isprintable() else rest.translate(_CONTROLS)).strip())
    return Reply(code, enhanced, "\n".join(lines) or "")
