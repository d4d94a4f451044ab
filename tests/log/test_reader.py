"""The reader: by time, by type, by id, once or following."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from angarium.log.reader import Reader
from angarium.log.writer import Writer
from tests.log.conftest import NOW, Clock, LogSettings, make_record


@pytest.fixture
def folder(settings: LogSettings, clock: Clock) -> Path:
    """Two workers' segments, interleaved in time."""
    asyncio.run(write_both(settings, clock))
    return Path(settings.dir)


async def write_both(settings: LogSettings, clock: Clock) -> None:
    for worker in (0, 1):
        writer = Writer(settings, worker=worker, clock=clock)
        for number in (0, 2, 4):
            moment = number + worker
            kind = "Delivery" if number == 4 else "Reception"
            writer.write(make_record(f"m{moment}", kind, NOW + moment, session_id=f"s{worker}"))
        writer.close()


def ids(reader: Reader) -> list[str]:
    return [line.id for line in reader.read()]


async def test_records_come_by_time_over_all_workers(folder: Path) -> None:
    """Two workers' rows are merged."""
    assert ids(Reader([folder])) == ["m0", "m1", "m2", "m3", "m4", "m5"]


async def test_types_and_ids_choose(folder: Path) -> None:
    """By type; by message id; by session id; an id that is only a part of another finds nothing."""
    assert ids(Reader([folder], types=["Delivery"])) == ["m4", "m5"]
    assert ids(Reader([folder], ids=["m3"])) == ["m3"]
    assert ids(Reader([folder], ids=["s1"])) == ["m1", "m3", "m5"]
    assert ids(Reader([folder], ids=["m"])) == []


async def test_the_whole_record_can_be_had(folder: Path) -> None:
    """A line gives its record back."""
    line = next(Reader([folder], ids=["m2"]).read())
    assert line.record() == make_record("m2", now=NOW + 2, session_id="s0")


async def test_following_gives_each_record_once(settings: LogSettings, clock: Clock) -> None:
    """What is written between two looks comes with the second, and nothing comes twice."""
    writer = Writer(settings, worker=0, clock=clock)
    reader = Reader([Path(settings.dir)])
    assert ids(reader) == []
    for ident in ("a", "b"):
        writer.write(make_record(ident))
        await writer.sync()
        assert ids(reader) == [ident]
    writer.close()
    assert ids(reader) == []


async def test_follow_waits_between_looks(folder: Path) -> None:
    """`follow` yields what there is, waits, and looks again; what `wait` raises ends it."""

    def wait() -> None:
        raise KeyboardInterrupt

    lines: Iterator[object] = Reader([folder]).follow(wait)
    for _ in range(6):
        next(lines)
    with pytest.raises(KeyboardInterrupt):
        next(lines)


async def test_what_is_no_record_is_passed_over(settings: LogSettings, clock: Clock) -> None:
    """Lines that are no JSON do not stop the reader; a folder that is not there has no records."""
    writer = Writer(settings, worker=0, clock=clock)
    writer.write_encoded(b'{"type":"Reception", broken')
    writer.write(make_record("a"))
    writer.close()
    assert ids(Reader([Path(settings.dir), Path(settings.dir) / "absent"])) == ["a"]
