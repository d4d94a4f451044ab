"""One worker: builds every room, joins them, and takes them down again. It owns the clock and the entropy.

Order of starting: spool and log, queue, delivery, what the spool still held, and last the door. Of stopping: the
door first, so that what is being received is finished, then delivery, then what remains to be written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from angarium.delivery.dispatcher import Dispatcher
from angarium.delivery.link import Setup
from angarium.delivery.resolve import Own
from angarium.log.writer import Writer
from angarium.mail.ident import make_ident
from angarium.net.dns import DnsResolver
from angarium.policy.config import Configuration, QueueConfig
from angarium.policy.route import QueueName
from angarium.queue.intake import Intake
from angarium.queue.message import Message
from angarium.queue.scheduled import Scheduler
from angarium.queue.settle import Settlement
from angarium.reception.door import Door
from angarium.reception.listener import Listening
from angarium.spool.store import Store

log = logging.getLogger(__name__)

Sockets = Mapping[str, socket.socket]


class Shard:
    """A whole house. Raises SpoolError or LogError where it cannot be built."""

    def __init__(
        self,
        configuration: Configuration,
        sockets: Sockets,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.configuration = configuration
        self._sockets = sockets
        self._clock = clock
        self._entropy = entropy
        self._random = random.Random(int.from_bytes(entropy(8), "big"))  # noqa: S311 - spreads retries
        self._stop = asyncio.Event()
        self._listening: list[Listening] = []
        self._build()

    def _build(self) -> None:
        configuration = self.configuration
        spool = configuration.spool
        self.store = Store.open(
            Path(spool.path) / "0", segment_size=spool.segment_size, min_free_space=spool.min_free_space
        )
        for report in self.store.reports:
            log.error("spool: %s", report)
        self.writer = Writer(configuration.log, worker=0, clock=self._clock)
        self.scheduler = Scheduler(self._queue_config, self._dispatch, self._clock)
        self.store.set_moved(self.scheduler.moved)
        self.intake = Intake(self.store, self.writer, self.scheduler, self.new_ident)
        self.settlement = Settlement(
            self.store,
            self.writer,
            self.scheduler,
            self.intake,
            hostname=lambda: self.configuration.hostname,
            new_ident=self.new_ident,
            clock=self._clock,
            entropy=self._random.random,
        )
        self.dispatcher = Dispatcher(
            Setup(ehlo_name=configuration.hostname, clock=self._clock, make_id=self.new_ident),
            DnsResolver(
                [
                    f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
                    for host, port in configuration.dns.nameservers
                ]
            ),
            self.settlement.settle,
            self._random.shuffle,
            own=_own(configuration),
        )
        self.door = Door(configuration, self.intake, self.writer, self._clock, self.new_ident)

    def new_ident(self) -> str:
        """A new id of a message or a session."""
        return make_ident(self._clock(), self._entropy(10))

    def _queue_config(self, name: QueueName) -> QueueConfig:
        return self.configuration.queues.lookup(name.domain, name.tenant, name.campaign, name.routing_domain)

    def _dispatch(self, message: Message) -> None:
        self.dispatcher.dispatch(message)

    async def start(self) -> None:
        """Take up what the spool holds, and open the door."""
        waiting = self.intake.recover()
        if waiting:
            log.info("%d messages wait in the spool", waiting)
        self.scheduler.start()
        self._listening = [
            Listening(listener, self._sockets[listener.listen], self.door)
            for listener in self.configuration.listeners
        ]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def take(self, configuration: Configuration) -> None:
        """Put a new configuration in force, whole."""
        self.configuration = configuration
        self.door.take(configuration)
        self.scheduler.reconfigure()
        self.dispatcher.own = _own(configuration)

    async def stopped(self) -> None:
        """Wait until somebody asks to stop."""
        await self._stop.wait()

    async def stop(self) -> None:
        """Finish what is in flight within `shutdown_timeout`, keep the rest, and close everything."""
        limit = self.configuration.shutdown_timeout
        self.door.is_stopping = True
        for listening in self._listening:
            listening.stop_accepting()
        await asyncio.gather(*(listening.stop(limit) for listening in self._listening))
        self.scheduler.stop()
        await self.dispatcher.drain(limit)
        await self.settlement.close()
        await self.intake.close()
        self.store.close()
        self.writer.close()


def _own(configuration: Configuration) -> Own:
    names = {configuration.hostname, *(listener.options.hostname for listener in configuration.listeners)}
    return Own(
        frozenset(names), tuple((listener.host, listener.port) for listener in configuration.listeners)
    )
