"""What stands in a configuration file, and on which line?

Reads one TOML or JSON file (by its name: `.json` is JSON) into plain data, and finds the line of every table
header, key and array item, so that problems and decisions can name the line that the operator wrote. Parsers
know no lines once they are done; one scan of the text, after it has proved to be valid, finds them.

Refuses, as problems with file and line: files that cannot be read, that others may write, that are not UTF-8,
that do not parse, that say the same key twice. It does not judge what the data mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import tomli

from angarium.policy.config import ConfigError, Problem, Source

Key = str | int
KeyPath = tuple[Key, ...]

MAX_FILE_SIZE = 256 * 1024 * 1024

_copies: ContextVar[Mapping[Path, Path]] = ContextVar("copies", default={})  # noqa: B039 - never changed


class Document(msgspec.Struct, frozen=True, eq=False):
    """One file as data. `source` tells where a part of it was written."""

    file: str
    """As the operator would recognise it: relative to the working directory where it is below it."""
    path: Path
    """Absolute."""
    data: dict[str, Any]
    digest: bytes
    """SHA-256 of the octets."""
    lines: dict[KeyPath, int]
    """Line, from 1, of each table, key and array item that does not stand on the line of what holds it."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said in it: how a file looks that an editor or a copy has just truncated."""
        return not self.data

    def source(self, *path: Key) -> Source:
        """Where the part under these keys and array indexes was written; else what holds it."""
        while path:
            line = self.lines.get(path)
            if line is not None:
                return Source(self.file, line)
            path = path[:-1]
        return Source(self.file, self.lines.get((), 1))


def shown_path(path: Path) -> str:
    """The path as an operator would recognise it: relative to the working directory where it is below it."""
    absolute = path.absolute()
    try:
        return str(absolute.relative_to(Path.cwd()))
    except ValueError:
        return str(absolute)


@contextmanager
def reading_copies(copies: Mapping[Path, Path]) -> Iterator[None]:
    """Meanwhile read the copies of these files, by their absolute paths, instead of the files."""
    token = _copies.set(copies)
    try:
        yield
    finally:
        _copies.reset(token)


def is_file(path: Path) -> bool:
    """Whether there is a file to read."""
    return path.absolute() in _copies.get() or path.is_file()


def read_document(path: Path, named_at: Source | None = None) -> Document:
    """Read a TOML or JSON file; raises ConfigError, at `named_at` where the file cannot be read."""
    return parse_document(read_octets(path, named_at), path)


def read_octets(path: Path, named_at: Source | None = None) -> bytes:
    """Read a file that only its owner (and group) may write or replace; raises ConfigError."""
    shown = shown_path(path)
    where = named_at or Source(shown, 1)
    path = _copies.get().get(path.absolute(), path)
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError([Problem(where, f"{shown} is no regular file: name a file")])
            if mode & stat.S_IWOTH:
                text = f"{shown} can be written by every user of this machine: chmod o-w {shown}"
                raise ConfigError([Problem(where, text)])
            _check_folder(path.parent, where)
            content = file.read(MAX_FILE_SIZE + 1)
    except OSError as error:
        raise ConfigError([Problem(where, f"cannot read {shown}: {error.strerror or error}")]) from None
    except ValueError:  # a NUL in the name
        raise ConfigError([Problem(where, f"not a file name: {shown!r}")]) from None
    if len(content) > MAX_FILE_SIZE:
        raise ConfigError([Problem(where, f"{shown} is larger than {MAX_FILE_SIZE} octets")])
    return content


def _check_folder(folder: Path, where: Source) -> None:
    """Whoever may write a folder may put another file in the place of one; not where it is sticky."""
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        shown = shown_path(folder)
        text = f"every user of this machine can put other files into the folder {shown}: chmod o-w {shown}"
        raise ConfigError([Problem(where, text)])


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting, as a pipe would have a reader wait for somebody who writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def parse_document(content: bytes, path: Path) -> Document:
    """Parse the octets of a TOML or JSON file; raises ConfigError."""
    shown = shown_path(path)
    text = _decode(content, shown)
    try:
        data, lines = (_parse_json if path.suffix == ".json" else _parse_toml)(text, shown)
    except RecursionError:
        raise ConfigError([Problem(Source(shown, 1), "nested too deeply")]) from None
    digest = hashlib.sha256(content).digest()
    return Document(shown, path.absolute(), data, digest, lines)


def _decode(content: bytes, shown: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(Source(shown, line), "not UTF-8: save the file as UTF-8")]) from None


