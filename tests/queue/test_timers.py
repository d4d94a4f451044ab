"""queue.timers: buckets of a quarter of a second."""

from hypothesis import given
from hypothesis import strategies as st

from angarium.queue.timers import BUCKETS_PER_SECOND, Timers

ALL = 10_000


def test_never_early_and_at_most_a_bucket_late():
    """An item comes out when its time has come, a quarter of a second later at most."""
    timers = Timers()
    timers.add(100.1, "a")
    assert timers.pop_due(100.1, ALL) == []
    assert timers.next_due == 100.25
    assert timers.pop_due(100.25, ALL) == ["a"]
    assert timers.next_due is None


def test_a_portion_of_what_is_due():
    """`limit` bounds what is taken at once; the rest stays due, in order."""
    timers = Timers()
    for number in range(5):
        timers.add(1.0, number)
    timers.add(2.0, "later")
    assert timers.pop_due(3.0, 3) == [0, 1, 2]
    assert len(timers) == 3
    assert timers.next_due == 1.25
    assert timers.pop_due(3.0, 3) == [3, 4, "later"]


@given(st.lists(st.floats(0, 1000)), st.lists(st.floats(0, 1000)), st.integers(1, 5))
def test_everything_comes_out_once(dues, times, limit):
    """Whatever is put in comes out exactly once, never before its time."""
    timers = Timers()
    for number, due in enumerate(dues):
        timers.add(due, (number, due))
    out = []
    for now in [*sorted(times), *[2000.0] * len(dues)]:
        for item in timers.pop_due(now, limit):
            assert item[1] <= now
            out.append(item)
    assert sorted(out) == sorted(enumerate(dues))
    assert 1 / BUCKETS_PER_SECOND == 0.25
