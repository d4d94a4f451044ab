"""What handlers change stands in the records, with who did it."""

from __future__ import annotations

from typing import Any

import pytest

MAIN = """\
[[listener]]
listen = "127.0.0.1:0"
relay_hosts = ["192.0.2.0/24"]
[policy]
queues = ["queues.toml"]
"""
QUEUES = "[queue.default]\nrouting_domain = '[198.51.100.1]'\n"
BEGINS = 'from angarium import Policy\npolicy = Policy.load("angarium.toml")\n'
TRUSTED = "192.0.2.7"


def served(mta: Any, code: str, main: str = MAIN) -> Any:
    """The server with this handler."""
    return mta({"policy.py": BEGINS + code, "angarium.toml": main, "queues.toml": QUEUES})


CHANGES = """\
@policy.on
def smtp_server_mail_from(sender, conn_meta):
    conn_meta.meta["campaign"] = "spring"

@policy.on
def smtp_server_message_received(message, conn_meta):
    message.sender = "b@ours.example"
    message.queue = "x" * 300
    message.prepend_header("X-One", "1")
    message.remove_header("Subject")
    message.meta["seen"] = None
    del message.meta["campaign"]
"""


def test_every_change_is_recorded(mta: Any) -> None:
    """Envelope, queue, header fields and metadata: each change stands beside its handler, long ones cut."""
    server = served(mta, CHANGES)
    assert (
        server.session(TRUSTED).mail("a@far.example", "u@far.example", "Subject: x\r\n\r\nhello").is_accepted
    )
    before, after = server.records("Reception")[0]["handlers"]
    assert before["changes"] == [{"what": "meta", "value": "campaign"}]
    assert [(change["what"], change["value"]) for change in after["changes"]] == [
        ("sender", "b@ours.example"),
        ("queue", "x" * 200),
        ("prepend_header", "X-One"),
        ("remove_header", "Subject"),
        ("meta", "campaign"),
        ("meta", "seen"),
    ]


def test_a_handler_that_changes_nothing(mta: Any) -> None:
    """Its call stands in the record without changes."""
    server = served(mta, "@policy.on\ndef smtp_server_data(message, conn_meta):\n    message.headers\n")
    assert server.session(TRUSTED).mail("a@far.example", "u@far.example").is_accepted
    [call] = server.records("Reception")[0]["handlers"]
    assert "changes" not in call


NULLS = """\
@policy.on
def smtp_server_{event}:
    {what} = "null"
"""


def test_who_discarded_a_message(mta: Any) -> None:
    """A message put into the queue `null` names the handler that did it, not the rule that let it in."""
    for event, what in (
        ("message_received(message, conn_meta)", "message.queue"),
        ("data(message, conn_meta)", "message.meta['queue']"),
        ("mail_from(sender, conn_meta)", "conn_meta.meta['queue']"),
    ):
        server = served(mta, NULLS.format(event=event, what=what))
        assert server.session(TRUSTED).mail("a@far.example", "u@far.example").is_accepted
        [reception] = server.records("Reception")
        decided = reception["decided_by"]
        assert reception["disposition"] == "discarded"
        assert (decided["kind"], decided["handler"]) == ("handler", f"smtp_server_{event.partition('(')[0]}")
        assert decided["line"] == 3


def test_a_listener_whose_metadata_discards(mta: Any) -> None:
    """Where the operator's file names the queue `null`, its line is named."""
    server = served(mta, "", MAIN.replace("[policy]", "[listener.meta]\nqueue = 'null'\n[policy]"))
    assert server.session(TRUSTED).mail("a@far.example", "u@far.example").is_accepted
    [reception] = server.records("Reception")
    assert reception["disposition"] == "discarded"
    assert (reception["decided_by"]["kind"], reception["decided_by"]["key"]) == ("rule", "meta")


def test_a_domain_called_null(mta: Any) -> None:
    """Mail to a domain of that name is carried on like any other: nobody chose to discard it."""
    server = served(mta, "")
    assert server.session(TRUSTED).mail("a@far.example", "u@null").is_accepted
    server.settle()
    assert [record["type"] for record in server.records()] == ["Reception", "Delivery"]
    assert [message.recipients for message in server.delivered] == [("u@null",)]


