"""Ways out: shaping, rates, egress, protocols, and a configuration that changes under way."""

import asyncio
import logging
import os
import re
import resource
from collections import Counter
from pathlib import Path

import pytest

from angarium.delivery import agents
from angarium.delivery.agents import safe_component
from angarium.delivery.outcome import Kind
from angarium.delivery.routes import Terms
from angarium.policy.config import Protocol, Source
from angarium.policy.egress import Egress, EgressSource, load_egress
from angarium.policy.hooks import Handler, Hooks, reject
from angarium.policy.queues import MAILDIR_FIELDS
from angarium.policy.shaping import Shaping, load_shaping
from angarium.policy.source import read_document
from angarium.policy.throttle import Rate
from angarium.spool.errors import SpoolError
from angarium.spool.maildir import deliver_to_maildir
from angarium.testing.network import Network
from angarium.testing.nexthop import Do, NextHop


def times_of(run, number, queue_options=None, **shaping):
    """Deliver messages that come together; returns when each was settled, in seconds from the beginning."""

    async def test(house):
        times, begun = [], house.clock.now()
        settle = house.dispatcher._services.settle
        house.dispatcher._services.settle = lambda message, outcome: (
            times.append(round(house.clock.now() - begun, 3)),
            settle(message, outcome),
        )
        async with NextHop() as hop:
            await house.deliver(house.queue(f"example.net!{hop.route}", **(queue_options or {})), number)
            return times, hop

    return run(test, shaping=shaping)


def test_message_rate_of_a_site(run):
    """The burst goes at once, then one message after the other."""
    times, _ = times_of(run, 6, max_message_rate=Rate(1, 10.0, 2))
    assert times == pytest.approx([0, 0, 10, 20, 30, 40], abs=0.1)


def test_message_rate_of_a_queue(run):
    """A queue may have a rate of its own."""
    times, _ = times_of(run, 4, {"max_message_rate": Rate(1, 60.0, 1)})
    assert times == pytest.approx([0, 60, 120, 180], abs=0.1)


def test_connection_rate(run):
    """New connections come no faster than they may; what is open is used meanwhile."""
    times, hop = times_of(
        run, 4, max_connection_rate=Rate(1, 30.0, 1), max_deliveries_per_connection=2, connection_limit=4
    )
    assert (hop.connections, times) == (2, pytest.approx([0, 0, 30, 30], abs=0.1))


def test_a_slow_queue_holds_up_no_other(run):
    """What waits for its own rate lets others of its site go first."""

    async def test(house):
        async with NextHop() as hop:
            slow = house.queue(f"slow.example!{hop.route}", max_message_rate=Rate(1, 3600.0, 1))
            fast = house.queue(f"fast.example!{hop.route}")
            waiting = house.send(slow, 3)
            begun = house.clock.now()
            house.send(fast, 20)
            await house.until(21)
            seconds = house.clock.now() - begun
            [state] = house.dispatcher.snapshot()
            done = [message.ident in house.settled for message in waiting]
            return done, seconds, state

    done, seconds, state = run(test)
    assert (done, seconds < 1, state.waiting) == ([True, False, False], True, 2)
    assert state.bound_by.startswith("max_message_rate 1/hour of queue slow.example!")
    assert state.bound_until is not None


