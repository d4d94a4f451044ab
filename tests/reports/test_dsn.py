# ruff: noqa: E501 - samples are quoted as they come
"""Delivery status notifications are read field by field, whatever state they are in."""

from __future__ import annotations

import pytest

from angarium.reports import Bounce, Recipient, Report, examine

STATUS = """\
Reporting-MTA: dns; mx.example.com
Arrival-Date: Thu, 4 Apr 2024 10:11:12 +0200 (CEST)
Original-Envelope-Id: QQ314159
X-Postfix-Queue-ID: 4F9A
Received-From-MTA: dns; client.example.com (192.0.2.7)

Original-Recipient: rfc822;info@example.net
Final-Recipient: rfc822; <rcpt@example.net>
Action: failed
Status: 5.0.0 (permanent failure)
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550-5.1.1 The account that you tried to reach
 550 5.1.1 does not exist
Last-Attempt-Date: Thu, 4 Apr 2024 10:12:00 -0000
X-Extra: one
"""
ORIGINAL = """\
Received: from a.example.com by mx.example.com; Thu, 4 Apr 2024 10:11:12 +0200
Message-ID: <1@example.com>
From: Sender <sender@example.com>
To: info@example.net
Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
Date: Thu, 4 Apr 2024 10:11:00 +0200
List-Unsubscribe: <mailto:out@example.com>
X-Angarium-Ref: v=1;k=a1;t=1;s=abc;d=e30
"""


def notification(
    status: str = STATUS,
    *,
    words: str = "It failed.",
    report: str = "multipart/report; report-type=delivery-status",
    kind: str = "message/delivery-status",
    encoding: str = "7bit",
) -> bytes:
    return f"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: sender@example.com
Subject: Undelivered Mail Returned to Sender
Content-Type: {report}; boundary="b"

--b
Content-Type: text/plain

{words}
--b
Content-Type: {kind}
Content-Transfer-Encoding: {encoding}

{status}
--b
Content-Type: text/rfc822-headers

