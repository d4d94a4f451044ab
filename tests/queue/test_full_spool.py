"""A spool that is full, as the operator's log tells it: once when it begins, once when it ends."""

import asyncio
import logging

import pytest

from angarium.queue.intake import NoCustody
from angarium.queue.steering import STALL
from angarium.spool.files import DiskFiles
from angarium.spool.store import Store
from tests.queue.rooms import outcome
from tests.queue.test_watchdog import run

__all__ = ["run"]


def test_one_line_for_each_change(run, monkeypatch, caplog):
    """However many clients are refused, the log has one line; another says that mail is taken again."""
    free = [1 << 40]
    monkeypatch.setattr(DiskFiles, "free_space", lambda *_: free[0])
    caplog.set_level(logging.WARNING, "angarium.queue.intake")

    async def test(rooms, clock):
        await rooms.accept()
        free[0] = 0
        rooms.store._look_at = 0.0  # the store looks once a second of real time
        for _ in range(5):
            with pytest.raises(NoCustody, match="min_free_space"):
                await rooms.accept()
        free[0] = 1 << 40
        rooms.store._look_at = 0.0
        await rooms.accept()
        await rooms.accept()

    run(test)
    assert [record.getMessage() for record in caplog.records] == [
        "the spool takes nothing: less space is free than min_free_space",
        "the spool takes mail again; it had refused 5 transactions",
    ]


def test_deliveries_pause(run, monkeypatch, caplog):
    """Where the end of another message would have no room, what is not on the wire comes back and waits."""
    caplog.set_level(logging.ERROR, "angarium.queue.steering")
    has_room = [True]
    monkeypatch.setattr(Store, "can_finish", property(lambda _: has_room[0]))

    async def test(rooms, clock):
        ended, on_wire, ready = [await rooms.accept(f"{name}@one.example") for name in "abc"]
        rooms.yard.on_wire = {ended, on_wire}
        has_room[0] = False
        rooms.settle(ended, outcome("delivered", 250))
        await asyncio.sleep(0)
        assert set(rooms.yard.held) == {on_wire}
        late = await rooms.accept("d@one.example")
        rooms.settle(on_wire, outcome("delivered", 250))
        await asyncio.sleep(2 * STALL)
        assert not rooms.yard.held
        has_room[0] = True
        await asyncio.sleep(STALL)
        assert set(rooms.yard.held) == {ready, late}

    run(test)
    assert len(caplog.records) == 1
