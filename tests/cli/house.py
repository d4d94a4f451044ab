"""A configuration in a folder, and the real program `angarium` run on it."""

from __future__ import annotations

import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from angarium.mail.ident import created_at

ANGARIUM = str(Path(sys.executable).with_name("angarium"))
LIMIT = 30.0

MAIN = """\
postmaster = "ops@example.com"
hostname = "mx.example.com"
[[listener]]
name = "in"
listen = "127.0.0.1:0"
tls = "off"
relay_hosts = ["10.0.0.0/8"]
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
"""
DOMAINS = '["example.com"]\nrelay_to = true\n'
QUEUES = "[queue.'example.com']\nrouting_domain = '[127.0.0.1]:9'\n"


def write(folder: Path, main: str = MAIN, **files: str) -> Path:
    """Write the files; returns the main one."""
    for name, text in {"main": main, "domains": DOMAINS, "queues": QUEUES, **files}.items():
        (folder / f"{name}.toml").write_text(text)
    return folder / "main.toml"


def angarium(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [ANGARIUM, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False, cwd=cwd)


def why(ident: str, config: Path) -> subprocess.CompletedProcess[str]:
    """Ask `angarium why` again until the log has the records: they reach it a second late at most."""
    while True:
        answer = angarium("why", ident, "-c", config)
        if answer.returncode == 0 or created_at(ident) + LIMIT < time.time():
            return answer


class Running:
    """A server that runs; what it says on stderr is kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []

    def wait_for(self, *texts: str) -> str:
        """Wait for a line that holds one of the texts; returns it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if any(text in line for text in texts):
                return line
        raise AssertionError(f"the server ended: {''.join(self.said)}")

    @property
    def port(self) -> int:
        """Where its first listener listens."""
        line = next(line for line in self.said if "ready: listening on" in line)
        return int(line.partition("listening on ")[2].split()[0].rstrip(",").rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit status."""
        self.process.send_signal(number)
        self.said += self.process.communicate(timeout=LIMIT)[1].splitlines(keepends=True)
        return self.process.returncode

    def rcpt(self, recipient: str) -> int:
        """The code of the reply to a stranger's RCPT."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as client:
            client.ehlo()
            client.mail("someone@sender.example")
            return client.rcpt(recipient)[0]


@contextmanager
def serving(
    config: Path,
    *arguments: str,
    launcher: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    **options: Any,
) -> Iterator[Running]:
    """Run a server on a configuration, once it is ready; killed at the end if it has not ended by itself."""
    command = [*launcher, ANGARIUM, "run", *arguments, str(config)]
    environment = {**os.environ, **(env or {})}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **options) as process:
        running = Running(process)
        try:
            running.wait_for("ready:")
            yield running
        finally:
            if process.poll() is None:
                process.kill()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