def test_a_rate_outlives_its_site(run):
    """A site that was forgotten has not forgotten what it let through."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}")
            await house.deliver(queue)
            await house.sleep(30)
            assert house.dispatcher.snapshot() == []
            begun = house.clock.now()
            await house.deliver(queue)
            return house.clock.now() - begun

    assert run(test, shaping={"max_message_rate": Rate(1, 60.0, 1)}) == pytest.approx(30, abs=0.1)


def test_the_binding_limit_has_its_place(run):
    """An operator is told which limit holds mail up, and where it is written."""

    async def test(house):
        async with NextHop({"mail": Do.HANG}) as hop:
            house.send(house.queue(f"example.net!{hop.route}"), 3)
            await hop.until(lambda: bool(hop.commands) and len(hop.commands[0]) == 2)
            [state] = house.dispatcher.snapshot()
            return state

    state = run(test, shaping={"connection_limit": 1})
    assert (state.bound_by, state.bound_at) == ("connection_limit 1", "shaping.toml:2")


def test_new_limits_hold_for_what_waits(run):
    """A configuration that is replaced holds at once, for messages that wait already too."""

    async def test(house):
        async with NextHop() as hop:
            sent = house.send(house.queue(f"example.net!{hop.route}"), 20)
            await house.until(1)
            house.dispatcher.reconfigure(Terms(shaping=Shaping({"connection_limit": (4, Source("s", 1))})))
            await house.until(20)
            return [message.ident in house.settled for message in sent], house.clock.now()

    begun = run(test, shaping={"max_message_rate": Rate(1, 3600.0, 1)})
    assert all(begun[0])


def test_a_new_configuration_holds_up_nobody(run):
    """What waits moves in parts, and is found on its way by who looks for it."""

    async def test(house):
        async with NextHop() as hop:
            sent = house.send(house.queue(f"example.net!{hop.route}"), 1200)
            await house.until(1)
            house.dispatcher.reconfigure(Terms())
            found = set(house.dispatcher.messages())
            taken = house.dispatcher.withdraw(lambda message: message is sent[-1])
            await house.until(1199)
            return len(found), taken == sent[-1:], hop.taken

    found, was_taken, taken = run(test, shaping={"max_message_rate": Rate(1, 3600.0, 1)})
    assert (found, was_taken, len(taken)) == (1199, True, 1199)


def test_a_route_of_yesterday_leads_nobody(run):
    """What waited for a route when the configuration changed goes by the new one."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}")
            house.send(queue)
            shaping = Shaping({"ehlo_domain": ("new.example", Source("s", 1))})
            house.dispatcher.reconfigure(Terms(shaping=shaping))
            await house.until(1)
            return hop.commands[0][0]

    assert run(test, shaping={"ehlo_domain": "old.example"}) == "EHLO new.example"


def test_domains_with_an_entry_stand_alone(run):
    """A domain that has an entry in a shaping file shares no connection with others of its site."""
    zone = {name: {"MX": ["10 mx.example."]} for name in ("own.example", "other.example")}
    zone["mx.example"] = {"A": ["127.0.0.1"]}
    table = Shaping(domains={"own.example": {"connection_limit": (1, Source("s", 1))}})

    async def test(house):
        async with NextHop() as hop:
            config = {"smtp_port": hop.port, "prohibited_hosts": ()}
            outcomes = [
                (await house.deliver(house.queue(name, **config)))[0]
                for name in ("own.example", "other.example")
            ]
            return [outcome.site.replace(str(hop.port), "P") for outcome in outcomes], hop.connections

    sites, connections = run(test, zone=zone, terms={"shaping": table})
    assert (sites, connections) == (["mx.example:P;domain=own.example", "mx.example:P"], 2)


# Egress


def egress(*sources, **pools):
    """Sources by their names and addresses, and pools of them."""
    made = {name: EgressSource(name=name, source_address=address) for name, address in sources}
    return {"egress": Egress(made, pools)}


