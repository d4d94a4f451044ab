"""TLS at the door: STARTTLS, implicit TLS, certificates, what is forgotten, what is recorded."""

import asyncio
import ssl

import pytest
import trustme

from angarium.policy.config import ListenerOptions
from angarium.reception.keyring import Keyring
from tests.e2e.house import Client

AUTHORITY = trustme.CA()
NOBODY = "b@elsewhere.example"


def trusting(authority=AUTHORITY):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def certificate(tmp_path):
    """Writes the files of a certificate, and gives the options that name it."""

    def writer(*names, authority=AUTHORITY):
        names = names or ("mx.example.com",)
        authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(tmp_path / "mx.pem")
        (tmp_path / "mx.pem").chmod(0o600)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        return 'tls_certificate = "mx.pem"\n'

    return writer


async def encrypted(house, context=None, **options):
    """A client that speaks TLS after STARTTLS."""
    client = await house.connect(**options)
    assert (await client.start_tls(context or trusting())).startswith("220")
    assert (await client.say("EHLO client.example")).startswith("250")
    return client


def test_starttls(serve, certificate):
    """Mail that comes after STARTTLS says so in Received and in its record."""

    async def test(house):
        client = await house.connect()
        assert "STARTTLS" in (await client.say("EHLO client.example")).replace("-", " ").split()
        await client.start_tls(trusting())
        offered = (await client.say("EHLO client.example")).replace("-", " ").split()
        assert "STARTTLS" not in offered
        await client.send("a@customer.example", NOBODY)
        [taken] = await house.arrived()
        assert b"with ESMTPS (TLSv1.3:TLS_" in taken.content
        [record] = house.records("Reception")
        assert record["tls_protocol_version"] == "TLSv1.3"
        assert record["tls_cipher"].startswith("TLS_")
        assert "tls_peer_subject_name" not in record

    serve(test, listener=certificate())


def test_nothing_survives_the_handshake(serve, certificate):
    """The name, the transaction and what handlers learnt in clear text are gone; EHLO comes again (W1)."""

    async def test(house):
        client = await house.connect()
        await client.begin("a@customer.example", NOBODY)
        await client.start_tls(trusting())
        assert (await client.say("RCPT TO:<c@elsewhere.example>")).startswith("503")
        assert (await client.say("DATA")).startswith("503")
        await client.send("a@customer.example", NOBODY)
        [record] = house.records("Reception")
        assert record["helo"] == ""
        assert record["meta"] == {"received_from": record["meta"]["received_from"], "accepted": "yes"}

    program = """
@policy.on
def smtp_server_connection_accepted(conn_meta):
    conn_meta.meta["accepted"] = "yes"

@policy.on
def smtp_server_ehlo(domain, conn_meta):
    conn_meta.meta["said"] = domain
"""
    wanted = 'meta = ["said", "accepted", "ehlo_domain", "received_from"]'
    serve(test, listener=certificate(), program=program, log=wanted)


def test_input_with_starttls_ends_the_session(serve, certificate):
    """Commands injected behind STARTTLS are never carried out: 421, closed, recorded."""

    async def test(house):
        client = await house.connect()
        client.write("STARTTLS\r\nMAIL FROM:<a@customer.example>\r\n")
        assert (await client.reply()).startswith("421")
        assert await client.is_closed()
        [record] = house.records("Rejection")
        assert record["response"]["code"] == 421

    serve(test, listener=certificate())


def test_a_failed_handshake_closes(serve, certificate):
    """There is no way back to clear text; the failure is recorded."""

    async def test(house):
        client = await house.connect()
        assert (await client.say("STARTTLS")).startswith("220")
        client.write("EHLO client.example\r\nMAIL FROM:<a@customer.example>\r\n")
        octets = b""
        while not octets.endswith(b"\r\n") and (piece := await client._reader.read(4096)):
            octets += piece
        assert b"250" not in octets
        [record] = house.records("Rejection")
        assert record["response"]["content"].startswith("TLS: ")

    serve(test, listener=certificate())


def test_a_silent_handshake_ends(serve_in_jumps, certificate):
    """A client that does not shake hands in time is cut off."""

    async def test(house):
        client = await house.connect()
        assert (await client.say("STARTTLS")).startswith("220")
        before = house.now()
        assert await client.is_closed()
        assert house.now() - before == pytest.approx(30, abs=1)
        assert house.records("Rejection")[-1]["limit"] == "tls_handshake_timeout"

    serve_in_jumps(test, listener=certificate())


