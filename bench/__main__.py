"""`python -m bench [NAME …]`: all measurements in turn, or those that are named, as tables in Markdown.

Each is a program of its own as well, with more options: `python -m bench.compare --help`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Annotated

import typer

ALL = {
    "compare": "what a message costs, beside other servers and beside the floor",
    "latency": "how long acceptance takes at fractions of the saturating rate, beside Postfix",
    "spikes": "the longest acceptance while configuration is reloaded and files turn over",
    "growth": "what a message costs when domains, queue, configuration or header sections grow",
    "sizing": "how much one core and one disk carry",
    "queue_size": "how large a queue may be: memory, start, and what operators ask",
    "soak": "whether memory stays flat",
}

IN_PASSING = "300"
"""Seconds of the soak where it is one among all."""


def main(
    names: Annotated[
        list[str] | None, typer.Argument(help=", ".join(ALL) + "; all if none is named.")
    ] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Each in its shortest form.")] = False,
) -> None:
    """Measure, and print tables."""
    wanted = [name for text in names or () for name in text.split(",") if name]
    unknown = set(wanted) - set(ALL)
    if unknown:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not one of {', '.join(ALL)}")
    if not wanted:
        os.environ["SOAK"] = os.environ.get("SOAK") or IN_PASSING
    failed = [name for name in wanted or ALL if not _ran(name, quick=quick)]
    if failed:
        print(f"bench: not measured: {', '.join(failed)}", file=sys.stderr)
        raise typer.Exit(1)


def _ran(name: str, *, quick: bool) -> bool:
    began = time.monotonic()
    print(f"\n## {name}: {ALL[name]}\n", flush=True)
    command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if quick else [])]
    with subprocess.Popen(command) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:  # it was told too, and stops its servers first
            process.wait()
            raise typer.Exit(130) from None
    print(f"\n{name}: {time.monotonic() - began:.0f} s", flush=True)
    return status == 0


if __name__ == "__main__":
    typer.run(main)
