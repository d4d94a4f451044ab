"""`angarium bench`: sends mail to a server as fast as it takes it, or at a rate, and says how it did."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import typer
import uvloop
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from angarium.cli.arguments import UnreadConfig, endpoint, shown_endpoint, weighted
from angarium.cli.arguments import size as parse_size
from angarium.mail.address import Address, AddressError
from angarium.testing.load import Load, Results
from angarium.testing.mixture import LoadOptions
from angarium.testing.rules import RuleError, parse_duration

MAX_RANGE = 1_000_000
_RANGE = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")
_GRACE = 5.0  # seconds that messages in flight may take after the end was asked for
_DEFAULT_DURATION = 10.0


def bench(
    *,
    target: Annotated[str, typer.Option(help="HOST:PORT of the server.")],
    connections: Annotated[int, typer.Option(min=1, max=50_000, help="Connections at once.")] = 20,
    messages: Annotated[
        int | None, typer.Option("-n", "--messages", min=1, help="Stop after so many.")
    ] = None,
    duration: Annotated[str | None, typer.Option(help="Stop after so long; 10s if no end is given.")] = None,
    size: Annotated[list[str], typer.Option(help="Octets of content, weighted: 2k:3,100k.")] = ["10k"],  # noqa: B006
    header: Annotated[str, typer.Option(help="Octets of the header section, of those of --size.")] = "0",
    to: Annotated[
        list[str],
        typer.Option(help="Domains or addresses, weighted: a.example:9,b.example; d{1..500}.example is 500."),
    ] = ["example.com"],  # noqa: B006
    recipients: Annotated[int, typer.Option(min=1, max=1000, help="Recipients a message.")] = 1,
    sender: Annotated[str, typer.Option(help="Address of the sender.")] = "sender@example.org",
    rate: Annotated[float | None, typer.Option(min=0.001, help="Messages a second in all.")] = None,
    pipelining: Annotated[bool, typer.Option(help="Send commands together where offered.")] = True,
    chunking: Annotated[bool, typer.Option(help="Send content by BDAT where offered.")] = False,
    per_connection: Annotated[int, typer.Option(min=0, help="Messages per connection; 0: no limit.")] = 0,
    timeout: Annotated[str, typer.Option(help="How long to wait for a reply.")] = "60s",
    seed: Annotated[int | None, typer.Option(help="Make the mixture repeatable.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
    interval: Annotated[
        float,
        typer.Option(min=0.01, help="Seconds between two lines of progress, where there is no terminal."),
    ] = 1.0,
    config: UnreadConfig = None,
) -> None:
    """Send mail to a server, and print rate, times and errors.

    Without --rate as fast as the server answers; with it, times count from the moment a message was due, so
    that they hold the wait for a server that has fallen behind. Exit status 1 if a message was not accepted.

    Example: angarium bench --target 127.0.0.1:2525 --duration 30s --size 2k:3,100k --to a.example:9,b.example
    """
    host, port = endpoint(target)
    options = LoadOptions(
        host=host or "127.0.0.1",
        port=port,
        connections=min(connections, messages or connections),
        messages=messages,
        duration=_duration(duration, messages),
        sizes=tuple((parse_size(text), weight) for text, weight in weighted(size)),
        header=parse_size(header),
        recipients=tuple((_recipient(one), weight) for text, weight in weighted(to) for one in _each(text)),
        recipients_per_message=recipients,
        sender=_sender(sender),
        rate=rate,
        pipelining=pipelining,
        chunking=chunking,
        messages_per_connection=per_connection,
        timeout=_seconds(timeout),
        seed=seed,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(_run(Load(options), None if json_ else _display(interval)))
    print(json.dumps(summary(results)) if json_ else _as_text(options, results))
    if not results.connections:
        print(f"angarium bench: {_nobody(options, results)}", file=sys.stderr)
    raise typer.Exit(1 if results.failed or not results.accepted else 0)


def _duration(text: str | None, messages: int | None) -> float | None:
    if text is not None:
        return _seconds(text)
    return None if messages else _DEFAULT_DURATION


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except RuleError as error:
        raise typer.BadParameter(str(error)) from None
    if not seconds:
        raise typer.BadParameter(f"{text!r} is no time at all")
    return seconds


def _each(text: str) -> list[str]:
    """`d{1..3}.example` as the three that it stands for."""
    match = _RANGE.search(text)
    if match is None:
        return [text]
    first, last = int(match[1]), int(match[2])
    if not 0 <= last - first < MAX_RANGE:
        raise typer.BadParameter(f"{text!r} is no range: write for example d{{1..500}}.example")
    return [f"{text[: match.start()]}{number}{text[match.end() :]}" for number in range(first, last + 1)]


def _recipient(text: str) -> str:
    return _address(text if "@" in text else f"recipient@{text}")


def _sender(text: str) -> str:
    return _address(text) if text and text != "<>" else ""


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except AddressError as error:
        raise typer.BadParameter(str(error)) from None


Display = Callable[[Load], Awaitable[None]]


def _display(interval: float) -> Display:
    """What is seen meanwhile: a live screen on a terminal, else a line from time to time."""
    return _show if sys.stderr.isatty() else partial(_tell, interval=interval)


async def _tell(load: Load, *, interval: float) -> None:
    """One line of progress after another, until cancelled."""
    seen = 0
    while True:
        await asyncio.sleep(interval)
        results = load.results
        rate = (results.accepted - seen) / interval
        p50, p99 = (_time(results.times.percentile(percent)) for percent in (50, 99))
        print(
            f"{load.elapsed:.0f} s: {results.accepted:,} accepted, {rate:,.0f}/s, "
            f"{results.failed:,} failed, p50 {p50}, p99 {p99}{_worst(results)}",
            file=sys.stderr,
            flush=True,
        )
        seen = results.accepted


async def _run(load: Load, show: Display | None) -> Results:
    """Run to the end or to the first signal; a second signal leaves at once."""
    loop = asyncio.get_running_loop()
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            load.stop()
            loop.call_later(_GRACE, load.abort)
        else:
            load.abort()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    display = None if show is None else asyncio.ensure_future(show(load))
    try:
        return await load.run()
    finally:
        if display is not None:
            display.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await display


async def _show(load: Load) -> None:
    """Draw the results four times a second, until cancelled."""
    seen = 0
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:
        while True:
            await asyncio.sleep(0.25)
            accepted = load.results.accepted
            live.update(_screen(load, (accepted - seen) * 4), refresh=True)
            seen = accepted


def _screen(load: Load, rate: float) -> Group:
    results, options = load.results, load.options
    title = f"{results.accepted:,} messages to {shown_endpoint((options.host, options.port))}"
    table = Table(title=title)
    p50, p99 = (_time(results.times.percentile(percent)) for percent in (50, 99))
    row = {
        "now/s": f"{rate:,.0f}",
        "average/s": f"{results.accepted / load.elapsed:,.0f}",
        "p50": p50,
        "p99": p99,
        "failed": f"{results.failed:,}",
        "connections": f"{len(load.clients):,}",
        "seconds": f"{load.elapsed:.0f}",
    }
    for name in row:
        table.add_column(name, justify="right")
    table.add_row(*row.values())
    return Group(table, _bars(results), _errors(results))


def _bars(results: Results) -> Table:
    """The histogram as rows of bars."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column(justify="right")
    rows = results.times.doublings()
    most = max((count for _, count in rows), default=1)
    for edge, count in rows:
        table.add_row(f"≤ {_time(edge)}", f"{count:,}", _bar(count, most))
    return table


