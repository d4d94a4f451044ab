"""spool.heritage: folders of workers that are no more, on the real disk."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from angarium.spool.errors import SpoolError, SpoolLocked
from angarium.spool.heritage import open_spool
from angarium.spool.keeper import Keeper
from angarium.spool.store import Store
from tests.spool.conftest import SEGMENT, put

_opens = partial(Store.open, segment_size=SEGMENT, min_free_space=0)


async def _leave(folder: Path, *idents: str) -> None:
    """A worker puts messages into its folder, and is no more."""
    store = _opens(folder)
    for ident in idents:
        await put(store, ident, ident.encode() * 100)
    store.close()


def _waiting(keeper: Keeper) -> dict[str, int]:
    return {message.ident: message.place for message in keeper.recover()}


async def test_other_folders_are_taken_up(folder: Path) -> None:
    """What waits in folders of workers that are no more is found, read, noted and finished there."""
    await _leave(folder / "0", "a")
    await _leave(folder / "1", "b", "c")
    await _leave(folder / "2", "d")
    keeper = open_spool(folder, 0, 1, _opens)
    places = _waiting(keeper)
    assert sorted(places) == ["a", "b", "c", "d"]
    for ident, place in places.items():
        assert bytes(keeper.load(place).content) == ident.encode() * 100
    keeper.finish(places["b"], "b")
    keeper.note(places["c"], "c", b"tried")
    assert keeper.read_note(places["c"]) == b"tried"
    keeper.close()
    [found] = _opens(folder / "1").recover()
    assert (found.ident, found.note) == ("c", b"tried")


async def test_each_folder_has_one_heir(folder: Path) -> None:
    """Each of several workers takes up its part; with more workers again, each folder has its own."""
    for number in range(5):
        await _leave(folder / str(number), f"m{number}")
    keepers = [open_spool(folder, number, 2, _opens) for number in range(2)]
    assert [sorted(_waiting(keeper)) for keeper in keepers] == [["m0", "m2", "m4"], ["m1", "m3"]]
    for keeper in keepers:
        keeper.close()
    keepers = [open_spool(folder, number, 5, _opens) for number in range(5)]
    assert [list(_waiting(keeper)) for keeper in keepers] == [[f"m{number}"] for number in range(5)]
    for keeper in keepers:
        keeper.close()


async def test_an_empty_folder_goes(folder: Path) -> None:
    """A folder in which nothing waits is removed, and the worker's own store serves alone."""
    await _leave(folder / "0", "a")
    await _leave(folder / "3")
    keeper = open_spool(folder, 0, 1, _opens)
    assert isinstance(keeper, Store)
    assert not (folder / "3").exists()
    keeper.close()


async def test_new_mail_goes_to_the_own_folder(folder: Path) -> None:
    """What is put goes to the worker's own folder."""
    await _leave(folder / "1", "b")
    keeper = open_spool(folder, 0, 1, _opens)
    list(keeper.recover())
    [place] = keeper.put([b"new"], [("n", b"payload")])
    await keeper.commit()
    assert bytes(keeper.load(place).content) == b"new"
    keeper.close()
    assert [message.ident for message in _opens(folder / "0").recover()] == ["n"]


async def test_a_folder_in_use(folder: Path) -> None:
    """A folder that another process still has keeps the worker from starting, and nothing stays locked."""
    await _leave(folder / "1", "b")
    holder = _opens(folder / "1")
    with pytest.raises(SpoolLocked):
        open_spool(folder, 0, 1, _opens)
    holder.close()
    open_spool(folder, 0, 1, _opens).close()


async def test_moved_inside_an_inherited_folder(folder: Path) -> None:
    """Who is told of a move learns a place that means something here."""
    await _leave(folder / "1", "b")
    keeper, moves = open_spool(folder, 0, 1, _opens), []
    keeper.set_moved(lambda ident, place: moves.append((ident, place)))
    [place] = _waiting(keeper).values()
    inner = keeper._stores[1]  # type: ignore[attr-defined]
    inner._tidier.moved("b", place & ((1 << 80) - 1))
    assert moves == [("b", place)]
    keeper.close()
    with pytest.raises(SpoolError):
        keeper.load(place + 1)
