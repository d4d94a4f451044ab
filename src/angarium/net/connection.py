"""One TCP connection as both doors use it: octets in, octets out, time limits, and only our own errors.

Promises: input is bounded (reading stops while the owner is busy), an idle connection holds no buffer of its
own, and every failure of the operating system becomes a ConnectionTrouble that says what happened.
Knows nothing of SMTP.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from angarium.net.tls import Layer, TlsError, TlsFacts

if TYPE_CHECKING:
    from asyncio import BaseTransport, Transport

Endpoint = tuple[str, int]

MAX_UNREAD = 256 * 1024
"""Octets that may wait for a busy owner before reading stops."""
MAX_UNSENT = 4 * 1024 * 1024
"""Octets of TLS that may wait for a peer that does not read; it could make us answer without a command."""


class ConnectionTrouble(Exception):  # noqa: N818 - what happened
    """The connection cannot go on; the text says why."""


class TimedOut(ConnectionTrouble):
    """The peer took longer than it may."""


class ConnectFailed(ConnectionTrouble):
    """No connection came about."""


class HandshakeFailed(ConnectionTrouble):
    """TLS did not come about; the connection is gone."""


class Connection(asyncio.Protocol):
    """The shell around one socket. `receive` and `drain` have one waiter at a time: the session."""

    __slots__ = ("_deadline", "_ended", "_error", "_input", "_loop", "_paused", "_reader", "_rings", "_timer",
                 "_tls", "_unread", "_writable", "local", "peer", "transport")  # fmt: skip

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._input: list[bytes] = []
        self._unread = 0
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._ended = False
        self._error: ConnectionTrouble | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings = 0.0
        """When the timer rings, by the loop's clock."""
        self._tls: Layer | None = None
        self.peer: Endpoint = ("", 0)
        self.local: Endpoint = ("", 0)

    def connection_made(self, transport: BaseTransport) -> None:
        """Remember both ends."""
        self.transport = cast("Transport", transport)
        self.peer = _endpoint(transport.get_extra_info("peername"))
        self.local = _endpoint(transport.get_extra_info("sockname"))

    def data_received(self, data: bytes) -> None:
        """Take what the loop has read."""
        if self._tls is None:
            self._take_in(data)
        else:
            self._receive_tls(self._tls, data)

    def _take_in(self, data: bytes) -> None:
        self._input.append(data)
        self._unread += len(data)
        if self._unread > MAX_UNREAD and not self._paused:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Let the owner answer what came before the end."""
        self._ended = True
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._ended = True
        if exc is not None and self._error is None:
            self._error = ConnectionTrouble(f"connection lost: {exc}")
        self._wake()
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """The peer does not keep up: `drain` waits."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The peer has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    async def receive(self, limit: float) -> bytes:
        """Return what has come, waiting at most `limit` seconds; b"" at the end of input.

        Raises TimedOut, or ConnectionTrouble when the connection broke.
        """
        if not self._input and not self._ended:
            await self._something(limit)
        return self._take()

    def _something(self, limit: float) -> asyncio.Future[None]:
        """Done when something has come; fails with TimedOut."""
        self._deadline = self._loop.time() + limit
        if self._timer is not None and self._rings > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._set_timer()
        self._reader = self._loop.create_future()
        return self._reader

    def _take(self) -> bytes:
        if not self._input:
            if self._error is not None:
                raise self._error
            return b""
        chunks = self._input
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    def put_back(self, data: bytes) -> None:
        """Let `receive` return these octets first."""
        if data:
            self._input.insert(0, data)
            self._unread += len(data)

    @property
    def has_input(self) -> bool:
        """Whether octets wait that nobody has received."""
        return bool(self._input)

    @property
    def must_drain(self) -> bool:
        """Whether `drain` has something to wait for, or to say."""
        return self._writable is not None or self._error is not None

    @property
    def is_closed(self) -> bool:
        """Whether the peer has ended its input, or the connection is gone."""
        return self._ended or self.transport.is_closing()

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _set_timer(self) -> None:
        self._rings = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._timer = None
        if self._reader is None or self._reader.done():
            return
        if self._loop.time() >= self._deadline:
            self._reader.set_exception(TimedOut("no input in time"))
        else:
            self._set_timer()

    # TLS

    async def start_tls(
        self,
        context: ssl.SSLContext,
        limit: float,
        *,
        server_name: str | None = None,
        server: bool = True,
        implicit: bool = False,
    ) -> TlsFacts:
        """Shake hands, within `limit` seconds; everything said from here on is encrypted.

        Input that came before ends the connection, unless TLS is `implicit` and it belongs to the handshake.
        Raises HandshakeFailed or TimedOut: there is no way back to clear text, the connection is closed then.
        """
        if self._tls is not None or (self._input and not implicit):
            self._fail("input came before the handshake")
        begun = self._take() if self._input else b""
        layer = self._tls = Layer(context, server_name, server=server)
        deadline = self._loop.time() + limit
        self._receive_tls(layer, begun)
        try:
            while not layer.is_ready and not self._ended:
                await self._something(deadline - self._loop.time())
        except TimedOut:
            self.abort()
            raise TimedOut("no TLS handshake in time") from None
        if not layer.is_ready:
            self._fail(str(self._error or "the peer left during the TLS handshake"))
        return layer.facts()

    def tls_chain(self) -> list[bytes]:
        """The certificates that the peer sent, as DER, its own first; none without TLS."""
        return self._tls.chain() if self._tls is not None else []

    def _fail(self, why: str) -> None:
        self.close()
        raise HandshakeFailed(why)

    def _receive_tls(self, layer: Layer, octets: bytes) -> None:
        was_ready = layer.is_ready
        try:
            data = layer.receive(octets)
        except TlsError as error:
            self._end(f"TLS: {error}")
            data = b""
        if (output := layer.output()) and not self.transport.is_closing():
            self.transport.write(output)
            if self.transport.get_write_buffer_size() > MAX_UNSENT:
                self._end("TLS: the peer does not read")
                self.abort()
        if data:
            self._take_in(data)
        if layer.is_over:
            self._ended = True
        if self._ended or layer.is_ready != was_ready:
            self._wake()

    def _end(self, why: str) -> None:
        self._ended = True
        self._error = self._error or ConnectionTrouble(why)

    # What goes out

    def write(self, data: bytes) -> None:
        """Queue octets for sending; `drain` waits until the peer keeps up. What is closed takes nothing."""
        if self.transport.is_closing():
            return
        if self._tls is None:
            self.transport.write(data)
        else:
            self._send_tls(self._tls, [data])

    def write_parts(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Queue several pieces in one go, uncopied where the loop can."""
        if self.transport.is_closing():
            return
        if self._tls is None:
            self.transport.writelines(parts)
        else:
            self._send_tls(self._tls, parts)

    def _send_tls(self, layer: Layer, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        try:
            for part in parts:
                layer.send(part)
        except TlsError as error:
            self._end(f"TLS: {error}")
        self.transport.write(layer.output())

    async def drain(self, limit: float) -> None:
        """Wait until what was written has mostly left, at most `limit` seconds.

        Raises TimedOut or ConnectionTrouble.
        """
        if self._error is not None:
            raise self._error
        if self._writable is None:
            return
        try:
            async with asyncio.timeout(limit):
                await asyncio.shield(self._writable)
        except TimeoutError:
            raise TimedOut("the peer does not read") from None
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Close after what was written has left."""
        if self._tls is not None and self._tls.is_ready and not self.transport.is_closing():
            self._tls.end()
            self.transport.write(self._tls.output())
        self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()


def _endpoint(name: object) -> Endpoint:
    """The (address, port) of a socket name; an IPv4-mapped address is the IPv4 address that it stands for."""
    if not isinstance(name, tuple):
        return (str(name or ""), 0)
    host = str(name[0]).partition("%")[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return (host, int(name[1]))


async def accepted(sock: socket.socket) -> Connection:
    """Make a Connection of an accepted socket; raises ConnectionTrouble."""
    loop = asyncio.get_running_loop()
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, connection = await loop.connect_accepted_socket(Connection, sock)
    except OSError as error:
        sock.close()
        raise ConnectionTrouble(f"cannot serve an accepted connection: {error}") from error
    return connection


async def connect(host: str, port: int, *, limit: float, source: str | None = None) -> Connection:
    """Connect to an address; raises TimedOut after `limit` seconds, or ConnectFailed."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    try:
        async with asyncio.timeout(limit):
            _, connection = await loop.create_connection(Connection, host, port, local_addr=local)
    except TimeoutError:
        raise TimedOut(f"no connection to {host}:{port} in {limit:g} s") from None
    except OSError as error:
        raise ConnectFailed(f"cannot connect to {host}:{port}: {error.strerror or error}") from error
    sock = connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
