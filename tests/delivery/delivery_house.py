"""A dispatcher with a real next hop, real sockets and a zone in a dict."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

from angarium.delivery.dispatcher import Dispatcher
from angarium.delivery.link import Setup
from angarium.delivery.routes import Terms
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.ident import make_ident
from angarium.policy.config import QueueConfig, Source
from angarium.policy.route import parse_queue_name
from angarium.policy.shaping import Shaping
from angarium.queue.message import Message, Stored
from angarium.queue.scheduled import ScheduledQueue
from angarium.testing.dns import StaticResolver

CONTENT = b"Subject: test\r\n\r\nhello\r\n"


class House:
    """Dispatches messages, and keeps what became of them."""

    def __init__(self, clock, zone=None, resolver=None, **options):
        self.clock = clock
        self.outcomes = []
        self.settled = {}
        self._settled_one = asyncio.Event()
        self._numbers = count()
        self._queues = {}
        setup = Setup(
            ehlo_name="we.example", clock=clock.now, make_id=self._ident, **options.pop("setup", {})
        )
        shaping = options.pop("shaping", {})
        level = {
            name: (value, Source("shaping.toml", line))
            for line, (name, value) in enumerate(shaping.items(), 2)
        }
        terms = {"shaping": Shaping(level), **options.pop("terms", {})}
        self.dispatcher = Dispatcher(
            setup,
            resolver or StaticResolver(zone or {}),
            self._settle,
            list.sort,
            terms=Terms(**terms),
            **options,
        )

    def _ident(self):
        return make_ident(self.clock.now(), next(self._numbers).to_bytes(10, "big"))

    def _settle(self, message, outcome):
        assert message.ident not in self.settled, "settled twice"
        self.settled[message.ident] = outcome
        self.outcomes.append(outcome)
        self._settled_one.set()

    def queue(self, name, **config):
        """The queue of that name (`domain!route`); options as in QueueConfig."""
        if name not in self._queues:
            self._queues[name] = ScheduledQueue(parse_queue_name(name), QueueConfig(**config))
        return self._queues[name]

    def message(self, queue, content=CONTENT, sender="a@example.com", recipient="b@example.net", **envelope):
        """A message that is still in memory."""
        made = Message(self._ident(), 0, queue, store=None)
        recipients = (Recipient(Address.parse(recipient)),)
        size = len(content)
        value = Envelope(Address.parse(sender), recipients, size=size, **envelope)
        made.remember(
            Stored(sender=sender, recipient=recipient, queue="", prefix=b"", size=size), value, [content]
        )
        return made

    def send(self, queue, number=1, **message):
        """Dispatch new messages."""
        made = [self.message(queue, **message) for _ in range(number)]
        for each in made:
            self.dispatcher.dispatch(each)
        return made

    async def sleep(self, seconds):
        """Let time jump."""
        await asyncio.sleep(seconds)

    async def until(self, number):
        """Wait until so many messages have been settled; returns their outcomes."""
        while len(self.outcomes) < number:
            self._settled_one.clear()
            await self._settled_one.wait()
        return self.outcomes

    async def deliver(self, queue, number=1, **message):
        """Dispatch new messages and wait for their outcomes, in the order of the messages."""
        so_far = len(self.outcomes)
        made = self.send(queue, number, **message)
        await self.until(so_far + number)
        return [self.settled[each.ident] for each in made]


@asynccontextmanager
async def both(first, second):
    """Two next hops, the second on 127.0.0.2 at the port of the first."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(first)
        second.port = first.port
        try:
            await stack.enter_async_context(second)
        except OSError:  # somebody has just that port: take another
            await stack.aclose()
            first.port = 0
            async with both(first, second):
                yield first, second
            return
        yield first, second
