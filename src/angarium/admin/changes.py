"""How is a change of an option, told as a line of TOML, written into a policy file that is a program?

The whole line is told, as it is to stand, so that applying the change leaves a program. What cannot be said
so (a list over several lines, an entry that a table in the program holds) has no change: None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import msgspec

from angarium.policy.edits import Change
from angarium.policy.flips import Flip


class _Dialect(NamedTuple):
    """How a language writes a listener's options."""

    option: re.Pattern[str]
    listen: re.Pattern[str]
    """The option that each listener has."""
    written: str


_OPTION = re.compile(r"relay_hosts = \[(?P<items>.*)\]")
_DIALECTS = {
    ".lua": _Dialect(
        re.compile(r"\brelay_hosts\s*=\s*\{[^{}]*\}"),
        re.compile(r"\blisten\s*=\s*(?:\"[^\"]*\"|'[^']*')"),
        "relay_hosts = {{ {} }}",
    ),
    ".py": _Dialect(
        re.compile(r"([\"'])relay_hosts\1\s*:\s*\[[^\[\]]*\]"),
        re.compile(r"([\"'])listen\1\s*:\s*(?:\"[^\"]*\"|'[^']*')"),
        '"relay_hosts": [{}]',
    ),
}


def as_written(flip: Flip, lines: Sequence[str]) -> Flip | None:
    """A flip in the language of the file of its own change, which has these lines."""
    change = change_as_written(Change(flip.action, flip.file, flip.line, flip.text), lines)
    if change is None:
        return None
    return msgspec.structs.replace(flip, action=change.action, line=change.line, text=change.text)


def change_as_written(change: Change, lines: Sequence[str]) -> Change | None:
    """One change: of a program as a whole line of it, else as it is."""
    dialect = _DIALECTS.get(PurePath(change.file).suffix)
    if dialect is None:
        return change
    option = _OPTION.fullmatch(change.text)
    number = change.line if change.action == "replace" else change.line - 1
    if option is None or not 0 < number <= len(lines):
        return None
    written = dialect.written.format(option["items"])
    if change.action == "replace":
        text, count = dialect.option.subn(lambda _: written, lines[number - 1])
    else:
        text, count = dialect.listen.subn(lambda found: f"{found[0]}, {written}", lines[number - 1])
    return Change("replace", change.file, number, text) if count == 1 else None
