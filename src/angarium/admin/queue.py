"""What does an operator ask of the queue, and what is answered? The `queue` request of the control socket.

`list`, `show` and `find` look; the others change something, and with `dry_run` only say what they would
change. A selector that means everything must say so. Answers are plain values, times in Unix seconds.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from heapq import nlargest
from secrets import token_hex
from typing import Any, Literal, Protocol

import msgspec

from angarium.admin import selection
from angarium.admin.control import Arguments, RequestError
from angarium.admin.placement import Placement
from angarium.admin.queue_view import View
from angarium.delivery.dispatcher import Dispatcher
from angarium.mail.header import Headers, header_section
from angarium.policy.config import Configuration
from angarium.policy.provenance import shown
from angarium.queue.message import Message
from angarium.queue.order import Order, Selector
from angarium.queue.orders import Orders
from angarium.queue.scheduled import ScheduledQueue, Scheduler
from angarium.queue.settle import Settlement
from angarium.queue.steering import Done, Steering, is_held
from angarium.queue.watchdog import Watchdog
from angarium.spool.errors import SpoolError

_NO_REASON = "no reason given"
MAX_ROWS = 100
"""Rows that one answer has unless more are asked for."""


class QueueHouse(Protocol):
    """The running server, as this room sees it."""

    @property
    def configuration(self) -> Configuration:
        """The policy in force."""

    @property
    def scheduler(self) -> Scheduler:
        """What waits."""

    @property
    def dispatcher(self) -> Dispatcher:
        """What is on its way."""

    @property
    def settlement(self) -> Settlement:
        """What is being finished."""

    @property
    def steering(self) -> Steering:
        """What changes fates."""

    @property
    def orders(self) -> Orders:
        """Which orders stand."""

    @property
    def watchdog(self) -> Watchdog:
        """Who looks after everything."""


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One request."""

    action: str = "list"
    what: str | None = None
    """`show`: a message's id, a queue or a site; `cancel`: the name of an order."""
    selector: Selector = Selector()
    everything: bool = False
    """Said where the selector means every message."""
    message_id: str | None = None
    """`find`: the Message-ID field, with or without its brackets."""
    header: str | None = None
    """`find`: `Name: text`; the text may stand anywhere in the field."""
    dry_run: bool = False
    reason: str = ""
    author: str = ""
    seconds: float | None = None
    """`hold`, `suspend`, `bounce`: for how long the order stands."""
    name: str | None = None
    """The name of a new order."""
    queue: str | None = None
    """`reroute`: the queue's name, or where the messages go instead, as `!routing_domain`."""
    limit: int = MAX_ROWS


