"""`explain` of the past: a session's records are asked again, of the configuration that is in force now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.house import angarium

MAIN = """\
[[listener]]
name = "in"
listen = "0.0.0.0:2525"
tls = "off"
[policy]
listener_domains = ["domains.toml"]
[log]
dir = "{logs}"
"""
DOMAINS = '["ours.example"]\nrelay_to = true\n["bounces.example"]\nlog_oob = true\n'


@pytest.fixture
def past(mta: Any, tmp_path: Path) -> tuple[Any, Path]:
    """Records of two transactions of one session, and the configuration that made them."""
    folder = tmp_path / "now"
    folder.mkdir()
    config = folder / "angarium.toml"
    config.write_text(MAIN.format(logs=tmp_path / "mta-0" / "logs"))
    (folder / "domains.toml").write_text(DOMAINS)
    server = mta(config)
    client = server.session(peer="198.51.100.7", helo="mail.far.example")
    sent = client.mail("a@far.example", ["x@ours.example", "no@elsewhere.example", "b@bounces.example"])
    assert sent.is_accepted
    client.mail("other@far.example", ["y@elsewhere.example"])
    server.restart()
    return server, config


def explain(config: Path, *arguments: str) -> Any:
    return angarium("explain", "-c", config, *arguments)


def test_a_session(past: tuple[Any, Path]) -> None:
    """Each transaction is asked again, recipients in order; the answers are those of the records."""
    server, config = past
    session = server.records("Rejection")[0]["session_id"]
    done = explain(config, "--session", session, "--json")
    assert (done.returncode, done.stderr) == (1, "")
    rows = json.loads(done.stdout)
    assert [(row["recipient"], row["verdict"]) for row in rows] == [
        ("x@ours.example", "relay"),
        ("no@elsewhere.example", "refuse"),
        ("b@bounces.example", "defer"),
        ("y@elsewhere.example", "refuse"),
    ]
    for row in rows:
        assert row["recorded"]["reply"].startswith(f"{row['reply']['code']} {row['reply']['enhanced_code']}")
        assert row["recorded"]["same_config"] is True


def test_a_message(past: tuple[Any, Path]) -> None:
    """Of a message only its own recipient is told, and that another configuration was in force."""
    server, config = past
    message = server.records("Reception")[0]["id"]
    (config.parent / "domains.toml").write_text("# nothing\n")
    done = explain(config, "--message", message)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith(
        "Mail from a@far.example to x@ours.example, sent by 198.51.100.7, is refused."
    )
    assert "answered then:   250 2.1.5 recipient accepted" in done.stdout
    was = server.records("Reception")[0]["decided_by"]["config"]
    assert f"in force then:   another configuration, {was}" in done.stdout
    assert "elsewhere.example" not in done.stdout


def test_nothing_known(past: tuple[Any, Path]) -> None:
    """An id that no record has is said so, with exit status 1."""
    done = explain(past[1], "--message", "0" * 32)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no record says in which session" in done.stderr


def test_one_question_at_a_time(past: tuple[Any, Path]) -> None:
    """A session of the log has its own peer: naming another beside is refused."""
    assert explain(past[1], "--session", "0" * 32, "--peer", "192.0.2.1").returncode == 2
