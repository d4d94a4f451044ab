"""`python -m bench.latency`: how long does a server take to accept a message, at several loads?

Loads are a tenth, half and nine tenths of the rate that saturates it in a full cycle. Open loop: messages are
due at fixed times, and their time counts from then, so that a server that stalls is charged for all of those
that waited.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from bench import peers
from bench.markdown import table
from bench.stand import Sent, Stand, scratch
from bench.steady import Patience, Steady
from bench.tools import BenchError

FRACTIONS = (0.1, 0.5, 0.9)
_HEAD = ("server", "load", "messages/s", "p50 ms", "p90 ms", "p99 ms", "longest ms")


def main(
    *,
    quick: Annotated[bool, typer.Option(help="One short round of each.")] = False,
    servers: Annotated[str, typer.Option(help="Which, e.g. angarium,postfix,exim.")] = "angarium,postfix",
    size: Annotated[str, typer.Option(help="Octets of a message.")] = "10240",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each rate.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 5.0,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print one row for each server and load."""
    if quick:
        rounds, seconds = 1, 2.0
    steady = Steady(Patience(), lambda text: print(text, file=sys.stderr))
    rows: list[tuple[str, ...]] = []
    with scratch(dir_) as folder:
        for name in servers.split(","):
            peer = peers.load(name)
            reason = peer.missing() or (None if "full" in peer.MODES else "it does not deliver")
            if reason:
                rows.append((f"{name}: {reason}", *[""] * (len(_HEAD) - 1)))
                continue
            try:
                with Stand(folder / name, peer.start) as stand:
                    rows += _rows(name, stand, steady, _Load(size, rounds, seconds))
            except BenchError as error:
                rows.append((f"{name}: {error}"[:100], *[""] * (len(_HEAD) - 1)))
    print(table(_HEAD, rows))
    print(f"\nFull cycle, {size} octets; medians of {rounds} rounds of {seconds:g} s. {steady.told()}")


class _Load:
    """Rounds of one length with messages of one size."""

    def __init__(self, size: str, rounds: int, seconds: float) -> None:
        self._rounds = rounds
        self._options = ("--size", size, "--duration", f"{seconds}s")

    def repeated(self, steady: Steady, stand: Stand, *options: str) -> list[Sent]:
        return [steady.undisturbed(lambda: stand.send(*self._options, *options)) for _ in range(self._rounds)]


def _rows(name: str, stand: Stand, steady: Steady, load: _Load) -> list[tuple[str, ...]]:
    stand.send("--messages", "400")  # what is made at first use is made now
    saturating = median(sent.rate for sent in load.repeated(steady, stand))
    rows = [(name, "saturated", f"{saturating:,.0f}", *[""] * 4)]
    for fraction in FRACTIONS:
        rate = saturating * fraction
        sent = load.repeated(steady, stand, "--rate", f"{rate:.1f}")
        rows.append((name, f"{fraction:g}", f"{rate:,.0f}", *_times(sent)))
    return rows


def _times(sent: Sequence[Sent]) -> list[str]:
    def middle(value: Callable[[Sent], float]) -> str:
        return f"{median(map(value, sent)):.1f}"

    of = [
        lambda one, name=name: float(one.said["milliseconds"][name]) for name in ("p50", "p90", "p99", "max")
    ]
    return [middle(value) for value in of]


if __name__ == "__main__":
    typer.run(main)
