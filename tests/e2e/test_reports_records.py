"""P6 and P12: what the records of reports say, and who sees reports (their fate: `test_p06_reports`)."""

import pytest

from tests.e2e.mails import ARF, DSN, dsn

FAR = "mailer@far.example"
DOMAINS = """
["bounces.example"]
log_oob = true
log_arf = true
["drop.example"]
relay_to = true
log_oob = true
log_arf = true
"""


OTHERS = [("two", "failed", "5.2.2"), ("late", "delayed", "4.4.1"), ("done", "delivered", "2.0.0")]


def mixed():
    """A report about four recipients: two failed, one is late, one has got it."""
    more = "".join(
        f"\r\nFinal-Recipient: rfc822; {who}@far.example\r\nAction: {action}\r\nStatus: {status}\r\n"
        for who, action, status in OTHERS
    )
    before, separator, after = dsn("one@far.example").partition(b"\r\n--b\r\nContent-Type: text/rfc822")
    return before + more.encode() + separator + after


def test_one_oob_for_each_failed_recipient(serve):
    """Failed recipients have a record each; the others stand in the Reception's notices."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=mixed())
        reception, *oobs = house.records()
        assert [(oob["type"], oob["recipient"]) for oob in oobs] == [
            ("OOB", "one@far.example"),
            ("OOB", "two@far.example"),
        ]
        assert reception["notices"] == [
            {"recipient": "late@far.example", "action": "delayed", "status": "4.4.1"},
            {"recipient": "done@far.example", "action": "delivered", "status": "2.0.0"},
        ]

    serve(test, domains=DOMAINS)


def test_what_an_oob_record_says(serve):
    """The remote reply taken apart, its class, whether the address is dead, what came back of the mail."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=DSN)
        oob = house.records("OOB")[0]
        assert oob["sender"] == "b@bounces.example"
        assert oob["response"]["code"] == 550
        assert oob["response"]["enhanced_code"] == {"class": 5, "subject": 1, "detail": 1}
        assert oob["response"]["content"] == "no such user"
        assert (oob["bounce_classification"], oob["dead_address"]) == ("InvalidRecipient", "yes")
        assert oob["peer_address"] == {"name": "mx.far.example", "addr": "127.0.0.2"}
        assert oob["verified"] is None
        assert oob["report"]["original"]["message_id"] == "<original@customer.example>"
        assert oob["report"]["original"]["marks"]["message_id"] == "derived"
        assert oob["report"]["recipient"]["marks"]["status"] == "reported"
        assert oob["decided_by"]["key"] == "bounces.example"

    serve(test, domains=DOMAINS)


def test_what_a_feedback_record_says(serve):
    """The fields under the reference's names, its misspelling beside ours, and the returned message."""

    async def test(house):
        client = await house.stranger()
        await client.send(FAR, "b@bounces.example", content=ARF)
        record = house.records("Feedback")[0]
        said = record["feedback_report"]
        assert (said["feedback_type"], said["user_agent"], said["source_ip"]) == (
            "abuse",
            "Far/1.0",
            "192.0.2.1",
        )
        assert said["original_rcpt_to"] == said["original_rcpto_to"] == ["reader@far.example"]
        assert said["original_message"].startswith("From: news@customer.example\nTo: reader@far.example\n")
        assert said["supplemental_trace"] is None
        assert said["marks"]["source_ip"] == "reported"
        assert record["verified"] is None
        assert record["report"]["original"]["message_id"] == "<original@customer.example>"

    serve(test, domains=DOMAINS)


