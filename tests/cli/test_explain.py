"""`angarium explain`, as a program: the running server's own answer, or that of the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .house import MAIN, angarium, serving, write

STRANGER = ("--peer", "192.0.2.7", "--from", "a@b.example")
BOUNCE = b"""From: <>
To: <r@bounces.example>
Subject: failed
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=x

--x
Content-Type: text/plain

no such user
--x
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; gone@example.net
Action: failed
Status: 5.1.1

--x--
"""
CODE = """\
from angarium import Policy, ListenerDomain, reject
policy = Policy.load("main.toml")

@policy.on
def get_listener_domain(domain, listener, conn_meta):
    return ListenerDomain(relay_to=True) if domain == "code.example" else None

@policy.on
def smtp_server_rcpt_to(recipient, conn_meta):
    if recipient.user == "spam":
        reject(550, "5.7.1 no spam here")

@policy.on
def smtp_server_mail_from(sender, conn_meta):
    if sender.domain == "later.example":
        reject(451, "4.7.1 come back later")
"""


def explain(config: Path, *arguments: object) -> Any:
    done = angarium("explain", "-c", config, "--json", *arguments)
    told = json.loads(done.stdout)
    rows = told if isinstance(told, list) else [told]
    codes = [row[reply]["code"] for row in rows for reply in ("reply", "final_reply") if reply in row]
    assert (done.returncode, done.stderr) == (max(codes) >= 400, "")
    return told


def test_accepted(tmp_path: Path) -> None:
    """Of an accepted recipient it tells the rule, the checks in order, the route and what would refuse it."""
    row = explain(write(tmp_path), *STRANGER, "--rcpt", "user@example.com")
    assert row["verdict"] == "relay"
    assert row["reply"] == {"code": 250, "enhanced_code": "2.1.5", "text": "recipient accepted"}
    assert (row["decided_by"]["kind"], row["decided_by"]["line"]) == ("rule", 2)
    assert Path(row["decided_by"]["file"]).name == "domains.toml"
    assert [(check["rule"], check["holds"]) for check in row["checks"]] == [
        ("relay_hosts", False),
        ("relay_from", False),
        ("relay_to", True),
    ]
    assert row["route"]["queue"] == "example.com"
    assert row["route"]["next_hop"] == {
        "name": "127.0.0.1",
        "address": "127.0.0.1",
        "port": 9,
        "uses_mx": False,
    }
    assert row["route"]["source"].endswith("queues.toml:2")
    (flip,) = row["flips"]
    assert (flip["verdict"], flip["line"], flip["text"]) == ("refuse", 2, "relay_to = false")


def test_refused(tmp_path: Path) -> None:
    """Of a refused one it tells why, and which lines would let it through; there is no route."""
    row = explain(write(tmp_path), *STRANGER, "--rcpt", "user@example.org")
    assert (row["verdict"], row["reply"]["code"], row["reply"]["enhanced_code"]) == ("refuse", 550, "5.7.1")
    assert (row["decided_by"]["kind"], row["route"]) == ("default", None)
    texts = [flip["text"] for flip in row["flips"]]
    assert '["example.org"]\nrelay_to = true' in texts
    assert 'relay_hosts = ["10.0.0.0/8", "192.0.2.7"]' in texts


def test_for_people(tmp_path: Path) -> None:
    """Without --json it is said in sentences, with file and line."""
    done = angarium(
        "explain", "-c", "main.toml", *STRANGER, "--rcpt", "user@example.com", cwd=_files(tmp_path)
    )
    assert done.stdout.splitlines()[0] == (
        "Mail from a@b.example to user@example.com, sent by 192.0.2.7, is accepted and relayed."
    )
    for said in (
        "decided by:      a rule (example.com) at domains.toml:2",
        "+ relay_to  [domains.toml:2]",
        "next hop:        127.0.0.1 port 9  [queues.toml:2]",
        "to refuse: change domains.toml:2",
    ):
        assert said in done.stdout


def _files(folder: Path) -> Path:
    write(folder)
    return folder


def test_durations_for_people(tmp_path: Path) -> None:
    """A duration is told with its unit, and without a fraction that it has not."""
    config = write(tmp_path, queues="[queue.'example.com']\nmax_age = '40 days'\nretry_interval = 1.5\n")
    done = angarium("explain", "-c", config, *STRANGER, "--rcpt", "r@example.com")
    assert "max_age:         3456000 s  [" in done.stdout
    assert "retry_interval:  1.5 s  [" in done.stdout


def test_one_transaction(tmp_path: Path) -> None:
    """Several recipients share a transaction, so that one of another fate is put off."""
    config = write(tmp_path, domains='["e.com"]\nrelay_to = true\n["bounces.example"]\nlog_oob = true\n')
    rows = explain(config, *STRANGER, "--rcpt", "r@e.com", "--rcpt", "r@bounces.example", "--rcpt", "r@x.org")
    assert [(row["recipient"], row["verdict"], row["reply"]["code"]) for row in rows] == [
        ("r@e.com", "relay", 250),
        ("r@bounces.example", "defer", 452),
        ("r@x.org", "refuse", 550),
    ]
    alone = explain(config, *STRANGER, "--rcpt", "r@bounces.example")
    assert alone["verdict"] == "report-only"


@pytest.mark.parametrize(("content", "code"), [(BOUNCE, 250), (b"Subject: hello\n\n.hello\n", 550)])
def test_message(tmp_path: Path, content: bytes, code: int) -> None:
    """With a message it tells the final reply too, which the message's own nature decides."""
    config = write(tmp_path, domains='["bounces.example"]\nlog_oob = true\n')
    (tmp_path / "message.eml").write_bytes(content)
    row = explain(config, *STRANGER, "--rcpt", "r@bounces.example", "--message", tmp_path / "message.eml")
    assert (row["reply"]["code"], row["final_reply"]["code"]) == (250, code)


