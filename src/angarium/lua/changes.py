"""How is a change of an option, told as a line of TOML, written into a policy file in Lua?

The whole line is told, as it is to stand, so that applying the change leaves a program. What cannot be said
so (a table over several lines, an entry that a table in the program holds) has no change: None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from angarium.policy.edits import Change
from angarium.policy.flips import Flip

_OPTION = re.compile(r"relay_hosts = \[(?P<items>.*)\]")
_TABLE = re.compile(r"\brelay_hosts\s*=\s*\{[^{}]*\}")
_LISTEN = re.compile(r"\blisten\s*=\s*(?:\"[^\"]*\"|'[^']*')")


def flip_in_lua(flip: Flip, lines: Sequence[str]) -> Flip | None:
    """A flip whose own change is of a file in Lua, which has these lines."""
    change = change_in_lua(Change(flip.action, flip.file, flip.line, flip.text), lines)
    if change is None:
        return None
    return msgspec.structs.replace(flip, action=change.action, line=change.line, text=change.text)


def change_in_lua(change: Change, lines: Sequence[str]) -> Change | None:
    """One change as a whole line of the program."""
    option = _OPTION.fullmatch(change.text)
    number = change.line if change.action == "replace" else change.line - 1
    if option is None or not 0 < number <= len(lines):
        return None
    line, items = lines[number - 1], option["items"]
    written = f"relay_hosts = {{ {items} }}" if items else "relay_hosts = {}"
    if change.action == "replace":
        text, count = _TABLE.subn(lambda _: written, line)
    else:
        text, count = _LISTEN.subn(lambda found: f"{found[0]}, {written}", line)
    return Change("replace", change.file, number, text) if count == 1 else None
