"""`python -m fuzz.all --seconds 60 --jobs 2 [TARGET…]`: all targets, some at a time, a line for each.

A target that breaks an invariant shows the assertion and the octets that did it; the others go on, and the
exit code is 1. Nine targets, a minute each, two at a time, take five minutes.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from subprocess import PIPE
from typing import NamedTuple

from fuzz.run import DEFAULT_SECONDS, FOUND, has_atheris
from fuzz.targets import TARGETS

DEFAULT_JOBS = 2
PATIENCE = 120
"""Seconds that a target may take beyond its time: to be instrumented, and to finish its last input."""
_RUNS = re.compile(r"stat::number_of_executed_units: +([0-9]+)")
_SAVED = re.compile(r"Test unit written to (\S+)")


class Outcome(NamedTuple):
    """What became of one target."""

    name: str
    seconds: float
    runs: int
    complaint: str
    """What was printed by one that failed; "" for one that held."""

    @property
    def line(self) -> str:
        """In a table of outcomes."""
        verdict = "BROKEN" if self.complaint else "holds"
        return f"{self.name:<10} {verdict:<6} {self.runs:>12,} inputs {self.seconds:6.0f} s"


def fuzz(name: str, seconds: int) -> Outcome:
    """Fuzz one target in a process of its own."""
    command = [sys.executable, "-m", "fuzz.run", name, str(seconds)]
    begun = time.monotonic()
    run = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, errors="replace")
    try:
        stdout, stderr = run.communicate(timeout=seconds + PATIENCE)
    except subprocess.TimeoutExpired:
        run.terminate()  # not killed: it takes its folders away
        run.communicate()
        return Outcome(name, time.monotonic() - begun, 0, f"no end after {seconds + PATIENCE} s")
    runs = _RUNS.search(stderr)
    held = run.returncode == 0 and runs is not None
    complaint = "" if held else _complaint(name, stdout + stderr) or f"exit code {run.returncode}"
    return Outcome(name, time.monotonic() - begun, int(runs[1]) if runs else 0, complaint)


def _complaint(name: str, said: str) -> str:
    """The assertion that failed, and the octets that made it fail, without the fuzzer's progress."""
    kept = [line for line in said.splitlines() if not line.startswith(("#", "INFO:", "\tNEW_FUNC"))]
    saved = _SAVED.search(said)
    return "\n".join([*kept[-60:], f"again: python -m fuzz.run {name} {saved[1]}" if saved else ""])


def main() -> int:
    """Fuzz what was asked for; returns 1 if an invariant broke."""
    if not has_atheris():
        print("fuzz: atheris is not installed; nothing was fuzzed (make atheris; it needs Python 3.11)")
        return 0
    asked = _arguments()
    broken = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for outcome in pool.map(lambda name: fuzz(name, asked.seconds), asked.targets):
            print(outcome.line, flush=True)
            if outcome.complaint:
                broken.append(outcome.name)
                print(outcome.complaint, flush=True)
    where = f"; broken: {', '.join(broken)} (see {FOUND})" if broken else ""
    print(f"fuzz: {len(asked.targets) - len(broken)} of {len(asked.targets)} targets hold{where}")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.all", description=__doc__)
    parser.add_argument("--seconds", type=int, default=DEFAULT_SECONDS, help="a target")
    parser.add_argument("--jobs", type=int, default=DEFAULT_JOBS, help="targets at a time")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; all")
    asked = parser.parse_args()
    asked.targets = asked.targets or list(TARGETS)
    return asked


if __name__ == "__main__":
    sys.exit(main())
