"""How much of a limit may each worker use? The broker of leases, which holds limits over the whole node.

Workers ask in batches for slots (connections to a site) and tokens (events of a rate), and say what they gave
back or used. Pure: the time comes in as an argument, the answers go out through `drain`. Promises: all slots
that workers hold are never more than the limit; all tokens that were used keep to the rate as one meter would
have kept to it (GCRA), whichever worker used them and however late it says so; whoever waits has its turn;
what a dead worker held is free again. Nothing is remembered of what nobody uses.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from angarium.policy.throttle import Rate

QUANTUM = 2.0
"""Seconds that a worker may keep the only slot while another one waits for it."""
GUESS = 0.5
"""Seconds after which to ask again where only the workers know when tokens come back."""
SOON = 0.01
"""Seconds: no timer is worth less."""
MAX_METERS = 10_000
"""Above that, those that have nothing to remember are forgotten."""
_EXACT = 1e-9


class Want(msgspec.Struct, frozen=True, array_like=True, tag="want"):
    """A worker says how many slots it would like beside those that it has; the latest word counts."""

    site: str
    limit: int
    more: int


class Back(msgspec.Struct, frozen=True, array_like=True, tag="back"):
    """A worker gives slots back."""

    site: str
    count: int


class Draw(msgspec.Struct, frozen=True, array_like=True, tag="draw"):
    """A worker says how many tokens it has used, and how many more it would like; the latest word counts."""

    meter: str
    rate: Rate
    more: int
    used: int = 0
    last: float = 0.0
    """When the last of them was used, by the clock of `now`."""
    unused: int = 0
    """Tokens that it gives back."""


class Slots(msgspec.Struct, frozen=True, array_like=True, tag="slots"):
    """A worker gets slots; or, where `count` is below zero, is asked to give some back when it can."""

    site: str
    count: int


class Tokens(msgspec.Struct, frozen=True, array_like=True, tag="tokens"):
    """A worker gets tokens; with none, it learns when to expect them."""

    meter: str
    count: int
    at: float = 0.0


Ask = Want | Back | Draw
Answer = Slots | Tokens


class _Site:
    """The slots of one site. Workers are told apart by their numbers."""

    def __init__(self) -> None:
        self.limit = 0
        self.held: defaultdict[int, int] = defaultdict(int)
        self.recalled: defaultdict[int, int] = defaultdict(int)
        self.wants: dict[int, int] = {}
        """In the order of turns."""
        self.since: dict[int, float] = {}
        """When a worker was given its latest slot."""

    @property
    def is_unused(self) -> bool:
        return not self.wants and not any(self.held.values())

    def want(self, worker: int, more: int) -> None:
        if more:
            self.wants[worker] = more
        else:
            self.wants.pop(worker, None)

    def back(self, worker: int, count: int) -> None:
        self.held[worker] = max(0, self.held[worker] - count)
        self.recalled[worker] = max(0, self.recalled[worker] - count)

    def leave(self, worker: int) -> None:
        for table in (self.held, self.recalled, self.wants, self.since):
            table.pop(worker, None)

    def grant(self, now: float) -> dict[int, int]:
        """Hand out what is free, one slot at a time in turns."""
        given: defaultdict[int, int] = defaultdict(int)
        free = self.limit - sum(self.held.values())
        while free > 0 and self.wants:
            worker = next(iter(self.wants))
            self.want(worker, self.wants.pop(worker) - 1)
            self.held[worker] += 1
            self.since[worker] = now
            given[worker] += 1
            free -= 1
        return given

    def recall(self, now: float) -> dict[int, int]:
        """Ask those who have most to give back what others wait for, or what is above a lowered limit."""
        asked: defaultdict[int, int] = defaultdict(int)
        surplus = sum(self.held.values()) - self.limit - sum(self.recalled.values())
        while surplus > 0 and (donor := self._richest()) is not None:
            self._ask_back(donor, asked)
            surplus -= 1
        coming = sum(self.recalled.values())
        promised: defaultdict[int, int] = defaultdict(int)
        for worker in sorted(self.wants, key=lambda worker: self.held[worker]):
            while coming > 0 and promised[worker] < self.wants[worker]:
                promised[worker] += 1
                coming -= 1
            while promised[worker] < self.wants[worker]:
                donor = self._richest(worker)
                if donor is None or not self._owes(donor, self.held[worker] + promised[worker], now):
                    break
                self._ask_back(donor, asked)
                promised[worker] += 1
        return asked

    def _richest(self, beside: int | None = None) -> int | None:
        keeps = {
            worker: kept
            for worker, held in self.held.items()
            if worker != beside and (kept := held - self.recalled[worker]) > 0
        }
        return max(keeps, key=keeps.__getitem__, default=None)

    def _owes(self, donor: int, poor: int, now: float) -> bool:
        """Whether a worker has so much more than another that it must give some; the only slot goes round."""
        gap = self.held[donor] - self.recalled[donor] - poor
        return gap > 1 or (gap == 1 and not poor and now >= self.since.get(donor, 0.0) + QUANTUM)

    def _ask_back(self, donor: int, asked: defaultdict[int, int]) -> None:
        self.recalled[donor] += 1
        asked[donor] += 1


class _Meter:
    """The tokens of one rate."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.usual = 0.0
        """When the next would come if all came evenly, by what workers have said that they used."""
        self.out: defaultdict[int, int] = defaultdict(int)
        """Tokens that workers have, used or not: they have not said."""
        self.wants: dict[int, int] = {}
        """In the order of turns."""

    @property
    def interval(self) -> float:
        return self.rate.period / self.rate.count

    def is_unused(self, now: float) -> bool:
        return not self.wants and not any(self.out.values()) and self.usual <= now

    def use(self, worker: int, count: int, last: float) -> None:
        """Tokens were used, the last at a time that has been."""
        if count:
            self.out[worker] -= count
            self.usual = max(self.usual, last) + count * self.interval

    def grant(self, now: float) -> dict[int, int]:
        """Hand out what the rate allows now, were all that is out used now."""
        given: defaultdict[int, int] = defaultdict(int)
        while self.wants and (room := self._room(now)) > 0:
            worker = next(iter(self.wants))
            wanted = self.wants.pop(worker)
            count = min(wanted, math.ceil(room / (len(self.wants) + 1)))
            self.out[worker] += count
            given[worker] += count
            if wanted > count:
                self.wants[worker] = wanted - count
        return given

    def _room(self, now: float) -> int:
        ahead = max(self.usual - now, 0.0) / self.interval
        return math.floor(self.rate.burst - sum(self.out.values()) - ahead + _EXACT)

    def next_at(self, now: float) -> float:
        """When the next token may be there, later than now."""
        spare = self.rate.burst - sum(self.out.values()) - 1
        if spare < 0:
            return now + max(SOON, min(self.interval, GUESS))
        return max(self.usual - spare * self.interval, now)


