"""log.index: finds every record that has a key, with and without index, and mends what is torn."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from angarium.log import index as index_module
from angarium.log.index import (
    Index,
    Indexer,
    complete,
    find_lines,
    index_of,
    remove_orphans,
    without_index,
)
from angarium.log.records import encode_record
from angarium.log.segment import make_name, read_frames
from tests.log.conftest import make_record


def ident(number: int) -> str:
    return f"{number:032x}"


def a_line(number: int) -> bytes:
    return encode_record(
        make_record(ident(number), session_id=ident(number + 10_000), message_id=f"<{number}@a.org>")
    )


def write_segment(folder: Path, numbers: range, *, finished: bool = True, second: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / make_name(1_700_000_000 + second, 0, "")
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with path.open("wb") as file:
        for start in range(numbers.start, numbers.stop, 10):
            lines = b"".join(a_line(number) + b"\n" for number in range(start, start + 10))
            file.write(compressor.compress(lines))
    if finished:
        path.chmod(0o440)
    return path


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several runs in a small index."""
    monkeypatch.setattr(index_module, "RUN_FRAMES", 3)


def test_every_key_is_found_with_and_without_index(tmp_path: Path) -> None:
    """Message ids, session ids and Message-IDs lead to their records, before and after an index is made."""
    segment = write_segment(tmp_path, range(200))
    write_segment(tmp_path, range(200, 300), finished=False, second=60)
    for _ in range(2):
        for number in (0, 57, 199, 250, 299):
            for key in (ident(number), ident(number + 10_000), f"<{number}@a.org>"):
                assert find_lines([tmp_path], [key]) == [a_line(number)]
        assert find_lines([tmp_path], ["ffff", ident(5000)]) == []
        complete(segment)
    assert without_index([tmp_path]) == []


def test_an_indexed_segment_is_not_read_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index only the frame that has the record is decompressed."""
    segment = write_segment(tmp_path, range(200))
    complete(segment)
    read: list[int] = []

    def counted(path: Path, start: int = 0) -> object:
        for frame in read_frames(path, start):
            read.append(frame.end)
            yield frame

    monkeypatch.setattr(index_module, "read_frames", counted)
    assert find_lines([tmp_path], [ident(123)]) == [a_line(123)]
    assert len(read) == 1


@pytest.mark.parametrize("cut", [1, 9, 30, 200, 5000])
def test_a_torn_index_counts_as_far_as_it_is_whole(tmp_path: Path, cut: int) -> None:
    """Wherever an index was cut, every record is still found, and the index is made whole again."""
    segment = write_segment(tmp_path, range(200))
    complete(segment)
    index = index_of(segment)
    whole = index.read_bytes()
    index.write_bytes(whole[: max(0, len(whole) - cut)])
    assert all(find_lines([tmp_path], [ident(number)]) for number in range(0, 200, 7))
    assert without_index([tmp_path]) == [segment]
    complete(segment)
    assert index.read_bytes() == whole


def test_a_damaged_last_run_is_not_believed(tmp_path: Path) -> None:
    """What a crash left of the last run is found out by its checksum."""
    segment = write_segment(tmp_path, range(200))
    complete(segment)
    octets = index_of(segment).read_bytes()
    index_of(segment).write_bytes(octets[:-40] + bytes(40))
    assert find_lines([tmp_path], [ident(199)]) == [a_line(199)]
    assert without_index([tmp_path]) == [segment]


def test_a_torn_segment_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    """A frame that is being written hides nothing that stands before it."""
    segment = write_segment(tmp_path, range(50), finished=False)
    with segment.open("ab") as file:
        file.write(zstandard.compress(a_line(60) * 100)[:20])
    assert find_lines([tmp_path], [ident(49)]) == [a_line(49)]
    assert find_lines([tmp_path], [ident(60)]) == []


def test_notices_and_reports_are_found_by_what_they_are_about(tmp_path: Path) -> None:
    """A notice of ours has the id of the message it is about; a report the Message-ID that it returns."""
    notice = encode_record(make_record(ident(1), why=f"notice about {ident(2)}"))
    report = encode_record(make_record(ident(3), "OOB", report={"original": {"message_id": "<a@b.org>"}}))
    path = tmp_path / make_name(1_700_000_000, 0, "")
    path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(notice + b"\n" + report + b"\n"))
    path.chmod(0o440)
    for _ in range(2):
        assert find_lines([tmp_path], [ident(2)]) == [notice]
        assert find_lines([tmp_path], ["<a@b.org>"]) == [report]
        complete(path)


def test_indexes_of_segments_that_are_gone_are_removed(tmp_path: Path) -> None:
    """No index outlives its segment for long."""
    segment = write_segment(tmp_path, range(20))
    complete(segment)
    segment.unlink()
    remove_orphans([tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_an_index_can_grow(tmp_path: Path) -> None:
    """Runs are added to those that are there."""
    indexer = Indexer(tmp_path / "x.index")
    for number in range(10):
        indexer.add((number + 1) * 100, a_line(number))
    indexer.flush()
    index = Index(tmp_path / "x.index")
    assert index.covered == 1000
    assert [index.find(ident(number)) for number in range(10)] == [[number * 100] for number in range(10)]
    index.close()
