"""Connections without a kernel: two ends in one event loop, for protocols that know asyncio's transports.

Promises: octets arrive whole and in order, in a later turn of the loop, as from a socket; an end that does
not read holds the other back; `close` lets arrive what was written, `abort` and writing to an end that has
gone break the connection. Knows nothing of what is said.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

HIGH_WATER = 64 * 1024
"""Octets on their way above which the writer is asked to pause; it resumes when all have arrived."""

Endpoint = tuple[str, int]


class MemoryTransport(asyncio.Transport):
    """One end; `join` makes both."""

    def __init__(self, protocol: asyncio.BaseProtocol, local: Endpoint, peer: Endpoint) -> None:
        super().__init__({"sockname": local, "peername": peer})
        self.other: MemoryTransport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._coming: deque[bytes] = deque()
        """On its way to our protocol."""
        self._size = 0
        self._other_ends = False
        self._is_paused = self._holds_back = self._is_scheduled = False
        self._is_closing = self._is_lost = False

    # What the protocol asks for

    def write(self, data: Any) -> None:
        """Send octets; once the other end has gone, the connection breaks."""
        if self._is_closing or not data:
            return
        if self.other._is_lost:  # noqa: SLF001 - both ends are one thing
            self._loop.call_soon(self._lose, ConnectionResetError("the peer has gone"))
        else:
            self.other._arrive(bytes(data))  # noqa: SLF001

    def close(self) -> None:
        """End the connection after what was written has arrived."""
        if not self._is_closing:
            self._is_closing = True
            self.write_eof()
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Break the connection."""
        if not self._is_lost:
            self._is_closing = True
            self._loop.call_soon(self._lose, None)
            self._loop.call_soon(self.other._lose, ConnectionResetError("reset by the peer"))  # noqa: SLF001

    def write_eof(self) -> None:
        """Say that nothing more comes."""
        self.other._other_ends = True  # noqa: SLF001
        self.other._schedule()  # noqa: SLF001

    def can_write_eof(self) -> bool:
        """Yes."""
        return True

    def pause_reading(self) -> None:
        """Let octets wait."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._is_paused = False
        self._schedule()

    def is_reading(self) -> bool:
        """Whether octets are taken."""
        return not self._is_paused and not self._is_closing

    def is_closing(self) -> bool:
        """Whether the end has begun."""
        return self._is_closing

    def get_write_buffer_size(self) -> int:
        """Octets that have not arrived yet."""
        return self.other._size  # noqa: SLF001

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom it serves."""
        return self._protocol

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Serve somebody else from here on."""
        self._protocol = protocol

    # On the way

    def _arrive(self, data: bytes) -> None:
        self._coming.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._holds_back:
            self._holds_back = True
            self.other.get_protocol().pause_writing()
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled and not self._is_paused and not self._is_lost:
            self._is_scheduled = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._is_scheduled = False
        while self._coming and self.is_reading():
            data = self._coming.popleft()
            self._size -= len(data)
            self._feed(data)
        if self._coming:
            return
        if self._holds_back:
            self._holds_back = False
            self.other.get_protocol().resume_writing()
        if self._other_ends and self.is_reading():
            self._other_ends = False
            if not self._stream_protocol.eof_received():
                self.close()

    def _feed(self, data: bytes) -> None:
        protocol = self._protocol
        if not isinstance(protocol, asyncio.BufferedProtocol):
            assert isinstance(protocol, asyncio.Protocol)
            protocol.data_received(data)
            return
        rest = memoryview(data)
        while rest:
            room = memoryview(protocol.get_buffer(len(rest)))
            count = min(len(room), len(rest))
            room[:count] = rest[:count]
            protocol.buffer_updated(count)
            rest = rest[count:]

    @property
    def _stream_protocol(self) -> asyncio.Protocol | asyncio.BufferedProtocol:
        assert isinstance(self._protocol, asyncio.Protocol | asyncio.BufferedProtocol)
        return self._protocol

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_closing = self._is_lost = True
            self._protocol.connection_lost(error)


def join(
    client: asyncio.BaseProtocol, server: asyncio.BaseProtocol, client_at: Endpoint, server_at: Endpoint
) -> None:
    """Connect two protocols. What each writes while it is being told so reaches the other afterwards."""
    near = MemoryTransport(client, client_at, server_at)
    far = MemoryTransport(server, server_at, client_at)
    near.other, far.other = far, near
    server.connection_made(far)
    client.connection_made(near)
