"""`angarium bench` as a program: its arguments, its summary, its end."""

import io
import json
import signal

import pytest
from rich.console import Console

from angarium.cli.bench import _screen, bench
from angarium.testing.load import Load
from angarium.testing.mixture import LoadOptions

from .program import invoke, listening_port, run, running

SINK = ("sink", "--listen", "127.0.0.1:0")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--target", "nowhere"),
        ("--size", "big"),
        ("--size", "2k:0"),
        ("--to", "not a domain"),
        ("--sender", "nobody"),
        ("--duration", "0s"),
        ("--duration", "soon"),
        ("--rate", "0"),
        ("--connections", "0"),
    ],
)
def test_wrong_use_is_explained(arguments: tuple[str, ...]):
    """Arguments that mean nothing end with status 2 and a text, before anything is sent."""
    target = () if not arguments or "--target" in arguments else ("--target", "127.0.0.1:1")
    done = invoke(bench, *target, *arguments)
    assert done.exit_code == 2
    assert "Error" in done.output


def test_the_summary_as_json():
    """`--json` prints rate, times and errors as one object; a refused message makes the status 1."""
    with running(*SINK) as sink:
        target = f"127.0.0.1:{listening_port(sink)}"
        good = run("bench", "--target", target, "-n", "50", "--size", "1k:2,3k", "--json")
        bad = run("bench", "--target", target, "-n", "2", "--to", "550-no@x.example", "--json")
    summary = json.loads(good.stdout)
    assert (good.returncode, summary["accepted"], summary["failed"], summary["errors"]) == (0, 50, 0, {})
    assert 0 < summary["milliseconds"]["p50"] <= summary["milliseconds"]["max"]
    assert bad.returncode == 1
    assert list(json.loads(bad.stdout)["errors"]) == ["rcpt: 550 5.0.0 Refused, as the name asks"]


def test_ctrl_c_ends_it_with_the_summary():
    """The first Ctrl-C lets messages in flight end, and prints what was done until then."""
    with running(*SINK, "--interval", "0.02", "--json") as sink:
        with running("bench", "--target", f"127.0.0.1:{listening_port(sink)}", "--duration", "1m") as process:
            assert sink.stdout is not None
            while not json.loads(sink.stdout.readline())["messages"]:
                pass
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=10)
        assert process.returncode == 0
    assert "0 failed" in out
    assert "time to accept" in out
    assert err == ""


def test_a_range_of_domains():
    """`d{1..3}.example` stands for three domains; what is no range is refused with the text."""
    with running(*SINK, "--print") as process:
        port = listening_port(process)
        done = run(
            "bench", "--target", f"127.0.0.1:{port}", "-n", "60", "--to", "d{1..3}.example", "--seed", "1"
        )
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=10)
    assert done.returncode == 0
    assert {f"to=recipient@d{number}.example" for number in (1, 2, 3)} == set(told.split()) & {
        word for word in told.split() if word.startswith("to=")
    }
    assert invoke(bench, "--target", "127.0.0.1:1", "--to", "d{1..99999999}.example").exit_code == 2


def test_progress_without_a_terminal():
    """Where stderr is no terminal, lines tell what was accepted, how fast, and the times so far."""
    with running(*SINK) as process:
        port = listening_port(process)
        done = run("bench", "--target", f"127.0.0.1:{port}", "--duration", "300ms", "--interval", "0.05")
    assert " accepted, " in done.stderr
    assert " p99 " in done.stderr


@pytest.mark.parametrize("target", ["127.0.0.1:1", "nowhere.invalid:25"])
def test_nobody_answers(target: str):
    """Where no connection can be made, it says so and why, and ends with status 1."""
    done = run("bench", "--target", target, "-n", "1")
    assert done.returncode == 1
    assert f"no message was accepted by {target}\n" in done.stdout
    why = "connection refused" if target.endswith(":1") else "name"
    assert f"nobody answers at {target} (" in done.stderr
    assert why in done.stderr.lower()
    assert "Unknown error" not in done.stdout + done.stderr


def test_the_live_screen():
    """On a terminal rate, times, their histogram and the errors are seen together."""
    load = Load(LoadOptions(host="127.0.0.1", port=25))
    load._began = 1.0
    load.results.accepted, load.results.failed = 2000, 3
    load.results.times.add(0.004)
    load.results.error("rcpt: 550 5.1.1 No")
    console = Console(width=100, file=io.StringIO())
    with console.capture() as captured:
        console.print(_screen(load, 1234.0))
    shown = captured.get()
    for text in ("2,000 messages to 127.0.0.1:25", "1,234", "p99", "█", "≤ 4.1 ms", "1 rcpt: 550 5.1.1 No"):
        assert text in shown
