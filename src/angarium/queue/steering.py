"""How is the fate of waiting mail changed? What operators order, done to each message that is meant.

Promises: nothing is done to a message that is on the wire, or that is being finished (it is counted as busy,
so that nobody believes otherwise); what is done is in the records; many messages are dealt with in steps,
between which the server goes on. `divert` is asked before any message goes out, and keeps back what an order
that stands, or its age, forbids to go.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from angarium.mail.status import Reply, reply
from angarium.policy.config import QueueConfig
from angarium.policy.route import QueueName
from angarium.queue.message import Message
from angarium.queue.order import Order, Selector
from angarium.queue.orders import Orders
from angarium.queue.scheduled import ScheduledQueue, Scheduler
from angarium.queue.settle import Settlement
from angarium.spool.errors import SpoolError

log = logging.getLogger(__name__)

STEP = 500
"""Messages that are looked at in one turn of the loop."""
STALL = 10.0
"""Seconds until it is looked again whether the spool has room for what ends."""
SAMPLE = 10
"""Ids that an answer names."""
_TOO_OLD = "4.4.7 it has waited as long as it may"


class Yard(Protocol):
    """Delivery, as the queue sees it."""

    def withdraw(self, is_meant: Callable[[Message], bool]) -> list[Message]:
        """Take back the messages that are meant and are not on the wire."""

    def messages(self) -> Iterator[Message]:
        """Every message that it has."""

    def site_of(self, queue: ScheduledQueue) -> str | None:
        """Where a queue's mail goes, if that is known."""

    def try_now(self, queue: ScheduledQueue) -> None:
        """Leave the site of a queue alone no longer."""


class Place(NamedTuple):
    """Where a message belongs: the name of a queue, and what `get_queue_config` answered for it."""

    queue: str
    config: QueueConfig | None


class Done(msgspec.Struct, kw_only=True):
    """What an order has done, or would do."""

    count: int = 0
    busy: int = 0
    """Messages that are meant, but on the wire or being finished: nothing was done to them."""
    failed: int = 0
    """Messages that it could not be done to: they wait as before, and the server's log says why."""
    stopped: int = 0
    """Messages that were counted and do not go all the same, since an order that stands keeps them back."""
    sample: list[str] = []
    """The ids of some that were counted."""
    name: str | None = None
    """The name of the order that stands from now on."""

    def add(self, message: Message) -> None:
        """Count a message."""
        self.count += 1
        if len(self.sample) < SAMPLE:
            self.sample.append(message.ident)


def is_held(message: Message) -> bool:
    """Whether a hold keeps it, so that `release` means it."""
    return message.held is not None


