"""delivery.dispatcher and delivery.site: who goes where, and what becomes of those who wait."""

import asyncio

import pytest

from angarium.delivery.outcome import (
    LOOP,
    NO_ROUTE,
    NULL_MX,
    PROHIBITED,
    SURPRISE,
    Blame,
    Kind,
    Stage,
    cut_reply,
)
from angarium.delivery.resolve import Own
from angarium.spool.errors import SpoolError
from angarium.testing.nexthop import Do, NextHop
from tests.delivery.delivery_house import both

ZONE = {
    "one.example": {"MX": ["10 mx.example."]},
    "two.example": {"MX": ["20 mx.example."]},
    "mx.example": {"A": ["127.0.0.1"]},
    "null.example": {"MX": ["0 ."]},
    "local.example": {"A": ["127.0.0.1"]},
    "example.net": {"MX": ["10 first.example.", "20 second.example."]},
    "first.example": {"A": ["127.0.0.1"]},
    "second.example": {"A": ["127.0.0.2"]},
}


@pytest.mark.parametrize(
    ("queue", "kind", "answer"),
    [
        ("null.example", Kind.PERMANENT, NULL_MX),
        ("nowhere.example", Kind.TRANSIENT, NO_ROUTE),
        ("local.example", Kind.PERMANENT, PROHIBITED),
        ("[127.0.0.1]", Kind.PERMANENT, PROHIBITED),
        ("x.example![127.0.0.1]:2525", Kind.PERMANENT, LOOP),
    ],
)
def test_no_way_to_go(run, queue, kind, answer):
    """Where there is no route the outcome is local, with the reply that says why."""

    async def test(house):
        [outcome] = await house.deliver(house.queue(queue))
        return outcome.kind, outcome.reply, outcome.stage, outcome.is_local

    own = Own(listeners=(("0.0.0.0", 2525),))
    assert run(test, zone=ZONE, terms={"own": own}) == (kind, answer, Stage.ROUTE, True)


def test_a_route_that_cannot_be_read_waits_for_the_operator(run):
    """A routing domain that is none bounces nothing."""

    async def test(house):
        [outcome] = await house.deliver(house.queue("example.net!1.2.3.4"))
        return outcome.kind, str(outcome.reply.enhanced)

    assert run(test) == (Kind.TRANSIENT, "4.3.5")


def test_one_connection_for_many_messages(run):
    """Messages that come one after the other share a connection; each is settled once."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}", connection_limit=1)
            outcomes = await house.deliver(queue, 50)
            sessions = {outcome.session_id for outcome in outcomes}
            return hop.connections, len(hop.taken), len(sessions)

    assert run(test) == (1, 50, 1)


def test_deliveries_per_connection(run):
    """After so many messages a connection ends, and another one goes on."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(
                f"example.net!{hop.route}", connection_limit=1, max_deliveries_per_connection=4
            )
            await house.deliver(queue, 10)
            return hop.connections, [taken.connection for taken in hop.taken]

    assert run(test) == (3, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2])


def test_the_connection_limit(run):
    """However much waits, a site has no more connections than its queue allows."""

    async def test(house):
        async with NextHop() as hop:
            await house.deliver(house.queue(f"example.net!{hop.route}", connection_limit=3), 60)
            return hop.most_open, len(hop.taken)

    assert run(test) == (3, 60)


def test_domains_of_one_site_share_its_connections(run):
    """Domains with the same MX hosts are one site: one limit, and each other's connections."""

    async def test(house):
        async with NextHop() as hop:
            config = {"smtp_port": hop.port, "prohibited_hosts": (), "connection_limit": 1}
            queues = [house.queue(name, **config) for name in ("one.example", "two.example")]
            for queue in queues:
                house.send(queue, 5)
            outcomes = await house.until(10)
            return hop.connections, {outcome.site for outcome in outcomes}, hop.port

    connections, sites, port = run(test, zone=ZONE)
    assert (connections, sites) == (1, {f"mx.example:{port};connection_limit=1"})


def test_queues_take_turns(run):
    """A queue with much mail does not starve one with little at the same site."""

    async def test(house):
        async with NextHop() as hop:
            big = house.queue(f"big.example!{hop.route}", connection_limit=1)
            small = house.queue(f"small.example!{hop.route}", connection_limit=1)
            house.send(big, 30, recipient="x@big.example")
            house.send(small, 2, recipient="x@small.example")
            await house.until(32)
            return [taken.recipients[0] for taken in hop.taken].index("x@small.example")

    assert run(test) <= 2


