"""One worker as the supervisor sees it: a process, a channel to it, and the sockets that it serves.

The process is begun with exec, and not forked: it runs the operator's code from the beginning, whatever
threads and connections that has, and shares no event loop with anybody. The supervisor keeps the sockets open
too, and gives each worker those of all, so that others accept what this one cannot (see `turns`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from angarium.node.channel import CallFailed, Channel, ChannelClosed, Note, Payload
from angarium.node.ending import Pulse, story
from angarium.node.owed import Owed
from angarium.node.words import Begin, Built, Opening
from angarium.queue.message import decode_kept
from angarium.queue.order import Order

Sockets = Mapping[str, socket.socket]

GRACE = 10.0
"""Seconds beyond its own limit that a worker has to end, before it is killed."""


class WorkerTrouble(Exception):  # noqa: N818 - what happened
    """A worker cannot begin; the text says why."""


class Member:
    """One worker. Its channel is that of its latest process."""

    channel: Channel
    built: Built

    def __init__(self, number: int, sockets: Sequence[Sockets], owed: Owed) -> None:
        """`sockets`: those of every worker, by its number."""
        self.number = number
        self.starts = 0
        self.is_ready = False
        self.owed = owed
        self._sockets = sockets
        self._pulse: Pulse | None = None
        self._last_words = -1
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Built] | None = None

    @property
    def pid(self) -> int | None:
        """Of its process; None between two."""
        return None if self._process is None else self._process.pid

    async def begin(self, begin: Begin, notes: Mapping[str, Note]) -> None:
        """Start the process and wait until it has taken up its spool; raises WorkerTrouble."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._answer = asyncio.get_running_loop().create_future()
        own = {"built": self._on_built, "failed": self._on_failed, "pulse": self._on_pulse}
        self.channel = Channel(ours, {}, {**notes, **own})
        self.starts += 1
        self._pulse = None
        self._renew_last_words()
        with theirs:
            await self._start_process(theirs.fileno())
        await self.channel.open()
        sockets = {listen: [each[listen].fileno() for each in self._sockets] for listen in self._sockets[0]}
        told = msgspec.structs.replace(begin, sockets=sockets, last_words=self._last_words)
        self.channel.note("begin", told)
        self._listening = asyncio.create_task(self._listen())
        self.built = await self._answer

    async def _start_process(self, channel: int) -> None:
        sockets = {sock.fileno() for each in self._sockets for sock in each.values()}
        fds = (channel, self._last_words, *sockets)
        command = (sys.executable, "-P", "-m", "angarium.node.worker", str(channel))
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=fds
            )
        except OSError as error:
            raise WorkerTrouble(f"cannot run {sys.executable}: {error.strerror or error}") from None

    def _renew_last_words(self) -> None:
        if self._last_words >= 0:
            os.close(self._last_words)
        self._last_words = os.memfd_create(f"last words of worker {self.number}")

    async def _listen(self) -> None:
        await self.channel.run()
        self.is_ready = False
        self._fail("it ended before it was ready")

    def _on_built(self, payload: Payload) -> None:
        assert self._answer is not None
        if not self._answer.done():
            self._answer.set_result(msgspec.msgpack.decode(payload, type=Built))

    def _on_pulse(self, payload: Payload) -> None:
        self._pulse = msgspec.msgpack.decode(payload, type=Pulse)

    def _on_failed(self, payload: Payload) -> None:
        self._fail(msgspec.msgpack.decode(payload, type=str))

    def _fail(self, text: str) -> None:
        assert self._answer is not None
        if not self._answer.done():
            self._answer.set_exception(WorkerTrouble(text))

    def standing(self) -> list[bytes]:
        """The orders in its spool, but for those that were cancelled while it was not there."""
        cancelled = self.owed.cancelled
        return [packed for packed in self.built.orders if not cancelled or _name(packed) not in cancelled]

    async def open(self, orders: Sequence[bytes]) -> None:
        """Let it serve; raises WorkerTrouble."""
        try:
            await self.channel.call("open", Opening(orders, self.owed.told(time.time())))
        except (CallFailed, ChannelClosed) as trouble:
            raise WorkerTrouble(str(trouble) or "it ended before it was ready") from None
        self.owed.clear()
        self.is_ready = True

    async def ended(self) -> str:
        """Wait for the end of its process; says how it was."""
        assert self._process is not None
        status = await self._process.wait()
        self.is_ready = False
        self.channel.close()
        return story(status, self._pulse, self._last_words)

    def close_sockets(self) -> None:
        """Let nobody wait for this worker any more."""
        for sock in self._sockets[self.number].values():
            sock.close()

    def ask_to_stop(self) -> None:
        """Have it finish what is in flight, and end."""
        if self._process is not None:
            self.channel.note("stop")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def end(self, limit: float) -> None:
        """Wait for its end, and kill it where that takes longer than `limit` seconds and some."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(limit + GRACE):
                await self.ended()
        except TimeoutError:
            self.kill()
            await self.ended()


def _name(packed: bytes) -> str | None:
    order = decode_kept(packed)
    return order.name if isinstance(order, Order) else None
