"""Full disks, failing disks, damaged files: what is said, what is kept, how it heals."""
# ruff: noqa: ASYNC240 - tests look at small local files

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from angarium.spool import journal
from angarium.spool.errors import SpoolError, SpoolFull
from angarium.spool.record import (
    FREE,
    HEADER_SIZE,
    USED,
    Commit,
    Header,
    encode_commit,
    encode_header,
    parse_header,
)  # fmt: skip
from angarium.spool.store import Store
from tests.spool.conftest import Opener, put
from tests.spool.simulated import LoopWorker, SimulatedDisk

FOLDER = Path("spool")


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


@pytest.fixture(autouse=True)
def _retry_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time between attempts is not what these tests are about."""
    for module in ("journal", "store", "tidy"):
        monkeypatch.setattr(f"angarium.spool.{module}.RETRY", 0.0)


def on(disk: SimulatedDisk, **options: object) -> Store:
    given = {"segment_size": 32 * 1024, "min_free_space": 0, "files": disk, "make_worker": LoopWorker}
    return Store.open(FOLDER, **given | options)


def idents(store: Store) -> set[str]:
    return {message.ident for message in store.recover()}


async def test_what_has_ended_stays_so_on_a_full_disk(disk: SimulatedDisk) -> None:
    """A start with less than `min_free_space` takes nothing, but what ends then does not come back."""
    store = on(disk)
    for ident in ("over", "noted", "left"):
        await put(store, ident)
    store.close()
    disk.free = 300 * 1024
    store = on(disk, min_free_space=1 << 20)
    places = {message.ident: message.place for message in store.recover()}
    with pytest.raises(SpoolFull):
        await put(store, "more")
    store.finish(places["over"], "over")
    store.note(places["noted"], "noted", b"seen")
    await store.commit()
    again = {message.ident: message.note for message in on(disk.kill()).recover()}
    assert again == {"noted": b"seen", "left": None}


async def test_a_full_disk_refuses_and_heals(disk: SimulatedDisk) -> None:
    """Without space for a segment commits fail with SpoolFull, finishes go on; space heals it."""
    store = on(disk)
    place = await put(store, "a", b"x" * 20_000)
    disk.free = 0
    with pytest.raises(SpoolFull):
        await put(store, "b", b"x" * 20_000)
    assert not store.is_healthy
    assert "No space left on device for a segment of 32768 octets: 0 are free" in (store.problem or "")
    store.finish(place, "a")
    await store.commit()
    disk.free = 1 << 40
    await put(store, "c", b"x" * 20_000)
    assert store.is_healthy
    assert store.problem is None
    store.close()
    assert idents(on(disk)) == {"c"}


async def _outgrow(store: Store) -> list[asyncio.Future[None]]:
    """Fill a segment and begin the next while the spare is being made; the commits under way."""
    await put(store, "a", b"x" * 14_000)
    store.put([b"x"], [("b", b"")])
    commits = [store.commit()]
    await asyncio.sleep(0)  # the batch begins, and it is seen that a spare is wanted
    store.put([b"x" * 20_000], [("c", b"")])
    return [*commits, store.commit()]


async def test_a_segment_that_began_too_early_gets_the_spare_under_way(disk: SimulatedDisk) -> None:
    """Nobody waits for a file of its own behind the one that is being made."""
    store = on(disk)
    await asyncio.gather(*await _outgrow(store))
    made = [line for line in disk.log if line.startswith("create")]
    assert made == ["create segment-00000001.new", "create segment-00000002.new"]
    assert idents(on(disk.power_cut())) == {"a", "b", "c"}


async def test_the_spare_under_way_cannot_be_made(disk: SimulatedDisk) -> None:
    """Whoever waits for it is told so, and what was put before stays; space heals it."""
    store = on(disk)
    disk.fail = lambda operation: errno.ENOSPC if operation.startswith("create segment-00000002") else None
    outcomes = await asyncio.gather(*await _outgrow(store), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), SpoolFull]
    await put(store, "d", b"x" * 20_000)
    assert idents(on(disk.power_cut())) == {"a", "b", "d"}


async def test_closing_while_a_segment_waits_for_the_spare(disk: SimulatedDisk) -> None:
    """What was put is written all the same."""
    store = on(disk)
    await _outgrow(store)
    store.close()
    assert idents(on(disk)) == {"a", "b", "c"}


async def test_space_that_must_stay_free_is_respected(disk: SimulatedDisk) -> None:
    """Below `min_free_space` puts are refused at once, also where a segment has room; above it they are taken
    again.
    """
    store = on(disk, min_free_space=1000)
    await put(store, "a")
    disk.free = 999
    with pytest.raises(SpoolFull, match="min_free_space"):
        store.put([b""], [("b", b"")])
    assert not store.is_healthy
    disk.free = 1000
    await put(store, "c")
    assert store.is_healthy
    store.close()


async def test_everybody_in_a_failed_batch_is_told(disk: SimulatedDisk) -> None:
    """A sync that fails fails all its commits, and the segment is given up: the next put goes to another
    file.
    """
    store = on(disk)
    kept = await put(store, "kept")
    failing = iter([errno.EIO])
    disk.fail = lambda operation: next(failing, None) if operation == "sync" else None
    commits = []
    for ident in ("a", "b"):
        store.put([b""], [(ident, b"")])
        commits.append(store.commit())
    outcomes = await asyncio.gather(*commits, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SpoolError, SpoolError]
    assert store.load(kept).content == b"content"
    names = set(disk.names_seen)
    await put(store, "c")
    assert set(disk.names_seen) - names
    store.close()


async def test_a_disk_that_fails_has_no_room_for_an_end(disk: SimulatedDisk) -> None:
    """While each write fails no end is sure of its place, whatever is free; the first that succeeds heals it,
    and the end that was to be written is.
    """
    store = on(disk)
    place = await put(store, "over")
    assert store.can_finish
    disk.fail = lambda operation: errno.EIO if operation == "sync" or operation.startswith("write") else None
    store.finish(place, "over")
    with pytest.raises(SpoolError):
        await store.commit()
    await _rest()
    assert not store.can_finish
    disk.fail = lambda _: None
    await store.commit()
    assert store.can_finish
    assert idents(on(disk.power_cut())) == set()


@pytest.mark.parametrize(("is_healed", "left"), [(False, 1), (True, 0)])
async def test_a_close_says_how_many_ends_are_not_written(
    disk: SimulatedDisk, is_healed: bool, left: int
) -> None:
    """It tries once more, whatever failed before; what it cannot write is counted, and waits again."""
    store = on(disk)
    place = await put(store, "over")
    disk.fail = lambda operation: errno.EIO if operation == "sync" or operation.startswith("write") else None
    store.finish(place, "over")
    with pytest.raises(SpoolError):
        await store.commit()
    if is_healed:
        disk.fail = lambda _: None
    store.close()
    assert store.unwritten == left
    disk.fail = lambda _: None
    assert len(idents(on(disk.power_cut()))) == left


async def test_what_was_refused_does_not_come_back(disk: SimulatedDisk) -> None:
    """A put whose commit failed is void for ever, even where its octets reached the disk."""
    store = on(disk)
    await put(store, "kept")
    failing = iter([errno.EIO])
    disk.fail = lambda operation: next(failing, None) if operation == "sync" else None
    with pytest.raises(SpoolError):
        await put(store, "refused")
    await put(store, "later")
    store.close()
    assert any(b"refused" in inode.seen for inode in disk.names_seen.values())
    assert idents(on(disk)) == {"kept", "later"}
    assert idents(on(disk.power_cut())) == {"kept", "later"}


async def test_a_segment_given_up_is_emptied_and_removed_first(disk: SimulatedDisk) -> None:
    """It is never written again; its messages move; only then may its successor go, whose header says what is
    void.
    """
    store = on(disk)
    moved: dict[str, int] = {}
    store.set_moved(moved.__setitem__)
    await put(store, "kept")
    failing = iter([errno.EIO])
    disk.fail = lambda operation: next(failing, None) if operation == "sync" else None
    with pytest.raises(SpoolError):
        await put(store, "refused")
    over = await put(store, "over", b"x" * 25_000)
    await put(store, "last", b"x" * 25_000)
    disk.log.clear()
    store.finish(over, "over")
    await _rest()
    await store.commit()
    assert set(moved) == {"kept"}
    assert _freed(disk.log)[0] == "unlink segment-00000001"
    store.close()
    assert idents(on(disk)) == {"kept", "last"}


async def test_what_a_start_takes_up_is_made_durable(disk: SimulatedDisk) -> None:
    """After a failed sync octets may be in the page cache alone: who takes them up writes them again."""
    store = on(disk)
    named = "rename segment-00000001.new segment-00000001"
    disk.fail = lambda operation: errno.EIO if operation == "sync" and named in disk.log else None
    with pytest.raises(SpoolError):
        await put(store, "cached")
    disk = disk.kill()
    assert idents(on(disk)) == {"cached"}
    assert idents(on(disk.power_cut())) == {"cached"}


def _cache(disk: SimulatedDisk, name: str, header: Header) -> None:
    """A header that is in the page cache alone, clean: its sync has failed."""
    disk.names_seen[name].seen[:HEADER_SIZE] = encode_header(header)


async def test_a_free_header_that_a_start_finds_is_made_durable(disk: SimulatedDisk) -> None:
    """No earlier use of a file comes to light once the file is offered again."""
    store = on(disk)
    await put(store, "over")
    store.close()
    _cache(disk, "segment-00000001", Header(FREE, 0, bytes(8), 32 * 1024))
    disk = disk.kill()
    assert idents(on(disk)) == set()
    assert idents(on(disk.power_cut())) == set()


async def test_a_header_that_calls_records_void_is_made_durable(disk: SimulatedDisk) -> None:
    """What a start left out, since a header says so, is left out by all later ones."""
    store = on(disk)
    await put(store, "kept")
    end = store._journal.segments[1].synced
    await put(store, "refused")
    store.close()
    handle = disk.create(FOLDER / "segment-00000002")
    disk.write_synced(handle, [encode_header(Header(FREE, 0, bytes(8), 32 * 1024)), bytes(28 * 1024)], 0)
    _cache(disk, "segment-00000002", Header(USED, 2, b"a salt..", 32 * 1024, 1, end))
    disk = disk.kill()
    assert idents(on(disk)) == {"kept"}
    assert idents(on(disk.power_cut())) == {"kept"}


async def test_a_copy_is_not_forgotten_before_its_origin(disk: SimulatedDisk) -> None:
    """What was moved and is over stays so, where the power went before all of its segment was moved."""
    store = on(disk, segment_size=64 * 1024)
    moved: set[str] = set()

    def turn_off(ident: str, place: int) -> None:
        moved.add(ident)
        disk.stop_at = disk.operations

    store.set_moved(turn_off)
    names = {f"{number}" for number in range(100)}
    await asyncio.gather(*[put(store, name) for name in names])
    failing = iter([errno.EIO])
    disk.fail = lambda operation: next(failing, None) if operation == "sync" else None
    with pytest.raises(SpoolError):
        await put(store, "refused")
    await put(store, "more", b"x" * 60_000)
    store.finish(await put(store, "passing"), "passing")
    await _rest()
    assert 0 < len(moved) < len(names)
    disk = disk.power_cut()
    store = on(disk, segment_size=64 * 1024)
    for message in list(store.recover()):
        if message.ident in moved or message.ident in {"more", "passing"}:
            store.finish(message.place, message.ident)
    await store.commit()
    await _rest()
    assert _freed(disk.log)
    assert idents(on(disk.power_cut())) == names - moved


@pytest.mark.parametrize("name", ["", "damaged-"])
async def test_a_folder_that_did_not_sync_is_synced_again(disk: SimulatedDisk, name: str) -> None:
    """A segment whose name went, but not for certain, is not in the way of all others."""
    store = on(disk)
    over = await put(store, "over")
    await put(store, "next", b"x" * 30_000)
    segment = store._journal.segments[1]
    segment.is_damaged, segment.failed = bool(name), True
    failing = iter([errno.EIO])
    went = ("unlink segment-00000001", "rename segment-00000001")
    disk.fail = lambda _: next(failing, None) if disk.log[-2].startswith(went) else None
    store.finish(over, "over")
    await store.commit()
    async with asyncio.timeout(5):
        while 1 in store._journal.segments:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert "segment-00000001" not in disk.names_durable
    store.close()


@pytest.mark.parametrize("size", [10, 30_000])
async def test_a_finish_waits_for_its_own_batch(disk: SimulatedDisk, size: int) -> None:
    """A commit that ends messages resolves when that is durable, though a put follows, in the segment or in
    another.
    """
    store = on(disk)
    over, noted = await put(store, "over"), await put(store, "noted")
    store.finish(over, "over")
    store.note(noted, "noted", b"note")
    commit = store.commit()
    store.put([b"x" * size], [("late", b"")])
    assert store.read_note(noted) == b"note"
    await commit
    found = {message.ident: message.note for message in on(disk.power_cut()).recover()}
    assert found.pop("late", None) is None
    assert found == {"noted": b"note"}


async def test_finishes_that_have_no_room_are_waited_for(disk: SimulatedDisk) -> None:
    """So many that they do not fit behind a put: everybody waits for the batch that takes the last."""
    store = on(disk)
    names = [f"{number}" for number in range(5000)]
    places = store.put([b""], [(name, b"") for name in names])
    await store.commit()
    await put(store, "kept")
    for name, place in zip(names, places, strict=True):
        store.finish(place, name)
    store.put([b""], [("late", b"")])
    await store.commit()
    assert idents(on(disk.power_cut())) == {"kept", "late"}


async def test_the_later_of_two_notes_survives_batches_that_fail(disk: SimulatedDisk) -> None:
    """Each in a batch of its own, and both are lost with the disk: they are written again, in their order."""
    store = on(disk)
    place = await put(store, "a")
    being_made = (" at 0", f" at {HEADER_SIZE}")
    disk.fail = lambda operation: (
        errno.EIO if "write" in operation and not operation.endswith(being_made) else None
    )
    store.note(place, "a", b"first")
    commits = [store.commit()]
    store.put([b"x" * 30_000], [("b", b"")])
    store.note(place, "a", b"second")
    commits.append(store.commit())
    store.put([b"x" * 40_000], [("c", b"")])
    assert store.read_note(place) == b"second"
    assert all(await asyncio.gather(*commits, return_exceptions=True))
    disk.fail = lambda operation: None
    await store.commit()
    assert [message.note for message in on(disk.power_cut()).recover()] == [b"second"]


async def _rest() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


async def test_a_note_that_arrives_while_its_message_moves_is_the_latest(disk: SimulatedDisk) -> None:
    """Whenever a note comes, before, while or after a copy is made: it wins over the older ones."""
    store = on(disk)
    places: dict[str, int] = {}
    moved: list[str] = []

    def follow(ident: str, place: int) -> None:
        moved.append(ident)
        places[ident] = place

    store.set_moved(follow)
    for number in range(12):
        places[f"{number}"] = await put(store, f"{number}", b"x" * 1000)
        store.finish(await put(store, "passing", b"x" * 20_000), "passing")
    for turn in range(300):
        for ident, place in places.items():
            store.note(place, ident, b"%d" % turn)
        await asyncio.sleep(0)
        if turn % 3 == 0:
            store.commit()
        if turn % 10 == 0:
            store.finish(await put(store, "passing", b"x" * 20_000), "passing")
    await store.commit()
    assert len(moved) > 12
    assert {message.ident: message.note for message in on(disk.power_cut()).recover()} == dict.fromkeys(
        map(str, range(12)), b"299"
    )
    store.close()


def _freed(log: list[str]) -> list[str]:
    """How segments went: removed, or their header overwritten (which is not a file being made)."""
    steps = zip(["", *log], log, strict=False)
    return [
        step
        for before, step in steps
        if step.startswith("unlink") or (step == "write 4096 at 0" and not before.startswith("create"))
    ]


async def test_a_finish_survives_a_failed_batch(disk: SimulatedDisk) -> None:
    """Notes and finishes of a failed batch are written again, without anybody asking."""
    store = on(disk)
    over, noted = await put(store, "over"), await put(store, "noted")
    failing = iter([errno.EIO])
    disk.fail = lambda operation: next(failing, None) if operation == "sync" else None
    store.finish(over, "over")
    store.note(noted, "noted", b"note")
    with pytest.raises(SpoolError):
        await store.commit()
    async with asyncio.timeout(5):
        while not store.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert store.is_healthy
    [message] = on(disk.power_cut()).recover()
    assert (message.ident, message.note) == ("noted", b"note")
    store.close()


async def test_a_healed_disk_is_noticed_without_traffic(disk: SimulatedDisk) -> None:
    """After trouble the store tries by itself, so that health comes back before the next client does."""
    store = on(disk)
    disk.fail = lambda operation: errno.EIO
    with pytest.raises(SpoolError):
        await put(store, "a")
    for _ in range(5):
        await asyncio.sleep(0)
        assert not store.is_healthy
    disk.fail = lambda operation: None
    async with asyncio.timeout(5):
        while not store.is_healthy:  # noqa: ASYNC110
            await asyncio.sleep(0)
    store.close()


async def _fill(open_store: Opener, *idents: str) -> list[int]:
    store = open_store()
    places = [await put(store, ident, ident.encode() * 1000) for ident in idents]
    store.close()
    return places


def _overwrite(folder: Path, needle: bytes, octets: bytes) -> None:
    [path] = [path for path in folder.glob("segment-*") if needle in path.read_bytes()]
    data = path.read_bytes()
    path.write_bytes(data.replace(needle, octets))


async def test_a_damaged_record_costs_only_itself(open_store: Opener, folder: Path) -> None:
    """The records around it come back, it is reported, and the file is kept aside once it is emptied."""
    await _fill(open_store, "aa", "bb", "cc")
    _overwrite(folder, b"bbpayload", b"bXpayload")
    store = open_store()
    assert idents(store) == {"aa", "cc"}
    assert any("are no record" in report and "segment-00000001" in report for report in store.reports)
    moved: dict[str, int] = {}
    store.set_moved(moved.__setitem__)
    store.finish(await put(store, "dd"), "dd")
    async with asyncio.timeout(5):
        while not list(folder.glob("damaged-*")):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert set(moved) == {"aa", "cc"}
    assert b"bb" * 500 in next(folder.glob("damaged-*")).read_bytes()
    store.close()


async def test_damaged_content_is_never_handed_out(open_store: Opener, folder: Path) -> None:
    """A content that does not match its checksum is an error when loaded; the others are not touched."""
    first, second, _ = await _fill(open_store, "aa", "bb", "cc")
    _overwrite(folder, b"aa" * 1000, b"aa" * 999 + b"ab")
    store = open_store()
    with pytest.raises(SpoolError, match="checksum"):
        store.load(first)
    assert store.load(second).content == b"bb" * 1000
    store.close()


async def test_a_file_without_a_valid_header_is_kept_aside(open_store: Opener, folder: Path) -> None:
    """It is reported and renamed, and the start goes on."""
    await _fill(open_store, "aa")
    [path] = folder.glob("segment-*")
    data = bytearray(path.read_bytes())
    data[20] ^= 0xFF
    path.write_bytes(data)
    store = open_store()
    assert store.reports == ["segment-00000001: no valid header; kept as damaged-00000001-unreadable"]
    assert (folder / "damaged-00000001-unreadable").read_bytes() == data
    store.close()


async def test_a_mail_cannot_forge_a_record(open_store: Opener, folder: Path) -> None:
    """Octets in a content that look like a commit finish nothing, even where a damaged head makes the scan
    look inside.
    """
    store = open_store()
    kept = await put(store, "kept")
    header = parse_header(next(folder.glob("segment-*")).read_bytes()[:HEADER_SIZE])
    assert header is not None
    forged = encode_commit(bytes(8), Commit(HEADER_SIZE, [kept])) + encode_commit(
        b"ANGSPOOL", Commit(0, [kept])
    )
    await put(store, "forger", forged * 10)
    await put(store, "after")
    store.close()
    _overwrite(folder, b"forgerpayload", b"forgerpaylXad")
    store = open_store()
    assert idents(store) == {"kept", "after"}
    assert header.salt not in {bytes(8), b"ANGSPOOL"}
    store.close()


async def test_a_file_that_was_being_made_is_cleared_up(open_store: Opener, folder: Path) -> None:
    """What a crash left half made is not in the way."""
    await _fill(open_store, "aa")
    (folder / "segment-00000009.new").write_bytes(b"\0" * 100)
    store = open_store()
    assert not list(folder.glob("*.new"))
    assert idents(store) == {"aa"}
    store.close()


async def test_a_block_that_cannot_be_read_costs_only_its_messages() -> None:
    """A segment with an unreadable block gives back what lies in the others."""

    class Scratched(SimulatedDisk):
        bad = -1

        def read(self, handle: int, length: int, offset: int) -> bytes:
            if offset // 4096 <= self.bad // 4096 <= (offset + length - 1) // 4096:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(handle, length, offset)

    disk = Scratched()
    store = on(disk, memory=0)
    for ident in ("a", "b", "c"):
        await put(store, ident, ident.encode() * 8000)
    store.close()
    disk.bad = HEADER_SIZE + 8100
    store = on(disk, memory=0)
    assert any("cannot all be read" in report for report in store.reports)
    found = {message.ident: message.place for message in store.recover()}
    assert set(found) == {"a", "c"}
    assert store.load(found["c"]).content == b"c" * 8000
    with pytest.raises(SpoolError, match="cannot read"):
        store.load(found["a"])
    store.close()


def test_the_lazy_commit_keeps_the_contract() -> None:
    """Notes and finishes wait 50 ms at most (contract, section 4)."""
    assert journal.LAZY <= 0.05
