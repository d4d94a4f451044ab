"""P6 and the contract's fate table: what becomes of mail to a domain that logs reports, and of mail that is
one.
"""

import pytest

from tests.e2e.house import MAIL, STRANGER
from tests.e2e.mails import ARF, BROKEN_DSN, DSN, SHAPED, dsn

LOGS_OOB = "log_oob = true"
LOGS_ARF = "log_arf = true"
RIGHT = "relay_to = true\n"
OOB, FEEDBACK = ["Reception", "OOB"], ["Reception", "Feedback"]
NONE, REFUSED = [], ["Rejection"]

# The entry, the content, the final reply, whether it is queued, the records, the disposition
FATES = [
    (LOGS_OOB, DSN, "250", False, OOB, "logged"),
    (LOGS_ARF, ARF, "250", False, FEEDBACK, "logged"),
    (f"{LOGS_OOB}\n{LOGS_ARF}", ARF, "250", False, FEEDBACK, "logged"),
    ('log_oob = "LogThenRelay"', DSN, "250", False, OOB, "logged"),
    (LOGS_OOB, SHAPED, "250", False, OOB, "logged"),
    (LOGS_OOB, MAIL, "550 5.7.1", False, REFUSED, None),
    (LOGS_OOB, ARF, "550 5.7.1", False, REFUSED, None),
    (LOGS_ARF, DSN, "550 5.7.1", False, REFUSED, None),
    (LOGS_OOB, BROKEN_DSN, "550 5.6.0", False, REFUSED, None),
    (RIGHT + LOGS_OOB, DSN, "250", False, OOB, "logged"),
    (RIGHT + LOGS_ARF, ARF, "250", False, FEEDBACK, "logged"),
    (RIGHT + 'log_arf = "LogThenDrop"', ARF, "250", False, FEEDBACK, "logged"),
    (RIGHT + LOGS_OOB, SHAPED, "250", True, OOB, "logged+queued"),
    (RIGHT + 'log_oob = "LogThenRelay"', DSN, "250", True, OOB, "logged+queued"),
    (RIGHT + 'log_arf = "LogThenRelay"', ARF, "250", True, FEEDBACK, "logged+queued"),
    (RIGHT + LOGS_OOB, MAIL, "250", True, ["Reception"], "queued"),
    (RIGHT + LOGS_OOB, ARF, "250", True, ["Reception"], "queued"),
    (RIGHT + LOGS_OOB, BROKEN_DSN, "250", True, ["Reception"], "queued"),
    (RIGHT + "log_oob = false", DSN, "250", True, ["Reception"], "queued"),
]


@pytest.mark.parametrize(("entry", "content", "reply", "queued", "records", "disposition"), FATES)
def test_the_fate_of_a_message(serve, entry, content, reply, queued, records, disposition):
    """Each row of the fate table: reply, records, disposition, and what arrives at the next hop."""

    async def test(house):
        client = await house.stranger()
        [rcpt] = await client.begin("", "b@customer.example")
        assert rcpt.startswith("250"), rcpt
        answer = await client.content(content)
        assert answer.startswith(reply), answer
        if queued:
            [taken] = await house.arrived()
            assert taken.content.endswith(content)
        seen = [record for record in house.seen if record["type"] != "Delivery"]
        assert [record["type"] for record in seen] == records
        if disposition is not None:
            assert seen[0]["disposition"] == disposition
            assert seen[0].get("why") == ("shape" if content is SHAPED and queued else None)
            ident = answer.rpartition("=")[2]
            assert {record["id"] for record in seen} == {ident}
        assert bool(seen[0].get("report_error")) == (content is BROKEN_DSN)
        await house.stop()
        assert len(house.hop.taken) == queued

    serve(test, domains=f'["customer.example"]\n{entry}\n')


def test_a_domain_without_right_or_log_is_refused_at_rcpt(serve):
    """The table's first row: 550 at RCPT, one Rejection."""

    async def test(house):
        client = await house.stranger()
        [rcpt] = await client.begin("", "b@customer.example")
        assert rcpt.startswith("550 5.7.1")
        assert house.kinds() == ["Rejection"]

    serve(test, domains='["customer.example"]\nlog_oob = false\n')


