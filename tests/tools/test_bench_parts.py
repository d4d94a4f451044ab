"""What the benchmarks are made of: steps of stacks, tables, slopes, repeated rounds, places in pages."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench import instructions, peers, sizing, steps
from bench.machine import MachineTime
from bench.markdown import table
from bench.soak import _slope
from bench.steady import REPEATS, Patience, Steady

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("frames", "step"),
    [
        (["run (asyncio/runners.py:118)"], steps.LOOP),
        (
            ["s (angarium/reception/session.py:9)", "Connection.write (angarium/net/connection.py:2)"],
            "2 replies",
        ),
        (
            [
                "s (angarium/reception/session.py:9)",
                "begin (angarium/delivery/session.py:9)",
                "Connection.write_parts (angarium/net/connection.py:2)",
            ],
            "9 written",
        ),
        (
            ["Receiver.next_event (angarium/wire/receiver.py:1)", "Input._find (angarium/wire/framing.py:1)"],
            "2 con",
        ),
        (["t (angarium/reception/custody.py:1)", "encode_record (angarium/log/records.py:1)"], "5 recorded"),
        (["s (angarium/queue/settle.py:1)", "encode_record (angarium/log/records.py:1)"], "11 recorded"),
        (["t (angarium/queue/intake.py:1)", "put (angarium/spool/store.py:1)"], "5 put"),
        (["t (angarium/spool/worker.py:1)", "put (angarium/spool/batch.py:1)"], "5 commit"),
        (["_rcpt (angarium/reception/answers.py:1)", "parse (angarium/mail/address.py:1)"], "3 decided"),
        (["elsewhere (json/decoder.py:1)"], steps.ELSE),
    ],
)
def test_a_stack_belongs_to_a_step(frames: list[str], step: str):
    """The innermost frame that tells decides; what several steps share belongs to the one that asked."""
    assert steps.step_of(frames).startswith(step)


def test_every_room_of_the_walk_has_a_step():
    """No file of reception, queue, delivery or spool falls through to "everything else"."""
    rooms = ("reception", "delivery", "spool")
    files = [path for room in rooms for path in (ROOT / "src" / "angarium" / room).glob("*.py")]
    lost = {
        path.name
        for path in files
        if path.name != "__init__.py"
        and steps.step_of([f"x ({path.relative_to(ROOT / 'src')}:1)"]) == steps.ELSE
    }
    assert lost == set()


def test_steps_stand_in_the_order_of_the_walk():
    """Eleven comes after nine, and what belongs to no step comes last."""
    assert sorted([steps.ELSE, "11 b", "9 a", "2 c"], key=steps.order) == ["2 c", "9 a", "11 b", steps.ELSE]


def test_a_table_is_markdown():
    """Columns stand under each other, and figures end at the same place."""
    assert table(("what", "µs"), [("a", "1.5"), ("longer", "10.0")]).split("\n") == [
        "| what   |   µs |",
        "| ------ | ---: |",
        "| a      |  1.5 |",
        "| longer | 10.0 |",
    ]


def test_a_slope_is_that_of_the_line():
    """Three octets a second are found as such; one look has no slope."""
    assert _slope([(0.0, 5.0), (1.0, 8.0), (2.0, 11.0)]) == pytest.approx(3.0)
    assert _slope([(0.0, 5.0)]) == 0.0


def test_stolen_rounds_are_repeated(monkeypatch: pytest.MonkeyPatch):
    """A round from which time was stolen is measured again, and what was stolen is told."""
    times = iter([(0, 0), (10, 2), (10, 2), (20, 2)])
    monkeypatch.setattr(MachineTime, "now", lambda: MachineTime((now := next(times))[0], 0.0, now[1]))
    said: list[str] = []
    rounds = iter(range(REPEATS))
    steady = Steady(Patience(left=0), said.append)
    assert steady.undisturbed(lambda: next(rounds)) == 1
    assert steady.stolen == [0.0]
    assert said == ["  20% of the time was stolen: again"]


def test_every_peer_is_there():
    """Each has what the benchmark asks of it, and says why it cannot be measured where it cannot."""
    for name in peers.ALL:
        peer = peers.load(name)
        assert name == peer.NAME
        assert set(peer.MODES) <= {"full", "receive"}
        assert peer.SETTINGS
        assert peer.missing() is None or isinstance(peer.missing(), str)


def test_the_pure_parts_can_be_done():
    """Every part of `bench.instructions` does its work again and again."""
    for part in instructions.parts().values():
        part()
        part()


def test_figures_are_put_between_their_marks():
    """`bench.sizing --write` replaces what stands between the marks of the page, and nothing else."""
    first, last = sizing.MARKS
    assert sizing._placed(f"a\n{first}\nold\n{last}\nb", "new") == f"a\n{first}\nnew\n{last}\nb"
    assert all(sizing.PAGE.read_text().count(mark) == 1 for mark in sizing.MARKS)


def test_an_unknown_name_is_refused():
    """`make bench BENCH=nonsense` ends with status 2 and the names there are."""
    command = [sys.executable, "-m", "bench", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "latency" in done.stderr
