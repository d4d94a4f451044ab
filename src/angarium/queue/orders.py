"""Which orders stand? The suspensions, holds and bounces that operators gave, kept in the spool.

Promises: an order stands from when it is on stable storage until it expires or is cancelled, restarts
included. Where several are about a message, the one that fails it wins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from angarium.queue.message import Message, encode
from angarium.queue.order import Order
from angarium.spool.errors import SpoolError
from angarium.spool.keeper import Keeper

log = logging.getLogger(__name__)


class Orders:
    """Every order that stands, by name."""

    def __init__(self, store: Keeper, new_ident: Callable[[], str], clock: Callable[[], float]) -> None:
        self._store = store
        self._new_ident = new_ident
        self._clock = clock
        self._orders: dict[str, Order] = {}
        self._places: dict[str, tuple[str, int]] = {}
        """Name → (id in the spool, place)."""
        self._names: dict[str, str] = {}
        """Id in the spool → name."""

    async def give(self, order: Order) -> None:
        """Let an order stand. Raises ValueError for a name that is taken, SpoolError."""
        if order.name in self._orders:
            raise ValueError(f"an order named {order.name} stands already: cancel it, or choose another name")
        ident = self._new_ident()
        place = self._store.put([], [(ident, encode(order))])[0]
        self.take(ident, place, order)
        try:
            await self._store.commit()
        except SpoolError:
            self._forget(order.name)
            raise

    def take(self, ident: str, place: int, order: Order) -> None:
        """Take up an order that the spool has; twice where a worker left it behind, who had it too."""
        if order.name in self._orders:
            asyncio.get_running_loop().call_soon(
                self._store.finish, place, ident
            )  # not while it is being read
            return
        self._orders[order.name] = order
        self._places[order.name] = ident, place
        self._names[ident] = order.name

    def cancel(self, name: str) -> Order | None:
        """End an order; None where there is none of that name."""
        order = self._orders.get(name)
        if order is not None:
            ident, place = self._forget(name)
            self._store.finish(place, ident)
        return order

    def _forget(self, name: str) -> tuple[str, int]:
        del self._orders[name]
        ident, place = self._places.pop(name)
        del self._names[ident]
        return ident, place

    def moved(self, ident: str, place: int) -> None:
        """The spool has put an order elsewhere, if it is one."""
        name = self._names.get(ident)
        if name is not None:
            self._places[name] = ident, place

    def end_expired(self) -> None:
        """Forget those whose time is over."""
        now = self._clock()
        for order in [order for order in self._orders.values() if not order.stands(now)]:
            log.info("%s %s has expired", order.kind, order.name)
            self.cancel(order.name)

    def find(self, name: str) -> Order | None:
        """An order by its name."""
        return self._orders.get(name)

    def standing(self) -> list[Order]:
        """Every order that stands, oldest first."""
        now = self._clock()
        return sorted((o for o in self._orders.values() if o.stands(now)), key=lambda order: order.created)

    def about(self, message: Message, site: str | None = None) -> Order | None:
        """The order that keeps a message from going to this site now; None where it may go."""
        if not self._orders:
            return None
        found, now = None, self._clock()
        for order in self._orders.values():
            if order.stands(now) and _covers(order, message, site, now):
                if order.kind == "bounce":
                    return order
                found = found or order
        return found


def _covers(order: Order, message: Message, site: str | None, now: float) -> bool:
    """A message that cannot be read is held back by no order about its addresses: its attempt says why."""
    try:
        return order.covers(message, site, now)
    except SpoolError:
        return False
