"""`python -m bench.soak`: does memory stay flat under a load that goes on?

Two runs with mixed sizes, a hundred domains and connections that come and go. The first, of four fifths of
the time (SOAK seconds in all, 600 unless told), looks at the server's memory (proportional set size); the
second traces every allocation of Python's, and says which lines hold more near its end than after a third.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bench.markdown import table
from bench.peers import Setup, angarium
from bench.peers.angarium import More
from bench.peers.running import Running
from bench.stand import Sent, Stand, scratch
from bench.tools import wait_for

_MIXTURE = ("--size", "2k:6,10k:3,100k", "--to", "d{1..100}.example", "--per-connection", "200")
_LOOKS = 60
_HEAD = ("load", "seconds", "messages", "messages/s", "MB at a tenth", "at half", "at the end", "MB an hour")


def main(
    *,
    quick: Annotated[bool, typer.Option(help="One minute.")] = False,
    seconds: Annotated[float | None, typer.Option(min=5, help="How long in all; SOAK or 600.")] = None,
    rate: Annotated[
        float, typer.Option(min=1, help="Messages a second; a fifth of it where traced.")
    ] = 400.0,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print a row and what is held."""
    length = seconds or (60.0 if quick else float(os.environ.get("SOAK") or 600))
    with scratch(dir_) as folder:
        with Stand(folder / "plain", angarium.start) as stand:
            looks, sent = _watched(stand, length * 0.8, rate)
        print(table(_HEAD, [_row(looks, sent, rate)]), flush=True)
        print("\nMB an hour: the slope of the last half, by least squares.", flush=True)
        print("\n" + _traced(folder, length * 0.2, rate / 5))


def _watched(stand: Stand, seconds: float, rate: float) -> tuple[list[tuple[float, float]], Sent]:
    """What memory was when, while a load went on: (seconds, octets)."""
    stand.send("--messages", "1000")
    is_over = threading.Event()
    looks: list[tuple[float, float]] = []
    watcher = threading.Thread(target=_watch, args=(stand, seconds / _LOOKS, is_over, looks))
    watcher.start()
    try:
        sent = stand.send(*_MIXTURE, "--duration", f"{seconds}s", "--rate", str(rate))
    finally:
        is_over.set()
        watcher.join()
    return looks, sent


def _watch(stand: Stand, every: float, is_over: threading.Event, looks: list[tuple[float, float]]) -> None:
    while not is_over.wait(every):
        looks.append((len(looks) * every, float(stand.memory())))


def _row(looks: list[tuple[float, float]], sent: Sent, rate: float) -> list[str]:
    memory = [octets / 1e6 for _, octets in looks]
    marks = [memory[len(memory) // 10], memory[len(memory) // 2], memory[-1]]
    times = (f"{sent.seconds:,.0f}", f"{sent.messages:,}", f"{sent.rate:,.0f}")
    slope = _slope(looks[len(looks) // 2 :]) * 3600 / 1e6
    return [f"{rate:,.0f}/s", *times, *(f"{mark:,.1f}" for mark in marks), f"{slope:+.1f}"]


def _slope(looks: list[tuple[float, float]]) -> float:
    """Octets a second."""
    middle_x = sum(x for x, _ in looks) / len(looks)
    middle_y = sum(y for _, y in looks) / len(looks)
    spread = sum((x - middle_x) ** 2 for x, _ in looks)
    return sum((x - middle_x) * (y - middle_y) for x, y in looks) / spread if spread else 0.0


def _traced(folder: Path, seconds: float, rate: float) -> str:
    """What Python's objects hold, after a third and near the end."""
    result, early, late = folder / "traced.json", seconds / 3, seconds * 0.9
    program = (sys.executable, "-m", "bench.traced", str(result), str(early), str(late))
    with Stand(folder / "traced", partial(_start_traced, program)) as stand:
        stand.send(*_MIXTURE, "--messages", "500", "--rate", str(rate))
        result.with_suffix(".go").touch()
        sent = stand.send(*_MIXTURE, "--duration", f"{seconds}s", "--rate", str(rate))
        wait_for(result.exists, "the traces", seconds=60)
    found = json.loads(result.read_text())
    grown = found["after"] - found["before"]
    passed = sent.messages * (late - early) / seconds
    head = (
        f"Python's objects (tracemalloc) at {rate:,.0f} messages/s: {found['before'] / 1e6:.2f} MB after "
        f"{early:.0f} s, {found['after'] / 1e6:.2f} MB after {late:.0f} s, "
        f"{grown / passed:+,.1f} octets a message."
    )
    rows = [(f"{size:+,}", f"{count:+,}", where) for size, count, where in found["lines"]]
    return head + "\n\n" + table(("octets", "objects", "line"), rows, words=3)


def _start_traced(program: tuple[str, ...], setup: Setup) -> Running:
    return angarium.start(setup, More(program=program))


if __name__ == "__main__":
    typer.run(main)