def test_reports_are_recorded_where_receptions_are_not(serve):
    """A log that leaves Receptions out has the OOB and Feedback records all the same (reference W32)."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=DSN)
        await client.send("", "b@bounces.example", content=ARF)
        await house.stop()
        assert [record["type"] for record in house.logged()] == ["OOB", "Feedback"]
        house.seen[:] = house.logged()

    serve(test, domains=DOMAINS, log="[log.per_record.Reception]\nenable = false\n")


def test_a_small_report_does_not_fill_the_log(serve):
    """A report about a thousand recipients has a hundred records; only the first says it all."""

    async def test(house):
        client = await house.stranger()
        extras = b"".join(b"X-Extra-%d: %s\r\n" % (number, b"x" * 900) for number in range(40))
        content = dsn(*(f"r{number}@far.example" for number in range(1000)))
        content = content.replace(
            b"Reporting-MTA: dns; mx.far.example\r\n", b"Reporting-MTA: dns; a.b\r\n" + extras
        )
        await client.send("", "b@bounces.example", content=content)
        oobs = house.records("OOB")
        assert [len(oobs), *{oob["left_out"] for oob in oobs}] == [100, 900]
        assert house.records("Reception")[0]["left_out"] == 900
        assert len(oobs[0]["report"]["message"]["extensions"]) == 40
        assert max(len(str(oob)) for oob in oobs[1:]) < 4000
        assert oobs[99]["report"]["original"] == {"message_id": "<original@customer.example>"}

    serve(test, domains=DOMAINS)


def test_many_addressees_of_one_report_share_its_records(serve):
    """One report sent to many addresses of ours is one per address, and no more records than the bound."""

    async def test(house):
        client = await house.stranger()
        everyone = [f"b{number}@bounces.example" for number in range(60)]
        content = dsn(*(f"r{number}@far.example" for number in range(3)))
        await client.send("", *everyone, content=content)
        assert len(house.records("Reception")) == 60
        assert [oob["recipient"] for oob in house.records("OOB")] == ["r0@far.example"] * 60
        assert {oob["left_out"] for oob in house.records("OOB")} == {2}

    serve(test, domains=DOMAINS)


def test_a_large_report_is_read_too(serve):
    """A report that returns megabytes is examined aside, and has its record."""

    async def test(house):
        client = await house.stranger()
        body = b"\r\n" + (b"y" * 76 + b"\r\n") * 30_000
        content = DSN.replace(b"Subject: hello\r\n", b"Subject: hello\r\n" + body)
        await client.send("", "b@bounces.example", content=content)
        assert house.records("OOB")[0]["recipient"] == "reader@far.example"

    serve(test, domains=DOMAINS)


RULES = "[rules]\nFarAway = ['no such user']\nHomeMade = ['(?i)not here']\n[dead_address]\nFarAway = 'no'\n"


def test_own_rules_classify_every_kind_of_failure(serve):
    """Bounce, OOB and Rejection records carry the class of the operator's own rule files; deliveries none."""

    async def test(house):
        client = await house.stranger()
        await client.send("", "b@bounces.example", content=DSN)
        await client.begin("", "b@elsewhere.example")
        insider = await house.connect()
        await insider.send("a@customer.example", "b@far.example")
        bounce = await house.wait_for("Bounce")
        assert (bounce["bounce_classification"], bounce["dead_address"]) == ("HomeMade", "unknown")
        oob, rejection = house.records("OOB", "Rejection")
        assert (oob["bounce_classification"], oob["dead_address"]) == ("FarAway", "no")
        assert rejection["bounce_classification"] in {"RelayDenied", "PolicyRelated"}
        assert "dead_address" not in rejection
        assert house.records("Reception")[0]["bounce_classification"] == "Uncategorized"

    def prepare(folder):
        (folder / "own.toml").write_text(RULES)

    serve(
        test,
        domains=DOMAINS,
        main="[classifier]\nfiles = ['own.toml', 'community', 'iana']\n",
        prepare=prepare,
        hop=[{"rcpt": "550 5.1.1 not here"}],
    )


def test_a_transient_failure_has_its_class(serve):
    """What a next hop says for now is classified as well."""

    async def test(house):
        client = await house.connect()
        await client.send("a@customer.example", "b@far.example")
        record = await house.wait_for("TransientFailure")
        assert record["bounce_classification"] == "QuotaIssues"
        assert "dead_address" not in record

    serve(test, hop=[{"rcpt": "452 4.2.2 mailbox full"}])


HANDLER = """
@policy.on
def report_received(report, conn_meta: ConnectionMeta) -> None:
    conn_meta.meta["seen"] = [report.kind, report.why, str(report.recipient), report.verified]
    if report.failed and report.failed[0].address.startswith("known@"):
        reject(550, "5.7.1 We know")
    if report.failed and report.failed[0].address.startswith("raise@"):
        report.failed[5]
"""


@pytest.mark.parametrize(
    ("who", "reply", "kinds"),
    [
        ("reader", "250", ["Reception", "OOB"]),
        ("known", "550 5.7.1 We know", ["Rejection"]),
        ("raise", "451 4.3.0", ["Rejection"]),
    ],
)
def test_the_operators_code_sees_reports(serve, who, reply, kinds):
    """`report_received` runs before the reply, may refuse, and costs no more than its own command."""

    async def test(house):
        client = await house.stranger()
        await client.begin("", "b@bounces.example")
        assert (await client.content(dsn(f"{who}@far.example"))).startswith(reply)
        assert house.kinds() == kinds
        record = house.records()[-1]
        assert [call["event"] for call in record["handlers"]] == ["report_received"]

    serve(test, domains=DOMAINS, program=HANDLER)


def test_ordinary_mail_is_no_report_to_the_operators_code(serve):
    """Mail that is examined and is no report calls nobody."""

    async def test(house):
        client = await house.stranger()
        await client.send("a@far.example", "b@drop.example")
        await house.arrived()
        assert "handlers" not in house.records("Reception")[0]

    serve(test, domains=DOMAINS, program=HANDLER)
