"""What a bounce quotes, of our mail or of a server, does not speak against it."""

from __future__ import annotations

import pytest

from angarium.reports import examine

OURS = [
    "Please confirm your e-mail address",
    "Your order 1234 has shipped",
    "Our vacation offers",
    "Verify your account",
    "The weekly digest",
    "Ticket #4711 was updated",
]
SAID = [
    "550 5.2.1 she is no longer with us",
    "550 I have left; write to new@example.net instead",
    "550 5.7.1 not one of the approved senders",
    "452 4.2.2 Your account is over quota, your mailbox is full",
    "554 5.7.1 open this link to prove you are a human",
    "caixa postal inexistente",
]


def quoting(title: str) -> bytes:
    return (
        f"From: postmaster@example.net\nSubject: Undeliverable: {title}\n\nYour message\n\n"
        f"  To: u@example.net\n  Subject: {title}\n\ncould not be delivered to\n\nu@example.net\n"
        "    the recipient name is not recognized\n"
    ).encode()


@pytest.mark.parametrize("title", OURS)
def test_what_our_mail_was_called_does_not_count(title: str) -> None:
    """A bounce is known whatever the mail was called that it quotes."""
    report = examine(quoting(title))
    assert [one.address for one in report.failed] == ["u@example.net"]


@pytest.mark.parametrize("label", ["Betreff", "Objet", "Asunto", "件名"])
def test_the_label_of_a_title_has_many_languages(label: str) -> None:
    """The line that quotes our subject is known in the language of the bounce."""
    content = quoting(OURS[0]).decode().replace("  Subject:", f"  {label}:")
    head, _, body = content.partition("\n\n")
    content = f"{head}\nContent-Type: text/plain; charset=utf-8\n\n{body}"
    assert examine(content.encode()).kind == "oob"


@pytest.mark.parametrize("said", SAID)
def test_what_a_server_replied_does_not_count(said: str) -> None:
    """A bounce is known whatever the remote server said of the recipient."""
    content = (
        f"From: MAILER-DAEMON@x.example\nSubject: failure notice\n\nnot delivered:\n<u@example.net>: {said}\n"
    )
    assert [one.address for one in examine(content.encode()).failed] == ["u@example.net"]


@pytest.mark.parametrize(
    "subject", ["Automatic reply: Undeliverable: Hello", "Weekly digest", "[#4711] Undeliverable: Hello"]
)
def test_what_stands_before_the_failure_counts(subject: str) -> None:
    """A title of its own that is another automatic mail's still speaks against a bounce."""
    content = quoting("Hello").replace(b"Undeliverable: Hello", subject.encode())
    assert examine(content).kind == "none"


def test_what_is_said_after_the_reply_counts() -> None:
    """A paragraph of the author's own below the reply still speaks against a bounce."""
    content = quoting("Hello") + b"    550 5.1.1 no\n\nPlease click the link below to verify your address.\n"
    assert examine(content).kind == "none"
