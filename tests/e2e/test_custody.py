"""Custody (contract 4): what was answered 250 outlasts a kill; a full disk is 452 4.3.1, and heals."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager, suppress

import pytest

from angarium.log.writer import LogError
from angarium.net.accept import bind
from angarium.spool.errors import SpoolFull
from angarium.spool.store import Store
from angarium.testing.nexthop import NextHop
from tests.e2e.house import Client
from tests.e2e.mails import DSN

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"


class Server:
    """`angarium run` as a process of its own."""

    def __init__(self, folder, hop):
        with bind("127.0.0.1:0") as sock:
            self.port = sock.getsockname()[1]
        (folder / "main.toml").write_text(
            f'hostname = "mx.example.com"\n[[listener]]\nlisten = "127.0.0.1:{self.port}"\n'
            f'[policy]\nqueues = ["queues.toml"]\n[spool]\npath = "spool"\n'
        )
        (folder / "queues.toml").write_text(f"[queue.default]\nrouting_domain = '{hop.route}'\n")
        self._config = folder / "main.toml"

    @asynccontextmanager
    async def running(self):
        """Start it, and wait until it is ready; killed at the end."""
        code = "from angarium.cli import main; main()"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, "run", str(self._config), stderr=asyncio.subprocess.PIPE
        )
        try:
            said = b""
            while b"ready" not in said:
                line = await process.stderr.readline()
                assert line, said.decode()
                said += line
            drain = asyncio.create_task(process.stderr.read())
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await drain

    async def connect(self):
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        client.banner = await client.reply()
        return client


async def _send_until_it_ends(server, name, answered, changed):
    """Send one message after the other, and note the recipient of each that was answered 250."""
    client = await server.connect()
    number = 0
    try:
        await client.say("EHLO client.example")
        while True:
            recipient = f"{name}-{number}@elsewhere.example"
            number += 1
            answer = await client.send(SENDER, recipient)
            if answer.startswith("250"):
                answered.add(recipient)
                changed.set()
    except (AssertionError, IndexError, ConnectionError):
        return
    finally:
        changed.set()
        await client.close()


async def _load(server, process, number, end):
    """Ten clients send until `end(process)` has ended the server; returns who was answered 250."""
    answered, changed = set(), asyncio.Event()
    clients = [
        asyncio.create_task(_send_until_it_ends(server, f"{end.__name__}{client}", answered, changed))
        for client in range(10)
    ]
    while len(answered) < number:
        changed.clear()
        await changed.wait()
        assert not any(client.done() for client in clients), "a client was turned away"
    end(process)
    await asyncio.gather(*clients)
    return answered


def killed(process):
    process.kill()


def terminated(process):
    process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("end", [killed, terminated])
def test_nothing_answered_250_is_lost(tmp_path, end):
    """A server killed, or told to stop, under load delivers after its next start whatever it had not."""

    async def main():
        async with asyncio.timeout(60), NextHop() as hop:
            server = Server(tmp_path, hop)
            async with server.running() as process:
                answered = await _load(server, process, 500, end)
                status = await process.wait()
            assert status == (0 if end is terminated else -signal.SIGKILL)
            async with server.running() as process:
                await hop.until(lambda: answered <= {one.recipients[0] for one in hop.taken}, limit=30)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            arrived = [one.recipients[0] for one in hop.taken]
            if end is terminated:
                assert len(arrived) == len(set(arrived)), "delivered twice"
                assert set(arrived) == answered, "delivered without an answer"

    asyncio.run(main())


def test_a_second_server_on_the_same_spool(serve):
    """The spool is locked: a second server refuses to start."""

    async def test(house):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from angarium.cli import main; main()",
            "run",
            str(house.folder / "main.toml"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode != 0
        assert b"Traceback" not in said

    serve(test)


@pytest.fixture
def small_disk(tmp_path):
    """A small file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount a small file system here")
    yield Disk(folder)
    subprocess.run(["umount", "-l", folder], check=True)


class Disk:
    """A folder that can be filled, and be emptied again."""

    def __init__(self, folder):
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, leave=0):
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        os.truncate(self._filler, self._filler.stat().st_size - leave)

    def empty(self):
        self._filler.unlink()


def _look_now(house):
    """The free space is looked at once a second: look now."""
    house.shard.store._look_at = 0.0


def test_a_full_disk(serve, small_disk):
    """Below `min_free_space`: 452 4.3.1 and a Rejection, no new session; with room again, mail goes on."""

    async def test(house):
        client = await house.connect()
        assert (await client.send(SENDER, OUT)).startswith("250")
        small_disk.fill()
        _look_now(house)
        assert (await client.send(SENDER, OUT)).startswith("452 4.3.1")
        assert house.records("Rejection")[0]["response"]["code"] == 452
        assert (await house.connect(greet=False)).banner.startswith("421 4.3.1")
        small_disk.empty()
        _look_now(house)
        assert (await client.send(SENDER, OUT)).startswith("250")
        await house.arrived(2)
        assert (await house.connect(greet=False)).banner.startswith("220")

    spool = f'path = "{small_disk.folder}"\nsegment_size = "1 MiB"\nmin_free_space = "4 MiB"'
    serve(test, spool=spool)


