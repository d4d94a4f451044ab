"""What does this reply mean? Its bounce class, and whether the address is dead, by rules that operators can
read and write.

All patterns of all rule files (see `rule_file`) are one ordered list, the first that matches decides, and one
pass in linear time finds it. A `Classifier` is a value: a reload makes a new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import re2

from angarium.reports.rule_file import (
    CLASSES,
    UNCATEGORIZED,
    DeadAddress,
    Rule,
    RuleError,
    RuleFile,
    nearest,
    read_rule_file,
)

# Characters of a reply that are classified: the cause stands at its beginning, and every character of words
# that the automaton has not seen in that order costs microseconds.
MAX_TEXT: Final = 600
CACHE_SIZE: Final = 1024
MAX_AUTOMATON: Final = 64 << 20  # octets that the automaton of all rules may grow to
NONSENSE: Final = b"q"  # a reply that no rule is about


class Verdict(msgspec.Struct, frozen=True):
    """What a reply means."""

    bounce_class: str
    rule: Rule | None
    dead_address: DeadAddress


class Warned(msgspec.Struct, frozen=True):
    """Something in a rule file that works, and is probably not meant."""

    file: str
    line: int | None
    text: str


class _Judgement(msgspec.Struct, frozen=True):
    """What one class says of the recipient's address, and the patterns that make a `yes` sure or doubtful."""

    answer: DeadAddress
    evidence: Any = None
    doubts: Any = None

    def of(self, line: str) -> DeadAddress:
        if self.answer != "yes":
            return self.answer
        octets = line.encode("utf-8", "replace")
        if not _is_permanent(line) or (self.doubts is not None and self.doubts.Match(octets)):
            return "unknown"
        return "yes" if self.evidence is None or self.evidence.Match(octets) else "unknown"


_NOTHING: Final = _Judgement("unknown")


class Classifier:
    """An immutable set of rules, compiled. Safe to share; remembers the latest answers.

    Replies of a class and replies of none are remembered apart, so that garbage from strangers displaces
    nothing that is asked again and again.
    """

    def __init__(
        self,
        files: Sequence[RuleFile],
        *,
        cache_size: int = CACHE_SIZE,
        uncategorized_cache_size: int = CACHE_SIZE,
    ) -> None:
        """Compile the rules of these files, the first file first. Raises RuleError."""
        _refuse_unknown(files)
        self.rules = tuple(rule for file in files for rule in file.rules)
        self.warnings = tuple(_slips(files))
        self._judgements = _judgements(files)
        self._set = _compile(self.rules)
        self._known = _Latest(cache_size)
        self._unknown = _Latest(uncategorized_cache_size)

    @classmethod
    def load(cls, texts: Iterable[tuple[str, str]], **cache_sizes: int) -> Classifier:
        """Make a classifier from (file name, text) pairs, the first file first; raises RuleError."""
        return cls([read_rule_file(name, text) for name, text in texts], **cache_sizes)

    def classify(self, text: str) -> Verdict:
        """The class of a reply's text: `550 5.1.1 No such user`, on one line or several."""
        found = self._known.get(text) or self._unknown.get(text)
        if found is None:
            found = self._classify(text)
            (self._known if found.rule else self._unknown).put(text, found)
        return found

    def _classify(self, text: str) -> Verdict:
        line = _beginning(text)
        matching = self._set.Match(line.encode("utf-8", "replace")) if self._set else None
        if not matching:
            return Verdict(UNCATEGORIZED, None, "unknown")
        rule = self.rules[min(matching)]
        judgement = self._judgements.get(rule.bounce_class, _NOTHING)
        return Verdict(rule.bounce_class, rule, judgement.of(line))


def _beginning(text: str) -> str:
    """As much of a reply as is classified, on one line, cut between words."""
    line = " ".join(text[: 2 * MAX_TEXT].split())
    return line if len(line) <= MAX_TEXT else line[: MAX_TEXT + 1].rpartition(" ")[0] or line[:MAX_TEXT]


