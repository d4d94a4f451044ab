"""PROXY headers and XCLIENT: believed from the listed alone, and everything learnt before is forgotten."""

import asyncio
import struct

import pytest
import trustme

from tests.e2e.house import STRANGER, Client
from tests.e2e.test_tls import trusting

IN, OUT = "a@customer.example", "b@elsewhere.example"
PROXY = f'proxy_hosts = ["127.0.0.9", "{STRANGER}"]\n'
XCLIENT = f'xclient_hosts = ["{STRANGER}"]\n'
LOGGED = 'meta = ["*"]'


def v1(source="192.0.2.1", destination="198.51.100.1", family="TCP4"):
    return f"PROXY {family} {source} {destination} 56324 25\r\n".encode()


def v2(source=bytes([192, 0, 2, 1]), destination=bytes([198, 51, 100, 1]), command=0x21):
    family = 0x11 if len(source) == 4 else 0x21
    body = source + destination + struct.pack("!HH", 56324, 25)
    return b"\r\n\r\n\0\r\nQUIT\n" + bytes([command, family]) + struct.pack("!H", len(body)) + body


async def proxied(house, header, *, source=STRANGER, listener=0):
    """A client whose connection begins with a header."""
    host, port = house.address(listener)
    client = Client(*await asyncio.open_connection(host, port, local_addr=(source, 0)))
    house.keep(client)
    client.write(header)
    client.banner = await client.reply()
    return client


MAPPED = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1])


@pytest.mark.parametrize(
    "header",
    [v1(), v2(), v2(MAPPED, MAPPED), v1("::ffff:192.0.2.1", "::ffff:198.51.100.1", "TCP6")],
    ids=["v1", "v2", "v2 mapped", "v1 mapped"],
)
def test_the_client_behind_a_balancer(serve, header):
    """Rights, options, records and Received are those of the client; IPv4-mapped addresses are IPv4."""

    async def test(house):
        client = await proxied(house, header)
        assert client.banner.startswith("220")
        assert (await client.begin(IN, OUT))[0].startswith("250")
        await client.content()
        [record] = house.records("Reception")
        assert record["peer_address"]["addr"] == "192.0.2.1"
        assert record["meta"]["received_from"] == "192.0.2.1:56324"
        assert record["meta"]["orig_received_from"].startswith(f"{STRANGER}:")
        assert record["meta"]["orig_received_via"] == "{}:{}".format(*house.address())
        assert record["meta"]["colour"] == "red"
        assert "proxy" not in record["meta"]
        [taken] = await house.arrived()
        assert b"(192.0.2.1)" in taken.content

    overlays = (
        f'[listener.peer."{STRANGER}"]\nmeta = {{proxy = "yes"}}\nrelay_hosts = []\n'
        '[listener.peer."192.0.2.0/24"]\nmeta = {colour = "red"}\n'
    )
    serve(test, listener=PROXY + 'relay_hosts = ["192.0.2.0/24"]\n' + overlays, log=LOGGED)


def test_a_balancer_has_no_rights_of_its_own_for_its_clients(serve):
    """That the balancer itself may relay says nothing of whom it brings."""

    async def test(house):
        client = await proxied(house, v1())
        assert (await client.begin(IN, OUT))[0].startswith("550 5.7.1")

    serve(test, listener=PROXY + f'relay_hosts = ["{STRANGER}"]')


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", v2(command=0x20), v1("0.0.0.0", "0.0.0.0")])
def test_a_balancer_that_does_not_know(serve, header):
    """Its own address stays (a health check, for one)."""

    async def test(house):
        client = await proxied(house, header)
        await client.begin(IN, OUT)
        [record] = house.records("Rejection")
        assert record["peer_address"]["addr"] == STRANGER

    serve(test, listener=PROXY)


