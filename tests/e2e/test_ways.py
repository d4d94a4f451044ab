"""Ways out of the house, as files say them: shaping, egress, TLS, AUTH, maildirs, the operator's own code."""

import ssl

import pytest
import trustme

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
EGRESS = """\
[source.out]
source_address = "127.0.0.8"
ehlo_domain = "out.example.com"
[pool.main.out]
"""
BY_THE_POOL = "[queue.default]\nrouting_domain = '$hop'\negress_pool = 'main'\n"


def files(shaping="# none\n", egress="# none\n"):
    """Put these files beside the others, and name them in the main file."""

    def prepare(folder):
        (folder / "shaping.toml").write_text(shaping)
        (folder / "egress.toml").write_text(egress)
        main = folder / "main.toml"
        named = '[policy]\nshaping = ["shaping.toml"]\negress = ["egress.toml"]\n'
        main.write_text(main.read_text().replace("[policy]\n", named))

    return prepare


def secured(hop):
    """Let the next hop offer TLS."""
    hop.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(hop.tls)


def test_records_say_how_mail_left(serve):
    """Pool, source, address, protocol and TLS stand in the Delivery."""

    async def test(house):
        secured(house.hop)
        client = await house.connect()
        await client.send(SENDER, OUT)
        [taken] = await house.arrived()
        [record] = house.records("Delivery")
        assert (record["egress_pool"], record["egress_source"]) == ("main", "out")
        assert record["source_address"]["address"].startswith("127.0.0.8:")
        assert (record["delivery_protocol"], record["tls_protocol_version"]) == ("ESMTP", "TLSv1.3")
        assert record["tls_cipher"]
        assert "tls_fallback" not in record
        assert house.hop.commands[0][0] == "EHLO out.example.com"
        assert taken.is_encrypted

    serve(test, queues=BY_THE_POOL, prepare=files(egress=EGRESS))


def test_records_say_why_there_was_no_tls(serve):
    """Mail that left in clear text although TLS is offered says why."""

    async def test(house):
        secured(house.hop)
        client = await house.connect()
        await client.send(SENDER, OUT)
        await house.arrived()
        [record] = house.records("Delivery")
        assert record["tls_fallback"] == "STARTTLS was refused: 454 4.7.0 Not now"
        assert record["egress_pool"] == "none"

    serve(test, hop=[{"starttls": "454 4.7.0 Not now"}])


def test_new_limits_reach_what_waits(serve):
    """A shaping file that changes holds for messages that wait for their turn already."""

    async def test(house):
        client = await house.connect()
        for _ in range(3):
            await client.send(SENDER, OUT)
        await house.arrived()
        [state] = house.shard.dispatcher.snapshot()
        assert (state.waiting, state.bound_by) == (2, "max_message_rate 1/hour")
        assert state.bound_at.endswith("shaping.toml:2")
        house.take(shaping='[default]\nmax_message_rate = "1000/s"\n')
        await house.arrived(3)

    serve(test, prepare=files('[default]\nmax_message_rate = "1/hour"\n'))


def test_a_password_is_nowhere(serve, monkeypatch, caplog):
    """A next hop that repeats our password gets it into no record, log or notice."""
    monkeypatch.setenv("RELAY_PASSWORD", "hunter2")

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        record = await house.wait_for("TransientFailure")
        assert record["response"]["content"] == "The next hop refused us: 535 5.7.8"
        assert "hunter2" not in f"{house.seen}{caplog.text}"

    auth = '[default]\nauth = { username = "us", password_env = "RELAY_PASSWORD" }\n'
    script = {"ehlo": "250-next.hop\n250 AUTH PLAIN", "auth": "535 5.7.8 hunter2 is wrong"}
    serve(test, hop=[script], prepare=files(auth))


def test_a_maildir(serve, tmp_path):
    """Mail of a queue with a maildir is a file there, and its Delivery says so."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        record = await house.wait_for("Delivery")
        [file] = (tmp_path / "mail" / OUT / "new").iterdir()
        assert file.name.partition(".")[2].startswith(record["id"])
        assert file.read_bytes().startswith(b"Return-Path: <a@customer.example>\nReceived: ")
        assert (record["delivery_protocol"], record["response"]["code"]) == ("Maildir", 200)

    serve(test, queues=f"[queue.default]\nprotocol = {{ maildir_path = '{tmp_path}/mail/{{email}}' }}\n")


PROGRAM = """
@policy.on
async def deliver(message):
    if b"spam" in message.body:
        reject(550, "5.7.1 No spam")
    await asyncio.sleep(0)
    return f"{message.size > 0} from {message.sender}"
"""


@pytest.mark.parametrize(
    ("body", "kind", "content"),
    [(b"hello", "Delivery", "True from a@customer.example"), (b"spam", "Bounce", "No spam")],
)
def test_the_operator_s_own_code(serve, body, kind, content):
    """A handler takes mail, or refuses it for good."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=b"Subject: x\r\n\r\n" + body + b"\r\n")
        record = await house.wait_for(kind)
        assert (record["response"]["content"], record["delivery_protocol"]) == (content, "Handler")

    serve(test, program=PROGRAM, queues="[queue.default]\nprotocol = 'handler'\n")