def test_one_record_for_each_failed_recipient(serve):
    """OOB says who failed and why, who told it, and that the address the report came to was the sender."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "bounces@customer.example", content=dsn("one@far.example", "two@far.example"))
        first, second = house.records("OOB")
        assert (first["recipient"], second["recipient"]) == ("one@far.example", "two@far.example")
        assert first["sender"] == "bounces@customer.example"
        assert first["response"]["code"] == 550
        assert first["response"]["enhanced_code"] == {"class": 5, "subject": 1, "detail": 1}
        assert first["peer_address"] == {"name": "mx.far.example", "addr": STRANGER}
        original = first["report"]["original"]
        assert original["message_id"] == "<original@customer.example>"
        assert original["marks"]["message_id"] == "derived"
        assert first["decided_by"]["key"] == "customer.example"

    serve(test, domains='["customer.example"]\nlog_oob = true\n')


@pytest.mark.parametrize("action", ["delayed", "delivered"])
def test_notices_that_are_no_failures(serve, action):
    """Delayed and success notices make no OOB; the Reception says what they tell."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "bounces@customer.example", content=dsn("reader@far.example", action=action))
        [reception] = house.seen
        assert reception["disposition"] == "logged"
        assert reception["notices"] == [
            {"recipient": "reader@far.example", "action": action, "status": "5.1.1"}
        ]

    serve(test, domains='["customer.example"]\nlog_oob = true\n')


def test_a_feedback_record(serve):
    """Feedback keeps what is needed to find the original message."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "fbl@customer.example", content=ARF)
        feedback = house.records("Feedback")[0]
        report = feedback["feedback_report"]
        assert report["feedback_type"] == "abuse"
        assert report["original_rcpto_to"] == ["reader@far.example"]
        assert "original@customer.example" in str(feedback["report"]["original"])

    serve(test, domains='["customer.example"]\nlog_fbl = true\n')


def test_a_customers_outgoing_bounce_is_not_ours_to_discard(serve):
    """Options of `"*"` examine only recipients without a right (contract 2.3)."""

    async def test(house):
        client = await house.connect()
        await client.send("", "b@elsewhere.example", content=DSN)
        await house.arrived()
        assert house.records("Reception")[0]["disposition"] == "queued"
        stranger = await house.stranger()
        await stranger.send("", "b@elsewhere.example", content=DSN)
        assert house.records("Reception")[1]["disposition"] == "logged"

    serve(test, domains='["*"]\nlog_oob = true\n')


def test_a_report_never_gains_a_right(serve):
    """`LogThenRelay` for every domain is no relay for whatever looks like a report (W2)."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "victim@far.example", content=DSN)
        assert house.records("Reception")[0]["disposition"] == "logged"
        await house.stop()
        assert house.hop.taken == []

    serve(test, domains='["*"]\nlog_oob = "LogThenRelay"\nlog_arf = "LogThenRelay"\n')


def test_a_report_lasts_until_the_log_has_it(serve):
    """The spool keeps a report's records until they are in the log, and nothing afterwards."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "bounces@customer.example", content=DSN)
        await house.shard.intake.close()
        await house.stop()
        await house.restart()
        assert len(house.shard.scheduler) == 0
        assert house.kinds() == OOB

    serve(test, domains='["customer.example"]\nlog_oob = true\n')


def test_bare_line_feeds_in_reports(serve):
    """A domain that only logs may take bare LF, since such bounces exist; others of the listener may not."""

    async def test(house):
        client = await house.stranger()
        await client.begin("", "b@customer.example")
        await client.say("DATA")
        client.write(DSN.replace(b"\r\n", b"\n") + b"\r\n.\r\n")
        assert (await client.reply()).startswith("250")
        assert house.kinds() == OOB
        await client.begin("", "b@relayed.example")
        await client.say("DATA")
        client.write(DSN.replace(b"\r\n", b"\n") + b"\r\n.\r\n")
        assert (await client.reply()).startswith("552 5.6.0")

    domains = '["customer.example"]\nlog_oob = true\ninvalid_line_endings = "Fix"\n'
    serve(test, domains=domains + '["relayed.example"]\nrelay_to = true\n')
