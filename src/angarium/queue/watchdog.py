"""Has every message a future? Looks at each of them again and again, a few at a time.

A message that is not over waits for a time that will come, or under an order that stands, or is with
delivery, or is being finished; and it is never older than it may be, wherever it is. What breaks that is
repaired and reported: it is a fault of this program, but nobody's mail suffers from it. A message that nobody
has is given back only when a second look finds the same, so that no fault of the watchdog's own sends
anything twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from angarium.queue.message import Message
from angarium.queue.orders import Orders
from angarium.queue.scheduled import Scheduler
from angarium.queue.settle import Settlement
from angarium.queue.steering import Yard, too_old

log = logging.getLogger(__name__)

ROUND = 60.0
"""Seconds that a look at everything takes."""
STEP = 1000
"""Messages that are looked at in one turn of the loop."""
MAX_REPORTS = 20


class Health(msgspec.Struct, frozen=True):
    """What the watchdog has found."""

    rounds: int
    violations: int
    """Since the start."""
    last: tuple[str, ...]
    """The latest of them."""


class Watchdog:
    """Looks after every message that the scheduler holds."""

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
        self._orders = orders
        self._yard = yard
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._left: list[Message] = []
        """Who is still to be looked at in this round."""
        self._missed: set[str] = set()
        """Ids of messages that nobody had at the last look."""
        self._rounds = 0
        self._violations = 0
        self._last: deque[str] = deque(maxlen=MAX_REPORTS)

    @property
    def health(self) -> Health:
        """What was found so far."""
        return Health(self._rounds, self._violations, tuple(self._last))

    def start(self) -> None:
        """Begin to look."""
        self._timer = asyncio.get_running_loop().call_later(self._pause(), self._wake)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pause(self) -> float:
        """Seconds until the next step, so that all steps together take a round."""
        steps = len(self._scheduler) // STEP + 1
        return ROUND / steps

    def _wake(self) -> None:
        try:
            self.step()
        except Exception:
            log.exception("the watchdog failed in its step, and goes on")
        self.start()

    def look(self) -> None:
        """Look at everything at once, from the first to the last."""
        self._left = []
        self.step()
        while self._left:
            self.step()

    def step(self) -> None:
        """Look at the next few."""
        if not self._left:
            self._orders.end_expired()
            self._left = list(self._scheduler)
            self._missed = {ident for ident in self._missed if self._scheduler.find(ident) is not None}
        batch = self._left[-STEP:]
        del self._left[-STEP:]
        astray, old = [], set()
        for message in batch:
            if self._scheduler.find(message.ident) is not message:
                continue
            if message.is_waiting:
                self._check_waiting(message)
            elif message not in self._settlement.finishing:
                astray.append(message)
                if message.expires <= self._clock():
                    old.add(message)
        self._check_elsewhere(astray, old)
        if not self._left:
            self._rounds += 1

    def _check_waiting(self, message: Message) -> None:
        if message.expires <= self._clock():
            self._scheduler.take(message)
            self._settlement.expire(message, too_old(self._orders, message))
        elif self._scheduler.has_lost(message):
            self._report(message, f"was due at {message.due:.0f}, and nothing would have woken it")
            self._give_back(message)
        elif message.waits_for is not None and self._orders.find(message.waits_for) is None:
            self._report(message, f"waited for {message.waits_for}, which is no order")
            self._give_back(message)
        else:
            self._settlement.tell_sender_of_delay(message)

    def _check_elsewhere(self, messages: list[Message], old: set[Message]) -> None:
        """Those that are with delivery, as far as it knows."""
        if not messages:
            return
        for message in self._yard.withdraw(old.__contains__) if old else ():
            self._settlement.expire(message, too_old(self._orders, message))
        known = {id(message) for message in self._yard.messages()}
        for message in messages:
            if id(message) in known or message in self._settlement.finishing or message.is_waiting:
                self._missed.discard(message.ident)
            elif message.ident not in self._missed:
                self._missed.add(message.ident)
            else:
                self._missed.discard(message.ident)
                self._report(message, "was with nobody")
                self._give_back(message)

    def _give_back(self, message: Message) -> None:
        """Let it have its turn now."""
        self._scheduler.take(message)
        if message.special is not None:
            message.special.waits_for = None
        message.due = self._clock()
        self._scheduler.add(message)

    def _report(self, message: Message, what: str) -> None:
        self._violations += 1
        self._last.append(f"{message.ident} {what}")
        log.error("message %s %s: repaired", message.ident, what)
