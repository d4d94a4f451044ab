"""Where does each part of a table stand? Table constructors of a Lua file (manual, section 3.4.9), by line.

Values are not worked out: running the file gives them. A constructor is found again by the line of its brace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from angarium.lua.tokens import Token
from angarium.policy.source import Key, KeyPath

_OPEN, _CLOSE = frozenset("({["), frozenset(")}]")
_BLOCKS = frozenset({"function", "if", "do"})


@dataclass
class TableText:
    """One constructor: its line, and the line and nested table of each field (array items count from 0)."""

    line: int
    fields: dict[Key, tuple[int, TableText | None]] = field(default_factory=dict)

    def lines(self, *path: Key) -> Iterator[tuple[KeyPath, int]]:
        """The line of the table and of everything in it, by path."""
        yield path, self.line
        for key, (line, below) in self.fields.items():
            yield (*path, key), line
            if below is not None:
                yield from (item for item in below.lines(*path, key) if item[0] != (*path, key))


def read_table(found: Sequence[Token], start: int) -> tuple[TableText, int]:
    """The constructor whose brace is at `start`, and the index after its closing brace."""
    table = TableText(found[start].line)
    at, items = start + 1, 0
    while at < len(found) and found[at].value != "}":
        key, value = _key(found, at)
        if key is None:
            key, items = items, items + 1
        line = found[at].line
        below, at = _value(found, value)
        table.fields[key] = (line, below)
        at += at < len(found) and found[at].kind == "mark" and found[at].value in ",;"
    return table, at + 1


def _key(found: Sequence[Token], at: int) -> tuple[Key | None, int]:
    """The key of the field at `at`, None for an array item, and where its value begins."""
    token, after = found[at], found[at + 1 : at + 4]
    if token.kind == "name" and after and after[0].value == "=":
        return token.value, at + 2
    if token.kind == "mark" and token.value == "[":
        if len(after) == 3 and after[1].value == "]" and after[2].value == "=":
            return after[0].value, at + 4
        return f"[{token.line}]", _after_bracket(found, at)
    return None, at


def _after_bracket(found: Sequence[Token], at: int) -> int:
    end = skip(found, at)
    return end + 1 if end < len(found) and found[end].value == "=" else end


def _value(found: Sequence[Token], at: int) -> tuple[TableText | None, int]:
    """The nested table, if the value is one, and where the value ends."""
    below = None
    if at < len(found) and found[at].kind == "mark" and found[at].value == "{":
        below, at = read_table(found, at)
    while at < len(found) and not (found[at].kind == "mark" and found[at].value in ",;}"):
        at = skip(found, at)
        below = None
    return below, at


def skip(found: Sequence[Token], at: int) -> int:
    """The index after the token at `at`, or after what it opens: brackets, or a block that `end` closes."""
    token = found[at]
    if token.kind == "mark" and token.value in _OPEN:
        return _after(found, at, _OPEN, _CLOSE, "mark")
    if token.kind == "name" and token.value in _BLOCKS:
        return _after(found, at, _BLOCKS, frozenset({"end"}), "name")
    return at + 1


def _after(
    found: Sequence[Token], at: int, opening: frozenset[str], closing: frozenset[str], kind: str
) -> int:
    depth = 0
    while at < len(found):
        token = found[at]
        if token.kind == kind:
            depth += (token.value in opening) - (token.value in closing)
        at += 1
        if depth == 0:
            break
    return at


_WORDS = {"true": True, "false": False}


def literals(found: Sequence[Token], start: int) -> tuple[dict[Key, Any], bool]:
    """The fields of the constructor at `start` whose values are written out, and whether all are."""
    given: dict[Key, Any] = {}
    is_whole, at, items = True, start + 1, 0
    while at < len(found) and found[at].value != "}":
        key, value = _key(found, at)
        if key is None:
            key, items = items, items + 1
        _, end = _value(found, value)
        is_literal, made = _literal(found, value, end)
        is_whole = is_whole and is_literal
        if is_literal:
            given[key] = made
        at = end + (end < len(found) and found[end].kind == "mark" and found[end].value in ",;")
    return given, is_whole


def _literal(found: Sequence[Token], start: int, end: int) -> tuple[bool, Any]:
    """Whether a value is written out, and the value."""
    token = found[start] if start < end else None
    if token is None:
        return False, None
    if token.kind == "mark" and token.value == "{":
        given, is_whole = literals(found, start)
        is_list = given and all(isinstance(key, int) for key in given)
        return is_whole, list(given.values()) if is_list else given
    if end != start + 1:
        return False, None
    if token.kind == "text":
        return True, token.value
    if token.kind == "number" and token.value.isdecimal():
        return True, int(token.value)
    return token.value in _WORDS, _WORDS.get(token.value)
