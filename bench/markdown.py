"""Tables in Markdown, whose columns stand under each other on a terminal too."""

from __future__ import annotations

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """A table; the first `words` columns are words, the others figures, which end at the same place."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    rule = ["-" * width if n < words else "-" * (max(width, 2) - 1) + ":" for n, width in enumerate(widths)]
    return "\n".join("| " + " | ".join(_cells(row, widths, words)) + " |" for row in [head, rule, *rows])


def _cells(row: Sequence[str], widths: Sequence[int], words: int) -> list[str]:
    return [
        cell.ljust(width) if number < words else cell.rjust(max(width, 2))
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
