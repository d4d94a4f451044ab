"""One worker: builds every room, joins them, and takes them down again. It owns the clock and the entropy.

Order of starting: spool and log, queue, delivery, what the spool still held, and last the door. Of stopping:
the door first, so that what is being received is finished, then delivery, then what remains to be written.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import socket
import time
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from angarium.delivery.dispatcher import Dispatcher
from angarium.delivery.link import Setup
from angarium.delivery.resolve import Own
from angarium.delivery.routes import Terms
from angarium.delivery.shares import Shares
from angarium.log.writer import LogError, Writer
from angarium.mail.ident import make_ident
from angarium.net.connection import Connection, connect
from angarium.net.dns import DnsResolver, Resolver
from angarium.net.local import is_local_address
from angarium.policy.config import Configuration, DnsConfig, Listener, QueueConfig
from angarium.policy.route import QueueName
from angarium.queue.intake import Intake
from angarium.queue.message import Message
from angarium.queue.orders import Orders
from angarium.queue.scheduled import Scheduler
from angarium.queue.settle import Settlement
from angarium.queue.steering import Steering
from angarium.queue.watchdog import Watchdog
from angarium.reception.door import Door
from angarium.reception.keyring import Keyring
from angarium.reception.listener import Listening
from angarium.spool.errors import SpoolError
from angarium.spool.heritage import open_spool
from angarium.spool.store import Store
from angarium.spool.worker import ThreadWorker, Worker

log = logging.getLogger(__name__)

Sockets = Mapping[str, socket.socket]


def _name_servers(dns: DnsConfig) -> Resolver:
    servers = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in dns.nameservers)
    return DnsResolver(list(servers))


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker reaches out to: name servers, next hops, the disk's thread, the log.

    Tests bring their own.
    """

    make_resolver: Callable[[DnsConfig], Resolver] = _name_servers
    connect: Callable[..., Coroutine[Any, Any, Connection]] = connect
    is_local: Callable[[str], bool] = is_local_address
    """Whether an address is this machine's own."""
    make_worker: Callable[[str], Worker] = ThreadWorker
    make_writer: Callable[..., Writer] | None = None


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """Which of how many workers of the node this is."""

    number: int = 0
    workers: int = 1
    shares: Shares | None = None
    """What it may use of the limits that all have in common; None: they are its alone."""
    others: Mapping[str, Collection[socket.socket]] = {}
    """`listen` → sockets of the other workers, from which it accepts when it is told to."""
    on_room: Callable[[str, bool], object] | None = None
    """Told where a listener has no room for another session, or has room again."""


_IDENT_ENTROPY = 10  # octets
_POOL_SIZE = 1000  # asked for at once: each question to the kernel costs more than an id


