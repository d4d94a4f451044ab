"""`python -m bench.queues`: what a message costs in delivery beside ten queues, and beside ten thousand.

Everything is real but the wire and the spool: next hops are in memory, contents too. Prints microseconds of
CPU a message, and the ratio to ten queues, the best of some rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import count

from angarium.delivery.dispatcher import Dispatcher
from angarium.delivery.link import Setup
from angarium.delivery.outcome import Outcome
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.ident import make_ident
from angarium.policy.config import QueueConfig
from angarium.policy.route import QueueName
from angarium.queue.message import Message, Stored
from angarium.queue.scheduled import ScheduledQueue
from angarium.testing.dns import StaticResolver
from angarium.testing.network import Network

MESSAGES = 20_000
ROUNDS = 3
CONTENT = b"Subject: bench\r\n\r\nhello\r\n"
SENDER, RECIPIENT = Address.parse("a@example.com"), Address.parse("b@example.net")
ENVELOPE = Envelope(SENDER, (Recipient(RECIPIENT),), size=len(CONTENT))
STORED = Stored(sender=str(SENDER), recipient=str(RECIPIENT), queue="", prefix=b"", size=len(CONTENT))


class Run:
    """Delivery to one site from so many queues."""

    def __init__(self, queues: int) -> None:
        self._numbers = count()
        self._left = 0
        self._done = asyncio.Event()
        zone = {f"d{number}.example": {"MX": ["10 mx.example."]} for number in range(queues)}
        zone["mx.example"] = {"A": ["192.0.2.1"]}
        setup = Setup(ehlo_name="we.example", clock=time.time, make_id=self._ident, connect=Network().connect)
        self.dispatcher = Dispatcher(setup, StaticResolver(zone), self._settle, list.sort)
        names = [QueueName(f"d{number}.example") for number in range(queues)]
        self.queues = [ScheduledQueue(name, QueueConfig()) for name in names]

    def _ident(self) -> str:
        return make_ident(time.time(), next(self._numbers).to_bytes(10, "big"))

    def _settle(self, _message: Message, outcome: Outcome) -> None:
        assert outcome.kind.value == "delivered", outcome
        self._left -= 1
        if not self._left:
            self._done.set()

    def messages(self, number: int) -> list[Message]:
        """So many messages, spread over the queues."""
        made = [Message(self._ident(), 0, self.queues[n % len(self.queues)], None) for n in range(number)]
        for message in made:
            message.remember(STORED, ENVELOPE, [CONTENT])
        return made

    async def deliver(self, messages: Sequence[Message]) -> float:
        """Deliver them all; returns seconds of CPU."""
        self._left = len(messages)
        self._done.clear()
        begun = time.process_time()
        for number, message in enumerate(messages):
            self.dispatcher.dispatch(message)
            if number % 200 == 0:
                await asyncio.sleep(0)
        await self._done.wait()
        return time.process_time() - begun


async def cost(queues: int) -> float:
    """Microseconds of CPU a message."""
    run = Run(queues)
    await run.deliver(run.messages(queues))  # every route is known after this
    seconds = await run.deliver(run.messages(MESSAGES))
    await run.dispatcher.drain(5)
    return seconds / MESSAGES * 1e6


def main() -> None:
    """Print a table."""
    base = 0.0
    for queues in (10, 100, 1_000, 10_000):
        best = min(asyncio.run(cost(queues)) for _ in range(ROUNDS))
        base = base or best
        print(f"{queues:>6} queues: {best:6.1f} µs a message, {best / base:.2f} of ten queues")


if __name__ == "__main__":
    main()
