"""`angarium report`: what would the server read in these messages?

Files, folders (every file below them), mailboxes in mbox form, or `-` for standard input; one row for each
message, in the order asked for. Many messages are read by all cores.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from angarium.cli.arguments import UnreadConfig
from angarium.mail.mime import MAX_READ
from angarium.reports import Report, examine

MANY = 64  # messages from which on more than one process is worth its start
CHUNK = 32  # messages handed to a process at once

# The line between two messages of an mbox (RFC 4155): an empty line, then `From ` with a date, then a field.
_SEPARATOR = re.compile(
    rb"\n\r?\nFrom \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) "
    rb"[^\n]{8,60}\n(?=[!-9;-~]+:)"
)


Row = dict[str, Any] | OSError
"""What was read in a message, or why the message could not be."""


class Source(NamedTuple):
    """Where a message is: a file, and the octets of it (`end` is None for the whole)."""

    name: str
    path: str
    start: int
    end: int | None


def report(
    files: Annotated[list[str], typer.Argument(help="Messages, folders, mailboxes; - for standard input.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object a message.")] = False,
    why: Annotated[bool, typer.Option("--why", help="Say by which rule each was known.")] = False,
    config: UnreadConfig = None,
) -> None:
    """Parse messages as the server would: bounces, feedback reports, or neither.

    Exits with 2 where a file cannot be read, once the others are. Example: angarium report --why bounce.eml
    """
    found = list(chain.from_iterable(map(_sources, files)))
    unread = [each for each in found if isinstance(each, OSError)]
    for error in unread:
        _complain(error)
    for row in _rows([each for each in found if isinstance(each, Source)]):
        if isinstance(row, OSError):
            unread.append(row)
            _complain(row)
        else:
            print(msgspec.json.encode(row).decode() if json else _as_text(row, why=why))
    raise typer.Exit(2 if unread else 0)


def _complain(error: OSError) -> None:
    typer.echo(printable(f"angarium report: {error}"), err=True)


def row_of(name: str, found: Report) -> dict[str, Any]:
    """The row of one message: the contract's names, and nothing that JSON cannot say."""
    everyone = found.bounce.recipients if found.bounce else ()
    spoken_of = [a for one in everyone for a in (one.address, _other(one.original)) if a]
    feedback = found.feedback
    return {
        "file": name,
        "kind": found.kind if found.problem is None else "none",
        "recipients": list(dict.fromkeys(spoken_of or (feedback.original_rcpt_to if feedback else ()))),
        "failed": [one.meant for one in found.failed],
        "status": everyone[0].status if everyone else None,
        "feedback_type": feedback.feedback_type if feedback else None,
        "fields": feedback.fields if feedback else {},
        "why": found.problem or found.why,
        "by_shape": found.by_shape,
    }


def _other(original: str | None) -> str | None:
    """The original recipient, where it is an address (an alias, say, that led to the final one)."""
    return original if original and "@" in original else None


def _sources(name: str) -> Iterator[Source | OSError]:
    """The messages that a name stands for, or why they cannot be read."""
    if name == "-":
        yield from _messages_in("-", "-", _standard_input())
        return
    path = Path(name)
    if path.is_dir():
        for below in sorted(p for p in path.rglob("*") if p.is_file()):
            yield from _messages(below)
    else:
        yield from _messages(path)


def _messages(path: Path) -> Iterator[Source | OSError]:
    """The messages of one file: more than one where it is an mbox."""
    try:
        with path.open("rb") as file:
            start = file.read(5)
            mailbox = start + file.read() if start == b"From " else b""
    except OSError as error:
        yield error
        return
    if mailbox:
        yield from _messages_in(str(path), str(path), mailbox)
    else:
        yield Source(str(path), str(path), 0, None)


def _messages_in(name: str, path: str, content: bytes) -> Iterator[Source]:
    is_mailbox = content.startswith(b"From ")
    breaks = [match.start() + 1 for match in _SEPARATOR.finditer(content)] if is_mailbox else []
    for number, (start, end) in enumerate(zip([0, *breaks], [*breaks, None], strict=True), 1):
        yield Source(f"{name}#{number}" if breaks else name, path, start, end)


@cache
def _standard_input() -> bytes:
    """All of it, once: a mailbox is read message by message."""
    return sys.stdin.buffer.read()


def _rows(sources: Sequence[Source]) -> Iterable[Row]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # Other processes have not got what came by standard input.
    if len(sources) < MANY or cores < 2 or any(source.path == "-" for source in sources):
        return map(_row, sources)
    return _watched(_parallel(sources, cores), len(sources))


def _parallel(sources: Sequence[Source], cores: int) -> Iterator[Row]:
    with ProcessPoolExecutor(min(cores, len(sources) // CHUNK + 1)) as pool:
        yield from chain.from_iterable(pool.map(_rows_of, _chunks(sources)))


def _chunks(sources: Sequence[Source]) -> Iterator[list[Source]]:
    left = iter(sources)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _watched(rows: Iterable[Row], total: int) -> Iterable[Row]:
    console = Console(stderr=True)
    if not console.is_terminal or sys.stdout.isatty():
        return rows
    return _drawn(rows, total, console)


def _drawn(rows: Iterable[Row], total: int, console: Console) -> Iterator[Row]:
    # The rows are printed where they were asked for, not above the bar.
    with Progress(console=console, redirect_stdout=False) as progress:
        yield from progress.track(rows, total=total, description="reading")


def _rows_of(sources: Sequence[Source]) -> list[Row]:
    return list(map(_row, sources))


def _row(source: Source) -> Row:
    try:
        content = _read(source)
    except OSError as error:
        return error
    return row_of(source.name, examine(content))


def _read(source: Source) -> bytes:
    length = MAX_READ if source.end is None else min(MAX_READ, source.end - source.start)
    if source.path == "-":
        content = _standard_input()[source.start : source.start + length]
    else:
        with Path(source.path).open("rb") as file:
            file.seek(source.start)
            content = file.read(length)
    return content.removeprefix(b"\r").removeprefix(b"\n")


def _as_text(row: dict[str, Any], *, why: bool) -> str:
    words = [row["kind"], row["file"]]
    if row["kind"] == "oob":
        words += [row["status"] or "-", *row["recipients"]]
    elif row["kind"] == "arf":
        words += [row["feedback_type"] or "-", *row["recipients"]]
    if why:
        words.append(f"({row['why']}{', by its shape' if row['by_shape'] else ''})")
    return printable(" ".join(words))


def printable(text: str) -> str:
    """Text of strangers on one line: nothing of theirs ends it or steers the terminal."""
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
