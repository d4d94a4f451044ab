"""Is there a connection for this message? What waits for one site, and the connections that take it there.

Pure bookkeeping: its methods decide and return what to do (assign, open, close, wait); others do it and say
so. Promises: never more connections than the limit, never faster than the rates; one connection at a time is
opened until the site has shown that it answers, then as many at a time as there are; the queues of a site
take turns, whatever their lengths, and a queue's own order is kept; a queue that must wait for its own rate
holds up no other; a message costs the same beside ten queues and ten thousand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from enum import Enum
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

import msgspec

from angarium.policy.throttle import Meter

Item = TypeVar("Item")
Connection = TypeVar("Connection")


class Limits(msgspec.Struct, frozen=True):
    """What a site is spared."""

    connections: int = 32
    deliveries: int = 1024
    """Messages per connection."""
    connection_rate: Meter | None = None
    message_rate: Meter | None = None


class Bound(msgspec.Struct, frozen=True):
    """What keeps mail that waits from going now."""

    text: str
    """In an operator's words."""
    option: str = ""
    """The option that says so, if it is one."""
    until: float | None = None
    """By the clock of `now`, where only time is needed."""
    queue: Hashable = None
    """Whose option it is, where it is a queue's."""


class Then(Enum):
    """What to do where there is nothing to assign."""

    OPEN = "open"
    """Open one more connection."""
    WAIT = "wait"
    IDLE = "idle"
    """Keep the connection: it is remembered as idle."""
    CLOSE = "close"
    """Say goodbye on this connection."""


class _Queue(Generic[Item]):
    """What waits of one queue."""

    __slots__ = ("is_parked", "items", "name", "throttle")

    def __init__(self, name: Hashable, throttle: Meter | None) -> None:
        self.name = name
        self.items: deque[Item] = deque()
        self.throttle = throttle
        self.is_parked = False


