"""The writer: frames, segments, custody, trouble."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from angarium.log import stream
from angarium.log.reader import Reader
from angarium.log.records import encode_record
from angarium.log.segment import good_end, read_frames, segments_in
from angarium.log.stream import Stream
from angarium.log.writer import FRAME_LIMIT, LogError, Writer
from tests.log.conftest import NOW, Clock, LogSettings, make_record


def read_ids(folder: Path) -> list[str]:
    return [line.id for line in Reader([folder]).read()]


async def test_what_a_sync_resolved_for_can_be_read_at_once(settings: LogSettings, clock: Clock) -> None:
    """A record is in its segment, whole, when `sync` resolves; the segment is still the current one."""
    writer = Writer(settings, worker=0, clock=clock)
    writer.write(make_record("a"))
    await writer.sync()
    [segment] = segments_in(Path(settings.dir))
    assert read_ids(Path(settings.dir)) == ["a"]
    assert segment.stat().st_mode & 0o222
    writer.close()


async def test_many_syncs_share_a_turn(settings: LogSettings, clock: Clock) -> None:
    """A hundred records that are synced together become a few frames, and each is durable."""
    writer = Writer(settings, worker=0, clock=clock)

    async def one(number: int) -> None:
        writer.write(make_record(f"{number}"))
        await writer.sync()

    await asyncio.gather(*[one(number) for number in range(100)])
    [segment] = segments_in(Path(settings.dir))
    assert len(list(read_frames(segment))) <= 3
    assert len(read_ids(Path(settings.dir))) == 100
    writer.close()


async def test_lines_wait_a_second_at_most(
    settings: LogSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a sync, a line is written when its frame's time is up."""
    monkeypatch.setattr("angarium.log.writer.FRAME_AGE", 0.01)
    writer = Writer(settings, worker=0, clock=clock)
    writer.write(make_record("a"))
    async with asyncio.timeout(5):
        while not read_ids(Path(settings.dir)):  # noqa: ASYNC110 - the writer tells nobody
            await asyncio.sleep(0)
    writer.close()


async def test_frames_hold_at_most_256_kib_and_never_half_a_line(settings: LogSettings, clock: Clock) -> None:
    """Many records make several frames, each within the limit and ending with a line end; one larger record
    is a frame of its own.
    """
    writer = Writer(settings, worker=0, clock=clock)
    for number in range(2000):
        writer.write(make_record(f"{number}", queue="q" * 300))
    writer.write(make_record("large", queue="q" * FRAME_LIMIT))
    writer.write(make_record("last"))
    writer.close()
    [segment] = segments_in(Path(settings.dir))
    frames = [frame.lines for frame in read_frames(segment)]
    assert len(frames) > 4
    assert all(frame.endswith(b"\n") for frame in frames)
    assert all(len(frame) <= FRAME_LIMIT or frame.count(b"\n") == 1 for frame in frames)
    assert len(read_ids(Path(settings.dir))) == 2002


async def test_a_finished_segment_is_read_only_and_named_by_time_and_worker(
    settings: LogSettings, clock: Clock
) -> None:
    """Closing takes the write permission away; the name carries UTC time and worker."""
    writer = Writer(settings, worker=3, clock=clock)
    writer.write(make_record("a"))
    writer.close()
    [segment] = segments_in(Path(settings.dir))
    assert segment.name == "20231114-221320.250000-3.zst"
    assert stat.S_IMODE(segment.stat().st_mode) == 0o440


@pytest.mark.skipif(shutil.which("zstdcat") is None, reason="zstdcat is not installed")
async def test_zstdcat_reads_a_segment(settings: LogSettings, clock: Clock) -> None:
    """The format is plain: JSON Lines, compressed."""
    writer = Writer(settings, worker=0, clock=clock)
    for ident in ("a", "b"):
        writer.write(make_record(ident))
        await writer.sync()
    writer.close()
    [segment] = segments_in(Path(settings.dir))
    text = subprocess.run(["zstdcat", segment], capture_output=True, check=True).stdout  # noqa: ASYNC221
    assert text == b"".join(encode_record(make_record(ident)) + b"\n" for ident in ("a", "b"))


