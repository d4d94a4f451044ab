"""What becomes of mail after its 250: delivery, retries, expiry, bounces, and whom they are told to."""

import email
import email.policy
from itertools import pairwise

import pytest

from angarium.reports.detect import examine

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
STRANGERS = '["elsewhere.example"]\nrelay_to = true\n'


def test_retry(serve_in_jumps):
    """A transient failure is recorded and tried again after `retry_interval`, doubled each time; then it is
    over.
    """

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        await house.arrived()
        failures, [delivery] = house.records("TransientFailure"), house.records("Delivery")
        assert [record["num_attempts"] for record in failures] == [1, 2, 3]
        assert failures[0]["response"]["code"] == 451
        times = [house.records("Reception")[0], *failures, delivery]
        gaps = [later["timestamp"] - first["timestamp"] for first, later in pairwise(times)]
        assert gaps[0] <= 1
        assert gaps[1:] == pytest.approx([60, 120, 240], abs=8)
        assert len(house.shard.scheduler) == 0

    refusals = ["451 4.3.0 Later"]
    serve_in_jumps(
        test,
        hop=[{"mail": refusals}] * 3,
        queues="[queue.default]\nrouting_domain = '$hop'\nretry_interval = '60s'\n",
    )


def test_expiry(serve_in_jumps):
    """A message that would be too old for its next attempt expires: 551 5.4.7, and a notice to its sender."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        record = await house.wait_for("Expiration")
        assert record["response"]["code"] == 551
        assert record["response"]["enhanced_code"] == {"class": 5, "subject": 4, "detail": 7}
        assert "451" in record["response"]["content"]
        age = record["timestamp"] - record["created"]
        assert age <= 600
        [notice] = await house.arrived()
        assert (notice.sender, notice.recipients) == ("", [SENDER])
        assert b"Status: 5.4.7" in notice.content

    def later(line):
        return "451 4.3.0 Later" if line.endswith(f"<{OUT}>") else "250 2.1.5 OK"

    serve_in_jumps(
        test,
        hop=[{"rcpt": later}] * 20,
        queues="[queue.default]\nrouting_domain = '$hop'\nretry_interval = '60s'\nmax_age = '10m'\n",
    )


def test_a_bounce_is_told_to_a_sender_with_a_right(serve):
    """A permanent failure: a Bounce, and an RFC 3464 notice that mail readers and our own parser read."""

    async def test(house):
        client = await house.connect()
        answer = await client.send(SENDER, OUT)
        bounce = await house.wait_for("Bounce")
        assert answer.endswith(bounce["id"])
        assert bounce["response"]["content"] == "no such user"
        assert bounce["response"]["enhanced_code"] == {"class": 5, "subject": 1, "detail": 1}
        assert bounce["peer_address"]["addr"] == "127.0.0.1"
        await house.arrived()
        [notice] = house.hop.taken
        assert (notice.sender, notice.recipients) == ("", [SENDER])
        _check_notice(notice.content)
        reception = house.records("Reception")[1]
        assert (reception["sender"], reception["recipient"]) == ("", SENDER)
        assert bounce["id"] in reception["why"]

    serve(test, hop=[{"rcpt": "550 5.1.1 no such user"}])


def _check_notice(content):
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed.defects == []
    text, status, headers = parsed.iter_parts()
    assert f"<{OUT}>" in text.get_content()
    fields = status.get_payload()[1]
    assert fields["Final-Recipient"] == f"rfc822; {OUT}"
    assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")
    assert "Subject: hello" in headers.get_payload()
    report = examine(content, null_sender=True)
    assert (report.kind, report.by_shape) == ("oob", False)
    assert [(one.address, one.status) for one in report.failed] == [(OUT, "5.1.1")]
    assert report.original.message_id == "<1@customer.example>"


def test_strangers_are_told_nothing(serve):
    """Mail that came in by `relay_to` alone may have a forged sender: its failure is recorded, and nobody is
    hit.
    """

    async def test(house):
        client = await house.stranger()
        await client.send("victim@far.example", OUT)
        await house.wait_for("Bounce")
        await house.stop()
        assert house.kinds() == ["Reception", "Bounce"]
        assert house.hop.taken == []

    serve(test, hop=[{"rcpt": "550 5.1.1 no such user"}], domains=STRANGERS)


@pytest.mark.parametrize("right", ["relay_from"])
def test_senders_by_relay_from_are_told(serve, right):
    """Whoever may send by `relay_from` has a right of their own."""

    async def test(house):
        client = await house.stranger()
        await client.send(SENDER, OUT)
        await house.arrived()
        assert house.hop.taken[0].recipients == [SENDER]

    serve(
        test,
        hop=[{"rcpt": "550 5.1.1 no such user"}],
        domains='["customer.example"]\nrelay_from = ["127.0.0.2"]\n',
    )


def test_a_notice_never_causes_another(serve):
    """A notice that bounces is recorded, and that is all."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        await house.wait_for("Bounce", 2)
        await house.stop()
        assert house.kinds() == ["Reception", "Bounce", "Reception", "Bounce"]

    serve(test, hop=[{"rcpt": ["550 5.1.1 no such user"] * 2}] * 2)


