"""The control socket: one JSON request a line, one JSON answer a line.

A request is `{"request": NAME, ...}`; what else stands in it are its arguments. The answer is `{"ok": true,
"answer": ...}` or `{"ok": false, "error": "what, and what to do"}`; an answer of some workers alone has
`"missing_workers": [NUMBER, ...]` beside it. Served are root and the server's own user
alone. Requests are functions in a table, so that others can add their own.

Promises: no line grows without bound, an idle client is let go, and what a request raises costs that
request an answer and nothing more.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from angarium.net.accept import Acceptor
from angarium.net.connection import Connection, ConnectionTrouble
from angarium.net.unix import accepted_unix, peer_user, remove_socket

log = logging.getLogger(__name__)

MAX_LINE = 64 * 1024 * 1024
"""Octets of one request: `explain` may bring a whole message."""
MAX_CLIENTS = 32
IDLE_LIMIT = 300.0
"""Seconds that a client may take to say a line, or to read an answer."""

Arguments = Mapping[str, Any]
Request = Callable[[Arguments], Awaitable[Any]]
"""Takes the arguments of a request and returns what msgspec can say as JSON; raises RequestError."""


class RequestError(Exception):
    """A request that cannot be answered; the text says why, and what to write instead."""


class Partial(msgspec.Struct, frozen=True):
    """The answer of a node some of whose workers did not answer: what they have is not in it."""

    answer: Any
    missing_workers: list[int]


class Control:
    """Serves a socket that `net.unix.bind_unix` made, until closed."""

    def __init__(self, path: str, sock: socket.socket, requests: Mapping[str, Request]) -> None:
        self._path = path
        self._sock = sock
        self._requests = requests
        self._clients: set[asyncio.Task[None]] = set()
        self._acceptor = Acceptor(sock, self._on_socket)

    async def close(self) -> None:
        """Stop serving, and take the socket away."""
        self._acceptor.close()
        remove_socket(self._path, self._sock)
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    def _on_socket(self, sock: socket.socket) -> None:
        user = peer_user(sock)
        if user not in (None, 0, os.geteuid()) or len(self._clients) >= MAX_CLIENTS:
            log.warning("control socket: turned away a process of user %s", user)
            sock.close()
            return
        task = asyncio.get_running_loop().create_task(self._serve(sock))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _serve(self, sock: socket.socket) -> None:
        try:
            connection = await accepted_unix(sock)
        except ConnectionTrouble as trouble:
            log.debug("control socket: %s", trouble)
            return
        try:
            await self._converse(connection)
        except ConnectionTrouble as trouble:
            log.debug("control socket: %s", trouble)
        finally:
            connection.close()

    async def _converse(self, connection: Connection) -> None:
        lines = _Lines(connection)
        while (line := await lines.next()) is not None:
            connection.write(await self._answer(line) + b"\n")
            await connection.drain(IDLE_LIMIT)
        if lines.is_too_long:
            connection.write(_error(f"a request may have {MAX_LINE} octets") + b"\n")
            await connection.drain(IDLE_LIMIT)

    async def _answer(self, line: bytes) -> bytes:
        try:
            answer = await self._perform(line)
            if isinstance(answer, Partial):
                return _encode({"ok": True, **msgspec.structs.asdict(answer)})
            return _encode({"ok": True, "answer": answer})
        except RequestError as error:
            return _error(str(error))
        except Exception:
            log.exception("control socket: a request failed")
            return _error("the request failed; the server's own log says why")

    async def _perform(self, line: bytes) -> Any:
        try:
            asked = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise RequestError(f"not a JSON object: {error}") from None
        name = asked.pop("request", None)
        request = self._requests.get(name) if isinstance(name, str) else None
        if request is None:
            known = ", ".join(sorted(self._requests))
            said = (
                'no request is named: write {"request": NAME}'
                if name is None
                else f"unknown request {name!r}"
            )
            raise RequestError(f"{said}: known are {known}")
        return await request(asked)


class _Lines:
    """The lines that a client says."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._unread = bytearray()
        self.is_too_long = False

    async def next(self) -> bytes | None:
        """The next line; None at the end of input, or where one grew too long."""
        searched = 0
        while (end := self._unread.find(b"\n", searched)) < 0:
            searched = len(self._unread)
            self.is_too_long = searched > MAX_LINE
            data = b"" if self.is_too_long else await self._connection.receive(IDLE_LIMIT)
            if not data:
                return None
            self._unread += data
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        return line


_encode = msgspec.json.Encoder(enc_hook=str).encode


def _error(text: str) -> bytes:
    return _encode({"ok": False, "error": text})
