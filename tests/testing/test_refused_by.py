"""Who refused, as a Rejection says it: the rule, the handler or the limit that gave this very answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from angarium.wire.sasl import ScramKeys

MAIN = """\
[[listener]]
name = "in"
listen = "127.0.0.1:0"
max_recipients_per_message = 2
max_refused_recipients = 2
[policy]
listener_domains = ["domains.toml"]
"""
DOMAINS = """\
['ours.example']
relay_to = true
['rights.example']
relay_from = ['203.0.113.5']
[listener.'in'.'named.example']
relay_to = true
"""
CODE = """\
from angarium import Policy, reject
policy = Policy.load("angarium.toml")

@policy.on
def smtp_server_mail_from(sender, conn_meta):
    if sender.user == "nobody":
        reject(550, "5.7.1 not you")

@policy.on
def smtp_server_rcpt_to(recipient, conn_meta):
    if recipient.user == "spam":
        reject(550, f"5.7.1 no spam on {conn_meta.listener}")

@policy.on
def smtp_server_data(message, conn_meta):
    if message.sender.user == "reroute":
        message.sender = "a@far.example"
    if message.sender.user == "late":
        reject(554, "5.7.1 not like this")
"""
FILES = {"policy.py": CODE, "angarium.toml": MAIN, "domains.toml": DOMAINS}
VERIFIER = str(ScramKeys.derive("secret", b"0123456789abcdef"))


@pytest.fixture
def server(mta: Any) -> Any:
    """The server on that policy."""
    return mta(FILES)


def refusals(server: Any) -> list[tuple[str, str | None, str]]:
    """Kind, and handler or key, and command of each Rejection."""
    return [_told(record) for record in server.records("Rejection")]


def _told(record: dict[str, Any]) -> tuple[str, str | None, str]:
    decided = record["decided_by"]
    return decided["kind"], decided["handler"] or decided["key"], record["response"]["command"]


def test_a_handler_that_refuses_after_a_policy_refusal(server: Any) -> None:
    """The second recipient was refused by code: its record names the handler's line, not the rule before."""
    client = server.session()
    client.say("MAIL FROM:<a@far.example>")
    client.say("RCPT TO:<x@elsewhere.example>")
    client.say("RCPT TO:<spam@ours.example>")
    client.say("RCPT TO:<y@elsewhere.example>")
    kinds = [kind for kind, _, _ in refusals(server)]
    assert kinds == ["default", "handler", "rule"]  # the last one by max_refused_recipients
    decided = server.records("Rejection")[1]["decided_by"]
    assert (decided["handler"], Path(decided["file"]).name) == ("smtp_server_rcpt_to", "policy.py")
    assert decided["line"] in range(9, 13)
    assert decided["config"] == server.configuration.hash


def test_a_limit_that_refuses_after_a_policy_refusal(server: Any) -> None:
    """One recipient too many is refused by the limit, and the record has the limit's name."""
    client = server.session()
    client.say("MAIL FROM:<a@far.example>")
    for user in ("a", "b"):
        assert client.say(f"RCPT TO:<{user}@ours.example>").code == 250
    client.say("RCPT TO:<x@elsewhere.example>")
    assert client.say("RCPT TO:<c@ours.example>").code == 452
    assert refusals(server)[-1][:2] == ("rule", "max_recipients_per_message")
    assert server.records("Rejection")[-1]["decided_by"]["line"] == 4
    assert server.records("Rejection")[-1]["limit"] == "max_recipients_per_message"


def test_a_limit_that_ends_the_session(server: Any) -> None:
    """The last of too many refused recipients is refused by that limit."""
    client = server.session()
    client.say("MAIL FROM:<a@far.example>")
    codes = [client.say(f"RCPT TO:<{n}@elsewhere.example>").code for n in range(3)]
    assert codes == [550, 550, 421]
    assert [key for _, key, _ in refusals(server)] == [None, None, "max_refused_recipients"]


@pytest.mark.parametrize(
    ("sender", "kind", "who"),
    [
        ("nobody@far.example", "handler", "smtp_server_mail_from"),
        ("late@far.example", "handler", "smtp_server_data"),
        ("reroute@rights.example", "default", None),
    ],
)
def test_refused_at_mail_or_after_content(server: Any, sender: str, kind: str, who: str | None) -> None:
    """A handler is named wherever it refuses; a sender that it wrote is judged by the rules."""
    server.session().mail(sender, "a@elsewhere.example" if "rights" in sender else "a@ours.example")
    assert refusals(server)[-1][:2] == (kind, who)


def test_a_session_outlives_the_name_of_its_listener(server: Any) -> None:
    """A reload renames the listener: an open session has the sections of the new name, and says it to
    handlers and in records.
    """
    client = server.session()
    client.say("MAIL FROM:<a@far.example>")
    assert client.say("RCPT TO:<a@named.example>").code == 250
    server.reload(
        {
            "angarium.toml": MAIN.replace('"in"', '"front"'),
            "domains.toml": DOMAINS.replace("'in'", "'front'"),
        }
    )
    assert client.say("RCPT TO:<spam@ours.example>").text == "no spam on front"
    assert client.say("RCPT TO:<b@named.example>").code == 250
    client.say("RCPT TO:<c@elsewhere.example>")
    assert server.records("Rejection")[-1]["listener"] == "front"