def test_sources_take_weighted_turns(run):
    """Each source of a pool has its share, evenly spread; records say which one it was."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}", egress_pool="p")
            return await house.deliver(queue, 8)

    terms = egress(("a", "127.0.0.2"), ("b", "127.0.0.3"), p={"a": 3, "b": 1})
    outcomes = run(test, terms=terms)
    names = [outcome.passage.egress_source for outcome in outcomes]
    assert names == ["a", "a", "b", "a"] * 2
    addresses = {(o.passage.egress_source, o.passage.source_address.partition(":")[0]) for o in outcomes}
    assert addresses == {("a", "127.0.0.2"), ("b", "127.0.0.3")}
    assert {outcome.passage.egress_pool for outcome in outcomes} == {"p"}
    assert outcomes[0].site.startswith("a->[127.0.0.1]")


def test_a_source_that_is_not_here_is_skipped(run, caplog):
    """An address that the machine lacks is reported once and never used; it is looked at again later."""
    there = {"127.0.0.3"}

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}", egress_pool="p")
            first = await house.deliver(queue, 4)
            there.add("127.0.0.2")
            await house.sleep(61)
            return first + await house.deliver(queue, 4)

    terms = egress(("a", "127.0.0.2"), ("b", "127.0.0.3"), p={"a": 1, "b": 1})
    with caplog.at_level(logging.WARNING):
        outcomes = run(test, terms=terms, is_local=there.__contains__)
    names = Counter(outcome.passage.egress_source for outcome in outcomes)
    assert names == {"a": 2, "b": 6}
    assert [record.getMessage() for record in caplog.records] == [
        "-: egress source a is skipped: 127.0.0.2 is no address of this machine"
    ]


@pytest.mark.parametrize(
    ("pool", "why"),
    [("p", "No address of the egress pool is on this machine"), ("q", "There is no egress pool q")],
)
def test_mail_never_leaves_by_another_address(run, pool, why):
    """Where a pool has nothing to offer, its mail waits."""

    async def test(house):
        async with NextHop() as hop:
            return await house.deliver(house.queue(f"example.net!{hop.route}", egress_pool=pool)), hop

    [outcome], hop = run(test, terms=egress(("a", "127.0.0.2"), p={"a": 1}), is_local=lambda _: False)
    assert (outcome.kind, hop.connections) == (Kind.TRANSIENT, 0)
    assert why in str(outcome.reply)


def test_a_source_has_a_name_and_a_port(run):
    """What a source says goes before the route: its EHLO name, and the port to connect to."""

    async def test(house):
        async with NextHop() as hop:
            sources = {"a": EgressSource(name="a", ehlo_domain="a.example", remote_port=hop.port)}
            house.dispatcher.reconfigure(Terms(egress=Egress(sources, {"p": {"a": 1}})))
            await house.deliver(house.queue("example.net![127.0.0.1]:1", egress_pool="p"))
            return hop.commands[0][0]

    assert run(test) == "EHLO a.example"


def test_a_source_reaches_its_own_family(run):
    """From an IPv6 address no IPv4 host is tried."""

    async def test(house):
        return await house.deliver(house.queue("example.net![127.0.0.1]:1", egress_pool="p"))

    [outcome] = run(test, terms=egress(("six", "::1"), p={"six": 1}))
    assert "Egress source six is IPv6" in str(outcome.reply)


@pytest.mark.parametrize("weights", [{"six": 1, "four": 1}, {"six": 9, "four": 1}, {"four": 1, "six": 9}])
def test_a_source_of_another_family_is_skipped(run, weights):
    """Where the pool has a source that fits, no message is told of one that does not, nor tried by it."""
    terms = egress(("six", "::1"), ("four", "127.0.0.2"), p=weights)

    async def test(house):
        async with NextHop() as hop:
            first, second = (house.queue(f"{name}.example!{hop.route}", egress_pool="p") for name in "ab")
            return [*await house.deliver(first, 6), *await house.deliver(second, 6)]

    outcomes = run(test, terms=terms, is_local=lambda _: True)
    assert {(outcome.kind, outcome.passage.egress_source) for outcome in outcomes} == {
        (Kind.DELIVERED, "four")
    }


BOTH = {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}
SIX_AND_FOUR = egress(("six", "2001:db8::9"), ("four", "192.0.2.9"), p={"six": 1, "four": 1})


def families(run, test, zone):
    """Which sources took the mail of `test(house)`, with a pool of both families and hosts of a zone."""
    simulated = {
        "setup": {"connect": Network().connect},
        "is_local": ["192.0.2.9", "2001:db8::9"].__contains__,
    }
    outcomes = run(test, terms=SIX_AND_FOUR, zone=zone, **simulated)
    assert {outcome.kind for outcome in outcomes} == {Kind.DELIVERED}
    return Counter(outcome.passage.egress_source for outcome in outcomes)


def test_a_source_that_does_not_fit_loses_no_turn(run):
    """Over all mail each source has its share, also beside domains that one of them cannot reach."""
    zone = {f"{number}.example": {"A": ["192.0.2.1"]} for number in range(4)} | {"both.example": BOTH}

    async def test(house):
        for number in range(4):
            for name in (f"{number}.example", "both.example"):
                await house.deliver(house.queue(name, egress_pool="p"))
        return house.outcomes

    assert families(run, test, zone) == {"six": 4, "four": 4}


def test_a_source_fits_again_when_the_hosts_have_its_family(run):
    """That a source does not fit is found out anew, as every route is."""
    zone = {"some.example": {"A": ["192.0.2.1"]}}

    async def test(house):
        queue = house.queue("some.example", egress_pool="p")
        await house.deliver(queue)
        zone["some.example"] = BOTH
        await house.sleep(61)
        await house.deliver(queue)
        await house.clock.idle()
        return await house.deliver(queue, 4)

    assert families(run, test, zone) == {"six": 2, "four": 2}


def test_records_name_the_pool_of_the_queue(run):
    """Pools that have a source in common share its connections, and each has its own name in records."""
    terms = egress(("a", "127.0.0.2"), one={"a": 1}, two={"a": 2})

    async def test(house):
        async with NextHop() as hop:
            queues = [house.queue(f"{pool}.example!{hop.route}", egress_pool=pool) for pool in ("one", "two")]
            outcomes = [(await house.deliver(queue))[0] for queue in queues * 2]
            return outcomes, hop.connections

    outcomes, connections = run(test, terms=terms)
    pools = [outcome.passage.egress_pool for outcome in outcomes]
    assert (pools, connections) == (["one", "two"] * 2, 1)


# Protocols


def test_mx_list(run):
    """Hosts of a list are tried in its order, and one that leads nowhere spoils nothing."""
    zone = {"gone.example": {}, "mx.example": {"A": ["127.0.0.1"]}}

    async def test(house):
        async with NextHop() as hop:
            mx_list = ("gone.example", f"mx.example:{hop.port}")
            queue = house.queue("example.net", protocol=Protocol(mx_list=mx_list), prohibited_hosts=())
            [outcome] = await house.deliver(queue)
            return outcome, mx_list

    outcome, mx_list = run(test, zone=zone)
    assert (outcome.kind, outcome.peer.name) == (Kind.DELIVERED, "mx.example")
    assert outcome.site == f"mx_list:{','.join(mx_list)}"


def lmtp(run, *scripts):
    async def test(house):
        async with NextHop(*scripts) as hop:
            queue = house.queue(f"example.net!{hop.route}", protocol=Protocol(kind="lmtp"))
            return await house.deliver(queue, 2), hop

    return run(test, shaping={"connection_limit": 1})


def test_lmtp(run):
    """LMTP begins with LHLO, and each recipient has a reply of its own."""
    outcomes, hop = lmtp(run, {"content": ["250 2.1.5 Fine", "552 5.2.2 Full"]})
    assert [outcome.kind for outcome in outcomes] == [Kind.DELIVERED, Kind.PERMANENT]
    assert hop.commands[0][0] == "LHLO we.example"
    assert {outcome.passage.protocol for outcome in outcomes} == {"LMTP"}
    assert outcomes[0].site == f"{hop.route}@lmtp"


def test_lmtp_knows_no_helo(run):
    """A server that refuses LHLO speaks no LMTP: nothing bounces."""
    outcomes, hop = lmtp(run, {"lhlo": "500 5.5.1 What"})
    assert {outcome.kind for outcome in outcomes} == {Kind.TRANSIENT}
    assert hop.commands == [["LHLO we.example"]]


def maildir(run, path, number=1, **message):
    async def test(house):
        queue = house.queue("example.net", protocol=Protocol(kind="maildir", maildir_path=path))
        return await house.deliver(queue, number, **message)

    return run(test)


def test_maildir(run, tmp_path):
    """Each message is one file, with the modes that were asked for, and says who sent it."""
    outcomes = maildir(run, f"{tmp_path}/{{domain_part}}/{{local_part}}", 3)
    assert {(outcome.kind, outcome.passage.protocol, outcome.reply.code) for outcome in outcomes} == {
        (Kind.DELIVERED, "Maildir", 200)
    }
    files = sorted((tmp_path / "example.net" / "b" / "new").iterdir())
    assert (len(files), list((tmp_path / "example.net" / "b" / "tmp").iterdir())) == (3, [])
    assert files[0].read_bytes() == b"Return-Path: <a@example.com>\nSubject: test\n\nhello\n"
    assert (files[0].stat().st_mode & 0o777, files[0].parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_modes_of_a_maildir_are_those_that_were_asked_for(run, tmp_path):
    """Whatever the server's umask, and with the group that the folder above hands on."""
    tmp_path.chmod(0o2700)
    options = Protocol(kind="maildir", maildir_path=f"{tmp_path}/a/b", dir_mode=0o770, file_mode=0o640)
    before = os.umask(0o077)
    try:
        [outcome] = run(lambda house: house.deliver(house.queue("example.net", protocol=options)))
    finally:
        os.umask(before)
    assert outcome.kind is Kind.DELIVERED
    modes = {path.name: oct(path.stat().st_mode & 0o7777) for path in (tmp_path / "a").rglob("*")}
    [file] = (tmp_path / "a" / "b" / "new").iterdir()
    assert modes.pop(file.name) == "0o640"
    assert modes == dict.fromkeys(["b", "tmp", "new", "cur"], "0o2770")


