"""What the tests of the spool share."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from angarium.spool.store import Store

Opener = Callable[..., Store]
SEGMENT = 64 * 1024


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def open_store(folder: Path) -> Opener:
    """Open the store in the test's folder, on the real disk."""

    def opener(**options: object) -> Store:
        return Store.open(folder, **{"segment_size": SEGMENT, "min_free_space": 0} | options)

    return opener


async def put(store: Store, ident: str, content: bytes = b"content", payload: bytes = b"payload") -> int:
    """Put one message, and wait until it is safe."""
    [place] = store.put([content], [(ident, payload)])
    await store.commit()
    return place