{ORIGINAL}
--b--
""".encode()


def bounce(content: bytes) -> Bounce:
    report = examine(content)
    assert (report.kind, report.why, report.by_shape) == ("oob", "delivery-status", False)
    assert report.bounce is not None
    return report.bounce


def only(status: str) -> Recipient:
    (one,) = bounce(notification(f"Reporting-MTA: dns; mx.example.com\n\n{status}")).recipients
    return one


def test_every_field_is_read() -> None:
    """A complete notification yields all that RFC 3464 defines, each value marked as reported or derived."""
    read = bounce(notification())
    assert read.reporting_mta is not None
    assert (read.reporting_mta.mta_type, read.reporting_mta.name) == ("dns", "mx.example.com")
    assert read.received_from_mta is not None
    assert read.received_from_mta.name == "client.example.com"
    assert (read.original_envelope_id, read.queue_id) == ("QQ314159", "4F9A")
    assert read.arrival_date == "2024-04-04T10:11:12+02:00"
    (one,) = read.recipients
    assert (one.address, one.address_type, one.original) == ("rcpt@example.net", "rfc822", "info@example.net")
    assert (one.action, one.status) == ("failed", "5.1.1")
    assert one.reply is not None
    assert (one.reply.code, one.reply.enhanced) == (550, "5.1.1")
    assert one.reply.text == "The account that you tried to reach does not exist"
    assert one.remote_mta is not None
    assert one.last_attempt_date == "2024-04-04T10:12:00+00:00"
    assert one.extensions == {"x-extra": ("one",)}
    derived = {"status", "reply"}
    stated = {"address", "original", "action", "diagnostic", "remote_mta", "last_attempt_date"}
    assert one.marks == dict.fromkeys(derived, "derived") | dict.fromkeys(stated, "reported")
    assert set(read.marks) == {
        *("reporting_mta", "received_from_mta", "original_envelope_id", "arrival_date", "queue_id")
    }


def test_what_cannot_be_read_stays_as_text() -> None:
    """A field that cannot be parsed is kept under `unparsed`, and what was read in spite of it is derived."""
    one = only(
        "Final-Recipient: rfc822; bad@@example.net\nAction: exploded\nStatus: five\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\n"
    )
    assert one.unparsed == {
        "action": ("exploded",),
        "final-recipient": ("rfc822; bad@@example.net",),
        "status": ("five",),
    }
    assert (one.address, one.action, one.status) == ("bad@@example.net", "failed", "5.1.1")
    assert {one.marks[name] for name in ("address", "action", "status")} == {"derived"}


def test_a_block_that_names_nobody() -> None:
    """Its fields stay as text beside the recipients that are named; of very many the first ones."""
    blocks = "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n"
    blocks += "\nAction: failed\nStatus: 5.0.0\n" * 100
    read = bounce(notification(f"Reporting-MTA: dns; mx.example.com\n\n{blocks}"))
    assert [one.address for one in read.recipients] == ["a@example.net"]
    assert read.unparsed == {"action": ("failed",) * 10, "status": ("5.0.0",) * 10}


def test_the_original_is_read() -> None:
    """The returned header yields what finds our message again, encoded words decoded."""
    original = examine(notification()).original
    assert original is not None
    assert (original.message_id, original.sender) == ("<1@example.com>", "Sender <sender@example.com>")
    assert (original.to, original.subject) == ("info@example.net", "Grüße")
    assert (original.list_unsubscribe, original.traces) == (
        "<mailto:out@example.com>",
        ("v=1;k=a1;t=1;s=abc;d=e30",),
    )


@pytest.mark.parametrize(
    "content",
    [
        notification(report="Multipart/REPORT; Report-Type=Delivery-Status"),
        notification(report="multipart/report"),
        notification(report="multipart/mixed").replace(b"To:", b"Return-Path: <>\nTo:", 1),
        notification(kind="Message/Global-Delivery-Status"),
        notification(STATUS.replace("\n\n", "\n \n\n\n")),
        notification(STATUS.replace("\n\n", "\n")),
        notification(STATUS.replace("Action: failed", "Action: FAILED (bad address)")),
        notification(STATUS.replace("Action: failed", "action : failure")),
        notification().replace(b"\n", b"\r\n"),
        b"From x Thu Jan  1 00:00:00 1970\n" + notification(),
        b'Content-Type: multipart/mixed; boundary="o"\n\n--o\n\nfooter\n--o\n'
        + notification()
        + b"\n--o--\n",
    ],
)
def test_other_spellings_say_the_same(content: bytes) -> None:
    """Case, media types, empty lines, line ends and nesting make no difference."""
    (one,) = bounce(content).recipients
    assert (one.address, one.action, one.status) == ("rcpt@example.net", "failed", "5.1.1")


def test_encoded_status_parts_are_decoded() -> None:
    """A transfer encoding that RFC 3464 forbids is undone all the same."""
    quoted = STATUS.replace("=", "=3D").replace("rcpt@", "rc=\npt@")
    assert (
        bounce(notification(quoted, encoding="quoted-printable")).recipients[0].address == "rcpt@example.net"
    )


def test_each_recipient_has_its_own_action() -> None:
    """Failed recipients are apart from notices of delay and success, even without empty lines."""
    status = "".join(
        f"Final-Recipient: rfc822; {name}@example.net\nAction: {action}\nStatus: {status}\n"
        for name, action, status in (
            ("a", "failed", "5.1.1"),
            ("b", "delayed", "4.4.1"),
            ("c", "relayed", "2.0.0"),
        )
    )
    report = examine(notification(status))
    assert [one.address for one in report.failed] == ["a@example.net"]
    assert [(one.address, one.action) for one in report.notices] == [
        ("b@example.net", "delayed"),
        ("c@example.net", "relayed"),
    ]


@pytest.mark.parametrize(
    ("field", "address", "kind"),
    [
        ("Final-Recipient: rfc822;<a@example.net>", "a@example.net", "rfc822"),
        ("Final-Recipient: RFC822; Some Name <a@example.net>", "a@example.net", "rfc822"),
        ("Final-Recipient: a@example.net", "a@example.net", "rfc822"),
        ("Final-Recipient: rfc822; a@example.net (comment)", "a@example.net", "rfc822"),
        ("Final-Recipient: unknown; nair_s", "nair_s", "unknown"),
        ("Final-Recipient: x400; /C=WW/RFC-822=a(a)example.net/", "a@example.net", "x400"),
        ("Final-Recipient: utf-8; gr\\x{FC}n@example.net", "grün@example.net", "utf-8"),
        ("Final-Recipient: LOCAL; a", "a", "local"),
    ],
)
def test_addresses(field: str, address: str, kind: str) -> None:
    """Recipients are read in every form of their field (RFC 3464 section 2.3.2, RFC 6533 section 3)."""
    one = only(f"{field}\nAction: failed\nStatus: 5.1.1\n")
    assert (one.address, one.address_type) == (address, kind)


def test_a_foreign_address_gives_way_to_the_senders() -> None:
    """Where the final address is X.400 the original one, that the sender knows, is taken."""
    one = only(
        "Original-Recipient: rfc822; a@example.net\nFinal-Recipient: x400; /C=WW/\nAction: failed\nStatus: 5.0.0\n"
    )
    assert one.address == "a@example.net"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("Status: 5.1.1\nDiagnostic-Code: smtp; 552 5.2.2 Over quota", "5.2.2"),
        ("Status: 5.2.1\nDiagnostic-Code: smtp; 550 5.0.0 no", "5.2.1"),
        (
            "Status: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.0 - Unknown '5.7.1 <a@b.example>... Denied'",
            "5.7.1",
        ),
        ("Status: 5.4.7\nDiagnostic-Code: smtp; 452 4.2.2 mailbox full", "4.2.2"),
        ("Status: 553 Too large", "5.0.0"),
        ("Status: nonsense\nDiagnostic-Code: smtp; 554 refused", "5.0.0"),
        ("Status: 4.0.0\nDiagnostic-Code: x; no reply here", "4.0.0"),
    ],
)
def test_status(fields: str, status: str) -> None:
    """The status is the most telling of the field and the remote server's own reply."""
    assert only(f"Final-Recipient: rfc822; a@example.net\nAction: failed\n{fields}\n").status == status


