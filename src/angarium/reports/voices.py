"""Which words of a bounce are its author's? What our own mail was called, and what a server replied, are not.

A bounce quotes both. Neither may speak against it: bounces of orders, invoices and confirmations would be
lost, and so would a reply that says `no longer works here`.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from angarium.reports import clues
from angarium.reports.automaton import Clues
from angarium.reports.reply import reply_start

MAX_COLONS: Final = 4  # colons of a title after which our own may begin

_SUBJECTS = Clues(clues.SUBJECTS)
_QUOTES = Clues(clues.QUOTES)
_COLON = re.compile(r"[:：]")
# Most lines hold neither an address nor the digits of a code, and need no closer look.
_MAY_SAY = re.compile(r"@|[45][0-5]\d")
# A recipient at the start of a line, and what is said of it.
_SAID_OF = re.compile(r"[\s<\"']*[^\s<>\"'(),;:]{1,80}@[^\s<>\"'(),;:]{1,255}[>\"']?\s*:(?=\s)")


def authors_title(subject: str) -> str:
    """What a title says of failure, without the title of our mail behind it: `Undeliverable: Your order`."""
    for colon in islice(_COLON.finditer(subject), MAX_COLONS):
        if any(clue.weight > 2 for clue in _SUBJECTS.search(subject[: colon.end()])):
            return subject[: colon.end()]
    return subject


def quotes_title(words: str) -> bool:
    """Whether some line says what our mail was called."""
    return bool(_QUOTES.lines(words))


def authors_words(words: str) -> str:
    """The words without lines that quote our subject, and without what a server said."""
    quoting = _QUOTES.lines(words)
    kept: list[str] = []
    is_reply = False
    for number, line in enumerate(words.split("\n")):
        if is_reply and line.strip():
            continue
        start = _begin_of_said(line)
        is_reply = start is not None
        if number not in quoting:
            kept.append(line[:start])
    return "\n".join(kept)


def _begin_of_said(line: str) -> int | None:
    """Where a line begins to tell what a server said; it goes on to the end of the paragraph."""
    if _MAY_SAY.search(line) is None:
        return None
    said_of = _SAID_OF.match(line)
    return said_of.end() if said_of else reply_start(line)
