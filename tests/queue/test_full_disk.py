"""A spool on a full disk, with the real program: refusal, no corruption, recovery (issue 6, demand 10)."""

import asyncio
import contextlib
import json
import smtplib
import subprocess
import time

import pytest

from angarium.testing.nexthop import NextHop
from tests.cli.house import angarium, free_port
from tests.queue.killed import Server

SPACE = 24 << 20
BODY = b"Subject: large\r\n\r\n" + b"x" * 76 + (b"\r\n" + b"x" * 76) * 5000
DEAD = "[127.0.0.1]:1"


@pytest.fixture
def folder(tmp_path):
    """A folder whose spool is a small file system of its own."""
    spool = tmp_path / "spool"
    spool.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SPACE}", "tmpfs", str(spool)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(spool)], check=True)


def fill(port):
    """Send until nothing more is taken; returns how many messages were, and the last reply."""
    for number in range(1000):
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            try:
                client.sendmail("a@customer.example", f"b{number}@d{number % 2}.example", BODY)
            except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as refusal:
                return number, getattr(refusal, "smtp_code", None)
    raise AssertionError("the disk is not full yet")


def queued(config):
    return json.loads(angarium("queue", "list", "-c", config, "--json").stdout)["messages"]


def until(condition, limit=20.0):
    """Ask a real server again and again."""
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


async def play(server, port, config):
    """Fill the disk, be killed, end half of what waits, be killed, end the rest, take new mail."""
    await server.start()
    taken, code = await asyncio.to_thread(fill, port)
    assert (taken > 20, code) == (True, 452)
    await server.kill()
    await server.start()
    assert queued(config) == taken
    told = angarium("queue", "delete", "-c", config, "--domain", "d1.example", "--json").stdout
    deleted = json.loads(told)["count"]
    assert deleted
    await asyncio.to_thread(until, lambda: queued(config) == taken - deleted)
    await asyncio.sleep(0.2)  # the group commit of what has ended
    await server.kill()
    await server.start()
    assert queued(config) == taken - deleted
    angarium("queue", "delete", "-c", config, "--all")
    await asyncio.to_thread(until, lambda: fill(port)[0] > 5)
    assert await server.stop() == 0


def test_full_and_free_again(folder):
    """Nothing taken is lost; what ends stays ended, even where the server starts while the disk is full; and
    space that comes free is used without a restart.
    """

    async def main():
        port = free_port()
        server = Server(folder, f"127.0.0.1:{port}", DEAD)
        config = folder / "main.toml"
        small = "min_free_space = '1 MiB'\nsegment_size = '4 MiB'"
        config.write_text(config.read_text().replace("min_free_space = 1", small))
        try:
            await play(server, port, config)
        finally:
            await server.end()

    asyncio.run(main())


def fill_up(path):
    """Leave no octet free."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def deliver_with_no_room(server, hop, config, port):
    """Take mail, start anew on a disk without an octet, let all of it go, free the disk, be killed."""
    await server.start()
    angarium("queue", "suspend", "-c", config, "--all", "--name", "wait")
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        for number in range(5):
            client.sendmail("a@customer.example", f"b{number}@d.example", b"Subject: x\r\n\r\nx\r\n")
    await server.kill()
    filler = config.parent / "spool" / "filler"
    fill_up(filler)
    await server.start()
    angarium("queue", "cancel", "wait", "-c", config)
    rows = json.loads(angarium("queue", "list", "-c", config, "--domain", "d.example", "--json").stdout)
    assert [row["why"] for row in rows] == ["room in the spool, whose disk is full"] * 5
    assert not hop.taken
    filler.unlink()
    await hop.until(lambda: len(hop.taken) == 5, limit=30)
    await asyncio.sleep(0.2)  # the group commit of what has ended
    await server.kill()
    await server.start()
    assert (queued(config), len(hop.taken)) == (0, 5)
    assert await server.stop() == 0


def test_nothing_goes_twice_where_nothing_can_be_written(folder):
    """While a delivery's end could not be written down, none begins; when there is room, each goes once."""

    async def main():
        port = free_port()
        async with NextHop() as hop:
            server = Server(folder, f"127.0.0.1:{port}", hop.route)
            try:
                await deliver_with_no_room(server, hop, folder / "main.toml", port)
            finally:
                await server.end()

    asyncio.run(main())