def test_a_draft_that_cannot_be_finished_is_removed(tmp_path):
    """A disk without room keeps nothing of what it could not take, however often it is tried."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
    try:
        with pytest.raises(SpoolError, match="File too large"):
            deliver_to_maildir(f"{tmp_path}/m", "1.a.b", [b"x" * 10_000], 0o700, 0o600)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list((tmp_path / "m" / "tmp").iterdir()) == list((tmp_path / "m" / "new").iterdir()) == []


@pytest.mark.parametrize(
    "local", ["../../up", '".."', '"."', "/etc/passwd", ".hidden", '"a b"', '"\\\\"', "x%2Fy"]
)
def test_a_recipient_stays_in_its_folder(run, tmp_path, local):
    """Whatever a stranger writes before the @, mail lands one folder below."""
    recipient = f'"{local}"@example.net' if "/" in local or local.startswith(".") else f"{local}@example.net"
    [outcome] = maildir(run, f"{tmp_path}/mail/{{local_part}}", recipient=recipient)
    assert outcome.kind is Kind.DELIVERED
    [folder] = (tmp_path / "mail").iterdir()
    assert len(list((folder / "new").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]


def test_one_address_has_one_maildir(run, tmp_path):
    """Quotes around a local part that needs none make no other address (RFC 5321 section 4.1.2)."""
    for recipient in ("bob@example.net", '"bob"@example.net', '"b\\ob"@example.net'):
        maildir(run, f"{tmp_path}/{{local_part}}/{{email}}", recipient=recipient)
    assert [path.name for path in tmp_path.iterdir()] == ["bob"]
    assert [path.name for path in (tmp_path / "bob").iterdir()] == ["bob@example.net"]


def test_components():
    """Different texts stay different; what is too long is refused."""
    texts = ["", ".", "..", "%", "a/b", "a%2Fb", "a", "A", "ä", "\0", "." * 3]
    components = [safe_component(text) for text in texts]
    assert len(set(components)) == len(texts)
    assert not any("/" in text or "\0" in text or text.startswith(".") or not text for text in components)
    with pytest.raises(SpoolError):
        safe_component("x" * 300)


def test_a_message_is_in_a_maildir_once(run, tmp_path):
    """An attempt that is repeated, since nobody knew how the first one ended, makes no second copy."""
    folder = tmp_path / "m"

    async def test(house):
        message = house.message(
            house.queue("example.net", protocol=Protocol(kind="maildir", maildir_path=str(folder)))
        )
        for number in range(3):
            if number == 2:
                [file] = (folder / "new").iterdir()
                file.rename(folder / "cur" / f"{file.name}:2,S")
            house.settled.clear()
            house.dispatcher.dispatch(message)
            await house.until(number + 1)
        return house.outcomes

    assert [outcome.kind for outcome in run(test)] == [Kind.DELIVERED] * 3
    assert (len(list((folder / "cur").iterdir())), list((folder / "new").iterdir())) == (1, [])


def test_a_maildir_that_cannot_be_written(run, tmp_path):
    """A disk that fails costs an attempt."""
    (tmp_path / "m").write_text("a file")
    [outcome] = maildir(run, str(tmp_path / "m"))
    assert (outcome.kind, outcome.reply.code) == (Kind.TRANSIENT, 451)


def handled(run, function):
    """Deliver to a handler of the operator's."""
    hooks = Hooks(
        {}
        if function is None
        else {"deliver": Handler("deliver", function, Source("p.py", 1), in_thread=False)}
    )

    async def test(house):
        return await house.deliver(house.queue("example.net", protocol=Protocol(kind="handler")))

    [outcome] = run(test, terms={"hooks": hooks})
    return outcome.kind, str(outcome.reply)


