"""Counting by network: windows, crowds, budgets, and memory that strangers cannot make grow."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from angarium.net.limits import Budget, Crowd, Tally, network_key

KEY = (4, 1)


def test_networks_are_counted_by_their_prefix():
    """Addresses with the same leading bits are one network; the families never meet."""
    one = network_key(ip_address("2001:db8::1"), 32, 64)
    assert one == network_key(ip_address("2001:db8::ffff"), 32, 64)
    assert one != network_key(ip_address("2001:db8:0:1::1"), 32, 64)
    assert network_key(ip_address("192.0.2.1"), 24, 64) == network_key(ip_address("192.0.2.200"), 24, 64)
    assert network_key(ip_address("192.0.2.1"), 32, 64) != network_key(ip_address("192.0.2.200"), 32, 64)
    assert network_key(ip_address("0.0.0.1"), 32, 128) != network_key(ip_address("::1"), 32, 128)


def test_events_are_forgotten_with_time():
    """What is longer ago than the window counts no more."""
    tally = Tally(600)
    for _ in range(20):
        tally.add(KEY, 0.0)
    assert tally.count(KEY, 599.0) == 20
    assert tally.count(KEY, 1199.0) < 1
    assert tally.count(KEY, 1800.0) == 0
    assert tally.count((4, 2), 0.0) == 0


@given(st.lists(st.floats(0, 10_000), max_size=60), st.floats(0, 10_000))
def test_a_tally_is_near_the_truth(times, now):
    """It never counts more than two windows hold, nor less than this window holds."""
    tally = Tally(600)
    past = sorted(time for time in times if time <= now)
    for time in past:
        tally.add(KEY, time)
    assert sum(time // 600 == now // 600 for time in past) <= tally.count(KEY, now)
    assert tally.count(KEY, now) <= sum(time > now - 1200 for time in past)


def test_the_silent_are_forgotten_first():
    """A tally never holds more networks than it may; those that were heard last stay."""
    tally = Tally(600, capacity=3)
    for number in (1, 2, 3, 1, 4, 5):
        tally.add((4, number), 0.0)
    assert len(tally) == 3
    assert [tally.count((4, number), 0.0) for number in (1, 4, 5)] == [2, 1, 1]
    assert tally.count((4, 2), 0.0) == 0


def test_a_crowd_is_who_is_there():
    """Whoever leaves is counted out, and a network without anybody takes no memory."""
    crowd = Crowd()
    assert [crowd.enter(KEY), crowd.enter(KEY)] == [1, 2]
    crowd.leave(KEY)
    assert crowd.enter(KEY) == 2
    crowd.leave(KEY)
    crowd.leave(KEY)
    assert len(crowd) == 0


def test_a_budget():
    """It is spent when as much is in use as there is."""
    budget = Budget(10)
    budget.take(9)
    assert not budget.is_spent
    budget.take(1)
    assert budget.is_spent
    budget.give_back(10)
    assert budget.used == 0
