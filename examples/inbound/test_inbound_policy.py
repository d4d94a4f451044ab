"""What this policy is for: mail comes in, waits while our mail server is away, and bounces are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from angarium.testing import Do, MakeMta, Mta

HERE = Path(__file__).parent
OUR_MAIL_SERVER = "127.0.0.1"

BOUNCE = """\
From: MAILER-DAEMON@provider.example
To: b-1@bounces.example.com
Subject: Undelivered mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

The address is not known here.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.provider.example

Final-Recipient: rfc822; gone@provider.example
Action: failed
Status: 5.1.1
--b--
"""


@pytest.fixture
def server(mta: MakeMta) -> Mta:
    """The example, served."""
    return mta(HERE / "angarium.toml")


def test_mail_reaches_our_mail_server(server: Mta) -> None:
    """Mail to example.com is handed on as it came, below one more Received field."""
    result = server.session().mail("you@example.net", "user@example.com", "Subject: hello\n\nhello\n")
    assert result.is_accepted
    (message,) = server.delivered
    assert (message.host, message.port) == (OUR_MAIL_SERVER, 2526)
    assert message.text.startswith("Received: ")
    assert message.text.endswith("Subject: hello\n\nhello\n")


def test_mail_waits_while_our_mail_server_is_away(server: Mta) -> None:
    """A day without the mail server costs a day, and no message."""
    server.next_hop(OUR_MAIL_SERVER, {"connect": Do.CLOSE})
    server.session().mail("you@example.net", "user@example.com")
    server.advance(days=1)
    (waiting,) = server.queue
    assert waiting.attempts > 10
    server.next_hop(OUR_MAIL_SERVER, {})
    server.advance(hours=2)
    assert len(server.delivered) == 1
    assert server.queue == []


def test_a_sender_of_ours_is_told_after_three_days(server: Mta) -> None:
    """The office gets a notice of mail that could not be delivered."""
    server.next_hop(OUR_MAIL_SERVER, {"rcpt": {"full@example.com": "452 4.2.2 mailbox full"}})
    server.session("127.0.0.1", "office").mail("boss@example.com", "full@example.com")
    server.advance(days=4)
    assert len(server.records("Expiration")) == 1
    assert [(notice.sender, notice.recipients) for notice in server.delivered] == [
        ("", ("boss@example.com",))
    ]


def test_bounces_are_recorded_and_go_nowhere(server: Mta) -> None:
    """A bounce is parsed and logged; what is no report is refused after its content."""
    session = server.session()
    assert session.mail(None, "b-1@bounces.example.com", BOUNCE).is_accepted
    assert session.mail("you@example.net", "b-1@bounces.example.com").reply.code == 550
    (report,) = server.records("OOB")
    assert report["recipient"] == "gone@provider.example"
    assert server.delivered == []
