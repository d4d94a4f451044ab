"""Is there a connection for this message? What waits for one site, and the connections that take it there.

Pure bookkeeping: its methods decide and return what to do (assign, open, close, wait); others do it and say
so. Promises: never more connections than the limit; one at a time is opened until the site has shown that it
answers, then as many at a time as there are; the queues of a site take turns, whatever their lengths, and a
queue's own order is kept; a message costs the same beside ten queues and ten thousand.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Generic, TypeVar

import msgspec

Item = TypeVar("Item")
Connection = TypeVar("Connection")


class Limits(msgspec.Struct, frozen=True):
    """What a site is spared."""

    connections: int = 32
    deliveries: int = 1024
    """Messages per connection."""


class Then(Enum):
    """What to do where there is nothing to assign."""

    OPEN = "open"
    """Open one more connection."""
    WAIT = "wait"
    IDLE = "idle"
    """Keep the connection: it is remembered as idle."""
    CLOSE = "close"
    """Say goodbye on this connection."""


class Path(Generic[Item, Connection]):
    """The way to one site. Connections are whatever the caller says they are."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.waiting = 0
        self.opening = 0
        self.established = 0
        self.is_full = False
        """The site takes no more connections than it has: none is opened beside others."""
        self.is_closing = False
        """Nothing new is begun; connections end when they are free."""
        self._queues: dict[Hashable, deque[Item]] = {}
        self._turns: deque[Hashable] = deque()
        self._idle: list[Connection] = []

    def add(self, queue: Hashable, item: Item) -> None:
        """Let an item wait, at the end of its queue."""
        self._queue(queue).append(item)
        self.waiting += 1

    def put_back(self, queue: Hashable, item: Item) -> None:
        """Let an item wait again that was taken too early, at the head of its queue."""
        self._queue(queue).appendleft(item)
        self.waiting += 1

    def _queue(self, name: Hashable) -> deque[Item]:
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = deque()
            self._turns.append(name)
        return queue

    def next_step(self) -> tuple[Connection, Item] | Then:
        """What to do now for what waits: assign an item to a connection that was idle, OPEN, or WAIT.

        The caller acts and asks again, until it is WAIT.
        """
        if not self.waiting or self.is_closing:
            return Then.WAIT
        if self._idle:
            return self._idle.pop(), self._take()
        if self.opening < self.waiting and not self.bound_by:
            self.opening += 1
            return Then.OPEN
        return Then.WAIT

    def next_for(self, connection: Connection, deliveries: int) -> tuple[Connection, Item] | Then:
        """What a connection that is free does next, after so many deliveries: an item, IDLE, or CLOSE."""
        if self.is_closing or deliveries >= self.limits.deliveries:
            return Then.CLOSE
        if self.waiting:
            return connection, self._take()
        self._idle.append(connection)
        return Then.IDLE

    def _take(self) -> Item:
        """The next item of the queue whose turn it is."""
        name = self._turns[0]
        queue = self._queues[name]
        item = queue.popleft()
        if queue:
            self._turns.rotate(-1)
        else:
            self._turns.popleft()
            del self._queues[name]
        self.waiting -= 1
        return item

    def take(self, most: int) -> list[Item]:
        """Take out so many items at most, in the order in which they would have gone."""
        return [self._take() for _ in range(min(most, self.waiting))]

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
    def is_unused(self) -> bool:
        """Whether nothing waits and nothing is open: it can be forgotten."""
        return not (self.waiting or self.opening or self.established)

    @property
    def bound_by(self) -> str:
        """The limit that forbids another connection now, in an operator's words; "" where none does."""
        if self.opening + self.established >= self.limits.connections:
            return f"connection_limit {self.limits.connections}"
        if self.is_full and self.established:
            return "the site takes no more connections"
        if self.opening >= max(1, self.established):
            return "a connection is being opened"
        return ""