def _bar(count: int, most: int) -> str:
    return "█" * -(-count * 40 // most)


def _errors(results: Results) -> Table:
    table = Table.grid(padding=(0, 1))
    for what, count in results.errors.most_common(10):
        table.add_row(f"{count:,}", what, style="yellow")
    return table


def _time(seconds: float) -> str:
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def summary(results: Results) -> dict[str, Any]:
    """The results as plain values; times in milliseconds."""
    times = results.times
    return {
        "accepted": results.accepted,
        "failed": results.failed,
        "recipients": results.recipients,
        "octets": results.octets,
        "connections": results.connections,
        "began": round(results.began, 3),
        "seconds": round(results.seconds, 3),
        "rate": round(results.rate, 1),
        "cpu": round(results.cpu, 6),
        "milliseconds": {
            "p50": round(times.percentile(50) * 1000, 3),
            "p90": round(times.percentile(90) * 1000, 3),
            "p99": round(times.percentile(99) * 1000, 3),
            "max": round(times.largest * 1000, 3),
        },
        "errors": dict(results.errors.most_common()),
    }


def _worst(results: Results) -> str:
    """The most frequent error, where there is one."""
    return "".join(f"; {count:,} × {what}" for what, count in results.errors.most_common(1))


def _nobody(options: LoadOptions, results: Results) -> str:
    """What is wrong where no connection was made at all."""
    server = shown_endpoint((options.host, options.port))
    why = ", ".join(what.removeprefix("connect: ") for what in results.errors)
    return f"nobody answers at {server} ({why}): is the server started, and does it listen there?"


def _as_text(options: LoadOptions, results: Results) -> str:
    times = results.times
    server = shown_endpoint((options.host, options.port))
    if not results.accepted:
        errors = [f"{count:,} × {what}" for what, count in results.errors.most_common()]
        failed = f", {results.failed:,} failed" if results.failed else ""
        return "\n".join([f"no message was accepted by {server}{failed}", *errors])
    megabytes = results.octets / max(results.seconds, 1e-9) / 1e6
    percentiles = ", ".join(f"p{percent} {_time(times.percentile(percent))}" for percent in (50, 90, 99))
    lines = [
        f"{results.accepted:,} messages accepted by {server}, {results.failed:,} failed",
        f"{results.rate:,.1f} messages/s, {megabytes:,.1f} MB/s, {results.seconds:.2f} s",
        f"{results.connections:,} connections made",
        f"time to accept: {percentiles}, max {_time(times.largest)}",
    ]
    rows = times.doublings()
    most = max((count for _, count in rows), default=1)
    lines += [f"  ≤ {_time(edge):>8} {count:>10,} {_bar(count, most)}" for edge, count in rows]
    lines += [f"{count:,} × {what}" for what, count in results.errors.most_common()]
    return "\n".join(lines)
