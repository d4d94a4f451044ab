"""`python -m bench.compare`: what does a message cost, beside other servers and beside the floor?"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench import peers
from bench.disk import synced_records
from bench.machine import described, file_system
from bench.report import as_json, as_text
from bench.rounds import Case, Outcome, Plan, run_case
from bench.steady import Patience, Steady
from bench.tools import BenchError, NextHop, client

SIZES = {"2k": 2048, "10k": 10_240, "100k": 102_400}
CLIENTS = {
    "smtp-source": "smtp-source",
    "angarium": "angarium bench",
    "plain": "angarium bench --no-pipelining",
    "bdat": "angarium bench --chunking",
}
MODES = ("full", "receive", "floor")

console = Console(stderr=True)


def main(
    *,
    quick: Annotated[bool, typer.Option(help="One short round of the full cycle at 10 KB.")] = False,
    only: Annotated[str, typer.Option(help="Modes, sizes and servers, e.g. full,10k,postfix.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each server in each case.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Length of a round.")] = 2.5,
    connections: Annotated[int, typer.Option(min=1, help="Connections of the client.")] = 20,
    client_: Annotated[str | None, typer.Option("--client", help=f"{', '.join(CLIENTS)}.")] = None,
    sink: Annotated[str | None, typer.Option(help="angarium or smtp-sink.")] = None,
    dir_: Annotated[Path, typer.Option("--dir", help="Queues are made below; must be a disk.")] = Path(
        "/var/tmp"
    ),
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for a quiet machine, each round.")
    ] = 20.0,
    workers: Annotated[int, typer.Option(min=1, help="Workers of Angarium.")] = 1,
    json_: Annotated[Path | None, typer.Option("--json", help="Write everything to this file.")] = None,
) -> None:
    """Measure what a message costs, beside peers that are installed and beside the floor.

    Example: python -m bench.compare --only full,10k --rounds 3
    """
    if quick:
        rounds, seconds, only = 1, min(seconds, 1.5), only or "full,floor,10k"
    cases, names = _choose(only)
    _check_names(client_, sink)
    try:
        with tempfile.TemporaryDirectory(
            prefix="angarium-bench-", dir=dir_, ignore_cleanup_errors=True
        ) as folder:
            Path(folder).chmod(0o755)  # Postfix's processes drop root's rights
            ends = client(CLIENTS[client_] if client_ else None, connections)
            plan = Plan(
                rounds,
                seconds,
                ends,
                sink,
                Path(folder),
                Steady(Patience(each=patience), lambda text: console.print(text, highlight=False)),
                workers,
            )
            head = _head(plan)
            chosen = _peers(names, head)
            outcomes = _outcomes(plan, cases, chosen)
    except (BenchError, OSError) as error:
        console.print(f"bench: {error}", style="red", highlight=False)
        raise typer.Exit(1) from None
    print(as_text(head, outcomes))
    if json_ is not None:
        json_.write_text(json.dumps(as_json(head, outcomes), indent=1) + "\n")


def _choose(only: str) -> tuple[list[Case], list[str]]:
    """The cases and the peers that `--only` leaves."""
    words = {word.strip() for word in only.lower().split(",") if word.strip()}
    unknown = words - set(MODES) - set(SIZES) - set(peers.ALL)
    if unknown:
        known = ", ".join([*MODES, *SIZES, *peers.ALL])
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not one of {known}")
    modes = [mode for mode in MODES if mode in words] or list(MODES)
    sizes = [SIZES[size] for size in SIZES if size in words] or list(SIZES.values())
    names = [name for name in peers.ALL if name in words] or list(peers.ALL)
    return [Case(mode, size) for mode in modes for size in sizes], names


def _check_names(client_: str | None, sink: str | None) -> None:
    if client_ is not None and client_ not in CLIENTS:
        raise typer.BadParameter(f"--client {client_}: {', '.join(CLIENTS)}")
    if sink not in {None, "smtp-sink", "angarium"}:
        raise typer.BadParameter(f"--sink {sink}: angarium or smtp-sink")


def _head(plan: Plan) -> dict[str, str]:
    synced = synced_records(plan.folder, min(1.0, plan.seconds))
    kind = file_system(plan.folder)
    if kind.startswith(("tmpfs", "ramfs")):
        raise BenchError(
            f"{plan.folder} is in memory ({kind}), where nothing is durable: name a disk (--dir)"
        )
    return {
        **described(),
        "disk": kind,
        "fdatasync": ", ".join(
            f"{rate:,.0f} records of 4 KiB a second, {how}" for how, rate in synced.items()
        ),
        "client": f"{plan.client.name} over {plan.client.connections} connections that stay open",
        "next hop": plan.sink or NextHop.name,
        "workers of ours": str(plan.workers),
        "rounds": f"{plan.rounds} of about {plan.seconds:g} s, servers in turn",
    }


def _peers(names: list[str], head: dict[str, str]) -> list[peers.Peer]:
    """The peers that can be measured; why others cannot goes into the head."""
    found = []
    for name in names:
        peer = peers.load(name)
        reason = peer.missing()
        head[name] = f"not measured: {reason}" if reason else f"{peer.version()}; {peer.SETTINGS}"
        if reason is None:
            found.append(peer)
    return found


def _outcomes(plan: Plan, cases: list[Case], chosen: list[peers.Peer]) -> list[Outcome]:
    """Measure case after case; Ctrl-C leaves out the rest."""
    outcomes: list[Outcome] = []
    try:
        for case in cases:
            outcomes += run_case(plan, case, [None] if case.mode == "floor" else list(chosen))
    except KeyboardInterrupt:
        console.print("bench: stopped; this is what was measured until then", style="yellow")
    return outcomes


if __name__ == "__main__":
    typer.run(main)
