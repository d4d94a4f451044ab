# ruff: noqa: E501 - samples are quoted as they come
"""Hostile messages cost bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest

from angarium.reports import examine

LIMIT = 0.050  # seconds of processor time, whatever the message
HEAD = b"From: MAILER-DAEMON@x.example\r\nReturn-Path: <>\r\nSubject: Undelivered Mail Returned to Sender\r\n"
REPORT = HEAD + b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
STATUS = b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
FAILED = b"Final-Recipient: rfc822; u@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
WORDS = b"This message could not be delivered to\r\n\r\n<u@example.net>: 550 5.1.1 no\r\n\r\n"
FEEDBACK = (
    b"From: f@x.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\n"
)
MEBI = 1 << 20


def nested(levels: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i) for i in range(levels)
    )


BOMBS: dict[str, Callable[[], bytes]] = {
    "20 MiB of text": lambda: HEAD + b"\r\n" + b"hello world this is text\r\n" * (20 * MEBI // 26),
    "20 MiB returned": lambda: REPORT + STATUS + FAILED + b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + b"x" * 20 * MEBI,
    "20 MiB on one line": lambda: HEAD + b"\r\n" + WORDS + b"a" * 20 * MEBI,
    "10,000 parts": lambda: REPORT + b"--b\r\n\r\nx\r\n" * 10_000,
    "1,000 levels": lambda: HEAD + nested(1000) + WORDS,
    "levels over many false delimiters": lambda: HEAD + nested(12) + b"--b\n" * 250_000,
    "a field of a million characters": lambda: HEAD + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n" + WORDS,
    "a million encoded words": lambda: b"Subject: " + b"=?utf-8?q?a?= " * 80_000 + b"\r\n" + HEAD + b"\r\n" + WORDS,
    "a million brackets in From": lambda: b"From: " + b"<a" * 500_000 + b"\r\n" + HEAD + b"\r\n" + WORDS,
    "a header without a colon": lambda: HEAD + b"a" * 1_000_000 + b"\r\n\r\n" + WORDS,
    "100,000 fields": lambda: b"".join(b"X-%d: a\r\n" % i for i in range(100_000)) + HEAD + b"\r\n" + WORDS,
    "300,000 folds": lambda: HEAD + b"X-A: a\r\n" + b" b\r\n" * 300_000 + b"\r\n" + WORDS,
    "comments": lambda: b"From: " + b"(" * 1_000_000 + b"\r\n" + HEAD + b"\r\n" + WORDS,
    "parameters": lambda: HEAD + b"Content-Type: multipart/report" + b'; a="b' * 200_000 + b"\r\n\r\n" + WORDS,
    "parameters of many parts": lambda: REPORT + (b"--b\r\nContent-Type: text/plain" + b';a="b\\' * 800 + b"\r\n\r\n") * 220,
    "9,000 recipients": lambda: REPORT + STATUS + (FAILED + b"Diagnostic-Code: smtp; 550 5.1.1 no\r\n\r\n") * 9000,
    "9,000 recipients in one block": lambda: REPORT + STATUS + FAILED * 9000,
    "continuation lines": lambda: REPORT + STATUS + FAILED + b" z\r\n" * 300_000,
    "codes in a diagnostic": lambda: REPORT + STATUS + FAILED + b"Diagnostic-Code: smtp; " + b"550-5.1.1 " * 100_000,
    "addresses on one line": lambda: HEAD + b"\r\ncould not be delivered\r\n" + b"a@b.c " * 200_000,
    "addresses on many lines": lambda: HEAD + b"\r\ncould not be delivered\r\n" + b"<a@b.c>: 550 no\r\n" * 20_000,
    "an endless address": lambda: HEAD + b"\r\ncould not be delivered\r\n" + b"a" * 100_000 + b"@" + b"b." * 100_000,
    "quotes": lambda: HEAD + b'\r\ncould not be delivered\r\n' + b'"a@' * 100_000,
    "open tags": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<" * 1_000_000,
    "open comments": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<!-- " * 200_000,
    "open styles": lambda: HEAD + b"Content-Type: text/html\r\n\r\n" + b"<style>" * 200_000,
    "quoted-printable": lambda: HEAD + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=3D" * 200_000,
    "200 texts": lambda: REPORT + (b"--b\r\nContent-Type: text/plain\r\n\r\n" + b"a@b.c\r\n" * 700) * 220,
    "200 returned messages": lambda: REPORT + (b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + b"X-A: b\r\n" * 700) * 220,
    "dashes": lambda: HEAD + b"\r\n" + b"----- " * 200_000,
    "blocks of many delivery-status parts": lambda: REPORT + (b"--b\nContent-Type: message/delivery-status\n\nFinal-Recipient: a@x\n\n" + b"Remote-MTA: b\n\n" * 350) * 195,
    "blocks that go on with one recipient": lambda: REPORT + STATUS + FAILED + b"\r\n" + b"Remote-MTA: b\r\n\r\n" * 60_000,
    "values of one field": lambda: REPORT + STATUS + FAILED + b"X:a\r\n" * 130_000,
    "empty lines": lambda: REPORT + STATUS + FAILED + b"\n" * MEBI,
    "boundaries that begin like each other": lambda: HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=\"%s\"\n\n--%s\n" % (b"-" * i, b"-" * i) for i in range(1, 13)) + b"-" * MEBI,
    "lines that begin like every boundary": lambda: HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=\"b%s\"\n\n--b%s\n" % (b"b" * i, b"b" * i) for i in range(12)) + b"\n--bbbbbbbbbbbbbx" * 60_000,
    "short false delimiters on every level": lambda: HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 12 + b"\n--bx" * 200_000,
    "short fields": lambda: HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + (b"--b\n" + b"X:\n" * 1600) * 210,
    "values of one feedback field": lambda: FEEDBACK + b"X:a\r\n" * 130_000,
    "feedback for 40,000 recipients": lambda: FEEDBACK + b"".join(b"Original-Rcpt-To: %d@b.c\r\n" % i for i in range(40_000)),
    "received fields": lambda: FEEDBACK + b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + b"Received: from [1.2.3." * 40_000,
    "failed recipients": lambda: HEAD + b"X-Failed-Recipients: " + b"a@b.c, " * 100_000 + b"\r\n\r\n" + WORDS,
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_time_is_bounded(bomb: Callable[[], bytes]) -> None:
    """No message takes more than 50 ms."""
    content = bomb()
    taken = LIMIT + 1
    for _ in range(40):  # the best of them: machines are shared
        start = time.process_time()
        examine(content)
        taken = min(taken, time.process_time() - start)
        if taken < LIMIT:
            break
    assert taken < LIMIT


def test_memory_is_bounded() -> None:
    """A message of 20 MiB needs less than a quarter of its size besides."""
    content = BOMBS["20 MiB of text"]()
    tracemalloc.start()
    examine(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MEBI