def test_sections_belong_to_the_listener_that_accepted(serve):
    """What the header says of the destination changes neither listener nor sections (contract 2.2)."""

    async def test(house):
        client = await proxied(house, v1(destination="127.0.0.1"))
        assert (await client.begin("x@stranger.example", "b@inside.example"))[0].startswith("250")
        assert house.configuration.listeners[0].host == "127.0.0.1"

    domains = '[listener."127.0.0.1"."inside.example"]\nrelay_to = true\n'
    serve(test, listener=PROXY + "relay_hosts = []", domains=domains)


@pytest.mark.parametrize(
    "header", [b"EHLO client.example\r\n", b"PROXY TCP4 a b 1 2\r\n", b"\x16\x03\x01" * 40]
)
def test_a_listed_peer_must_send_a_header(serve, header):
    """Without one there is no session, and a record says so."""

    async def test(house):
        client = await proxied(house, header)
        assert client.banner.startswith("421")
        assert await client.is_closed()
        assert [record["type"] for record in house.seen] == ["Rejection"]

    serve(test, listener=PROXY)


@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_an_unlisted_peer_is_closed(serve, header):
    """A stranger that claims to speak for somebody is cut off, and recorded under its own address."""

    async def test(house):
        client = await house.connect("127.0.0.3", greet=False)
        client.write(header + b"EHLO client.example\r\n")
        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.is_closed()
        [record] = house.records("Rejection")
        assert record["peer_address"]["addr"] == "127.0.0.3"

    serve(test, listener=PROXY)


def test_an_unlisted_peer_is_closed_whatever_the_pieces(serve):
    """A header that comes in pieces, answered like bad commands so far, is the same attempt."""

    async def test(house):
        client = await house.stranger(greet=False)
        client.write(v2()[:6])
        assert (await client.reply()).startswith("501")
        assert (await client.reply()).startswith("501")
        client.write(v2()[6:])
        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.is_closed()
        assert house.records("Rejection")[-1]["response"]["code"] == 421

    serve(test)


def test_a_header_before_implicit_tls(serve, tmp_path):
    """The header comes in clear text, the handshake behind it, even in one piece."""
    authority = trustme.CA()
    authority.issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "mx.pem")
    (tmp_path / "mx.pem").chmod(0o600)

    async def test(house):
        host, port = house.address()
        reader, writer = await asyncio.open_connection(host, port, local_addr=(STRANGER, 0))
        writer.write(v1())
        await writer.start_tls(trusting(authority), server_hostname="mx.example.com")
        client = Client(reader, writer)
        assert (await client.reply()).startswith("220")
        await client.close()

    serve(test, listener=PROXY + 'tls = "implicit"\ntls_certificate = "mx.pem"')


def test_a_header_in_a_peer_overlay(serve):
    """The reference's boolean asks the peers of its overlay for a header, and no others."""

    async def test(house):
        assert (await proxied(house, v1())).banner.startswith("220")
        assert (await house.connect("127.0.0.3")).banner.startswith("220")

    serve(test, listener=f'[listener.peer."{STRANGER}"]\nrequire_proxy_protocol = true\n')


# XCLIENT


def test_xclient(serve):
    """A greeting is the answer; peer, destination, options and rights are those of the client it tells."""

    async def test(house):
        client = await house.stranger()
        assert "XCLIENT ADDR PORT DESTADDR DESTPORT" in await client.say("EHLO proxy.example")
        answer = await client.say("XCLIENT ADDR=192.0.2.7 PORT=55 DESTADDR=198.51.100.1 DESTPORT=2525")
        assert answer == "220 mx.example.com Welcome"
        assert (await client.begin(IN, OUT))[0].startswith("250")
        await client.content()
        [record] = house.records("Reception")
        assert record["peer_address"] == {"name": "", "addr": "192.0.2.7"}
        meta = record["meta"]
        assert (meta["received_from"], meta["received_via"]) == ("192.0.2.7:55", "198.51.100.1:2525")
        assert meta["orig_received_from"].startswith(STRANGER)
        assert "ehlo_domain" not in meta

    overlay = '[listener.peer."192.0.2.0/24"]\nbanner = "Welcome"\n'
    serve(test, listener=XCLIENT + 'relay_hosts = ["192.0.2.0/24"]\n' + overlay, log=LOGGED)


