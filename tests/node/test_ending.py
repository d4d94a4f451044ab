"""What an operator is told of a worker's end."""

import os
import re
import subprocess
import sys

from angarium.node.ending import Pulse, story

PULSE = Pulse(sessions=1, waiting=1200, memory=75_000_000)


def told(status, words=b""):
    """The story of a process that ended so."""
    place = os.memfd_create("words")
    try:
        os.write(place, words)
        return story(status, PULSE, place)
    finally:
        os.close(place)


def test_killed():
    """Who was killed by force: by what, what it had, and where to look."""
    line = told(-9)
    assert line.startswith("SIGKILL; ")
    assert "1 session, 1,200 messages in its queues and 75 MB" in line
    assert "journalctl -k" in line


def test_ended_by_itself():
    """A status is told with its reason, as far as one is known."""
    assert "its own lines above" in told(1)
    assert "somebody told it to" in told(0)


def test_a_fault_in_native_code():
    """The innermost frames of a real fault are named with file and line, in one line."""
    program = (
        "import faulthandler, ctypes\nfaulthandler.enable()\ndef inner():\n ctypes.string_at(0)\ninner()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    line = told(done.returncode, done.stderr)
    assert line.startswith("SIGSEGV; it was in ")
    assert re.search(r"called by inner \(<string>:4\)", line)
    assert "native code" in line
    assert "\n" not in line
