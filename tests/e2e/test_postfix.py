"""Postfix on either side: as the client that relays through us, and as the next hop that we relay to."""

import asyncio
import shutil
import socket
import subprocess
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from bench.peers import Setup, postfix

from tests.e2e.house import MAIL, Client

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
DATED = b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" + MAIL  # or else Postfix adds one

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(postfix.missing() is not None, reason=f"Postfix: {postfix.missing()}"),
]


def _folder():
    """A folder that others may enter: Postfix's processes have users of their own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    return folder


@asynccontextmanager
async def running(next_hop):
    """Postfix, relaying everything to a port of 127.0.0.1; yields its own port."""
    folder = _folder()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    setup = Setup(folder / "postfix", port=port, next_hop=next_hop, connections=5, delivers=True)
    server = await asyncio.to_thread(postfix.start, setup)
    try:
        yield port
    finally:
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder, ignore_errors=True)


def test_postfix_as_client(serve):
    """Mail that Postfix relays through us arrives whole."""

    async def test(house):
        _, port = house.address()
        async with running(port) as own:
            client = Client(*await asyncio.open_connection("127.0.0.1", own))
            await client.reply()
            await client.say("EHLO client.example")
            answer = await client.send(SENDER, OUT, "c@elsewhere.example", content=DATED)
            await client.close()
            assert answer.startswith("250")
            for one in await house.arrived(2):
                assert one.content.endswith(DATED)
                assert one.content.count(b"Received:") == 2

    serve(test)


def test_postfix_as_next_hop(serve):
    """Postfix takes what we relay, over connections that are used again, and hands it on whole."""

    async def test(house):
        async with running(house.hop.port) as port:
            house.take(queues=f"[queue.default]\nrouting_domain = '[127.0.0.1]:{port}'\n")
            client = await house.connect()
            for number in range(5):
                await client.send(SENDER, f"b{number}@elsewhere.example", content=DATED)
            await house.wait_for("Delivery", 5)
            await house.hop.until(lambda: len(house.hop.taken) == 5)
            assert sorted(one.recipients[0] for one in house.hop.taken) == [
                f"b{number}@elsewhere.example" for number in range(5)
            ]
            assert all(one.content.endswith(DATED) for one in house.hop.taken)
            assert "queued as" in house.records("Delivery")[0]["response"]["content"]

    serve(test)


def test_smtp_source(serve):
    """Postfix's load generator has every message taken, and every one arrives."""

    async def test(house):
        host, port = house.address()
        command = ["smtp-source", "-s", "10", "-m", "200", "-l", "4096", "-f", SENDER, "-t", OUT]
        run = subprocess.run
        done = await asyncio.to_thread(run, [*command, f"{host}:{port}"], check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        await house.arrived(200)

    serve(test)
