"""`python -m bench.spikes`: how long is the longest acceptance while something happens besides?

At half the saturating rate, with fixed times of arrival: nothing, a reload, a reload of 100,000 domains, a
log whose segments turn over every second or so, and a spool whose segments do. Each has a server of its own;
their rounds take turns. The row without an event says what this machine does to anybody.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from bench.markdown import table
from bench.peers import Setup, angarium
from bench.peers.angarium import More
from bench.peers.running import Running
from bench.stand import Sent, Stand, scratch
from bench.steady import Patience, Steady

DOMAINS = 100_000
_HEAD = ("while", "messages/s", "p50 ms", "p99 ms", "longest ms, median", "longest ms, of all")
_OPTIONS = ("--size", "10240")


def _nothing(_stand: Stand) -> None:
    pass


def _reload(stand: Stand) -> None:
    os.kill(stand.server.pid, signal.SIGHUP)


@dataclass(frozen=True)
class Event:
    """What happens, by the server's configuration or by an act in the middle of a round."""

    name: str
    more: More = field(default_factory=More)
    act: Callable[[Stand], None] = _nothing


def events(domains: int) -> list[Event]:
    """All that is tried."""
    many = "".join(f'["d{number}.example.com"]\nrelay_to = true\n' for number in range(domains))
    large = More(policy='listener_domains = ["domains.toml"]', files={"domains.toml": many})
    return [
        Event("nothing"),
        Event("a reload", act=_reload),
        Event(f"a reload of {domains:,} domains", large, _reload),
        Event("a log segment every 400 KB", More(log="max_file_size = 400000")),
        Event("a spool segment every 8 MiB", More(spool='segment_size = "8 MiB"')),
    ]


def main(
    *,
    quick: Annotated[bool, typer.Option(help="One short round of each.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 8.0,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print one row for each event."""
    domains = DOMAINS
    if quick:
        rounds, seconds, domains = 1, 3.0, DOMAINS // 10
    steady = Steady(Patience(), lambda text: print(text, file=sys.stderr))
    with scratch(dir_) as folder:
        stands: list[tuple[Event, Stand]] = []
        try:
            for number, event in enumerate(events(domains)):
                stands.append((event, Stand(folder / str(number), _starter(event))))
            half = _saturating(stands[0][1], steady, rounds) / 2
            sent = _measured(stands, steady, rounds, (f"{seconds}s", f"{half:.1f}"))
        finally:
            for _, stand in stands:
                stand.__exit__()
    print(table(_HEAD, [_row(event, half, sent[event.name]) for event, _ in stands]))
    print(f"\n10 KB, full cycle, {rounds} rounds of {seconds:g} s in turn, at half the saturating rate.")
    print(steady.told())


def _starter(event: Event) -> Callable[[Setup], Running]:
    return lambda setup: angarium.start(setup, event.more)


def _saturating(stand: Stand, steady: Steady, rounds: int) -> float:
    stand.send(*_OPTIONS, "--messages", "400")
    return median(
        steady.undisturbed(lambda: stand.send(*_OPTIONS, "--duration", "3s")).rate for _ in range(rounds)
    )


def _measured(
    stands: list[tuple[Event, Stand]], steady: Steady, rounds: int, how: tuple[str, str]
) -> dict[str, list[Sent]]:
    duration, rate = how
    options = (*_OPTIONS, "--duration", duration, "--rate", rate)
    sent: dict[str, list[Sent]] = {event.name: [] for event, _ in stands}
    for _, stand in stands:
        stand.send(*_OPTIONS, "--messages", "400")
    for _ in range(rounds):
        for event, stand in stands:
            sent[event.name].append(steady.undisturbed(lambda: _round(event, stand, options)))  # noqa: B023
    return sent


def _round(event: Event, stand: Stand, options: tuple[str, ...]) -> Sent:
    """One load, in whose midst the event happens."""
    timer = threading.Timer(2.0, event.act, (stand,))
    timer.start()
    try:
        return stand.send(*options)
    finally:
        timer.cancel()


def _row(event: Event, rate: float, sent: list[Sent]) -> list[str]:
    def of(name: str) -> list[float]:
        return [float(one.said["milliseconds"][name]) for one in sent]

    middles = [f"{median(of(name)):.1f}" for name in ("p50", "p99", "max")]
    return [event.name, f"{rate:,.0f}", *middles, f"{max(of('max')):.1f}"]


if __name__ == "__main__":
    typer.run(main)