async def test_a_segment_ends_by_size_and_by_time(settings: LogSettings, clock: Clock) -> None:
    """`max_file_size` counts octets of lines; `max_segment_duration` counts from the first record."""
    settings.max_file_size = 1000
    settings.max_segment_duration = 60.0
    writer = Writer(settings, worker=0, clock=clock)
    for number in range(3):
        writer.write(make_record(f"{number}", queue="q" * 1000))
        await writer.sync()
    assert len(segments_in(Path(settings.dir))) == 3
    settings.max_file_size = 1_000_000
    writer.close()
    writer = Writer(settings, worker=1, clock=clock)
    writer.write(make_record("early"))
    await writer.sync()
    clock.now += 60
    await writer.sync()
    writer.write(make_record("late"))
    await writer.sync()
    assert len(segments_in(Path(settings.dir))) == 5
    writer.close()


async def test_records_go_where_per_record_says(settings: LogSettings, clock: Clock, tmp_path: Path) -> None:
    """`suffix`, `log_dir` and `enable` by type; `Any` for the types that are not named, and for no other."""
    settings.per_record = {
        "Delivery": {"suffix": "_sent"},
        "Bounce": {"log_dir": str(tmp_path / "bounces")},
        "Any": {"enable": False},
    }
    writer = Writer(settings, worker=0, clock=clock)
    for kind in ("Delivery", "Bounce", "Reception"):
        writer.write_encoded(encode_record(make_record(kind, kind)))
        writer.write(make_record(kind, kind))
    writer.close()
    [sent] = segments_in(Path(settings.dir))
    assert sent.name.endswith("_sent.zst")
    assert read_ids(Path(settings.dir)) == ["Delivery", "Delivery"]
    assert read_ids(tmp_path / "bounces") == ["Bounce", "Bounce"]


async def test_a_segment_ends_without_a_look_at_the_others(settings: LogSettings, clock: Clock) -> None:
    """Where nothing is to be removed, the folder is not listed when segments end, however many there are."""
    looks: list[str] = []
    settings.max_file_size = 1
    writer = Writer(settings, worker=0, clock=clock)
    sys.addaudithook(lambda event, _: looks.append(event) if event in ("os.listdir", "os.scandir") else None)
    for number in range(3):
        writer.write(make_record(f"{number}"))
        await writer.sync()
    writer.close()
    assert looks == []
    assert len(segments_in(Path(settings.dir))) == 3


async def test_old_segments_go_by_age_and_by_size(settings: LogSettings, clock: Clock) -> None:
    """`keep_age` and `keep_size` remove the oldest finished segments, never the current one."""
    settings.max_file_size = 1
    settings.keep_age = 3600.0
    writer = Writer(settings, worker=0, clock=clock)
    for number in range(4):
        writer.write(make_record(f"{number}"))
        await writer.sync()
    old, *_ = segments_in(Path(settings.dir))
    for path in segments_in(Path(settings.dir)):
        os.utime(path, (NOW, NOW))
    os.utime(old, (NOW - 4000, NOW - 4000))
    writer.close()
    Writer(settings, worker=0, clock=clock).close()
    assert read_ids(Path(settings.dir)) == ["1", "2", "3"]
    settings.keep_size = 2 * segments_in(Path(settings.dir))[0].stat().st_size
    Writer(settings, worker=0, clock=clock).close()
    assert read_ids(Path(settings.dir)) == ["2", "3"]


async def test_a_torn_last_frame_is_cut_at_start(settings: LogSettings, clock: Clock) -> None:
    """Wherever a frame was torn, the next start keeps the whole ones, drops the rest and finishes the
    segment.
    """
    writer = Writer(settings, worker=0, clock=clock)
    for ident in ("a", "b"):
        writer.write(make_record(ident))
        await writer.sync()
    [segment] = segments_in(Path(settings.dir))
    whole = segment.read_bytes()
    writer.close()
    first = next(read_frames(segment)).end
    for length in range(first, len(whole)):
        segment.unlink()
        segment.write_bytes(whole[:length])
        assert good_end(segment) == first
        assert read_ids(Path(settings.dir)) == ["a"]
    Writer(settings, worker=0, clock=clock).close()
    assert segment.read_bytes() == whole[:first]
    assert not segment.stat().st_mode & 0o222