class Broker:
    """Hands out leases to workers, who are numbers here."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}
        self._meters: dict[str, _Meter] = {}
        self._answers: defaultdict[int, list[Answer]] = defaultdict(list)

    def hear(self, worker: int, asks: Iterable[Ask], now: float) -> None:
        """Take what a worker says; every word is heard in the order in which it said them."""
        sites, meters = set(), set()
        for ask in asks:
            if isinstance(ask, Draw):
                self._draw(worker, ask, now)
                meters.add(ask.meter)
            else:
                self._claim(worker, ask)
                sites.add(ask.site)
        self._settle(sites, meters, now)

    def leave(self, worker: int, now: float) -> None:
        """A worker is no more: its connections ended with it, and its tokens count as used."""
        self._answers.pop(worker, None)
        for site in self._sites.values():
            site.leave(worker)
        for meter in self._meters.values():
            meter.use(worker, meter.out[worker], now)
            meter.wants.pop(worker, None)
        self._settle(tuple(self._sites), tuple(self._meters), now)

    def tick(self, now: float) -> None:
        """Look again at everything that somebody waits for."""
        sites = [name for name, site in self._sites.items() if site.wants]
        self._settle(sites, [name for name, meter in self._meters.items() if meter.wants], now)

    def wakes_at(self, now: float) -> float | None:
        """When to `tick` next; None where nobody waits for anything."""
        times = [meter.next_at(now) for meter in self._meters.values() if meter.wants]
        if any(site.wants for site in self._sites.values()):
            times.append(now + GUESS)
        return min(times, default=None)

    def drain(self) -> dict[int, list[Answer]]:
        """What is to be said to each worker, in this order."""
        answers, self._answers = self._answers, defaultdict(list)
        return answers

    def __len__(self) -> int:
        return len(self._sites) + len(self._meters)

    def _claim(self, worker: int, ask: Want | Back) -> None:
        site = self._sites.get(ask.site)
        if site is None:
            site = self._sites[ask.site] = _Site()
        if isinstance(ask, Back):
            site.back(worker, ask.count)
        else:
            site.limit = ask.limit
            site.want(worker, ask.more)

    def _draw(self, worker: int, ask: Draw, now: float) -> None:
        meter = self._meters.get(ask.meter)
        if meter is None:
            self._drop_rested(now)
            meter = self._meters[ask.meter] = _Meter(ask.rate)
        meter.rate = ask.rate
        meter.use(worker, ask.used, min(ask.last, now))
        meter.out[worker] -= ask.unused
        if ask.more:
            meter.wants[worker] = ask.more
        else:
            meter.wants.pop(worker, None)

    def _drop_rested(self, now: float) -> None:
        if len(self._meters) >= MAX_METERS:
            for name in [name for name, meter in self._meters.items() if meter.is_unused(now)]:
                del self._meters[name]

    def _settle(self, sites: Iterable[str], meters: Iterable[str], now: float) -> None:
        for name in sites:
            self._settle_site(name, self._sites[name], now)
        for name in meters:
            self._settle_meter(name, self._meters[name], now)

    def _settle_site(self, name: str, site: _Site, now: float) -> None:
        for worker, count in site.grant(now).items():
            self._answers[worker].append(Slots(name, count))
        for worker, count in site.recall(now).items():
            self._answers[worker].append(Slots(name, -count))
        if site.is_unused:
            del self._sites[name]

    def _settle_meter(self, name: str, meter: _Meter, now: float) -> None:
        for worker, count in meter.grant(now).items():
            self._answers[worker].append(Tokens(name, count))
        at = meter.next_at(now)
        for worker in meter.wants:
            self._answers[worker].append(Tokens(name, 0, at))
        if meter.is_unused(now):
            del self._meters[name]
