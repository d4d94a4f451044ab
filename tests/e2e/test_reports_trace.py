"""Our own references: signed on the way out, known again in reports."""

import base64
import time

import pytest

from angarium.mail.address import Address
from angarium.mail.trace import TRACE_FIELD, Key, read_reverse_path, read_supplemental, signed_reverse_path
from tests.e2e.house import MAIL, TO_THE_HOP
from tests.e2e.mails import ARF, DSN, dsn

SENDER, READER = "news@customer.example", "reader@far.example"
OLD, NEW = Key("k1", b"o" * 32), Key("k2", b"n" * 32)
KEYS = {key.ident: key for key in (OLD, NEW)}
DOMAINS = """
["bounces.example"]
log_oob = true
log_arf = true
["inwards.example"]
relay_to = true
"""
VERP = TO_THE_HOP + "verp = 'bounces.example'\n"
TRACED = """
trace_headers = { supplemental_header = true, include_meta_names = ["campaign"] }
meta = { campaign = "may" }
"""
MAIN = "[trace]\nkeys = 'trace.keys'\n"


def write_keys(*keys):
    text = "".join(f"{key.ident} {base64.b64encode(key.secret).decode()}\n" for key in keys)

    def prepare(folder):
        path = folder / "trace.keys"
        path.touch(0o600)
        path.write_text(text)

    return prepare


def field_of(content):
    """The value of our trace header, or None."""
    section = content.partition(b"\r\n\r\n")[0].decode().replace("\r\n\t", "")
    fields = dict(line.partition(": ")[::2] for line in section.split("\r\n"))
    return fields.get(TRACE_FIELD)


def returning(report, taken):
    """A report that returns the header of a message that the next hop took."""
    header = taken.content.partition(b"\r\n\r\n")[0] + b"\r\n"
    return report.replace(b"From: news@customer.example\r\n", header)


async def sent(house):
    """Send a message from inside; what the next hop took, and its id."""
    client = await house.connect()
    reply = await client.send(SENDER, READER)
    await house.arrived()
    return house.hop.taken[0], reply.rpartition("=")[2]


@pytest.mark.parametrize(("report", "kind"), [(DSN, "OOB"), (ARF, "Feedback")])
def test_a_returned_header_is_verified(serve, report, kind):
    """What carries our signed header comes back verified, with id, recipient and metadata of the original."""

    async def test(house):
        taken, ident = await sent(house)
        assert taken.sender == SENDER
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=returning(report, taken))
        [record] = house.records(kind)
        assert record["verified"] is True
        assert record["report"]["trace"] == {"id": ident, "recipient": READER, "campaign": "may"}
        if kind == "Feedback":
            assert record["feedback_report"]["supplemental_trace"]["id"] == ident

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_the_body_is_not_touched(serve):
    """The field stands above everything else, and what follows is what came."""

    async def test(house):
        taken, _ = await sent(house)
        assert taken.content.startswith(TRACE_FIELD.encode() + b": v=1;k=k1;")
        assert taken.content.endswith(MAIL)

    serve(test, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_a_hidden_recipient_is_known_by_the_header(serve):
    """A provider that hides the recipient hides it from everybody but us; what it shows stays in `fields`."""

    async def test(house):
        taken, _ = await sent(house)
        hidden = returning(ARF.replace(b"<reader@far.example>", b"<redacted@far.example>"), taken)
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=hidden)
        said = house.records("Feedback")[0]["feedback_report"]
        assert (said["original_rcpt_to"], said["marks"]["original_rcpt_to"]) == ([READER], "trace")
        assert said["fields"]["original-rcpt-to"] == ["<redacted@far.example>"]

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_mail_relayed_inwards_carries_nothing(serve):
    """Strangers' mail that is relayed to a domain of ours is left as it is, whatever the listener says."""

    async def test(house):
        client = await house.stranger()
        await client.send("a@far.example", "b@inwards.example")
        [taken] = await house.arrived()
        assert field_of(taken.content) is None
        assert taken.sender == "a@far.example"

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, queues=VERP, prepare=write_keys(OLD))


