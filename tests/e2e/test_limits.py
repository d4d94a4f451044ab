"""The limits that end a session: each is a 421 that says why, and a record that names the limit."""

import asyncio
from contextlib import suppress

import pytest

from tests.e2e.house import STRANGER

IN, OUT = "a@customer.example", "b@elsewhere.example"


async def expect_limit(house, client, name, answer=None):
    assert (answer or await client.reply()).startswith("421"), answer
    assert await client.is_closed()
    assert house.records("Rejection")[-1]["limit"] == name


def test_syntax_errors(serve):
    """Twenty commands that are none, and the next one ends the session."""

    async def test(house):
        client = await house.connect()
        for _ in range(10):
            assert (await client.say("GET / HTTP/1.1")).startswith("502")
            assert (await client.say("MAIL FROM:nonsense <")).startswith("501")
        await expect_limit(house, client, "max_syntax_errors", await client.say("Host: mx.example.com"))

    serve(test)


REFUSES = "\n@policy.on\ndef smtp_server_auth_plain(authz, authn, password, conn_meta):\n    return False\n"


@pytest.mark.parametrize(
    "line",
    [
        "RCPT TO:<b@elsewhere.example>",
        "DATA",
        "EXPN staff",
        "MAIL FROM:<a@customer.example> SIZE=99999999999",
        "AUTH LOGIN\r\n*",
    ],
)
def test_commands_at_the_wrong_place(serve, line):
    """Whatever is refused costs a record, so that it has an end; pipelining behind a refusal has room."""

    async def test(house):
        client = await house.connect()
        client.write(f"{line}\r\n" * 12)
        while not (answer := await client.reply()).startswith("421"):
            assert answer[:3] in {"334", "501", "502", "503", "552"}
        await expect_limit(house, client, "max_sequence_errors", answer)
        assert len(house.records("Rejection")) == 11

    limits = "max_sequence_errors = 10\nallow_plaintext_auth = true"
    serve(test, listener=limits, program=REFUSES)


def test_refused_recipients(serve):
    """Twenty refused recipients, and the next one ends the session."""

    async def test(house):
        client = await house.stranger()
        for answer in await client.begin(IN, *[f"{number}@elsewhere.example" for number in range(20)]):
            assert answer.startswith("550 5.7.1")
        answer = await client.say("RCPT TO:<one@more.example>")
        await expect_limit(house, client, "max_refused_recipients", answer)

    serve(test)


def test_refused_recipients_of_a_network(serve):
    """They count over sessions; another network, and a peer in relay_hosts, do not notice."""

    async def test(house):
        for number in range(3):
            client = await house.stranger()
            answers = await client.begin(IN, *[OUT] * 4)
            if number < 2:
                assert all(answer.startswith("550") for answer in answers)
                await client.close()
        await expect_limit(house, client, "max_refused_recipients_per_network", answers[2])
        client = await house.connect("127.0.0.3")
        assert (await client.begin(IN, OUT))[0].startswith("550")

    serve(test, listener="max_refused_recipients_per_network = 10")


def test_networks_by_prefix(serve):
    """Peers whose leading bits agree are one network."""

    async def test(house):
        for source in (STRANGER, "127.0.0.3", "127.0.0.4"):
            client = await house.connect(source)
            [answer] = await client.begin(IN, OUT)
        await expect_limit(house, client, "max_refused_recipients_per_network", answer)

    serve(test, listener="max_refused_recipients_per_network = 2\nnetwork_prefix_ipv4 = 24")


def test_connections_of_a_network(serve):
    """One more than a network may have gets 421 in place of a greeting; when one leaves, another may come."""

    async def test(house):
        clients = [await house.stranger() for _ in range(3)]
        client = await house.stranger(greet=False)
        await expect_limit(house, client, "max_connections_per_network", client.banner)
        assert (await house.connect("127.0.0.3")).banner.startswith("220")
        assert [(await house.connect()).banner[:3] for _ in range(5)] == ["220"] * 5
        assert (await clients[0].say("QUIT")).startswith("221")
        assert await clients[0].is_closed()
        assert (await house.stranger()).banner.startswith("220")

    serve(test, listener="max_connections_per_network = 3")


