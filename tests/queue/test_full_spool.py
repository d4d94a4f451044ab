"""A spool that is full, as the operator's log tells it: once when it begins, once when it ends."""

import logging

import pytest

from angarium.queue.intake import NoCustody
from angarium.spool.files import DiskFiles
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
