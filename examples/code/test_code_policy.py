"""What the handlers of policy.py do, beyond who may relay."""

from __future__ import annotations

from pathlib import Path

import pytest

from angarium.testing import MakeMta, Mta


@pytest.fixture
def server(mta: MakeMta) -> Mta:
    """The example, served."""
    return mta(Path(__file__).with_name("policy.py"))


def test_each_customer_has_a_mail_server(server: Mta) -> None:
    """The code chooses the next hop by the recipient's domain."""
    server.session().mail("you@example.org", ["user@example.com", "user@example.net"])
    places = {message.recipients[0]: (message.host, message.port) for message in server.delivered}
    assert places == {"user@example.com": ("10.0.0.1", 25), "user@example.net": ("10.0.0.2", 2525)}


def test_messages_say_where_they_came_in(server: Mta) -> None:
    """The code puts a field on top."""
    server.session().mail("you@example.org", "user@example.com")
    assert server.delivered[0].text.startswith("X-Received-By: public\n")


def test_customers_wait_two_days_at_most(server: Mta) -> None:
    """The code keeps a message's size with it, and gives customers' queues two days."""
    server.next_hop("10.0.0.1", {"banner": "421 4.3.2 closed for today"})
    server.session().mail("you@example.org", "user@example.com")
    (waiting,) = server.queue
    assert waiting.meta["x_size"] > 0
    server.advance(days=2, hours=1)
    assert len(server.records("Expiration")) == 1


HEAD = (
    b"Subject: news of your mail\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=b; report-type="
)
BOUNCE = (
    HEAD
    + b"""delivery-status

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example

Final-Recipient: rfc822; gone@far.example
Action: failed
Status: 5.1.1

--b--
"""
)
COMPLAINT = (
    HEAD
    + b"""feedback-report

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Far/1.0
Version: 1
Original-Rcpt-To: <reader@far.example>

--b--
"""
)


def test_customers_hear_of_reports(server: Mta, caplog: pytest.LogCaptureFixture) -> None:
    """The code names who is gone and who complains, and each report has its record."""
    for content in (BOUNCE, COMPLAINT):
        server.session().mail("", "b@bounces.example.org", content.replace(b"\n", b"\r\n"))
    told = [record.getMessage() for record in caplog.records if record.name == "customers"]
    assert told == ["nobody is there: gone@far.example", "wants no more mail: reader@far.example"]
    assert len(server.records("OOB")) == len(server.records("Feedback")) == 1