ABUSE = b"""From: <fbl@b.example>
To: <r@example.com>
Subject: abuse
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary=x

--x
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: x/1
Version: 1

--x--
"""


@pytest.mark.parametrize(
    ("content", "log", "said", "fate", "records"),
    [
        (BOUNCE, "log_oob = true", "logged as a report, and discarded", "logged", ["Reception", "OOB"]),
        (ABUSE, "log_arf = true", "logged as a report, and discarded", "logged", ["Reception", "Feedback"]),
        (
            BOUNCE,
            'log_oob = "LogThenRelay"',
            "logged as a report, and relayed",
            "logged+queued",
            ["Reception", "OOB"],
        ),
        (b"Subject: x\n\nx\n", "log_oob = true", "is accepted and relayed", "queued", ["Reception"]),
    ],
)
def test_fate_of_a_message(
    tmp_path: Path, content: bytes, log: str, said: str, fate: str, records: list[str]
) -> None:
    """With a message it tells what becomes of it and which records, though any mail there may be relayed."""
    config = write(tmp_path, domains=f'["example.com"]\nrelay_to = true\n{log}\n')
    (tmp_path / "message.eml").write_bytes(content)
    asked = (*STRANGER[:3], "<>", "--rcpt", "r@example.com", "--message", tmp_path / "message.eml")
    row = explain(config, *asked)
    assert (row["disposition"], row["records"]) == (fate, records)
    assert (row["route"] is not None) == ("queued" in fate)
    told = angarium("explain", "-c", config, *asked).stdout
    assert said in told.splitlines()[0]
    assert ("Where it would go" in told) == ("queued" in fate)


def test_mail_that_a_handler_discards(tmp_path: Path) -> None:
    """Mail that code puts into the queue that nothing leaves is not said to be relayed."""
    discards = (
        "\n@policy.on\ndef smtp_server_message_received(message, conn_meta):\n    message.queue = 'null'\n"
    )
    config = write_code(tmp_path, discards)
    (tmp_path / "mail").write_bytes(b"Subject: x\n\nx\n")
    question = (*STRANGER, "--rcpt", "user@example.com", "--message", tmp_path / "mail")
    row = explain(config, *question)
    assert (row["disposition"], row["route"]) == ("discarded", None)
    assert row["final_decided_by"]["handler"] == "smtp_server_message_received"
    told = angarium("explain", "-c", config, *question)
    assert (told.returncode, "is accepted and discarded." in told.stdout) == (0, True)


