"""Two servers and the same dialogues: where do they differ first, by class of reply, and in what arrives?

Promises: of each dialogue the first difference counts, since what follows is its consequence; what arrives is
compared where all replies were alike, mark by mark, without the Received field that each server adds.
"""

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.differential.dialogues import SMUGGLED, Dialogue, Step
from tests.differential.sides import Side

PATIENCE = 15.0  # seconds for a reply
_MARK = re.compile(r"d(\d+)x(\d+)y")
_RECEIVED = re.compile(rb"Received:.*\r\n(?:[ \t].*\r\n)*")
_CAUSES = ("MAIL SIZE too big", "BDAT")
Outcome = list[tuple[str, str]]
"""What was said, by its label → the codes of the replies."""
Arrivals = dict[str, dict[str, str | bytes]]
"""Mark → sender, recipient and content of what arrived for it."""


@dataclass
class Tally:
    """What came of comparing."""

    dialogues: int = 0
    replies: int = 0
    alike: int = 0
    arrivals: int = 0
    smuggled: tuple[int, int] = (0, 0)
    """Messages smuggled through the other, and through us."""
    differences: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(label, the other's reply codes or arrival, ours) → dialogues."""
    examples: dict[tuple[str, str, str], int] = field(default_factory=dict)


async def compare(them: Side, us: Side, made: Iterable[Dialogue]) -> Tally:
    """Hold every dialogue with both, one after the other."""
    tally = Tally()
    alike = []
    for dialogue in made:
        theirs, ours = await asyncio.gather(hold(them.port, dialogue), hold(us.port, dialogue))
        tally.dialogues += 1
        tally.replies += len(ours)
        different = _first_difference(theirs, ours)
        if different is None:
            tally.alike += 1
            alike.append(dialogue)
        else:
            _count(tally, different, dialogue)
    await asyncio.gather(them.settle(), us.settle())
    _compare_arrivals(tally, alike, them, us)
    tally.smuggled = (_smuggled(them), _smuggled(us))
    return tally


def _count(tally: Tally, difference: tuple[str, str, str], dialogue: Dialogue) -> None:
    tally.differences[difference] += 1
    tally.examples.setdefault(difference, dialogue.number)


def _first_difference(theirs: Outcome, ours: Outcome) -> tuple[str, str, str] | None:
    for place, ((label, other), (_, own)) in enumerate(zip(theirs, ours, strict=False)):
        if _classes(other) != _classes(own):
            return _after([said for said, _ in ours[:place]], other, own) or label, other, own
    return None


def _after(before: list[str], other: str, own: str) -> str:
    """What, earlier in the dialogue, is the cause; "" where the command itself is."""
    if own == "closed" and "stray XCLIENT not offered" in before:
        return "after XCLIENT"
    if other in ("503", "552") or own == "503":
        return next((f"after {cause}" for cause in _CAUSES if any(cause in said for said in before)), "")
    return ""


def _classes(codes: str) -> list[str]:
    return [code[:1] for code in codes.split()]


# One dialogue


async def hold(port: int, dialogue: Dialogue) -> Outcome:
    """Say everything; returns what was answered, "closed" where the server had gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    outcome = [("greeting", await _reply(reader))]
    try:
        for group in _groups(dialogue):
            writer.write(b"".join(step.octets for step in group))
            for step in group:
                outcome += await _answers(step, reader, writer)
    finally:
        writer.transport.abort()
    return outcome


def _groups(dialogue: Dialogue) -> Iterable[list[Step]]:
    """The steps that are sent in one write: each content is waited for."""
    if not dialogue.is_pipelined:
        yield from ([step] for step in dialogue.steps)
        return
    group: list[Step] = []
    for step in dialogue.steps:
        group.append(step)
        if step.content is not None:
            yield group
            group = []
    if group:
        yield group


async def _answers(step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Outcome:
    answer = await _reply(reader)
    outcome = [(step.label, answer)]
    if step.content is None or answer != "354":
        return outcome
    writer.write(step.content)
    codes = [await _reply(reader)]
    while step.is_last and codes[-1] != "closed":
        codes.append(await _reply(reader))
    return [*outcome, (step.content_label, " ".join(codes))]


async def _reply(reader: asyncio.StreamReader) -> str:
    """The code of the next reply."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            while line := await reader.readline():
                if line[3:4] != b"-":
                    return line[:3].decode("ascii", "replace")
            return "closed"
        return "silence"
    return "closed"


# What arrived


def _arrivals(side: Side) -> dict[int, Arrivals]:
    found: dict[int, Arrivals] = defaultdict(dict)
    for taken in side.hop.taken:
        for recipient in taken.recipients:
            if (mark := _MARK.search(recipient)) is not None:
                content = _RECEIVED.sub(b"", taken.content, count=1)
                entry = {"sender": taken.sender, "recipient": recipient, "content": content}
                found[int(mark[1])][mark[0]] = entry
    return found


def _compare_arrivals(tally: Tally, alike: list[Dialogue], them: Side, us: Side) -> None:
    theirs, ours = _arrivals(them), _arrivals(us)
    for dialogue in alike:
        other, own = theirs.get(dialogue.number, {}), ours.get(dialogue.number, {})
        tally.arrivals += len(own)
        if other != own:
            tally.alike -= 1
            for difference in _arrival_differences(dialogue, other, own):
                _count(tally, difference, dialogue)


def _arrival_differences(dialogue: Dialogue, other: Arrivals, own: Arrivals) -> set[tuple[str, str, str]]:
    """Each difference of a dialogue once, by the recipient's or the content's label."""
    names = _labels(dialogue)
    found = set()
    for mark in other.keys() | own.keys():
        recipient, content = names.get(mark, ("smuggled", "smuggled"))
        if mark not in other or mark not in own:
            found.add((f"arrival: {recipient} + {content}", _there(mark in other), _there(mark in own)))
            continue
        for part, label in (("sender", "MAIL"), ("recipient", recipient), ("content", content)):
            if other[mark][part] != own[mark][part]:
                found.add((f"arrival: {label}", f"{part} differs", f"{part} differs"))
    return found


def _there(arrived: bool) -> str:
    return "arrived" if arrived else "missing"


def _labels(dialogue: Dialogue) -> dict[str, tuple[str, str]]:
    """Mark → the label of its RCPT, and that of the content that followed."""
    names: dict[str, tuple[str, str]] = {}
    waiting: dict[str, str] = {}
    for step in dialogue.steps:
        if step.label.startswith("RCPT") and (mark := _MARK.search(step.octets.decode("latin-1"))):
            waiting[mark[0]] = step.label
        elif step.content is not None or step.label.startswith("BDAT"):
            names |= {mark: (label, step.content_label or step.label) for mark, label in waiting.items()}
            waiting.clear()
    return names


def _smuggled(side: Side) -> int:
    return sum(SMUGGLED.decode() in recipient for taken in side.hop.taken for recipient in taken.recipients)
