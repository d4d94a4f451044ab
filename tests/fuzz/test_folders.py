"""Nothing of a fuzzer's run is left in the temporary folder, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = "import os, signal, tempfile; print(tempfile.mkdtemp(), flush=True); {end}"
OUTSIDE = "import sys; from fuzz.run import run_in_folder; sys.exit(run_in_folder(sys.argv[1:]))"


def begin(end):
    """A program in its folder, and a folder that it has made there."""
    command = [sys.executable, "-c", OUTSIDE, sys.executable, "-c", TARGET.format(end=end)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def test_the_end_of_a_run():
    """A program that ends without a word, as the fuzzer does, leaves no folder, and its exit code is told."""
    process, folder = begin("os._exit(3)")
    with process:
        process.wait(60)
    assert process.returncode == 3
    assert folder.parent.name.startswith("angarium-fuzz-")
    assert not folder.parent.exists()


def test_an_input_that_is_tried_again(tmp_path):
    """Trying one input in this very process leaves nothing either."""
    (tmp_path / "input").write_bytes(b"")
    command = [sys.executable, "-m", "fuzz.run", "spool", str(tmp_path / "input")]
    folder = tmp_path / "tmp"
    folder.mkdir()
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "TMPDIR": str(folder)})
    assert not list(folder.iterdir())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped(number):
    """Stopped by a signal, it takes its folders away."""
    process, folder = begin("signal.pause()")
    assert folder.exists()
    with process:
        process.send_signal(number)
        process.wait(60)
    assert not folder.parent.exists()
