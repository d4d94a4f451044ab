"""A postmaster who writes about a bounce is a person, and sends none; a bounce may be polite."""

from __future__ import annotations

import pytest

from angarium.reports import examine

HEAD = "From: Mail Team <postmaster@x.example>\nTo: jo@sender.example\n"
CTYPE = "Content-Type: text/plain; charset=utf-8\n"
LETTERS = {
    "an answer": (
        "RE: Case AB-12: undeliverable mail",
        "Hello,\n\nwe have looked into it. Mail to u@example.net was not delivered: 550 5.7.1 refused.\n",
    ),
    "a letter": (
        "Your complaint about undelivered mail",
        "Dear Sir,\n\nmail to u@example.net was not delivered: 550 5.1.1 unknown.\n\nRegards\nJoe\n",
    ),
    "a letter in German": (
        "Ihre Anfrage: Mail nicht zustellbar",
        "Guten Tag,\n\nMail an u@example.net wird nicht zugestellt: 550 5.7.1 gesperrt.\n\nViele Grüße\n",
    ),
    "a letter in French": (
        "Message non remis",
        "Bonjour,\n\nle mail à u@example.net n'a pas été remis : 550 5.7.1.\n\nCordialement,\nAnne\n",
    ),
}
POLITE = (
    "Dear user,\n\nyour message could not be delivered to\n\n<u@example.net>: 550 5.1.1 no\n\n"
    "Sincerely yours\n"
)
RETURNED = "\n--- Original message ---\n\nReceived: from a\nMessage-ID: <1@x>\nFrom: a@x.example\n"


@pytest.mark.parametrize("null_sender", [False, None])
@pytest.mark.parametrize("name", LETTERS)
def test_a_person_sends_no_bounce(name: str, null_sender: bool | None) -> None:
    """Who greets, takes leave or answers needs more than the title and the words of a bounce."""
    subject, words = LETTERS[name]
    content = f"{HEAD}{CTYPE}Subject: {subject}\n\n{words}".encode()
    assert examine(content, null_sender=null_sender).kind == "none"


@pytest.mark.parametrize(("returned", "null_sender"), [("", True), (RETURNED, None)])
def test_a_polite_bounce_is_one(returned: str, null_sender: bool | None) -> None:
    """The null reverse-path, or the message that it returns, outweighs a greeting."""
    content = f"{HEAD}Subject: Undelivered Mail\n\n{POLITE}{returned}".encode()
    report = examine(content, null_sender=null_sender)
    assert [one.address for one in report.failed] == ["u@example.net"]
