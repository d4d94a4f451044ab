"""What does this reply mean? Its bounce class, by rules that operators can read and write.

Rules are files in the reference's shape: one table `rules`, class name → list of RE2 patterns. All patterns
of all files are one ordered list, the first that matches decides, and one pass in linear time finds it. A
`Classifier` is a value: a reload makes a new one. Refuses to read files itself; hand it their texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec
import re2
import tomli

from angarium.reports.values import Reply

UNCATEGORIZED: Final = "Uncategorized"
MAX_TEXT: Final = 4000  # characters of a reply that are classified
CACHE_SIZE: Final = 1024
MAX_AUTOMATON: Final = 64 << 20  # octets that the automaton of all rules may grow to

DeadAddress = Literal["yes", "no", "unknown"]


class RuleError(ValueError):
    """A rule file that cannot be used; the text says which file and what is wrong."""


class Rule(msgspec.Struct, frozen=True):
    """One pattern, and where it stands."""

    bounce_class: str
    pattern: str
    file: str
    line: int | None
    """Counted from 1; None where the text gives no hint (JSON on one line)."""


class Verdict(msgspec.Struct, frozen=True):
    """What a reply means."""

    bounce_class: str
    rule: Rule | None
    dead_address: DeadAddress


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rules: dict[str, list[str]] = {}
    dead_address: dict[str, DeadAddress] = {}


class Classifier:
    """An immutable set of rules, compiled. Safe to share; remembers the latest answers."""

    def __init__(self, rules: Iterable[Rule], dead_address: Mapping[str, DeadAddress]) -> None:
        self.rules = tuple(rules)
        self._dead_address = dict(dead_address)
        self._set = _compile(self.rules)
        self.classify = lru_cache(maxsize=CACHE_SIZE)(self._classify)

    @classmethod
    def load(cls, texts: Iterable[tuple[str, str]]) -> Classifier:
        """Make a classifier from (file name, text) pairs, the first file first; raises RuleError."""
        rules: list[Rule] = []
        dead_address: dict[str, DeadAddress] = {}
        for name, text in texts:
            content = _read(name, text)
            rules.extend(_rules(name, text, content))
            dead_address = {**content.dead_address, **dead_address}
        return cls(rules, dead_address)

    def _classify(self, text: str) -> Verdict:
        """The class of a reply's text: `550 5.1.1 No such user`, on one line or several."""
        line = " ".join(text[:MAX_TEXT].split())
        found = self._set.Match(line.encode("utf-8", "replace")) if self.rules else None
        if not found:
            return Verdict(UNCATEGORIZED, None, "unknown")
        rule = self.rules[min(found)]
        dead = self._dead_address.get(rule.bounce_class, "unknown")
        if dead == "yes" and not _is_permanent(line):
            dead = "unknown"
        return Verdict(rule.bounce_class, rule, dead)

    def classify_reply(self, reply: Reply) -> Verdict:
        """The class of a reply taken apart: what a record's `response` holds."""
        return self.classify(str(reply))


def _is_permanent(line: str) -> bool:
    return not line.startswith("4") or not line[:3].isdigit()


def _compile(rules: tuple[Rule, ...]) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_AUTOMATON
    compiled = re2.Set.SearchSet(options)
    for rule in rules:
        try:
            compiled.Add(rule.pattern)
        except re2.error as error:
            where = f"{rule.file}:{rule.line}" if rule.line else rule.file
            raise RuleError(f"{where}: not an RE2 pattern: {error}") from error
    if rules:
        compiled.Compile()
    return compiled


def _read(name: str, text: str) -> _File:
    try:
        data = json.loads(text) if name.endswith(".json") else tomli.loads(text)
        return msgspec.convert(data, _File)
    except (ValueError, msgspec.ValidationError) as error:
        raise RuleError(f"{name}: {error}") from error


def _rules(name: str, text: str, content: _File) -> Iterator[Rule]:
    lines = enumerate(text.split("\n"), 1)
    number: int | None = None
    for bounce_class, patterns in content.rules.items():
        for pattern in patterns:
            number = next((n for n, line in lines if _holds(line, pattern)), None)
            yield Rule(bounce_class, pattern, name, number)


def _holds(line: str, pattern: str) -> bool:
    """Whether a line of a rule file writes a pattern, quoted in one of the ways of TOML and JSON."""
    return any(
        written in line
        for written in (
            f"'{pattern}'",
            f'"{pattern}"',
            json.dumps(pattern),
            json.dumps(pattern, ensure_ascii=False),
        )
    )
