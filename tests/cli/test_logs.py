"""`angarium logs` and `angarium why`, as programs, where the configuration is broken."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from angarium.log.records import encode_record
from angarium.log.segment import make_name
from tests.admin.records_made import NOW, ident, record

from .house import MAIN, angarium, write

BROKEN = MAIN.replace("hostname", "hostnane").replace("127.0.0.1:0", "nowhere")


def write_log(folder: Path) -> None:
    """One segment with one record, where the default says."""
    (folder / "logs").mkdir()
    line = encode_record(record("Reception", 1, recipient="bob@example.com", disposition="queued"))
    octets = zstandard.ZstdCompressor(write_checksum=True).compress(line + b"\n")
    (folder / "logs" / make_name(NOW, 0, "")).write_bytes(octets)


@pytest.mark.parametrize("question", [("logs",), ("why", ident(1))])
def test_records_are_read_though_the_configuration_is_broken(
    tmp_path: Path, question: tuple[str, ...]
) -> None:
    """Whoever has just broken the files can still look at what happened: [log] alone must be right."""
    write_log(tmp_path)
    done = angarium(*question, "-c", write(tmp_path, BROKEN), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "bob@example.com" in done.stdout


@pytest.mark.parametrize("question", [("logs",), ("why", ident(1))])
def test_a_wrong_log_table_is_told(tmp_path: Path, question: tuple[str, ...]) -> None:
    """Where the records are is not guessed."""
    done = angarium(*question, "-c", write(tmp_path, f"{BROKEN}[log]\ndir = 1\n"), cwd=tmp_path)
    assert done.returncode == 1
    assert [line.partition(": ")[2] for line in done.stderr.splitlines()] == [
        "dir: 1 is not a text: write it in quotes"
    ]