def test_a_session_ends(serve_in_jumps):
    """After an hour the session is over, whatever the client does."""

    async def test(house):
        client = await house.connect()
        begun = house.now()
        while (answer := await client.say("NOOP")).startswith("250"):  # noqa: ASYNC110 - time jumps
            await asyncio.sleep(50)
        await expect_limit(house, client, "max_session_duration", answer)
        assert house.now() - begun == pytest.approx(3600, abs=60)

    serve_in_jumps(test)


def test_an_idle_session_ends(serve_in_jumps):
    """A client that says nothing is told so, and closed."""

    async def test(house):
        client = await house.connect()
        begun = house.now()
        assert (await client.reply()).startswith("421 4.3.2")
        assert house.now() - begun == pytest.approx(60, abs=2)

    serve_in_jumps(test)


def test_content_that_trickles(serve_in_jumps):
    """A slow-loris that sends an octet now and then is cut off a minute into its content, or soon after."""

    async def test(house):
        client = await house.connect()
        await client.begin(IN, OUT)
        assert (await client.say("DATA")).startswith("354")
        begun = house.now()
        reply = asyncio.ensure_future(client.reply())
        while not reply.done():
            client.write(b"x")
            await asyncio.sleep(10)
        await expect_limit(house, client, "min_data_rate", await reply)
        assert house.now() - begun < 90

    serve_in_jumps(test)


def test_content_that_is_slow_enough(serve_in_jumps):
    """A poor line that keeps the rate may take its time."""

    async def test(house):
        client = await house.connect()
        await client.begin(IN, OUT)
        await client.say("DATA")
        for _ in range(40):
            client.write(b"x" * 498 + b"\r\n")
            await asyncio.sleep(4)
        client.write(b".\r\n")
        assert not (await client.reply()).startswith("421")

    serve_in_jumps(test)


def test_too_much_content_at_a_time(serve):
    """What overflows the memory for content is cut off; whoever was there before goes on."""

    async def test(house):
        one, two = await house.connect(), await house.connect()
        for client in (one, two):
            await client.begin(IN, OUT)
            assert (await client.say("DATA")).startswith("354")
        one.write(b"x" * 500 + b"\r\n" + b"y" * 500)
        two.write(b"x" * 900 + b"\r\n" + b"y" * 900)
        await expect_limit(house, two, "content_memory")
        one.write(b"\r\n.\r\n")
        assert (await one.reply()).startswith("250")
        assert house.shard.door.watch.content.used == 0

    serve(test, main="content_memory = 2000")


def test_too_many_chunks_at_a_time(serve):
    """Chunks that came whole are counted while they wait for the next; the transaction's end frees them."""

    async def test(house):
        used = house.shard.door.watch.content
        one, two = await house.connect(), await house.connect()
        for client in (one, two):
            await client.begin(IN, OUT)
        one.write("BDAT 1500\r\n" + "x" * 700 + "\r\n" + "y" * 798)
        assert (await one.reply()).startswith("250")
        await one.say("NOOP")
        assert used.used >= 1500
        two.write("BDAT 600\r\n" + "x" * 600)
        assert (await two.reply()).startswith("250")
        await expect_limit(house, two, "content_memory")
        assert (await one.say("RSET")).startswith("250")
        await one.say("NOOP")
        assert used.used == 0

    serve(test, main="content_memory = 2000")


def test_no_room_for_new_chunks(serve):
    """BDAT is refused for now while nothing is left, and ends its transaction."""

    async def test(house):
        client = await house.connect()
        await client.begin(IN, OUT)
        house.shard.door.watch.content.take(2000)
        client.write("BDAT 6\r\nQUIT\r\n")
        assert (await client.reply()).startswith("452 4.3.1")
        house.shard.door.watch.content.give_back(2000)
        assert (await client.send(IN, OUT)).startswith("250")

    serve(test, main="content_memory = 2000")


def test_no_room_for_new_content(serve):
    """DATA is refused for now while nothing is left."""

    async def test(house):
        one, two = await house.connect(), await house.connect()
        for client in (one, two):
            await client.begin(IN, OUT)
        await one.say("DATA")
        house.shard.door.watch.content.take(2000)
        assert (await two.say("DATA")).startswith("452 4.3.1")
        house.shard.door.watch.content.give_back(2000)
        one.abort()

    serve(test, main="content_memory = 2000")


