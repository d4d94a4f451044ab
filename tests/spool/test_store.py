"""The four verbs, on the real disk."""
# ruff: noqa: ASYNC240 - tests look at small local files

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from angarium.spool.errors import SpoolError, SpoolLocked
from angarium.spool.record import HEADER_SIZE, parse_header
from angarium.spool.store import Store
from tests.spool.conftest import SEGMENT, Opener, put


def waiting(store: Store) -> dict[str, bytes | None]:
    return {message.ident: message.note for message in store.recover()}


async def test_what_was_committed_comes_back(open_store: Opener) -> None:
    """After a restart a message has its ident, its payload, its latest note and its content."""
    store = open_store()
    place = await put(store, "a", b"x" * 5000, b"envelope")
    store.note(place, "a", b"first")
    store.note(place, "a", b"second")
    await store.commit()
    store.close()
    store = open_store()
    [message] = store.recover()
    assert (message.ident, message.message, message.note) == ("a", b"envelope", b"second")
    assert store.load(message.place) == (b"envelope", b"x" * 5000)
    store.close()


async def test_what_is_finished_does_not_come_back(open_store: Opener) -> None:
    """A finished message is over, and to finish or note it once more is nothing."""
    store = open_store()
    place, other = await put(store, "a"), await put(store, "b")
    for _ in range(2):
        store.finish(place, "a")
    store.note(place, "a", b"late")
    with pytest.raises(SpoolError, match="no message"):
        store.load(place)
    await store.commit()
    assert store.load(other).content == b"content"
    store.close()
    store = open_store()
    assert waiting(store) == {"b": None}
    store.close()


async def test_messages_share_one_content(open_store: Opener, folder: Path) -> None:
    """Many messages of one content store it once, and each has its own payload."""
    store = open_store()
    content = b"c" * 20_000
    messages = [(f"{n}", b"payload %d" % n) for n in range(50)]
    places = store.put([content], messages)
    await store.commit()
    store.close()
    store = open_store(memory=0)
    assert [store.load(place) for place in places] == [(payload, content) for _, payload in messages]
    stored = b"".join(path.read_bytes() for path in folder.iterdir())
    assert stored.count(content) == 1
    store.close()


async def test_a_content_may_come_in_parts_or_be_empty(open_store: Opener) -> None:
    """Parts of any buffer type are one content; nothing at all is one too."""
    store = open_store()
    [place] = store.put([b"a", memoryview(b"bc"), bytearray(b"d")], [("a", b"")])
    [empty] = store.put([], [("b", b"evidence")])
    await store.commit()
    assert store.load(place).content == b"abcd"
    store.close()
    store = open_store()
    assert store.load(place).content == b"abcd"
    assert store.load(empty) == (b"evidence", b"")
    store.close()


async def test_recent_content_is_handed_back_as_it_was_given(open_store: Opener) -> None:
    """A content in memory is not copied."""
    store = open_store()
    content = b"x" * 1000
    assert store.load(await put(store, "a", content)).content is content
    store.close()


async def test_content_beyond_the_memory_budget_is_read_back(open_store: Opener) -> None:
    """What was dropped from memory is read from disk, and is the same."""
    store = open_store(memory=10_000)
    contents = {f"{n}": bytes([n]) * 4000 for n in range(20)}
    places = {ident: await put(store, ident, content) for ident, content in contents.items()}
    assert {ident: store.load(place).content for ident, place in places.items()} == contents
    store.close()


async def test_a_message_larger_than_a_segment_is_kept(open_store: Opener) -> None:
    """It gets a segment made for it."""
    store = open_store()
    content = bytes(range(256)) * 2000
    place = await put(store, "large", content)
    await put(store, "small")
    store.close()
    store = open_store()
    assert store.load(place).content == content
    assert set(waiting(store)) == {"large", "small"}
    store.close()


