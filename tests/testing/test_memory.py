"""Connections in memory behave as sockets do, and the clock says when all is done."""

import asyncio

import pytest

from angarium.net.connection import Connection, ConnectionTrouble
from angarium.testing.clock import VirtualClock
from angarium.testing.memory import HIGH_WATER, join

CLIENT, SERVER = ("203.0.113.5", 40_000), ("192.0.2.1", 25)


@pytest.fixture
def run():
    """Run `test(clock, client, server)` with both ends of a connection."""

    def runner(test):
        clock = VirtualClock()

        async def main():
            client, server = Connection(), Connection()
            join(client, server, CLIENT, SERVER)
            return await test(clock, client, server)

        return clock.run(main())

    return runner


def test_both_ends_know_each_other(run):
    """Each end has its own address and its peer's."""

    async def test(_clock, client, server):
        assert (client.local, client.peer) == (CLIENT, SERVER)
        assert (server.local, server.peer) == (SERVER, CLIENT)

    run(test)


def test_octets_arrive_in_order(run):
    """What is written arrives whole, in order, and not before the loop has turned."""

    async def test(clock, client, server):
        client.write(b"one ")
        client.write_parts([b"two ", b"three"])
        assert not server.has_input
        await clock.idle()
        assert await server.receive(1) == b"one two three"

    run(test)


def test_who_does_not_read_holds_the_other_back(run):
    """A writer waits in `drain` until the reader has caught up."""

    async def test(clock, client, server):
        server.transport.pause_reading()
        client.write(bytes(HIGH_WATER + 1))
        assert client.transport.get_write_buffer_size() == HIGH_WATER + 1
        draining = asyncio.create_task(client.drain(60))
        await clock.idle()
        assert not draining.done()
        server.transport.resume_reading()
        await draining
        assert len(await server.receive(1)) == HIGH_WATER + 1

    run(test)


def test_close_lets_everything_arrive(run):
    """The other end reads what was written before, and then the end of input."""

    async def test(_clock, client, server):
        client.write(b"goodbye")
        client.close()
        assert await server.receive(1) == b"goodbye"
        assert await server.receive(1) == b""
        assert server.is_closed

    run(test)


@pytest.mark.parametrize("breaks", ["abort", "write"])
def test_a_broken_connection_is_a_trouble(run, breaks):
    """The other end of an aborted connection, and whoever writes to an end that has gone, get an error."""

    async def test(clock, client, server):
        if breaks == "abort":
            client.abort()
        else:
            client.close()
            await clock.idle()
            server.write(b"anybody?")
        await clock.idle()
        with pytest.raises(ConnectionTrouble, match="connection lost"):
            await server.receive(1)

    run(test)


def test_idle_comes_before_the_next_timer():
    """`idle` returns when all that needs no time has happened, threads included, and no time has passed."""
    clock = VirtualClock()
    seen = []

    async def work():
        await asyncio.to_thread(seen.append, "thread")
        seen.append("soon")
        await asyncio.sleep(1)
        seen.append("later")

    async def main():
        task = asyncio.create_task(work())
        await clock.idle()
        assert (seen, clock.elapsed) == (["thread", "soon"], 0)
        await task

    clock.run(main())
    assert seen[-1] == "later"
