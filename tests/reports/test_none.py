# ruff: noqa: E501 - samples are quoted as they come
"""What only looks like a report is none."""

from __future__ import annotations

import pytest

from angarium.reports import examine
from tests.reports.ordinary import ORDINARY

DAEMON = "From: MAILER-DAEMON@example.com\nReturn-Path: <>\nTo: sender@example.com\n"
PERSON = "From: Jane Doe <jane@example.org>\nTo: sender@example.com\n"
RETURNED = "\n\n----- Original message -----\nReceived: from a\nMessage-ID: <1@example.com>\nFrom: a@example.com\nTo: b@example.net\n"

MAIL = {
    "vacation": DAEMON
    + "Subject: Out of Office: Hello\nAuto-Submitted: auto-replied\n\nI am away. Mail could not be delivered to a@example.net.",
    "vacation with a harmless subject": "From: a@example.net\nReturn-Path: <>\nSubject: Re: Hello\n\nI am on holiday until May. Urgent mail cannot be delivered; ask b@example.net.",
    "german vacation": "From: a@example.net\nReturn-Path: <>\nSubject: Abwesend: Hallo\n\nIch bin nicht erreichbar.",
    "challenge": "From: a@example.net\nReturn-Path: <>\nSubject: Your message to a@example.net\n\nYour message could not be delivered until you confirm that you sent it. Please click the link below to verify your address.\na@example.net",
    "read receipt": PERSON
    + 'Subject: Read: Hello\nContent-Type: multipart/report; report-type=disposition-notification; boundary="b"\n\n--b\n\nIt was read.\n--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; a@example.net\nDisposition: manual-action/MDN-sent-manually; displayed\n--b--\n',
    "tls report": DAEMON
    + 'Subject: Report Domain: example.com\nContent-Type: multipart/report; report-type="tlsrpt"; boundary="b"\n\n--b\n\nA report.\n--b\nContent-Type: application/tlsrpt+gzip\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n',
    "dmarc aggregate": "From: noreply-dmarc@example.org\nSubject: Report domain: example.com Submitter: example.org Report-ID: 1\nContent-Type: application/zip\nContent-Transfer-Encoding: base64\n\nUEsDBAo=",
    "newsletter about bouncing": "From: News <news@example.org>\nList-Id: <news.example.org>\nSubject: Why mail bounces\n\nWhen a message could not be delivered, the server says: 550 5.1.1 user unknown. The following addresses had permanent fatal errors ...\n<a@example.net>: no such user",
    "question about a bounce": PERSON
    + "Subject: Undelivered Mail Returned to Sender\nIn-Reply-To: <1@example.com>\n\nHi, why did I get this?\n\n> could not be delivered",
    "forwarded bounce": PERSON
    + "Subject: Fwd: Undelivered Mail Returned to Sender\n\nThe mail could not be delivered to\n<a@example.net>: 550 5.1.1 no\n"
    + RETURNED,
    "spam as multipart/report": PERSON
    + 'Subject: You won\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n--b\nContent-Type: text/html\n\n<p>Buy now</p>\n--b--\n',
    "phishing": "From: Mail Delivery System <noreply@example.org>\nTo: sender@example.com\nSubject: Undelivered messages pending for sender@example.com\n\nYour mailbox is full and 5 messages could not be delivered. Click here to release your pending messages.",
    "quarantine digest": "From: postmaster@example.com\nTo: sender@example.com\nSubject: Spam quarantine report\n\nThe following messages were not delivered to you:\n\na@example.net  buy now\n",
    "ordinary mail of a postmaster": "From: postmaster@example.com\nTo: sender@example.com\nSubject: Maintenance\n\nThe server is down on Sunday. Ask support@example.com.",
    "a bounce as an attachment": PERSON
    + 'Subject: see attached\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n\nLook at this.\n--b\nContent-Type: message/rfc822\n\nFrom: MAILER-DAEMON@example.com\nContent-Type: multipart/report; boundary="c"\n\n--c\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; a@example.net\nAction: failed\nStatus: 5.1.1\n--c--\n--b--\n',
    "a worm dressed as a bounce": DAEMON
    + 'Subject: Returned mail: see transcript for details\nContent-Type: multipart/mixed; boundary="b"\n\n--b\n\nThe following addresses had permanent fatal errors\n<a@example.net>\n550 5.1.1 no\n--b\nContent-Type: application/octet-stream; name="transcript.zip"\n\nUEsDB\n--b--\n',
    "a parcel": "From: Parcel Delivery Service <info@example.org>\nTo: sender@example.com\nSubject: Delivery failure notification\n\nYour parcel could not be delivered. Tracking number: 550 5.1. Write to\n\ncourier7@example.org\n",
    "a list's notice": "From: mailman-bounces@example.com\nTo: owner@example.com\nReturn-Path: <>\nSubject: Bounce action notification\n\nThis is a Mailman mailing list bounce action notice:\n\nMember: a@example.net\nReason: Excessive or fatal bounces. Delivery failed.\n",
    "a shop that asks to write": "From: Order Gateway <orders@example.org>\nTo: sender@example.com\nSubject: Delivery failed\n\nThe item could not be delivered to you.\n\nsupport@example.org\n",
    "somebody who left": "From: mary@example.net\nReturn-Path: <>\nTo: sender@example.com\nSubject: Re: Hello\n\nThis account is no longer in use.\n\n-----Original Message-----\nFrom: sender@example.com\nTo: mary@example.net\nSubject: Hello\n\nHello\n",
    "nothing": "",
    "no header": "\n\n550 5.1.1 could not be delivered\n",
}


@pytest.mark.parametrize("content", (MAIL | ORDINARY).values(), ids=(MAIL | ORDINARY).keys())
def test_is_no_report(content: str) -> None:
    """Neither a bounce nor a feedback report, nor a broken one."""
    report = examine(content.encode())
    assert (report.kind, report.problem) == ("none", None)


def test_the_envelope_counts_where_it_is_known() -> None:
    """The null reverse-path of the transaction stands for a missing Return-Path field."""
    content = b"From: x@example.net\nSubject: hello\n\nYour mail could not be delivered to\n\n<a@example.org>: 550 5.1.1 no\n"
    assert examine(content).kind == "none"
    assert examine(content, null_sender=True).kind == "oob"
    bounced = b"Return-Path: <>\n" + content
    assert examine(bounced).kind == "oob"
    assert examine(bounced, null_sender=False).kind == "none"
