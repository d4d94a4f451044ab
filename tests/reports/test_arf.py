# ruff: noqa: E501 - samples are quoted as they come
"""Feedback reports are read with every field that RFC 5965 and RFC 6591 define, and with what they leave
out.
"""

from __future__ import annotations

import base64

import pytest

from angarium.reports import Feedback, examine

FIELDS = """\
Feedback-Type: Abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Mail-From: <sender@example.com>
Original-Rcpt-To: <one@example.net>
Original-Rcpt-To: two@example.net
Arrival-Date: Thu, 8 Mar 2005 14:00:00 EDT
Reporting-MTA: dns; mail.example.net
Source-IP: 192.0.2.1
Authentication-Results: mail.example.net; spf=fail
Reported-Domain: example.com
Reported-Uri: http://example.com/earn_money.html
Incidents: 3
Auth-Failure: dmarc
"""


def feedback_mail(
    fields: str = FIELDS, *, kind: str = "message/feedback-report", prose: str = "A report."
) -> bytes:
    return f"""\
From: <abusedesk@example.net>
To: <fbl@example.com>
Subject: FW: Earn money
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

{prose}
--b
Content-Type: {kind}

{fields}
--b
Content-Type: message/rfc822

Received: from out.example.com (out.example.com [192.0.2.9]) by mail.example.net;
 Thu, 4 Apr 2024 10:11:12 +0000
Delivered-To: real@example.net
From: <sender@example.com>
To: <Undisclosed Recipients>
Subject: Earn money
Message-ID: <1@example.com>
CFBL-Feedback-ID: 111:222
Date: Thu, 4 Apr 2024 10:11:00 +0000

Spam
--b--
""".encode()


def read(content: bytes) -> Feedback:
    report = examine(content)
    assert (report.kind, report.why, report.problem) == ("arf", "feedback-report", None)
    assert report.feedback is not None
    return report.feedback


def test_every_field_is_read() -> None:
    """Single, repeated, typed and unknown fields stand under the names of the log record."""
    found = read(feedback_mail())
    assert (found.feedback_type, found.user_agent, found.version) == ("abuse", "SomeGenerator/1.0", "1")
    assert found.original_mail_from == "sender@example.com"
    assert found.original_rcpt_to == ("one@example.net", "two@example.net")
    assert found.arrival_date == "2005-03-08T14:00:00-04:00"
    assert (found.source_ip, found.incidents) == ("192.0.2.1", 3)
    assert found.reporting_mta is not None
    assert found.authentication_results == ("mail.example.net; spf=fail",)
    assert found.reported_domain == ("example.com",)
    assert found.reported_uri == ("http://example.com/earn_money.html",)
    assert found.extensions == {"auth-failure": ("dmarc",)}
    assert found.fields["original-mail-from"] == ("<sender@example.com>",)
    assert set(found.marks.values()) == {"reported"}


def test_the_original_is_read() -> None:
    """The returned message yields its Message-ID and the sender's own feedback id (RFC 9477)."""
    original = examine(feedback_mail()).original
    assert original is not None
    assert (original.message_id, original.feedback_id) == ("<1@example.com>", "111:222")


def test_what_is_left_out_is_recovered() -> None:
    """Recipient, source address and date come from the returned message, and are marked so."""
    found = read(feedback_mail("Feedback-Type: abuse\nUser-Agent: x\nVersion: 1\n"))
    assert found.original_rcpt_to == ("real@example.net",)
    assert found.source_ip == "192.0.2.9"
    assert found.arrival_date == "2024-04-04T10:11:12+00:00"
    assert {found.marks[name] for name in ("original_rcpt_to", "source_ip", "arrival_date")} == {"derived"}


def test_the_human_part_is_asked_first() -> None:
    """The sentence that providers write gives address and date."""
    prose = "This is an abuse report for a message received from IP 198.51.100.3 on Fri, 5 Apr 2024 01:02:03 +0000"
    found = read(feedback_mail("Feedback-Type: abuse\n", prose=prose))
    assert (found.source_ip, found.arrival_date) == ("198.51.100.3", "2024-04-05T01:02:03+00:00")