async def test_a_segment_that_another_process_writes_is_left_alone(
    settings: LogSettings, clock: Clock
) -> None:
    """A second writer in the same folder does not finish what the first still writes."""
    first = Writer(settings, worker=0, clock=clock)
    first.write(make_record("a"))
    await first.sync()
    second = Writer(settings, worker=1, clock=clock)
    [segment] = segments_in(Path(settings.dir))
    assert segment.stat().st_mode & 0o222
    second.close()
    first.close()


async def test_a_new_segment_that_looked_abandoned(
    settings: LogSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that starts may finish another's segment before that could lock it: then that begins anew."""
    real, taken = stream._is_ours, []

    def late(handle: int) -> bool:
        if not taken:
            taken.extend(segments_in(Path(settings.dir)))
            stream._take_over(taken[0])
        return real(handle)

    monkeypatch.setattr(stream, "_is_ours", late)
    writer = Writer(settings, worker=0, clock=clock)
    writer.write(make_record("a"))
    await writer.sync()
    assert len(segments_in(Path(settings.dir))) == 2
    assert taken[0].stat().st_size == 0
    assert read_ids(Path(settings.dir)) == ["a"]
    writer.close()


async def test_trouble_is_told_and_healed(settings: LogSettings, clock: Clock) -> None:
    """While nothing can be written `sync` fails and `problem` says why; lines are kept, and written once it
    can.
    """
    writer = Writer(settings, worker=0, clock=clock)
    writer.write(make_record("a"))
    await writer.sync()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    [segment] = segments_in(Path(settings.dir))
    resource.setrlimit(resource.RLIMIT_FSIZE, (segment.stat().st_size + 10, hard))
    try:
        writer.write(make_record("b"))
        with pytest.raises(LogError, match="File too large"):
            await writer.sync()
        assert writer.problem is not None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await writer.sync()
    assert writer.problem is None
    assert read_ids(Path(settings.dir)) == ["a", "b"]
    writer.close()


async def test_a_close_says_how_many_records_are_lost(
    settings: LogSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no disk takes at the end is counted, line by line."""
    writer = Writer(settings, worker=0, clock=clock)
    for ident in ("a", "b", "c"):
        writer.write(make_record(ident))

    def fail(self: Stream, lines: bytes, now: float) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Stream, "append", fail)
    with pytest.raises(LogError, match="No space left on device: 3 records are lost"):
        writer.close()


async def test_a_failed_sync_is_a_problem(
    settings: LogSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment whose sync failed is given up; the next record begins another."""
    writer = Writer(settings, worker=0, clock=clock)

    def fail(self: Stream) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(Stream, "sync", fail)
        writer.write(make_record("a"))
        with pytest.raises(LogError, match="Input/output error"):
            await writer.sync()
    await writer.sync()
    writer.close()


async def test_a_backlog_has_a_bound(
    settings: LogSettings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where too much waits, `write` refuses instead of filling the memory."""
    monkeypatch.setattr("angarium.log.writer.MAX_BACKLOG", 1000)
    writer = Writer(settings, worker=0, clock=clock)
    writer.write(make_record("a", queue="q" * 1000))
    with pytest.raises(LogError, match="falls behind"):
        writer.write(make_record("b"))
    writer.close()


async def test_too_little_space_is_a_problem(settings: LogSettings, clock: Clock) -> None:
    """Below `min_free_space` the writer has a problem before anything is lost."""
    writer = Writer(settings, worker=0, clock=clock, min_free_space=1 << 60)
    assert writer.problem is not None
    writer.close()


def test_a_folder_that_cannot_be_used_is_an_error(
    settings: LogSettings, clock: Clock, tmp_path: Path
) -> None:
    """Start says what is wrong with the folder."""
    (tmp_path / "file").touch()
    settings.dir = str(tmp_path / "file" / "logs")
    with pytest.raises(LogError, match="log folder"):
        Writer(settings, worker=0, clock=clock)


def test_a_damaged_frame_costs_only_itself(tmp_path: Path) -> None:
    """The frames around a damaged one are found."""
    frames = [
        zstandard.ZstdCompressor(write_checksum=True).compress(b'{"type":"x"}\n' * 50) for _ in range(3)
    ]
    damaged = bytearray(b"".join(frames))
    damaged[len(frames[0]) + 12] ^= 0xFF
    path = tmp_path / "20240101-000000.000000-0.zst"
    path.write_bytes(damaged)
    assert len(list(read_frames(path))) == 2
    assert good_end(path) == len(damaged)