class QueueOffice:
    """Answers requests about the queue."""

    def __init__(self, house: QueueHouse, clock: Callable[[], float] = time.time) -> None:
        self._house = house
        self._clock = clock
        self._actions: dict[str, Callable[[Ask], Awaitable[Any]]] = {
            "list": self._list,
            "show": self._show,
            "find": self._find,
            "suspensions": self._orders_that_stand,
            "cancel": self._cancel,
        }
        self._changes: dict[str, Callable[[Ask], Awaitable[Done]]] = {
            "retry": lambda ask: self._steering.retry(ask.selector),
            "expire": lambda ask: self._steering.expire(ask.selector, ask.reason or _NO_REASON),
            "delete": lambda ask: self._steering.delete(ask.selector, ask.reason or _NO_REASON),
            "release": lambda ask: self._steering.release(ask.selector),
            "hold": lambda ask: self._steering.hold(self._order("hold", ask)),
            "suspend": lambda ask: self._steering.suspend(self._order("suspend", ask)),
            "bounce": self._bounce,
            "reroute": self._reroute,
            "reevaluate": self._reevaluate,
        }

    @property
    def _steering(self) -> Steering:
        return self._house.steering

    async def answer(self, arguments: Arguments) -> Any:
        """Answer a request; raises RequestError."""
        try:
            ask = msgspec.convert(arguments, Ask)
        except msgspec.ValidationError as error:
            raise RequestError(str(error)) from None
        ask = msgspec.structs.replace(ask, selector=selection.normal(ask.selector))
        if ask.action in self._changes:
            return await self._change(ask)
        action = self._actions.get(ask.action)
        if action is None:
            known = ", ".join(sorted({**self._actions, **self._changes}))
            raise RequestError(f"unknown action {ask.action!r}: known are {known}")
        return await action(ask)

    async def _change(self, ask: Ask) -> Any:
        if ask.selector.is_empty and not ask.everything:
            raise RequestError("this would be about every message: say which ones, or --all")
        if ask.dry_run:
            return {"dry_run": True, **_said(await self._rehearsed(ask))}
        try:
            done = await self._changes[ask.action](ask)
        except (ValueError, SpoolError) as error:
            raise RequestError(str(error)) from None
        await self._synced()
        return _said(done)

    async def _rehearsed(self, ask: Ask) -> Done:
        """What a change would be about."""
        if ask.action == "release":
            return await self._steering.count(ask.selector, is_held)
        if ask.action == "retry":
            return await self._steering.count(ask.selector, stops=self._steering.is_kept_back)
        return await self._steering.count(ask.selector)

    def _order(self, kind: Literal["suspend", "hold", "bounce"], ask: Ask) -> Order:
        now = self._clock()
        return Order(
            name=selection.order_name(ask.name or f"{kind}-{token_hex(3)}"),
            kind=kind,
            selector=ask.selector,
            reason=ask.reason or _NO_REASON,
            author=ask.author or "unknown",
            created=now,
            expires=None if ask.seconds is None else now + selection.seconds(ask.seconds),
        )

    async def _bounce(self, ask: Ask) -> Done:
        """Fail what is meant; with a duration, also what comes until then."""
        if ask.seconds is None:
            return await self._steering.bounce(ask.selector, ask.reason or _NO_REASON)
        return await self._steering.bounce_on(self._order("bounce", ask))

    async def _reroute(self, ask: Ask) -> Done:
        if not ask.queue:
            raise RequestError("where to? Name a queue, or a routing domain as '!name' or '![192.0.2.1]:25'")
        if not ask.queue.startswith("!"):
            name = selection.queue_name(ask.queue)
            return await self._steering.reroute(ask.selector, lambda _: name, ask.reason or _NO_REASON)
        hop = selection.routing_domain(ask.queue[1:]) if ask.queue != "!" else None
        return await self._steering.reroute(
            ask.selector, lambda name: str(name._replace(routing_domain=hop)), ask.reason or _NO_REASON
        )

    async def _reevaluate(self, ask: Ask) -> Done:
        place = Placement(self._house.configuration)
        return await self._steering.reevaluate(ask.selector, place, ask.reason or "policy in force")

    # Looking

    async def _list(self, ask: Ask) -> Any:
        if ask.everything or not ask.selector.is_empty:
            return await self._rows(ask)
        scheduler = self._house.scheduler
        busy = [queue for queue in scheduler.queues.values() if queue.count]
        return {
            "messages": len(scheduler),
            "queue_count": len(busy),
            "queues": [self._queue(queue) for queue in nlargest(ask.limit, busy, lambda queue: queue.count)],
            "sites": self._house.dispatcher.snapshot(),
            "suspensions": len(self._house.orders.standing()),
            "watchdog": self._house.watchdog.health,
        }

    async def _rows(self, ask: Ask) -> Any:
        view, rows = View(self._house), list[dict[str, Any]]()
        async for message in self._steering.select(ask.selector):
            rows.append(view.row(message))
            if len(rows) == ask.limit:
                break
        return rows

    def _queue(self, queue: ScheduledQueue) -> dict[str, Any]:
        site = self._house.dispatcher.site_of(queue)
        orders = [order for order in self._house.orders.standing() if order.is_about_queue(queue, site)]
        return {
            "queue": str(queue.name),
            "messages": queue.count,
            "waiting": queue.waiting,
            "routing_domain": queue.routing_domain,
            "site": site,
            "orders": [f"{order.kind} {order.name}" for order in orders],
            "last": queue.last,
        }

    async def _show(self, ask: Ask) -> Any:
        message = self._house.scheduler.find(ask.what or "")
        if message is not None:
            return self._show_message(message)
        if not ask.what:
            raise RequestError("show what? Name a message by its id, a queue or a site")
        queue = self._house.scheduler.queues.get(ask.what)
        if queue is not None:
            rows = await self._rows(Ask(selector=Selector(queue=ask.what), limit=ask.limit))
            state = {"site_state": View(self._house).site(queue)}
            return {**self._queue(queue), **state, "options": _options(queue), "rows": rows}
        for site in self._house.dispatcher.snapshot():
            if site.site == ask.what:
                return {"site": site}
        raise RequestError(f"no message, queue or site {ask.what!r} is there: `angarium why` knows what was")

    def _show_message(self, message: Message) -> Any:
        view = View(self._house)
        shown = view.row(message) | {"site_state": view.site(message.queue)}
        shown["last_reply"] = message.last_reply()
        try:
            stored = message.peek()
            shown |= {"meta": stored.meta, "session_id": stored.session_id}
        except SpoolError as error:
            shown["trouble"] = str(error)
        return shown

    async def _find(self, ask: Ask) -> Any:
        if ask.selector.is_empty and not (ask.message_id or ask.header):
            raise RequestError("find whom? Say --recipient, --sender, --message-id, --header or others")
        wanted = _wanted_header(ask)
        view, rows = View(self._house), list[dict[str, Any]]()
        async for message in self._steering.select(ask.selector):
            if wanted is None or wanted(message):
                rows.append(view.row(message))
            if len(rows) == ask.limit:
                break
        return rows

    async def _orders_that_stand(self, ask: Ask) -> Any:
        held = await self._steering.held()
        return [
            {
                "name": order.name,
                "kind": order.kind,
                "about": str(order.selector),
                "reason": order.reason,
                "author": order.author,
                "created": order.created,
                "expires": order.expires,
                "holds": held[order.name] if order.kind == "hold" else None,
            }
            for order in self._house.orders.standing()
        ]

    async def _cancel(self, ask: Ask) -> Any:
        if not ask.what:
            raise RequestError("cancel what? `angarium queue suspensions` lists the orders that stand")
        order = await self._steering.cancel(ask.what)
        if order is None:
            raise RequestError(f"no suspension, hold or bounce named {ask.what!r} stands")
        await self._synced()
        return {"cancelled": order.name, "kind": order.kind}

    async def _synced(self) -> None:
        """What was changed would be forgotten at a restart until it is on stable storage."""
        try:
            await self._house.settlement.synced()
        except SpoolError as error:
            raise RequestError(f"it is done, but a restart may undo it: {error}") from None


def _said(done: Done) -> Any:
    return msgspec.to_builtins(done)


def _options(queue: ScheduledQueue) -> dict[str, Any]:
    """The options that the queue's configuration sets, each with where it was written."""
    config = queue.config
    return {
        name: {"value": shown(getattr(config, name)), "from": str(source)}
        for name, source in config.sources.items()
    }


def _wanted_header(ask: Ask) -> Callable[[Message], bool] | None:
    if ask.message_id is not None:
        wanted = f"<{ask.message_id.strip('<>')}>"
        return lambda message: wanted in _fields(message, "message-id")
    if ask.header is None:
        return None
    name, colon, text = ask.header.partition(":")
    if not colon:
        raise RequestError(f"a header is written 'Name: text', not {ask.header!r}")
    return lambda message: any(
        text.strip().lower() in each.lower() for each in _fields(message, name.strip())
    )


def _fields(message: Message, name: str) -> tuple[str, ...]:
    """A message's fields of that name."""
    try:
        loaded = message.store.load(message.place)
    except SpoolError:
        return ()
    return Headers(header_section(bytes(loaded.content))).get_all(name)
