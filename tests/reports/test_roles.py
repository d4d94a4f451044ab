"""Roles (`info@`, `support@`, `postmaster@`) fail like others; where they are to be asked, they have not."""

from __future__ import annotations

import pytest

from angarium.reports import Report, examine

HEAD = "From: MAILER-DAEMON@x.example\nSubject: failure notice\n\nYour message could not be delivered.\n\n"
EXIM = (
    "  info@a.example\n    host mx.a.example [192.0.2.1]\n    SMTP error after RCPT TO:<info@a.example>:\n"
    "    550 5.7.1 closed\n  jo@b.example\n    retry timeout exceeded\n"
)


def read(body: str, head: str = HEAD) -> Report:
    return examine((head + body).encode())


def test_a_role_beside_another_keeps_its_own_reply() -> None:
    """A role and another in one list are both reported, each with what was said of it."""
    first, second = read(EXIM).failed
    assert (first.address, first.status) == ("info@a.example", "5.7.1")
    assert (second.address, second.reply) == ("jo@b.example", None)


def test_a_role_of_the_header_has_its_reply() -> None:
    """X-Failed-Recipients gives the names, the words what was said of each, roles too."""
    report = read(EXIM, "X-Failed-Recipients: info@a.example, jo@b.example\n" + HEAD)
    assert [one.status for one in report.failed] == ["5.7.1", None]


@pytest.mark.parametrize("role", ["info", "support", "admin", "abuse", "postmaster"])
@pytest.mark.parametrize(
    "form",
    [
        "<{}>:\n550 5.1.1 no\n\n<jo@b.example>:\n552 5.2.2 full\n",
        "{}\n  550 5.1.1 no\n\njo@b.example\n  552 5.2.2 full\n",
        "{}\njo@b.example\n",
    ],
)
def test_a_role_in_a_list_has_failed(role: str, form: str) -> None:
    """By `<address>:`, by a reply with it, or by its neighbours."""
    report = read(form.format(f"{role}@a.example"))
    assert [one.address for one in report.failed] == [f"{role}@a.example", "jo@b.example"]


def test_a_role_alone_is_known_by_its_reply() -> None:
    """A bounce about nobody but a role is a bounce."""
    report = read("<info@a.example>:\n550 5.1.1 no\n")
    assert [one.address for one in report.failed] == ["info@a.example"]


@pytest.mark.parametrize(
    "words",
    [
        "For help, write to\n\npostmaster@x.example\n\n<jo@b.example>:\n550 5.1.1 no\n",
        "<jo@b.example>:\n550 5.1.1 no\n\nFor help, write to:\n\n  support@x.example\n",
        "mail to jo@b.example failed. Write to our admin@x.example for more.\n",
    ],
)
def test_a_role_named_for_questions_has_not_failed(words: str) -> None:
    """Whom to ask is no recipient."""
    assert [one.address for one in read(words).failed] == ["jo@b.example"]
