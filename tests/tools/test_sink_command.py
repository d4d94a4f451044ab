"""`angarium sink` as a program: its output, its files, its end."""

import json
import signal
import smtplib
from pathlib import Path

import pytest

from angarium.cli.sink import sink

from .program import invoke, listening_port, run, running

FREE = ("--listen", "127.0.0.1:0")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen", "nowhere"),
        ("--listen", "127.0.0.1:99999"),
        ("--refuse", "rcpt=250 ok"),
        ("--delay", "rcpt"),
        ("--hang", "nowhere"),
        ("--max-size", "huge"),
        ("--without", "STARTTLS"),
        ("--limit", "-1"),
        ("--nonsense",),
    ],
)
def test_wrong_use_is_explained(arguments: tuple[str, ...]):
    """Arguments that mean nothing end with status 2 and a text, not a traceback."""
    done = invoke(sink, *arguments)
    assert done.exit_code == 2
    assert "Error" in done.output


def test_an_address_in_use_is_said():
    """A port that is taken ends with status 1 and the reason."""
    with running("sink", *FREE) as process:
        done = run("sink", "--listen", f"127.0.0.1:{listening_port(process)}")
    assert done.returncode == 1
    assert "cannot listen" in done.stderr


def test_each_message_is_a_line_and_a_file(tmp_path: Path):
    """`--print` tells envelope, size and subject; `--dir` keeps the message, to the octet; `--limit` ends."""
    content = b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\n.dot\r\n"
    with running("sink", *FREE, "--print", "--dir", str(tmp_path), "--limit", "1", "--json") as process:
        with smtplib.SMTP("127.0.0.1", listening_port(process), local_hostname="c") as client:
            client.sendmail("a@x", ["b@y", "c@y"], content)
        out, err = process.communicate(timeout=10)
    line = json.loads(out)
    assert line.pop("file") == next((tmp_path / "new").iterdir()).name
    assert line == {
        "from": "a@x",
        "to": ["b@y", "c@y"],
        "size": len(content) + 1,  # as it came, with the dot stuffed
        "subject": "café",
        "client": "127.0.0.1",
        "helo": "c",
    }
    assert [path.read_bytes() for path in (tmp_path / "new").iterdir()] == [content]
    assert process.returncode == 0
    assert "messages=1" in err


def test_it_ends_when_nobody_reads_on():
    """`angarium sink --print | head` ends like any other program of a pipe: quietly."""
    with running("sink", *FREE, "--print") as process:
        port = listening_port(process)
        assert process.stdout is not None
        process.stdout.close()
        with smtplib.SMTP("127.0.0.1", port, local_hostname="c") as client:
            client.sendmail("a@x", ["b@y"], b"x\r\n")
        assert process.wait(10) == 0
        assert "Traceback" not in (process.stderr.read() if process.stderr else "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(number: signal.Signals):
    """Ctrl-C and SIGTERM end with status 0 and the counters; refusals are listed."""
    with running("sink", *FREE, "--refuse", "rcpt:bad@*=550 5.1.1 No", "--interval", "0.05") as process:
        with smtplib.SMTP("127.0.0.1", listening_port(process), local_hostname="c") as client:
            client.sendmail("a@x", ["good@y", "bad@y"], b"x\r\n")
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "refused 1 × rcpt 550 5.1.1 No" in err
    assert "messages=1" in out
    assert "Traceback" not in err
