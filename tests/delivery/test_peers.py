"""Delivery to a next hop that others wrote: Postfix's smtp-sink."""

import asyncio
import os
import shutil
import socket
import time

import pytest

from angarium.delivery.outcome import Kind, Stage
from tests.delivery.delivery_house import House

SINK = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(SINK is None, reason="smtp-sink of Postfix is not installed"),
]


class Now:
    """The real clock: the peer lives in real time."""

    now = staticmethod(time.time)


def with_sink(test, *options, cwd):
    """Run `test(house, queue)` against a smtp-sink with these options."""

    async def main():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = await asyncio.create_subprocess_exec(
            SINK, *user, *options, f"127.0.0.1:{port}", "100", cwd=cwd
        )
        try:
            await listening(port)
            house = House(Now)
            try:
                return await test(house, house.queue(f"example.net![127.0.0.1]:{port}", connection_limit=2))
            finally:
                await house.dispatcher.drain(5)
        finally:
            process.terminate()
            await process.wait()

    return asyncio.run(main())


async def listening(port):
    """Wait until another process listens: it can tell nobody, so it is asked again and again."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                return


@pytest.mark.parametrize(
    "options", [(), ("-a",), ("-p",), ("-e",)], ids=lambda value: " ".join(value) or "plain"
)
def test_delivery(options, tmp_path):
    """Mail arrives with and without ESMTP, PIPELINING and 8BITMIME."""

    async def test(house, queue):
        return {outcome.kind for outcome in await house.deliver(queue, 30)}

    assert with_sink(test, *options, cwd=tmp_path) == {Kind.DELIVERED}


@pytest.mark.parametrize(
    ("options", "kind", "stage", "code"),
    [
        (("-f", "mail"), Kind.PERMANENT, Stage.MAIL, 500),
        (("-f", "rcpt"), Kind.PERMANENT, Stage.RCPT, 500),
        (("-r", "rcpt"), Kind.TRANSIENT, Stage.RCPT, 450),
        (("-f", "data"), Kind.PERMANENT, Stage.DATA, 500),
        (("-f", "."), Kind.PERMANENT, Stage.CONTENT, 500),
        (("-r", "."), Kind.TRANSIENT, Stage.CONTENT, 450),
        (("-Q", "mail"), Kind.TRANSIENT, Stage.MAIL, 421),
        (("-q", "rcpt"), Kind.TRANSIENT, Stage.RCPT, 451),
        (("-q", "connect"), Kind.TRANSIENT, Stage.BANNER, 451),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_refusals(options, kind, stage, code, tmp_path):
    """Refusals and broken connections have the outcome of their stage, also where several messages suffer."""

    async def test(house, queue):
        return {(o.kind, o.stage, o.reply.code) for o in await house.deliver(queue, 2)}

    assert with_sink(test, *options, cwd=tmp_path) == {(kind, stage, code)}


def test_content_arrives_octet_by_octet(tmp_path):
    """What smtp-sink has written down is what was sent, dots and all."""
    content = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nend\r\n"
    tmp_path.chmod(0o777)

    async def test(house, queue):
        await house.deliver(queue, content=content)

    with_sink(test, "-R", str(tmp_path), "-D", "dump", cwd=tmp_path)
    written = (tmp_path / "dump").read_bytes()
    assert content.replace(b"\r\n", b"\n") in written
