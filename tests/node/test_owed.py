"""What a worker is told late."""

import pytest

from angarium.node.owed import MAX_OWED, Owed, can_wait


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


def test_times_count_from_the_request():
    """What is told late means the messages and the time that were meant; what is over is not told."""
    owed = Owed()
    owed.add({"action": "hold", "seconds": 60.0, "selector": {"older_than": 10.0}}, 100.0)
    owed.add({"action": "hold", "seconds": 5.0}, 100.0)
    owed.add({"action": "retry", "seconds": None}, 100.0)
    assert owed.told(120.0) == [
        {"action": "hold", "seconds": 40.0, "selector": {"older_than": 30.0}},
        {"action": "retry", "seconds": None},
    ]
    owed.clear()
    assert owed.told(120.0) == []


def test_a_bound():
    """Not more waits than is reasonable."""
    owed = Owed()
    for _ in range(MAX_OWED):
        assert not owed.is_full
        owed.add({}, 0.0)
    assert owed.is_full
