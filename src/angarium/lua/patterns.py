"""Matching Lua's patterns in linear time: those that Lua's own matcher might take too long for.

Lua's matcher backtracks, and nothing can interrupt it: content that somebody else wrote could hold up a
worker. A pattern without `%b`, `%f` and references to captures is a regular expression (Lua 5.4 reference
manual, section 6.4.1), and RE2 finds the same match in it: the leftmost, the first of several ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import re2

_QUANTIFIERS = {"*": "*", "+": "+", "-": "*?", "?": "?"}
_ALL = frozenset(range(256))
_CLASSES = {
    "a": "A-Za-z",
    "c": "\0-\x1f\x7f",
    "d": "0-9",
    "g": "!-~",
    "l": "a-z",
    "p": "!-/:-@\\[-`{-~",
    "s": "\t-\r ",
    "u": "A-Z",
    "w": "A-Za-z0-9",
    "x": "0-9A-Fa-f",
}
_CLASS_OCTETS = {
    name: frozenset(octet for octet in _ALL if re.fullmatch(f"[{text}]", chr(octet)))
    for name, text in _CLASSES.items()
}
_CLASS_OCTETS |= {name.upper(): _ALL - octets for name, octets in _CLASS_OCTETS.items()}


class Match(NamedTuple):
    """Where it begins and ends, as offsets; captures are texts, or positions as Lua counts."""

    start: int
    end: int
    captures: tuple[bytes | int, ...]


class Matcher:
    """One pattern; raises ValueError where it is none, or not regular."""

    def __init__(self, pattern: str, *, is_anchored: bool) -> None:
        translation = _Translation(pattern)
        options = re2.Options()
        options.encoding = re2.Options.Encoding.LATIN1
        options.dot_nl = True
        options.log_errors = False
        self._positions = translation.positions
        self._is_anchored = is_anchored
        try:
            self._compiled = re2.compile(translation.text.encode("latin-1"), options)
        except re2.error as error:
            raise ValueError(f"malformed pattern ({error})") from None

    def find(self, text: bytes, start: int) -> Match | None:
        """The first match at `start` or after it; at it alone if the pattern is anchored."""
        look = self._compiled.match if self._is_anchored else self._compiled.search
        found = look(text, start)
        return None if found is None else Match(found.start(), found.end(), self._captures(found))

    def all(self, text: bytes, start: int) -> Iterator[Match]:
        """Match after match: an empty one does not follow directly on another (manual, gsub and gmatch)."""
        at, last = start, -1
        while at <= len(text) and (found := self.find(text, at)) is not None:
            if found.end == last:
                at = found.start + 1
                continue
            yield found
            if self._is_anchored:
                return
            at = last = found.end

    def _captures(self, found: Any) -> tuple[bytes | int, ...]:
        return tuple(
            found.start(index) + 1 if is_position else found.group(index)
            for index, is_position in enumerate(self._positions, 1)
        )


@lru_cache(maxsize=256)
def matcher(pattern: str, is_anchored: bool) -> Matcher:
    """The matcher of a pattern without its anchor."""
    return Matcher(pattern, is_anchored=is_anchored)


class _Translation:
    """A pattern as a regular expression, and which of its captures are positions."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._open: list[int] = []
        self.positions: list[bool] = []
        self.text = "".join(self._parts())
        if self._open:
            raise ValueError("unfinished capture")

    def _parts(self) -> Iterator[str]:
        while self._at < len(self._pattern):
            yield self._part()

    def _part(self) -> str:
        character = self._pattern[self._at]
        if character == "(":
            return self._begin()
        if character == ")":
            return self._end()
        if character == "$" and self._at == len(self._pattern) - 1:
            self._at += 1
            return r"\z"
        octets = self._single()
        quantifier = _QUANTIFIERS.get(self._pattern[self._at : self._at + 1], "")
        self._at += bool(quantifier)
        return _shown(octets) + quantifier

    def _begin(self) -> str:
        is_position = self._pattern[self._at + 1 : self._at + 2] == ")"
        self.positions.append(is_position)
        self._at += 1 + is_position
        if is_position:
            return "()"
        self._open.append(len(self.positions))
        return "("

    def _end(self) -> str:
        if not self._open:
            raise ValueError("invalid pattern capture")
        self._open.pop()
        self._at += 1
        return ")"

    def _single(self) -> frozenset[int]:
        """The octets that the item here matches."""
        character = self._take()
        if character == ".":
            return _ALL
        if character == "[":
            return self._set()
        if character != "%":
            return frozenset({ord(character)})
        escaped = self._take()
        if escaped in "bf" or escaped.isdigit():
            raise ValueError(f"%{escaped} cannot be matched in a text of this length: use a simpler pattern")
        return _CLASS_OCTETS.get(escaped, frozenset({ord(escaped)}))

    def _set(self) -> frozenset[int]:
        found: frozenset[int] = frozenset()
        is_complement = self._pattern[self._at : self._at + 1] == "^"
        self._at += is_complement
        is_first = True
        while is_first or self._pattern[self._at : self._at + 1] != "]":
            found |= self._of_set()
            is_first = False
        self._at += 1
        return _ALL - found if is_complement else found

    def _of_set(self) -> frozenset[int]:
        character = self._take()
        if character == "%":
            escaped = self._take()
            return _CLASS_OCTETS.get(escaped, frozenset({ord(escaped)}))
        after = self._pattern[self._at : self._at + 2]
        if len(after) == 2 and after[0] == "-" and after[1] != "]":
            self._at += 2
            return frozenset(range(ord(character), ord(after[1]) + 1))
        return frozenset({ord(character)})

    def _take(self) -> str:
        if self._at >= len(self._pattern):
            self._malformed()
        self._at += 1
        return self._pattern[self._at - 1]

    def _malformed(self) -> NoReturn:
        raise ValueError("malformed pattern (it ends too early)")


def _shown(octets: frozenset[int]) -> str:
    """A class of RE2's."""
    if not octets:
        return r"[^\x00-\xff]"
    ranges: list[list[int]] = []
    for octet in sorted(octets):
        if ranges and ranges[-1][1] == octet - 1:
            ranges[-1][1] = octet
        else:
            ranges.append([octet, octet])
    return "[" + "".join(f"\\x{first:02x}-\\x{last:02x}" for first, last in ranges) + "]"
