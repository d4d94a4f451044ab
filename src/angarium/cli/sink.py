"""`angarium sink`: a receiving server that can refuse, delay, hang and drop, on a terminal or for scripts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from email.header import decode_header, make_header
from email.parser import BytesHeaderParser
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from rich.live import Live
from rich.table import Table

from angarium.cli.arguments import UnreadConfig, endpoint, shown_endpoint
from angarium.cli.arguments import size as parse_size
from angarium.testing.rules import Action, Rule, RuleError, Rules, parse_rule
from angarium.testing.sink import EXTENSIONS, Counters, Received, Sink, SinkOptions


def sink(
    *,
    listen: Annotated[str, typer.Option(help="Where to listen; port 0 takes a free one.")] = "127.0.0.1:2525",
    refuse: Annotated[list[str], typer.Option(help="Refuse, e.g. 'rcpt=450 4.2.1 Try later:0.1'.")] = [],  # noqa: B006
    delay: Annotated[list[str], typer.Option(help="Answer late, e.g. content=500ms.")] = [],  # noqa: B006
    hang: Annotated[list[str], typer.Option(help="Never answer, e.g. data:1%.")] = [],  # noqa: B006
    drop: Annotated[list[str], typer.Option(help="Close without an answer, e.g. content:0.1.")] = [],  # noqa: B006
    by_name: Annotated[bool, typer.Option(help="Refuse recipients whose names ask for it.")] = True,
    without: Annotated[list[str], typer.Option(help="Do not offer this EHLO keyword.")] = [],  # noqa: B006
    hostname: Annotated[str, typer.Option(help="The name in greeting and EHLO.")] = "sink.invalid",
    max_recipients: Annotated[int, typer.Option(min=0, help="Recipients per message, then 452.")] = 0,
    max_size: Annotated[str, typer.Option(help="Largest content, then 552; e.g. 1M.")] = "0",
    limit: Annotated[int, typer.Option(min=0, help="Stop after this many messages.")] = 0,
    print_: Annotated[bool, typer.Option("--print", help="Print a line for each message.")] = False,
    dir_: Annotated[Path | None, typer.Option("--dir", help="Keep messages in this Maildir.")] = None,
    seed: Annotated[int | None, typer.Option(help="Make chances repeatable.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two lines of counters.")] = 1.0,
    config: UnreadConfig = None,
) -> None:
    """Receive mail and throw it away, or keep it; refuse, delay, hang or drop by rules.

    A rule is STAGE[:PATTERN][=VALUE][:CHANCE]. Stages: connect, ehlo, mail, rcpt, data, content (after the
    final dot), rset, quit. Recipients such as full@, tempfail@, permfail@, 450-x@, 550-x@ and 421-x@ are
    refused as their names ask.

    Example: angarium sink --print --refuse 'rcpt:*@busy.example=450 4.2.1 Later:50%' --delay content=200ms
    """
    rules = Rules(_rules(refuse, delay, hang, drop), by_name=by_name, seed=seed)
    options = SinkOptions(
        hostname=hostname,
        extensions=_extensions(without),
        max_recipients=max_recipients,
        max_size=parse_size(max_size),
        keeps_content=print_ or dir_ is not None,
    )
    maildir = _maildir(dir_)
    output = _Output(as_json=json_, lines=print_, interval=interval)
    program = _Program(Sink(rules, options), output, maildir, limit)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        status = runner.run(program.run(*endpoint(listen)))
    raise typer.Exit(status)


def _rules(refuse: list[str], delay: list[str], hang: list[str], drop: list[str]) -> list[Rule]:
    given = {Action.REFUSE: refuse, Action.DELAY: delay, Action.HANG: hang, Action.DROP: drop}
    try:
        return [parse_rule(action, text) for action, texts in given.items() for text in texts]
    except RuleError as error:
        raise typer.BadParameter(str(error)) from None


def _extensions(without: list[str]) -> tuple[str, ...]:
    missing = {keyword.upper() for keyword in without}
    unknown = missing - set(EXTENSIONS)
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))} is not offered anyway: {', '.join(EXTENSIONS)} are"
        )
    return tuple(keyword for keyword in EXTENSIONS if keyword not in missing)


class _Maildir:
    """Messages as files: written in `tmp`, then moved to `new`, so that no reader sees half of one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = 0
        for name in ("tmp", "new", "cur"):
            (path / name).mkdir(parents=True, exist_ok=True)

    def keep(self, content: bytes) -> str:
        self._number += 1
        name = f"{time.time():.6f}.{os.getpid()}_{self._number}.sink"
        temporary = self._path / "tmp" / name
        temporary.write_bytes(content)
        temporary.rename(self._path / "new" / name)
        return name


def _maildir(path: Path | None) -> _Maildir | None:
    try:
        return _Maildir(path) if path is not None else None
    except OSError as error:
        raise typer.BadParameter(f"--dir: {error}") from None


