"""By which signs is a bounce known that follows no RFC? The tables of `rules/shape.toml`, as values."""

from __future__ import annotations

from typing import Final

import msgspec
import tomli

from angarium.reports.rules import read_rules


class Clue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sign: its name, its weight, and the RE2 patterns any of which shows it."""

    word: str
    weight: int
    patterns: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """All patterns as one."""
        return "|".join(f"(?:{pattern})" for pattern in self.patterns)


Table = tuple[Clue, ...]


class _Tables(msgspec.Struct, forbid_unknown_fields=True):
    senders: Table
    subjects: Table
    phrases: Table
    against: Table
    against_words: Table
    mail: Table
    other_goods: Table
    persons: Table
    quotes: Table
    lists: Table
    returned: Table


_TABLES: Final = msgspec.convert(tomli.loads(read_rules("shape.toml")), _Tables)
SENDERS: Final = _TABLES.senders
SUBJECTS: Final = _TABLES.subjects
PHRASES: Final = _TABLES.phrases
AGAINST: Final = _TABLES.against
AGAINST_WORDS: Final = _TABLES.against_words
MAIL: Final = _TABLES.mail
OTHER_GOODS: Final = _TABLES.other_goods
PERSONS: Final = _TABLES.persons
QUOTES: Final = _TABLES.quotes
LISTS: Final = _TABLES.lists
RETURNED: Final = _TABLES.returned