# TOML 1.1: key = simple-key / dotted-key. The text has been parsed before, so that these may be generous.
# Only sets of characters are repeated possessively: before 3.11.5 such a repeat of a group matched wrongly.
_BASIC = r'"(?!"")[^"\\\n]*+(?:\\.[^"\\\n]*+)*"'
_LITERAL = r"'(?!'')[^'\n]*+'"
_PART = rf"(?:[A-Za-z0-9_-]++|{_BASIC}|{_LITERAL})"
_KEY = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*"
_LONG = (
    r'"""[^"\\]*+(?:(?:\\[\s\S]|"(?!""(?!")))[^"\\]*+)*"""'
    r"|'''[^']*+(?:'(?!''(?!'))[^']*+)*'''"
)
_BLANK = r"\s*+(?:\#[^\n]*+\s*+)*"
_BLANK_AND_COMMA = r"[\s,]*+(?:\#[^\n]*+[\s,]*+)*"
_SCALAR = r"[^\s\"'\[\]{},\#](?:[^\n\"'\[\]{},\#]*[^\s\"'\[\]{},\#])?"
# A value that ends on its own line needs no further look: what it holds stands on that line too.
_ARRAY = rf"\[(?:[^\n\"'\[\]{{}}\#]++|{_BASIC}|{_LITERAL})*\]"
_INLINE = rf"\{{(?:[^\n\"'\[\]{{}}\#]++|{_BASIC}|{_LITERAL}|{_ARRAY})*\}}"

_PART_RE = re.compile(_PART)
_STATEMENT = re.compile(
    rf"{_BLANK}(?:(?P<table>\[\[?)[ \t]*+(?P<header>{_KEY})[ \t]*+\]\]?"
    rf"|(?P<key>{_KEY})[ \t]*+=[ \t]*+(?P<value>(?:{_BASIC}|{_LITERAL}|{_SCALAR}|{_ARRAY}|{_INLINE})?))"
)
_PAIR = re.compile(rf"{_BLANK_AND_COMMA}(?P<key>{_KEY}){_BLANK}={_BLANK}")
_TO_VALUE = re.compile(_BLANK_AND_COMMA)
_FLAT_VALUE = re.compile(rf"{_LONG}|{_BASIC}|{_LITERAL}|{_SCALAR}")