class Path(Generic[Item, Connection]):
    """The way to one site. Connections are whatever the caller says they are.

    `throttle_of` says which rate a queue has of its own, if any. `now` is a clock that does not jump; where
    nothing has a rate, it does not matter.
    """

    def __init__(
        self, limits: Limits, throttle_of: Callable[[Hashable], Meter | None] = lambda _: None
    ) -> None:
        self.limits = limits
        self.waiting = 0
        self.opening = 0
        self.established = 0
        self.allowed: int | None = None
        """Of the limit on connections, what this worker may use; None: all of it."""
        self.is_full = False
        """The site takes no more connections than it has: none is opened beside others."""
        self.is_closing = False
        """Nothing new is begun; connections end when they are free."""
        self._throttle_of = throttle_of
        self._queues: dict[Hashable, _Queue[Item]] = {}
        self._turns: deque[_Queue[Item]] = deque()
        self._parked: list[tuple[float, int, _Queue[Item]]] = []
        """A heap of the queues that wait for their own rate, by time."""
        self._parked_items = 0
        self._numbers = count()
        self._idle: list[Connection] = []

    def add(self, queue: Hashable, item: Item) -> None:
        """Let an item wait, at the end of its queue."""
        self._let_wait(queue).items.append(item)

    def put_back(self, queue: Hashable, item: Item) -> None:
        """Let an item wait again that was taken too early, at the head of its queue."""
        self._let_wait(queue).items.appendleft(item)

    def _let_wait(self, name: Hashable) -> _Queue[Item]:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue(name, self._throttle_of(name))
            self._turns.append(queue)
        self.waiting += 1
        self._parked_items += queue.is_parked
        return queue

    def next_step(self, now: float = 0.0) -> tuple[Connection, Item] | Then:
        """What to do now for what waits: assign an item to a connection that was idle, OPEN, or WAIT.

        The caller acts and asks again, until it is WAIT.
        """
        if not self.waiting or self.is_closing:
            return Then.WAIT
        if self._idle:
            item = self._take(now)
            return Then.WAIT if item is None else (self._idle.pop(), item)
        if self._may_open(now):
            self.opening += 1
            if self.limits.connection_rate is not None:
                self.limits.connection_rate.spend(now)
            return Then.OPEN
        return Then.WAIT

    def next_for(
        self, connection: Connection, deliveries: int, now: float = 0.0
    ) -> tuple[Connection, Item] | Then:
        """What a connection that is free does next, after so many deliveries: an item, IDLE, or CLOSE."""
        if self.is_closing or deliveries >= self.limits.deliveries:
            return Then.CLOSE
        if self.allowed is not None and self.used > self.allowed:
            return Then.CLOSE
        if self.waiting and (item := self._take(now)) is not None:
            return connection, item
        self._idle.append(connection)
        return Then.IDLE

    def _take(self, now: float) -> Item | None:
        """The next item of the queue whose turn it is; None while rates forbid every one."""
        rate = self.limits.message_rate
        if rate is not None and rate.wait(now):
            return None
        if self._parked:
            self._unpark(now)
        while self._turns:
            queue = self._turns[0]
            if queue.throttle is not None and (wait := queue.throttle.wait(now)):
                self._park(self._turns.popleft(), now + wait)
                continue
            if rate is not None:
                rate.spend(now)
            item = self._pop(queue)
            if queue.throttle is not None:
                self._spend(queue, queue.throttle, now)
            return item
        return None

    def _spend(self, queue: _Queue[Item], throttle: Meter, now: float) -> None:
        """An item of a queue with a rate was taken: its next one may have to wait."""
        throttle.spend(now)
        if queue.items and (wait := throttle.wait(now)):
            self._park(self._turns.pop(), now + wait)  # whose turn it was is the last now

    def _pop(self, queue: _Queue[Item]) -> Item:
        """Take an item of the queue whose turn it is, and give the turn to the next one."""
        item = queue.items.popleft()
        if queue.items:
            self._turns.rotate(-1)
        else:
            self._turns.popleft()
            del self._queues[queue.name]
        self.waiting -= 1
        return item

    def _park(self, queue: _Queue[Item], until: float) -> None:
        """Let a queue wait for its own rate, out of the way of the others."""
        queue.is_parked = True
        self._parked_items += len(queue.items)
        heappush(self._parked, (until, next(self._numbers), queue))

    def _unpark(self, now: float) -> None:
        """Let those take their turns again whose time has come."""
        while self._parked and self._parked[0][0] <= now:
            queue = heappop(self._parked)[2]
            queue.is_parked = False
            self._parked_items -= len(queue.items)
            self._turns.append(queue)

    def take(self, most: int) -> list[Item]:
        """Take out so many items at most, in the order in which they would have gone, whatever the rates."""
        self._unpark(float("inf"))
        return [self._pop(self._turns[0]) for _ in range(min(most, self.waiting))]

    def withdraw(self, is_meant: Callable[[Item], bool]) -> list[Item]:
        """Take out the items that are meant; the others keep their order."""
        taken: list[Item] = []
        self._unpark(float("inf"))
        for queue in tuple(self._turns):
            before = len(taken)
            taken += filter(is_meant, queue.items)
            if len(taken) == before:
                continue
            queue.items = deque(item for item in queue.items if not is_meant(item))
            if not queue.items:
                self._turns.remove(queue)
                del self._queues[queue.name]
        self.waiting -= len(taken)
        return taken

    def items(self) -> Iterator[Item]:
        """Everything that waits."""
        for queue in self._queues.values():
            yield from queue.items

    def opened(self) -> None:
        """A connection that was being opened is established, and free: ask `next_for`."""
        self.opening -= 1
        self.established += 1

    def not_opened(self) -> None:
        """A connection did not come about."""
        self.opening -= 1

    def closed(self, connection: Connection) -> None:
        """An established connection is no more."""
        self.established -= 1
        if connection in self._idle:
            self._idle.remove(connection)

    @property
    def idle(self) -> Iterator[Connection]:
        """The connections that have nothing to do."""
        return iter(tuple(self._idle))

    @property
    def used(self) -> int:
        """Connections that are open or being opened."""
        return self.opening + self.established

    @property
    def wanted(self) -> int:
        """Connections that what waits could use, with those that there are."""
        more = 0 if self.is_closing else self.waiting - self._parked_items - self.opening
        return min(self.used + max(0, more), self.limits.connections)

    def spare(self) -> Iterator[Connection]:
        """The idle connections above what is allowed; nothing is assigned to them any more."""
        assert self.allowed is not None
        for _ in range(min(self.used - self.allowed, len(self._idle))):
            yield self._idle.pop(0)

    @property
    def is_unused(self) -> bool:
        """Whether nothing waits and nothing is open: it can be forgotten."""
        return not (self.waiting or self.opening or self.established)

    def _may_open(self, now: float) -> bool:
        """Whether one more connection is worth it, and allowed (`bound` says why not)."""
        if self.opening >= self.waiting - self._parked_items and not self._awakes(now):
            return False
        return self.bound(now) is None

    def _awakes(self, now: float) -> bool:
        """Whether queues that waited for their rates have their time now, and items without a connection."""
        if not self._parked or self._parked[0][0] > now:
            return False
        self._unpark(now)
        return self.opening < self.waiting - self._parked_items

    def bound(self, now: float = 0.0) -> Bound | None:
        """What forbids another connection now; None where nothing does."""
        limits, open_now = self.limits, self.used
        if open_now >= limits.connections:
            return _AT_LIMIT
        if self.allowed is not None and open_now >= self.allowed:
            return _AT_OTHERS
        if self.is_full and self.established:
            return _FULL
        if self.opening >= max(1, self.established):
            return _OPENING
        for rate, option in (
            (limits.message_rate, "max_message_rate"),
            (limits.connection_rate, "max_connection_rate"),
        ):
            if rate is not None and (wait := rate.wait(now)):
                return Bound(f"{option} {rate.rate}", option, now + wait)
        return None

    def binding(self, now: float = 0.0) -> Bound | None:
        """What keeps what waits from going now, as an operator is told; None where nothing waits."""
        if not self.waiting:
            return None
        rate = self.limits.message_rate
        if rate is not None and (wait := rate.wait(now)):
            return Bound(f"max_message_rate {rate.rate}", "max_message_rate", now + wait)
        if self._parked_items == self.waiting:
            until, _, queue = self._parked[0]
            rate_of = queue.throttle.rate if queue.throttle is not None else ""
            return Bound(f"max_message_rate {rate_of}", "max_message_rate", until, queue.name)
        found = self.bound(now)
        if found is _AT_LIMIT:
            return Bound(f"connection_limit {self.limits.connections}", "connection_limit")
        if found is _AT_OTHERS:
            text = f"connection_limit {self.limits.connections}, in use by other workers"
            return Bound(text, "connection_limit")
        return found

    def wakes_at(self, now: float) -> float | None:
        """When a rate that holds something up now allows the next, later than now; None where none does."""
        limits = self.limits
        if not self.waiting:
            return None
        if limits.message_rate is not None and (wait := limits.message_rate.wait(now)):
            return now + wait
        times = [self._parked[0][0]] if self._parked else []
        if limits.connection_rate is not None and self.waiting > self._parked_items:
            times.append(now + limits.connection_rate.wait(now))
        return min((time for time in times if time > now), default=None)


_AT_LIMIT = Bound("connection_limit", "connection_limit")
_AT_OTHERS = Bound("connection_limit", "connection_limit")
_FULL = Bound("the site takes no more connections")
_OPENING = Bound("a connection is being opened")
