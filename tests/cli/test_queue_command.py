"""`angarium queue`, as a program, on a server that runs."""

from __future__ import annotations

import json
import smtplib
from pathlib import Path

from .house import angarium, serving, why, write


def test_orders_by_command(tmp_path: Path) -> None:
    """Suspensions are given, listed and cancelled by command; what is asked in vain exits with 1 or 2."""
    config = write(tmp_path)
    with serving(config):
        listed = angarium("queue", "-c", config)
        assert (listed.returncode, listed.stdout) == (0, "0 messages in 0 queues\n")
        given = angarium(
            "queue", "suspend", "-c", config, "--domain", "example.com", "--name", "noon", "--for", "2h"
        )
        assert "suspend noon stands" in given.stdout
        [order] = json.loads(angarium("queue", "suspensions", "-c", config, "--json").stdout)
        assert (order["name"], order["about"]) == ("noon", "domain=example.com")
        assert round(order["expires"] - order["created"]) == 7200
        assert angarium("queue", "cancel", "noon", "-c", config).stdout == "suspend noon is cancelled\n"
        again = angarium("queue", "cancel", "noon", "-c", config)
        assert (again.returncode, "no suspension" in again.stderr) == (1, True)
        assert angarium("queue", "find", "-c", config, "--recipient", "x@example.com").returncode == 1
        assert angarium("queue", "dance", "-c", config).returncode == 2
        for action in ("delete", "suspend", "retry", "release"):
            refused = angarium("queue", action, "-c", config)
            assert (refused.returncode, "every message" in refused.stderr) == (2, True)
        assert angarium("queue", "find", "-c", config).returncode == 2
        in_vain = angarium("queue", "bounce", "zzz", "-c", config)
        assert (in_vain.returncode, in_vain.stdout) == (1, "0 messages bounced\n")
        assert angarium("queue", "reroute", "-c", config, "--all").returncode == 2


def test_a_message_by_command(tmp_path: Path) -> None:
    """`why` tells what a queued message waits for; `queue` shows it, says what it would do, and does it."""
    config = write(tmp_path)
    with serving(config) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            client.sendmail("someone@sender.example", "b@example.com", "Subject: x\r\n\r\nx\r\n")
        [row] = json.loads(
            angarium("queue", "find", "-c", config, "--recipient", "B@Example.COM.", "--json").stdout
        )
        assert "still queued in example.com after" in why(row["id"], config).stdout
        assert f"id: {row['id']}" in angarium("queue", "show", row["id"], "-c", config).stdout
        tried = angarium("queue", "delete", row["id"], "-c", config, "--dry-run").stdout
        assert "would concern 1 message" in tried
        wrong = angarium("queue", "reroute", row["id"], "-c", config, "--to", "!not a domain")
        assert (wrong.returncode, "is no routing domain" in wrong.stderr) == (1, True)
        assert angarium("queue", "show", "-c", config).returncode == 2
        assert angarium("queue", "delete", row["id"], "-c", config).stdout == "1 message deleted\n"


def test_all_of_them(tmp_path: Path) -> None:
    """`list --all` has a row for each message; the overview marks queues that an order is about, and a start
    forgets neither that nor the last answer; `release` counts what is held; a hold of nothing does not stand,
    and says so.
    """
    config = write(tmp_path)

    def ask(*words: str) -> str:
        return angarium("queue", *words, "-c", config).stdout

    with serving(config) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
            for number in range(3):
                client.sendmail("a@sender.example", f"b{number}@example.com", "Subject: x\r\n\r\nx\r\n")
        assert len(json.loads(ask("list", "--all", "--json"))) == 3
        assert "perhaps more" in ask("list", "--all", "--limit", "2")
        held, told = ask("hold", "--domain", "nobody.example").splitlines()
        assert (held, told.partition(",")[0]) == ("0 messages held", "no hold stands")
        assert ask("suspensions") == "no order stands\n"
        ask("hold", "--recipient", "b1@example.com", "--name", "one")
        assert ask("release", "--all", "--dry-run").startswith("would concern 1 message")
        ask("suspend", "--domain", "example.com", "--name", "noon")
        assert "orders" in ask("list")
        [before] = json.loads(ask("list", "--json"))["queues"]
    with serving(config):
        [queue] = json.loads(ask("list", "--json"))["queues"]
        assert (queue["orders"], queue["last"]) == (["suspend noon"], before["last"])
