"""Delivery of several workers in one loop: what a site is spared holds for all of them together."""

import random
from contextlib import asynccontextmanager

import pytest

from angarium.delivery.outcome import Kind
from angarium.policy.throttle import Rate, Throttle
from angarium.testing.clock import VirtualClock
from angarium.testing.nexthop import NextHop
from tests.delivery.delivery_house import House
from tests.node.wire import Wire


def run(test, *, hop=None):
    """Run `test(hop, wire, houses)` with two workers, in a time that jumps."""
    clock = VirtualClock(patience=0.002)

    @asynccontextmanager
    async def serving():
        wire = Wire(random.Random(3))
        async with hop or NextHop() as next_hop:
            houses = []
            try:
                yield (
                    next_hop,
                    wire,
                    houses,
                    lambda number, **options: houses.append(House(clock, shares=wire.add(number), **options)),
                )
            finally:
                for house in houses:
                    await house.dispatcher.drain(10)

    async def main():
        async with serving() as (next_hop, wire, houses, add):
            return await test(next_hop, wire, houses, add)

    return clock.run(main())


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_connections(limit):
    """Two busy workers never have more connections together than the limit, and both deliver everything."""

    async def test(hop, wire, houses, add):
        add(0)
        add(1)
        queues = [house.queue(f"x.example!{hop.route}", connection_limit=limit) for house in houses]
        for _ in range(5):
            for house, queue in zip(houses, queues, strict=True):
                house.send(queue, 20)
            await houses[0].sleep(0.5)
        for house in houses:
            outcomes = await house.until(100)
            assert {outcome.kind for outcome in outcomes} == {Kind.DELIVERED}
        return hop.most_open, len(hop.taken)

    most, taken = run(test)
    assert most <= limit
    assert taken == 200


def test_a_message_costs_no_word():
    """While a worker has its connections, messages go without asking."""

    async def test(hop, wire, houses, add):
        add(0)
        queue = houses[0].queue(f"x.example!{hop.route}", connection_limit=4)
        for _ in range(50):
            await houses[0].deliver(queue, 10)
        return wire.carried

    assert run(test) < 25


def test_rates():
    """Two busy workers together keep to a rate as one would."""
    times = []

    async def test(hop, wire, houses, add):
        for number in range(2):
            add(number, shaping={"max_message_rate": Rate(20, 1.0, 2)})
        hop.take = lambda _: times.append(houses[0].clock.now())
        for house in houses:
            house.send(house.queue(f"x.example!{hop.route}"), 30)
        for house in houses:
            await house.until(30)

    run(test)
    assert len(times) == 60
    assert max(times) - min(times) >= 58 / 20 - 0.2
    assert max(times) - min(times) < 2 * 58 / 20
    meter = Throttle(Rate(20, 1.0, 2))
    late = 0.02
    for time in times:
        assert meter.wait(time) <= late
        meter.spend(time)


def test_the_reason_is_said():
    """A worker whose mail waits for connections that another has says so."""

    async def test(hop, wire, houses, add):
        add(0)
        add(1)
        queues = [house.queue(f"x.example!{hop.route}", connection_limit=1) for house in houses]
        await houses[0].deliver(queues[0])
        houses[1].send(queues[1])
        await houses[1].sleep(0.2)
        [site] = houses[1].dispatcher.snapshot()
        said = site.bound_by
        await houses[1].until(1)
        return said

    assert run(test) == "connection_limit 1, in use by other workers"
