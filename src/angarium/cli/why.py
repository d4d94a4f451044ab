"""`angarium why`: the life of a message or session, from the records."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from angarium.admin.why import ROUTED, Life, Step, Story, log_folders, tell
from angarium.cli.answers import as_json, console, counted
from angarium.cli.client import Refusal, ask
from angarium.cli.configuration import Config, find, find_log_or_exit
from angarium.log.index import complete, remove_orphans, without_index
from angarium.net.unix import UnixTrouble
from angarium.policy.load import find_socket

_COLOURS = {
    "Reception": "green",
    "Delivery": "green",
    "Rejection": "red",
    "Bounce": "red",
    "Expiration": "red",
    "TransientFailure": "yellow",
}


def why(
    ident: Annotated[str, typer.Argument(help="A message's id, a session's id, or a Message-ID.")],
    config: Config = None,
    *,
    logs: Annotated[
        list[Path] | None, typer.Option(help="Folders of segments to read, in place of those of -c.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Tell what happened to a message or in a session, who decided it, and whether it is still queued.

    Exits with 1 where nothing is known of it. Example: angarium why 0193e0a5f1c27b0e9d2f4a6b8c0d1e2f
    """
    path = find(config) if config is not None or not logs else None
    folders = list(logs or []) if path is None else list(logs or log_folders(find_log_or_exit(path)))
    try:
        story = tell(folders, ident)
    except OSError as error:
        typer.echo(f"angarium why: {error}", err=True)
        raise typer.Exit(2) from None
    socket = find_socket(path) if path is not None else None
    if story is not None:
        for life in story.lives:
            _ask_server(life, socket)
    if json:
        print(as_json(story))
    elif story is None:
        print(f"no record of {ident} in {', '.join(map(str, folders))}", file=sys.stderr)
    else:
        _show(story)
    _make_ready(folders)
    raise typer.Exit(0 if story is not None else 1)


def _ask_server(life: Life, socket: str | None) -> None:
    """Ask the running server about a message that has no last record."""
    if life.is_over or not life.id or not any(step.what == "Reception" for step in life.steps):
        return
    if socket is None:
        life.unknown = "no configuration was named (-c), so no server could be asked whether it is queued"
        return
    try:
        life.queued = ask(socket, "queue", action="show", what=life.id)
    except Refusal as refusal:
        life.unknown = f"the server says: {refusal}"
    except UnixTrouble as trouble:
        life.unknown = f"no server could be asked whether it is still queued: {trouble}"


def _show(story: Story) -> None:
    out = console()
    if story.kind != "message":
        count = sum(1 for life in story.lives if life.id)
        messages = counted(count, "message") if count else "nothing was accepted"
        out.print(f"{story.kind} {story.asked}: {messages}", style="bold", soft_wrap=True)
    for life in story.lives:
        _show_life(out, life)


def _show_life(out: Console, life: Life) -> None:
    if life.id:
        named = f" ({life.message_id})" if life.message_id else ""
        route = f"{life.sender} → {life.recipient}" if life.recipient else ""
        out.print(Text(f"message {life.id}{named}", style="bold"), soft_wrap=True)
        if route:
            out.print(Text(f"  {route}"), soft_wrap=True)
    for step in life.steps:
        _show_step(out, step)
    if life.queued is not None:
        out.print(Text(f"  {_queued(life.queued)}", style="cyan"), soft_wrap=True)
    elif life.unknown is not None:
        out.print(Text(f"  {life.unknown}", style="yellow"), soft_wrap=True)


def _show_step(out: Console, step: Step) -> None:
    when = step.time.replace("T", " ")[:23]
    out.print(Text.assemble(f"  {when}  ", (step.text, _COLOURS.get(step.what, ""))), soft_wrap=True)
    if step.decided_by is not None:
        by = ("routed by" if step.what in ROUTED else "by") + f" {step.decided_by}"
        by += f", configuration {step.config}" if step.config else ""
        out.print(Text(f"{' ' * 27}{by}", style="dim"), soft_wrap=True)


def _queued(said: dict[str, Any]) -> str:
    attempts = counted(said["attempts"], "attempt")
    due = datetime.fromtimestamp(said["due"], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"still queued in {said['queue']} after {attempts}, next {due}: {said['why']}"


def _make_ready(folders: list[Path]) -> None:
    """Make the indexes that are missing, now that the answer is given: the next one comes at once."""
    remove_orphans(folders)
    try:
        missing = without_index(folders)
        for number, segment in enumerate(missing, 1):
            if sys.stderr.isatty():
                print(f"indexing {segment.name} ({number} of {len(missing)})", file=sys.stderr)
            complete(segment)
    except (OSError, KeyboardInterrupt):
        return  # read-only, or nobody waits for it: the answer was given