class Shard:
    """A whole house. Raises SpoolError or LogError where it cannot be built."""

    def __init__(
        self,
        configuration: Configuration,
        sockets: Sockets,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
        outside: Outside = Outside(),  # noqa: B008 - a frozen value
        post: Post = Post(),  # noqa: B008 - the same
    ) -> None:
        """`sockets`: `listen` → its socket; a listener without one serves what is brought to it."""
        self.configuration = configuration
        self._sockets = sockets
        self._clock = clock
        self._entropy = entropy
        self._outside = outside
        self._post = post
        self._random = random.Random(int.from_bytes(entropy(8), "big"))  # noqa: S311 - spreads retries
        self._pool = b""
        self._stop = asyncio.Event()
        self.listening: list[Listening] = []
        self._build()

    def _build(self) -> None:
        configuration = self.configuration
        spool = configuration.spool
        with _resting_collector():
            opens = partial(
                Store.open,
                segment_size=spool.segment_size,
                min_free_space=spool.min_free_space,
                make_worker=self._outside.make_worker,
            )
            self.store = open_spool(Path(spool.path), self._post.number, self._post.workers, opens)
        for report in self.store.reports:
            log.error("spool: %s", report)
        self.writer = (self._outside.make_writer or Writer)(
            configuration.log,
            worker=self._post.number,
            clock=self._clock,
            min_free_space=spool.min_free_space,  # room for the records of what was taken
        )
        self.scheduler = Scheduler(self._queue_config, self._dispatch, self._clock)
        self.orders = Orders(self.store, self.new_ident, self._clock)
        self.store.set_moved(self._moved)
        self.intake = Intake(self.store, self.writer, self.scheduler, self.orders, self.new_ident)
        self.settlement = Settlement(
            self.store,
            self.writer,
            self.scheduler,
            self.intake,
            configuration=lambda: self.configuration,
            clock=self._clock,
            entropy=self._random.random,
        )
        self.resolver = self._outside.make_resolver(configuration.dns)
        self.dispatcher = Dispatcher(
            Setup(
                ehlo_name=configuration.hostname,
                clock=self._clock,
                make_id=self.new_ident,
                connect=self._outside.connect,
            ),
            self.resolver,
            self.settlement.settle,
            self._random.shuffle,
            terms=_terms(configuration, self._sockets),
            is_local=self._outside.is_local,
            shares=self._post.shares,
        )
        self.steering = Steering(
            self.scheduler, self.settlement, self.orders, self.dispatcher, clock=self._clock
        )
        self.dispatcher.diverts = self.steering.divert
        self.watchdog = Watchdog(
            self.scheduler, self.settlement, self.orders, self.dispatcher, clock=self._clock
        )
        self.door = Door(
            configuration,
            self.intake,
            self.writer,
            self._clock,
            self.new_ident,
            keyring=Keyring(Path(spool.path) / "tls"),
            resolver=self.resolver,
        )

    def new_ident(self) -> str:
        """A new id of a message or a session."""
        if len(self._pool) < _IDENT_ENTROPY:
            self._pool = self._entropy(_POOL_SIZE)
        entropy, self._pool = self._pool[:_IDENT_ENTROPY], self._pool[_IDENT_ENTROPY:]
        return make_ident(self._clock(), entropy)

    def _queue_config(self, name: QueueName) -> QueueConfig:
        return self.configuration.queues.lookup(name.domain, name.tenant, name.campaign, name.routing_domain)

    def _dispatch(self, message: Message) -> None:
        if not self.steering.divert(message):
            self.dispatcher.dispatch(message)

    def _moved(self, ident: str, place: int) -> None:
        self.scheduler.moved(ident, place)
        self.orders.moved(ident, place)
        self.intake.moved(ident, place)

    async def start(self) -> None:
        """Take up what the spool holds, and open the door."""
        self.recover()
        self.open()

    def recover(self) -> None:
        """Take up what the spool holds; nothing is delivered or accepted yet."""
        with _resting_collector():
            waiting = self.intake.recover()
        if problem := self.store.problem:
            folder = Path(self.configuration.spool.path) / str(self._post.number)
            log.error("%s accepts no mail: %s: make room, or change [spool] min_free_space", folder, problem)
        if waiting:
            log.info("%d messages wait in the spool", waiting)

    def open(self) -> None:
        """Begin to deliver, and open the door."""
        self.scheduler.start()
        self.watchdog.start()
        on_room = self._post.on_room
        self.listening = [
            Listening(
                listener,
                self._sockets.get(listener.listen),
                self.door,
                others=self._post.others.get(listener.listen, ()),
                on_room=on_room and partial(on_room, listener.listen),
            )
            for listener in self.configuration.listeners
        ]

    def take(self, configuration: Configuration) -> None:
        """Put a new configuration in force, whole. Raises TlsError, and keeps the one before."""
        self.door.take(configuration)
        self.configuration = configuration
        self.scheduler.reconfigure()
        self.dispatcher.reconfigure(_terms(configuration, self._sockets))

    def ask_to_stop(self) -> None:
        """Let `stopped` return: somebody wants the end."""
        self._stop.set()

    async def stopped(self) -> None:
        """Wait until somebody asks to stop."""
        await self._stop.wait()

    async def stop(self) -> None:
        """Finish what is in flight within `shutdown_timeout`, keep the rest, and close everything.

        Raises SpoolError or LogError where ends or records could not be written; all is closed then too.
        """
        limit = self.configuration.shutdown_timeout
        self.door.is_stopping = True
        for listening in self.listening:
            listening.stop_accepting()
        await asyncio.gather(*(listening.stop(limit) for listening in self.listening))
        self.watchdog.stop()
        self.scheduler.stop()
        await self.dispatcher.drain(limit)
        await self.settlement.close()
        await self.intake.close()
        self._close_disks()

    def _close_disks(self) -> None:
        """Close spool and log; each says by itself what it could not keep."""
        self.store.close()
        unwritten = self.store.unwritten
        if not unwritten:
            self.writer.close()
            return
        told = f"the spool failed: {unwritten} ends are not written, those messages go again after a start"
        try:
            self.writer.close()
        except LogError as error:
            raise LogError(f"{told}; {error}") from error
        raise SpoolError(told)


def _terms(configuration: Configuration, sockets: Sockets) -> Terms:
    """What delivery goes by."""
    return Terms(
        own=_own(configuration, sockets),
        shaping=configuration.shaping,
        egress=configuration.egress,
        hooks=configuration.hooks,
        hostname=configuration.hostname,
    )


@contextmanager
def _resting_collector() -> Iterator[None]:
    """The collector of cyclic garbage rests while a million things are made that are none; those that stay
    are not looked at again and again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _own(configuration: Configuration, sockets: Sockets) -> Own:
    names = {configuration.hostname, *(listener.options.hostname for listener in configuration.listeners)}
    places = (_place(listener, sockets.get(listener.listen)) for listener in configuration.listeners)
    return Own(frozenset(names), tuple(places))


def _place(listener: Listener, sock: socket.socket | None) -> tuple[str, int]:
    """Where a listener listens in truth: port 0 stands for any that was free."""
    return listener.host, listener.port if sock is None else sock.getsockname()[1]