class Steering:
    """Changes what becomes of messages that wait."""

    def __init__(
        self,
        scheduler: Scheduler,
        settlement: Settlement,
        orders: Orders,
        yard: Yard,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._scheduler = scheduler
        self._settlement = settlement
        self.orders = orders
        self._yard = yard
        self._clock = clock
        self._is_stalled = False
        settlement.when_full = self._stall

    # Before a message goes out

    def divert(self, message: Message, site: str | None = None) -> bool:
        """Whether a message that is about to go may not: then it waits, fails or expires instead."""
        if message.expires <= self._clock():
            self._settlement.expire(message, too_old(self.orders, message, site))
            return True
        order = self.orders.about(message, site)
        if order is None:
            if not self._settlement.can_finish:
                self._stall()
                self._wait_for_room(message)
                return True
            self._is_stalled = False
            if message.special is not None:
                message.special.held = message.special.waits_for = None
            return False
        if order.kind == "bounce":
            self._settlement.bounce(message, bounce_reply(order.reason))
        else:
            self._keep_back(message, order)
        return True

    def _stall(self) -> None:
        """Deliver nothing whose end could not be written down: a restart would deliver it again."""
        if not self._is_stalled:
            self._is_stalled = True
            log.error(
                "nothing is delivered: the spool has no room for what ends; free some space on its disk"
            )
            asyncio.get_running_loop().call_soon(self._call_back)

    def _call_back(self) -> None:
        """What is with delivery and not on the wire waits too."""
        for message in self._yard.withdraw(lambda _: True):
            self._wait_for_room(message)

    def _wait_for_room(self, message: Message) -> None:
        message.due = min(message.expires, self._clock() + STALL)
        self._scheduler.add(message)

    def _keep_back(self, message: Message, order: Order) -> None:
        """Let a message wait until an order ends, or its own time."""
        special, expires = message.make_special(), message.expires
        is_new = special.waits_for != order.name
        special.waits_for = order.name
        message.due = min(expires, order.expires or expires, self._sender_due(message) or expires)
        if is_new:
            ends = order.expires is not None and order.expires < expires
            due = order.expires if ends else None
            self._settlement.tell_delay(message, f"{order.kind} {order.name}: {order.reason}", due)
        self._tell_sender(message, order)
        self._scheduler.add(message)

    def _sender_due(self, message: Message) -> float | None:
        """When its sender may be told that it waits; None where that time has been."""
        after = message.queue.config.dsn_delay
        due = None if after is None else message.created + after
        return due if due is not None and due > self._clock() else None

    def _tell_sender(self, message: Message, order: Order) -> None:
        try:
            why = reply(451, f"4.3.2 it waits for an operator: {order.reason}")
            self._settlement.tell_sender_of_wait(message, why)
        except SpoolError as error:
            log.error("the sender of message %s is told of no delay: %s", message.ident, error)

    # Which messages are meant

    async def select(self, selector: Selector) -> AsyncIterator[Message]:
        """Every message that is meant, a step in each turn of the loop."""
        now = self._clock()
        queues: dict[ScheduledQueue, bool] = {}
        for number, message in enumerate(self._candidates(selector), 1):
            if number % STEP == 0:
                await asyncio.sleep(0)
            covered = queues.get(message.queue)
            if covered is None:
                site = self._yard.site_of(message.queue)
                covered = queues[message.queue] = selector.covers_queue(message.queue, site)
            if covered and self._is_held(message) and _covers(selector, message, now):
                yield message

    def _candidates(self, selector: Selector) -> list[Message]:
        if not selector.ids:
            return list(self._scheduler)
        return [message for message in map(self._scheduler.find, selector.ids) if message is not None]

    def _is_held(self, message: Message) -> bool:
        """Whether it is still there: it may have ended since the step began."""
        return self._scheduler.find(message.ident) is message

    # What is done to them

    async def count(
        self,
        selector: Selector,
        applies: Callable[[Message], bool] = lambda _: True,
        stops: Callable[[Message], bool] = lambda _: False,
    ) -> Done:
        """How many are meant, and some of them: nothing is done. `stops` says of whom nothing would come."""
        done, busy = Done(), self._busy()
        async for message in self.select(selector):
            if not applies(message):
                continue
            if message in busy:
                done.busy += 1
            else:
                done.add(message)
                done.stopped += stops(message)
        return done

    def _busy(self) -> set[Message]:
        """Messages that nothing can be done to now, as far as that is known beforehand."""
        return set(self._settlement.finishing) | {m for m in self._yard.messages() if not m.is_waiting}

    async def expire(self, selector: Selector, reason: str) -> Done:
        """End messages as if they had become too old."""
        answer = reply(451, f"4.4.7 expired by an operator: {reason}")
        return await self._each(selector, lambda message: self._settlement.expire(message, answer))

    async def bounce(self, selector: Selector, reason: str) -> Done:
        """Fail messages, and tell their senders."""
        return await self._each(selector, lambda m: self._settlement.bounce(m, bounce_reply(reason)))

    async def delete(self, selector: Selector, reason: str) -> Done:
        """Fail messages, and tell nobody but the records."""
        answer = reply(551, f"5.7.1 Deleted by an administrator with reason: {reason}")
        return await self._each(selector, lambda m: self._settlement.bounce(m, answer, tells_sender=False))

    async def retry(self, selector: Selector) -> Done:
        """Let messages be due now; a site that was left alone is tried again."""
        kept_back: list[Message] = []
        done = await self._each(selector, partial(self._retry, kept_back))
        done.stopped = len(kept_back)
        return done

    def _retry(self, kept_back: list[Message], message: Message) -> None:
        if self.is_kept_back(message):
            kept_back.append(message)
        self._yard.try_now(message.queue)
        message.due = self._clock()
        self._scheduler.add(message)

    async def hold(self, order: Order) -> Done:
        """Let the messages wait that are meant now; a hold of none does not stand. Raises ValueError,
        SpoolError.
        """
        await self.orders.give(order)
        done = await self._each(order.selector, lambda message: self._hold(message, order.name))
        if done.count:
            done.name = order.name
        else:
            self.orders.cancel(order.name)
        return done

    def _hold(self, message: Message, name: str) -> None:
        message.make_special().held = name
        self._put_back(message)

    async def release(self, selector: Selector) -> Done:
        """Let messages go that were held, whatever holds them; a hold that holds nothing more is over."""
        done = await self._each(selector, self._release, is_held)
        held = await self.held()
        for order in self.orders.standing():
            if order.kind == "hold" and not held[order.name]:
                self.orders.cancel(order.name)
        return done

    async def held(self) -> Counter[str]:
        """Name of each hold that stands → how many messages it holds."""
        held: Counter[str] = Counter()
        if any(order.kind == "hold" for order in self.orders.standing()):
            for number, message in enumerate(list(self._scheduler), 1):
                if number % STEP == 0:
                    await asyncio.sleep(0)
                if message.held is not None:
                    held[message.held] += 1
        return held

    def _release(self, message: Message) -> None:
        special = message.make_special()
        special.held = None
        if special.waits_for is not None:
            special.waits_for = None
            message.due = self._clock()
        self._put_back(message)

    def _put_back(self, message: Message) -> None:
        """Let a message wait for its time again; the spool remembers what has changed."""
        self._settlement.note(message)
        self._scheduler.add(message)

    async def reroute(self, selector: Selector, queue_of: Callable[[QueueName], str], reason: str) -> Done:
        """Let messages stand in another queue, and be due there now."""
        return await self._each(
            selector, lambda message: self._reroute(message, queue_of(message.queue.name), reason)
        )

    async def reevaluate(
        self, selector: Selector, place: Callable[[Message], Awaitable[Place | None]], reason: str
    ) -> Done:
        """Let messages stand where the policy in force would put them, with the options that it has for that.

        Those that change queues are due at once. `place` answers None where a message stays as it is.
        """
        done = Done()
        async for batch in self._batches(selector):
            places = {message: await place(message) for message in batch}
            known = {message: found for message, found in places.items() if found is not None}
            done.failed += len(places) - len(known)
            self._act(list(known), partial(self._evaluate, known, reason), done)
        return done

    def _evaluate(self, places: dict[Message, Place], reason: str, message: Message) -> None:
        found = places[message]
        queue = self._scheduler.make_queue(found.queue, found.config)
        self._scheduler.configure_anew(queue, found.config)
        message.make_special().is_moved = True  # the spool is to keep what the queue's options are now
        if queue is message.queue:
            self._put_back(message)
        else:
            self._move(message, queue, reason)

    def _reroute(self, message: Message, name: str, reason: str) -> None:
        if name == str(message.queue.name):
            self._scheduler.add(message)
        else:
            self._move(message, self._scheduler.make_queue(name), reason)

    def _move(self, message: Message, queue: ScheduledQueue, reason: str) -> None:
        was = str(message.queue.name)
        self._scheduler.move(message, queue)
        message.make_special().is_moved = True
        message.attempts, message.due = 0, self._clock()
        self._settlement.tell_rebind(message, was, reason)
        self._put_back(message)

    async def _each(
        self,
        selector: Selector,
        act: Callable[[Message], None],
        applies: Callable[[Message], bool] = lambda _: True,
    ) -> Done:
        done = Done()
        async for batch in self._batches(selector, applies):
            self._act(batch, act, done)
        return done

    async def _batches(
        self, selector: Selector, applies: Callable[[Message], bool] = lambda _: True
    ) -> AsyncIterator[list[Message]]:
        batch: list[Message] = []
        async for message in self.select(selector):
            if applies(message):
                batch.append(message)
            if len(batch) == STEP:
                yield batch
                batch = []
        yield batch

    def _act(self, batch: list[Message], act: Callable[[Message], None], done: Done) -> None:
        """Take messages to oneself, from their waiting or from delivery, and do it to each."""
        elsewhere = {message for message in batch if not message.is_waiting}
        taken = set(self._yard.withdraw(elsewhere.__contains__)) if elsewhere else elsewhere
        for message in batch:
            if not (message in taken or self._scheduler.take(message)):
                done.busy += 1
            elif self._has_acted(message, act):
                done.add(message)
            else:
                done.failed += 1

    def _has_acted(self, message: Message, act: Callable[[Message], None]) -> bool:
        """Do it to one message; where that goes wrong, it waits on, and the others have their turn."""
        try:
            act(message)
        except Exception:
            log.exception("nothing was done to message %s", message.ident)
            self._scheduler.add(message)
            return False
        return True

    # Orders that stand

    async def suspend(self, order: Order) -> Done:
        """Let what is meant wait, now and later. Raises ValueError, SpoolError."""
        await self.orders.give(order)
        for message in self._yard.withdraw(self.is_kept_back):
            self._scheduler.add(message)
        done = await self.count(order.selector)
        done.name = order.name
        return done

    def is_kept_back(self, message: Message) -> bool:
        """Whether an order that stands keeps it from being tried."""
        return self.orders.about(message, self._yard.site_of(message.queue)) is not None

    async def bounce_on(self, order: Order) -> Done:
        """Fail what is meant, now and later. Raises ValueError, SpoolError."""
        await self.orders.give(order)
        done = await self.bounce(order.selector, order.reason)
        done.name = order.name
        return done

    async def cancel(self, name: str) -> Order | None:
        """End an order; what waited for it goes on. None where there is none of that name."""
        order = self.orders.cancel(name)
        if order is not None:
            for number, message in enumerate(list(self._scheduler), 1):
                if number % STEP == 0:
                    await asyncio.sleep(0)
                self._let_go(message, name)
        return order

    def _let_go(self, message: Message, name: str) -> None:
        special = message.special
        if special is None or not self._is_held(message):
            return
        if special.held == name:
            special.held = None
            self._settlement.note(message)
        if special.waits_for == name:
            special.waits_for = None
            self._scheduler.retry_now(message)


def _covers(selector: Selector, message: Message, now: float) -> bool:
    """What cannot be read is meant only by what need not be read."""
    try:
        return selector.covers(message, now)
    except SpoolError:
        return False


def too_old(orders: Orders, message: Message, site: str | None = None) -> Reply:
    """What is said of a message whose time is over: which order kept it back, if one did."""
    order = orders.about(message, site)
    why = "" if order is None else f", under {order.kind} {order.name}: {order.reason}"
    return reply(451, _TOO_OLD + why)


def bounce_reply(reason: str) -> Reply:
    """What the records and the sender of a message are told that an operator failed (reference 6.1)."""
    return reply(551, f"5.7.1 Administrator bounced with reason: {reason}")