@pytest.mark.parametrize(("said", "listener", "traced"), [("true", "", True), ("false", TRACED, False)])
def test_a_queue_has_the_last_word(serve, said, listener, traced):
    """`supplemental_trace` of a queue counts, whatever the listener says and whoever sent it."""

    async def test(house):
        client = await house.connect()
        await client.send("a@far.example", "b@inwards.example")
        [taken] = await house.arrived()
        assert (field_of(taken.content) is not None) is traced

    queues = TO_THE_HOP + f"supplemental_trace = {said}\n"
    serve(test, domains=DOMAINS, listener=listener, main=MAIN, queues=queues, prepare=write_keys(OLD))


def test_a_bounce_to_a_signed_reverse_path_is_verified(serve):
    """Next hops are told a signed reverse-path; a bounce to it names the message, whatever it returns."""

    async def test(house):
        taken, ident = await sent(house)
        assert taken.sender.endswith("@bounces.example")
        reference = read_reverse_path(Address.parse(taken.sender), KEYS, time.time())
        assert (reference.data, reference.verified) == ({"id": ident}, True)
        delivery = house.records("Delivery")[0]
        assert delivery["sender"] == SENDER
        client = await house.stranger()
        await client.send("", taken.sender.upper(), content=DSN)
        [record] = house.records("OOB")
        assert record["verified"] is True
        assert record["report"]["trace"] == {"id": ident}
        assert record["recipient"] == READER

    serve(test, domains=DOMAINS, main=MAIN, queues=VERP, prepare=write_keys(OLD))


def test_a_retry_says_the_same_reverse_path(serve_in_jumps):
    """The reverse-path is made once: hosts that greylist know it again, after a restart too."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, READER)
        await house.wait_for("TransientFailure")
        await house.restart()
        await house.arrived()
        said = [line.split()[1] for lines in house.hop.commands for line in lines if line.startswith("MAIL")]
        assert len(said) == 2
        assert len(set(said)) == 1
        assert house.hop.taken[0].sender.endswith("@bounces.example")

    serve_in_jumps(
        test, main=MAIN, queues=VERP, hop=[{"rcpt": "450 4.2.0 greylisted"}], prepare=write_keys(OLD)
    )


def test_the_sender_is_told_of_a_failure_at_its_own_address(serve):
    """The notice of a failure goes to who sent the mail, with the null reverse-path."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, READER)
        await house.wait_for("Delivery")
        [notice] = house.hop.taken
        assert (notice.sender, notice.recipients) == ("", [SENDER])
        assert house.records("Bounce")[0]["sender"] == SENDER

    serve(test, main=MAIN, queues=VERP, hop=[{"rcpt": ["550 5.1.1 gone"]}], prepare=write_keys(OLD))


def forged(key=NEW, ident="0" * 32, now=None):
    return str(signed_reverse_path(ident, "bounces.example", key, now or time.time()))


@pytest.mark.parametrize(
    ("recipient", "verified"),
    [
        (forged(), True),
        (forged(Key("k2", b"x" * 32)), False),
        (forged(Key("zz", b"x" * 32)), None),
        (forged(now=time.time() - 70 * 86_400), False),
        (forged(now=time.time() + 3 * 86_400), False),
        (forged().replace("b+0000", "b+0001"), False),
        (forged().replace("b+0000", "b+000"), False),
        ("b@bounces.example", None),
    ],
)
def test_what_is_not_ours_is_not_verified(serve, recipient, verified):
    """Forged, altered and expired references say false; unknown keys and no reference say null."""

    async def test(house):
        client = await house.stranger()
        await client.send("", recipient, content=DSN)
        assert house.records("OOB")[0]["verified"] is verified

    serve(test, domains=DOMAINS, main=MAIN, prepare=write_keys(OLD, NEW))


