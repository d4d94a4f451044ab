"""Between two steps: what goes wrong or moves at the worst moment costs no mail, and tells nothing twice."""

import asyncio
from itertools import count

from angarium.log.records import Record, Response
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.queue import settle
from angarium.queue.intake import Arrival
from angarium.queue.order import Order, Selector
from angarium.testing.clock import VirtualClock
from tests.queue.rooms import Rooms, outcome
from tests.queue.test_watchdog import run

__all__ = ["run"]


def test_a_delivered_message_is_over_whatever_goes_wrong(run, monkeypatch):
    """A surprise while success is recorded and told does not send the message again."""

    def surprise(*_):
        raise RuntimeError("a fault of ours")

    async def test(rooms, clock):
        ident = await rooms.accept()
        monkeypatch.setattr(settle, "owed_success", surprise)
        monkeypatch.setattr(settle, "delivery_record", surprise)
        rooms.settle(ident, outcome("delivered", 250))
        assert rooms.scheduler.find(ident) is None
        await rooms.quiet()
        assert list(rooms.store.recover()) == []

    run(test)


def test_an_action_that_fails_for_one_message_leaves_it_its_future(run):
    """What cannot be done to one message is done to the others; that one waits on."""

    async def test(rooms, clock):
        good, bad = await rooms.accept("a@one.example"), await rooms.accept("b@bad.example")
        for ident in (good, bad):
            rooms.settle(ident, outcome("transient", 451))

        def queue_of(name):
            if name.domain == "bad.example":
                raise ValueError("no such queue")
            return "other.example"

        done = await rooms.steering.reroute(Selector(), queue_of, "r")
        assert (done.count, done.busy, done.failed) == (1, 0, 1)
        assert rooms.scheduler.find(bad).is_waiting
        rooms.watchdog.look()
        rooms.watchdog.look()
        assert rooms.watchdog.health.violations == 0

    run(test)


def test_a_hold_that_expired_holds_no_more(run):
    """A message that one hold let go is not held by a later hold of the same name."""

    async def test(rooms, clock):
        ident = await rooms.accept()
        rooms.settle(ident, outcome("transient", 451))
        now = clock.now()
        order = Order(
            name="x", kind="hold", selector=Selector(ids=(ident,)), reason="r", author="a", created=now,
            expires=now + 100,
        )  # fmt: skip
        await rooms.steering.hold(order)
        clock.elapsed += 800
        rooms.orders.end_expired()
        await asyncio.sleep(1)
        rooms.settle(ident, outcome("transient", 451))
        await rooms.steering.hold(
            Order(name="x", kind="hold", selector=Selector(domain="y"), reason="r", author="a", created=now)
        )
        await asyncio.sleep(2000)
        assert ident in rooms.yard.held

    run(test)


def report(rooms):
    """A report that is examined and not queued: its record is all that there is of it."""
    return Arrival(
        ident=rooms.ident(),
        envelope=Envelope(None, (Recipient(Address.parse("b@one.example")),)),
        prefix=b"",
        content=[b""],
        meta={},
        records=[
            Record(
                type="Reception", id="1" * 32, response=Response(code=250), timestamp=1, event_time="",
                created=1, created_time="",
            )
        ],
    )  # fmt: skip


def test_evidence_that_moves_is_dropped_where_it_is(tmp_path):
    """Records that the spool moves while the log is slow are dropped at their new place, not told again."""
    clock, numbers = VirtualClock(), count()

    async def main():
        entropy = lambda: next(numbers).to_bytes(10, "big")  # noqa: E731
        rooms = Rooms(tmp_path, clock.now, entropy, segment_size=8 * 1024)
        clock.busy_while(lambda: rooms.is_syncing)
        rooms.start()
        logged = asyncio.get_running_loop().create_future()
        sync, rooms.writer.sync = rooms.writer.sync, lambda: logged
        await rooms.intake.take([report(rooms)])
        [place] = rooms.intake._evidence.values()
        for number in range(200):
            ident = await rooms.accept()
            if number % 10:  # the others keep segments that are nearly empty
                rooms.settle(ident, outcome("delivered", 250))
            await asyncio.sleep(0.1)
        assert list(rooms.intake._evidence.values()) != [place], "the spool has not moved it"
        rooms.writer.sync = sync
        logged.set_result(None)
        await rooms.quiet()
        rooms.close()
        again = Rooms(tmp_path, clock.now, entropy, segment_size=8 * 1024)
        assert len(list(again.store.recover())) == 20
        again.close()

    clock.run(main())
