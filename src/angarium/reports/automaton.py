"""Which of these clues does a text show? Whole tables of patterns in one pass, in time linear in the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import re2

from angarium.reports.clues import Clue

MAX_AUTOMATON: Final = 32 << 20  # octets that one table's automaton may grow to


class Clues:
    """A table of clues compiled into one automaton."""

    def __init__(self, table: Sequence[Clue]) -> None:
        options = _options()
        self._table = table
        self._set = re2.Set.SearchSet(options)
        for clue in table:
            self._set.Add(clue.pattern)
        self._set.Compile()
        self._line = re2.compile("(?im:" + "|".join(f"(?:{clue.pattern})" for clue in table) + ")", options)

    def search(self, text: str) -> tuple[Clue, ...]:
        """The clues that a text shows, in the order of their table."""
        found = self._set.Match(text.encode("utf-8", "replace")) or []
        return tuple(self._table[n] for n in sorted(found))

    def lines(self, text: str) -> frozenset[int]:
        """The numbers of the lines that show a clue; `$` is the end of a line here."""
        octets = text.encode("utf-8", "replace")
        return frozenset(octets.count(b"\n", 0, match.start()) for match in self._line.finditer(octets))


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = MAX_AUTOMATON
    return options
