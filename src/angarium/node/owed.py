"""What was asked while a worker was not there, and can be told to it before it serves again.

That is what can be taken back and needs nobody's answer: hold, release, retry, cancel. What ends messages or
moves them waits for every worker, since nobody sees first which ones it would concern; and what goes by sites
means nothing to a worker that has not served yet. Orders that stand by their selector are told another way.
Times in a request count from the moment at which it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_OWED = 100
"""Requests that wait for one worker."""

_LATER = ("hold", "release", "retry", "cancel")

Arguments = Mapping[str, Any]


def can_wait(action: str, arguments: Arguments) -> bool:
    """Whether a request may be told to a worker later."""
    selector = arguments.get("selector")
    return action in _LATER and not (isinstance(selector, Mapping) and selector.get("site"))


class Owed:
    """The requests that wait for one worker, oldest first."""

    def __init__(self) -> None:
        self._requests: list[tuple[float, Arguments]] = []

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return len(self._requests) >= MAX_OWED

    def add(self, arguments: Arguments, now: float) -> None:
        """A request that the others have done."""
        self._requests.append((now, arguments))

    def told(self, now: float) -> list[Arguments]:
        """The requests as they are to be told now; those whose time is over are left out."""
        aged = (_aged(arguments, now - asked) for asked, arguments in self._requests)
        return [arguments for arguments in aged if arguments is not None]

    def clear(self) -> None:
        """The worker has been told."""
        self._requests.clear()


def _aged(arguments: Arguments, age: float) -> Arguments | None:
    """A request as it would have been written `age` seconds later."""
    changed: dict[str, Any] = {}
    if (seconds := arguments.get("seconds")) is not None:
        if seconds <= age:
            return None
        changed["seconds"] = seconds - age
    selector = arguments.get("selector")
    if isinstance(selector, Mapping) and selector.get("older_than"):
        changed["selector"] = {**selector, "older_than": selector["older_than"] + age}
    return {**arguments, **changed}
