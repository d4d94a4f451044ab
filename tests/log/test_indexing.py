"""log.indexing: finished segments get their index from a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from angarium.log.index import find_lines, index_of, without_index
from angarium.log.indexing import REST, Librarian
from angarium.log.segment import segments_in
from angarium.log.writer import Writer
from tests.log.conftest import Clock, LogSettings, make_record


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - another process makes the file
            await asyncio.sleep(0.02)


def test_a_finished_segment_is_indexed_while_the_server_runs(settings: LogSettings, clock: Clock) -> None:
    """The writer says that a segment is finished, a child indexes it, and its records are found by that."""
    settings.max_file_size = 1
    folder = Path(settings.dir)

    async def run() -> None:
        writer = Writer(settings, worker=0, clock=clock)
        librarian = Librarian([folder])
        writer.on_finished = librarian.ask
        librarian.start()
        writer.write(make_record("a" * 32))
        await writer.sync()
        await _until(lambda: bool(segments_in(folder)) and not without_index([folder]))
        await librarian.close()
        writer.close()

    asyncio.run(run())
    (segment,) = segments_in(folder)
    assert index_of(segment).stat().st_mode & 0o777 == 0o640
    assert [json.loads(line)["id"] for line in find_lines([folder], ["a" * 32])] == ["a" * 32]


def test_what_an_earlier_run_left_is_indexed_at_the_start(settings: LogSettings, clock: Clock) -> None:
    """Segments that were finished by a server that has ended need no new one to be finished."""
    folder = Path(settings.dir)

    async def leave() -> None:
        writer = Writer(settings, worker=0, clock=clock)
        writer.write(make_record("b" * 32))
        writer.close()

    async def run() -> None:
        librarian = Librarian([folder])
        librarian.start()
        await _until(lambda: not without_index([folder]))
        await librarian.close()

    asyncio.run(leave())
    assert without_index([folder]) == segments_in(folder)
    asyncio.run(run())


def test_segments_finished_while_it_rests_are_indexed_by_one_child(
    settings: LogSettings, clock: Clock
) -> None:
    """However often segments are finished, no child begins before the rest after the one before is over."""
    settings.max_file_size = 1
    folder = Path(settings.dir)
    rests: list[float] = []
    resting, go_on = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        resting.set()
        await go_on.wait()
        go_on.clear()

    async def run() -> None:
        writer = Writer(settings, worker=0, clock=clock)
        librarian = Librarian([folder], sleep=sleep)
        writer.on_finished = librarian.ask
        librarian.start()
        await resting.wait()
        for letter in "abc":
            writer.write(make_record(letter * 32))
            await writer.sync()
        assert len(without_index([folder])) == 3
        assert rests == [REST]
        resting.clear()
        go_on.set()
        await resting.wait()
        assert without_index([folder]) == []
        await librarian.close()
        writer.close()

    asyncio.run(run())
    assert rests == [REST, REST]
