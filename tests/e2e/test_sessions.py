"""Listeners and sessions: their limits, their overlays, and how they end."""

import asyncio
import contextlib
import re
import socket

import pytest

from angarium.reception import session
from angarium.wire import events

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"


def test_several_listeners(serve):
    """Each has its own options; records name the listener and the local address."""

    async def test(house):
        first, second = await house.connect(), await house.connect(listener=1)
        assert (first.banner, second.banner) == ("220 mx.example.com one", "220 other.example.com two")
        await first.send(SENDER, OUT)
        await second.send(SENDER, OUT)
        records = house.records("Reception")
        assert records[0]["listener"] == "main"
        host, port = house.address(1)
        assert records[1]["listener"] == records[1]["local_address"] == f"[{host}]:{port}"

    listeners = [
        ("127.0.0.1", 'name = "main"\nbanner = "one"'),
        ("::1", 'hostname = "other.example.com"\nbanner = "two"'),
    ]
    serve(test, listeners=listeners)


def test_overlays(serve):
    """`peer` and `via` are laid over the listener's options, the longest prefix winning; `meta` is merged."""

    async def test(house):
        banners = [(await house.connect(f"127.0.0.{last}")).banner.split(" ", 2)[2] for last in (1, 2, 3)]
        assert banners == ["outer", "three", "outer"]
        client = await house.connect("127.0.0.2")
        await client.send(SENDER, OUT)
        assert house.records("Reception")[0]["meta"] == {"x_a": 1, "x_b": 2}

    listener = """
banner = "default"
relay_hosts = ["127.0.0.0/8"]
meta = { x_a = 1 }
[listener.peer."127.0.0.2"]
banner = "three"
meta = { x_b = 2 }
[listener.peer."127.0.0.0/8"]
banner = "outer"
"""
    serve(test, listener=listener, log='meta = ["x_*"]')


def test_max_connections(serve):
    """One connection too many is told 421 4.3.2; when one ends, another may come."""

    async def test(house):
        first = await house.connect()
        second = await house.connect(greet=False)
        assert second.banner.startswith("421 4.3.2")
        assert await second.is_closed()
        assert house.records("Rejection")[-1]["limit"] == "max_connections"
        await first.say("QUIT")
        assert await first.is_closed()
        third = await house.connect(greet=False)
        assert third.banner.startswith("220")

    serve(test, listener="max_connections = 1")


def test_max_messages_per_connection(serve):
    """MAIL commands are counted; the one above the limit gets 421 4.5.3, and the session ends."""

    async def test(house):
        client = await house.connect()
        for _ in range(2):
            assert (await client.send(SENDER, OUT)).startswith("250")
        assert (await client.say(f"MAIL FROM:<{SENDER}>")).startswith("421 4.5.3")
        assert await client.is_closed()
        assert house.records("Rejection")[-1]["limit"] == "max_messages_per_connection"

    serve(test, listener="max_messages_per_connection = 2")


def test_max_messages_counts_every_mail(serve):
    """MAIL counts where it is refused for its place or its grammar, too."""

    async def test(house):
        client = await house.connect()
        await client.say("EHLO client.example")
        said = ["MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>", "MAIL FROM:<", "MAIL FROM:<>"]
        assert [(await client.say(line))[:3] for line in said] == ["250", "503", "501", "421"]
        assert house.records("Rejection")[-1]["limit"] == "max_messages_per_connection"

    serve(test, listener="max_messages_per_connection = 3")


def test_max_recipients_per_message(serve):
    """Recipients above the limit get 452 4.5.3; those before it have their mail."""

    async def test(house):
        client = await house.connect()
        answers = await client.begin(SENDER, "a@a.example", "b@a.example", "c@a.example")
        assert [answer[:9] for answer in answers] == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]
        await client.content()
        assert len(await house.arrived(2)) == 2

    serve(test, listener="max_recipients_per_message = 2")


def test_an_idle_client(serve):
    """Silence for `client_timeout` is told 421 4.3.2, and ends the session."""

    async def test(house):
        client = await house.connect()
        assert (await client.reply()).startswith("421 4.3.2")
        assert await client.is_closed()
        assert house.seen == []

    serve(test, listener='client_timeout = "50ms"')


@pytest.mark.parametrize("last", ["MAIL FROM:<{0}>", "MAIL FROM:<{0}>\r\nRCPT TO:<{1}>\r\nDATA\r\nx"])
def test_a_client_that_falls_silent_in_a_transaction(serve, last):
    """Silence where mail was begun leaves a record too, since somebody may look for that mail."""

    async def test(house):
        client = await house.connect()
        client.write(last.format(SENDER, OUT) + "\r\n")
        while not (answer := await client.reply()).startswith("421 4.3.2"):
            assert answer[:3] in {"250", "354"}
        [record] = house.seen
        assert (record["limit"], record["sender"]) == ("client_timeout", SENDER)

    serve(test, listener='client_timeout = "50ms"')