def test_bad_dates_are_kept_as_text() -> None:
    """A date that cannot be read stands under `unparsed` and costs nothing else."""
    one = only(
        "Final-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\nLast-Attempt-Date: yesterday\n"
    )
    assert one.last_attempt_date is None
    assert one.unparsed == {"last-attempt-date": ("yesterday",)}


def test_the_words_complete_the_fields() -> None:
    """A reply that only the human part tells is taken for the recipient that it is about."""
    words = "rcpt@example.net: 550 5.7.26 <rcpt@example.net>: rejected"
    status = (
        "Reporting-MTA: dns; x\n\nFinal-Recipient: rfc822; rcpt@example.net\nAction: failed\nStatus: 5.0.0\n"
    )
    (one,) = bounce(notification(status, words=words)).recipients
    assert one.status == "5.7.26"
    assert one.reply is not None
    assert one.marks["status"] == "derived"


def test_a_notification_without_recipients_is_broken() -> None:
    """What claims to be a notification, names nobody and looks like no bounce is said to be broken."""
    content = notification("Reporting-MTA: dns; x\n", words="Hello.").replace(
        b"text/rfc822-headers", b"text/x-other"
    )
    content = content.replace(b"Undelivered Mail Returned to Sender", b"Hello").replace(
        b"MAILER-DAEMON@", b"joe@"
    )
    report = examine(content.replace(b"Mail Delivery System", b"Joe"))
    assert report == Report(
        kind="oob", why="delivery-status", problem="no recipient in the delivery-status part"
    )
    assert not report.is_usable


def test_fields_in_the_text_count() -> None:
    """A bounce whose fields stand in its text is read like one with a part for them, by its shape."""
    body = f"An error occurred while trying to deliver the mail.\n\nTechnical report:\n\n{STATUS}"
    report = examine(b"From: MAILER-DAEMON@example.com\nSubject: Delivery failure\n\n" + body.encode())
    assert report.by_shape
    assert report.failed[0].address == "rcpt@example.net"


@pytest.mark.parametrize(("null_sender", "by_shape"), [(False, True), (None, True), (True, False)])
def test_a_status_part_outside_a_report_is_a_shape(*, null_sender: bool | None, by_shape: bool) -> None:
    """What a person may have attached counts as a shape, unless it came with the null reverse-path."""
    report = examine(notification(report="multipart/mixed"), null_sender=null_sender)
    assert (report.kind, report.why, report.by_shape) == ("oob", "delivery-status", by_shape)


