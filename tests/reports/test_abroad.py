"""Bounces in many languages are read exactly, and mail that speaks of bounces is none."""

from __future__ import annotations

import pytest

from angarium.reports import examine
from tests.reports.abroad import BOUNCES, OTHERS, RETURNED, mail

# Programs that write with the null reverse-path; people and newsletters never do.
AUTOMATIC = (
    "vac-de",
    "vac-fr",
    "vac-ja",
    "vac-es",
    "left",
    "challenge",
    "ticket",
    "quar",
    "parcel",
    "newsletter",
)


@pytest.mark.parametrize("name", BOUNCES)
def test_bounces_of_many_systems_and_languages(name: str) -> None:
    """Recipients, status, code and the reply's own words, whatever stands around them."""
    sender, subject, words, fields, is_returned, recipients, status, code, text = BOUNCES[name]
    found = examine(mail(sender, subject, words, fields, RETURNED if is_returned else ""), null_sender=True)
    assert found.kind == "oob"
    assert tuple(one.address for one in found.failed) == recipients
    first = found.failed[0]
    reply = first.reply
    assert (first.status, reply.code if reply else None, reply.text if reply else None) == (
        status,
        code,
        text,
    )


@pytest.mark.parametrize("name", OTHERS)
def test_what_speaks_of_bounces_is_none(name: str) -> None:
    """Absences, challenges, tickets, newsletters, phishing and people who ask for help are no reports."""
    for null_sender in (False, None, *([True] if name in AUTOMATIC else [])):
        assert examine(mail(*OTHERS[name]), null_sender=null_sender).kind == "none"


def test_what_is_said_of_a_recipient_ends() -> None:
    """The diagnostic ends with the reply, at a rule, and before the title of what is returned."""
    words = (
        "Leveransen misslyckades till:\n\n<a@example.net>: host mx said: 550 5.1.1 no such user\n"
        "    (in reply to RCPT TO command)\n\nKontakta din administratör för hjälp.\n\nOriginalhuvud:\n"
    )
    bounce = mail("MAILER-DAEMON@x.example", "Olevererbart: x", words, returned=RETURNED)
    [one] = examine(bounce, null_sender=True).failed
    said = "<a@example.net>: host mx said: 550 5.1.1 no such user (in reply to RCPT TO command)"
    assert one.diagnostic == said


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (
            "Échec de la remise du message",
            "Impossible de remettre votre message aux destinataires suivants :",
        ),
        ("Echec de la remise", "Votre message n'a pu etre delivre a l'adresse suivante :"),
        ("Échec lors de l'envoi", "Votre message n’a pas été distribué au destinataire suivant :"),
        ("Niedostarczona wiadomość", "Wiadomość nie mogła zostać dostarczona."),
        ("Niedoręczenie", "List nie mógł zostać doręczony."),
    ],
)
def test_french_and_polish_with_accents_or_without(subject: str, words: str) -> None:
    """Title and words are known as people and as old systems spell them."""
    bounce = mail("MAILER-DAEMON@x.example", subject, f"{words}\n\n<a@example.net>\n")
    assert [one.address for one in examine(bounce).failed] == ["a@example.net"]
