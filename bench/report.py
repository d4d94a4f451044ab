"""The result, as a table for people and as JSON for programs. Ratios hold within one run."""

from __future__ import annotations

from typing import Any

from bench.markdown import table
from bench.rounds import Outcome

OURS = "angarium"

_COLUMNS = (
    "case",
    "server",
    "messages/s",
    "CPU ms",
    "client µs",
    "server µs",
    "next hop µs",
    "MB",
    "CPU ratio",
    "of servers",
    "rate ratio",
)
_LEGEND = (
    "CPU a message: all processes in milliseconds, each part in microseconds. CPU ratio: the peer's "
    "by ours, and the same of the servers alone, client and next hop left out; rate ratio: ours by "
    "the peer's. Medians of the rounds; MB is the server's memory at their end."
)


def as_text(head: dict[str, str], outcomes: list[Outcome]) -> str:
    """What was measured where, the table, and what does not stand in numbers."""
    rows = [[str(outcome.case), *_cells(outcome, outcomes)] for outcome in outcomes]
    about = [f"- {name}: {value}" for name, value in head.items()]
    return "\n".join([*about, "", table(_COLUMNS, rows, words=2), "", _LEGEND, *_notes(outcomes)])


def _cells(outcome: Outcome, outcomes: list[Outcome]) -> list[str]:
    values = _values(outcome)
    return [
        outcome.peer,
        f"{values['rate']:,.0f}",
        f"{values['cpu'] / 1000:.3f}",
        *(f"{values[part]:,.0f}" for part in ("client", "server", "sink")),
        f"{values['memory']:,.0f}",
        *(f"{ratio:.1f}" if ratio else "" for ratio in _ratios(outcome, outcomes).values()),
    ]


def _values(outcome: Outcome) -> dict[str, float]:
    """Medians; CPU in microseconds a message, memory in megabytes."""
    return {
        "rate": outcome.median(lambda one: one.rate),
        "cpu": outcome.median(lambda one: one.cpu) * 1e6,
        "client": outcome.median(lambda one: one.client / one.messages) * 1e6,
        "server": outcome.median(lambda one: one.server / one.messages) * 1e6,
        "sink": outcome.median(lambda one: one.sink / one.messages) * 1e6,
        "memory": outcome.median(lambda one: one.memory) / 1e6,
    }


def _ratios(outcome: Outcome, outcomes: list[Outcome]) -> dict[str, float]:
    """Times our CPU, times our server's, our rate as a multiple of its; noughts: nothing to compare with."""
    ours = next((one for one in outcomes if one.peer == OURS and one.case == outcome.case), None)
    if ours is None or outcome.peer == OURS:
        return dict.fromkeys(("cpu_ratio", "server_ratio", "rate_ratio"), 0.0)
    mine, theirs = _values(ours), _values(outcome)
    return {
        "cpu_ratio": theirs["cpu"] / mine["cpu"],
        "server_ratio": theirs["server"] / mine["server"],
        "rate_ratio": mine["rate"] / theirs["rate"],
    }


def _notes(outcomes: list[Outcome]) -> list[str]:
    notes = []
    for outcome in outcomes:
        stolen = max(one.stolen for one in outcome.rounds)
        foreign = max(one.foreign for one in outcome.rounds)
        where = f"{outcome.case}, {outcome.peer}"
        if stolen > 0.01:
            notes.append(f"{where}: up to {stolen:.1%} of the time was stolen by other machines")
        if foreign > 0.15:
            notes.append(
                f"{where}: up to {foreign:.0%} of the machine was used by others and by the kernel's threads"
            )
    return notes


def as_json(head: dict[str, str], outcomes: list[Outcome]) -> dict[str, Any]:
    """Everything, single rounds included."""
    return {"head": head, "results": [_as_json(outcome, outcomes) for outcome in outcomes]}


def _as_json(outcome: Outcome, outcomes: list[Outcome]) -> dict[str, Any]:
    return {
        "mode": outcome.case.mode,
        "size": outcome.case.size,
        "peer": outcome.peer,
        **{name: round(value, 2) for name, value in _values(outcome).items()},
        **{name: round(ratio, 2) or None for name, ratio in _ratios(outcome, outcomes).items()},
        "rounds": [vars(one) for one in outcome.rounds],
    }