def test_references_to_different_messages_contradict_each_other(serve):
    """A header of one message returned to the reverse-path of another proves nothing."""

    async def test(house):
        taken, _ = await sent(house)
        client = await house.stranger()
        await client.send("", forged(OLD), content=returning(DSN, taken))
        assert house.records("OOB")[0]["verified"] is False
        assert house.records("OOB")[0]["recipient"] == READER

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_the_traced_recipient_is_recorded_once(serve):
    """Of several that failed, our header's recipient is the one of that name; the others keep theirs."""

    async def test(house):
        taken, ident = await sent(house)
        client = await house.stranger()
        report = returning(dsn("else@far.example", READER, "more@far.example"), taken)
        await client.send("", "b@bounces.example", content=report)
        told = [(oob["recipient"], oob["report"]["proves"]) for oob in house.records("OOB")]
        assert told == [
            ("else@far.example", ["message"]),
            (READER, ["message", "recipient"]),
            ("more@far.example", ["message"]),
        ]
        assert {oob["report"]["trace"]["id"] for oob in house.records("OOB")} == {ident}

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_every_field_that_may_be_ours_is_read(serve):
    """A field of another host that looks like ours does not hide ours."""

    async def test(house):
        taken, _ = await sent(house)
        other = b"X-Other: v=1;k=zz;t=1;s=" + b"A" * 43 + b";d=e30\r\n"
        client = await house.stranger()
        report = returning(DSN, taken).replace(TRACE_FIELD.encode(), other + TRACE_FIELD.encode(), 1)
        await client.send("", "b@bounces.example", content=report)
        assert house.records("OOB")[0]["verified"] is True

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_a_reverse_path_proves_the_message_alone(serve):
    """The record says what is verified: a reverse-path names a message, and no recipient."""

    async def test(house):
        client = await house.stranger()
        await client.send("", forged(OLD), content=DSN)
        assert house.records("OOB")[0]["report"]["proves"] == ["message"]

    serve(test, domains=DOMAINS, main=MAIN, prepare=write_keys(OLD))


def test_keys_rotate_without_a_restart(serve):
    """A new first key signs what comes next; what the old one signed verifies while it is there."""

    async def test(house):
        taken, _ = await sent(house)
        write_keys(NEW, OLD)(house.folder)
        house.take()
        client = await house.connect()
        await client.send(SENDER, READER)
        await house.arrived(2)
        assert ";k=k2;" in field_of(house.hop.taken[1].content)
        stranger = await house.stranger()
        for number, one in enumerate(house.hop.taken):
            await stranger.send("", "b@bounces.example", content=returning(DSN, one))
            assert house.records("OOB")[number]["verified"] is True
        write_keys(NEW)(house.folder)
        house.take()
        await stranger.send("", "b@bounces.example", content=returning(DSN, taken))
        assert house.records("OOB")[2]["verified"] is None

    serve(test, domains=DOMAINS, listener=TRACED, main=MAIN, prepare=write_keys(OLD))


def test_references_of_the_system_before_are_read(serve):
    """An unsigned X-KumoRef field says which message is meant, and proves nothing."""
    old = b"X-KumoRef: " + base64.b64encode(
        b'{"_@_":"\\\\_/","recipient":"reader@far.example","campaign":"x"}'
    )

    async def test(house):
        client = await house.stranger()
        report = ARF.replace(b"From: news@customer.example\r\n", old + b"\r\nFrom: news@customer.example\r\n")
        await client.send("", "b@bounces.example", content=report)
        [record] = house.records("Feedback")
        assert record["verified"] is None
        trace = {"recipient": READER, "campaign": "x"}
        assert record["feedback_report"]["supplemental_trace"] == trace

    serve(test, domains=DOMAINS)


def test_the_header_is_what_was_signed(serve):
    """The field reads back with the key, whatever other metadata the message has."""

    async def test(house):
        taken, ident = await sent(house)
        found = read_supplemental(field_of(taken.content), KEYS, time.time())
        assert found.data == {"id": ident, "recipient": READER, "campaign": "may"}

    serve(test, listener=TRACED, main=MAIN, prepare=write_keys(OLD))
