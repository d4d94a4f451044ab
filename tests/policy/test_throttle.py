"""policy.throttle: rates as operators write them, and what a meter lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.throttle import Rate, Throttle


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("100/s", Rate(100, 1.0, 10), "100/s"),
        ("50 / 30s", Rate(50, 30.0, 1), "50/30s"),
        ("1,000/hour,max_burst=20", Rate(1000, 3600.0, 20), "1000/hour"),
        ("10/min, max_burst = 1", Rate(10, 60.0, 1), "10/min"),
    ],
)
def test_rates(text, rate, shown):
    """A count, a period, and how many may come at once."""
    assert (Rate.parse(text), str(Rate.parse(text))) == (rate, shown)


@pytest.mark.parametrize(
    "text", ["", "100", "0/s", "10/0s", "1/fortnight", "1/s,max_burst=0", "1/s,burst=2", "-1/s"]
)
def test_what_is_no_rate(text):
    """What lets nothing through, or means nothing, is refused."""
    with pytest.raises(ValueError, match="write"):
        Rate.parse(text)


def test_evenly_after_the_burst():
    """The burst goes at once, and then one after the other."""
    throttle, times, now = Throttle(Rate(10, 1.0, 3)), [], 0.0
    for _ in range(6):
        now += throttle.wait(now)
        throttle.spend(now)
        times.append(round(now, 6))
    assert times == [0.0, 0.0, 0.0, 0.1, 0.2, 0.3]
    assert not throttle.is_rested(now)
    assert throttle.is_rested(now + 1)


def test_a_rate_that_is_replaced():
    """What was spent counts as if the new rate had been there; a rate that is slower later stays kept."""
    throttle = Throttle(Rate(1, 60.0, 1))
    throttle.spend(0.0)
    throttle.rate = Rate(60, 60.0, 1)
    assert throttle.wait(0.0) == 1.0
    assert throttle.wait(0.5) == 0.5
    throttle.rate = Rate(1, 3600.0, 1)
    assert throttle.wait(0.5) == 0.5


@given(st.integers(1, 50), st.integers(1, 10), st.lists(st.floats(0, 3), min_size=1, max_size=200))
def test_never_more_than_the_rate(count, burst, pauses):
    """However the calls fall, no period sees more than the count and the burst."""
    throttle, now, let_through = Throttle(Rate(count, 1.0, burst)), 0.0, []
    for pause in pauses:
        now += pause / count
        if throttle.wait(now) == 0.0:
            throttle.spend(now)
            let_through.append(now)
    for start in let_through:
        assert sum(start <= time < start + 1.0 for time in let_through) <= count + burst