REFUSED = {
    "a command that is none": ("default", "unknown-command", "HELLO"),
    "grammar": ("default", "syntax", "MAIL TO:<a@b.example>"),
    "a parameter": ("default", "parameter", "MAIL FROM:<a@b.example> WEIGHT=9"),
    "sequence": ("default", "sequence", "DATA"),
    "size": ("rule", "max_message_size", "MAIL FROM:<a@b.example> SIZE=2000"),
    "null MX": ("rule", "reject_null_mx_senders", "MAIL FROM:<a@null.example>"),
    "a wrong password": ("default", "auth", "AUTH PLAIN AGEAYg=="),
}


@pytest.mark.parametrize("case", REFUSED)
def test_every_refusal_says_who_decided(mta: Any, case: str) -> None:
    """What no rule about recipients refuses names the option, or what was wrong (contract 2.14)."""
    kind, key, line = REFUSED[case]
    options = "max_message_size = 1000\nreject_null_mx_senders = true\nallow_plaintext_auth = true\n"
    users = 'users = ["users.toml"]\n'
    files = FILES | {
        "policy.py": CODE.split("@policy", maxsplit=1)[0],
        "angarium.toml": MAIN.replace("[policy]\n", f"{options}[policy]\n{users}"),
        "users.toml": f'a = "{VERIFIER}"\n',
    }
    server = mta(files, zone={"null.example": {"MX": ["0 ."]}})
    assert server.session().say(line).code >= 500
    [record] = server.records("Rejection")
    decided = record["decided_by"]
    assert (decided["kind"], decided["key"]) == (kind, key)
    assert decided["config"] == server.configuration.hash
    assert (decided["line"] is not None) == (kind == "rule")


KNOWS = """\
from angarium import Policy
policy = Policy.load("angarium.toml")
@policy.on
def smtp_server_auth_plain(authz, authn, password, conn_meta):
    return False
"""


def test_a_wrong_password_that_code_refuses(mta: Any) -> None:
    """Where a handler knows who may log in, the handler refused."""
    main = MAIN.replace("[policy]", "allow_plaintext_auth = true\n[policy]")
    server = mta(FILES | {"policy.py": KNOWS, "angarium.toml": main})
    assert server.session().say("AUTH PLAIN AGEAYg==").code == 535
    decided = server.records("Rejection")[0]["decided_by"]
    assert (decided["kind"], decided["handler"], decided["line"]) == ("handler", "smtp_server_auth_plain", 3)


STAGES = {
    "smtp_server_connection_accepted": "conn_meta",
    "smtp_server_ehlo": "domain, conn_meta",
    "smtp_server_mail_from": "sender, conn_meta",
    "get_listener_domain": "domain, listener, conn_meta",
    "smtp_server_rcpt_to": "recipient, conn_meta",
    "smtp_server_data": "message, conn_meta",
    "smtp_server_message_received": "message, conn_meta",
    "get_queue_config": "domain, tenant, campaign, routing_domain, conn_meta",
}
HANDLER = """\
from angarium import Policy, reject
policy = Policy.load("angarium.toml")
@policy.on
def {event}({parameters}):
    {body}
"""


@pytest.mark.parametrize("event", STAGES)
@pytest.mark.parametrize("body", ['reject(554, "5.7.0 Not today")', 'raise ValueError("oh")'])
def test_a_handler_is_named_wherever_it_refuses(mta: Any, event: str, body: str) -> None:
    """From the greeting to the end of content, a refusal or failure of code is the code's in its record."""
    program = HANDLER.format(event=event, parameters=STAGES[event], body=body)
    server = mta(FILES | {"policy.py": program})
    client = server.session()
    for line in ("MAIL FROM:<a@far.example>", "RCPT TO:<a@ours.example>", "DATA", "."):
        if not server.records("Rejection"):
            client.say(line)
    decided = server.records("Rejection")[0]["decided_by"]
    assert (decided["kind"], decided["handler"], decided["line"]) == ("handler", event, 3)
    assert decided["config"] == server.configuration.hash


WRITES = """\
from angarium import ListenerDomain, Policy
policy = Policy.load("angarium.toml")
@policy.on
def get_listener_domain(domain, listener, conn_meta):
    return None
@policy.on
def smtp_server_data(message, conn_meta):
    message.recipients = ["x1@elsewhere.example", "x2@elsewhere.example"]
"""


def test_the_handler_that_wrote_recipients(mta: Any) -> None:
    """Each recipient that code wrote is that code's doing, whoever was asked about its domain since."""
    server = mta(FILES | {"policy.py": WRITES})
    assert server.session().mail("a@far.example", "a@ours.example").is_accepted
    for record in server.records("Reception"):
        decided = record["decided_by"]
        assert (decided["handler"], decided["line"]) == ("smtp_server_data", 6)
