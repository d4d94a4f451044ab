"""`angarium diff`: which answers differ between two configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from angarium.cli.answers import answered, as_json, console, counted, named, new_table, on, who
from angarium.cli.configuration import Config, find, load_or_exit
from angarium.policy.compare import Change, Comparison, Outcome, compare
from angarium.policy.prove import places

SHOWN = 100
"""Rows that are printed for people."""


def diff(
    old: Annotated[Path, typer.Argument(help="The configuration in force; that of -c where left out.")],
    new: Annotated[Path | None, typer.Argument(help="The one that may replace it.")] = None,
    *,
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say which answers about relaying change from one configuration to another; exits with 1 if any does.

    Example: angarium diff /etc/angarium/angarium.toml ./angarium.toml
    """
    before, after = (find(config), old) if new is None else (old, new)
    found = compare(load_or_exit(before), load_or_exit(after))
    if json:
        print(as_json({"same": found.is_same, **_fields(found)}))
    else:
        _show(found)
    raise typer.Exit(0 if found.is_same else 1)


def _fields(found: Comparison) -> dict[str, Any]:
    return {"changes": found.changes, "gone": found.gone, "new": found.new, "by_code": found.by_code}


def _show(found: Comparison) -> None:
    out = console()
    table = new_table("who", "to", "before", "after")
    for change in found.changes[:SHOWN]:
        whom = _whose(change) + on(change.listeners, found.listeners)
        table.add_row(*map(Text, (whom, _to(change), _answer(change.before), _answer(change.after))))
    if found.changes:
        out.print(table)
    if len(found.changes) > SHOWN:
        out.print(f"{counted(len(found.changes) - SHOWN, 'more row')}: --json has them", style="bold")
    for label in found.gone:
        out.print(f"listener {label} is gone", style="bold")
    for label in found.new:
        out.print(f"listener {label} is new: `angarium prove` says what it allows", style="bold")
    if found.by_code:
        out.print(
            "A handler decides here: this is what changes where it leaves the answer to the files.",
            style="magenta",
        )
    out.print("nothing changes" if found.is_same else counted(len(found.changes), "change"), style="bold")


def _whose(change: Change) -> str:
    text = who(change.peers, change.identities, change.senders)
    if change.but_identities:
        text += f"\nnot authenticated as {named(change.but_identities)}"
    return f"{text}\n{change.who}" if change.who else text


def _to(change: Change) -> str:
    if not change.recipients:
        text = "anywhere"
    elif "*" in change.recipients:
        kept = [key for key in change.but if key != "[prohibited]"]
        text = f"anywhere but {named(kept)}" if kept else "anywhere"
    else:
        text = named(change.recipients)
    return f"user%host at {text}" if change.routes else text


def _answer(outcome: Outcome) -> str:
    parts = [answered(outcome.answer, outcome.reports)]
    if outcome.goes_to:
        parts.append(f"goes to {outcome.goes_to}")
    if outcome.line_endings:
        parts.append(f"bare line ends: {outcome.line_endings}")
    return "\n".join([*parts, places(outcome.rules)])