def test_several_recipients_after_one_option(tmp_path: Path) -> None:
    """`--rcpt A B` names both, in their order; mixed with a second --rcpt the order would be nobody's."""
    config = write(tmp_path)
    rows = explain(config, "--rcpt", "b@example.com", "a@example.com", "c@x.org", *STRANGER)
    assert [row["recipient"] for row in rows] == ["b@example.com", "a@example.com", "c@x.org"]
    mixed = angarium("explain", "-c", config, *STRANGER, "--rcpt", "a@b.c", "d@b.c", "--rcpt", "e@b.c")
    assert (mixed.returncode, "write it once" in mixed.stderr) == (2, True)


def test_identity(tmp_path: Path) -> None:
    """--authn asks about an authenticated session."""
    config = write(tmp_path, domains='["b.example"]\nrelay_from_authz = ["ann"]\n')
    asked = (*STRANGER, "--rcpt", "r@x.org")
    assert explain(config, *asked)["verdict"] == "refuse"
    row = explain(config, *asked, "--authn", "ann")
    assert (row["verdict"], row["decided_by"]["key"]) == ("relay", "b.example")
    assert (
        explain(config, "--peer", "192.0.2.7", "--from", "<>", "--rcpt", "r@x.org", "--authn", "ann")[
            "verdict"
        ]
        == "relay"
    )


@pytest.mark.parametrize("named", ["out", "0.0.0.0:2525", "192.0.2.1:2525", "192.0.2.1"])
def test_names_of_a_listener(tmp_path: Path, named: str) -> None:
    """A listener is named by its name, its listen text, an address with a port, or an address."""
    more = '[[listener]]\nname = "out"\nlisten = "0.0.0.0:2525"\nrelay_hosts = ["192.0.2.7"]\n[policy]'
    config = write(tmp_path, MAIN.replace("[policy]", more))
    asked = (*STRANGER, "--rcpt", "r@x.org")
    assert explain(config, *asked, "--listener", named)["verdict"] == "relay"
    assert explain(config, *asked, "--listener", "in")["verdict"] == "refuse"
    done = angarium("explain", "-c", config, *asked)
    assert (done.returncode, done.stderr) == (2, "angarium: say which listener: --listener in, out\n")


def write_code(folder: Path, more: str = "") -> Path:
    write(folder)
    config = folder / "policy.py"
    config.write_text(CODE + more)
    return config


def test_handlers(tmp_path: Path) -> None:
    """The operator's code is asked too, and named, unless --no-handlers leaves it out."""
    config = write_code(tmp_path)
    row = explain(config, *STRANGER, "--rcpt", "r@code.example")
    assert (row["verdict"], row["decided_by"]["kind"]) == ("relay", "handler")
    assert row["decided_by"]["handler"] == "get_listener_domain"
    assert row["handlers"][0]["event"] == "smtp_server_mail_from"
    spam = explain(config, *STRANGER, "--rcpt", "spam@example.com")
    assert (spam["verdict"], spam["reply"]["text"]) == ("refuse", "no spam here")
    assert (spam["decided_by"]["handler"], spam["decided_by"]["line"]) == ("smtp_server_rcpt_to", 8)
    later = explain(config, "--peer", "192.0.2.7", "--from", "a@later.example", "--rcpt", "r@example.com")
    assert (later["verdict"], later["reply"]["code"], later["checks"]) == ("defer", 451, [])
    assert explain(config, *STRANGER, "--rcpt", "r@code.example", "--no-handlers")["verdict"] == "refuse"