def test_logs_with_little_room(serve, small_disk):
    """Below `min_free_space` on the disk of the logs nothing more is taken; what was taken is recorded."""

    async def test(house):
        client = await house.connect()
        assert (await client.send(SENDER, OUT)).startswith("250")
        small_disk.fill(leave=2 << 20)
        house.shard.writer._look_at = 0.0
        assert (await client.send(SENDER, OUT)).startswith("452 4.3.1")
        assert (await house.connect(greet=False)).banner.startswith("421 4.3.1")
        await house.arrived(1)
        small_disk.empty()
        house.shard.writer._look_at = 0.0
        assert (await client.send(SENDER, OUT)).startswith("250")
        await house.arrived(2)

    serve(test, spool='path = "spool"\nmin_free_space = "4 MiB"', log_dir=f"{small_disk.folder}/logs")


def test_two_contents_and_room_for_one(serve):
    """Where the second of two contents cannot be put, the first is taken back: the client was told 452."""

    async def test(house):
        client = await house.connect()
        store, puts = house.shard.store, []

        def put(content, messages):
            puts.append(messages)
            if len(puts) == 2:
                raise SpoolFull("no room for the second")
            return Store.put(store, content, messages)

        store.put = put
        await client.begin(SENDER, "one@far.example", "two@far.example")
        assert (await client.content()).startswith("452 4.3.1")
        del store.put
        await house.restart()
        assert len(house.shard.scheduler) == 0
        assert house.kinds() == ["Rejection"]

    program = """
@policy.on
def smtp_server_message_received(message, conn_meta):
    message.remove_header("Subject")
"""
    serve(test, program=program)


def test_a_surprise_in_delivery(serve):
    """Whatever goes wrong behind the spool, a message in custody is answered 250 and tried again later."""

    async def test(house):
        client = await house.connect()
        dispatcher = house.shard.dispatcher

        def dispatch(message):
            raise RuntimeError("surprise")

        dispatcher.dispatch = dispatch
        assert (await client.send(SENDER, OUT)).startswith("250")
        del dispatcher.dispatch
        [message] = house.shard.scheduler
        assert message.is_waiting
        assert house.shard.scheduler.retry_now(message)
        await house.arrived()

    serve(test)


def test_a_commit_that_takes_too_long(serve):
    """A time limit that ends while the disk is slow takes the message back: told 451, it is not delivered."""

    async def test(house):
        client = await house.connect()
        store = house.shard.store

        def commit():
            Store.commit(store)
            return asyncio.get_running_loop().create_future()

        store.commit = commit
        assert (await client.send(SENDER, OUT)).startswith("451 4.4.5")
        del store.commit
        await house.restart()
        assert len(house.shard.scheduler) == 0
        assert house.hop.taken == []

    serve(test, listener='data_processing_timeout = "50ms"')


def test_a_log_that_cannot_be_written(serve, small_disk):
    """Trouble with the log is 452 4.3.1 too: no report is answered 250 that nobody would hear of."""

    async def test(house):
        client = await house.stranger()
        small_disk.fill()
        await client.begin(SENDER, OUT)
        with pytest.raises(LogError):
            await house.shard.writer.sync()
        await client.say("RSET")
        assert (await client.send("", "b@customer.example", content=DSN)).startswith("452 4.3.1")
        small_disk.empty()
        await house.shard.writer.sync()
        assert (await client.send("", "b@customer.example", content=DSN)).startswith("250")

    serve(test, domains=OOB, log_dir=small_disk.folder, checks_log=False)


OOB = '["customer.example"]\nlog_oob = true\n'


def test_a_report_outlasts_a_kill(serve):
    """The records of a report that was answered 250 are in the spool until the log has them."""

    async def test(house):
        client = await house.stranger()
        writer = house.shard.writer
        kept = asyncio.get_running_loop().create_future()
        writer.sync = lambda: kept
        assert (await client.send("", "b@customer.example", content=DSN)).startswith("250")
        kept.set_exception(LogError("the server ends before the log has it"))
        del writer.sync
        house.seen.clear()
        await house.restart()
        assert house.kinds() == ["Reception", "OOB"]
        await house.restart()
        assert house.kinds() == ["Reception", "OOB"]

    serve(test, domains=OOB, checks_log=False)


def test_content_cannot_continue_our_trace(serve):
    """Content that begins with white space is a body: its first line does not join our Received field."""

    async def test(house):
        client = await house.connect()
        for start in (b" ", b"\t"):
            await client.send(
                "a@customer.example", "b@elsewhere.example", content=start + b"for <x>\r\nx: y\r\n"
            )
        for one, start in zip(await house.arrived(2), (b" ", b"\t"), strict=True):
            assert one.content.endswith(b"\r\n\r\n" + start + b"for <x>\r\nx: y\r\n")

    serve(test)
