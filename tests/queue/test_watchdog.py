"""The watchdog: age holds everywhere; what has no future gets one, and is reported (issue 6, demand 1)."""

import asyncio
from itertools import count

import msgspec
import pytest

from angarium.queue.order import Order, Selector
from angarium.queue.watchdog import ROUND
from angarium.testing.clock import VirtualClock
from tests.queue.rooms import Rooms, outcome


@pytest.fixture
def run(tmp_path):
    """Run `test(rooms, clock)` in time that jumps."""

    def runner(test):
        clock, numbers = VirtualClock(), count()

        async def main():
            rooms = Rooms(tmp_path, clock.now, lambda: next(numbers).to_bytes(10, "big"))
            clock.busy_while(lambda: rooms.is_syncing)
            rooms.start()
            try:
                await test(rooms, clock)
            finally:
                rooms.close()

        clock.run(main())

    return runner


def suspension(clock):
    """An order that keeps back all mail to one domain."""
    return Order(
        name="move",
        kind="suspend",
        selector=Selector(domain="one.example"),
        reason="they move",
        author="ann",
        created=clock.now(),
    )


def test_all_is_well(run):
    """Messages that wait, go and end as they should are no violations."""

    async def test(rooms, clock):
        first = await rooms.accept("a@one.example")
        await rooms.accept("b@two.example")
        rooms.settle(first, outcome("transient", 451))
        for _ in range(3):
            rooms.watchdog.look()
        health = rooms.watchdog.health
        assert (health.violations, health.rounds) == (0, 3)

    run(test)


def test_age_holds_while_a_message_is_ready(run):
    """A message that waits for a connection beyond its age is taken back and expires."""

    async def test(rooms, clock):
        await rooms.accept("a@one.example")
        clock.elapsed += 7300
        rooms.watchdog.look()
        await rooms.quiet()
        assert [record.type for record in rooms.writer.seen] == ["Expiration"]
        assert rooms.yard.held == {}
        assert len(rooms.scheduler) == 0

    run(test)


def test_age_under_a_suspension_names_it(run):
    """What expires under an order says which one kept it back."""

    async def test(rooms, clock):
        await rooms.steering.suspend(suspension(clock))
        await rooms.accept("a@one.example")
        await asyncio.sleep(7300)
        await rooms.quiet()
        [expiration] = [record for record in rooms.writer.seen if record.type == "Expiration"]
        assert "under suspend move: they move" in expiration.response.content

    run(test)


def test_age_holds_after_a_session(run):
    """A message on the wire is left alone, whatever its age; its next failure ends it."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example")
        rooms.yard.on_wire.add(ident)
        clock.elapsed += 7300
        rooms.watchdog.look()
        assert ident in rooms.yard.held
        rooms.settle(ident, outcome("transient", 451))
        await rooms.quiet()
        assert [record.type for record in rooms.writer.seen] == ["TransientFailure", "Expiration"]

    run(test)


def test_a_shorter_age_holds_at_once(run):
    """A message that waits for its retry expires when a reload shortens its age below what it has."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example")
        rooms.settle(ident, outcome("transient", 451))
        clock.elapsed += 400
        rooms.configuration.queues.default["max_age"] = (300.0, rooms.configuration.sources["hostname"])
        rooms.configuration.queues._answers.clear()
        rooms.scheduler.reconfigure()
        rooms.watchdog.look()
        await rooms.quiet()
        assert rooms.writer.seen[-1].type == "Expiration"

    run(test)


def test_a_lost_timer_is_repaired(run):
    """A message whose time passed without its turn gets it, and the fault is reported."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example")
        rooms.settle(ident, outcome("transient", 451))
        rooms.scheduler._timers._buckets.clear()
        rooms.scheduler._timers._order.clear()
        rooms.watchdog.look()
        assert ident in rooms.yard.held
        assert rooms.watchdog.health.violations == 1
        assert ident in rooms.watchdog.health.last[0]

    run(test)


def test_a_message_that_nobody_has_is_given_back(run):
    """A message that delivery has lost is given back when a second look finds the same, and not before."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example")
        rooms.yard.held.clear()
        rooms.watchdog.look()
        assert (rooms.yard.held, rooms.watchdog.health.violations) == ({}, 0)
        rooms.watchdog.look()
        assert ident in rooms.yard.held
        assert rooms.watchdog.health.violations == 1

    run(test)


def test_an_order_that_has_gone_holds_nothing(run):
    """A message that waits under an order that no longer stands is let go, and the fault is reported."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example")
        rooms.settle(ident, outcome("transient", 451))
        rooms.scheduler.find(ident).make_special().waits_for = "ghost"
        rooms.watchdog.look()
        assert ident in rooms.yard.held
        assert "ghost" in rooms.watchdog.health.last[0]

    run(test)


def test_it_looks_by_itself(run):
    """Once started it goes round again and again, in steps that take a minute together."""

    async def test(rooms, clock):
        rooms.watchdog.start()
        await asyncio.sleep(ROUND * 3 + 1)
        assert rooms.watchdog.health.rounds == 3

    run(test)


def test_who_waits_under_a_suspension_is_told(run):
    """With `dsn_delay` a sender is told once that a message waits, also where no attempt was made."""

    async def test(rooms, clock):
        queue = rooms.scheduler.make_queue("one.example")
        queue.config = msgspec.structs.replace(queue.config, dsn_delay=60.0)
        await rooms.steering.suspend(suspension(clock))
        await rooms.accept("b@one.example", "ann@customer.example")
        await asyncio.sleep(59)
        assert not rooms.yard.held
        await asyncio.sleep(2)
        await rooms.quiet()
        [notice] = rooms.yard.held.values()
        assert (notice.sender, str(notice.recipient.address)) == (None, "ann@customer.example")
        assert b"Action: delayed" in b"".join(notice.content)
        assert b"it waits for an operator: they move" in b"".join(notice.content)
        await asyncio.sleep(3600)
        await rooms.quiet()
        assert list(rooms.yard.held.values()) == [notice]
        assert [record.type for record in rooms.writer.seen].count("Delayed") == 1

    run(test)


def test_a_delay_is_told_before_the_next_attempt(run):
    """Whose next attempt is far away hears of the delay when that is due, once, with what the host said."""

    async def test(rooms, clock):
        ident = await rooms.accept("a@one.example", sender="a@customer.example")
        message = rooms.scheduler.find(ident)
        message.queue.config = msgspec.structs.replace(message.queue.config, dsn_delay=60.0)
        rooms.settle(ident, outcome("transient", 451))
        for seconds in (59, 2, 60):
            clock.elapsed += seconds
            rooms.watchdog.look()
            await rooms.settlement.close()
        notices = [r for r in rooms.writer.seen if r.type == "Reception" and "notice" in (r.why or "")]
        assert (len(notices), message.attempts, message.is_waiting) == (1, 1, True)
        assert rooms.watchdog.health.violations == 0

    run(test)
