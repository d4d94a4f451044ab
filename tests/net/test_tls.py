"""TLS on a connection, on both event loops: handshakes, facts, names, failures, ends."""

import asyncio
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
import uvloop

from angarium.net.connection import (
    Connection,
    ConnectionTrouble,
    HandshakeFailed,
    TimedOut,
    accepted,
    connect,
)
from angarium.net.tls import KeyPair, TlsError, self_signed, server_context

AUTHORITY = trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    def runner(coroutine):
        async def limited():
            async with asyncio.timeout(10):
                return await coroutine

        with asyncio.Runner(loop_factory=request.param) as loop:
            return loop.run(limited())

    return runner


def key_pair(folder, *names, authority=AUTHORITY):
    path = folder / f"{names[0]}.pem"
    authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(path)
    return KeyPair(str(path), str(path), names)


def client_context(authority=AUTHORITY):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@asynccontextmanager
async def pair():
    """The server's Connection, and a Connection of ours as its client."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        client, (sock, _) = await asyncio.gather(
            connect("127.0.0.1", listening.getsockname()[1], limit=5), loop.sock_accept(listening)
        )
        sock.setblocking(False)
        server = await accepted(sock)
    try:
        yield server, client
    finally:
        server.abort()
        client.abort()


async def shake(server, client, context, name="mx.example.com", trust=None):
    return await asyncio.gather(
        server.start_tls(context, 5),
        client.start_tls(trust or client_context(), 5, server_name=name, server=False),
        return_exceptions=True,
    )


async def receive(connection, size):
    data = b""
    while len(data) < size:
        piece = await connection.receive(5)
        assert piece, "the end came early"
        data += piece
    return data


def test_octets_go_both_ways(run, folder):
    """After the handshake everything arrives as it was sent, however large, and the facts are known."""

    async def test():
        async with pair() as (server, client):
            context = server_context([key_pair(folder, "mx.example.com")])
            facts, _ = await shake(server, client, context)
            assert facts.version == "TLSv1.3"
            assert facts.cipher.startswith("TLS_")
            big = os.urandom(3_000_000)
            client.write_parts([b"begin ", memoryview(big)])
            assert await receive(server, len(big) + 6) == b"begin " + big
            server.write(b"thanks")
            assert await receive(client, 6) == b"thanks"

    run(test())


def test_the_end_is_told(run, folder):
    """A close is an end of input at the other side, after everything that was written before."""

    async def test():
        async with pair() as (server, client):
            await shake(server, client, server_context([key_pair(folder, "mx.example.com")]))
            client.write(b"last words")
            client.close()
            assert await receive(server, 10) == b"last words"
            assert await server.receive(5) == b""

    run(test())


@pytest.mark.parametrize("asked", ["mx.example.com", "a.example.org", "www.example.net"])
def test_the_certificate_has_the_name_that_was_asked_for(run, folder, asked):
    """Of several certificates the one with the name is shown; wildcards count."""

    async def test():
        async with pair() as (server, client):
            pairs = [
                key_pair(folder, name) for name in ("mx.example.com", "*.example.org", "www.example.net")
            ]
            facts, error = await shake(server, client, server_context(pairs), asked)
            assert facts.version == "TLSv1.3", error

    run(test())


def test_an_unknown_name_gets_the_first_certificate(run, folder):
    """A client that asks for another name sees the first certificate, and may go on if it does not care."""

    async def test():
        async with pair() as (server, client):
            pairs = [key_pair(folder, "mx.example.com"), key_pair(folder, "www.example.net")]
            trust = client_context()
            trust.check_hostname = False
            facts, error = await shake(server, client, server_context(pairs), "who.example", trust)
            assert facts.version == "TLSv1.3", error

    run(test())


@pytest.mark.parametrize("requires", [False, True])
@pytest.mark.parametrize("certificate", [None, "known", "foreign"])
def test_client_certificates(run, folder, requires, certificate):
    """Required ones must be there, a strange authority's is always refused, a good one's subject known."""

    async def test():
        authority = folder / "ca.pem"
        AUTHORITY.cert_pem.write_to_path(authority)
        trust = client_context()
        if certificate:
            issuer = AUTHORITY if certificate == "known" else trustme.CA()
            issuer.issue_cert("client.example", common_name="client.example").configure_cert(trust)
        async with pair() as (server, client):
            keys = [key_pair(folder, "mx.example.com")]
            context = server_context(keys, str(authority), requires_client=requires)
            facts, _ = await shake(server, client, context, trust=trust)
            if certificate == "foreign" or (certificate is None and requires):
                assert isinstance(facts, HandshakeFailed)
                assert await _is_gone(server)
            else:
                assert ("CN=client.example" in facts.peer_subject) == (certificate == "known")

    run(test())


async def _is_gone(connection: Connection):
    try:
        return await connection.receive(5) == b""
    except ConnectionTrouble:
        return True


def test_garbage_is_no_handshake(run, folder):
    """What is not TLS ends the connection: there is no way back to clear text."""

    async def test():
        async with pair() as (server, client):
            client.write(b"EHLO client.example\r\nMAIL FROM:<a@example.com>\r\n")
            with pytest.raises(HandshakeFailed):
                await server.start_tls(server_context([key_pair(folder, "mx.example.com")]), 5)
            assert server.is_closed

    run(test())


def test_input_before_the_handshake_ends_it(run, folder):
    """Octets that were there before the handshake began are never taken for encrypted ones."""

    async def test():
        async with pair() as (server, client):
            client.write(b"NOOP\r\n")
            while not server.has_input:  # noqa: ASYNC110 - the loop reads, nothing tells us
                await asyncio.sleep(0)
            with pytest.raises(HandshakeFailed, match="before the handshake"):
                await server.start_tls(server_context([key_pair(folder, "mx.example.com")]), 5)

    run(test())


def test_a_silent_client_is_not_waited_for(run, folder):
    """The handshake has one limit for the whole of it."""

    async def test():
        async with pair() as (server, client):
            client.write(b"\x16\x03\x01")
            with pytest.raises(TimedOut):
                await server.start_tls(server_context([key_pair(folder, "mx.example.com")]), 0.01)

    run(test())


def test_a_client_that_leaves(run, folder):
    """A client that leaves in the middle of a handshake makes it fail at once."""

    async def test():
        async with pair() as (server, client):
            client.close()
            with pytest.raises(HandshakeFailed):
                await server.start_tls(server_context([key_pair(folder, "mx.example.com")]), 5)

    run(test())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(run, folder):
    """TLS 1.1 is not spoken."""

    async def test():
        async with pair() as (server, client):
            trust = client_context()
            trust.minimum_version = ssl.TLSVersion.TLSv1
            trust.maximum_version = ssl.TLSVersion.TLSv1_1
            trust.set_ciphers("ALL:@SECLEVEL=0")
            results = await shake(
                server, client, server_context([key_pair(folder, "mx.example.com")]), trust=trust
            )
            assert isinstance(results[0], HandshakeFailed)

    run(test())


def test_tls_12_is_spoken(run, folder):
    """A client that knows TLS 1.2 only is served."""

    async def test():
        async with pair() as (server, client):
            trust = client_context()
            trust.maximum_version = ssl.TLSVersion.TLSv1_2
            facts, _ = await shake(
                server, client, server_context([key_pair(folder, "mx.example.com")]), trust=trust
            )
            assert facts.version == "TLSv1.2"

    run(test())


def test_a_certificate_of_our_own_making(tmp_path):
    """It is made once, serves its name, and nobody else can read its key."""
    keys, made = self_signed(tmp_path / "tls", "mx.example.com")
    assert made
    path = tmp_path / "tls" / "mx.example.com.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    before = path.read_bytes()
    assert self_signed(tmp_path / "tls", "mx.example.com") == (keys, False)
    assert path.read_bytes() == before
    server_context([keys])


def test_a_certificate_that_ends_is_made_anew(tmp_path):
    """A month before its end there is a new one."""
    self_signed(tmp_path, "mx.example.com")
    later = datetime.now(UTC) + timedelta(days=3640)
    assert self_signed(tmp_path, "mx.example.com", later)[1]


def test_workers_make_one_certificate(tmp_path):
    """However many begin at once, one of them makes the certificate, and all show it."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: self_signed(tmp_path / "tls", "mx.example.com"), range(8)))
    assert sorted(is_new for _, is_new in made) == [False] * 7 + [True]


def test_files_that_are_no_certificates(tmp_path):
    """What cannot be used is told with its name."""
    (tmp_path / "no.pem").write_text("nothing\n")
    with pytest.raises(TlsError, match=r"no\.pem"):
        server_context([KeyPair(str(tmp_path / "no.pem"), str(tmp_path / "no.pem"))])
    with pytest.raises(TlsError, match=r"gone\.pem"):
        server_context([KeyPair(str(tmp_path / "gone.pem"), str(tmp_path / "gone.pem"))])
