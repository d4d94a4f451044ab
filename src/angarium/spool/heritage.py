"""Whose are the folders of workers that are no more? Each worker has `spool/NUMBER`; where there are fewer
workers than before, those that are left take up the other folders beside their own.

Promises: no folder that holds anything is left behind, and nothing is copied: what waits there stays there
until it is over, so that no crash can lose or double it. A folder in which nothing waits any more is removed
at the next start. New messages go to the worker's own folder alone.
"""

from __future__ import annotations

import logging
import shutil
from asyncio import Future
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from angarium.spool.files import Part
from angarium.spool.keeper import Keeper
from angarium.spool.store import Loaded, Recovered, Store

log = logging.getLogger(__name__)

_SHIFT = 80
"""Bits of a store's own places, which are 64 at most; the store's number stands above them."""
_MASK = (1 << _SHIFT) - 1


def open_spool(path: Path, number: int, workers: int, opens: Callable[[Path], Store]) -> Keeper:
    """Open the folder of one of so many workers, and what is its to take up. Raises SpoolError."""
    own = opens(path / str(number))
    try:
        inherited = list(filter(None, map(partial(_inherit, opens), _left_behind(path, number, workers))))
    except BaseException:
        own.close()
        raise
    return Heritage(own, inherited) if inherited else own


def _left_behind(path: Path, number: int, workers: int) -> list[Path]:
    """The folders of workers that are no more, for this worker to take up."""
    numbers = sorted(int(folder.name) for folder in path.iterdir() if folder.name.isdecimal())
    return [path / str(other) for other in numbers if other >= workers and other % workers == number]


_Inherited = tuple[Store, Iterator[Recovered]]


def _inherit(opens: Callable[[Path], Store], folder: Path) -> _Inherited | None:
    """Open a folder that was left behind; None where nothing waits in it, and then it is removed."""
    store = opens(folder)
    found = store.recover()
    first = next(found, None)
    if first is not None:
        log.info("taking up what waits in %s", folder)
        return store, chain([first], found)
    store.close()
    if not store.reports:  # what is damaged is for the operator to look at
        shutil.rmtree(folder, ignore_errors=True)
    return None


class Heritage:
    """A store with others beside it, as one (`spool.keeper.Keeper`)."""

    def __init__(self, own: Store, inherited: Sequence[_Inherited]) -> None:
        self._own = own
        self._stores = [own, *(store for store, _ in inherited)]
        self._found = [found for _, found in inherited]
        self.reports = [report for store in self._stores for report in store.reports]

    def _of(self, place: int) -> tuple[Store, int]:
        return self._stores[place >> _SHIFT], place & _MASK

    def recover(self) -> Iterator[Recovered]:
        """See Store."""
        yield from self._own.recover()
        for number, found in enumerate(self._found, 1):
            for one in found:
                yield Recovered(number << _SHIFT | one.place, one.ident, one.message, one.note)
        self._found = []

    def put(self, content: Sequence[Part], messages: Sequence[tuple[str, bytes]]) -> list[int]:
        """See Store: into the worker's own folder."""
        return self._own.put(content, messages)

    def note(self, place: int, ident: str, payload: bytes) -> None:
        """See Store."""
        store, place = self._of(place)
        store.note(place, ident, payload)

    def finish(self, place: int, ident: str) -> None:
        """See Store."""
        store, place = self._of(place)
        store.finish(place, ident)

    def commit(self) -> Future[None]:
        """See Store: what was put went to the worker's own folder."""
        return self._own.commit()

    def load(self, place: int) -> Loaded:
        """See Store."""
        store, place = self._of(place)
        return store.load(place)

    def read_note(self, place: int) -> bytes | None:
        """See Store."""
        store, place = self._of(place)
        return store.read_note(place)

    def set_moved(self, callback: Callable[[str, int], None]) -> None:
        """See Store."""
        self._own.set_moved(callback)
        for number, store in enumerate(self._stores[1:], 1):
            store.set_moved(partial(_moved_in, number, callback))

    @property
    def is_healthy(self) -> bool:
        """See Store."""
        return self._own.is_healthy

    @property
    def can_finish(self) -> bool:
        """See Store."""
        return all(store.can_finish for store in self._stores)

    @property
    def problem(self) -> str | None:
        """See Store."""
        return next(filter(None, (store.problem for store in self._stores)), None)

    @property
    def is_idle(self) -> bool:
        """See Store."""
        return all(store.is_idle for store in self._stores)

    @property
    def unwritten(self) -> int:
        """See Store."""
        return sum(store.unwritten for store in self._stores)

    def close(self) -> None:
        """See Store."""
        for store in self._stores:
            store.close()


def _moved_in(number: int, callback: Callable[[str, int], None], ident: str, place: int) -> None:
    callback(ident, number << _SHIFT | place)
