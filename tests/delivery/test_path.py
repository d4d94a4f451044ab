"""delivery.path: who goes next, over which connection, and when another one is opened."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from angarium.delivery.path import Limits, Path, Then
from angarium.policy.throttle import Rate, Throttle


def path(*items, connections=4, deliveries=100):
    made = Path(Limits(connections, deliveries))
    for item in items:
        made.add(item[0], item)
    return made


def establish(made, connection):
    """Open a connection and let it take its first item."""
    assert made.next_step() is Then.OPEN
    made.opened()
    return made.next_for(connection, 0)


def test_nothing_waits_nothing_happens():
    """Without messages no connection is opened."""
    assert path().next_step() is Then.WAIT


def test_a_new_site_is_tried_with_one_connection():
    """Until a site has answered, a single connection is opened, however much waits."""
    made = path("a1", "a2", "a3")
    assert [made.next_step(), made.next_step()] == [Then.OPEN, Then.WAIT]
    assert made.binding().text == "a connection is being opened"


def test_connections_double_up_to_the_limit():
    """A site that answers gets as many more at a time as it has, up to the limit."""
    made = path(*(f"a{n}" for n in range(20)))
    opened = []
    while made.established < 4:
        opened.append(0)
        while made.next_step() is Then.OPEN:
            opened[-1] += 1
        for _ in range(made.opening):
            made.opened()
            made.next_for(object(), 0)
    assert opened == [1, 1, 2]
    assert (made.next_step(), made.binding().text) == (Then.WAIT, "connection_limit 4")


def test_no_more_connections_than_messages():
    """A connection that is being opened is meant for a message; no other is opened for the same one."""
    made = path("a1")
    assert establish(made, "c") == ("c", "a1")
    made.add("a", "a2")
    assert [made.next_step(), made.next_step()] == [Then.OPEN, Then.WAIT]


def test_an_idle_connection_is_used_first():
    """The connection that became idle last takes the next message: it is the surest to be alive."""
    made = path("a1", "a2")
    assert establish(made, "c1") == ("c1", "a1")
    assert establish(made, "c2") == ("c2", "a2")
    assert (made.next_for("c1", 1), made.next_for("c2", 1)) == (Then.IDLE, Then.IDLE)
    assert list(made.idle) == ["c1", "c2"]
    made.add("a", "a3")
    assert made.next_step() == ("c2", "a3")
    assert made.next_step() is Then.WAIT


def test_a_closed_connection_is_forgotten():
    """An idle connection that ended is not used again."""
    made = path("a1")
    establish(made, "c1")
    made.next_for("c1", 1)
    made.closed("c1")
    made.add("a", "a2")
    assert made.next_step() is Then.OPEN
    made.not_opened()
    assert made.take(100) == ["a2"]
    assert made.is_unused


def test_deliveries_per_connection_are_limited():
    """After its share of messages a connection says goodbye."""
    made = path("a1", "a2", deliveries=1)
    establish(made, "c1")
    assert made.next_for("c1", 1) is Then.CLOSE


def test_a_full_site_gets_no_more_connections():
    """A site that takes no more connections keeps those it has; without any, one is tried."""
    made = path("a1", "a2")
    establish(made, "c1")
    made.is_full = True
    assert (made.next_step(), made.binding().text) == (Then.WAIT, "the site takes no more connections")
    made.closed("c1")
    assert made.next_step() is Then.OPEN


def test_closing():
    """While the server stops nothing new is begun, and free connections end."""
    made = path("a1", "a2")
    establish(made, "c1")
    made.is_closing = True
    assert (made.next_step(), made.next_for("c1", 1)) == (Then.WAIT, Then.CLOSE)


def test_queues_take_turns():
    """A long queue does not starve a short one, and each keeps its own order."""
    made = path("a1", "a2", "a3", "b1", "c1", "c2")
    assert made.take(100) == ["a1", "b1", "c1", "a2", "c2", "a3"]


def test_put_back_goes_first():
    """What was taken too early is the next of its queue."""
    made = path("a1", "a2")
    made.put_back("a", "a0")
    assert made.take(100) == ["a0", "a1", "a2"]


def rated(*items, rates, **limits):
    """A path whose queues have these rates."""
    throttles = {name: Throttle(rate) for name, rate in rates.items()}
    made = Path(Limits(**limits), throttles.get)
    for item in items:
        made.add(item[0], item)
    return made


def test_a_rated_queue_is_out_of_the_way():
    """A queue that waits for its own rate lets the others take its turns; it asks for no connection."""
    made = rated("a1", "a2", "a3", "b1", "b2", rates={"a": Rate(1, 60.0)}, connections=1)
    assert establish(made, "c") == ("c", "a1")
    assert [made.next_for("c", 1, now)[1] for now in (1.0, 2.0)] == ["b1", "b2"]
    assert (made.next_for("c", 3, 3.0), made.wakes_at(3.0)) == (Then.IDLE, 60.0)
    bound = made.binding(3.0)
    assert (bound.text, bound.option, bound.until, bound.queue) == (
        "max_message_rate 1/min",
        "max_message_rate",
        60.0,
        "a",
    )
    assert made.next_step(59.0) is Then.WAIT
    assert made.next_step(60.0) == ("c", "a2")
    made.closed("c")
    assert [made.next_step(61.0), made.next_step(121.0)] == [Then.WAIT, Then.OPEN]


def test_rates_of_the_site():
    """No connection is opened, and no message taken, before its time."""
    made = rated(
        "a1",
        "a2",
        "a3",
        rates={},
        message_rate=Throttle(Rate(1, 10.0)),
        connection_rate=Throttle(Rate(1, 60.0)),
    )
    assert establish(made, "c") == ("c", "a1")
    assert (made.next_for("c", 1, 1.0), made.wakes_at(1.0)) == (Then.IDLE, 10.0)
    assert (made.binding(1.0).text, made.next_step(10.0)) == ("max_message_rate 1/10s", ("c", "a2"))
    assert (made.next_step(20.0), made.binding(20.0).text) == (Then.WAIT, "max_connection_rate 1/min")
    assert made.next_step(60.0) is Then.OPEN


@given(
    st.lists(st.sampled_from("abc"), max_size=40),
    st.dictionaries(st.sampled_from("ab"), st.integers(1, 3).map(lambda n: Rate(n, 10.0))),
    st.none() | st.integers(1, 5).map(lambda n: Throttle(Rate(n, 10.0))),
)
def test_whoever_wakes_when_told_loses_nothing(queues, rates, message_rate):
    """Asked again at the time it names, a path with rates gives out everything, each queue in its order."""
    items = [f"{queue}{number:02}" for number, queue in enumerate(queues)]
    made = rated(*items, rates=rates, message_rate=message_rate)
    taken, now = [], 0.0
    if items:
        assert made.next_step(now) is Then.OPEN
        made.opened()
    while made.waiting:
        step = made.next_for("c", 0, now)
        if isinstance(step, tuple):
            taken.append(step[1])
        else:
            until = made.wakes_at(now)
            assert until is not None
            assert until > now
            now = until
            made.closed("c")
            made.established += 1
    assert sorted(taken) == sorted(items)
    assert all([t for t in taken if t[0] == q] == [i for i in items if i[0] == q] for q in "abc")


@given(st.lists(st.sampled_from("abc"), max_size=30), st.lists(st.sampled_from("abcde"), max_size=60))
def test_the_books_are_right(queues, events):
    """Whatever happens in whatever order: limits hold, nothing is lost, nothing is assigned twice."""
    made = path(*(f"{queue}{n}" for n, queue in enumerate(queues)), connections=3, deliveries=5)
    busy: dict[int, int] = {}
    seen: Counter[str] = Counter()
    numbers = iter(range(10_000))

    def follow(connection, step):
        if isinstance(step, tuple):
            seen[step[1]] += 1
            busy[step[0]] = busy.get(step[0], 0) + 1
        elif step is Then.CLOSE:
            made.closed(connection)

    for event in events:
        while (step := made.next_step()) is not Then.WAIT:
            if step is not Then.OPEN:
                follow(step[0], step)
        if event == "a" and made.opening:
            made.opened()
            connection = next(numbers)
            follow(connection, made.next_for(connection, 0))
        elif event == "b" and made.opening:
            made.not_opened()
        elif event in "cd" and busy:
            connection, deliveries = busy.popitem()
            follow(connection, made.next_for(connection, deliveries)) if event == "c" else made.closed(
                connection
            )
        assert 0 <= made.opening + made.established <= 3
        assert len(busy) + len(list(made.idle)) == made.established
    assert sum(seen.values()) + made.waiting == len(queues)
    assert not seen or max(seen.values()) == 1
