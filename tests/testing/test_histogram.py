"""The histogram: right to within two per cent, exact at the end."""

from itertools import pairwise

import pytest

from angarium.testing.histogram import Histogram


def test_percentiles_are_right_to_within_two_per_cent():
    """Of a thousand even steps, each percentile is at most two per cent above the true one."""
    histogram = Histogram()
    for number in range(1, 1001):
        histogram.add(number / 1000)
    for percent in (1, 50, 90, 99):
        assert percent / 100 <= histogram.percentile(percent) <= percent / 100 * 1.021
    assert histogram.percentile(100) == histogram.largest == 1.0
    assert histogram.total == pytest.approx(500.5)


def test_an_empty_one_is_all_noughts():
    """Nothing counted, nothing claimed."""
    histogram = Histogram()
    assert (histogram.percentile(50), histogram.largest, histogram.doublings()) == (0.0, 0.0, [])


def test_doublings_leave_no_gap():
    """Coarse rows cover everything counted, with rows of nought between."""
    histogram = Histogram()
    for seconds in (1e-9, 0.0009, 0.1, 0.1):
        histogram.add(seconds)
    rows = histogram.doublings()
    assert sum(count for _, count in rows) == 4
    assert all(second == 2 * first for (first, _), (second, _) in pairwise(rows))
