"""net.deadline: work that takes too long is cancelled, and nobody else is."""

from __future__ import annotations

import asyncio

import pytest

from angarium.net.deadline import Deadline


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


def test_work_that_takes_too_long() -> None:
    """What is still going on when its time is over ends as a TimeoutError, also the second time."""

    async def test() -> None:
        deadline = Deadline()
        for _ in range(2):
            with pytest.raises(TimeoutError), deadline(0.001):
                await _never()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    asyncio.run(test())


def test_work_in_time_leaves_one_timer_behind() -> None:
    """A timer set by earlier work gives later work all of its own time."""

    async def test() -> None:
        loop, deadline = asyncio.get_running_loop(), Deadline()
        with deadline(0.005):
            pass
        began = loop.time()
        with pytest.raises(TimeoutError), deadline(0.02):
            await _never()
        assert loop.time() - began >= 0.019
        deadline.close()

    asyncio.run(test())


def test_less_time_than_before() -> None:
    """Work with a short limit is not held to the long one of the work before it."""

    async def test() -> None:
        deadline = Deadline()
        with deadline(60):
            pass
        with pytest.raises(TimeoutError), deadline(0.001):
            await _never()

    asyncio.run(asyncio.wait_for(test(), 10))


def test_others_may_cancel() -> None:
    """A cancellation that came from elsewhere stays one."""

    async def work(deadline: Deadline) -> None:
        with deadline(60):
            await _never()

    async def test() -> None:
        task = asyncio.create_task(work(Deadline()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(test())