async def test_one_commit_that_is_cancelled_harms_no_other(open_store: Opener) -> None:
    """Sessions that share a batch do not share a fate."""
    store = open_store()
    store.put([b"a"], [("a", b"")])
    first = store.commit()
    store.put([b"b"], [("b", b"")])
    second = store.commit()
    first.cancel()
    await second
    store.close()
    store = open_store()
    assert set(waiting(store)) == {"a", "b"}
    store.close()


async def test_a_commit_of_nothing_is_done_at_once(open_store: Opener) -> None:
    """There is nothing to wait for."""
    store = open_store()
    assert store.commit().done()
    store.close()


async def test_finishes_become_durable_by_themselves(open_store: Opener, folder: Path) -> None:
    """Without any commit, a finish is on disk soon after; a copy of the folder shows it."""
    store = open_store()
    place = await put(store, "a")
    store.finish(place, "a")
    async with asyncio.timeout(5):
        while not store.is_idle:  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0.005)
    copy = folder.with_name("copy")
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    store.close()
    other = Store.open(copy, segment_size=SEGMENT, min_free_space=0)
    assert waiting(other) == {}
    other.close()


async def test_closing_writes_what_is_left(open_store: Opener) -> None:
    """Puts, notes and finishes that nobody committed are kept by `close`, and their commits resolve."""
    store = open_store()
    place = await put(store, "a")
    store.put([b"b"], [("b", b"")])
    commit = store.commit()
    store.finish(place, "a")
    store.close()
    await commit
    store = open_store()
    assert set(waiting(store)) == {"b"}
    store.close()


async def test_segments_are_used_again(open_store: Opener, folder: Path) -> None:
    """A flow of messages that are delivered at once needs only a few files, however long it lasts."""
    store = open_store()
    for number in range(300):
        place = await put(store, f"{number}", b"x" * 3000)
        store.finish(place, f"{number}")
    store.close()
    assert 10 * SEGMENT < 300 * 3000
    assert len(list(folder.glob("segment-*"))) <= 6
    store = open_store()
    assert waiting(store) == {}
    store.close()


async def test_what_waits_long_is_moved_and_the_queue_is_told(open_store: Opener, folder: Path) -> None:
    """Old segments are emptied: messages move with their notes and keep their shared content; the files stay
    few.
    """
    store = open_store()
    places: dict[str, int] = {}
    moved: set[str] = set()

    def follow(ident: str, place: int) -> None:
        moved.add(ident)
        places[ident] = place

    store.set_moved(follow)
    for number in range(40):
        idents = [f"{number}{letter}" for letter in "abc"]
        content = bytes([number]) * 3000
        places |= zip(idents, store.put([content], [(i, i.encode()) for i in idents]), strict=True)
        await store.commit()
        store.note(places[idents[0]], idents[0], b"noted")
        store.finish(places[idents[2]], idents[2])
        for _ in range(30):
            store.finish(await put(store, "passing", b"x" * 3000), "passing")
    assert len(list(folder.glob("segment-*"))) < 15
    assert len(moved) > 40
    for ident in moved:
        assert store.load(places[ident]) == (ident.encode(), bytes([int(ident[:-1])]) * 3000)
    store.close()
    store = open_store()
    expected = {f"{n}a": b"noted" for n in range(40)} | {f"{n}b": None for n in range(40)}
    assert waiting(store) == expected
    store.close()


def test_files_are_private(open_store: Opener, folder: Path) -> None:
    """Mail of others is nobody's business: folder 0700, files 0600."""
    asyncio.run(_use_once(open_store))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


async def _use_once(open_store: Opener) -> None:
    store = open_store()
    await put(store, "a")
    store.close()


def test_a_second_server_is_refused(open_store: Opener, folder: Path) -> None:
    """A folder has one owner; when that one is gone, the next may have it."""
    store = open_store()
    with pytest.raises(SpoolLocked, match="another process"):
        open_store()
    store.close()
    open_store().close()