def test_a_null_mx(serve):
    """A domain that says it takes no mail: 556 5.1.10 at once."""

    async def test(house):
        client = await house.connect()
        await client.send("", OUT)
        bounce = await house.wait_for("Bounce")
        assert bounce["response"]["code"] == 556
        assert bounce["response"]["enhanced_code"] == {"class": 5, "subject": 1, "detail": 10}

    serve(test, queues="# none\n", zone={"elsewhere.example": {"MX": ["0 ."]}})


def test_a_domain_whose_mx_is_loopback(serve):
    """An address that the DNS returned may not be loopback (550 5.4.4), one that the operator wrote may."""

    async def test(house):
        client = await house.connect()
        await client.send("", OUT)
        bounce = await house.wait_for("Bounce")
        assert bounce["response"]["code"] == 550
        assert bounce["response"]["enhanced_code"] == {"class": 5, "subject": 4, "detail": 4}

    zone = {"elsewhere.example": {"MX": ["10 mx.far.example."]}, "mx.far.example": {"A": ["127.0.0.1"]}}
    serve(test, queues="# none\n", zone=zone)


def test_mx_hosts_in_the_order_of_preference(serve):
    """The MX lookup says where mail goes; a host that does not answer is passed over."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT)
        await house.arrived()
        assert house.dns.asked["elsewhere.example", "MX"]

    zone = {
        "elsewhere.example": {"MX": ["20 second.far.example.", "10 first.far.example."]},
        "first.far.example": {"A": ["127.0.0.9"]},
        "second.far.example": {"A": ["127.0.0.1"]},
    }

    serve(test, queues="[queue.default]\nprohibited_hosts = []\nsmtp_port = $port\n", zone=zone)


EIGHT_BIT = "Subject: grüße\r\n\r\ngrüße\r\n".encode()
POOR = "250-next.hop\n250 SIZE 1000000"


@pytest.mark.parametrize(
    ("parameters", "content", "sender", "code"),
    [
        (" BODY=8BITMIME", EIGHT_BIT, SENDER, 554),
        (" SMTPUTF8", b"Subject: x\r\n\r\nx\r\n", "grüße@customer.example", 554),
        (" BODY=8BITMIME", b"Subject: x\r\n\r\nx\r\n", SENDER, None),
    ],
)
def test_a_next_hop_that_lacks_what_the_mail_needs(serve, parameters, content, sender, code):
    """8-bit mail without 8BITMIME, and UTF-8 addresses without SMTPUTF8, bounce; 7-bit mail goes."""

    async def test(house):
        client = await house.stranger()
        await client.send(sender, OUT, content=content, parameters=parameters)
        if code is None:
            await house.arrived()
        else:
            bounce = await house.wait_for("Bounce")
            assert bounce["response"]["code"] == code
            assert not any(line.startswith("MAIL") for line in house.hop.commands[0])

    serve(test, hop=[{"ehlo": POOR}], domains=STRANGERS)


def test_content_arrives_octet_by_octet(serve):
    """Dots, 8-bit octets, long lines and empty lines arrive as they were sent, under one Received field."""
    content = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\r\n" + b"y" * 998 + b"\r\n\xe4\xff\x00\r\n.\r\n"

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=content, parameters=" BODY=8BITMIME")
        [taken] = await house.arrived()
        head, _, rest = taken.content.partition(b"Subject: x")
        assert b"Subject: x" + rest == content
        assert head.startswith(b"Received: from client.example (127.0.0.1)\r\n")
        assert b"by mx.example.com (Angarium 127.0.0.1)" in head
        assert b"with ESMTP id " in head
        assert email.message_from_bytes(taken.content)["Received"]

    serve(test)


def test_an_empty_message(serve):
    """`.` directly after the 354 is an empty message (W27)."""

    async def test(house):
        client = await house.connect()
        assert (await client.send(SENDER, OUT, content=b"")).startswith("250")
        [taken] = await house.arrived()
        assert taken.content.count(b"\r\n") == 4

    serve(test)
