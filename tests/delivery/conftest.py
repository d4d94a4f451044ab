"""Fixtures of the delivery tests."""

import pytest

from angarium.testing.clock import VirtualClock
from tests.delivery.delivery_house import House


@pytest.fixture
def run():
    """Run `test(house)` in a time that jumps; afterwards nothing may be left open."""

    def runner(test, **options):
        clock = VirtualClock()

        async def main():
            house = House(clock, **options)
            try:
                return await test(house)
            finally:
                await house.dispatcher.drain(10)
                assert house.dispatcher._services.connections == 0

        return clock.run(main())

    return runner
