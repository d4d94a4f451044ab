"""Tables of who may relay where: which policy are they about, and what does each row expect?

A table is a CSV file with a row of names: `from`, `rcpt` and `expected` (a verdict or a reply), and if
wanted `peer`, `auth` (an identity) and `listener`. Lines that begin with `#` are comments; `# policy: PATH`,
relative to the table, names the policy, which otherwise is `policy.py` or `angarium.toml` beside the table.
Every problem is said with file and line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path

from angarium.testing.expectation import VERDICTS, is_expectation
from angarium.testing.server import STRANGER, Mta

NEEDED = ("from", "rcpt", "expected")
COLUMNS = ("peer", "auth", "listener", *NEEDED)
BESIDE = ("policy.py", "angarium.toml")
_PAUSE = 60.0
"""Seconds between two rows: nobody's limits of so much in an hour are what the table is about."""


class TableError(Exception):
    """The table cannot be used; the text says where, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table."""

    line: int
    peer: str
    auth: str | None
    listener: str | None
    sender: str
    recipient: str
    expected: str

    @property
    def title(self) -> str:
        """The row in a few words."""
        who = self.peer + (f" as {self.auth}" if self.auth else "")
        where = f" on {self.listener}" if self.listener else ""
        return f"{self.line}: {who}{where}, <{self.sender}> to <{self.recipient}>: {self.expected}"

    def check(self, mta: Mta) -> None:
        """Ask the server; raises AssertionError with the decision's checks where it answers otherwise."""
        mta.advance(seconds=_PAUSE)
        mta.expect(
            self.expected,
            self.sender,
            self.recipient,
            peer=self.peer,
            listener=self.listener,
            auth=self.auth,
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A table that was read."""

    policy: Path
    rows: tuple[Row, ...]


def read_table(path: Path) -> Table:
    """Read a table; raises TableError."""
    policy: Path | None = None
    names: list[str] = []
    rows = []
    for number, text in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if text.startswith("#"):
            word, found, value = text.removeprefix("#").partition(":")
            policy = path.parent / value.strip() if found and word.strip() == "policy" else policy
        elif text.strip():
            cells = [cell.strip() for cell in next(csv.reader([text], skipinitialspace=True))]
            if len(cells) > len(names) > 0:
                what = f"{len(cells)} cells below {len(names)} columns: quote a cell that holds a comma"
                raise TableError(f"{path}:{number}: {what}")
            if names:
                rows.append(_row(dict(zip(names, cells, strict=False)), number, path))
            else:
                names = _names(cells, number, path)
    if not rows:
        raise TableError(f"{path}:1: the table has no rows: write {','.join(COLUMNS)} and a row below it")
    return Table(_policy(policy, path), tuple(rows))


def _names(cells: list[str], line: int, path: Path) -> list[str]:
    for name in cells:
        if name not in COLUMNS:
            near = get_close_matches(name, COLUMNS, 1)
            hint = f"did you mean {near[0]}?" if near else f"columns are {', '.join(COLUMNS)}"
            raise TableError(f"{path}:{line}: unknown column {name!r}: {hint}")
    missing = [name for name in NEEDED if name not in cells]
    if missing:
        raise TableError(f"{path}:{line}: the table needs a column {missing[0]!r}: add it")
    return cells


def _row(cells: dict[str, str], line: int, path: Path) -> Row:
    expected = cells.get("expected", "")
    if not is_expectation(expected):
        answers = ", ".join(VERDICTS)
        raise TableError(
            f"{path}:{line}: {expected!r} is no answer: write {answers}, or a reply as in 550 5.7.1"
        )
    peer = cells.get("peer") or STRANGER
    try:
        ip_address(peer)
    except ValueError:
        raise TableError(f"{path}:{line}: the peer {peer!r} is no IP address") from None
    sender = cells["from"]
    return Row(
        line=line,
        peer=peer,
        auth=cells.get("auth") or None,
        listener=cells.get("listener") or None,
        sender="" if sender == "<>" else sender,
        recipient=cells["rcpt"],
        expected=expected,
    )


def _policy(named: Path | None, path: Path) -> Path:
    places: Iterator[Path] = iter([named] if named is not None else [path.parent / name for name in BESIDE])
    found = next((place for place in places if place.exists()), None)
    if found is None:
        what = (
            f"{named} does not exist" if named is not None else f"no {' or '.join(BESIDE)} stands beside it"
        )
        raise TableError(f"{path}:1: which policy is this about? {what}: write '# policy: PATH' on top")
    return found
