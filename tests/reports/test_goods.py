"""Words that show no mail must be about mail, and told by a mail system."""

import re

import pytest

from angarium.reports import examine
from angarium.reports.rules import read_rules

NOTICE = """\
Return-Path: <>
From: {speaker}
To: news@sender.example
Subject: {title}
Content-Type: text/plain; charset=utf-8

{words}
"""
RETURNED = """
----- Original message follows -----

Return-Path: <news@sender.example>
From: news@sender.example
To: ext@gate.example
Message-ID: <1@sender.example>
Subject: Hello
"""

OTHER_GOODS = {
    "fax": (
        "Fax Gateway <postmaster@fax.example>",
        "Fax transmission failed",
        "Your fax could not be delivered to +49 30 123456: busy (code 450).\nJob: 771@fax.example",
    ),
    "voice": (
        "Voicemail <postmaster@d.example>",
        "You have 1 undelivered voice message",
        "A message for ext@d.example could not be delivered to your phone. 550",
    ),
    "sms": (
        "sms-gateway@telco.example",
        "SMS delivery report: failed",
        "The text message to 4917012345@sms.example could not be delivered: absent subscriber",
    ),
    "german parcel": (
        "Postzustellung <mailer-daemon@paket.example>",
        "Ihre Sendung konnte nicht zugestellt werden",
        "Ihre Sendung konnte heute nicht zugestellt werden. Fragen? hilfe@paket.example",
    ),
}

PEOPLE = {
    "explanation": (
        "News <news@d.example>",
        "Mail delivery failed? 10 tips",
        "Undeliverable mail costs money. <a@b.example>: 550 5.1.1 user unknown means the address is dead.",
    ),
    "question": (
        "Joe <joe@d.example>",
        "Re: Undelivered Mail Returned to Sender",
        "Sorry, could not be delivered? kurt@dest.example 550 5.1.1 that was me.",
    ),
}

ABROAD = {
    "polish": (
        "Poczta <mailer-daemon@poczta.example>",
        "Zwrot wiadomości do nadawcy",
        "Twoja wiadomość nie została dostarczona do odbiorcy:\n\n<jan@poczta.example>\n\n552 Skrzynka pełna",
    ),
    "russian": (
        "mailer-daemon@pochta.example",
        "Письмо",
        "Ваше письмо не было доставлено, так как адресатов найти не удалось:\n\nivan@pochta.example",
    ),
    "italian": (
        "posta-certificata@pec.example",
        "Avviso di mancata consegna",
        "Errore nel recapito del messaggio a <gino@it.example>: 5.1.1 utente sconosciuto",
    ),
}


def notice(speaker: str, title: str, words: str, returned: str = "") -> bytes:
    return NOTICE.format(speaker=speaker, title=title, words=words + "\n" + returned).encode()


@pytest.mark.parametrize("name", OTHER_GOODS | PEOPLE)
def test_what_is_not_about_mail_is_no_bounce(name: str) -> None:
    """Faxes and parcels fail as well, and who is no mail system by name only speaks of failure."""
    assert examine(notice(*(OTHER_GOODS | PEOPLE)[name])).kind == "none"


@pytest.mark.parametrize("name", ["fax", "voice", "sms"])
def test_a_gateway_that_returns_our_mail_reports_its_failure(name: str) -> None:
    """Where our mail is shown, it is what has failed, whatever it was to be turned into."""
    assert examine(notice(*OTHER_GOODS[name], RETURNED)).kind == "oob"


def test_a_stranger_who_tells_in_the_form_of_a_mail_system_is_one() -> None:
    """A recipient at the start of a line with its reply is evidence enough, without a name."""
    words = "Your mail could not be delivered:\n\n<a@b.example>: host mx.b.example said: 550 5.1.1 unknown"
    assert examine(notice("Mail <mail@b.example>", "Undeliverable", words)).kind == "oob"


def test_a_stranger_who_says_it_in_one_sentence_is_one() -> None:
    """A title of failure, and one sentence that says of an address that mail to it failed."""
    words = "Your mail to pia@isp.example could not be delivered because the mailbox is full."
    assert examine(notice("noreply@isp.example", "Mail could not be delivered", words)).kind == "oob"


@pytest.mark.parametrize("name", ABROAD)
def test_letters_beyond_ascii_are_letters(name: str) -> None:
    """Words are recognised whichever letter follows their stem."""
    assert examine(notice(*ABROAD[name])).kind == "oob"


@pytest.mark.parametrize("name", ["shape.toml", "community.toml", "providers.toml", "iana.toml"])
def test_no_rule_takes_ascii_for_every_letter(name: str) -> None:
    r"""`\w` of RE2 is ASCII alone: after a stem with other letters it has to be `\pL`."""
    assert not re.findall(r"[^\x00-\x7f]\\w.{0,20}", read_rules(name))


def test_every_line_end_is_one() -> None:
    """A file whose lines end with CR, with LF or with both says the same."""
    content = notice(*ABROAD["polish"], RETURNED)
    answers = [examine(content.replace(b"\n", end)) for end in (b"\n", b"\r\n", b"\r")]
    assert answers[0].kind == "oob"
    assert answers[0] == answers[1] == answers[2]
