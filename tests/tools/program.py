"""Runs a command of ours as a program of its own, and waits for what it says."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import typer
from typer.testing import CliRunner, Result


def _command(name: str, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-c", "from angarium.cli import main; main()", name, *arguments]


def invoke(function: Callable[..., None], *arguments: str) -> Result:
    """Run a command in this process: for what it says before it starts to work."""
    app = typer.Typer()
    app.command()(function)
    return CliRunner().invoke(app, arguments)


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run to its end, as a program."""
    return subprocess.run(_command(name, arguments), capture_output=True, text=True, timeout=20, check=False)


@contextmanager
def running(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run beside the test; killed at the end if it has not ended by itself."""
    command = _command(name, arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def listening_port(process: subprocess.Popen[str]) -> int:
    """The port that the sink says it listens on."""
    assert process.stderr is not None
    line = process.stderr.readline()
    if "listening on" not in line:
        pytest.fail(line + process.stderr.read())
    return int(line.rpartition(":")[2])