def test_implicit_tls(serve, certificate):
    """The handshake comes first, then the greeting; STARTTLS is not offered."""

    async def test(house):
        host, port = house.address()
        reader, writer = await asyncio.open_connection(
            host, port, ssl=trusting(), server_hostname="mx.example.com"
        )
        client = Client(reader, writer)
        assert (await client.reply()).startswith("220")
        assert "STARTTLS" not in await client.say("EHLO client.example")
        await client.send("a@customer.example", NOBODY)
        [taken] = await house.arrived()
        assert b"with ESMTPS (TLS" in taken.content
        writer.close()

    serve(test, listener=certificate() + 'tls = "implicit"')


def test_clear_text_at_an_implicit_listener(serve, certificate):
    """A client that speaks SMTP to it is cut off, and recorded."""

    async def test(house):
        host, port = house.address()
        client = Client(*await asyncio.open_connection(host, port))
        client.write("EHLO client.example\r\n")
        assert b"220" not in await client._reader.read()
        [record] = house.records("Rejection")
        assert record["response"]["content"].startswith("TLS: ")
        await client.close()

    serve(test, listener=certificate() + 'tls = "implicit"')


def test_required(serve, certificate):
    """With `tls = "required"` MAIL waits for STARTTLS."""

    async def test(house):
        client = await house.connect()
        assert (await client.say("MAIL FROM:<a@customer.example>")).startswith("530 5.7.0")
        await client.start_tls(trusting())
        await client.say("EHLO client.example")
        assert (await client.say("MAIL FROM:<a@customer.example>")).startswith("250")

    serve(test, listener=certificate() + 'tls = "required"')


def test_off(serve):
    """With `tls = "off"` nothing is offered, and no certificate is made."""

    async def test(house):
        client = await house.connect()
        assert "STARTTLS" not in await client.say("EHLO client.example")
        assert (await client.say("STARTTLS")).startswith("502")
        assert not (house.folder / "spool" / "tls").exists()

    serve(test, listener='tls = "off"')


def test_without_a_certificate_one_is_made(serve, caplog):
    """It is said, kept for the next start, and unreadable to others."""

    async def test(house):
        path = house.folder / "spool" / "tls" / "mx.example.com.pem"
        assert path.stat().st_mode & 0o777 == 0o600
        assert "made a self-signed one" in caplog.text
        trust = ssl.create_default_context(cafile=str(path))
        trust.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        await encrypted(house, trust)

    serve(test)


@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("has_one", [False, True])
def test_client_certificates(serve, certificate, mode, has_one):
    """Required: no handshake without one. Optional: known when there is one."""

    async def test(house):
        context = trusting()
        if has_one:
            AUTHORITY.issue_cert("client.example", common_name="client.example").configure_cert(context)
        if mode == "required" and not has_one:
            client = await house.connect()
            # In TLS 1.3 the client learns of the refusal after its own part of the handshake.
            try:
                await client.start_tls(context)
                client.write("EHLO client.example\r\n")
                assert await client._reader.read() == b""
            except (ssl.SSLError, ConnectionError):
                pass
            return
        client = await encrypted(house, context)
        await client.send("a@customer.example", NOBODY)
        [record] = house.records("Reception")
        assert ("tls_peer_subject_name" in record) == has_one
        if has_one:
            assert "CN=client.example" in record["tls_peer_subject_name"]

    options = f'tls_client_ca = "ca.pem"\ntls_client_certificate = "{mode}"'
    serve(test, listener=certificate() + options)


def test_a_renewed_certificate(serve, certificate):
    """After a reload new sessions see the new certificate, and old ones go on."""

    async def test(house):
        old = await encrypted(house)
        renewed = trustme.CA()
        certificate(authority=renewed)
        house.take()
        await encrypted(house, trusting(renewed))
        await old.send("a@customer.example", NOBODY)
        client = await house.connect()
        with pytest.raises(ssl.SSLError):
            await client.start_tls(trusting())

    serve(test, listener=certificate())


def test_where_our_own_certificate_is_told(tmp_path, caplog):
    """The path of a certificate of our own making is told without detours."""
    (tmp_path / "etc").mkdir()
    Keyring(tmp_path / "etc" / ".." / "tls").prepare(
        [ListenerOptions(hostname="mx.example.com", relay_hosts=())]
    )
    assert f"made a self-signed one, {tmp_path.resolve()}/tls/mx.example.com.pem; " in caplog.text