def test_handlers_of_each_recipient(tmp_path: Path) -> None:
    """Each recipient has the calls since the one before, and each call the name that it was about."""
    config = write_code(tmp_path)
    recipients = ("--rcpt", "a@code.example", "--rcpt", "b@code.example")
    first, second = explain(config, *STRANGER, *recipients)
    assert [(call["event"], call["asked"]) for call in second["handlers"]] == [
        ("get_listener_domain", STRANGER[3].rpartition("@")[2]),
        ("get_listener_domain", "code.example"),
        ("smtp_server_rcpt_to", "b@code.example"),
    ]
    assert len(first["handlers"]) == 4
    left_out = explain(config, *STRANGER, "--rcpt", "a@code.example", "--no-handlers")
    assert "get_listener_domain" in [call["event"] for call in left_out["not_asked"]]
    told = angarium("explain", "-c", config, *STRANGER, "--rcpt", "a@code.example", "--no-handlers").stdout
    assert "not asked:       get_listener_domain" in told


def test_content_that_a_handler_refuses(tmp_path: Path) -> None:
    """Who refused after DATA is told with file and line, and the verdict is not told as if it stood."""
    refuses = (
        "\n@policy.on\ndef smtp_server_message_received(message, conn_meta):\n    reject(554, '5.7.1 spam')\n"
    )
    config = write_code(tmp_path, refuses)
    (tmp_path / "mail").write_bytes(b"Subject: x\n\nx\n")
    question = (*STRANGER, "--rcpt", "user@example.com", "--message", tmp_path / "mail")
    row = explain(config, *question)
    assert row["final_decided_by"]["handler"] == "smtp_server_message_received"
    assert row["handlers"][-1]["answer"] == "reject 554 5.7.1 spam"
    told = angarium("explain", "-c", config, *question).stdout
    assert "is accepted at RCPT, and refused after DATA." in told
    assert "after DATA by:   your code (smtp_server_message_received)" in told


def test_paths_as_clients_write_them(tmp_path: Path) -> None:
    """A source route is dropped, and what is no address gets the server's own reply."""
    config = write(tmp_path)
    routed = explain(config, *STRANGER, "--rcpt", "@h.example:user@example.com")
    assert (routed["verdict"], routed["recipient"]) == ("relay", "@h.example:user@example.com")
    wrong = explain(config, *STRANGER, "--rcpt", "user@example..com")
    assert (wrong["verdict"], wrong["reply"]["code"], wrong["checks"]) == ("refuse", 501, [])
    sender = explain(config, "--peer", "192.0.2.7", "--from", "a b", "--rcpt", "user@example.com")
    assert (sender["verdict"], sender["reply"]["code"]) == ("refuse", 501)


def test_server_that_runs(tmp_path: Path) -> None:
    """A server that runs is asked itself: its answer is by what is in force, not by what a file says now."""
    config = write(tmp_path)
    with serving(config) as server:
        (tmp_path / "domains.toml").write_text("oops")
        server.wait_for("stays in force")
        row = explain(config, *STRANGER, "--rcpt", "user@example.com")
        assert row["verdict"] == "relay"
        done = angarium("explain", "-c", config, "--peer", "nonsense", "--from", "<>", "--rcpt", "a@b.c")
        assert (done.returncode, "is not an address" in done.stderr) == (2, True)
    assert angarium("explain", "-c", config, *STRANGER, "--rcpt", "user@example.com").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("--peer", "nonsense", "--from", "a@b.c", "--rcpt", "a@b.c"),
        ("--peer", "192.0.2.7", "--from", "a\nb@b.c", "--rcpt", "a@b.c"),
        ("--peer", "192.0.2.7", "--from", "a@b.c", "--rcpt", "x\r\nDATA"),
        ("--peer", "192.0.2.7", "--from", "a@b.c", "--rcpt", "a@b.c", "--listener", "none"),
        ("--peer", "192.0.2.7", "--from", "a@b.c", "--rcpt", "a@b.c", "--message", "/nowhere"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A question that makes no sense is answered with what to ask, and exit status 2."""
    done = angarium("explain", "-c", write(tmp_path), *arguments)
    assert (done.returncode, "Traceback" in done.stderr, done.stdout) == (2, False, "")