async def _file(message):
    assert (str(message.sender), [str(r) for r in message.recipients]) == ("a@example.com", ["b@example.net"])
    assert message.body == b"hello\r\n"
    return "filed as 7"


def _raise(_):
    raise RuntimeError("disk on fire")


@pytest.mark.parametrize(
    ("function", "kind", "answer"),
    [
        (_file, Kind.DELIVERED, "200 2.0.0 filed as 7"),
        (lambda _: None, Kind.DELIVERED, "200 2.0.0 delivered"),
        (lambda _: reject(450, "4.2.1 Later"), Kind.TRANSIENT, "450 4.2.1 Later"),
        (lambda _: reject(550, "5.1.1 Nobody"), Kind.PERMANENT, "550 5.1.1 Nobody"),
        (_raise, Kind.TRANSIENT, "451 4.3.0 Local policy failed; try again later"),
        (None, Kind.TRANSIENT, "451 4.3.5 The policy has no handler `deliver`"),
    ],
)
def test_a_handler(run, function, kind, answer):
    """What the handler answers is the message's fate; what it raises costs an attempt."""
    assert handled(run, function) == (kind, answer)


async def _hang(_):
    await asyncio.get_running_loop().create_future()


HANGING = Hooks({"deliver": Handler("deliver", _hang, Source("p.py", 1), in_thread=False)}, timeout=1e6)


