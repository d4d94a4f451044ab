"""`angarium queue`, as a program, on a server that runs."""

from __future__ import annotations

import json
from pathlib import Path

from .house import angarium, serving, write


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
        assert "every message" in angarium("queue", "delete", "-c", config).stderr
