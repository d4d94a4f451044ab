"""What a worker is told late."""

import pytest

from angarium.node.owed import MAX_AGE, MAX_OWED, Owed, can_wait, forget_others


@pytest.mark.parametrize(
    ("action", "arguments", "waits"),
    [
        ("hold", {}, True),
        ("release", {"selector": {"domain": "a.example"}}, True),
        ("retry", {}, True),
        ("cancel", {}, True),
        ("hold", {"selector": {"site": "a.example"}}, False),
        ("delete", {}, False),
        ("expire", {}, False),
        ("bounce", {}, False),
        ("reroute", {}, False),
        ("reevaluate", {}, False),
    ],
)
def test_what_can_wait(action, arguments, waits):
    """What can be taken back waits; what ends or moves messages, or goes by sites, does not."""
    assert can_wait(action, arguments) is waits


def test_times_count_from_the_request(tmp_path):
    """What is told late means the messages and the time that were meant; what is over is not told."""
    owed = Owed(tmp_path / "owed-0")
    owed.add({"action": "hold", "seconds": 60.0, "selector": {"older_than": 10.0}}, 100.0)
    owed.add({"action": "hold", "seconds": 5.0}, 100.0)
    owed.add({"action": "retry", "seconds": None}, 100.0)
    assert owed.told(120.0) == [
        {"action": "hold", "seconds": 40.0, "selector": {"older_than": 30.0}},
        {"action": "retry", "seconds": None},
    ]
    owed.clear()
    assert owed.told(120.0) == []


def test_over_a_restart(tmp_path):
    """What waits is there after a restart, for a day; what was told is not, nor what is for nobody."""
    for number in range(2):
        Owed(tmp_path / f"owed-{number}").add({"action": "release", "everything": True}, 100.0)
    again = Owed(tmp_path / "owed-0")
    assert again.told(200.0) == [{"action": "release", "everything": True}]
    assert again.told(100.0 + MAX_AGE) == []
    forget_others(tmp_path, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["owed-0"]
    again.clear()
    assert Owed(tmp_path / "owed-0").told(200.0) == []


def test_a_file_that_cannot_be_used(tmp_path, caplog):
    """Damage, or a disk that takes nothing, costs what waits at most, and is told."""
    (tmp_path / "owed-0").write_bytes(b"x")
    assert Owed(tmp_path / "owed-0").told(0.0) == []
    assert "cannot be read" in caplog.text
    owed = Owed(tmp_path / "absent" / "owed-0")
    owed.add({"action": "retry"}, 0.0)
    assert "a restart will forget" in caplog.text
    assert owed.told(1.0) == [{"action": "retry"}]


def test_a_bound(tmp_path):
    """Not more waits than is reasonable."""
    owed = Owed(tmp_path / "owed-0")
    for _ in range(MAX_OWED):
        assert not owed.is_full
        owed.add({}, 0.0)
    assert owed.is_full


def test_what_is_cancelled_stays_so(tmp_path):
    """An order that was cancelled is not had from the worker that was not there, however late it comes."""
    owed = Owed(tmp_path / "owed-0")
    owed.add({"action": "cancel", "what": "stop"}, 100.0)
    assert owed.cancelled == {"stop"}
    assert owed.told(100.0 + 2 * MAX_AGE) == [{"action": "cancel", "what": "stop"}]