def test_a_dead_site_delays_nobody_else(run):
    """While one site hangs, mail to others goes as if it were not there."""

    async def test(house):
        async with NextHop({"banner": Do.HANG}) as dead, NextHop() as alive:
            house.send(house.queue(f"dead.example!{dead.route}"), 100)
            await dead.until(lambda: dead.connections == 1)
            outcomes = await house.deliver(house.queue(f"alive.example!{alive.route}"), 20)
            delivered = [outcome.kind for outcome in outcomes].count(Kind.DELIVERED)
            return delivered, len(house.outcomes), dead.connections

    assert run(test) == (20, 20, 1)


def test_a_slow_name_server_delays_nobody_else(run):
    """While one domain is looked up, others are delivered to."""

    class Slow:
        async def mx(self, name):
            await asyncio.Event().wait()

        addresses = mx

    async def test(house):
        async with NextHop() as hop:
            house.send(house.queue("slow.example"), 100)
            outcomes = await house.deliver(house.queue(f"fast.example!{hop.route}"), 3)
            return [outcome.kind for outcome in outcomes]

    assert run(test, resolver=Slow()) == [Kind.DELIVERED] * 3


def test_a_site_that_fails_is_left_alone(run):
    """All that waits is told once, and by which host; what comes meanwhile is not tried, and told until when;
    the trouble has its time, and is forgotten when the site works again.
    """

    async def test(house):
        async with NextHop({"banner": "421 4.3.2 Full"}) as hop:
            queue = house.queue(f"example.net!{hop.route}")
            waited = await house.deliver(queue, 250)
            now = house.clock.now()
            [later] = await house.deliver(queue)
            assert {(o.kind, o.blame, o.was_attempted, o.reply.code) for o in waited} == {
                (Kind.TRANSIENT, Blame.SITE, True, 421)
            }
            assert (later.was_attempted, later.reply.code) == (False, 421)
            assert 0 < later.retry_after - now <= 30
            assert hop.connections == 1
            assert {o.peer.address for o in (*waited, later)} == {"127.0.0.1"}
            [site] = house.dispatcher.snapshot()
            assert "421 4.3.2 Full" in site.last_trouble
            assert site.last_trouble_at <= now
            await house.sleep(later.retry_after - now)
            [again] = await house.deliver(queue)
            [site] = house.dispatcher.snapshot()
            assert (site.last_trouble, site.last_trouble_at) == ("", None)
            return again.kind, hop.connections

    assert run(test) == (Kind.DELIVERED, 2)


def test_back_off_doubles_within_the_retry_interval(run):
    """A site that keeps failing is left alone for longer, but no longer than its messages wait anyway."""

    async def failures(house, **config):
        """The back-off after each of nine failures."""
        queue = house.queue("example.net![127.0.0.1]:1", **config)
        delays = []
        for _ in range(9):
            await house.deliver(queue)
            [deferred] = await house.deliver(queue)
            delays.append(deferred.retry_after - house.clock.now())
            await house.sleep(delays[-1])
        return [round(delay, 1) for delay in delays]

    expected = [30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1080.0, 1080.0, 1080.0]
    assert run(failures) == expected
    assert run(lambda house: failures(house, retry_interval=5.0)) == [4.5] * 9
    assert run(lambda house: failures(house, max_retry_interval=100.0)) == [30.0, 60.0] + [90.0] * 7


def test_no_queue_waits_for_anothers_patience(run):
    """Queues share a site: it is left alone for no longer than the most impatient of them waits."""

    async def test(house):
        calm = house.queue("example.net![127.0.0.1]:1")
        hasty = house.queue("example.org![127.0.0.1]:1", retry_interval=5.0, max_retry_interval=10.0)
        for _ in range(4):
            await house.deliver(calm)
            [left] = await house.deliver(calm)
            await house.sleep(left.retry_after - house.clock.now())
        await house.deliver(calm)
        [hurried] = await house.deliver(hasty)
        [calmed] = await house.deliver(calm)
        return [round(each.retry_after - house.clock.now(), 1) for each in (hurried, calmed)]

    assert run(test) == [4.5, 4.5]


