"""One case after the other: several rounds of every peer in turn, and their medians.

A round sends as many messages as take a few seconds, waits until the next hop has them all (full cycle)
or the client has all its replies (receive-only), and adds up the CPU of client, server and next hop. Rounds
of the peers take turns, so that a slow minute of the machine hits them all. Rounds that were disturbed are
repeated (`steady`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench import peers
from bench.machine import MachineTime, cpu_of_tree, memory_of_tree
from bench.steady import Steady
from bench.tools import BenchError, Client, NextHop, free_port, hanging_next_hop, next_hop, wait_for

MODES = {"full": "full cycle", "receive": "receive-only", "floor": "floor"}

_WARM_UP = 400  # messages, from which the length of a round is reckoned
_SETTLE = (
    0.3  # seconds in which the server removes what it has delivered; they count for CPU, not for the rate
)


@dataclass(frozen=True)
class Case:
    """What is measured: `full` (client → server → next hop), `receive`, or `floor` (client → next hop)."""

    mode: str
    size: int

    def __str__(self) -> str:
        return f"{MODES[self.mode]}, {self.size // 1024} KB"


@dataclass(frozen=True)
class Round:
    """What one round cost. CPU in seconds, memory in octets, shares of the machine's time."""

    messages: int
    seconds: float
    client: float
    server: float
    sink: float
    memory: int
    stolen: float
    foreign: float

    @property
    def rate(self) -> float:
        return self.messages / self.seconds

    @property
    def cpu(self) -> float:
        """Seconds of CPU a message, all processes."""
        return (self.client + self.server + self.sink) / self.messages


@dataclass(frozen=True)
class Plan:
    """How to measure: for how many rounds of how many seconds, with which ends, and where."""

    rounds: int
    seconds: float
    client: Client
    sink: str | None
    folder: Path
    steady: Steady
    workers: int = 1

    def say(self, text: str) -> None:
        """Tell how it goes."""
        self.steady.say(text)


@dataclass(frozen=True)
class Outcome:
    """The rounds of one peer in one case."""

    case: Case
    peer: str
    rounds: list[Round]

    def median(self, value: Callable[[Round], float]) -> float:
        return median(value(one) for one in self.rounds)


class Bench:
    """One peer (None: the floor) ready for the rounds of one case."""

    def __init__(self, plan: Plan, case: Case, peer: peers.Peer | None) -> None:
        self.name = peer.NAME if peer is not None else "floor"
        self._plan = plan
        self._case = case
        folder = plan.folder / f"{case.mode}-{case.size}-{self.name}"
        folder.mkdir(parents=True)
        self._delivers = case.mode != "receive"
        self._sink: NextHop = next_hop(plan.sink, folder) if self._delivers else hanging_next_hop(folder)
        self._server: peers.Server | None = None
        self._port = self._sink.port
        if peer is not None:
            self._port = free_port()
            setup = peers.Setup(
                folder / "server",
                self._port,
                self._sink.port,
                plan.client.connections,
                self._delivers,
                plan.workers,
            )
            self._server = self._start(peer, setup)

    def _start(self, peer: peers.Peer, setup: peers.Setup) -> peers.Server:
        try:
            return peer.start(setup)
        except BaseException:
            self._sink.stop()
            raise

    def close(self) -> None:
        if self._server is not None:
            self._server.stop()
        self._sink.stop()

    def warm_up(self) -> int:
        """Send a few messages; returns how many a round should have."""
        one = self._measure(_WARM_UP)
        return max(_WARM_UP, int(one.rate * self._plan.seconds))

    def measure(self, messages: int) -> Round:
        """One round, repeated while too much time is stolen."""
        return self._plan.steady.undisturbed(lambda: self._measure(messages))

    def _measure(self, messages: int) -> Round:
        received = self._sink.count()
        before, machine = self._cpu(), MachineTime.now()
        spent = self._plan.client.send(self._port, self._case.size, messages)
        ended = self._await(received + messages) if self._delivers else spent.ended
        memory = memory_of_tree(self._server.pid) if self._server is not None else 0
        time.sleep(_SETTLE)
        after, passed = self._cpu(), MachineTime.now().since(machine)
        server, sink = after[0] - before[0], after[1] - before[1]
        return Round(
            messages,
            ended - spent.began,
            spent.cpu,
            server,
            sink,
            memory,
            stolen=passed.stolen / passed.total,
            foreign=max(0.0, passed.busy - spent.cpu - server - sink) / passed.total,
        )

    def _await(self, received: int) -> float:
        """Wait until the next hop has so many messages; returns when it had."""
        wait_for(lambda: self._sink.count() >= received, f"{received} messages at the next hop", seconds=180)
        if self._sink.count() > received:
            raise BenchError(f"{self.name}: {self._sink.count() - received} messages came twice")
        return self._sink.last()

    def _cpu(self) -> tuple[float, float]:
        return cpu_of_tree(self._server.pid) if self._server is not None else 0.0, cpu_of_tree(self._sink.pid)


def run_case(plan: Plan, case: Case, chosen: list[peers.Peer | None]) -> list[Outcome]:
    """Measure all peers that know the mode, their rounds in turn."""
    chosen = [peer for peer in chosen if peer is None or case.mode in peer.MODES]
    plan.say(str(case))
    running: list[Bench] = []
    try:
        running.extend(Bench(plan, case, peer) for peer in chosen)
        counts = [bench.warm_up() for bench in running]
        rounds: list[list[Round]] = [[] for _ in running]
        for _ in range(plan.rounds):
            for bench, count, done in zip(running, counts, rounds, strict=True):
                done.append(bench.measure(count))
                plan.say(f"  {bench.name}: {done[-1].rate:,.0f}/s, {done[-1].cpu * 1e6:,.0f} µs a message")
    finally:
        for bench in running:
            bench.close()
    return [Outcome(case, bench.name, done) for bench, done in zip(running, rounds, strict=True)]
