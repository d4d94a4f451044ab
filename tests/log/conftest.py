"""What the tests of the log share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from angarium.log.records import Record, RecordType, Response, rfc3339

NOW = 1_700_000_000.25


class LogSettings(msgspec.Struct, kw_only=True):
    """`[log]`, as the writer sees it."""

    dir: str
    max_file_size: int = 1_000_000_000
    max_segment_duration: float | None = None
    compression_level: int = 0
    keep_age: float | None = None
    keep_size: int | None = None
    per_record: Mapping[str, Mapping[str, Any]] = {}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> LogSettings:
    return LogSettings(dir=str(tmp_path / "logs"))


def make_record(ident: str, kind: RecordType = "Reception", now: float = NOW, **fields: Any) -> Record:
    return Record(
        type=kind,
        id=ident,
        response=fields.pop("response", Response(code=250)),
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(now),
        created_time=rfc3339(now),
        **fields,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
