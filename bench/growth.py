"""`python -m bench.growth`: what does a message cost when what surrounds it grows?

Pairs: ten destination domains beside ten thousand, an empty queue beside a million messages, ten configured
domains beside a hundred thousand, one worker beside two, 1 KB of header section beside 64 KB. Both of a pair
run side by side and take turns, small, large, large, small, so that what a machine does slowly falls on both
alike. What counts is the median of the ratios of neighbours, and the CPU of the server alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from bench.markdown import table
from bench.peers import Setup, angarium
from bench.peers.angarium import More
from bench.peers.running import Running
from bench.queue_size import fill
from bench.stand import Stand, scratch
from bench.steady import Patience, Steady
from bench.tools import BenchError

_HEAD = ("what grows", "from", "to", "µs at first", "µs at last", "ratio", "pairs from … to …", "MB", "MB")
Start = Callable[[Setup], Running]


@dataclass(frozen=True)
class Side:
    """One of a pair: how its server is started, and what it is sent."""

    what: str
    start: Start
    options: tuple[str, ...]
    prepare: tuple[str, ...] = ("--messages", "1000")


@dataclass(frozen=True)
class Pair:
    """What grows, and what it grows from and to."""

    name: str
    small: Side
    large: Side


def _domains(number: int, messages: int) -> Side:
    to = ("--to", f"d{{1..{number}}}.example", "--size", "2048")
    # Each domain is seen before it counts: its queue is made once, not once a message.
    return Side(
        f"{number:,}", angarium.start, to, (*to, "--messages", str(max(1000, 3 * min(number, messages))))
    )


def _queued(number: int) -> Side:
    return Side(f"{number:,}", partial(_start_filled, number), ("--size", "2048"))


def _start_filled(number: int, setup: Setup) -> Running:
    if number:
        setup.folder.mkdir(parents=True)
        fill(setup.folder, number)
    return angarium.start(setup)


def _configured(number: int) -> Side:
    text = "".join(f'["d{n}.example.com"]\nrelay_to = true\n' for n in range(number))
    more = More(policy='listener_domains = ["domains.toml"]', files={"domains.toml": text})
    return Side(
        f"{number:,}", lambda setup: angarium.start(setup, more), ("--size", "2048", "--to", "d7.example.com")
    )


def _workers(number: int) -> Side:
    return Side(
        str(number), lambda setup: angarium.start(replace(setup, workers=number)), ("--size", "10240")
    )


def _header(size: str) -> Side:
    return Side(f"{size}B", angarium.start, ("--size", "70k", "--header", size))


def pairs(*, quick: bool) -> dict[str, Pair]:
    """All pairs by the names that `--only` knows."""
    scale = 10 if quick else 1
    return {
        "domains": Pair("destination domains", _domains(10, 10_000), _domains(10_000 // scale, 10_000)),
        "queued": Pair("messages in the queue", _queued(0), _queued(1_000_000 // scale)),
        "configured": Pair("configured domains", _configured(10), _configured(100_000 // scale)),
        "workers": Pair("workers, 10 KB", _workers(1), _workers(2)),
        "header": Pair("header section, of 70 KB", _header("1k"), _header("64k")),
    }


def main(
    *,
    quick: Annotated[bool, typer.Option(help="A tenth of the growth, and few rounds.")] = False,
    only: Annotated[str, typer.Option(help="Some of domains, queued, configured, workers, header.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of both sides, twice.")] = 3,
    messages: Annotated[int, typer.Option(min=100, help="Messages of a round.")] = 3000,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print one row for each pair."""
    if quick:
        rounds, messages = 1, 1000
    known = pairs(quick=quick)
    chosen = [name for name in only.split(",") if name] or list(known)
    if set(chosen) - set(known):
        raise typer.BadParameter(f"{only}: choose from {', '.join(known)}")
    steady = Steady(Patience(), lambda text: print(text, file=sys.stderr))
    rows = []
    for name in chosen:
        print(f"  {known[name].name} …", file=sys.stderr)
        with scratch(dir_) as folder:
            try:
                rows.append(_row(known[name], folder, steady, rounds, messages))
            except BenchError as error:
                print(f"bench: {known[name].name}: {error}", file=sys.stderr)
                rows.append([known[name].name, "not measured", *[""] * (len(_HEAD) - 2)])
    print(table(_HEAD, rows, words=3))
    print(
        f"\nµs of the server's CPU a message, full cycle; medians of {2 * rounds} rounds of {messages:,} "
        "messages on each side; the ratio is the median of pairs. MB is memory at first and at last."
    )
    print(steady.told())


def _row(pair: Pair, folder: Path, steady: Steady, rounds: int, messages: int) -> list[str]:
    with (
        Stand(folder / "small", pair.small.start) as small,
        Stand(folder / "large", pair.large.start) as large,
    ):
        sides = ((small, pair.small), (large, pair.large))
        for stand, side in sides:
            stand.send(*side.options, *side.prepare)
        taken: list[list[float]] = [[], []]
        for _ in range(rounds):
            for number in (0, 1, 1, 0):
                stand, side = sides[number]
                sent = steady.undisturbed(lambda: stand.send(*side.options, "--messages", str(messages)))  # noqa: B023
                taken[number].append(sent.microseconds)
        memory = [f"{stand.memory() / 1e6:,.0f}" for stand, _ in sides]
    ratios = [after / before for before, after in zip(*taken, strict=True)]
    costs = [f"{median(side):,.0f}" for side in taken]
    spread = f"{min(ratios):.2f} … {max(ratios):.2f}"
    return [pair.name, pair.small.what, pair.large.what, *costs, f"{median(ratios):.2f}", spread, *memory]


if __name__ == "__main__":
    typer.run(main)