def _refuse_unknown(files: Sequence[RuleFile]) -> None:
    """A class that is judged and that nothing can have is a slip of the pen."""
    known = dict.fromkeys((*(rule.bounce_class for file in files for rule in file.rules), *CLASSES))
    for file in files:
        for (table, name), line in file.lines.items():
            if name not in known:
                near = nearest(name, tuple(known))
                advice = f"did you mean `{near}`?" if near else "no rule gives it"
                raise RuleError(file.name, line, f"`{table}` names an unknown class `{name}`: {advice}")


def _slips(files: Sequence[RuleFile]) -> Iterator[Warned]:
    """Names of own classes that are nearly those of known ones."""
    for file in files:
        for name in dict.fromkeys(rule.bounce_class for rule in file.rules):
            near = None if name in CLASSES else nearest(name, CLASSES)
            if near is not None:
                text = f"`{name}` is a class of its own: did you mean `{near}`?"
                yield Warned(file.name, file.lines["rules", name], text)


def _judgements(files: Sequence[RuleFile]) -> Mapping[str, _Judgement]:
    """How each class is judged: by the first file that names it in `dead_address`, and by that file alone."""
    found: dict[str, _Judgement] = {}
    for file in files:
        for name, answer in file.dead_address.items():
            if name not in found:
                evidence, doubts = (
                    _compile([rule for rule in rules if rule.bounce_class == name])
                    for rules in (file.evidence, file.doubts)
                )
                found[name] = _Judgement(answer, evidence, doubts)
    return found


class _Latest:
    """Answers by text, the latest so many. Long reports are classified in threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._answers: dict[str, Verdict] = {}

    def get(self, text: str) -> Verdict | None:
        return self._answers.get(text)

    def put(self, text: str, answer: Verdict) -> None:
        try:
            if len(self._answers) >= self._size:
                self._answers.pop(next(iter(self._answers)), None)
        except RuntimeError:
            return  # another thread has just written here: there will be another time
        self._answers[text] = answer


def _is_permanent(line: str) -> bool:
    return not line.startswith("4") or not line[:3].isdigit()


def _compile(rules: Sequence[Rule]) -> Any:
    """The rules as one automaton; None where there are none."""
    if not rules:
        return None
    compiled = re2.Set.SearchSet(_options())
    for rule in rules:
        try:
            compiled.Add(rule.pattern)
        except re2.error:
            raise RuleError(rule.file, rule.line, f"not an RE2 pattern: {_trouble(rule.pattern)}") from None
    try:
        compiled.Compile()
    except re2.error:
        raise _too_large(rules) from None
    _refuse_empty(rules, compiled)
    return compiled


def _refuse_empty(rules: Sequence[Rule], compiled: Any) -> None:
    """A pattern that needs no character is a slip: `x*`, `^(foo|)`. Whoever means every reply writes `.`."""
    for number in sorted(compiled.Match(NONSENSE) or []):
        rule = rules[number]
        found = re2.search(rule.pattern, NONSENSE, _options())
        if found is not None and found.start() == found.end():
            text = (
                f"the pattern {rule.pattern!r} needs no character, so that every reply matches: "
                "write what must be there (`x+`, not `x*`), or '.' if every reply is meant"
            )
            raise RuleError(rule.file, rule.line, text)


def _too_large(rules: Sequence[Rule]) -> RuleError:
    """All rules together need too much memory: the file that brings most, and its largest rule."""
    sizes = {rule: re2.compile(rule.pattern, _options()).programsize for rule in rules}
    by_file: dict[str, int] = {}
    for rule, size in sizes.items():
        by_file[rule.file] = by_file.get(rule.file, 0) + size
    name = max(by_file, key=lambda file: by_file[file])
    largest = max((rule for rule in rules if rule.file == name), key=lambda rule: sizes[rule])
    text = (
        f"{len(rules)} rules together are too large for {MAX_AUTOMATON >> 20} MiB, this file brings most, "
        "and this rule is its largest: write fewer and shorter ones, and bound repetitions (`{1,200}`) lower"
    )
    return RuleError(name, largest.line, text)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_AUTOMATON
    return options


def _trouble(pattern: str) -> str:
    """What is wrong with a pattern, in the words of RE2."""
    try:
        re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0]
        return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return "too large"
