"""A worker's shares of the node's limits, as the supervisor's broker leases them (`node.leases`).

Promises: nothing is used that was not leased; asking is done ahead and in batches, at most once a turn of the
loop, so that a message costs nothing beside; what lies unused goes back soon.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from angarium.node.leases import SOON, Answer, Ask, Back, Draw, Tokens, Want
from angarium.policy.throttle import Rate

LINGER = 0.5
"""Seconds after which tokens that nobody used go back."""
CALM = 0.1
"""Seconds for which it is not told that fewer connections are wanted: soon it may be more again."""
AHEAD = 0.05
"""Seconds for whose share of the rate tokens are asked for at a time."""


class LeasedMeter:
    """One rate (`policy.throttle.Meter`)."""

    def __init__(self, name: str, rate: Rate, ledger: Ledger) -> None:
        self.name = name
        self.rate = rate
        self.tokens = 0
        self._ledger = ledger
        self._asked = 0
        self._at = 0.0
        """When tokens are to be expected."""
        self._used = 0
        self._last = 0.0
        self._was_idle = False

    @property
    def _batch(self) -> int:
        """Tokens that are asked for at a time."""
        return min(max(1, math.ceil(self.rate.count / self.rate.period * AHEAD)), self.rate.burst)

    def wait(self, now: float) -> float:
        """See Meter. Whoever asks wants one: where there is none, it is asked for."""
        if self.tokens:
            return 0.0
        if not self._asked:
            self._ask()
        return max(self._at - now, SOON)

    def spend(self, now: float) -> None:
        """See Meter."""
        self.tokens -= 1
        self._used += 1
        self._last = now
        self._was_idle = False
        if not self._asked and self.tokens <= self._batch // 2:
            self._ask()
        elif not self.tokens:
            self._ledger.is_due(self)

    def is_rested(self, now: float) -> bool:
        """See Meter."""
        return not (self.is_active or self._at > now)

    @property
    def is_active(self) -> bool:
        """Whether anything is held, asked for or untold."""
        return bool(self.tokens or self._asked or self._used)

    def _ask(self) -> None:
        self._asked = self._batch
        self._ledger.is_due(self)

    def report(self, unused: int = 0) -> Draw:
        """Say what was used, and what is asked for."""
        used, self._used = self._used, 0
        self.tokens -= unused
        return Draw(self.name, self.rate, self._asked, used, self._last, unused)

    def take(self, tokens: Tokens) -> None:
        """The broker has answered."""
        self.tokens += tokens.count
        self._asked = max(0, self._asked - tokens.count)
        self._at = tokens.at
        self._was_idle = False

    @property
    def is_waiting(self) -> bool:
        """Whether it only waits for an answer."""
        return not (self.tokens or self._used)

    def sweep(self) -> bool:
        """Whether it has tokens that nobody used since the last sweep, or used some that it has not told."""
        was_idle, self._was_idle = self._was_idle, True
        return bool(self._used) or (was_idle and self.tokens > 0)


class LeasedSlots:
    """The connections to one site (`delivery.shares.Slots`)."""

    def __init__(self, site: str, ledger: Ledger) -> None:
        self.site = site
        self.on_change: Callable[[], None] = _nobody
        self._ledger = ledger
        self._held = 0
        self._recalled = 0
        self._said = 0, 0
        """Limit, and how many more are wanted."""
        self._said_at = 0.0
        self._needed = 0
        """Those in use, or soon to be."""

    @property
    def allowed(self) -> int:
        """See Slots."""
        return self._held - self._recalled

    @property
    def is_unused(self) -> bool:
        """Whether nothing is held or wanted."""
        return not (self._held or self._said[1])

    def balance(self, used: int, wanted: int, limit: int) -> None:
        """See Slots."""
        self._needed = max(used, min(wanted, self.allowed))
        if self._surplus > 0:
            if not (used or wanted):
                self._give_back(self._surplus)
            elif self._recalled:
                self._give_back(min(self._surplus, self._recalled))
            self._ledger.sweep_later()
        self._say(limit, max(0, min(wanted, limit) - self.allowed))
        if self.is_unused:
            self._ledger.forget(self)

    @property
    def _surplus(self) -> int:
        return self._held - self._needed

    @property
    def is_waiting(self) -> bool:
        """Whether it only waits for an answer."""
        return self._surplus <= 0

    def _give_back(self, count: int) -> None:
        self._held -= count
        self._recalled = max(0, self._recalled - count)
        self._ledger.claim(self, Back(self.site, count))

    def sweep(self) -> None:
        """Give back what is still not needed."""
        if self._surplus > 0:
            self._give_back(self._surplus)
            self.on_change()

    def _say(self, limit: int, more: int) -> None:
        """Tell the broker what is wanted: more than was said at once, less after a while."""
        was_limit, said = self._said
        if limit == was_limit and (more == said or 0 < more < said <= 2 * more):
            return
        now = self._ledger.now()
        if limit == was_limit and more < said and now < self._said_at + CALM:
            return
        if more > said:
            more = min(1 << (more - 1).bit_length(), max(more, limit - self.allowed))
        if more or said or limit != was_limit:
            self._said, self._said_at = (limit, more), now
            self._ledger.claim(self, Want(self.site, limit, more))

    def take(self, count: int) -> None:
        """The broker gives slots, or asks for some."""
        if count > 0:
            self._held += count
            limit, more = self._said
            self._said = limit, max(0, more - count)
        else:
            self._recalled = min(self._held, self._recalled - count)
        self.on_change()


class Ledger:
    """All leases of one worker (`delivery.shares.Shares`). `tell` takes what is to be said to the broker."""

    def __init__(self, tell: Callable[[list[Ask]], None]) -> None:
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._meters: dict[str, LeasedMeter] = {}
        """Those that hold or ask for anything."""
        self._slots: dict[str, LeasedSlots] = {}
        """The same."""
        self._due: dict[str, LeasedMeter] = {}
        self._asks: list[Ask] = []
        self._is_flushing = False
        self._sweep: asyncio.TimerHandle | None = None

    def meter(self, name: str, rate: Rate) -> LeasedMeter:
        """See Shares. The caller keeps it."""
        return self._meters.get(name) or LeasedMeter(name, rate, self)

    def slots(self, site: str, on_change: Callable[[], None]) -> LeasedSlots:
        """See Shares."""
        slots = self._slots.get(site) or LeasedSlots(site, self)
        slots.on_change = on_change
        return slots

    def take(self, answers: Iterable[Answer]) -> None:
        """The broker has answered."""
        for answer in answers:
            if isinstance(answer, Tokens):
                self._take_tokens(answer)
            elif answer.site in self._slots:
                self._slots[answer.site].take(answer.count)
            elif answer.count > 0:  # they come too late: nobody wants them any more
                self._say(Back(answer.site, answer.count))

    def _take_tokens(self, tokens: Tokens) -> None:
        meter = self._meters.get(tokens.meter)
        if meter is not None:
            meter.take(tokens)
            self.sweep_later()

    def claim(self, slots: LeasedSlots, ask: Want | Back) -> None:
        """A site's connections have something to ask or give back."""
        self._slots[slots.site] = slots
        self._say(ask)

    def _say(self, ask: Ask) -> None:
        """Say something at the end of this turn of the loop."""
        self._asks.append(ask)
        self._flush_soon()

    def is_due(self, meter: LeasedMeter) -> None:
        """A meter has something to ask."""
        self._due[meter.name] = self._meters[meter.name] = meter
        self._flush_soon()

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    def forget(self, slots: LeasedSlots) -> None:
        """Nobody wants connections to this site any more."""
        self._slots.pop(slots.site, None)

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        self._asks += [meter.report() for meter in self._due.values()]
        self._due.clear()
        asks, self._asks = self._asks, []
        if asks:
            self._tell(asks)

    def sweep_later(self) -> None:
        """Look soon whether something lies unused."""
        if self._sweep is None:
            self._sweep = self._loop.call_later(LINGER, self._give_back)

    def _give_back(self) -> None:
        """Give back what nobody used lately, and tell what was used."""
        self._sweep = None
        for meter in self._meters.values():
            if meter.sweep():
                self._say(meter.report(meter.tokens))
        for slots in tuple(self._slots.values()):
            slots.sweep()
        self._meters = {name: meter for name, meter in self._meters.items() if meter.is_active}
        self._slots = {site: slots for site, slots in self._slots.items() if not slots.is_unused}
        waits = [each.is_waiting for each in self._meters.values()]
        if not all(waits + [each.is_waiting for each in self._slots.values()]):
            self.sweep_later()


def _nobody() -> None:
    """Nobody is told."""
