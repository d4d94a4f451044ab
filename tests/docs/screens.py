"""Screens in documents: fenced `console` blocks, whose commands are run and whose output must be what
stands there.

Every line that begins with `$ ` is a command for the shell; what follows it, up to the next, is what it
prints. With UPDATE_SCREENS=1 in the environment the documents are written anew, so that a review is a diff.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check_screens(page: Path, folder: Path) -> None:
    """Run every command of a page in a folder, in order, and compare; raises AssertionError."""
    text = page.read_text()
    fresh = _BLOCK.sub(lambda block: f"```console\n{_run_block(block[1], folder)}```", text)
    if os.environ.get("UPDATE_SCREENS"):
        page.write_text(fresh)
    else:
        assert fresh == text, f"UPDATE_SCREENS=1 writes {page.name} anew"


def _run_block(block: str, folder: Path) -> str:
    commands = [line for line in block.splitlines() if line.startswith("$ ")]
    return "".join(f"{command}\n{_output(command[2:], folder)}" for command in commands)


def _output(command: str, folder: Path) -> str:
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert not done.stderr, f"{command}: {done.stderr}"
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    return "".join(f"{line}\n" for line in lines)