def test_xclient_in_ipv6(serve):
    """`IPV6:` forms are understood; what is not known stays as it is (W25)."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say("XCLIENT ADDR=IPV6:2001:db8::1 PORT=[UNAVAILABLE]")).startswith("220")
        await client.begin(IN, OUT)
        assert house.records("Rejection")[0]["peer_address"]["addr"] == "2001:db8::1"

    serve(test, listener=XCLIENT)


def test_xclient_forgets(serve):
    """Who authenticated before, and the proxy's own right to say XCLIENT, count no more (W9)."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say("AUTH PLAIN AGFubmEAcmlnaHQ=")).startswith("235")
        assert (await client.say("XCLIENT ADDR=192.0.2.7")).startswith("220")
        assert (await client.begin(IN, OUT))[0].startswith("550 5.7.1")
        await client.say("RSET")
        assert (await client.say("AUTH PLAIN AGFubmEAcmlnaHQ=")).startswith("235")
        assert (await client.begin(IN, OUT))[0].startswith("250")
        await client.say("RSET")
        assert (await client.say("XCLIENT ADDR=127.0.0.1")).startswith("550")
        assert await client.is_closed()

    program = "@policy.on\ndef smtp_server_auth_plain(authz, authn, password, conn_meta):\n    return True\n"
    domains = '["customer.example"]\nrelay_from_authz = ["anna"]\n'
    serve(test, listener=XCLIENT + "allow_plaintext_auth = true", program=program, domains=domains)


def test_xclient_in_a_transaction(serve):
    """It cannot stand in one."""

    async def test(house):
        client = await house.stranger()
        await client.say("MAIL FROM:<a@customer.example>")
        assert (await client.say("XCLIENT ADDR=127.0.0.1")).startswith("503")

    serve(test, listener=XCLIENT)


def test_a_handler_may_refuse_whom_xclient_brings(serve):
    """One reply, and the session is over (W25)."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say("XCLIENT ADDR=192.0.2.7")).startswith("554 5.7.1 not you")
        assert await client.is_closed()

    program = """
@policy.on
def smtp_server_connection_accepted(conn_meta):
    if str(conn_meta.peer.ip) == "192.0.2.7":
        reject(554, "5.7.1 not you")
"""
    serve(test, listener=XCLIENT, program=program)


@pytest.mark.parametrize("said", ["[UNAVAILABLE]", "[tempunavail]"])
def test_xclient_of_a_client_that_nobody_knows(serve, said):
    """A proxy that may relay itself lends its rights to nobody whose address it does not know."""

    async def test(house):
        client = await house.connect("127.0.0.9")
        assert (await client.begin(IN, OUT))[0].startswith("250")
        await client.say("RSET")
        assert (await client.say(f"XCLIENT ADDR={said}")).startswith("220")
        await client.say("EHLO client.example")
        assert (await client.begin(IN, OUT))[0].startswith("550 5.7.1")
        assert house.records("Rejection")[-1]["peer_address"]["addr"] == "0.0.0.0"

    serve(test, listener='relay_hosts = ["127.0.0.9"]\nxclient_hosts = ["127.0.0.9"]\n')


def test_xclient_from_an_unlisted_peer(serve):
    """It is not offered; the attempt ends the session and is recorded."""

    async def test(house):
        client = await house.connect()
        assert "XCLIENT" not in await client.say("EHLO client.example")
        assert (await client.say("XCLIENT ADDR=127.0.0.1")).startswith("550")
        assert await client.is_closed()
        [record] = house.records("Rejection")
        assert record["response"]["command"].startswith("XCLIENT")

    serve(test, listener=XCLIENT)
