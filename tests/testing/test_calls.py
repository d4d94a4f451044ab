"""Which calls of handlers a record tells: those that still hold, and no others."""

from __future__ import annotations

from typing import Any

import pytest

CODE = """\
from angarium import Policy, reject
policy = Policy.load("angarium.toml")

@policy.on
def smtp_server_connection_accepted(conn_meta):
    pass

@policy.on
def smtp_server_ehlo(domain, conn_meta):
    pass

@policy.on
def smtp_server_mail_from(sender, conn_meta):
    if sender.user == "no":
        reject(550, "5.7.1 no")

@policy.on
def smtp_server_rcpt_to(recipient, conn_meta):
    if recipient.user == "no":
        reject(550, "5.7.1 no")
"""
FILES = {
    "policy.py": CODE,
    "angarium.toml": "[[listener]]\nlisten = '127.0.0.1:0'\n[policy]\nlistener_domains = ['domains.toml']\n",
    "domains.toml": "['ours.example']\nrelay_to = true\n",
}
BEFORE = ["smtp_server_connection_accepted", "smtp_server_ehlo"]
WHOLE = [*BEFORE, "smtp_server_mail_from", "smtp_server_rcpt_to"]


@pytest.fixture
def server(mta: Any) -> Any:
    """The server on that policy."""
    return mta(FILES)


def told(server: Any, kind: str) -> list[list[str]]:
    """The events of the calls in each record of this type."""
    return [[call["event"] for call in record["handlers"]] for record in server.records(kind)]


def test_every_transaction_tells_the_same(server: Any) -> None:
    """The calls at connect and EHLO hold for every message of a session, and stand in each Reception."""
    client = server.session()
    for _ in range(3):
        client.mail("a@far.example", "b@ours.example")
    assert told(server, "Reception") == [WHOLE] * 3


def test_refusals_do_not_pile_up(server: Any) -> None:
    """What a refused command asked stands in its own Rejection and nowhere else."""
    client = server.session()
    for _ in range(5):
        client.say("MAIL FROM:<no@far.example>")
    client.say("MAIL FROM:<a@far.example>")
    for _ in range(5):
        client.say("RCPT TO:<no@ours.example>")
    assert told(server, "Rejection") == [[*BEFORE, "smtp_server_mail_from"]] * 5 + [WHOLE] * 5
    client.say("RSET")
    client.mail("a@far.example", "b@ours.example")
    assert told(server, "Reception") == [WHOLE]


def test_ehlo_again(server: Any) -> None:
    """The last EHLO is the one that holds; a command out of order tells of no other."""
    client = server.session()
    client.say("MAIL FROM:<a@far.example>")
    client.say("EHLO again.example")
    client.say("DATA")
    assert told(server, "Rejection") == [BEFORE]
