"""`angarium report` and `angarium classify` print what the server would read."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.reports.forms import FORMS

BOUNCE = FORMS[0].content
ORDINARY = b"From: a@example.com\nSubject: hello\n\nhello\n"


def angarium(*arguments: str | Path, stdin: bytes = b"") -> tuple[int, str, str]:
    command = [sys.executable, "-c", "from angarium.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def rows(*arguments: str | Path, stdin: bytes = b"") -> list[dict[str, Any]]:
    code, out, err = angarium("report", "--json", *arguments, stdin=stdin)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_a_row_has_the_contracts_names(tmp_path: Path) -> None:
    """One JSON object a file, with everything that the contract promises."""
    file = tmp_path / "bounce.eml"
    file.write_bytes(BOUNCE)
    assert rows(file) == [
        {
            "file": str(file),
            "kind": "oob",
            "recipients": ["rcpt@example.net"],
            "failed": ["rcpt@example.net"],
            "status": "5.1.1",
            "feedback_type": None,
            "fields": {},
            "why": "cannot-deliver",
            "by_shape": True,
        }
    ]


def test_folders_mailboxes_and_standard_input(tmp_path: Path) -> None:
    """A folder is read whole, an mbox message by message, `-` once, all in the order asked for."""
    (tmp_path / "a").write_bytes(ORDINARY)
    box = tmp_path / "b.mbox"
    line = b"From x@example.com Thu Apr  4 10:11:12 2024\n"
    box.write_bytes(line + BOUNCE + b"\n" + line + ORDINARY)
    found = rows(tmp_path, "-", stdin=BOUNCE)
    assert [(Path(row["file"]).name, row["kind"]) for row in found] == [
        ("a", "none"), ("b.mbox#1", "oob"), ("b.mbox#2", "none"), ("-", "oob"),
    ]  # fmt: skip


def test_a_mailbox_by_standard_input(tmp_path: Path) -> None:
    """A mailbox is read message by message there too, however many it holds."""
    line = b"From x@example.com Thu Apr  4 10:11:12 2024\n"
    box = (line + BOUNCE + b"\n" + line + ORDINARY + b"\n") * 40
    found = rows("-", stdin=box)
    assert [row["kind"] for row in found] == ["oob", "none"] * 40
    assert [row["file"] for row in found[:2]] == ["-#1", "-#2"]


def _read_terminal(terminal: int) -> str:
    """What is written to a terminal until its other side is closed."""
    drawn = b""
    with contextlib.suppress(OSError), os.fdopen(terminal, "rb", buffering=0) as file:
        while octets := file.read(1 << 16):
            drawn += octets
    return drawn.decode()


def test_a_progress_bar_takes_no_rows(tmp_path: Path) -> None:
    """On a terminal the rows still go where they were sent, and the terminal shows how far it is."""
    for number in range(70):
        (tmp_path / f"{number:02}").write_bytes(BOUNCE)
    out, (terminal, other) = tmp_path.with_suffix(".out"), os.openpty()
    command = [
        sys.executable,
        "-c",
        "from angarium.cli import main; main()",
        "report",
        "--json",
        str(tmp_path),
    ]
    with out.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=other) as process:
        os.close(other)
        drawn = _read_terminal(terminal)
    assert process.returncode == 0
    assert len(out.read_text().splitlines()) == 70
    assert "reading" in drawn
    assert "rcpt@example.net" not in drawn


def test_many_files_keep_their_order(tmp_path: Path) -> None:
    """Messages read by several processes come out in the order asked for."""
    for number in range(150):
        (tmp_path / f"{number:03}").write_bytes(BOUNCE if number % 3 == 0 else ORDINARY)
    found = rows(tmp_path)
    assert [Path(row["file"]).name for row in found] == [f"{number:03}" for number in range(150)]
    assert [row["kind"] for row in found[:4]] == ["oob", "none", "none", "oob"]


def test_why_names_the_rule(tmp_path: Path) -> None:
    """`--why` says by which rule a message was known, and whether by its shape."""
    (tmp_path / "a").write_bytes(BOUNCE)
    _, out, _ = angarium("report", "--why", tmp_path / "a")
    assert out.endswith(" 5.1.1 rcpt@example.net (cannot-deliver, by its shape)\n")


def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    """A file that cannot be read ends the command with 2 and its name."""
    code, _, err = angarium("report", tmp_path / "missing")
    assert code == 2
    assert "missing" in err


def test_a_missing_file_costs_no_other_its_row(tmp_path: Path) -> None:
    """The others are read, in their order, and it is named; the exit status tells that one was not."""
    (tmp_path / "good.eml").write_bytes(BOUNCE)
    (tmp_path / "other.eml").write_bytes(ORDINARY)
    names = [tmp_path / name for name in ("good.eml", "nofile", "other.eml")]
    code, out, err = angarium("report", "--json", *names)
    assert [json.loads(line)["kind"] for line in out.splitlines()] == ["oob", "none"]
    assert (code, err.count("\n"), str(names[1]) in err) == (2, 1, True)


def test_classify_names_rule_file_and_line(tmp_path: Path) -> None:
    """The class, what it means for the address, and where the rule stands; own rules come first."""
    code, out, _ = angarium("classify", "--json", "550 5.1.1 No such user")
    answer = json.loads(out)
    assert (code, answer["class"], answer["dead_address"]) == (0, "InvalidRecipient", "yes")
    assert (answer["file"], isinstance(answer["line"], int)) == ("community.toml", True)
    own = tmp_path / "own.toml"
    own.write_text("[rules]\nMine = ['No such']\n")
    code, out, _ = angarium("classify", "--rules", own, "550 5.1.1 No such user")
    assert (code, out.splitlines()[0]) == (0, "Mine")
    assert f"{own}:2" in out


@pytest.mark.parametrize(("text", "code"), [("550 hic sunt leones", 1), ("550 5.1.1 x", 0)])
def test_classify_exits_with_the_answer(text: str, code: int) -> None:
    """0 where a rule matches, 1 where none does."""
    assert angarium("classify", text)[0] == code


def test_broken_rules_are_wrong_use(tmp_path: Path) -> None:
    """A rule file that cannot be used is named with its line."""
    own = tmp_path / "own.toml"
    own.write_text("[rules]\nMine = ['(']\n")
    code, _, err = angarium("classify", "--rules", own, "550 x")
    assert code == 2
    assert f"{own}:2" in err


def test_classify_asks_the_rules_of_a_configuration(tmp_path: Path) -> None:
    """With `-c`, the rule files of that configuration answer; a broken one is wrong use."""
    (tmp_path / "own.toml").write_text("[rules]\nMine = ['No such']\n")
    main = tmp_path / "angarium.toml"
    main.write_text("[[listener]]\n[classifier]\nfiles = ['own.toml', 'community']\n")
    code, out, _ = angarium("classify", "-c", main, "550 5.1.1 No such user")
    assert (code, out.splitlines()[0]) == (0, "Mine")
    (tmp_path / "own.toml").write_text("[rules]\nMine = ['(']\n")
    code, _, err = angarium("classify", "-c", main, "550 5.1.1 No such user")
    assert code == 2
    assert "own.toml:2: not an RE2 pattern" in err


def test_text_is_one_line_without_controls(tmp_path: Path) -> None:
    """What a report quotes, and a file's name, end no line and steer no terminal."""
    file = tmp_path / "a\nb.eml"
    file.write_bytes(
        b"Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        b"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: a\x1b[2J\n--b--\n"
    )
    code, out, _ = angarium("report", file)
    assert (code, out) == (0, f"arf {tmp_path}/a\\nb.eml a\\x1b[2j\n")


def test_a_class_steers_no_terminal(tmp_path: Path) -> None:
    """Names and patterns of a rule file are escaped, as what reports quote is."""
    file = tmp_path / "own.toml"
    file.write_text('[rules]\n"A\\u001b[31m" = ["own"]\n')
    code, out, _ = angarium("classify", "--rules", file, "550 own")
    assert (code, "\x1b" in out, out.split("\n")[0]) == (0, False, "A\\x1b[31m")