@pytest.mark.parametrize(
    ("head", "message"),
    [(b"ANGSPOOL\x02\x00", "format version 2"), (b"SQLite f", "not a spool file")],
)
def test_a_foreign_or_newer_format_is_refused_untouched(
    open_store: Opener, folder: Path, head: bytes, message: str
) -> None:
    """The error names the file and what it is; no file of the folder has changed."""
    asyncio.run(_use_once(open_store))
    [segment] = folder.glob("segment-*")
    (folder / "segment-00000007").write_bytes(head.ljust(2 * HEADER_SIZE, b"\0"))
    before = segment.read_bytes()
    with pytest.raises(SpoolError, match=f"segment-00000007: .*{message}"):
        open_store()
    assert segment.read_bytes() == before
    assert len(list(folder.glob("segment-*"))) == 2


def test_a_folder_that_cannot_be_used_is_an_error(folder: Path) -> None:
    """A file in the folder's place is said to be the trouble."""
    folder.touch()
    with pytest.raises(SpoolError, match="cannot use the spool"):
        Store.open(folder, segment_size=SEGMENT, min_free_space=0)


@pytest.mark.parametrize("count", [0, 70_000])
async def test_what_no_record_can_hold_is_refused(open_store: Opener, count: int) -> None:
    """A put has 1 to 65,535 messages."""
    store = open_store()
    with pytest.raises(ValueError, match="do not fit"):
        store.put([b""], [(f"{n}", b"") for n in range(count)])
    store.close()


_CHILD = """
import asyncio, sys
from pathlib import Path
from angarium.spool.store import Store

async def main():
    store = Store.open(Path(sys.argv[1]), segment_size=65536, min_free_space=0)
    async def client(first):
        for number in range(first, 1_000_000, 8):
            [place] = store.put([b"%d " % number * 500], [(f"{number}", b"")])
            await store.commit()
            print(f"put {number}", flush=True)
            if number % 3:
                store.finish(place, f"{number}")
                await store.commit()
                print(f"over {number}", flush=True)
    await asyncio.gather(*[client(first) for first in range(8)])

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 900])
def test_a_killed_process_loses_nothing(open_store: Opener, folder: Path, lines: int) -> None:
    """kill -9 in the middle of the traffic: what it had answered is there, what it had finished is not."""
    with subprocess.Popen([sys.executable, "-c", _CHILD, folder], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        said += child.stdout.readlines()
    said = [line for line in said if line.endswith("\n")]
    answered = {line.split()[1] for line in said if line.startswith("put")}
    over = {line.split()[1] for line in said if line.startswith("over")}
    store = open_store()
    found = {message.ident: store.load(message.place).content for message in store.recover()}
    assert answered - over <= found.keys() | {ident for ident in answered if int(ident) % 3}
    assert not over & found.keys()
    assert all(content == b"%d " % int(ident) * 500 for ident, content in found.items())
    store.close()


def test_the_header_says_what_the_page_says(open_store: Opener, folder: Path) -> None:
    """A used segment's header names generation, size and predecessor."""
    asyncio.run(_use_once(open_store))
    asyncio.run(_use_once(open_store))
    headers = [parse_header(path.read_bytes()[:HEADER_SIZE]) for path in sorted(folder.glob("segment-*"))]
    first, second = [header for header in headers if header is not None]
    assert (first.generation, first.previous, first.size) == (1, 0, SEGMENT)
    assert (second.generation, second.previous) == (2, 1)
    assert HEADER_SIZE < second.previous_end < SEGMENT


@pytest.mark.parametrize("turns", range(12))
async def test_closing_while_a_segment_is_being_freed_closes_each_file_once(
    open_store: Opener, folder: Path, turns: int
) -> None:
    """Wherever `close` falls into the keeper's work, no descriptor is left open, and none is closed twice."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    store = open_store()
    for number in range(40):
        store.finish(await put(store, f"{number}", b"x" * 9000), f"{number}")
    for _ in range(turns):
        await asyncio.sleep(0)
    store.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
