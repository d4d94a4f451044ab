"""When may a message go? Its first attempt, its own end, and the hours in which it may be delivered.

The value of a scheduling header, or of the metadata `schedule` (reference Q16): a JSON object with
`first_attempt` and `expires` (RFC 3339), and `dow`, `tz`, `start`, `end` together. Pure: the caller brings
the time. Raises ScheduleError for everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = ("dow", "tz", "start", "end")


class ScheduleError(ValueError):
    """The value is no schedule; the text says what it should be."""


class Window(msgspec.Struct, frozen=True):
    """The hours of some days of the week."""

    days: frozenset[int]
    """0 is Monday."""
    zone: ZoneInfo
    start: time
    end: time
    """Behind `start`, or on the next day."""

    def next_open(self, at: float) -> float:
        """The time itself where the window is open then, else when it opens next; Unix seconds."""
        local = datetime.fromtimestamp(at, self.zone)
        for days in range(-1, 9):
            opens, closes = self._on(local, days)
            if closes is not None and at < closes.timestamp():
                return max(at, opens.timestamp())
        return at

    def _on(self, local: datetime, days: int) -> tuple[datetime, datetime | None]:
        """The window that opens so many days later; closes never where that day has none."""
        day = (local + timedelta(days=days)).date()
        opens = datetime.combine(day, self.start, self.zone)
        if day.weekday() not in self.days:
            return opens, None
        closes = datetime.combine(day, self.end, self.zone)
        return opens, closes if self.end > self.start else closes + timedelta(days=1)


class Schedule(msgspec.Struct, frozen=True):
    """What a message asks for."""

    first_attempt: float | None = None
    expires: float | None = None
    window: Window | None = None

    def next_open(self, at: float) -> float:
        """The earliest time from `at` on that it may be tried."""
        return at if self.window is None else self.window.next_open(at)


def parse_schedule_text(text: str) -> Schedule:
    """Read the value of a scheduling header; raises ScheduleError."""
    try:
        return parse_schedule(msgspec.json.decode(text))
    except (msgspec.DecodeError, UnicodeError):
        raise ScheduleError("a schedule is a JSON object") from None


def parse_schedule(value: object) -> Schedule:
    """Read a schedule as plain values; raises ScheduleError."""
    if not isinstance(value, Mapping):
        raise ScheduleError("a schedule is an object, {first_attempt = …, expires = …}")
    unknown = set(value) - {"first_attempt", "expires", *_HOURS}
    if unknown:
        raise ScheduleError(f"a schedule has no {', '.join(map(str, sorted(unknown, key=str)))}")
    schedule = Schedule(_instant(value, "first_attempt"), _instant(value, "expires"), _window(value))
    if schedule.first_attempt and schedule.expires and schedule.first_attempt >= schedule.expires:
        raise ScheduleError("first_attempt lies before expires, or there is none")
    return schedule


def _instant(value: Mapping[str, Any], name: str) -> float | None:
    text = value.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ScheduleError(f"{name} is a time with its zone, as 2026-01-31T08:00:00Z")
    return moment.timestamp()


def _window(value: Mapping[str, Any]) -> Window | None:
    given = [name for name in _HOURS if value.get(name) is not None]
    if not given:
        return None
    if len(given) < len(_HOURS):
        raise ScheduleError("dow, tz, start and end stand together, or none of them")
    try:
        return Window(
            _days(value["dow"]),
            ZoneInfo(value["tz"]),
            time.fromisoformat(value["start"]),
            time.fromisoformat(value["end"]),
        )
    except (ValueError, TypeError, KeyError, OSError):
        raise ScheduleError(
            "a window is dow 'Mon,Tue', tz 'Europe/Berlin', start '08:00:00', end '17:00:00'"
        ) from None


def _days(text: str) -> frozenset[int]:
    """Three letters of each day, with commas."""
    return frozenset(_DAYS.index(day.strip().lower()[:3]) for day in text.split(","))


def schedule_of(meta: Mapping[str, Any]) -> Schedule | None:
    """The schedule in a message's metadata; None where there is none, or none that can be read."""
    value = meta.get("schedule")
    if value is None:
        return None
    try:
        return parse_schedule(value)
    except ScheduleError:
        return None
