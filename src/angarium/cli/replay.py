"""`angarium replay`: what a candidate configuration would have answered to real sessions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn
from rich.text import Text

from angarium.admin.replay import Example, Group, Outcome, Replay
from angarium.cli.answers import as_json, console, counted, new_table
from angarium.cli.configuration import Config, find, load_or_exit
from angarium.log.segment import parse_name, read_frames, segments_in
from angarium.policy.prove import places

PIECE = 1 << 20
"""Octets of a plain file that are read at once."""


def replay(
    logs: Annotated[
        list[Path] | None,
        typer.Argument(help="Segments, folders of them, or files of JSON lines; else the log of -c."),
    ] = None,
    *,
    against: Annotated[Path, typer.Option(help="The candidate configuration.")],
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Put the sessions of the records to a candidate configuration, and say what would change.

    Exits with 1 if anything would, and with 2 if nothing could be compared.

    Example: angarium replay --against candidate.toml /var/log/angarium
    """
    candidate = load_or_exit(against)
    files = list(_files(logs or [Path(load_or_exit(find(config)).log.dir)]))
    run = Replay(candidate)
    try:
        for lines in _watched(files):
            run.take(lines)
    except OSError as error:
        typer.echo(f"angarium replay: {error}", err=True)
        raise typer.Exit(2) from None
    found = run.finish()
    if json:
        print(as_json(_as_data(found)))
    else:
        _show(found)
    if not found.compared:
        typer.echo("angarium replay: nothing could be compared, so nothing is known", err=True)
        raise typer.Exit(2)
    raise typer.Exit(1 if found.changes else 0)


def _files(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        yield from segments_in(path) if path.is_dir() else [path]


def _watched(files: list[Path]) -> Iterator[list[bytes]]:
    """The lines of all files, in pieces; a progress bar on a terminal tells how far it is."""
    err = Console(stderr=True)
    columns = ("reading", BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("reading", total=sum(path.stat().st_size for path in files))
        done = 0
        for path in files:
            for end, lines in _pieces(path):
                yield lines
                progress.update(task, completed=done + end)
            done += path.stat().st_size


def _pieces(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    if parse_name(path.name):
        for frame in read_frames(path):
            yield frame.end, frame.lines.splitlines()
        return
    with path.open("rb") as file:
        while lines := file.readlines(PIECE):
            yield file.tell(), lines


def _as_data(found: Outcome) -> dict[str, Any]:
    return {
        "records": found.records,
        "compared": found.compared,
        "changed": found.changed,
        "looked_into": found.looked_into,
        "changes": [
            {
                "before": group.before,
                "after": group.after,
                "was": group.was,
                "would_be": group.would_be,
                "count": count,
                "examples": found.examples[group],
            }
            for group, count in _ordered(found)
        ],
        "apart": {reason.name.lower(): count for reason, count in found.apart.items()},
    }


def _ordered(found: Outcome) -> list[tuple[Group, int]]:
    return sorted(found.changes.items(), key=lambda change: -change[1])


def _show(found: Outcome) -> None:
    out = console()
    table = new_table("how many", "before", "after", "for example")
    for group, count in _ordered(found):
        table.add_row(
            f"{count:,}",
            Text(f"{group.before}\n{places([group.was])}"),
            Text(f"{group.after}\n{places([group.would_be])}"),
            Text("\n".join(_told(example) for example in found.examples[group][:2])),
        )
    if found.changes:
        out.print(table)
    for reason, count in found.apart.most_common():
        out.print(f"not compared: {counted(count, 'record')}: {reason.value}", style="yellow")
    if found.looked_into:
        what = counted(found.looked_into, "message")
        out.print(f"{what} would be looked into for reports; taken here for ordinary mail", style="yellow")
    change = counted(found.changed, "record")
    out.print(f"{change} of {found.compared:,} would be answered otherwise", style="bold")
    sys.stdout.flush()


def _told(example: Example) -> str:
    return f"{example.peer}: {example.sender} → {example.recipient}\nsession {example.session_id}"