class _Output:
    """What is seen: message lines, counter lines, or a live table on a terminal."""

    def __init__(self, *, as_json: bool, lines: bool, interval: float) -> None:
        self.as_json = as_json
        self.lines = lines
        self.interval = interval
        self.is_live = sys.stdout.isatty() and not as_json and not lines
        self._shown = _values(Counters())
        self.has_reader = True

    def message(self, message: Received, name: str | None) -> None:
        if not self.lines:
            return
        line = _description(message, name)
        self._print(line)

    def counters(self, counters: Counters) -> None:
        """One line, unless nothing has changed since the last."""
        values = _values(counters)
        if not self.lines and values != self._shown:
            self._shown = values
            self._print(values)

    def _print(self, values: dict[str, Any]) -> None:
        try:
            print(json.dumps(values) if self.as_json else _as_text(values), flush=True)
        except BrokenPipeError:  # `angarium sink | head`: nobody reads on, and nothing is left to be said
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.has_reader = False


def _description(message: Received, name: str | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "from": message.sender,
        "to": list(message.recipients),
        "size": message.size,
        "subject": _subject(message.content),
        "client": message.peer,
        "helo": message.helo,
    }
    return line | {"file": name} if name else line


def _subject(content: bytes) -> str:
    raw = BytesHeaderParser().parsebytes(content[:65_536])["Subject"] or ""
    try:
        return str(make_header(decode_header(raw)))
    except (ValueError, LookupError):  # an unknown character set, or broken base64
        return str(raw)


def _as_text(values: dict[str, Any]) -> str:
    return " ".join(f"{key}={_one(value)}" for key, value in values.items())


def _one(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(value)
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return json.dumps(text, ensure_ascii=False) if not text or " " in text or not text.isprintable() else text


def _values(counters: Counters) -> dict[str, Any]:
    values: dict[str, Any] = {
        "messages": counters.messages,
        "octets": counters.octets,
        "recipients": counters.recipients,
        "connections": counters.connections,
        "open": counters.open,
        "refused": counters.refused.total(),
        "hung": counters.hung,
        "dropped": counters.dropped,
    }
    return values | ({"last": counters.last} if counters.last else {})


class _Program:
    """The command at work: serves, shows, and stops at a signal or at the limit."""

    def __init__(self, server: Sink, output: _Output, maildir: _Maildir | None, limit: int) -> None:
        self._server = server
        self._output = output
        self._maildir = maildir
        self._limit = limit
        self._stop = asyncio.Event()
        server.on_message = self._take if limit or maildir is not None or output.lines else None

    def _take(self, message: Received) -> None:
        name = self._maildir.keep(message.content) if self._maildir is not None else None
        self._output.message(message, name)
        if not self._output.has_reader:
            self._stop.set()
        if self._limit and self._server.counters.messages >= self._limit:
            # The reply to this message is on its way; it goes out before the sockets close.
            asyncio.get_running_loop().call_later(0.05, self._stop.set)

    async def run(self, host: str, port: int) -> int:
        """Serve until told to stop; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        try:
            address = await self._server.start(host, port)
        except OSError as error:
            print(f"angarium sink: cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
            return 1
        print(f"angarium sink: listening on {shown_endpoint(address)}", file=sys.stderr, flush=True)
        await self._show()
        await self._server.stop()
        self._summary()
        return 0

    async def _show(self) -> None:
        if self._output.is_live:
            with Live(_table(self._server.counters, 0.0), refresh_per_second=4) as live:
                await self._each(0.25, _meter(self._server.counters, live))
        else:
            await self._each(self._output.interval, lambda: self._output.counters(self._server.counters))

    async def _each(self, interval: float, show: Callable[[], None]) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), interval)
            show()
            if not self._output.has_reader:
                return

    def _summary(self) -> None:
        counters = self._server.counters
        print(f"angarium sink: {_as_text(_values(counters))}", file=sys.stderr)
        for what, count in counters.refused.most_common():
            print(f"angarium sink: refused {count} × {what}", file=sys.stderr)


def _meter(counters: Counters, live: Live) -> Callable[[], None]:
    """Make a function that puts the counters and the rate since its last call on the screen."""
    seen, when = counters.messages, time.monotonic()

    def show() -> None:
        nonlocal seen, when
        now = time.monotonic()
        live.update(_table(counters, (counters.messages - seen) / max(now - when, 1e-9)))
        seen, when = counters.messages, now

    return show


def _table(counters: Counters, rate: float) -> Table:
    table = Table(title=f"{counters.messages:,} messages, {rate:,.0f}/s", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in _values(counters).items():
        if name not in {"messages", "last"}:
            table.add_row(name, f"{value:,}")
    for what, count in counters.refused.most_common(10):
        table.add_row(what, f"{count:,}", style="yellow")
    return table