@pytest.mark.parametrize("kind", ["handler", "lmtp", "maildir"])
@pytest.mark.parametrize("ends", [False, True], ids=["its time", "the server"])
def test_an_agent_that_hangs(run, tmp_path, monkeypatch, kind, ends):
    """It has a message for a bounded time, or until the server ends; then nobody knows whether it took it."""
    monkeypatch.setattr(agents.asyncio, "to_thread", lambda *_: _hang(None))

    async def test(house):
        async with NextHop(*[{"content": Do.HANG}] * 2) as hop:
            options = Protocol(kind=kind, maildir_path=str(tmp_path / "m") if kind == "maildir" else None)
            queue = house.queue(f"example.net!{hop.route}", protocol=options)
            house.send(queue)
            if ends:
                await house.clock.idle()
                assert not await house.dispatcher.drain(5.0)
            await house.until(1)
            return house.outcomes, list(house.dispatcher.messages()), house.clock.elapsed

    [outcome], left, elapsed = run(
        test, shaping={"command_timeout": 30.0, "connection_limit": 1}, terms={"hooks": HANGING}
    )
    assert (outcome.kind, outcome.is_unknown, left) == (Kind.TRANSIENT, True, [])
    assert str(outcome.reply).endswith("and the next hop may have the message")
    assert elapsed == pytest.approx(5.0 if ends else 30.0, abs=0.5)


PAGE = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text()


def test_the_page_names_every_field():
    """The page on delivery has every field of a maildir's template."""
    assert set(MAILDIR_FIELDS) <= set(re.findall("`([a-z_]+)`", PAGE))


@pytest.mark.parametrize("example", re.findall("```toml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_of_the_page_load(tmp_path, example):
    """Each file on the page can be used as it is."""
    path = tmp_path / "example.toml"
    path.write_text(example)
    load = load_egress if "[source" in example else load_shaping
    assert load([read_document(path)])[1] == []
