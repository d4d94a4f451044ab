"""Attackers at a running server: an honest client beside them is served, and the memory stays small."""

import asyncio
import base64
from contextlib import asynccontextmanager, suppress

import pytest

from tests.e2e.house import STRANGER
from tests.e2e.test_idle_connections import CONFIGURATION, MAX_LATENCY, _honest, _resident
from tests.tools.program import running

MAX_GROWTH = 64 * 1000 * 1000
"""Octets of memory that an attack may cost."""
ROUNDS = 20
USERS = (
    '"anna" = "SCRAM-SHA-256$4096:lC2bG7OHzXP6qp+067Kr1g=='
    '$C6G/BXP8EluRVvOK45u6CowuzJFql5eEodmX/ICnjYM=:PcRdO5YuP+O0p4D3GQ6buYt0SQ2gPEsMlGKXp2wRi9s="\n'
)
LISTENER = """\
allow_plaintext_auth = true
[policy]
users = ["users.toml"]
[log]
headers = ["Subject", "X-*"]
dir"""


async def recipients(port):
    """A hundred thousand recipients, and again."""
    while True:
        await _say(port, b"MAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<b@c.example>\r\n" * 100_000)


async def one_large_transaction(port):
    """As many recipients as a message may have, and content for all of them."""
    envelope = b"MAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<b@c.invalid>\r\n" * 1024
    await _say(port, envelope + b"DATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n")
    await asyncio.Event().wait()


async def tiny_fields(port):
    """Header sections of eight megabytes in fields of two octets, and large ones for many recipients."""
    begin = b"MAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<b@c.invalid>\r\n" * 200 + b"DATA\r\n"
    refused, taken = b"a:\r\n" * 2_000_000, b"a:\r\n" * 9_999 + b"\r\nx"
    while True:
        await _say(port, b"".join([begin, refused, b".\r\n", begin, taken, b"\r\n.\r\nQUIT\r\n"]))


async def wrong_places(port):
    """Commands that are refused, without end, each with its record."""
    while True:
        await _say(port, b"DATA\r\n" * 100_000)


async def guesses(port):
    """Passwords, from one network, as many as it may try."""
    guess = base64.b64encode(b"\0anna\0guess")
    while True:
        await _say(port, b"AUTH PLAIN " + guess + b"\r\n", source=STRANGER)


async def broken_off(port):
    """Content that is broken off, four megabytes of it a time, by DATA and by BDAT."""
    begin = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<b@c.invalid>\r\n"
    while True:
        for command in (b"DATA\r\n", b"BDAT 4000000\r\n"):
            async with _connected(port) as (_, writer):
                writer.write(begin + command + (b"x" * 78 + b"\r\n") * 50_000)
                await writer.drain()


async def trickles(port):
    """Forty sessions of content, an octet at a time."""
    begin = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<b@c.example>\r\nDATA\r\n"
    await asyncio.gather(*(_trickle(port, begin) for _ in range(40)))


async def handshakes(port):
    """Forty TLS handshakes, an octet at a time."""
    await asyncio.gather(*(_trickle(port, b"EHLO client.example\r\nSTARTTLS\r\n") for _ in range(40)))


async def _trickle(port, begin):
    async with _connected(port) as (_, writer):
        writer.write(begin)
        for octet in (b"\x16\x03\x01\x02\0" + bytes(512)) * 100:
            writer.write(bytes([octet]))
            await asyncio.sleep(0.01)


async def _say(port, octets, source="127.0.0.1"):
    """Say it all, and read until the server ends the session."""
    async with _connected(port, source) as (reader, writer):
        writer.write(b"EHLO client.example\r\n" + octets)
        while await reader.read(65536):
            pass


@asynccontextmanager
async def _connected(port, source="127.0.0.1"):
    """A connection that is closed whatever happens; that the server cuts it off is no surprise."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield reader, writer
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):  # here alone: it must not stand in for the end that a test asks for
            await writer.wait_closed()


@pytest.mark.parametrize(
    "attack",
    [recipients, one_large_transaction, tiny_fields, broken_off, wrong_places, guesses, trickles, handshakes],
)
def test_an_honest_client_beside(tmp_path, attack):
    """It is greeted and answered in time, again and again, and the attack costs bounded memory."""
    (tmp_path / "angarium.toml").write_text(CONFIGURATION.replace("[log]\ndir", LISTENER))
    (tmp_path / "users.toml").write_text(USERS)
    (tmp_path / "users.toml").chmod(0o600)
    with running("run", str(tmp_path / "angarium.toml")) as process:
        for line in process.stderr:
            if "listening on" in line:
                port = int(line.split("listening on ")[1].rpartition(":")[2])
                break
        asyncio.run(_beside(attack, port, process.pid))


async def _beside(attack, port, pid):
    await _honest(port)
    before = _resident(pid)
    attacker = asyncio.create_task(attack(port))
    for _ in range(ROUNDS):
        assert await _honest(port) < MAX_LATENCY
        await asyncio.sleep(0.05)
    assert not attacker.done()
    assert _resident(pid) - before < MAX_GROWTH
    attacker.cancel()
    with suppress(asyncio.CancelledError):
        await attacker