def _parse_toml(text: str, shown: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    text = text.replace("\r\n", "\n")
    try:
        data = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigError([Problem(Source(shown, error.lineno), _toml_trouble(error, text))]) from None
    except ValueError as error:  # an impossible date, say
        raise ConfigError([Problem(Source(shown, 1), f"not valid TOML: {error}")]) from None
    return data, _TomlScan(text).lines


def _toml_trouble(error: tomli.TOMLDecodeError, text: str) -> str:
    if error.msg.startswith(("Cannot overwrite", "Cannot declare")):
        end = error.pos + len("]]") * text.startswith("]", error.pos)
        first = _RepeatScan(text[:end]).first
        above = f"on line {first} already" if first else "above already"
        return f"this table or key stands {above}: say it once"
    if error.msg.startswith("Duplicate"):
        return "this key stands above already: say it once"
    return f"not valid TOML: {error.msg[0].lower()}{error.msg[1:]}"


class _TomlScan:
    """One pass over valid TOML that notes the line of each header, key and array item."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._line = 1
        self._counted = 0
        self._arrays: dict[KeyPath, int] = {}
        """Arrays of tables: the index of the last table of each."""
        self._statements()

    def _line_at(self, position: int) -> int:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _statements(self) -> None:
        table: KeyPath = ()
        position = 0
        while statement := _STATEMENT.match(self._text, position):
            position = statement.end()
            opening, header, raw_key, value = statement.groups()
            if opening:
                table = self._header(opening, _key_parts(header), self._line_at(statement.start("table")))
                continue
            key = self._key(table, raw_key, self._line_at(statement.start("key")))
            if not value:
                position = self._value(position, key)

    def _header(self, opening: str, parts: list[str], line: int) -> KeyPath:
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._latest((*path, part))
            self.lines.setdefault(path, line)
        path = (*path, parts[-1])
        if opening == "[[":
            self.lines.setdefault(path, line)
            self._arrays[path] = self._arrays.get(path, -1) + 1
            path = self._latest(path)
        self.lines[path] = line
        return path

    def _latest(self, path: KeyPath) -> KeyPath:
        index = self._arrays.get(path)
        return path if index is None else (*path, index)

    def _key(self, table: KeyPath, raw: str, line: int) -> KeyPath:
        path = table
        for part in _key_parts(raw):
            path = (*path, part)
            self.lines.setdefault(path, line)
        return path

    def _value(self, position: int, path: KeyPath) -> int:
        """Walk over a value that may span lines; returns where it ends."""
        if self._text.startswith("[", position):
            return self._items(position + 1, path)
        if self._text.startswith("{", position):
            return self._pairs(position + 1, path)
        flat = _FLAT_VALUE.match(self._text, position)
        assert flat is not None, "valid TOML has a value here"
        return flat.end()

    def _items(self, position: int, path: KeyPath) -> int:
        for index in count():
            position = self._skip(_TO_VALUE, position)
            if self._text.startswith("]", position):
                break
            self.lines[(*path, index)] = self._line_at(position)
            position = self._value(position, (*path, index))
        return position + 1

    def _pairs(self, position: int, path: KeyPath) -> int:
        while pair := _PAIR.match(self._text, position):
            key = self._key(path, pair["key"], self._line_at(pair.start("key")))
            position = self._value(pair.end(), key)
        return self._skip(_TO_VALUE, position) + 1

    def _skip(self, pattern: re.Pattern[str], position: int) -> int:
        match = pattern.match(self._text, position)
        return match.end() if match else position


class _RepeatScan(_TomlScan):
    """A pass over TOML that is valid but for its last statement, which repeats another."""

    def __init__(self, text: str) -> None:
        self.first: int | None = None
        """The line of what the last statement says again; None where it is not known."""
        super().__init__(text)

    def _header(self, opening: str, parts: list[str], line: int) -> KeyPath:
        self._look(parts)
        return super()._header(opening, parts, line)

    def _key(self, table: KeyPath, raw: str, line: int) -> KeyPath:
        self._look(_key_parts(raw), table)
        return super()._key(table, raw, line)

    def _look(self, parts: list[str], path: KeyPath = ()) -> None:
        self.first = None
        for part in parts:
            self.first = self.lines.get((*path, part), self.first)
            path = self._latest((*path, part))


def _key_parts(raw: str) -> list[str]:
    if raw[0] not in "\"'" and "." not in raw:
        return [raw]
    return [_unquote(part) for part in _PART_RE.findall(raw)]


def _unquote(part: str) -> str:
    if part[0] == "'":
        return part[1:-1]
    if part[0] != '"':
        return part
    if "\\" not in part:
        return part[1:-1]
    return next(iter(tomli.loads(f"{part} = 0")))


_JSON_TOKEN = re.compile(
    r'(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*")(?P<key>\s*+:)?|(?P<mark>[{}\[\]])|(?P<bare>[^\s"{}\[\],:]++)'
)


def _parse_json(text: str, shown: str) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    try:
        data = json.loads(text, parse_constant=_refuse_constant) if text.strip() else {}
    except json.JSONDecodeError as error:
        problem = Problem(
            Source(shown, error.lineno), f"not valid JSON: {error.msg[0].lower()}{error.msg[1:]}"
        )
        raise ConfigError([problem]) from None
    except ValueError as error:
        raise ConfigError([Problem(Source(shown, 1), f"not valid JSON: {error}")]) from None
    if not isinstance(data, dict):
        raise ConfigError([Problem(Source(shown, 1), "the file must hold one JSON object: { ... }")])
    lines, problems = _scan_json(text, shown)
    if problems:
        raise ConfigError(problems)
    return data, lines


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _scan_json(text: str, shown: str) -> tuple[dict[KeyPath, int], list[Problem]]:
    """Note the line of each key and array item; a key that stands twice in one object is a problem."""
    lines: dict[KeyPath, int] = {}
    problems: list[Problem] = []
    held_in: list[tuple[KeyPath, Iterator[int] | None]] = [((), None)]
    path: KeyPath = ()
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        string, is_key, mark, _ = token.groups()
        line, counted = line + text.count("\n", counted, token.start()), token.start()
        if mark in ("}", "]"):
            held_in.pop()
            continue
        holder, indexes = held_in[-1]
        if is_key:
            path = (*holder, string[1:-1] if "\\" not in string else json.loads(string))
            if path in lines:
                problems.append(_said_twice(path, shown, line, lines[path]))
            lines.setdefault(path, line)
        elif indexes is not None:
            path = (*holder, next(indexes))
            lines[path] = line
        if mark:
            held_in.append((path, count() if mark == "[" else None))
    return lines, problems


def _said_twice(path: KeyPath, shown: str, line: int, first: int) -> Problem:
    return Problem(Source(shown, line), f'"{path[-1]}" stands twice; first on line {first}: say it once')
