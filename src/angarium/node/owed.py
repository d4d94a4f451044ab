"""What was asked while a worker was not there, and can be told to it before it serves again.

That is what can be taken back and needs nobody's answer: hold, release, retry, cancel. What ends messages or
moves them waits for every worker, since nobody sees first which ones it would concern; and what goes by sites
means nothing to a worker that has not served yet. Orders that stand by their selector are told another way.
Times in a request count from the moment at which it was made. A file in the spool has them over a restart.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

log = logging.getLogger(__name__)

MAX_OWED = 100
"""Requests that wait for one worker."""
PREFIX = "owed-"
"""Of the files in the spool, before a worker's number."""
MAX_AGE = 86400.0
"""Seconds after which nobody expects a request to be done any more."""

_LATER = ("hold", "release", "retry", "cancel")

Arguments = Mapping[str, Any]


def can_wait(action: str, arguments: Arguments) -> bool:
    """Whether a request may be told to a worker later."""
    selector = arguments.get("selector")
    return action in _LATER and not (isinstance(selector, Mapping) and selector.get("site"))


class Owed:
    """The requests that wait for one worker, oldest first. Moments are Unix seconds."""

    def __init__(self, place: Path) -> None:
        """`place`: the file that has them over a restart."""
        self._place = place
        self._requests: list[tuple[float, Arguments]] = []
        try:
            self._requests = _decode(place.read_bytes())
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.error("%s: what a worker was to be told cannot be read: %s", place, error)

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return len(self._requests) >= MAX_OWED

    @property
    def cancelled(self) -> frozenset[str]:
        """The orders that its spool has, and that nobody wants any more."""
        names = (
            arguments.get("what") for _, arguments in self._requests if arguments.get("action") == "cancel"
        )
        return frozenset(name for name in names if isinstance(name, str))

    def add(self, arguments: Arguments, now: float) -> None:
        """A request that the others have done; on stable storage when this returns, else the log says so."""
        self._requests.append((now, arguments))
        new = self._place.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(msgspec.msgpack.encode(self._requests))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._place)
            _sync(self._place.parent)
        except OSError as error:
            log.error("%s: a restart will forget what a worker is to be told: %s", self._place, error)

    def told(self, now: float) -> list[Arguments]:
        """The requests as they are to be told now; those whose time is over are left out. An order that was
        cancelled must not stand again, however late.
        """
        young = [
            (asked, arguments)
            for asked, arguments in self._requests
            if now - asked < MAX_AGE or arguments.get("action") == "cancel"
        ]
        aged = (_aged(arguments, now - asked) for asked, arguments in young)
        return [arguments for arguments in aged if arguments is not None]

    def clear(self) -> None:
        """The worker has been told."""
        self._requests.clear()
        try:
            self._place.unlink(missing_ok=True)
        except OSError as error:
            log.error("%s: what a worker was told it is told again after a restart: %s", self._place, error)


def forget_others(spool: Path, workers: int) -> None:
    """Remove what waits for workers that are no more: who has their messages was told for its own."""
    for path in spool.glob(f"{PREFIX}*"):
        number = path.name.removeprefix(PREFIX)
        if number.isdecimal() and int(number) >= workers:
            log.warning("what waited for worker %s is not done: there is no such worker any more", number)
            path.unlink()


_decode = msgspec.msgpack.Decoder(list[tuple[float, Arguments]]).decode


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


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
