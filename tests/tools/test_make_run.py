"""What `make run` serves does what it says."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PORTS = ("2525", "2526", "2587")


def _free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _until(lines: IO[str], last: str) -> Iterator[str]:
    for line in lines:
        yield line
        if line == last:
            return
    pytest.fail("the example ended before it was ready")


@pytest.fixture
def example(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The worked example at work, from a copy on free ports; and its front door's port."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    ports = _free_ports(len(PORTS))
    for path in [tmp_path / "examples" / "run.py", *(tmp_path / "examples" / "inbound").iterdir()]:
        if path.is_file():
            text = path.read_text()
            for old, new in zip(PORTS, ports, strict=True):
                text = text.replace(old, new)
            path.write_text(text)
    command = [sys.executable, str(tmp_path / "examples" / "run.py")]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as run:
        try:
            assert run.stdout is not None
            shown = "".join(_until(run.stdout, "Control-C stops both servers.\n"))
            assert shown.count("\n  .venv/bin/") == 3
            yield tmp_path, ports[0]
        finally:
            run.send_signal(signal.SIGINT)
            run.communicate(timeout=60)


def test_the_worked_example_relays_refuses_and_records(example: tuple[Path, str]) -> None:
    """Mail to example.com is relayed, mail to anywhere else refused with a reason; both are in the log."""
    folder, port = example

    def send(recipient: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "examples/send.py", recipient, f"127.0.0.1:{port}"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

    assert send("user@example.com").returncode == 0
    refused = send("user@example.org")
    assert refused.returncode == 1
    assert "relaying from 127.0.0.1 to example.org is not permitted" in refused.stderr
    assert _records(folder, "Delivery") >= {"Reception", "Delivery", "Rejection"}


def _records(folder: Path, awaited: str) -> set[str]:
    """The types of the records so far, once the one that is awaited has come."""
    command = [sys.executable, "-c", "from angarium.cli import main; main()", "logs", "--follow"]
    command += ["-c", "examples/inbound/angarium.toml"]
    seen: set[str] = set()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as logs:
        assert logs.stdout is not None
        for line in logs.stdout:
            seen.add(line.partition('"type":"')[2].partition('"')[0])
            if awaited in seen and "Rejection" in seen:
                break
        logs.kill()
    return seen
