"""What a running server answers on its control socket: the table of requests.

Each is a function from arguments to a value that JSON can say. A House is the running server as this room
sees it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import msgspec

from angarium.admin.control import Arguments, Request, RequestError
from angarium.admin.explain import Question, QuestionError, explain
from angarium.admin.queue import QueueHouse, QueueOffice
from angarium.net.dns import Resolver
from angarium.policy.config import Configuration
from angarium.policy.reload import Result


class House(QueueHouse, Protocol):
    """The running server."""

    @property
    def configuration(self) -> Configuration:
        """In force."""

    @property
    def resolver(self) -> Resolver:
        """The name servers."""


def requests(
    house: House, path: Path, started: float, reload: Callable[[], Awaitable[Result]]
) -> dict[str, Request]:
    """Every request by its name. `path` is the main file, `started` a time in Unix seconds."""
    return own_requests(lambda: house.configuration, path, started, reload) | house_requests(house)


def own_requests(
    configuration: Callable[[], Configuration],
    path: Path,
    started: float,
    reload: Callable[[], Awaitable[Result]],
    workers: Callable[[], Any] = list,
) -> dict[str, Request]:
    """The requests about the server as a whole. `workers` says who they are, where there are several."""
    office = _Office(configuration, path, started, reload, workers)
    return {
        "ping": _without_arguments(office.ping),
        "version": _without_arguments(office.version),
        "reload": _without_arguments(office.reload),
    }


def house_requests(house: House) -> dict[str, Request]:
    """The requests about what one worker has and decides."""

    async def explain_here(arguments: Arguments) -> Any:
        try:
            question = msgspec.convert(arguments, Question)
            return await explain(house.configuration, question, house.resolver)
        except (msgspec.ValidationError, QuestionError) as error:
            raise RequestError(str(error)) from None

    return {"explain": explain_here, "queue": QueueOffice(house).answer}


def _without_arguments(answer: Callable[[], Awaitable[Any]]) -> Request:
    """A request that takes no arguments, and says so rather than leave out of account what is asked."""

    async def request(arguments: Arguments) -> Any:
        if arguments:
            raise RequestError(f"this takes no arguments: take out {', '.join(sorted(arguments))}")
        return await answer()

    return request


class _Office:
    def __init__(
        self,
        configuration: Callable[[], Configuration],
        path: Path,
        started: float,
        reload: Callable[[], Awaitable[Result]],
        workers: Callable[[], Any],
    ) -> None:
        self._configuration = configuration
        self._workers = workers
        self._path = path
        self._started = started
        self._reload = reload

    async def ping(self) -> Any:
        """Whether somebody is there."""
        return "pong"

    async def version(self) -> Any:
        """Who is there, and by which configuration."""
        configuration = self._configuration()
        return {
            "version": version("angarium"),
            "config": str(self._path.absolute()),
            "hash": configuration.hash,
            "hostname": configuration.hostname,
            "listeners": [listener.label for listener in configuration.listeners],
            "pid": os.getpid(),
            "started": self._started,
            "workers": self._workers(),
        }

    async def reload(self) -> Any:
        """Load everything again; answers when that is done."""
        result = await self._reload()
        problems = [
            {"file": p.source.file, "line": p.source.line, "error": p.is_error, "text": p.text}
            for p in sorted(result.problems)
        ]
        return {"taken": result.taken, "hash": result.hash, "problems": problems}