def test_a_status_part_deep_in_a_report_is_known_by_type() -> None:
    """A multipart/report at any level above makes the part a report's own, whoever sent it."""
    inner = notification(report="multipart/mixed").split(b"\n\n", 1)[1]
    content = (
        b"From: a@example.com\nContent-Type: multipart/report; boundary=o\n\n--o\n"
        b"Content-Type: multipart/mixed; boundary=b\n\n" + inner + b"--o--\n"
    )
    report = examine(content, null_sender=False)
    assert (report.kind, report.by_shape) == ("oob", False)


RECEIPT = b"--b\nContent-Type: message/disposition-notification\n\nDisposition: x; displayed\n"


@pytest.mark.parametrize("stated", ["; report-type=delivery-status", ""])
def test_a_receipt_among_the_parts_does_not_hide_a_bounce(stated: str) -> None:
    """The report type decides, or the first part that is a report's: not any receipt that stands there."""
    content = notification(report=f"multipart/report{stated}").replace(b"--b--", RECEIPT + b"--b--")
    assert examine(content).kind == "oob"


def test_a_receipt_that_comes_first_decides_where_no_type_does() -> None:
    """Without a report type, the first part that is a report's says what it is."""
    content = notification(report="multipart/report").replace(b"--b\n", RECEIPT + b"--b\n", 1)
    assert examine(content).why == "other-report"
    declared = content.replace(b"multipart/report", b"multipart/report; report-type=delivery-status")
    assert examine(declared).kind == "oob"


@pytest.mark.parametrize(
    "value",
    ["rfc822; =?utf-8?q?a=0Ab=40x.example?=", "utf-8; a\\x{1B}@x.example", "rfc822; a\x1b[2J@x.example"],
)
def test_an_address_with_controls_is_none(value: str) -> None:
    """It stays as text under `unparsed`, and the original recipient stands for it."""
    one = only(f"Original-Recipient: rfc822; o@example.net\nFinal-Recipient: {value}\nAction: failed\n")
    assert one.address == "o@example.net"
    assert one.unparsed == {"final-recipient": (value,)}


@pytest.mark.parametrize(
    ("action", "status", "meant"),
    [
        ("delivery-failed", "5.1.1", "failed"),
        ("Delivery failed", "4.4.7", "failed"),
        ("delivered", "5.1.1", "delivered"),
        ("delivered", "2.0.0", "delivered"),
        ("delivered to mailbox", "", "delivered"),
        ("relayed", "2.0.0", "relayed"),
    ],
)
def test_a_failure_is_never_a_success(action: str, status: str, meant: str) -> None:
    """The word for failure wins wherever it stands in the action."""
    bounce = examine(
        notification(f"Final-Recipient: rfc822; u@example.net\nAction: {action}\nStatus: {status}\n")
    ).bounce
    assert bounce is not None
    assert bounce.recipients[0].action == meant


def test_a_recipient_who_is_named_twice_has_failed_once() -> None:
    """Equal recipients are one, with the status that tells more; other aliases of it are others."""
    block = "Final-Recipient: rfc822; {}\n{}Action: failed\nStatus: {}\n\n"
    status = (
        block.format("u@example.net", "", "5.0.0")
        + block.format("U@example.net", "", "5.1.1")
        + block.format("u@example.net", "Original-Recipient: rfc822; alias@example.net\n", "5.1.1")
    )
    failed = examine(notification(status)).failed
    assert [(one.meant.lower(), one.status) for one in failed] == [
        ("u@example.net", "5.1.1"),
        ("alias@example.net", "5.1.1"),
    ]


@pytest.mark.parametrize(
    ("original", "meant"),
    [
        ("user+2Btag@example.net", "user+tag@example.net"),
        ("other+2Btag@example.net", "other+2Btag@example.net"),
    ],
)
def test_an_original_recipient_in_xtext_is_decoded(original: str, meant: str) -> None:
    """Where it then is the final one; else nobody knows whether `+2B` is xtext or a name."""
    status = f"Original-Recipient: rfc822;{original}\nFinal-Recipient: rfc822;user+tag@example.net\nAction: failed\n"
    assert [one.meant for one in examine(notification(status)).failed] == [meant]


def test_a_byte_order_mark_hides_no_report() -> None:
    """What an editor puts before the first header field is not part of it."""
    content = notification("Final-Recipient: rfc822; u@example.net\n").partition(b"\n\n")[2]
    head = b"\xef\xbb\xbfContent-Type: multipart/report; boundary=b\n\n"
    assert examine(head + content).kind == "oob"