def test_a_back_off_that_is_over_by_the_clock_is_over(run):
    """A message that comes when the clock says so is tried, though the loop has not come to the timer yet."""

    async def test(house):
        queue = house.queue("example.net![127.0.0.1]:1")
        await house.deliver(queue)
        house.clock._start += 3600.0
        [outcome] = await house.deliver(queue)
        return outcome.was_attempted

    assert run(test)


def test_a_site_that_breaks_every_connection_fails(run):
    """Connections that break one after the other end in a back-off, not in one attempt after the other."""

    async def test(house):
        async with NextHop(*[{"rcpt": Do.CLOSE}] * 10) as hop:
            outcomes = await house.deliver(house.queue(f"example.net!{hop.route}", connection_limit=1), 20)
            return hop.connections, {outcome.blame for outcome in outcomes}

    assert run(test) == (3, {Blame.CONNECTION, Blame.SITE})


def test_a_site_that_takes_no_more_connections(run):
    """A connection refused beside one that works costs no message an attempt."""

    async def test(house):
        full = {"banner": "421 4.7.0 Too many connections"}
        async with NextHop({}, *[full] * 10) as hop:
            outcomes = await house.deliver(house.queue(f"example.net!{hop.route}"), 40)
            return {outcome.kind for outcome in outcomes}, len(hop.taken), hop.connections <= 3

    assert run(test) == ({Kind.DELIVERED}, 40, True)


def test_all_connections_together_are_limited(run):
    """Sites beyond the limit wait for their turn, and get it."""

    async def test(house):
        async with NextHop() as one, NextHop() as two, NextHop() as three:
            hops = (one, two, three)
            for hop in hops:
                house.send(house.queue(f"example.net!{hop.route}"), 4)
            outcomes = await house.until(12)
            return {outcome.kind for outcome in outcomes}, [len(hop.taken) for hop in hops]

    assert run(test, max_connections=1) == ({Kind.DELIVERED}, [4, 4, 4])


def test_hosts_that_failed_are_tried_last(run):
    """A host in trouble is passed over for a minute, then it is the first again."""

    async def test(house):
        script = {"banner": "421 4.3.2 Full"}
        async with both(NextHop(script), NextHop(host="127.0.0.2")) as (first, _):
            queue = house.queue(
                "example.net", smtp_port=first.port, prohibited_hosts=(), max_deliveries_per_connection=1
            )
            names = []
            for pause in (1, 30, 60):
                [outcome] = await house.deliver(queue)
                names.append(outcome.peer.name)
                await house.sleep(pause)
            [outcome] = await house.deliver(queue)
            return [*names, outcome.peer.name], first.connections

    names, connections = run(test, zone=ZONE)
    assert (names, connections) == (["second.example"] * 3 + ["first.example"], 2)


def test_a_message_that_expired_while_it_waited(run):
    """What waited here beyond its time is told so and not sent, and the connection goes on with the next."""

    async def test(house):
        async with NextHop({"content": [Do.ACCEPT, Do.HANG]}) as hop:
            queue = house.queue(f"example.net!{hop.route}", connection_limit=1, max_age=100.0)
            old = [house.message(queue) for _ in range(2)]
            await house.sleep(200)
            [young] = await house.deliver(queue)
            for message in old:
                house.dispatcher.dispatch(message)
            await house.until(3)
            [also_young] = await house.deliver(queue, recipient="c@example.net")
            outcomes = [house.settled[message.ident] for message in old]
            kinds = {(o.kind, o.was_attempted, str(o.reply.enhanced)) for o in outcomes}
            return young.kind, kinds, also_young.is_unknown, len(hop.taken), hop.connections

    assert run(test) == (Kind.DELIVERED, {(Kind.TRANSIENT, False, "4.4.7")}, True, 1, 1)


class Broken:
    """A message that the spool cannot read, or whose envelope is an error of ours."""

    def __init__(self, message, error):
        self._message = message
        self._error = error

    def __getattr__(self, name):
        return getattr(self._message, name)

    @property
    def content(self):
        raise self._error


