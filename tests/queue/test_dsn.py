"""Delivery status notifications: asked for, owed, sent on, and what is in them (issue 6, demand 2)."""

import email
import email.policy

import pytest

from angarium.reports.detect import examine
from tests.e2e.house import MAIL

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
QUEUES = "[queue.default]\nrouting_domain = '$hop'\nretry_interval = '10m'\n"
STRANGERS = '["elsewhere.example"]\nrelay_to = true\n'
NO = {"rcpt": ["550 5.1.1 no such user"]}
OFFERS_DSN = {"ehlo": "250-next.hop\n250-DSN\n250 8BITMIME"}


async def send(house, mail="", rcpt="", sender=SENDER, recipient=OUT, content=MAIL, source=None):
    """One transaction with parameters to MAIL and RCPT."""
    client = await house.connect(source)
    assert (await client.say(f"MAIL FROM:<{sender}>{mail}")).startswith("250")
    answer = await client.say(f"RCPT TO:<{recipient}>{rcpt}")
    assert answer.startswith("250"), answer
    assert (await client.content(content)).startswith("250")


async def told(house, kind, number=1):
    """The notices that arrived, once the records say that this many messages reached the next hop."""
    await house.wait_for(kind)
    await house.shard.settlement.close()
    if number:
        await house.wait_for("Delivery", number)
    return [taken for taken in house.hop.taken if taken.sender == ""]


