"""A power cut between any two file operations loses nothing that was answered, and brings nothing back that
is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from angarium.spool.errors import SpoolError
from angarium.spool.store import Recovered, Store
from tests.spool.simulated import LoopWorker, SimulatedDisk

SEGMENT = 24 * 1024
FOLDER = Path("spool")


def open_store(disk: SimulatedDisk) -> Store:
    return Store.open(
        FOLDER, segment_size=SEGMENT, min_free_space=0, files=disk, make_worker=LoopWorker, memory=4096
    )


@dataclass
class Known:
    """What the outside world was told."""

    content: dict[str, bytes] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    begun: set[str] = field(default_factory=set)
    """Finishes asked for."""
    finished: set[str] = field(default_factory=set)
    """Finishes known to be on stable storage."""
    notes: dict[str, list[bytes]] = field(default_factory=dict)
    """All notes of a message; the last synced one or a later one must come back."""
    noted: dict[str, int] = field(default_factory=dict)
    """How many of them are known to be on stable storage."""
    places: dict[str, int] = field(default_factory=dict)


class Player:
    """Plays a script against a store, and keeps book of what it may expect."""

    def __init__(self, disk: SimulatedDisk, known: Known, seed: int) -> None:
        self.disk = disk
        self.known = known
        self.random = random.Random(seed)
        self.count = len(known.content)
        self.store = open_store(disk)
        self.is_on = True
        self.store.set_moved(self.moved)

    def moved(self, ident: str, place: int) -> None:
        if self.is_on:
            self.known.places[ident] = place

    def learn(self, recovered: list[Recovered]) -> None:
        """What a start found is on stable storage; from here on it must stay so."""
        known = self.known
        known.places = {message.ident: message.place for message in recovered}
        known.answered |= set(known.places)
        known.finished = known.answered - set(known.places)
        known.begun = set(known.finished)
        for message in recovered:
            known.notes[message.ident] = [] if message.note is None else [message.note]
            known.noted[message.ident] = len(known.notes[message.ident])

    async def put(self, copies: int, size: int) -> None:
        content = self.random.randbytes(size)
        idents = [f"{self.count + n:032x}" for n in range(copies)]
        self.count += copies
        for ident in idents:
            self.known.content[ident] = content
        half = size // 2
        with contextlib.suppress(SpoolError):
            messages = [(ident, ident.encode()) for ident in idents]
            places = self.store.put([content[:half], memoryview(content)[half:]], messages)
            await self.store.commit()
            self.known.places |= dict(zip(idents, places, strict=True))
            self.known.answered |= set(idents)

    async def put_after(self, turns: int) -> None:
        """Put while batches and segments are under way."""
        for _ in range(turns):
            await asyncio.sleep(0)
        await self.put(1, 700)

    def _waiting(self) -> list[str]:
        return sorted(self.known.answered - self.known.begun)

    def finish(self) -> None:
        if waiting := self._waiting():
            ident = self.random.choice(waiting)
            self.known.begun.add(ident)
            self.store.finish(self.known.places[ident], ident)

    def note(self) -> None:
        if waiting := self._waiting():
            ident = self.random.choice(waiting)
            notes = self.known.notes.setdefault(ident, [])
            notes.append(self.random.randbytes(9))
            self.store.note(self.known.places[ident], ident, notes[-1])

    async def sync(self) -> None:
        begun, noted = set(self.known.begun), {ident: len(n) for ident, n in self.known.notes.items()}
        with contextlib.suppress(SpoolError):
            await self.store.commit()
            self.known.finished |= begun
            self.known.noted |= noted

    async def rest(self) -> None:
        for _ in range(40):
            await asyncio.sleep(0)

    async def play(self, steps: list[str]) -> None:
        for step in steps:
            match step.split():
                case ["put", copies, size]:
                    await self.put(int(copies), int(size))
                case ["crowd", number]:
                    await asyncio.gather(*[self.put(1, 700) for _ in range(int(number))])
                case ["waves", number]:
                    await asyncio.gather(*[self.put_after(n // 10) for n in range(int(number))])
                case ["finish"]:
                    self.finish()
                case ["note"]:
                    self.note()
                case ["sync"]:
                    await self.sync()
                case ["rest"]:
                    await self.rest()


def check(store: Store, known: Known) -> list[Recovered]:
    assert all("no valid header" in report for report in store.reports), "torn is not damaged"
    recovered = list(store.recover())
    idents = [message.ident for message in recovered]
    assert len(set(idents)) == len(idents), "a message came back twice"
    assert known.answered - known.begun <= set(idents), "an answered message was lost"
    assert not known.finished & set(idents), "a finished message came back"
    for message in recovered:
        assert message.message == message.ident.encode()
        assert store.load(message.place).content == known.content[message.ident]
        notes = known.notes.get(message.ident, [])
        synced = known.noted.get(message.ident, 0)
        allowed = [None, *notes][synced:] if message.ident in known.answered else [None]
        assert message.note in allowed, "a note was lost"
    return recovered


async def run_and_check(steps: list[str], *, seed: int, stop_at: int | None) -> int:
    """Play, cut the power, start, play again, cut again, start; tells how many operations there were."""
    known = Known()
    disk = SimulatedDisk(seed=seed)
    player = Player(disk, known, seed)
    disk.stop_at = stop_at
    await player.play(steps)
    operations = disk.operations
    for _ in range(2):
        player.is_on = False
        disk = disk.power_cut()
        disk.stop_at = disk.random.choice([None, disk.random.randrange(1, 40)])
        with contextlib.suppress(SpoolError):
            player = Player(disk, known, seed)
            player.learn(check(player.store, known))
            await player.play(steps[-12:])
    check(open_store(disk.power_cut()), known)
    return operations


SCRIPTS = {
    "one": ["put 1 500", "finish", "sync"],
    "shared": ["put 3 900", "finish", "sync", "note", "sync", "finish", "rest"],
    "turnover": [
        "crowd 8",
        "note",
        "crowd 8",
        "finish",
        "crowd 8",
        "sync",
        "finish",
        "note",
        "crowd 8",
        "sync",
    ],
    "outgrown": ["put 1 6000", "waves 40", "note", "finish", "sync"],
    "large": ["put 1 100", "put 2 60000", "finish", "sync", "put 1 100", "rest", "sync"],
    "emptied": [
        "put 2 9000",
        "note",
        "put 1 9000",
        *["put 1 9000", "finish", "sync"] * 12,
        "rest",
        "note",
        "sync",
    ],
    "moved": [
        "put 3 3000",
        "put 1 2000",
        "note",
        "crowd 6",
        *["put 1 5000", "finish", "note", "sync"] * 14,
        "rest",
    ],
    "recycled": [*["crowd 4", "finish", "finish", "finish", "finish", "sync", "rest"] * 12],
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_power_cut_between_any_two_operations_keeps_every_promise(name: str) -> None:
    """Wherever the power is cut, answered messages come back, once and intact, and finished ones do not."""
    steps = SCRIPTS[name]
    operations = asyncio.run(run_and_check(steps, seed=1, stop_at=None))
    assert operations > 5
    for stop_at in range(1, operations + 1):
        for seed in (1, 2, 3, 8, 16):  # the last two have found something
            asyncio.run(run_and_check(steps, seed=seed, stop_at=stop_at))


STEPS = st.sampled_from(
    [
        "put 1 10",
        "put 1 3000",
        "put 3 2000",
        "put 2 30000",
        "crowd 5",
        "finish",
        "finish",
        "note",
        "waves 40",
        "sync",
        "rest",
    ]
)


@settings(max_examples=250, deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(0, 1 << 20), st.integers(1, 120))
def test_any_script_survives_any_power_cut(steps: list[str], seed: int, stop_at: int) -> None:
    """The same for scripts that nobody thought of."""
    asyncio.run(run_and_check(steps, seed=seed, stop_at=stop_at))


@settings(max_examples=250, deadline=None)
@given(
    steps=st.lists(STEPS, max_size=40),
    seed=st.integers(0, 1 << 20),
    share=st.floats(0, 0.3),
    is_killed=st.booleans(),
)
@example(steps=["put 1 10"] * 3, seed=3229, share=0.25, is_killed=True)  # a failed write comes to light late
def test_any_script_survives_trouble_with_the_disk(
    steps: list[str], seed: int, share: float, is_killed: bool
) -> None:
    """Operations that fail now and then, with or without effect, lose nothing that was answered, at once or
    later.
    """

    async def play() -> None:
        known = Known()
        disk = SimulatedDisk(seed=seed)
        player = Player(disk, known, seed)
        dice = random.Random(seed)
        disk.fail = lambda _: dice.choice([errno.EIO, errno.ENOSPC]) if dice.random() < share else None
        await player.play(steps)
        disk.fail = lambda _: None
        await player.play(steps[:8])
        player.is_on = False
        disk = disk.kill() if is_killed else disk.power_cut()
        player = Player(disk, known, seed)
        player.learn(check(player.store, known))
        await player.play(steps[-8:])
        check(open_store(disk.power_cut()), known)

    asyncio.run(play())