@pytest.mark.parametrize("greets", ["EHLO client.example\r\n", "\r\n"])
def test_early_talkers(serve, greets):
    """With a greeting delay, who speaks before the greeting is refused; who waits is greeted."""

    async def test(house):
        host, port = house.address()
        reader, writer = await asyncio.open_connection(host, port, local_addr=(STRANGER, 0))
        writer.write(greets.encode())
        assert (await reader.readline()).startswith(b"554 5.5.1")
        assert await reader.read() == b""
        writer.close()
        assert (await house.stranger()).banner.startswith("220")
        assert [record["type"] for record in house.seen] == ["Rejection"]

    serve(test, listener='greeting_delay = "100ms"')


def test_early_talkers_that_may_relay(serve_in_jumps):
    """Peers in relay_hosts are not kept waiting."""

    async def test(house):
        begun = house.now()
        await house.connect()
        assert house.now() - begun < 5

    serve_in_jumps(test, listener='greeting_delay = "20s"')


ZONE = {
    "nomail.example": {"MX": ["0 ."]},
    "customer.example": {"MX": ["10 mx.customer.example."]},
    "trouble.example": "SERVFAIL",
}


@pytest.mark.parametrize(
    ("sender", "answer"),
    [
        ("a@nomail.example", "550 5.7.27"),
        ("a@customer.example", "250"),
        ("a@nothing.example", "250"),
        ("a@trouble.example", "250"),
        ("", "250"),
    ],
)
def test_senders_that_take_no_mail(serve, sender, answer):
    """With the option a null MX refuses the sender (RFC 7505); trouble with DNS refuses nobody."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say(f"MAIL FROM:<{sender}>")).startswith(answer)

    serve(test, listener="reject_null_mx_senders = true", zone=ZONE)


def test_a_flood_of_commands_lets_others_in(serve):
    """While one client pipelines without end, another is served between two of its bursts."""

    async def test(house):
        flooder, honest = await house.stranger(), await house.connect()
        flooder.write(b"NOOP\r\n" * 30_000)
        assert (await honest.say("NOOP")).startswith("250")
        answered = flooder._reader._buffer.count(b"\n")
        assert answered < 20_000, "the flood was served whole before the other"

    serve(test)


def test_a_client_that_does_not_read(serve_in_jumps):
    """Replies that nobody reads wait in bounded memory, and the session ends when nothing moves."""

    async def test(house):
        host, port = house.address()
        reader, writer = await asyncio.open_connection(host, port, limit=1024)
        reader._transport.pause_reading()
        writer.write(b"EHLO client.example\r\n" * 200_000)
        [session] = await _sessions(house)
        while session in house.shard.listening[0]._sessions:
            assert session.stream.transport.get_write_buffer_size() < 512 * 1024
            assert session.stream._unread <= 512 * 1024
            await asyncio.sleep(1)
        writer.transport.abort()

    serve_in_jumps(test)


async def _sessions(house):
    while not (sessions := list(house.shard.listening[0]._sessions)):  # noqa: ASYNC110 - the loop accepts
        await asyncio.sleep(0)
    return sessions


def test_a_hundred_thousand_recipients(serve):
    """Recipients beyond what a message may have are refused, and then the session ends: memory is bounded."""

    async def test(house):
        client = await house.connect()
        await client.say("MAIL FROM:<a@customer.example>")
        client.write(b"RCPT TO:<b@elsewhere.example>\r\n" * 100_000)
        codes = {}
        with suppress(ConnectionResetError):  # what it had sent beyond is not read
            while answer := await client.reply():
                codes[answer[:3]] = codes.get(answer[:3], 0) + 1
        assert (codes["250"], codes["452"]) == (50, 50)
        assert house.records("Rejection")[-1]["limit"] == "max_recipients_per_message"

    serve(test, listener="max_recipients_per_message = 50")


def test_vrfy_and_expn_tell_nothing(serve):
    """Whoever asks for users or lists learns nothing about either."""

    async def test(house):
        client = await house.stranger()
        known, unknown = await client.say("VRFY postmaster"), await client.say("VRFY nobody")
        assert known == unknown
        assert known.startswith("252")
        assert (await client.say("EXPN staff")).startswith("502")

    serve(test, main='postmaster = "postmaster@customer.example"')
