"""What does a rule file say? Its patterns by class, which addresses are dead, and on which line each stands.

The shape is the reference's: one table `rules`, class name → list of RE2 patterns, in TOML or JSON. Three
more judge addresses by class: `dead_address`, and what a `yes` there needs (`evidence`) or fears
(`doubts`). Promises that whatever is wrong is told with its line. Refuses to read files itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal

import msgspec
import tomli

UNCATEGORIZED: Final = "Uncategorized"
CLASSES: Final = (
    "AuthenticationFailed", "AutoReply", "BadConfiguration", "BadConnection", "BadDomain",
    "ChallengeResponse", "ContentRelated", "DNSFailure", "InactiveMailbox", "InvalidRecipient",
    "InvalidSender", "MessageExpired", "NoAnswerFromHost", "PolicyRelated", "ProhibitedAttachment",
    "ProtocolErrors", "QuotaIssues", "RelayDenied", "RelayingIssues", "RoutingErrors", "SpamBlock",
    "SpamContent", "SpamRelated", "Subscribe", "TooManyRecipients", "TransientFailure", "Unsubscribe",
    "VirusRelated", UNCATEGORIZED,
)  # fmt: skip
"""The reference's classes (B7). Any other name is a class of the operator's."""
NEAR: Final = 0.85  # likeness from which on a name is taken for a slip of the pen

DeadAddress = Literal["yes", "no", "unknown"]
_ANSWERS: Final = ("yes", "no", "unknown")
_OF_PATTERNS: Final = ("rules", "evidence", "doubts")
_TABLES: Final = (*_OF_PATTERNS, "dead_address")


class RuleError(ValueError):
    """A rule file that cannot be used: which one, the line (from 1) where it is known, and what is wrong."""

    def __init__(self, file: str, line: int | None, text: str) -> None:
        super().__init__(f"{file}:{line}: {text}" if line else f"{file}: {text}")
        self.file = file
        self.line = line
        self.text = text


class Rule(msgspec.Struct, frozen=True):
    """One pattern, and where it stands."""

    bounce_class: str
    pattern: str
    file: str
    line: int | None
    """Counted from 1; None where the text gives no hint."""


class RuleFile(msgspec.Struct, frozen=True):
    """One file, read; its patterns are not compiled yet."""

    name: str
    rules: tuple[Rule, ...]
    dead_address: Mapping[str, DeadAddress]
    evidence: tuple[Rule, ...]
    doubts: tuple[Rule, ...]
    lines: Mapping[tuple[str, str], int | None]
    """The line of each table's key, by (table, key)."""


def read_rule_file(name: str, text: str) -> RuleFile:
    """Read one file, JSON where its name ends so, else TOML. Raises RuleError."""
    data = _parsed(name, text)
    places = _Places(name, text)
    if not isinstance(data, dict):
        raise RuleError(name, 1, f"a rule file has tables {_listed(_TABLES)}")
    for table, rows in data.items():
        if table not in _TABLES:
            slip = nearest(table, _TABLES)
            raise RuleError(name, places.line(table), f"no table of a rule file: `{table}`; {_wanted(slip)}")
        if not isinstance(rows, dict):
            raise RuleError(name, places.line(table), f"`{table}` is a table, class name = value")
    dead_address = data.get("dead_address", {})
    for key, answer in dead_address.items():
        if answer not in _ANSWERS:
            raise RuleError(name, places.line("dead_address", key), f"`{key}` is {_listed(_ANSWERS, 'or')}")
    patterns = {table: tuple(_rules(places, table, data.get(table, {}))) for table in _OF_PATTERNS}
    lines = {(table, key): places.line(table, key) for table in data for key in data[table]}
    return RuleFile(name=name, dead_address=dead_address, lines=lines, **patterns)


def nearest(name: str, known: tuple[str, ...], likeness: float = NEAR) -> str | None:
    """The known name that `name` is probably meant to be."""
    plain = {_plain(one): one for one in known}
    near = get_close_matches(_plain(name), plain, 1, likeness)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _wanted(slip: str | None) -> str:
    return f"did you mean `{slip}`?" if slip else f"there are {_listed(_TABLES)}"


def _listed(names: tuple[str, ...], word: str = "and") -> str:
    quoted = [f"`{name}`" for name in names]
    return f"{', '.join(quoted[:-1])} {word} {quoted[-1]}"


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text) if name.endswith(".json") else tomli.loads(text)
    except (tomli.TOMLDecodeError, json.JSONDecodeError) as error:
        raise RuleError(name, error.lineno, f"not valid: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise RuleError(name, None, f"not valid: {error}") from None


def _rules(places: _Places, table: str, rows: Mapping[str, Any]) -> Iterator[Rule]:
    for key, patterns in rows.items():
        start = places.line(table, key)
        if not isinstance(patterns, list):
            raise RuleError(places.name, start, f"`{key}` is a list of patterns: write {key} = ['...']")
        for pattern in patterns:
            line = places.pattern_line(start, pattern)
            if not isinstance(pattern, str):
                raise RuleError(places.name, line, f"a pattern of `{key}` is text in quotes, not {pattern!r}")
            if not pattern.strip():
                raise RuleError(places.name, line, f"an empty pattern of `{key}` would match every reply")
            yield Rule(key, pattern, places.name, line)
            start = line or start


class _Places:
    """On which lines a text has its tables, keys and patterns. A scan of lines, not a second parser."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines = text.split("\n")
        self._tables: dict[str, int] = {}
        self._keys: dict[tuple[str, str], int] = {}
        within = _JSON if name.endswith(".json") else _TOML
        table = ""
        for number, line in enumerate(self._lines, 1):
            for match in within.finditer(line):
                word = match["table"] or match["key"]
                if match["table"]:
                    table = word
                    self._tables.setdefault(word, number)
                self._keys.setdefault((table, word), number)

    def line(self, table: str, key: str | None = None) -> int | None:
        """The line of a key in its table, else the table's own."""
        found = self._keys.get((table, key)) if key is not None else None
        return found or self._tables.get(table) or self._keys.get(("", table))

    def pattern_line(self, start: int | None, pattern: object) -> int | None:
        """The first line from `start` on that writes a value; `start` where none can be made out."""
        first = (start or 1) - 1
        written = _written(pattern)
        lines = enumerate(self._lines[first:], first + 1)
        return next((n for n, line in lines if any(one in line for one in written)), start)


# `[table]`, also of unknown names; `key =`, a bare or quoted key at the beginning of a line.
_TOML = re.compile(
    r"^\s*(?:\[\s*[\"']?(?P<table>[^\[\]\"'.]+?)[\"']?\s*\]|[\"']?(?P<key>[^\s\"'=#\[\]]+)[\"']?\s*=)"
)
# `"table": {` and `"key": ...`, wherever they stand on a line.
_JSON = re.compile(r"\"(?:(?P<table>[^\"\\]+)\"\s*:\s*\{|(?P<key>[^\"\\]+)\"\s*:)")


def _written(value: object) -> tuple[str, ...]:
    """The ways in which TOML and JSON write a value."""
    if not isinstance(value, str):
        return (json.dumps(value, default=str),)
    return f"'{value}'", f'"{value}"', json.dumps(value), json.dumps(value, ensure_ascii=False)
