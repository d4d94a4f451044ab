# ruff: noqa: E501 - samples are quoted as they come
"""Whatever comes: a report or none, never an exception, the same for CRLF and LF."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.reports import examine
from tests.reports.forms import FORMS

LINES = [
    b"From: MAILER-DAEMON@x.example", b"Return-Path: <>", b"Subject: Undelivered Mail Returned to Sender",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=b",
    b"Content-Type: multipart/report; report-type=feedback-report; boundary=b",
    b"Content-Type: message/delivery-status", b"Content-Type: message/feedback-report",
    b"Content-Type: message/rfc822", b"Content-Type: text/html; charset=utf-16", b"Content-Transfer-Encoding: base64",
    b"Content-Type: multipart/mixed; boundary=c", b"--b", b"--c", b"--b--", b"--c--", b"",
    b"Final-Recipient: rfc822; a@example.net", b"Final-Recipient: utf-8; \\x{110000}\\x{D800}a@example.net",
    b"Original-Recipient: x400; /C=WW/", b"Action: failed", b"Status: 5.1.1", b"Status: 9.9.9",
    b"Diagnostic-Code: smtp; 550-5.1.1 no", b" 550 5.1.1 really", b"Reporting-MTA: dns; x",
    b"Arrival-Date: Thu, 99 Apr 9999 99:99:99 +9999", b"Feedback-Type:", b"Feedback-Type: ;", b"Source-IP: 1.2.3",
    b"Incidents: 99999999999", b"could not be delivered to the following address", b"<a@example.net>:", b"a@example.net",
    b"550 5.1.1 no", b"----- Original message -----", b"Received: from [192.0.2.1]; yesterday", b"Message-ID: <1@x>",
    b"X-HmXmrOriginalRecipient: a@example.net", b"X-Failed-Recipients: a@example.net, ,b", b"\xff\xfe\x00", b"=?utf-16?B?2AA=?=",
]  # fmt: skip


def check(content: bytes) -> None:
    report = examine(content)
    assert report.kind in {"oob", "arf", "none"}
    assert msgspec.json.encode(report)
    if report.is_usable:
        assert report.bounce is not None or report.feedback is not None
    lone = content.replace(b"\r", b"")
    assert examine(lone) == examine(lone.replace(b"\n", b"\r\n"))


@given(st.binary(max_size=4000))
def test_any_octets(content: bytes) -> None:
    """Random octets do no harm."""
    check(content)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_lines_of_reports_in_any_order(lines: list[bytes]) -> None:
    """The parts that reports are made of, shuffled, do no harm either."""
    check(b"\n".join(lines))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FORMS), st.integers(0, 3000), st.integers(0, 80), st.binary(max_size=20))
def test_damaged_bounces(form: object, start: int, length: int, put: bytes) -> None:
    """A bounce with a piece cut out and rubbish put in is read or not, without harm."""
    content: bytes = form.content  # type: ignore[attr-defined]
    check(content[:start] + put + content[start + length :])
