"""`python -m bench.sizing`: how much does one core carry, one disk, and one gigabyte?

A full cycle at three sizes: CPU of the server a message, octets that it has the disk write, memory. What a
core carries in an hour is reckoned from CPU with three tenths of it left free. `--write` puts the table into
docs/sizing.md, between its two marks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from bench.disk import synced_records
from bench.machine import described, file_system
from bench.markdown import table
from bench.peers import Setup, angarium
from bench.peers.running import Running
from bench.stand import Sent, Stand, scratch
from bench.steady import Patience, Steady

SIZES = {"2 KB": "2048", "10 KB": "10240", "100 KB": "102400"}
FREE = 0.3
"""The share of a core that is left free."""
DISK = 100e6
"""Octets a second of the disk that the table reckons with."""
PAGE = Path(__file__).parents[1] / "docs" / "sizing.md"
MARKS = ("<!-- measured: python -m bench.sizing --write -->", "<!-- end -->")

_HEAD = (
    "message",
    "CPU ms",
    "an hour per core",
    "octets written",
    "an hour per 100 MB/s of disk",
    "measured, messages/s",
    "memory MB",
)


def main(
    *,
    quick: Annotated[bool, typer.Option(help="One short round of each.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each size.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 4.0,
    write: Annotated[bool, typer.Option(help="Put the table into docs/sizing.md.")] = False,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print one row for each size."""
    if quick:
        rounds, seconds = 1, 1.5
    steady = Steady(Patience(), lambda text: print(text, file=sys.stderr))
    with scratch(dir_) as folder:
        synced = synced_records(folder, 0.5)
        rows = [_row(folder, name, steady, rounds, seconds) for name in SIZES]
        disk = file_system(folder)
    about = described()
    text = (
        f"{table(_HEAD, rows)}\n\n"
        f"{datetime.now(UTC):%Y-%m-%d}: {about['processor']}, {disk}, Python {about['python']}, Angarium "
        f"{angarium.version()}; full cycle, one worker, client and next hop on the same machine. fdatasync: "
        f"{', '.join(f'{rate:,.0f} a second with {how}' for how, rate in synced.items())}. {steady.told()}"
    )
    print(text)
    if write:
        PAGE.write_text(_placed(PAGE.read_text(), text))


def _row(folder: Path, name: str, steady: Steady, rounds: int, seconds: float) -> list[str]:
    options = ("--size", SIZES[name], "--duration", f"{seconds}s")
    with Stand(folder / SIZES[name], _start) as stand:
        stand.send("--size", SIZES[name], "--messages", "500")
        measured = [steady.undisturbed(lambda: _written(stand, options)) for _ in range(rounds)]
        memory = stand.memory()
    return _cells(name, [sent for sent, _ in measured], median(octets for _, octets in measured), memory)


def _start(setup: Setup) -> Running:
    return angarium.start(setup)


def _written(stand: Stand, options: Sequence[str]) -> tuple[Sent, float]:
    """What was sent, and octets that a message had the disk write."""
    before = _octets_written(stand.server.pid)
    sent = stand.send(*options)
    return sent, (_octets_written(stand.server.pid) - before) / sent.messages


def _octets_written(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])


def _cells(name: str, sent: Sequence[Sent], octets: float, memory: int) -> list[str]:
    microseconds = median(one.microseconds for one in sent)
    return [
        name,
        f"{microseconds / 1000:.2f}",
        f"{_rounded(3600e6 / microseconds * (1 - FREE)):,}",
        f"{octets:,.0f}",
        f"{_rounded(3600 * DISK / octets):,}" if octets else "",
        f"{median(one.rate for one in sent):,.0f}",
        f"{memory / 1e6:,.0f}",
    ]


def _rounded(number: float) -> int:
    """To the nearest hundred thousand: more would be a promise."""
    return round(number / 100_000) * 100_000


def _placed(page: str, text: str) -> str:
    """The page with this between its marks."""
    first, last = (page.index(mark) for mark in MARKS)
    return page[: first + len(MARKS[0])] + "\n" + text + "\n" + page[last:]


if __name__ == "__main__":
    typer.run(main)