def test_flawed_fields_cost_only_themselves() -> None:
    """Missing required fields, a bad date, a bad number, a misspelt name: the rest is read."""
    found = read(
        feedback_mail(
            "Source-IP: x.x.x.x\nReceived-Date: soon\nIncidents: many\nOriginal-Rcpto-To: a@example.net\n"
        )
    )
    assert found.feedback_type is None
    assert found.original_rcpt_to == ("a@example.net",)
    assert found.unparsed == {"source-ip": ("x.x.x.x",), "received-date": ("soon",), "incidents": ("many",)}


def test_an_abuse_type_is_a_feedback_type() -> None:
    """`Abuse-Type: complaint` alone means abuse."""
    assert read(feedback_mail("Abuse-Type: complaint\n")).feedback_type == "abuse"


def test_a_part_of_the_wrong_type_is_found() -> None:
    """A feedback part called text/plain is read where the report type says feedback."""
    assert read(feedback_mail(kind="text/plain")).feedback_type == "abuse"


def test_a_report_without_fields_is_broken() -> None:
    """What claims to be a feedback report and says nothing is said to be broken."""
    report = examine(feedback_mail("Hello: world\n"))
    assert (report.kind, report.is_usable) == ("arf", False)
    assert report.problem == "no field of RFC 5965 in the feedback part"


def test_microsofts_mail_without_a_feedback_part() -> None:
    """A returned message with Microsoft's own recipient field is a complaint, by its shape."""
    content = b"""\
From: staff@hotmail.example
Subject: complaint about message from 192.0.2.9
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: message/rfc822

X-HmXmrOriginalRecipient: rcpt@hotmail.example
X-Reporter-IP: 203.0.113.9
Received: from out.example.com ([192.0.2.9]) by mx.hotmail.example; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <1@example.com>
From: sender@example.com
To: list@example.com

Hello
--b--
"""
    report = examine(content)
    assert (report.kind, report.why, report.by_shape) == ("arf", "jmrp", True)
    assert report.feedback is not None
    assert (report.feedback.feedback_type, report.feedback.source_ip) == ("abuse", "192.0.2.9")
    assert report.feedback.original_rcpt_to == ("rcpt@hotmail.example",)


def test_a_feedback_part_of_the_wrong_type_may_be_encoded() -> None:
    """Fields in a text part are found under its transfer encoding, where the report says what it is."""
    fields = base64.encodebytes(b"Feedback-Type: abuse\nSource-IP: 192.0.2.1\n")
    content = (
        b"From: f@example.net\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        b"--b\n\nA complaint.\n--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
        + fields
        + b"\n--b--\n"
    )
    found = examine(content)
    assert found.kind == "arf"
    assert found.feedback is not None
    assert (found.feedback.feedback_type, found.feedback.source_ip) == ("abuse", "192.0.2.1")


def test_a_feedback_part_outside_a_report_is_a_shape() -> None:
    """What a person may have attached counts as a shape, unless it came with the null reverse-path."""
    content = feedback_mail().replace(b"multipart/report", b"multipart/mixed")
    assert examine(content, null_sender=False).by_shape
    assert not examine(content, null_sender=True).by_shape
    assert not examine(feedback_mail(), null_sender=False).by_shape


def complaint(returned: str) -> bytes:
    return f"""\
From: a@hotmail.example
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: message/rfc822

{returned}
--b--
""".encode()


def test_microsofts_field_is_a_field() -> None:
    """Its name counts in any case, and only in the header section of what is returned."""
    assert examine(complaint("x-hmxmroriginalrecipient: r@example.net\n\nHello")).why == "jmrp"
    assert examine(complaint("Subject: a\n\nX-HmXmrOriginalRecipient: r@example.net")).why == "mail"
    assert examine(complaint("Subject: X-HmXmrOriginalRecipient: r@example.net\n\nHello")).why == "mail"


def test_addresses_with_controls_are_unparsed() -> None:
    """They stay as text; the returned message says whom the report is about."""
    found = read(feedback_mail("Feedback-Type: abuse\nOriginal-Rcpt-To: a\x1b[2J@example.net\n"))
    assert found.unparsed == {"original-rcpt-to": ("a\x1b[2J@example.net",)}
    assert found.original_rcpt_to == ("real@example.net",)


