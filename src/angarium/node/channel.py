"""How do the supervisor and a worker speak? Calls with an answer each, and notes without, over one socket.

Both ends are alike. A frame is four octets of length and a msgpack array. Promises: notes and calls arrive in
the order in which they were said; a call whose other end dies raises ChannelClosed; what a call raises there
is told here as CallFailed. Only names, counts and small values cross, and what an operator asks and is told.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

log = logging.getLogger(__name__)

_LENGTH = struct.Struct(">I")

Payload = msgspec.Raw
Call = Callable[[Payload], Awaitable[Any]]
"""Answers a call; raises CallError, whose text the other end is told."""
Note = Callable[[Payload], object]


class CallError(Exception):
    """A call that cannot be answered; the text says why."""


class CallFailed(Exception):  # noqa: N818 - what happened there
    """The other end could not answer; the text says why."""


class ChannelClosed(Exception):  # noqa: N818 - it is no error
    """The other end is no more."""


class _Frame(msgspec.Struct, array_like=True, frozen=True):
    kind: str
    number: int
    name: str
    payload: Payload


_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_frame = msgspec.msgpack.Decoder(_Frame)


def pack(kind: str, number: int, name: str, value: object) -> bytes:
    """One frame."""
    body = _encode(_Frame(kind, number, name, Payload(_encode(value))))
    return _LENGTH.pack(len(body)) + body


def read_note(sock: socket.socket) -> Payload:
    """Wait for the first frame of all, before any loop runs; raises ChannelClosed."""
    length = _LENGTH.unpack(_exactly(sock, _LENGTH.size))[0]
    frame: _Frame = _frame.decode(_exactly(sock, length))
    return frame.payload


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = sock.recv(count, socket.MSG_WAITALL)
    if len(data) < count:
        raise ChannelClosed
    return data


class Channel:
    """One end. `calls` and `notes` are what the other end may say, by name."""

    def __init__(self, sock: socket.socket, calls: Mapping[str, Call], notes: Mapping[str, Note]) -> None:
        self._sock = sock
        self._calls = calls
        self._notes = notes
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Payload]] = {}
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Be ready to speak."""
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._sock)

    async def run(self) -> None:
        """Hear the other end until it is no more; `open` comes first."""
        assert self._reader is not None
        reader = self._reader
        try:
            while True:
                length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
                self._hear(_frame.decode(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Speak no more; whoever waits for an answer learns that there will be none."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(ChannelClosed())

    def note(self, name: str, value: object = None) -> None:
        """Say something; nothing where nobody listens any more."""
        self._say("note", 0, name, value)

    async def call(self, name: str, value: object = None) -> Payload:
        """Say something and return the answer; raises CallFailed, ChannelClosed."""
        if self._writer is None:
            raise ChannelClosed
        self._number += 1
        number = self._number
        future: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._say("call", number, name, value)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    def _say(self, kind: str, number: int, name: str, value: object) -> None:
        if self._writer is not None:
            self._writer.write(pack(kind, number, name, value))

    def _hear(self, frame: _Frame) -> None:
        if self._writer is None:  # closed: what was under way does not count any more
            return
        if frame.kind == "note":
            self._notes[frame.name](frame.payload)
        elif frame.kind == "call":
            task = asyncio.get_running_loop().create_task(self._answer(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (future := self._waiting.get(frame.number)) is not None and not future.done():
            _settle(future, frame)

    async def _answer(self, frame: _Frame) -> None:
        try:
            self._say("answer", frame.number, "", await self._calls[frame.name](frame.payload))
        except CallError as error:
            self._say("error", frame.number, "", str(error))
        except Exception:
            log.exception("%r failed", frame.name)
            self._say("error", frame.number, "", "it failed; the server's own log says why")


def _settle(future: asyncio.Future[Payload], frame: _Frame) -> None:
    if frame.kind == "answer":
        future.set_result(frame.payload)
    else:
        future.set_exception(CallFailed(msgspec.msgpack.decode(frame.payload, type=str)))
