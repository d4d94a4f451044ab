"""How does an operator see a message that is queued? Where it is, what it waits for, and until when.

A view is of one moment: it looks at every site once, however many rows are made with it. Answers are plain
values, times in Unix seconds.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

from angarium.delivery.dispatcher import Dispatcher
from angarium.delivery.site import SiteState
from angarium.queue.message import Message
from angarium.queue.order import Order
from angarium.queue.orders import Orders
from angarium.queue.scheduled import ScheduledQueue
from angarium.queue.settle import Settlement
from angarium.spool.errors import SpoolError


class House(Protocol):
    """The running server, as a view sees it."""

    @property
    def dispatcher(self) -> Dispatcher:
        """What is on its way."""

    @property
    def settlement(self) -> Settlement:
        """What is being finished."""

    @property
    def orders(self) -> Orders:
        """Which orders stand."""


class View:
    """Everything that rows need, as it is now."""

    def __init__(self, house: House) -> None:
        self._house = house

    @cached_property
    def _sites(self) -> dict[str, SiteState]:
        return {site.site: site for site in self._house.dispatcher.snapshot()}

    @cached_property
    def _at_work(self) -> dict[str, str]:
        """Id of a message that a session has → what that does."""
        return self._house.dispatcher.at_work()

    def site(self, queue: ScheduledQueue) -> SiteState | None:
        """The site that a queue's mail goes to, with what binds it."""
        return self._sites.get(self._house.dispatcher.site_of(queue) or "")

    def row(self, message: Message) -> dict[str, Any]:
        """A message in a list."""
        row = {
            "id": message.ident,
            "queue": str(message.queue.name),
            "attempts": message.attempts,
            "created": message.created,
            "due": self._due(message),
            "expires": message.expires,
            "why": self._why(message),
        }
        try:
            stored = message.peek()
            row |= {"sender": stored.sender or "<>", "recipient": stored.recipient, "size": stored.size}
        except SpoolError as error:
            row["trouble"] = str(error)
        return row

    def _due(self, message: Message) -> float | None:
        """When something happens to it next: a message waits for its time, for a limit of its site, or for
        the end of an order; None where only an operator can let it go before it expires.
        """
        order = self._order(message)
        if order is not None:
            due = None if order.expires is None else max(order.expires, message.due)
            return due if due is not None and due < message.expires else None
        is_bound = not (message.is_waiting or message.ident in self._at_work)
        state = self.site(message.queue) if is_bound else None
        bound_until = None if state is None else state.bound_until
        return min(bound_until or message.due, message.expires)

    def _order(self, message: Message) -> Order | None:
        """The order that keeps a message back where it waits."""
        if not message.is_waiting:
            return None
        return self._house.orders.about(message, self._house.dispatcher.site_of(message.queue))

    def _why(self, message: Message) -> str:
        """What a message waits for, in words."""
        if message in self._house.settlement.finishing:
            return "it is over, and being written down"
        if not message.is_waiting:
            return self._why_here(message)
        order = self._order(message)
        if order is not None:
            return f"{order.kind} {order.name} by {order.author}: {order.reason}"
        if not self._house.settlement.can_finish:
            return "room in the spool, whose disk is full"
        if message.attempts:
            return "its next attempt"
        return "its site, left alone for now" if message.queue.last else "its time"

    def _why_here(self, message: Message) -> str:
        """What a message does that is with delivery."""
        doing = self._at_work.get(message.ident)
        if doing is not None:
            return f"on the wire: {doing}"
        state = self.site(message.queue)
        if state is None:
            return "its route"
        where = f" ({state.bound_at})" if state.bound_at else ""
        return f"{state.bound_by}{where}" if state.bound_by else f"its turn at {state.site}"
