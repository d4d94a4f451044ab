"""`python -m bench.profile`: where does the time of a message go, in microseconds for each step of its walk?

Samples of the server's stacks under a full load (py-spy, from outside: the server runs as it is), each
attributed to a step by its innermost frame that tells (`steps`). They share what the kernel says that the
thread used, since samples know nothing of how long it waited for a processor. Other threads write and sync;
their CPU is one step.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bench.machine import MachineTime
from bench.markdown import table
from bench.peers import Setup, angarium
from bench.peers.running import Running
from bench.stand import Stand, scratch
from bench.steps import THREADS, order, step_of
from bench.tools import BenchError

RATE = 250  # samples a second
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Threads:
    """Seconds of CPU of a process: of its first thread, of the others, and how much of both in the kernel."""

    first: float
    others: float
    kernel: float

    @classmethod
    def of(cls, pid: int) -> Threads:
        """As the kernel says now."""
        first = others = kernel = 0.0
        for task in Path(f"/proc/{pid}/task").iterdir():
            text = (task / "stat").read_text()
            user, system = (int(ticks) / _TICK for ticks in text[text.rindex(")") + 2 :].split()[11:13])
            kernel += system
            if int(task.name) == pid:
                first = user + system
            else:
                others += user + system
        return cls(first, others, kernel)

    def since(self, before: Threads) -> Threads:
        return Threads(self.first - before.first, self.others - before.others, self.kernel - before.kernel)


@dataclass(frozen=True)
class Profile:
    """Microseconds a message for each step, and in the kernel."""

    steps: dict[str, float]
    kernel: float
    messages: int
    stolen: float


def main(
    *,
    size: Annotated[str, typer.Option(help="Octets of a message.")] = "10240",
    seconds: Annotated[int, typer.Option(min=2, help="How long to look.")] = 10,
    header: Annotated[str, typer.Option(help="Octets of its header section.")] = "0",
    json_: Annotated[Path | None, typer.Option("--json", help="Keep the figures in this file.")] = None,
    against: Annotated[Path | None, typer.Option(help="Beside figures that were kept before.")] = None,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below.")] = Path("/var/tmp"),
) -> None:
    """Measure, and print one row for each step."""
    try:
        with scratch(dir_) as folder, Stand(folder / "server", _start) as stand:
            profile = _profiled(stand, folder, ("--size", size, "--header", header), seconds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    before = json.loads(against.read_text()) if against is not None else {}
    print(_as_text(profile, before, size))
    if json_ is not None:
        json_.write_text(json.dumps(profile.steps, indent=1) + "\n")


def _start(setup: Setup) -> Running:
    return angarium.start(setup)


def _profiled(stand: Stand, folder: Path, options: tuple[str, ...], seconds: int) -> Profile:
    stand.send(*options, "--messages", "1000")
    load = threading.Thread(target=stand.send, args=(*options, "--duration", f"{seconds + 4}s"))
    load.start()
    try:
        threading.Event().wait(1.5)  # the load has to start
        pid, received = stand.server.pid, stand.delivered()
        before, machine = Threads.of(pid), MachineTime.now()
        raw = _sampled(pid, folder / "samples.txt", seconds)
        used, passed = Threads.of(pid).since(before), MachineTime.now().since(machine)
        messages = stand.delivered() - received
    finally:
        load.join()
    steps = _steps(raw, used, messages)
    return Profile(steps, used.kernel / messages * 1e6, messages, passed.stolen / passed.total)


def _sampled(pid: int, path: Path, seconds: int) -> list[str]:
    """Lines of `frame;frame;frame COUNT`."""
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        raise BenchError("py-spy is not here: make profile installs it, or pip install py-spy")
    how = ("-d", str(seconds), "-r", str(RATE), "--threads", "-f", "raw", "-o", str(path))
    done = subprocess.run(
        [program, "record", "-p", str(pid), *how], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip()[-300:]
        raise BenchError(f"py-spy: {said} (it wants to be root, or kernel.yama.ptrace_scope=0)")
    return path.read_text().splitlines()


def _steps(raw: list[str], used: Threads, messages: int) -> dict[str, float]:
    """Microseconds a message: samples of the first thread, taken while it could run, share its CPU."""
    counts: Counter[str] = Counter()
    for line in raw:
        stack, _, count = line.rpartition(" ")
        thread, *frames = stack.split(";")
        if "MainThread" in thread and frames:
            counts[step_of(frames)] += int(count)
    each = used.first / max(1, counts.total()) / messages * 1e6
    return {step: count * each for step, count in counts.items()} | {THREADS: used.others / messages * 1e6}


def _as_text(profile: Profile, before: dict[str, float], size: str) -> str:
    total = sum(profile.steps.values())
    names = sorted({*profile.steps, *before}, key=order)
    head = ["step", *(["before µs"] if before else []), "µs", "share"]
    rows = []
    for name in names:
        now = profile.steps.get(name, 0.0)
        then = [f"{before.get(name, 0.0):.1f}"] if before else []
        rows.append([name, *then, f"{now:.1f}", f"{now / total:.1%}"])
    then = [f"{sum(before.values()):.1f}"] if before else []
    rows.append(["all", *then, f"{total:.1f}", "100%"])
    return (
        f"{table(head, rows)}\n\n"
        f"µs of the server's CPU a message of {size} octets, full cycle, {profile.messages:,} messages; "
        f"{profile.kernel:.0f} µs of all are the kernel's. Stolen time: {profile.stolen:.1%}."
    )


if __name__ == "__main__":
    typer.run(main)
