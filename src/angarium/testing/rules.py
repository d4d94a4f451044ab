"""What a sink does on purpose: refuse, delay, hang or drop, at a stage, for some addresses, some of the time.

A rule is written `STAGE[:PATTERN][=VALUE][:CHANCE]`:

    rcpt=450 4.2.1 Try later:0.1        every tenth recipient is refused for now
    rcpt:*@slow.example=2s              recipients of one domain are answered after two seconds
    content:20%                         after the final dot of every fifth message

PATTERN is matched without regard to case, `*` stands for anything and `?` for one character. It is compared
with the client's address (`connect`), its name (`ehlo`), the sender (`mail`), the recipient (`rcpt`), and
with every recipient from `data` on. Raises RuleError, whose text is for the person who wrote the rule.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

STAGES = ("connect", "ehlo", "mail", "rcpt", "data", "content", "rset", "quit")

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+) ?(ms|s|m|)")
_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0}


class RuleError(ValueError):
    """A rule that cannot be understood; the text says what is wrong and what to write."""


class Action(Enum):
    """What a rule does."""

    REFUSE = "refuse"
    DELAY = "delay"
    HANG = "hang"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `reply` (no CRLF) belongs to refusals, `seconds` to delays; no `pattern` fits everything."""

    action: Action
    stage: str
    pattern: re.Pattern[str] | None = None
    chance: float = 1.0
    reply: bytes = b""
    seconds: float = 0.0

    def fits(self, subjects: Sequence[str]) -> bool:
        """True if one of the addresses of the stage matches."""
        return self.pattern is None or any(self.pattern.fullmatch(subject) for subject in subjects)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens now: wait `delay` seconds, then act (None: answer as a server that accepts everything)."""

    delay: float = 0.0
    action: Action | None = None
    reply: bytes = b""


ACCEPT = Verdict()


class Rules:
    """All rules of a sink. `seed` makes chances repeatable."""

    def __init__(self, rules: Iterable[Rule] = (), *, by_name: bool = True, seed: int | None = None) -> None:
        self._by_stage: dict[str, list[Rule]] = {}
        for rule in rules:
            self._by_stage.setdefault(rule.stage, []).append(rule)
        self._by_name = by_name
        self._random = random.Random(seed)  # noqa: S311 (dice, not secrets)

    def verdict(self, stage: str, subjects: Sequence[str] = ()) -> Verdict:
        """Throw the dice of every rule that fits; delays add up, the first of the others decides."""
        rules = self._by_stage.get(stage)
        if rules:
            verdict = self._throw(rules, subjects)
            if verdict is not ACCEPT:
                return verdict
        if stage == "rcpt" and self._by_name:
            return _verdict_by_name(subjects[0])
        return ACCEPT

    def _throw(self, rules: list[Rule], subjects: Sequence[str]) -> Verdict:
        struck = [rule for rule in rules if rule.fits(subjects) and self._random.random() < rule.chance]
        if not struck:
            return ACCEPT
        delay = sum(rule.seconds for rule in struck)
        for rule in struck:
            if rule.action is not Action.DELAY:
                return Verdict(delay, rule.action, rule.reply)
        return Verdict(delay)


# Local parts that ask for a refusal, so that a test needs no rule for it.
_NAMES = {
    "full": b"452 4.2.2 Mailbox full",
    "full-enh": b"452 4.1.1 Mailbox full",
    "tempfail": b"400 4.0.0 Refused for now, as the name asks",
    "permfail": b"500 5.0.0 Refused for good, as the name asks",
}
_CODE_NAME = re.compile(r"([45])(\d\d)-")


def _verdict_by_name(recipient: str) -> Verdict:
    local_part = recipient.rpartition("@")[0].lower()
    reply = _NAMES.get(local_part)
    if reply is None:
        match = _CODE_NAME.match(local_part)
        if match is None:
            return ACCEPT
        reply = f"{match[1]}{match[2]} {match[1]}.0.0 Refused, as the name asks".encode()
    return Verdict(0.0, Action.REFUSE, reply)


# STAGE[:PATTERN][=VALUE][:CHANCE]; a pattern may hold `=` and `:`, so what a value looks like decides.
_HEAD = r"(?P<stage>[a-z]+)(?::(?P<pattern>.+?))??"
_CHANCE = r"(?::(?P<chance>\d*\.?\d+%?))?"
_VALUES = {
    Action.REFUSE: r"(?:=(?P<value>[45]\d\d(?: [ -~]*?)?))?",
    Action.DELAY: r"=(?P<value>[^=:]+)",
    Action.HANG: "",
    Action.DROP: "",
}
_GRAMMAR = {action: re.compile(_HEAD + value + _CHANCE) for action, value in _VALUES.items()}
_EXAMPLES = {
    Action.REFUSE: "rcpt=450 4.2.1 Try later:0.1",
    Action.DELAY: "rcpt:*@slow.example=500ms",
    Action.HANG: "data:0.1",
    Action.DROP: "content:0.1",
}


def parse_rule(action: Action, text: str) -> Rule:
    """Read one rule; raises RuleError."""
    match = _GRAMMAR[action].fullmatch(text.strip())
    if match is None:
        raise RuleError(f"{text!r} is not a rule: write for example {_EXAMPLES[action]!r}")
    stage, pattern, chance = match["stage"], match["pattern"], match["chance"]
    if stage not in STAGES:
        raise RuleError(f"{stage!r} is not a stage: take one of {', '.join(STAGES)}")
    value = match.groupdict().get("value")
    return Rule(
        action,
        stage,
        pattern=_pattern(pattern),
        chance=_chance(chance),
        reply=(value or "450 4.3.2 Try later").encode("ascii") if action is Action.REFUSE else b"",
        seconds=parse_duration(value) if action is Action.DELAY and value else 0.0,
    )


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.IGNORECASE | re.DOTALL)


def _chance(text: str | None) -> float:
    if text is None:
        return 1.0
    chance = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    if not 0 <= chance <= 1:
        raise RuleError(f"{text!r} is no probability: write 0.1 or 10%")
    return chance


def parse_duration(text: str) -> float:
    """Read `0.5`, `500ms`, `2s` or `1m` as seconds; raises RuleError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise RuleError(f"{text!r} is not a duration: write 0.5, 500ms, 2s or 1m")
    return float(match[1]) * _UNITS[match[2]]