def parts(notice):
    parsed = email.message_from_bytes(notice.content, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    return list(parsed.iter_parts())


def fields(notice):
    """The per-message and per-recipient fields of a notice."""
    return [dict(block.items()) for block in parts(notice)[1].get_payload()]


def test_dsn_is_offered(serve):
    """EHLO offers DSN (RFC 3461)."""

    async def test(house):
        client = await house.connect(greet=False)
        assert "250-DSN" in (await client.say("EHLO x.example")).replace("250 DSN", "250-DSN")

    serve(test)


@pytest.mark.parametrize(
    ("notify", "is_told"),
    [("", True), (" NOTIFY=FAILURE", True), (" NOTIFY=SUCCESS", False), (" NOTIFY=NEVER", False)],
)
def test_failure(serve, notify, is_told):
    """A failure is told unless the sender asked for other things, or for nothing."""

    async def test(house):
        await send(house, rcpt=notify)
        notices = await told(house, "Bounce", int(is_told))
        assert len(notices) == is_told
        assert len(house.shard.scheduler) == 0

    serve(test, hop=[NO], queues=QUEUES)


def test_the_fields(serve):
    """A notice repeats ENVID and ORCPT, and says which host answered what; it has the null reverse-path."""

    async def test(house):
        await send(house, " ENVID=QQ+2B1", " NOTIFY=FAILURE ORCPT=rfc822;Big+2BBoss@elsewhere.example")
        [notice] = await told(house, "Bounce")
        assert notice.recipients == [SENDER]
        message, recipient = fields(notice)
        assert message["Original-Envelope-Id"] == "QQ+1"
        assert message["Reporting-MTA"] == "dns; mx.example.com"
        assert recipient["Original-Recipient"] == "rfc822;Big+Boss@elsewhere.example"
        assert recipient["Final-Recipient"] == f"rfc822; {OUT}"
        assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
        assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
        assert "Remote-MTA" in recipient

    serve(test, hop=[NO], queues=QUEUES)


@pytest.mark.parametrize(
    ("option", "ret", "returned"),
    [
        ("", "", "text/rfc822-headers"),
        ("", " RET=FULL", "message/rfc822"),
        ("dsn_return = 'full'\n", "", "message/rfc822"),
        ("dsn_return = 'full'\n", " RET=HDRS", "text/rfc822-headers"),
        ("dsn_return = 'none'\n", "", None),
    ],
)
def test_what_returns(serve, option, ret, returned):
    """RET says how much of the original returns; without it, the queue."""

    async def test(house):
        await send(house, ret)
        [notice] = await told(house, "Bounce")
        assert [part.get_content_type() for part in parts(notice)[2:]] == ([returned] if returned else [])
        assert (b"\r\nhello\r\n" in notice.content) == (returned == "message/rfc822")

    serve(test, hop=[NO], queues=QUEUES + option)


def test_no_notice_about_a_notice(serve):
    """What came with the null reverse-path causes no notice, whatever it asks for."""

    async def test(house):
        await send(house, rcpt=" NOTIFY=SUCCESS,FAILURE,DELAY", sender="")
        await house.wait_for("Bounce")
        await house.shard.settlement.close()
        assert len(house.records("Reception")) == 1

    serve(test, hop=[NO], queues=QUEUES)


@pytest.mark.parametrize("option", [False, True])
def test_strangers(serve, option):
    """Strangers are told nothing, even if they ask, unless an option says so: they may be forged."""

    async def test(house):
        await send(house, rcpt=" NOTIFY=FAILURE", source="127.0.0.2")
        assert len(await told(house, "Bounce", int(option))) == option

    queues = QUEUES + ("dsn_to_strangers = true\n" if option else "")
    serve(test, hop=[NO], queues=queues, domains=STRANGERS)


def test_failures_can_be_switched_off(serve):
    """`dsn_failure = false` keeps a queue's failures to the records."""

    async def test(house):
        await send(house, rcpt=" NOTIFY=FAILURE")
        assert await told(house, "Bounce", 0) == []

    serve(test, hop=[NO], queues=QUEUES + "dsn_failure = false\n")


def test_success_is_relayed(serve):
    """Where the next hop offers DSN, it is asked in our sender's words, and we say nothing."""
    said = []

    def listen(line):
        said.append(line)
        return "250 2.0.0 OK"

    async def test(house):
        await send(
            house, " RET=HDRS ENVID=E+2B1", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@elsewhere.example"
        )
        assert await told(house, "Delivery") == []
        mail, rcpt = said
        assert mail.endswith(" RET=HDRS ENVID=E+2B1")
        assert rcpt.endswith(" NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@elsewhere.example")

    serve(test, hop=[{**OFFERS_DSN, "mail": listen, "rcpt": listen}], queues=QUEUES)


def test_success_is_answered_as_relayed(serve):
    """Where the next hop does not offer DSN, who asked for success is told that the mail was handed on."""

    async def test(house):
        await send(house, rcpt=" NOTIFY=SUCCESS")
        [notice] = await told(house, "Delivery", 2)
        _, recipient = fields(notice)
        assert (recipient["Action"], recipient["Status"]) == ("relayed", "2.0.0")
        assert parts(notice)[2].get_content_type() == "text/rfc822-headers"
        assert [(one.action, one.address) for one in examine(notice.content).notices] == [("relayed", OUT)]

    serve(test, queues=QUEUES)


@pytest.mark.parametrize(("notify", "option"), [("", ""), (" NOTIFY=SUCCESS", "dsn_success = false\n")])
def test_success_is_told_to_those_who_ask(serve, notify, option):
    """Nobody is told of a success who did not ask, or where the queue says no."""

    async def test(house):
        await send(house, rcpt=notify)
        assert await told(house, "Delivery") == []

    serve(test, queues=QUEUES + option)


def test_success_of_a_final_delivery(serve, tmp_path):
    """Mail that reaches its mailbox here is `delivered`."""
    queues = f"[queue.'elsewhere.example']\nprotocol = {{ maildir_path = '{tmp_path}/mail/{{email}}' }}\n"

    async def test(house):
        await send(house, rcpt=" NOTIFY=SUCCESS")
        [notice] = await told(house, "Delivery", 2)
        assert fields(notice)[1]["Action"] == "delivered"

    serve(test, queues=QUEUES + queues)


def test_delay(serve_in_jumps):
    """With `dsn_delay` a sender is told once that a message is late, and until when it is tried."""

    async def test(house):
        await send(house)
        [notice] = [taken for taken in await house.arrived(2) if taken.sender == ""]
        _, recipient = fields(notice)
        assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.2.1")
        assert "Will-Retry-Until" in recipient
        assert len(house.records("TransientFailure")) == 3  # it waits for no fourth

    serve_in_jumps(
        test,
        hop=[{"mail": ["451 4.2.1 busy"]}] * 3
        + [{"mail": lambda line: "250 OK" if "<>" in line else "451 4.2.1 x"}]
        + [{}],
        queues=QUEUES + "dsn_delay = '1h'\n",
    )


@pytest.mark.parametrize("option", ["", "dsn_delay = '1h'\n"])
def test_no_delay_notice_unasked(serve_in_jumps, option):
    """Delay is told by option only, and not to who wants to hear of other things."""

    async def test(house):
        await send(house, rcpt=" NOTIFY=FAILURE" if option else "")
        await house.arrived()
        assert len(house.records("Reception")) == 1

    serve_in_jumps(test, hop=[{"mail": ["451 4.2.1 busy"]}] * 4, queues=QUEUES + option)


def test_internationalised_addresses(serve):
    """RFC 6533: an address beyond ASCII makes the notice's fields `message/global-delivery-status`."""
    utf8 = {"ehlo": "250-next.hop\n250-SMTPUTF8\n250 8BITMIME", "rcpt": ["550 5.1.1 no such user"]}
    content = "Subject: grüße\r\n\r\nhello\r\n".encode()

    async def test(house):
        await send(
            house,
            " SMTPUTF8 BODY=8BITMIME",
            sender="ä@customer.example",
            recipient="ü@elsewhere.example",
            content=content,
        )
        [notice] = await told(house, "Bounce")
        assert notice.recipients == ["ä@customer.example"]
        types = [part.get_content_type() for part in parts(notice)]
        assert types[1:] == ["message/global-delivery-status", "message/global-headers"]
        assert "Final-Recipient: utf-8; ü@elsewhere.example\r\n".encode() in notice.content

    serve(test, hop=[utf8, utf8], queues=QUEUES)
