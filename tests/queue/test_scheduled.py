"""queue.scheduled: whose turn it is, in a time that jumps."""

import asyncio
import time
from itertools import count

import pytest
import uvloop

from angarium.mail.ident import make_ident
from angarium.policy.config import QueueConfig
from angarium.queue.message import Message
from angarium.queue.scheduled import _TURN, MAX_EMPTY, Scheduler
from angarium.testing.clock import VirtualClock


class Book:
    """A scheduler whose deliveries are noted."""

    def __init__(self, clock):
        self.clock = clock
        self.out = []
        self.config = QueueConfig(retry_interval=1)
        self.scheduler = Scheduler(lambda name: self.config, self._deliver, clock.now)
        self._numbers = count()

    def _deliver(self, message):
        self.out.append((self.clock.elapsed, message))

    def message(self, delay=0.0, queue="a.example", config=None):
        made = Message(
            make_ident(self.clock.now(), next(self._numbers).to_bytes(10, "big")),
            0,
            self.scheduler.make_queue(queue, config),
            None,
        )
        made.due = self.clock.now() + delay
        return made


@pytest.fixture
def run():
    """Run `test(book)` with a scheduler that has been started."""

    def runner(test):
        clock = VirtualClock()

        async def main():
            book = Book(clock)
            book.scheduler.start()
            await test(book)

        clock.run(main())

    return runner


def test_each_at_its_time(run):
    """A message that is due goes at once, others when their time has come."""

    async def test(book):
        for delay in (5, 0, 3700):
            book.scheduler.add(book.message(delay))
        assert [elapsed for elapsed, _ in book.out] == [0]
        await asyncio.sleep(4000)
        assert [elapsed for elapsed, _ in book.out] == pytest.approx([0, 5, 3700], abs=0.3)

    run(test)


def test_a_crowd_goes_in_portions(run):
    """However many are due at once, others have their turn of the loop in between."""

    async def test(book):
        portions, loop = [], asyncio.get_running_loop()

        def deliver(message):
            if not portions or portions[-1] is None:
                portions[-1:] = [0]
                loop.call_soon(portions.append, None)
            portions[-1] += 1

        scheduler = Scheduler(lambda name: book.config, deliver, book.clock.now)
        scheduler.start()
        for _ in range(2000):
            scheduler.add(book.message(10))
        await asyncio.sleep(20)
        assert sum(filter(None, portions)) == 2000
        assert max(filter(None, portions)) <= 500

    run(test)


def test_nothing_is_handed_out_while_stopping(run):
    """After `stop` messages are held, and go when there is a new start."""

    async def test(book):
        book.scheduler.stop()
        book.scheduler.add(book.message())
        await asyncio.sleep(100)
        assert book.out == []
        book.scheduler.start()
        await asyncio.sleep(1)
        assert len(book.out) == 1

    run(test)


def test_retry_now(run):
    """A waiting message goes at once when an operator says so, and not again at its old time."""

    async def test(book):
        message = book.message(60)
        book.scheduler.add(message)
        assert book.scheduler.retry_now(message)
        assert not book.scheduler.retry_now(message)
        book.scheduler.finish(message)
        await asyncio.sleep(100)
        assert len(book.out) == 1
        assert len(book.scheduler) == 0

    run(test)


def test_trouble_in_delivery(run):
    """A message that delivery could not take waits a minute."""

    async def test(book):
        fails = [RuntimeError("surprise")]

        def deliver(message):
            if fails:
                raise fails.pop()
            book.out.append((book.clock.elapsed, message))

        scheduler = Scheduler(lambda name: book.config, deliver, book.clock.now)
        scheduler.start()
        scheduler.add(book.message())
        await asyncio.sleep(100)
        assert [elapsed for elapsed, _ in book.out] == pytest.approx([60], abs=0.3)

    run(test)


def test_a_reload_reaches_every_queue_but_those_of_code(run):
    """Queues take the new options, except where a handler answered; empty ones are dropped."""

    async def test(book):
        by_file, by_code = book.message(60), book.message(60, "b.example", QueueConfig(max_age=5))
        book.message(60, "empty.example")
        for message in (by_file, by_code):
            book.scheduler.add(message)
        book.config = QueueConfig(max_age=7)
        book.scheduler.reconfigure()
        assert (by_file.queue.config.max_age, by_code.queue.config.max_age) == (7, 5)
        assert set(book.scheduler.queues) == {"a.example", "b.example"}

    run(test)


def test_empty_queues_do_not_pile_up(run):
    """Beyond some number, queues are dropped as soon as they are empty."""

    async def test(book):
        for number in range(MAX_EMPTY + 50):
            message = book.message(60, f"d{number}.example")
            book.scheduler.add(message)
            book.scheduler.finish(message)
        assert len(book.scheduler.queues) <= MAX_EMPTY + 1

    run(test)


def test_a_loop_whose_timers_do_not_tell_their_time():
    """uvloop's handles of timers that are due know no time: more than one turn's messages go all the same."""
    left = set(range(3 * _TURN))

    async def main():
        over = asyncio.get_running_loop().create_future()

        def keep_back(message):
            left.discard(message.place)
            message.due = time.time() + 3600
            scheduler.add(message)
            if not left:
                over.set_result(None)

        scheduler = Scheduler(lambda _: QueueConfig(), keep_back, time.time)
        queue = scheduler.make_queue("a.example")
        for number in left:
            scheduler.add(Message(make_ident(time.time(), number.to_bytes(10, "big")), number, queue, None))
        scheduler.start()
        async with asyncio.timeout(10):
            await over

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
