"""What does this reply mean? Its bounce class, by rules that operators can read and write.

Rules are files in the reference's shape: one table `rules`, class name → list of RE2 patterns. All patterns
of all files are one ordered list, the first that matches decides, and one pass in linear time finds it. A
`Classifier` is a value: a reload makes a new one. Refuses to read files itself; hand it their texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import msgspec
import re2
import tomli

UNCATEGORIZED: Final = "Uncategorized"
MAX_TEXT: Final = 4000  # characters of a reply that are classified
CACHE_SIZE: Final = 1024
MAX_AUTOMATON: Final = 64 << 20  # octets that the automaton of all rules may grow to

DeadAddress = Literal["yes", "no", "unknown"]


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
    """An immutable set of rules, compiled. Safe to share; remembers the latest answers.

    Replies of a class and replies of none are remembered apart, so that garbage from strangers displaces
    nothing that is asked again and again.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        dead_address: Mapping[str, DeadAddress],
        *,
        cache_size: int = CACHE_SIZE,
        uncategorized_cache_size: int = CACHE_SIZE,
    ) -> None:
        self.rules = tuple(rules)
        self._dead_address = dict(dead_address)
        self._set = _compile(self.rules)
        self._known = _Latest(cache_size)
        self._unknown = _Latest(uncategorized_cache_size)

    @classmethod
    def load(cls, texts: Iterable[tuple[str, str]], **cache_sizes: int) -> Classifier:
        """Make a classifier from (file name, text) pairs, the first file first; raises RuleError."""
        rules: list[Rule] = []
        dead_address: dict[str, DeadAddress] = {}
        for name, text in texts:
            content = _read(name, text)
            rules.extend(_rules(name, text, content))
            dead_address = {**content.dead_address, **dead_address}
        return cls(rules, dead_address, **cache_sizes)

    def classify(self, text: str) -> Verdict:
        """The class of a reply's text: `550 5.1.1 No such user`, on one line or several."""
        found = self._known.get(text) or self._unknown.get(text)
        if found is None:
            found = self._classify(text)
            (self._known if found.rule else self._unknown).put(text, found)
        return found

    def _classify(self, text: str) -> Verdict:
        line = " ".join(text[:MAX_TEXT].split())
        matching = self._set.Match(line.encode("utf-8", "replace")) if self.rules else None
        if not matching:
            return Verdict(UNCATEGORIZED, None, "unknown")
        rule = self.rules[min(matching)]
        dead = self._dead_address.get(rule.bounce_class, "unknown")
        if dead == "yes" and not _is_permanent(line):
            dead = "unknown"
        return Verdict(rule.bounce_class, rule, dead)


class _Latest:
    """Answers by text, the latest so many."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: dict[str, Verdict] = {}

    def get(self, text: str) -> Verdict | None:
        return self._answers.get(text)

    def put(self, text: str, answer: Verdict) -> None:
        if len(self._answers) >= self._size:
            del self._answers[next(iter(self._answers))]
        self._answers[text] = answer


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
        except re2.error:
            raise RuleError(rule.file, rule.line, f"not an RE2 pattern: {_trouble(rule.pattern)}") from None
    if rules:
        compiled.Compile()
    return compiled


def _trouble(pattern: str) -> str:
    """What is wrong with a pattern, in the words of RE2."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return "too large"


def _read(name: str, text: str) -> _File:
    try:
        data = json.loads(text) if name.endswith(".json") else tomli.loads(text)
    except (tomli.TOMLDecodeError, json.JSONDecodeError) as error:
        raise RuleError(name, error.lineno, f"not valid: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise RuleError(name, None, f"not valid: {error}") from None
    try:
        return msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise RuleError(name, _line_of(str(error), data, text), _what_is_wrong(str(error))) from None


_PLACE = re.compile(r" - at `(?:key in )?\$\.?(\w*)")


def _line_of(trouble: str, data: Any, text: str) -> int | None:
    """The line of the first key that cannot be what it is, as far as its name tells."""
    place = _PLACE.search(trouble)
    wrong = next(_wrong_keys(data, place[1] if place else ""), None)
    if wrong is None:
        return None
    lines = enumerate(text.split("\n"), 1)
    return next((n for n, line in lines if line.lstrip(" [\"'").startswith(wrong)), None)


def _wrong_keys(data: Any, table: str) -> Iterator[str]:
    if not isinstance(data, dict):
        return
    yield from (str(key) for key in data if key not in _File.__struct_fields__)
    expected: Any = list[str] if table == "rules" else DeadAddress
    rows = data.get(table, {})
    for key, value in rows.items() if isinstance(rows, dict) else [(table, None)]:
        try:
            msgspec.convert(value, expected)
        except msgspec.ValidationError:
            yield str(key)


def _what_is_wrong(trouble: str) -> str:
    return f"{_PLACE.split(trouble)[0]}: a rule file has tables `rules` and `dead_address`"


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
