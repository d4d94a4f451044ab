"""node.leases, node.shares: workers together never use more of a limit than it allows."""

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.node.leases import Back, Broker, Draw, Slots, Tokens, Want
from angarium.policy.throttle import Rate, Throttle
from angarium.testing.clock import VirtualClock
from tests.node.wire import Wire

SITE = "mx.example.com"


class User:
    """One worker's site: opens what it may, while it has anything to do."""

    def __init__(self, number, wire, limit, everybody):
        self.open = 0
        self.wanted = 0
        self.served = 0
        self.number = number
        self._limit = limit
        self._everybody = everybody
        self.slots = wire.add(number).slots(SITE, self.act)

    def act(self):
        """Open what is allowed, close what is not, and say what is wanted."""
        while self.open < min(self.wanted, self.slots.allowed):
            self.open += 1
            self.served += 1
            assert sum(user.open for user in self._everybody) <= self._limit, "more than the limit"
        self.slots.balance(self.open, max(self.open, self.wanted), self._limit)

    def close(self):
        """One connection has ended."""
        if self.open:
            self.open -= 1
        self.act()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(2, 4), limit=st.integers(1, 9))
def test_connections(seed, workers, limit):
    """However workers open, close, want more and die, there are never more connections than the limit."""
    chance, clock = random.Random(seed), VirtualClock()

    async def main():
        wire, users = Wire(chance), []
        users += [User(number, wire, limit, users) for number in range(workers)]
        for step in range(300):
            place = chance.randrange(workers)
            user, move = users[place], chance.random()
            if move < 0.4:
                user.wanted = chance.randrange(12)
                user.act()
            elif move < 0.97:
                user.close()
            else:
                wire.kill(user.number)
                users[place] = User(100 + step, wire, limit, users)
            await asyncio.sleep(chance.uniform(0, 0.05))
        for user in users:
            user.wanted = 0
            while user.open:
                user.close()
            user.act()
        await asyncio.sleep(1)
        assert len(wire.lender.broker) == 0, "something is remembered of what nobody uses"

    clock.run(main())


def test_the_only_connection_goes_round():
    """With a limit of one, each of three busy workers has the connection again and again."""
    clock = VirtualClock()

    async def main():
        wire, users = Wire(random.Random(1)), []
        users += [User(number, wire, 1, users) for number in range(3)]
        for user in users:
            user.wanted = 5
            user.act()
        for _ in range(300):
            await asyncio.sleep(0.1)
            for user in users:
                if user.open > user.slots.allowed:
                    user.close()
        assert all(user.served >= 3 for user in users), [user.served for user in users]

    clock.run(main())


def test_a_late_worker_has_its_part():
    """Who comes when all slots are taken has an equal part as soon as the others can give it up."""
    broker = Broker()
    broker.hear(1, [Want(SITE, 8, 8)], 0.0)
    assert broker.drain() == {1: [Slots(SITE, 8)]}
    broker.hear(2, [Want(SITE, 8, 8)], 1.0)
    assert broker.drain() == {1: [Slots(SITE, -4)]}
    broker.hear(1, [Back(SITE, 3)], 2.0)
    assert broker.drain() == {2: [Slots(SITE, 3)]}


def test_a_lowered_limit():
    """What is above a limit that was lowered is asked back."""
    broker = Broker()
    broker.hear(1, [Want(SITE, 8, 6)], 0.0)
    broker.drain()
    broker.hear(1, [Want(SITE, 2, 0)], 1.0)
    assert broker.drain() == {1: [Slots(SITE, -4)]}


def test_what_a_dead_worker_had():
    """Its slots go to those who wait, at once."""
    broker = Broker()
    broker.hear(1, [Want(SITE, 2, 2)], 0.0)
    broker.hear(2, [Want(SITE, 2, 1)], 0.0)
    broker.drain()
    broker.leave(1, 0.5)
    assert broker.drain() == {2: [Slots(SITE, 1)]}


def test_what_a_dead_worker_may_have_used():
    """Its tokens count as used: nobody knows better."""
    broker, rate = Broker(), Rate(1, 1.0, 2)
    broker.hear(1, [Draw("m", rate, 2)], 10.0)
    assert broker.drain() == {1: [Tokens("m", 2)]}
    broker.hear(2, [Draw("m", rate, 2)], 10.0)
    broker.drain()
    broker.leave(1, 10.1)
    [told] = broker.drain()[2]
    assert (told.count, round(told.at, 3)) == (0, 11.1)
    broker.tick(11.1)
    assert broker.drain()[2][0] == Tokens("m", 1)


RATES = st.builds(
    Rate,
    st.integers(1, 200),
    st.sampled_from([1.0, 10.0, 60.0]),
    st.integers(1, 20),
)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), workers=st.integers(2, 4), rate=RATES)
def test_rates(seed, workers, rate):
    """What all workers do together is what one meter would have let through, workers that die included."""
    chance, clock = random.Random(seed), VirtualClock()

    async def main():
        loop, times = asyncio.get_running_loop(), []
        wire = Wire(chance)

        async def work(number):
            meter = wire.add(number).meter("messages", rate)
            while True:
                if chance.random() < 0.05:
                    await asyncio.sleep(chance.uniform(0, 3))
                wait = meter.wait(loop.time())
                if wait:
                    await asyncio.sleep(wait)
                    continue
                meter.spend(loop.time())
                times.append(loop.time())

        tasks = {number: loop.create_task(work(number)) for number in range(workers)}
        for number in range(workers, workers + 5):
            await asyncio.sleep(chance.uniform(1, 10))
            victim = chance.choice(list(tasks))
            tasks.pop(victim).cancel()
            wire.kill(victim)
            tasks[number] = loop.create_task(work(number))
        for task in tasks.values():
            task.cancel()
        return times

    meter = Throttle(rate)
    for time in clock.run(main()):
        assert meter.wait(time) <= 1e-6, "faster than the rate"
        meter.spend(time)


@pytest.mark.parametrize("text", ["100/s", "1000/s", "5/s,max_burst=1", "20/min"])
def test_the_rate_is_used(text):
    """Busy workers together reach nearly what the rate allows, and have equal parts of it."""
    rate, clock, length = Rate.parse(text), VirtualClock(), 60.0

    async def main():
        loop, used = asyncio.get_running_loop(), Counter()
        wire = Wire(random.Random(5))

        async def work(number):
            meter = wire.add(number).meter("messages", rate)
            while True:
                wait = meter.wait(loop.time())
                if wait:
                    await asyncio.sleep(wait)
                else:
                    meter.spend(loop.time())
                    used[number] += 1

        tasks = [loop.create_task(work(number)) for number in range(3)]
        await asyncio.sleep(length)
        for task in tasks:
            task.cancel()
        return used

    used = clock.run(main())
    assert sum(used.values()) >= 0.8 * length * rate.count / rate.period
    assert min(used.values()) >= 0.7 * max(used.values())