@pytest.mark.parametrize(("error", "code"), [(SpoolError("no"), "4.3.0"), (RuntimeError("oops"), "4.3.0")])
def test_a_message_that_cannot_be_read(run, error, code, caplog):
    """It is transient, and the messages beside it are delivered; only a surprise leaves a traceback."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}", connection_limit=1)
            broken = Broken(house.message(queue), error)
            house.dispatcher.dispatch(broken)
            house.send(queue, 3)
            await house.until(4)
            house.dispatcher.dispatch(Broken(house.message(queue), error))
            await house.until(5)
            outcome = house.settled[broken.ident]
            return outcome.kind, str(outcome.reply.enhanced), len(hop.taken), outcome.reply == SURPRISE

    surprise = isinstance(error, RuntimeError)
    assert run(test) == (Kind.TRANSIENT, code, 3, surprise)
    assert bool(caplog.records) == surprise


def test_drain_finishes_what_is_in_flight(run):
    """While stopping, a transaction under way ends, what waits stays, and nothing is taken."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}", connection_limit=1)
            house.send(queue, 20)
            await hop.until(lambda: "DATA" in hop.commands[0] if hop.commands else False)
            finished = await house.dispatcher.drain(30)
            settled = len(house.outcomes)
            house.send(queue)
            await hop.until(lambda: hop.open == 0)
            return finished, settled == len(hop.taken), settled < 20, len(house.outcomes) == settled

    assert run(test) == (True, True, True, True)


def test_drain_cuts_off_what_hangs(run):
    """What does not finish in time is cut off: an attempt, after which the message may have arrived."""

    async def test(house):
        async with NextHop({"content": Do.HANG}) as hop:
            house.send(house.queue(f"example.net!{hop.route}"))
            await hop.until(lambda: bool(hop.commands) and "DATA" in hop.commands[0])
            before = house.clock.elapsed
            finished = await house.dispatcher.drain(10)
            [cut] = house.outcomes
            assert (cut.kind, cut.stage, cut.is_unknown) == (Kind.TRANSIENT, Stage.CONTENT, True)
            assert (cut.was_attempted, cut.is_local, cut.reply) == (True, True, cut_reply(Stage.CONTENT))
            return finished, round(house.clock.elapsed - before)

    assert run(test) == (False, 10)


def test_routes_are_renewed(run):
    """A route is looked up again after a while; meanwhile the old one serves."""

    async def test(house):
        async with both(NextHop(), NextHop(host="127.0.0.2")) as (first, second):
            config = {"smtp_port": first.port, "prohibited_hosts": (), "max_deliveries_per_connection": 1}
            queue = house.queue("example.net", **config)
            await house.deliver(queue)
            zone["example.net"] = {"A": ["127.0.0.2"]}
            await house.deliver(queue)
            await house.sleep(31)
            await house.deliver(queue)
            await house.deliver(queue)
            return len(first.taken), len(second.taken)

    zone = {"example.net": {"A": ["127.0.0.1"]}}
    assert run(test, zone=zone) == (3, 1)


def test_the_snapshot(run):
    """An operator sees each site, what waits there and why, and what its sessions do."""

    async def test(house):
        async with NextHop({"mail": Do.HANG}) as hop:
            house.send(house.queue(f"example.net!{hop.route}", connection_limit=1), 5)
            await hop.until(lambda: bool(hop.commands) and len(hop.commands[0]) == 2)
            [state] = house.dispatcher.snapshot()
            return state, hop

    state, hop = run(test)
    assert (state.site, state.hosts) == (f"{hop.route};connection_limit=1", (f"[127.0.0.1]:{hop.port}",))
    assert (state.waiting, state.connections, state.idle, state.opening) == (4, 1, 0, 0)
    assert (state.bound_by, state.quiet_until) == ("connection_limit 1", None)
    assert state.sessions[0][1] == f"MAIL [127.0.0.1]/127.0.0.1:{hop.port}"


def test_sites_without_work_are_forgotten(run):
    """Nothing is left of a site once its connections have ended; of one that failed, after a while."""

    async def test(house):
        async with NextHop() as hop:
            await house.deliver(house.queue(f"example.net!{hop.route}"))
            await house.deliver(house.queue("example.net![127.0.0.1]:1"))
            counts = []
            for pause in (0, 10, 3600):
                await house.sleep(pause)
                counts.append(len(house.dispatcher.snapshot()))
            return counts

    assert run(test) == [2, 1, 0]
