"""One of several workers: a process of its own, begun by the supervisor, with its sockets and its spool.

It loads the files itself, since the operator's code runs in every worker; it takes nobody's mail before the
supervisor says so; and it ends when it is told to, or when the supervisor is no more.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from angarium.admin.control import RequestError
from angarium.admin.requests import house_requests
from angarium.log.diagnostic import set_up
from angarium.log.writer import LogError
from angarium.net.tls import TlsError
from angarium.node.channel import Call, CallError, Channel, ChannelClosed, Note, Payload, pack, read_note
from angarium.node.ending import Pulse, resident_memory
from angarium.node.leases import Answer
from angarium.node.shares import Ledger
from angarium.node.words import Begin, Built, Opening, keeping
from angarium.policy.config import ConfigError, Configuration
from angarium.policy.copies import copies_in
from angarium.policy.load import Changing, load
from angarium.policy.reload import keep_what_needs_restart, load_beside
from angarium.policy.source import reading_copies
from angarium.queue.message import decode_kept, encode
from angarium.queue.order import Order
from angarium.reception.keyring import Keyring
from angarium.shard import Post, Shard
from angarium.spool.errors import SpoolError

log = logging.getLogger("angarium.node.worker")  # this module is a process's __main__

BEAT = 1.0
"""Seconds between two looks at itself."""
CHANGED = "what it has loaded is not the configuration in force"

_answers = msgspec.msgpack.Decoder(list[Answer])


class Worker:
    """A shard, and what the supervisor may ask of it."""

    def __init__(self, begin: Begin, configuration: Configuration, sock: socket.socket) -> None:
        """Build every room. Raises SpoolError, LogError, TlsError."""
        calls: dict[str, Call] = {
            "open": self._open,
            "orders": self._orders,
            "request": self._request,
            "prepare": self._prepare,
            "commit": self._commit,
        }
        notes: dict[str, Note] = {"lease": self._lease, "stop": self._stop, "accept": self._accept}
        self.channel = Channel(sock, calls, notes)
        self._path = Path(begin.path)
        self._ledger = Ledger(lambda asks: self.channel.note("lease", asks))
        distinct = {fd for fds in begin.sockets.values() for fd in fds}  # one that was passed is everybody's
        made = {fd: socket.socket(fileno=fd) for fd in distinct}
        self._sockets = {listen: [made[fd] for fd in fds] for listen, fds in begin.sockets.items()}
        own = {listen: each[begin.number] for listen, each in self._sockets.items()}
        post = Post(
            number=begin.number,
            workers=begin.workers,
            shares=self._ledger,
            others={listen: {*each} - {own[listen]} for listen, each in self._sockets.items()},
            on_room=lambda listen, has_room: self.channel.note("room", (listen, has_room)),
        )
        self.shard = Shard(configuration, own, post=post)
        self.shard.writer.on_finished = lambda: self.channel.note("finished")
        self._requests = house_requests(self.shard)
        self._prepared: Configuration | None = None

    async def serve(self) -> None:
        """Take up the spool, and serve until somebody says that it is enough. Raises SpoolError."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.shard.ask_to_stop)
        await self.channel.open()
        listening = asyncio.create_task(self._listen())
        try:
            self.shard.recover()
            self.channel.note("built", Built(self.shard.configuration.hash, await self._orders()))
            await self.shard.stopped()
        finally:
            await self.shard.stop()
            listening.cancel()
            self.channel.close()

    async def _listen(self) -> None:
        await self.channel.run()
        self._stop()

    def _stop(self, _: Payload | None = None) -> None:
        self.shard.ask_to_stop()

    async def _open(self, payload: Payload) -> None:
        """Do what was asked meanwhile, let the orders stand that others know of, and open the door."""
        opening = msgspec.msgpack.decode(payload, type=Opening)
        for arguments in opening.requests:
            await self._do_late(arguments)
        for packed in opening.orders:
            order = decode_kept(packed)
            if isinstance(order, Order) and self.shard.orders.find(order.name) is None:
                await self.shard.orders.give(order)
        self.shard.open()
        self._beat()

    async def _do_late(self, arguments: Mapping[str, Any]) -> None:
        action = arguments.get("action")
        try:
            await self._requests["queue"](arguments)
            log.info("%s, as was asked while this worker was not there: done", action)
        except RequestError as error:
            log.warning("%s, as was asked while this worker was not there: %s", action, error)

    def _beat(self) -> None:
        """Once a second: say what is being done, and look whether there is room for more."""
        for listening in self.shard.listening:
            listening.look()
        sessions = sum(len(listening.sessions) for listening in self.shard.listening)
        self.channel.note("pulse", Pulse(sessions, len(self.shard.scheduler), resident_memory()))
        asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _accept(self, payload: Payload) -> None:
        """Accept connections from the sockets of these workers."""
        turn = msgspec.msgpack.decode(payload, type=dict[str, list[int]])
        for listening in self.shard.listening:
            listen = listening.listener.listen
            listening.accept_from([self._sockets[listen][number] for number in turn[listen]])

    async def _orders(self, _: Payload | None = None) -> list[bytes]:
        """The operators' orders that stand."""
        return [encode(order) for order in self.shard.orders.standing()]

    async def _request(self, payload: Payload) -> Any:
        """What an operator asks."""
        name, arguments = msgspec.msgpack.decode(payload, type=tuple[str, dict[str, Any]])
        try:
            return await self._requests[name](arguments)
        except RequestError as error:
            raise CallError(str(error)) from None

    def _lease(self, payload: Payload) -> None:
        self._ledger.take(_answers.decode(payload))

    async def _prepare(self, payload: Payload) -> None:
        """Load the configuration of this hash from copies of its files, to be put in force at a word."""
        self._prepared = None
        hash_in_force, copies = msgspec.msgpack.decode(payload, type=tuple[str, str])
        try:
            loaded = await load_beside(self._path, Path(copies))
        except ConfigError as error:
            raise CallError("\n".join(map(str, sorted(error.problems)))) from None
        except Changing:
            raise CallError(CHANGED) from None
        configuration, _ = keep_what_needs_restart(self.shard.configuration, loaded.configuration)
        if configuration.hash != hash_in_force:
            raise CallError(CHANGED)
        try:
            folder = Path(configuration.spool.path) / "tls"
            Keyring(folder).prepare(listener.options for listener in configuration.listeners)
        except TlsError as error:
            raise CallError(str(error)) from None
        self._prepared = configuration

    async def _commit(self, payload: Payload) -> None:
        """Put in force what was prepared."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared.hash != msgspec.msgpack.decode(payload, type=str):
            raise CallError("that configuration is not prepared")
        self.shard.take(prepared)


def main() -> None:
    """Be the worker whose supervisor is at the other end of the descriptor that is named."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the supervisor says when to stop
    sock = socket.socket(fileno=int(sys.argv[1]))
    spare = sock.dup()  # to say what went wrong when the loop, and the socket with it, is gone
    try:
        begin = msgspec.msgpack.decode(read_note(sock), type=Begin)
    except ChannelClosed:
        sys.exit(1)
    for fd in (sock.fileno(), begin.last_words, *chain.from_iterable(begin.sockets.values())):
        os.set_inheritable(fd, False)  # they were passed to us, and not to the children that we begin
    faulthandler.enable(begin.last_words, all_threads=False)
    set_up(name=f"angarium: worker {begin.number}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(begin, keeping(_loaded(begin), begin), sock))
    except (SpoolError, LogError, TlsError, ConfigError, Changing) as error:
        _fail(spare, str(error))


def _loaded(begin: Begin) -> Configuration:
    """The configuration in force. Raises ConfigError, Changing."""
    with reading_copies(copies_in(Path(begin.copies))):
        configuration = load(begin.path)
    if configuration.hash != begin.hash:
        raise ConfigError([], configuration.files)
    return configuration


async def _work(begin: Begin, configuration: Configuration, sock: socket.socket) -> None:
    await Worker(begin, configuration, sock).serve()


def _fail(sock: socket.socket, text: str) -> None:
    """Say why it cannot start."""
    with suppress(OSError):
        sock.setblocking(True)
        sock.sendall(pack("note", 0, "failed", text or CHANGED))
    sys.exit(1)


if __name__ == "__main__":
    main()