@pytest.mark.parametrize(
    ("limit", "content", "answer"),
    [
        ("max_message_size = 1000", b"Subject: x\r\n\r\n" + b"y" * 1400 + b"\r\n", "5"),
        ("max_message_size = 1000", b"Subject: x\r\n\r\n" + b"yyyyyyyy\r\n" * 200, "552 5.3.4"),
        ("max_header_size = 1000", b"S: x\r\n" * 167 + b"\r\nx\r\n", "552 5.3.4"),
        ("max_header_size = 1000", b"A: xyz\r\n" * 125 + b"\r\n" + b"y\r\n" * 1000, "250"),
        ("max_header_size = 1000", b"no blank line\r\n" * 67, "552 5.3.4"),
        ("max_header_size = 70_000", b"a:\r\n" * 10_001 + b"\r\nx\r\n", "552 5.3.4"),
        ("line_length_hard_limit = 600", b"Subject: x\r\n\r\n" + b"y" * 601 + b"\r\n", "500 5.2.3"),
        ("line_length_hard_limit = 600", b"Subject: x\r\n\r\n" + b"y" * 600 + b"\r\n", "250"),
        ("", b"Subject: x\r\n\r\na\nb\r\n", "552 5.6.0"),
        ('invalid_line_endings = "Fix"', b"Subject: x\r\n\r\na\nb\rc\r\n", "250"),
    ],
)
def test_content_limits(serve, limit, content, answer):
    """What is too big, too long or ends its lines wrongly is read to its end; the session then goes on."""

    async def test(house):
        client = await house.connect()
        said = await client.send(SENDER, OUT, content=content)
        assert said.startswith(answer), said
        if answer == "250":
            assert b"\n" not in (await house.arrived())[0].content.replace(b"\r\n", b"")
        else:
            [record] = house.seen
            assert (record["type"], record["recipient"]) == ("Rejection", OUT)
            assert record.get("limit", "") == limit.partition(" ")[0]
        assert (await client.send(SENDER, OUT)).startswith("250")

    serve(test, listener=limit)


def test_size_is_honoured_at_mail(serve):
    """SIZE is offered, and a message declared too big is refused before it is sent."""

    async def test(house):
        client = await house.connect()
        assert "SIZE 1000" in await client.say("EHLO x.example")
        assert (await client.say(f"MAIL FROM:<{SENDER}> SIZE=1001")).startswith("552 5.3.4")
        assert house.records("Rejection")[-1]["limit"] == "max_message_size"
        assert (await client.say(f"MAIL FROM:<{SENDER}> SIZE=1000")).startswith("250")
        assert (await client.say(f"MAIL FROM:<{SENDER}> FOO=1")).startswith(("503", "555"))
        await client.say("RSET")
        assert (await client.say(f"MAIL FROM:<{SENDER}> FOO=1")).startswith("555 5.5.4")

    serve(test, listener="max_message_size = 1000")


def test_pipelining(serve):
    """Commands that come together are answered together and in order; so are whole transactions."""

    async def test(house):
        client = await house.connect()
        client.write(
            f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{OUT}>\r\nDATA\r\nSubject: 1\r\n\r\none\r\n.\r\n"
            f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{OUT}>\r\nDATA\r\nSubject: 2\r\n\r\ntwo\r\n.\r\nQUIT\r\n"
        )
        codes = [(await client.reply())[:3] for _ in range(9)]
        assert codes == ["250", "250", "354", "250"] * 2 + ["221"]
        await house.arrived(2)

    serve(test)


def test_protocol_names(serve):
    """`with` says SMTP after HELO, ESMTP after EHLO, UTF8SMTP with SMTPUTF8 (RFC 3848, 6531)."""

    async def test(house):
        said = []
        for number, (hello, parameters) in enumerate([("HELO", ""), ("EHLO", ""), ("EHLO", " SMTPUTF8")], 1):
            client = await house.connect(greet=False)
            await client.say(f"{hello} client.example")
            await client.send(SENDER, OUT, parameters=parameters)
            await house.arrived(number)
            said.append(house.hop.taken[-1].content.split(b"with ")[1].split(b" ")[0])
        assert said == [b"SMTP", b"ESMTP", b"UTF8SMTP"]

    serve(test)


def test_a_client_that_breaks_off(serve):
    """Content that never ends is nothing: no record, no message."""

    async def test(house):
        client = await house.connect()
        await client.begin(SENDER, OUT)
        await client.say("DATA")
        client.write(b"Subject: half\r\n\r\nha")
        client.abort()
        await house.shard.stop()
        house.shard = None
        assert house.seen == []

    serve(test)


def test_data_processing_timeout(serve):
    """A transaction that takes too long to judge gets 451 4.4.5, and leaves nothing behind."""

    async def test(house):
        client = await house.connect()
        assert (await client.send(SENDER, OUT)).startswith("451 4.4.5")
        assert house.records("Rejection")[-1]["limit"] == "data_processing_timeout"
        assert len(house.shard.scheduler) == 0
        await house.stop()
        await house.restart()
        assert len(house.shard.scheduler) == 0

    program = "\n@policy.on\nasync def smtp_server_data(message, conn_meta):\n    await asyncio.sleep(60)\n"
    serve(test, program=program, listener='data_processing_timeout = "50ms"')


