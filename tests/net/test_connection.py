"""net.connection: octets in and out of a real socket, within limits."""

import asyncio
import socket
import struct

import pytest
import uvloop

from angarium.net.connection import (
    MAX_UNREAD,
    ConnectFailed,
    ConnectionTrouble,
    TimedOut,
    accepted,
    connect,
)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop])
def run(request):
    """Run `test(connection, peer)` with a Connection and the blocking socket at its other end."""

    def runner(test):
        async def main():
            ours, theirs = _pair()
            connection = await accepted(ours)
            try:
                async with asyncio.timeout(10):
                    await test(connection, theirs)
            finally:
                connection.abort()
                theirs.close()
                await asyncio.sleep(0)

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(main())

    return runner


def _pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    ours.setblocking(False)
    return ours, theirs


def test_receive(run):
    """What came is returned whole, b"" at the end of input."""

    async def test(connection, peer):
        peer.sendall(b"one")
        assert await connection.receive(5) == b"one"
        assert connection.peer == peer.getsockname()
        peer.shutdown(socket.SHUT_WR)
        assert await connection.receive(5) == b""
        assert connection.is_closed
        connection.write(b"answer")
        assert await asyncio.to_thread(peer.recv, 100) == b"answer"

    run(test)


def test_writing_to_what_is_closed(run):
    """What nobody can read any more is dropped, and is no surprise."""

    async def test(connection, peer):
        connection.abort()
        connection.write(b"one")
        connection.write_parts([b"two", b"three"])
        await connection.drain(1)
        assert connection.is_closed

    run(test)


def test_a_silent_peer(run):
    """TimedOut after the limit, again and again; the connection can still be used."""

    async def test(connection, peer):
        for _ in range(2):
            with pytest.raises(TimedOut):
                await connection.receive(0.02)
        peer.sendall(b"late")
        assert await connection.receive(5) == b"late"

    run(test)


def test_a_reset(run):
    """The peer's reset is a ConnectionTrouble, never an OSError."""

    async def test(connection, peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        with pytest.raises(ConnectionTrouble):
            await connection.receive(5)

    run(test)


def test_a_flood_is_bounded(run):
    """Reading stops while the owner is busy, and goes on when it has received."""

    async def test(connection, peer):
        flood = b"x" * (8 * 1024 * 1024)
        sending = asyncio.create_task(asyncio.to_thread(peer.sendall, flood))
        total = 0
        while total < len(flood):
            data = await connection.receive(5)
            assert len(data) <= MAX_UNREAD + 256 * 1024
            total += len(data)
        await sending

    run(test)


def test_a_peer_that_does_not_read(run):
    """`drain` gives up after its limit."""

    async def test(connection, peer):
        connection.write(b"x" * (32 * 1024 * 1024))
        with pytest.raises(TimedOut):
            await connection.drain(0.05)

    run(test)


def test_a_port_where_nobody_listens():
    """ConnectFailed says where."""

    async def main():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            with pytest.raises(ConnectFailed, match=str(port)):
                await connect("127.0.0.1", port, limit=5)

    asyncio.run(main())