def told_by(fields: str, returned: str = "") -> Feedback:
    """The feedback of a report with these fields, about a message with this header."""
    mail = feedback_mail(fields).decode()
    if returned:
        head, mark, rest = mail.partition("Content-Type: message/rfc822\n\n")
        mail = head + mark + returned + rest[rest.index("Delivered-To") :]
    feedback = examine(mail.encode()).feedback
    assert feedback is not None
    return feedback


def test_an_internal_hop_is_not_the_source() -> None:
    """Address and date are of the hop that came from outside, not of those inside the provider's house."""
    hops = "".join(
        f"Received: from a (a [{address}]) by b; Thu, 4 Apr 2024 {hour}:00:00 +0000\n"
        for address, hour in (("10.0.0.1", 13), ("fd00::1", 12), ("192.0.2.77", 11))
    )
    feedback = told_by("Feedback-Type: abuse\n", hops)
    assert feedback.source_ip == "192.0.2.77"
    assert feedback.arrival_date == "2024-04-04T11:00:00+00:00"
    assert told_by("Feedback-Type: abuse\n", "Received: from a (a [10.0.0.1])\n").source_ip is None


@pytest.mark.parametrize(
    ("stated", "meant"),
    [
        ("192.0.2.3", "192.0.2.3"),
        ("[IPv6:2001:db8::1]", "2001:db8::1"),
        ("[192.0.2.3]", "192.0.2.3"),
        ("10.0.0.1", "10.0.0.1"),
    ],
)
def test_a_source_address_is_an_address(stated: str, meant: str) -> None:
    """A literal of SMTP is read as its address; what a report states is believed."""
    feedback = told_by(f"Feedback-Type: abuse\nSource-IP: {stated}\n")
    assert (feedback.source_ip, feedback.marks["source_ip"]) == (meant, "reported")


def test_a_source_address_that_is_none_is_unparsed() -> None:
    """It stays as text, and the address is derived as if the field were missing."""
    feedback = told_by("Feedback-Type: abuse\nSource-IP: 1.2.3\n")
    assert feedback.unparsed == {"source-ip": ("1.2.3",)}
    assert (feedback.source_ip, feedback.marks["source_ip"]) == ("192.0.2.9", "derived")


def test_recipients_in_one_field_are_several() -> None:
    """RFC 5965 has a field for each, generators do not."""
    feedback = told_by(
        'Feedback-Type: abuse\nOriginal-Rcpt-To: a@x.example, <b@x.example>\nOriginal-Rcpt-To: "c,d"@x.example\n'
    )
    assert feedback.original_rcpt_to == ("a@x.example", "b@x.example", '"c,d"@x.example')


def test_an_empty_type_hides_no_complaint() -> None:
    """Each field is read on its own, also beside a Feedback-Type without a value."""
    feedback = told_by("Feedback-Type:\nUser-Agent: X/1\nVersion: 1\n")
    assert (feedback.feedback_type, feedback.user_agent) == (None, "X/1")


@pytest.mark.parametrize(
    "kind",
    [
        'application/octet-stream; name="x.eml"',
        'application/octet-stream\nContent-Disposition: attachment; filename="x.EML"',
    ],
)
def test_the_original_as_a_file_is_found(kind: str) -> None:
    """A returned message of no type is known by its name and its fields."""
    report = examine(
        feedback_mail("Feedback-Type: abuse\n").replace(
            b"Content-Type: message/rfc822", f"Content-Type: {kind}".encode()
        )
    )
    assert report.feedback is not None
    assert report.feedback.original_rcpt_to == ("real@example.net",)
    assert report.original is not None
    assert report.original.message_id == "<1@example.com>"


def test_a_file_that_is_no_message_is_none() -> None:
    """The name alone makes no original."""
    mail = feedback_mail("Feedback-Type: abuse\n").partition(b"Content-Type: message/rfc822")[0]
    mail += b'Content-Type: application/octet-stream; name="x.eml"\n\nNote: nothing\n\n--b--\n'
    assert examine(mail).original is None
