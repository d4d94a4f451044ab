"""Fixtures of the end-to-end tests."""

import asyncio

import pytest
import uvloop

from angarium.testing.clock import VirtualClock
from tests.e2e.house import house


@pytest.fixture
def serve(tmp_path):
    """Run `test(house)` beside a server with this configuration (see `e2e.house.house`)."""

    def runner(test, **options):
        async def main():
            async with asyncio.timeout(15), house(tmp_path, **options) as running:
                return await test(running)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
            return loop.run(main())

    return runner


@pytest.fixture
def serve_in_jumps(tmp_path):
    """As `serve`, in a time that jumps to the next timer whenever nothing else is to be done."""

    def runner(test, **options):
        clock = VirtualClock(patience=0.002)

        async def main():
            async with house(tmp_path, now=clock.now, **options) as running:
                clock.busy_while(lambda: running.is_syncing)
                return await test(running)

        return clock.run(main())

    return runner