def test_the_route_says_who_decided(mta: Any) -> None:
    """A Delivery names the line that routes its mail, the handler that did, or the default."""
    code = (
        "from angarium import QueueConfig\n@policy.on\n"
        "def get_queue_config(domain, tenant, campaign, routing_domain, conn_meta):\n"
        "    return QueueConfig(routing_domain='[198.51.100.2]') if domain == 'code.example' else None\n"
    )
    files = {"policy.py": BEGINS + code, "angarium.toml": MAIN}
    zone = {"mx.example": {"A": ["198.51.100.3"]}}
    server = mta(
        files | {"queues.toml": "[queue.'file.example']\nrouting_domain = '[198.51.100.1]'\n"}, zone=zone
    )
    for domain in ("file.example", "code.example", "mx.example"):
        assert server.session(TRUSTED).mail("a@far.example", f"u@{domain}").is_accepted
    server.settle()
    told = {record["queue"]: record["decided_by"] for record in server.records("Delivery")}
    assert (told["file.example"]["kind"], told["file.example"]["line"]) == ("rule", 2)
    assert (told["code.example"]["kind"], told["code.example"]["handler"]) == ("handler", "get_queue_config")
    assert (told["mx.example"]["kind"], told["mx.example"]["key"]) == ("default", "routing_domain")
    assert {one["config"] for one in told.values()} == {server.configuration.hash}


@pytest.mark.parametrize("domain", ["192.0.2.9", "2130706433", "127.1", "mx.example.25"])
def test_a_recipient_that_can_be_no_next_hop(mta: Any, domain: str) -> None:
    """An address without brackets is refused at RCPT: it would wait for days (RFC 5321 section 4.1.3)."""
    client = mta({"angarium.toml": MAIN.split("[policy]", maxsplit=1)[0]}).session(TRUSTED)
    assert client.say("MAIL FROM:<a@far.example>").code == 250
    assert str(client.say(f"RCPT TO:<u@{domain}>")).startswith("501 5.1.3")
    assert client.say("RCPT TO:<u@[192.0.2.9]>").code == 250


TWO = """\
@policy.on
def smtp_server_message_received(message, conn_meta):
    message.recipients = ["x@one.example", "y@two.example"]
"""


def test_several_recipients_for_one_message(mta: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Where each recipient has a message of its own, the assignment fails, and the log says where and why."""
    server = served(mta, TWO)
    assert server.session(TRUSTED).mail("a@far.example", "u@far.example").reply.code == 451
    [said] = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert "policy.py:5: ValueError: each recipient has a message of its own here" in said


READ_ONLY = """\
@policy.on
def smtp_server_ehlo(domain, conn_meta):
    conn_meta.authn_id = "admin"
"""


def test_a_handler_that_writes_what_is_read_only(mta: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the operator's line, not that of code which the standard library made."""
    server = served(mta, READ_ONLY)
    server.session(TRUSTED)
    [said] = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
    assert "policy.py:5: FrozenInstanceError" in said


MANY = """\
@policy.on
def smtp_server_data(message, conn_meta):
    for n in range(60):
        message.prepend_header(f"X-{n}", "1")
    message.queue = "null"

@policy.on
def smtp_server_message_received(message, conn_meta):
    message.prepend_header("queue", "x")
"""


def test_the_discarder_among_many_changes(mta: Any) -> None:
    """Of many changes those of header fields are left out first; a field called `queue` chooses none."""
    server = served(mta, MANY)
    assert server.session(TRUSTED).mail("a@far.example", "u@far.example").is_accepted
    [reception] = server.records("Reception")
    assert reception["disposition"] == "discarded"
    assert reception["decided_by"]["handler"] == "smtp_server_data"
    changes = reception["handlers"][0]["changes"]
    assert (len(changes), changes[0]) == (50, {"what": "queue", "value": "null"})