def test_refusals_are_recorded_without_secrets(serve):
    """Every 4yz and 5yz has a Rejection with the line that was refused; credentials never stand in one."""

    async def test(house):
        client = await house.connect()
        for line in ("FOO bar", "RCPT TO:<b@c.example>", "MAIL FROM:<a b>", "AUTH PLAIN AGEAc2VjcmV0"):
            assert (await client.say(line))[0] in "45"
        commands = [record["response"]["command"] for record in house.seen]
        assert commands[:3] == ["FOO bar", "RCPT TO:<b@c.example>", "MAIL FROM:<a b>"]
        assert len(commands) == 4
        assert "AGEAc2VjcmV0" not in str(house.seen)

    serve(test)


# How sessions end when the server stops


def test_shutdown_while_nothing_is_going_on(serve):
    """Idle clients, and those that have not begun their content, are told 421 4.3.2 at once."""

    async def test(house):
        idle, begun = await house.connect(), await house.connect()
        await begun.begin(SENDER, OUT)
        await house.stop()
        assert (await idle.reply()).startswith("421 4.3.2")
        assert (await begun.reply()).startswith("421 4.3.2")

    serve(test)


def test_shutdown_while_receiving(serve):
    """Content that is on its way is taken and answered; then the session ends, and nothing is lost."""

    async def test(house):
        client = await house.connect()
        await client.begin(SENDER, OUT)
        await client.say("DATA")
        client.write(b"Subject: x\r\n\r\nhalf")
        stopping = asyncio.create_task(house.stop())
        await asyncio.sleep(0)
        client.write(b" and half\r\n.\r\n")
        assert (await client.reply()).startswith("250 2.0.0 OK ids=")
        assert (await client.reply()).startswith("421 4.3.2")
        await stopping
        await house.restart()
        await house.arrived()

    serve(test)


def test_shutdown_does_not_wait_for_ever(serve):
    """After `shutdown_timeout` a client that still sends is cut off; it was not answered."""

    async def test(house):
        client = await house.connect()
        await client.begin(SENDER, OUT)
        await client.say("DATA")
        await house.stop()
        assert await client.is_closed()
        assert house.records("Reception") == []

    serve(test, main='shutdown_timeout = "50ms"')


def test_no_connection_while_stopping(serve):
    """Once the door is closed nobody comes in."""

    async def test(house):
        address = house.address()
        await house.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)

    serve(test)


@pytest.mark.parametrize("header", [b"Subject: a\0b\r\n", b"Subject: a\r\n\0\r\n", b"X-\0: a\r\n"])
def test_nul_in_the_header(serve, header):
    """What is relayed has no NUL in its header, where readers differ about it; in its body it stays."""

    async def test(house):
        client = await house.connect()
        content = b"From: a@customer.example\r\n" + header
        assert (await client.send(SENDER, OUT, content=content + b"\r\nx\r\n")).startswith("550 5.6.0")
        assert house.records("Rejection")[-1]["recipient"] == OUT
        assert (await client.send(SENDER, OUT, content=b"Subject: x\r\n\r\na\0b\r\n")).startswith("250")
        assert (await house.arrived())[0].content.endswith(b"a\0b\r\n")

    serve(test)


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("angarium.reception.session.arrive", "ended by a surprise"),
        ("angarium.reception.session.Session._send", "ended by a surprise"),
        ("angarium.reception.session.Deadline.close", "could not be ended"),
    ],
)
def test_a_surprise_names_its_session(serve, monkeypatch, caplog, place, said):
    """The log of a fault in the server names the session, as records do, with the client and the listener."""

    async def test(house):
        monkeypatch.setattr(house.shard.listening[0]._door, "new_ident", lambda: "5e55")
        with monkeypatch.context() as broken:
            broken.setattr(place, _broken)
            client = await house.connect(greet=False)
            client.write("QUIT\r\n")
            with contextlib.suppress(ConnectionResetError):
                while await client.reply():
                    pass
        [line] = [record for record in caplog.records if record.exc_info]
        assert re.fullmatch(rf"session 5e55 \(from 127.0.0.1:\d+, on main\) {said}", line.getMessage())

    serve(test, listener='name = "main"')


def test_a_surprise_of_a_command_names_its_session(serve, monkeypatch, caplog):
    """A command that costs a surprise is answered 451; log and record name the same session."""

    async def test(house):
        client = await house.connect()
        monkeypatch.setitem(session.ANSWERS, events.Mail, _broken)
        assert str(await client.say(f"MAIL FROM:<{SENDER}>")).startswith("451 4.3.0")
        [line] = [record.getMessage() for record in caplog.records if record.exc_info]
        record = await house.wait_for("Rejection")
        assert line.startswith(f"session {record['session_id']} (from 127.0.0.1:")
        assert line.endswith(": Mail cost a surprise")

    serve(test)


def _broken(*_, **__):
    raise RuntimeError("a fault")
