"""Whose turn is it? Every waiting message by the time of its next attempt, and the queues that they stand in.

Promises: each message it holds has a time; a message is handed to delivery when its time has come and at no
other moment; and while the server stops, nothing is handed out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

from angarium.policy.config import QueueConfig
from angarium.policy.decision import DecidedBy
from angarium.policy.route import QueueName, parse_queue_name
from angarium.policy.trail import Trail
from angarium.queue.kept_config import pack_config
from angarium.queue.message import Message
from angarium.queue.timers import Timers

log = logging.getLogger(__name__)

_RECHECK = 60.0  # seconds: the wall clock may be set while a timer of the loop runs
_PAUSE = 60.0  # seconds until a message that delivery could not take is handed out again
_TURN = 500  # messages handed out in one turn of the loop, so that a million due at once hold up nobody
MAX_EMPTY = 10_000
"""Queues above this number are dropped as soon as they are empty."""

Configure = Callable[[QueueName], QueueConfig]


class ScheduledQueue:
    """The messages for one destination, tenant and campaign share one of these."""

    __slots__ = ("_decided", "config", "count", "is_by_code", "last", "name", "site", "waiting")

    def __init__(self, name: QueueName, config: QueueConfig, *, is_by_code: bool = False) -> None:
        self.name = name
        self.config = config
        self.is_by_code = is_by_code
        """`get_queue_config` answered for it, so that no file changes it while it holds messages."""
        self.count = 0
        """Messages that it holds, waiting or with delivery."""
        self.waiting = 0
        self.last = ""
        """What was said last to an attempt of one of its messages."""
        self.site: str | None = None
        """Where the last of its messages went that found a way."""
        self._decided: tuple[QueueConfig, DecidedBy] | None = None

    @property
    def routing_domain(self) -> str | None:
        """Where its mail goes instead of to its domain: the name says so, or else the configuration."""
        return self.name.routing_domain or self.config.routing_domain

    def route_decided_by(self, configuration: str) -> DecidedBy:
        """Who says where its mail goes, under the configuration with this hash (contract 2.14)."""
        decided = self._decided
        if decided is None or decided[0] is not self.config or decided[1].config != configuration:
            decided = self._decided = self.config, self._who_decides(Trail(configuration))
        return decided[1]

    def _who_decides(self, trail: Trail) -> DecidedBy:
        if self.name.routing_domain is not None:  # a handler or an operator named it so
            return DecidedBy("rule", key=str(self.name), config=trail.config)
        if self.is_by_code:
            return DecidedBy("handler", handler="get_queue_config", config=trail.config)
        return trail.rule(self.config.sources.get("routing_domain"), "routing_domain")

    def kept_options(self) -> dict[str, Any] | None:
        """What a start needs of the answer of code; None where the options are those of files."""
        return pack_config(self.config) if self.is_by_code else None


class Scheduler:
    """Holds every message that is not finished, and hands it to delivery when its time has come."""

    def __init__(
        self,
        configure: Configure,
        dispatch: Callable[[Message], None],
        clock: Callable[[], float],
    ) -> None:
        self._configure = configure
        self._dispatch = dispatch
        self._clock = clock
        self._timers: Timers[Message] = Timers()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        """By the loop's clock; not every loop's handles know it."""
        self._messages: dict[str, Message] = {}
        self._queues: dict[str, ScheduledQueue] = {}
        self._stopped = True

    def start(self) -> None:
        """Begin to hand out messages: everything that was waiting at the last stop is here."""
        self._stopped = False
        self._wake()

    def make_queue(self, name: str, config: QueueConfig | None = None) -> ScheduledQueue:
        """The queue of that name, made now if need be; `config` where a handler has answered for it."""
        queue = self._queues.get(name)
        if queue is None:
            parsed = parse_queue_name(name)
            made = ScheduledQueue(parsed, config or self._configure(parsed), is_by_code=config is not None)
            queue = self._queues[name] = made
        return queue

    def config_of(self, name: str, config: QueueConfig | None = None) -> QueueConfig:
        """The options of the queue of that name, as `make_queue` would have them."""
        queue = self._queues.get(name)
        return queue.config if queue is not None else config or self._configure(parse_queue_name(name))

    def has_queue(self, name: str) -> bool:
        """Whether the queue of that name has been made."""
        return name in self._queues

    def reconfigure(self) -> None:
        """Take the options of every queue from the configuration that is now in force; drop empty queues."""
        self._queues = {name: queue for name, queue in self._queues.items() if queue.count}
        for queue in self._queues.values():
            if not queue.is_by_code:
                queue.config = self._configure(queue.name)

    def configure_anew(self, queue: ScheduledQueue, config: QueueConfig | None) -> None:
        """Take a queue's options from what a handler answers now, else from the configuration in force."""
        queue.is_by_code = config is not None
        queue.config = config or self._configure(queue.name)

    def add(self, message: Message) -> None:
        """Hold a message until it is due; at once to delivery if it is."""
        if message.ident not in self._messages:
            self._messages[message.ident] = message
            message.queue.count += 1
        if message.due <= self._clock() and not self._stopped:
            self._deliver(message)
        else:
            self._wait(message)

    def _wait(self, message: Message) -> None:
        message.forget()
        message.is_waiting = True
        message.queue.waiting += 1
        self._timers.add(message.due, message)
        self._set_timer()

    def _deliver(self, message: Message) -> None:
        """Hand a message to delivery. What goes wrong there is nobody else's affair: it was answered 250."""
        try:
            self._dispatch(message)
        except Exception:
            log.exception("message %s could not be handed to delivery", message.ident)
            message.due = self._clock() + _PAUSE
            self._wait(message)

    def retry_now(self, message: Message) -> bool:
        """Make a waiting message due at once; False where it does not wait."""
        if not message.is_waiting:
            return False
        message.due = self._clock()
        self._hand_out(message)
        return True

    def take(self, message: Message) -> bool:
        """Take a message out of its waiting: it is held, but has no time until it is added again.

        False where it does not wait.
        """
        was_waiting = message.is_waiting
        if was_waiting:
            self._stop_waiting(message)
        return was_waiting

    def move(self, message: Message, queue: ScheduledQueue) -> None:
        """Let a message that does not wait stand in another queue."""
        message.queue.count -= 1
        queue.count += 1
        message.queue = queue

    def finish(self, message: Message) -> None:
        """Forget a message that is over."""
        if message.is_waiting:
            self._stop_waiting(message)
        message.forget()
        del self._messages[message.ident]
        queue = message.queue
        queue.count -= 1
        if not queue.count and len(self._queues) > MAX_EMPTY:
            self._queues.pop(str(queue.name), None)

    def find(self, ident: str) -> Message | None:
        """A message by its id, waiting or with delivery."""
        return self._messages.get(ident)

    def has_lost(self, message: Message) -> bool:
        """Whether a message waits for a time that has been, so that nothing would ever wake it."""
        return message.is_waiting and self._timers.has_popped(message.due)

    def moved(self, ident: str, place: int) -> None:
        """The spool has put a message elsewhere."""
        message = self._messages.get(ident)
        if message is not None:
            message.place = place

    def stop(self) -> None:
        """Hand out nothing more: what waits stays in the spool."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _hand_out(self, message: Message) -> None:
        self._stop_waiting(message)
        self._deliver(message)

    def _stop_waiting(self, message: Message) -> None:
        message.is_waiting = False
        message.queue.waiting -= 1

    def _set_timer(self) -> None:
        if self._stopped or (due := self._timers.next_due) is None:
            return
        delay = min(max(due - self._clock(), 0.0), _RECHECK)
        loop = asyncio.get_running_loop()
        at = loop.time() + delay
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_later(delay, self._wake), at

    def _wake(self) -> None:
        self._timer = None
        now = self._clock()
        for message in self._timers.pop_due(now, _TURN):
            if message.is_waiting and message.due <= now:
                self._hand_out(message)
        self._set_timer()

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def queues(self) -> dict[str, ScheduledQueue]:
        """Every queue that has been made, by name."""
        return self._queues
