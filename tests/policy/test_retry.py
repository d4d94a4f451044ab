"""policy.retry: the time of the next attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.config import QueueConfig
from angarium.policy.retry import MAX_SPREAD, next_attempt, retry_delay

MIDDLE = 0.5
"""Entropy that neither adds nor takes."""


def test_delay_doubles() -> None:
    """Each failure doubles the delay, from twenty minutes on."""
    delays = [retry_delay(failures, QueueConfig(), MIDDLE) for failures in (1, 2, 3, 4)]
    assert delays == [1200, 2400, 4800, 9600]


def test_delay_is_capped() -> None:
    """`max_retry_interval` bounds the delay, however many failures came before."""
    config = QueueConfig(retry_interval=5, max_retry_interval=20)
    assert [retry_delay(failures, config, MIDDLE) for failures in (1, 2, 3, 4, 5000)] == [5, 10, 20, 20, 20]
    assert retry_delay(5000, QueueConfig(), MIDDLE) < 1e18


@pytest.mark.parametrize(("interval", "spread"), [(40.0, 1.0), (1200.0, 30.0), (86400.0, MAX_SPREAD)])
def test_spread_is_small(interval: float, spread: float) -> None:
    """Attempts come at most a fortieth of the interval, and at most thirty seconds, early or late."""
    config = QueueConfig(retry_interval=interval)
    assert retry_delay(1, config, 0.0) == interval - spread
    assert retry_delay(1, config, 0.999999) == pytest.approx(interval + spread, abs=0.001)


@given(
    st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0.001, 1e7), st.floats(0.001, 1e7)
)
def test_delay_is_never_negative(failures: int, entropy: float, interval: float, most: float) -> None:
    """Whatever the options, the next attempt is not before now, and within the cap and its spread."""
    config = QueueConfig(retry_interval=interval, max_retry_interval=most)
    assert 0 <= retry_delay(failures, config, entropy) <= most + MAX_SPREAD


def test_expiry() -> None:
    """A message whose next attempt would come after its end has none."""
    config = QueueConfig(retry_interval=60)
    assert next_attempt(1, 1000.0, 1060.0, config, MIDDLE) == 1060.0
    assert next_attempt(2, 1060.0, 1100.0, config, MIDDLE) is None
