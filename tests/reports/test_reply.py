# ruff: noqa: E501 - samples are quoted as they come
"""Replies are taken out of the words that servers wrap them in."""

from __future__ import annotations

import pytest

from angarium.reports.reply import best_status, read_reply

CASES = [
    ("550 5.1.1 No such user", 550, "5.1.1", "No such user"),
    ("host mx.example.net[192.0.2.9] said: 550 5.1.1 <a@example.net>: User unknown (in reply to RCPT TO command)", 550, "5.1.1", "<a@example.net>: User unknown"),
    ("550-5.1.1 The account 550-5.1.1 does not 550 5.1.1 exist", 550, "5.1.1", "The account does not exist"),
    ("550-line one 550 line two", 550, None, "line one line two"),
    ("Remote host said: 554 delivery error", 554, None, "delivery error"),
    ("<<< 452 4.2.2 Mailbox full", 452, "4.2.2", "Mailbox full"),
    ("Sorry, no mailbox here by that name. (#5.1.1)", None, "5.1.1", "Sorry, no mailbox here by that name. (#5.1.1)"),
    ("Remote Server returned '550 5.1.10 RESOLVER.ADR; not found'", 550, "5.1.10", "RESOLVER.ADR; not found"),
    ("mx.example.com #550 5.7.1 refused ##", 550, "5.7.1", "refused"),
    ("SMTP error from remote mail server after RCPT TO:<a@b.example>: host x [192.0.2.9]: 551 moved", 551, None, "moved"),
    ("550: : User unknown", 550, None, "User unknown"),
    ("error 421: closing", 421, None, "closing"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "enhanced", "words"), CASES)
def test_reply(text: str, code: int | None, enhanced: str | None, words: str) -> None:
    """Code, enhanced status and words stand apart."""
    reply = read_reply(text)
    assert reply is not None
    assert (reply.code, reply.enhanced, reply.text) == (code, enhanced, words)


@pytest.mark.parametrize(
    "text",
    [
        "connect to 192.0.2.550:25: refused",
        "port 465 was closed",
        "message of 550 kilobytes",
        "postmaster.example.com/errors#554",
        "version 5.7.7601.22751",
        "",
    ],
)
def test_no_reply(text: str) -> None:
    """Ports, sizes, addresses, versions and anchors are no codes."""
    assert read_reply(text) is None


def test_the_most_telling_status_wins() -> None:
    """The first that names a cause; `x.4.7` only says that a sender gave up."""
    assert best_status("5.0.0 5.1.0 5.1.1 5.2.2") == "5.1.1"
    assert best_status("554 4.4.7 Message expired <421 4.4.2 Connection timed out>") == "4.4.2"
    assert best_status("nothing") is None
