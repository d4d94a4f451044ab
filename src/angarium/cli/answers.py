"""Who may relay where, as a table for people: the words that `prove`, `diff` and `replay` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from angarium.policy.prove import Row, Rule, places
from angarium.policy.regions import Region

SHOWN = 3
"""Names that are written out before the rest is counted."""
WIDTH = 118
"""Columns where the output goes to a file or a pipe."""

_NAMES = {
    "*": "any other domain",
    "[*]": "any other literal",
    "[prohibited]": "literals of prohibited_hosts",
    "<>": "the null reverse-path",
}
_ANSWERS = {
    "relay": "relayed",
    "report-only": "reports only",
    "refuse": "refused",
    "code": "decided by code",
    "none": "no such listener",
}
_REPORTS = {"log_oob": "bounces", "log_arf": "feedback"}
_MODES = {"LogThenDrop": "logged, discarded", "LogThenRelay": "logged, relayed"}
_COLOURS = {"relay": "green", "report-only": "cyan", "refuse": "dim", "code": "magenta"}


def console() -> Console:
    """Where tables are printed: as wide as the terminal, or of a fixed width."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=WIDTH)


def named(keys: Sequence[str]) -> str:
    """A few of these names, and how many more there are."""
    special = [_NAMES[key] for key in keys if key in _NAMES]
    plain = [key for key in keys if key not in _NAMES]
    shown = plain if len(plain) <= SHOWN + 1 else [*plain[:SHOWN], f"{len(plain) - SHOWN} more"]
    return ", ".join([*shown, *special])


def who(peers: Region, identities: Sequence[str], senders: Sequence[str]) -> str:
    """Whose mail it is."""
    parts = [str(peers)]
    if identities:
        signed_in = f"authenticated as {named(identities)}"
        parts = [signed_in] if peers.is_everyone else [*parts, signed_in]
    return ", ".join(parts) + (f"\nwith sender {named(senders)}" if senders else "")


def on(listeners: Sequence[str], every: Sequence[str]) -> str:
    """Where, unless it is everywhere."""
    return "" if set(listeners) == set(every) else f"\non {', '.join(listeners)}"


def answered(answer: str, reports: Sequence[str]) -> str:
    """What becomes of it."""
    said = [_ANSWERS[answer]]
    for report in reports:
        option, _, mode = report.partition(" ")
        said.append(f"{_REPORTS[option]} {_MODES[mode]}")
    return "\n".join(said)


def by(right: str | None, rules: Sequence[Rule]) -> str:
    """Which rule says so, and where."""
    where = places(rules)
    return f"{right}\n{where}" if right else where


_RATIOS = {"how many": 2, "for example": 8, "by": 6, "before": 6, "after": 6}


def new_table(*columns: str) -> Table:
    """An empty table in the house's style."""
    table = Table(show_edge=False, pad_edge=False, show_lines=True, expand=True)
    for column in columns:
        table.add_column(column, overflow="fold", ratio=_RATIOS.get(column, 5))
    return table


def show_rows(rows: Sequence[Row], every: Sequence[str], *, limit: int = 40) -> Table:
    """The rows of a proof; `every` names all listeners, so that only exceptions are named."""
    table = new_table("who", "to", "answer", "by")
    for row in folded(rows, limit):
        whom = who(row.peers, row.identities, row.senders)
        if row.answer == "refuse" and row.peers.is_everyone:
            whom = "anyone else"
        cells = [
            Text(whom + on(row.listeners, every)),
            Text(_recipients(row)),
            Text(answered(row.answer, row.reports), style=_COLOURS[row.answer]),
            Text(by(row.right, row.rules)),
        ]
        table.add_row(*cells, style="bold red" if row.is_offence else "")
    return table


def _recipients(row: Row) -> str:
    to = named(row.recipients) if row.recipients else "anywhere"
    if row.routes:
        return f"user%host at {to}"
    return f"{to}\nuser%host too" if row.also_routes else to


def folded(rows: Sequence[Row], limit: int) -> list[Row]:
    """Many rows that differ only in network, identity and sender, as one; offences stay as they are."""
    if len(rows) <= limit:
        return list(rows)
    alike: dict[Any, list[Row]] = {}
    for row in rows:
        key = row if row.offends is not None or row.right not in _OWN else (row.listeners, row.right)
        alike.setdefault(key, []).append(row)
    return [group[0] if len(group) == 1 else _joined(group) for group in alike.values()]


_OWN = ("relay_from", "relay_from_authz")


def _joined(rows: Sequence[Row]) -> Row:
    """Each sender from its own network, or with its own identity."""
    return msgspec.structs.replace(
        rows[0],
        peers=Region(tuple(dict.fromkeys(network for row in rows for network in row.peers.networks))),
        identities=tuple(dict.fromkeys(name for row in rows for name in row.identities)),
        senders=tuple(dict.fromkeys(name for row in rows for name in row.senders)),
        rules=tuple(rule for row in rows for rule in row.rules),
    )


def as_json(value: Any) -> str:
    """Values as JSON, networks as texts."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `2 rows`, `10,000 rows`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


Show = Callable[[Any], None]
