"""Regular expressions that mean the same in every Python that we run on."""

from __future__ import annotations

import re
from pathlib import Path

import angarium

SOURCES = sorted(Path(angarium.__file__).parent.rglob("*.py"))
POSSESSIVE_GROUP = re.compile(r"""\)(?:[*+?]|\{[0-9,]+\})\+["')|(\\]""")


def test_groups_are_not_repeated_possessively() -> None:
    """Before 3.11.5 a possessive repeat of a group gave wrong matches: only sets of characters have one."""
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if POSSESSIVE_GROUP.search(line)
    ]
    assert not found
    assert POSSESSIVE_GROUP.search(r'x = r"(?:a|b)*+"')
