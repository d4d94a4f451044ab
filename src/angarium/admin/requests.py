"""What a running server answers on its control socket: the table of requests.

Each is a function from arguments to a value that JSON can say. A House is the running server as this room
sees it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import msgspec

from angarium.admin.control import Arguments, Request, RequestError
from angarium.admin.explain import Question, QuestionError, explain
from angarium.delivery.dispatcher import Dispatcher
from angarium.net.dns import Resolver
from angarium.policy.config import Configuration
from angarium.policy.reload import Result
from angarium.queue.message import Message
from angarium.queue.scheduled import ScheduledQueue, Scheduler
from angarium.spool.errors import SpoolError

MAX_ROWS = 1000
"""Messages that one answer lists unless more are asked for."""


class House(Protocol):
    """The running server."""

    @property
    def configuration(self) -> Configuration:
        """In force."""

    @property
    def scheduler(self) -> Scheduler:
        """What waits."""

    @property
    def dispatcher(self) -> Dispatcher:
        """What is on its way."""

    @property
    def resolver(self) -> Resolver:
        """The name servers."""


def requests(
    house: House, path: Path, started: float, reload: Callable[[], Awaitable[Result]]
) -> dict[str, Request]:
    """Every request by its name. `path` is the main file, `started` a time in Unix seconds."""
    office = _Office(house, path, started, reload)
    return {
        "ping": office.ping,
        "version": office.version,
        "explain": office.explain,
        "reload": office.reload,
        "queue": office.queue,
    }


class _Office:
    def __init__(
        self, house: House, path: Path, started: float, reload: Callable[[], Awaitable[Result]]
    ) -> None:
        self._house = house
        self._path = path
        self._started = started
        self._reload = reload

    async def ping(self, arguments: Arguments) -> Any:
        """Whether somebody is there."""
        return "pong"

    async def version(self, arguments: Arguments) -> Any:
        """Who is there, and by which configuration."""
        configuration = self._house.configuration
        return {
            "version": version("angarium"),
            "config": str(self._path.absolute()),
            "hash": configuration.hash,
            "hostname": configuration.hostname,
            "listeners": [listener.label for listener in configuration.listeners],
            "pid": os.getpid(),
            "started": self._started,
        }

    async def explain(self, arguments: Arguments) -> Any:
        """The decision about each recipient of a hypothetical transaction."""
        try:
            question = msgspec.convert(arguments, Question)
            return await explain(self._house.configuration, question, self._house.resolver)
        except (msgspec.ValidationError, QuestionError) as error:
            raise RequestError(str(error)) from None

    async def reload(self, arguments: Arguments) -> Any:
        """Load everything again; answers when that is done."""
        result = await self._reload()
        problems = [
            {"file": p.source.file, "line": p.source.line, "error": p.is_error, "text": p.text}
            for p in sorted(result.problems)
        ]
        return {"taken": result.taken, "hash": result.hash, "problems": problems}

    async def queue(self, arguments: Arguments) -> Any:
        """`action`: `list` (queues and sites; with `queue`, its messages) or `show` (one message by `id`)."""
        action = arguments.get("action", "list")
        if action == "show":
            return self._show(arguments.get("id"))
        if action != "list":
            raise RequestError(f"unknown action {action!r}: known are list, show")
        name = arguments.get("queue")
        return self._overview() if name is None else self._messages(name, arguments.get("limit", MAX_ROWS))

    def _overview(self) -> Any:
        scheduler = self._house.scheduler
        return {
            "messages": len(scheduler),
            "queues": [_queue(queue) for queue in scheduler.queues.values()],
            "sites": self._house.dispatcher.snapshot(),
        }

    def _messages(self, name: object, limit: object) -> Any:
        if not isinstance(limit, int) or limit < 1:
            raise RequestError(f"limit is a whole number above zero, not {limit!r}")
        found = (message for message in self._house.scheduler if str(message.queue.name) == name)
        return [_row(message) for message in islice(found, limit)]

    def _show(self, ident: object) -> Any:
        message = self._house.scheduler.find(ident) if isinstance(ident, str) else None
        if message is None:
            raise RequestError(f"no message {ident!r} is queued: its records say what became of it")
        try:
            return _row(message) | {
                "sender": "<>" if message.sender is None else str(message.sender),
                "recipient": str(message.recipient.address),
                "size": message.size,
                "meta": dict(message.meta),
            }
        except SpoolError as error:
            raise RequestError(str(error)) from None


def _queue(queue: ScheduledQueue) -> dict[str, Any]:
    return {"queue": str(queue.name), "waiting": queue.waiting, "routing_domain": queue.routing_domain}


def _row(message: Message) -> dict[str, Any]:
    return {
        "id": message.ident,
        "queue": str(message.queue.name),
        "is_waiting": message.is_waiting,
        "attempts": message.attempts,
        "created": message.created,
        "due": message.due,
        "expires": message.expires,
    }
