"""A Lua file as tokens, each with its line (Lua 5.4 reference manual, section 3.1).

It reads valid files; what it does not know it skips, since running the file will say what is wrong with it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TOKEN = re.compile(
    r"(?P<blank>\s+|--(?!\[=*\[)[^\n]*|--\[(?P<c>=*)\[.*?\](?P=c)\]|^\#[^\n]*)"
    r"|(?P<name>[A-Za-z_]\w*)"
    r"|\[(?P<l>=*)\[\r?\n?(?P<long>.*?)\](?P=l)\]"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<number>0[xX][\da-fA-F.]+(?:[pP][+-]?\d+)?|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<mark>\.\.\.|\.\.|::|==|~=|<=|>=|<<|>>|//|.)",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(z\s*|x[\da-fA-F]{2}|\d{1,3}|u\{[\da-fA-F]+\}|\n|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Token(NamedTuple):
    """`kind` is `name`, `text`, `number` or `mark`; the value of a text is without its quotes."""

    kind: str
    value: str
    line: int


def tokens(source: str) -> list[Token]:
    """Every token of the source but blanks and comments."""
    found, line = [], 1
    for match in _TOKEN.finditer(source):
        kind = match.lastgroup or ""
        if kind in ("long", "text"):
            value = match["long"] if match["long"] is not None else _unquoted(match["text"])
            found.append(Token("text", value, line))
        elif kind in ("name", "number", "mark"):
            found.append(Token(kind, match[0], line))
        line += match[0].count("\n")
    return found


def _unquoted(text: str) -> str:
    return _ESCAPE.sub(_unescaped, text[1:-1]) if "\\" in text else text[1:-1]


def _unescaped(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] == "z":
        return ""
    if code[0] == "x":
        return chr(int(code[1:], 16))
    if code[0] == "u" and len(code) > 1:
        return chr(int(code[2:-1], 16))
    return chr(int(code)) if code.isdigit() else _PLAIN.get(code, code)
