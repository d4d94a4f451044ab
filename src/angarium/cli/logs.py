"""`angarium logs`: records as JSON lines, of finished and current segments alike."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Annotated

import typer

from angarium.admin.why import log_folders
from angarium.cli.configuration import Config, find, find_log_or_exit
from angarium.log.reader import Reader
from angarium.log.records import RECORD_TYPES

LOOK = 0.2
"""Seconds between two looks while following; the writer closes a frame once a second at the latest."""


def logs(
    config: Config = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    type_: Annotated[list[str], typer.Option("--type", help="Only records of this type; repeats.")] = [],  # noqa: B006
    id_: Annotated[list[str], typer.Option("--id", help="Only of this message or session; repeats.")] = [],  # noqa: B006
    json_: Annotated[bool, typer.Option("--json", help="JSON lines, as it is anyway.")] = False,
) -> None:
    """Print records as JSON lines, oldest first. Exits with 1 where none matches.

    Example: angarium logs -c angarium.toml --type Rejection --follow
    """
    unknown = set(type_) - set(RECORD_TYPES)
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))} is no type of record: {', '.join(RECORD_TYPES)}"
        )
    reader = Reader(log_folders(find_log_or_exit(find(config))), types=type_, ids=id_)
    found = False
    with suppress(KeyboardInterrupt, BrokenPipeError):
        lines = reader.follow(_wait) if follow else reader.read()
        for line in lines:
            found = True
            sys.stdout.buffer.write(line.text + b"\n")
            if follow:
                sys.stdout.buffer.flush()
        sys.stdout.buffer.flush()
    raise typer.Exit(0 if found or follow else 1)


def _wait() -> None:
    time.sleep(LOOK)
