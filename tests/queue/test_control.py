"""What an operator does to the queue while the server runs (issue 6, demand 9)."""

import asyncio
import re
from time import gmtime, strftime

import pytest

from angarium.admin.control import RequestError
from angarium.admin.queue import QueueOffice
from angarium.testing.nexthop import Do

SENDER = "a@customer.example"
SLOW = "[queue.default]\nrouting_domain = '$hop'\nretry_interval = '1h'\n"
LATER = {"mail": ["451 4.3.0 Later"]}
TWICE = {"mail": ["451 4.3.0 Later"] * 2}


class Operator:
    """Asks as the control socket does."""

    def __init__(self, house):
        self._house = house

    async def __call__(self, action, **arguments):
        office = QueueOffice(self._house.shard, self._house.now or __import__("time").time)
        return await office.answer({"action": action, "author": "ann", **arguments})

    async def ids(self, **selector):
        return [row["id"] for row in await self("list", selector=selector)]


async def waiting(house, *recipients):
    """An operator, and one message for each recipient that has failed once and waits for its retry."""
    client = await house.connect()
    before = len(house.records("TransientFailure"))
    for number, recipient in enumerate(recipients, 1):
        await client.send(SENDER, recipient)
        await house.wait_for("TransientFailure", before + number)
    return Operator(house)


def test_list_and_show(serve):
    """`list` names queues and counts; `show` says what a message is, why it waits, and what was said last."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@one.example")
        overview = await ask("list")
        assert overview["messages"] == 2
        [queue] = overview["queues"]
        assert (queue["queue"], queue["messages"], queue["waiting"]) == ("one.example", 2, 2)
        assert "451 4.3.0 Later" in queue["last"]
        [first, _] = await ask("list", selector={"domain": "one.example"})
        shown = await ask("show", what=first["id"])
        assert (shown["sender"], shown["recipient"]) == (SENDER, "b@one.example")
        assert shown["attempts"] == 1
        assert shown["why"] == "its next attempt"
        assert 3000 < shown["due"] - shown["created"] < 4000
        assert shown["last_reply"] == "451 4.3.0 Later"
        of_queue = await ask("show", what="one.example")
        assert of_queue["rows"][0]["id"] == first["id"]
        assert of_queue["options"]["retry_interval"]["value"] == "1h", "as it is written"
        with pytest.raises(RequestError, match="no message, queue or site 'nobody'"):
            await ask("show", what="nobody")

    serve(test, hop=[TWICE], queues=SLOW)


def test_find(serve):
    """Messages are found by recipient, sender, Message-ID and header."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@two.example")
        for arguments, number in (
            ({"selector": {"recipient": "B@one.example"}}, 1),
            ({"selector": {"recipient": "@two.example"}}, 1),
            ({"selector": {"sender": SENDER}}, 2),
            ({"selector": {"sender": "<>"}}, 0),
            ({"message_id": "1@customer.example"}, 2),
            ({"message_id": "<1@customer.example>", "selector": {"domain": "one.example"}}, 1),
            ({"header": "Subject: HELL"}, 2),
            ({"header": "Subject: goodbye"}, 0),
        ):
            assert len(await ask("find", **arguments)) == number, arguments
        with pytest.raises(RequestError, match="find whom"):
            await ask("find")

    serve(test, hop=[TWICE], queues=SLOW)


def test_selectors(serve):
    """Domain, wildcard, queue, tenant, age and ids each select; all of them must hold."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@sub.one.example")
        [one], [sub] = await ask.ids(domain="one.example"), await ask.ids(domain="*.one.example")
        assert one != sub
        assert await ask.ids(queue="one.example") == [one]
        assert await ask.ids(ids=[one, sub], domain="one.example") == [one]
        assert await ask.ids(tenant="t") == []
        assert await ask.ids(older_than=1000.0, domain="one.example") == []
        site = (await ask("list"))["queues"][0]["site"]
        assert len(await ask.ids(site=site)) == 2

    serve(test, hop=[TWICE], queues=SLOW)


def test_a_selector_that_means_everything_must_say_so(serve):
    """What changes fates is refused without a selector, unless everything is meant and said."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        with pytest.raises(RequestError, match="every message"):
            await ask("delete")
        assert (await ask("delete", everything=True))["count"] == 1

    serve(test, hop=[LATER], queues=SLOW)


def test_a_dry_run_changes_nothing(serve):
    """With `dry_run` an action counts and shows a sample, and nothing else."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@one.example")
        ids = await ask.ids(domain="one.example")
        for action in ("delete", "bounce", "expire", "hold", "suspend", "retry", "reroute"):
            answer = await ask(action, selector={"domain": "one.example"}, dry_run=True, queue="!x")
            assert (answer["count"], sorted(answer["sample"])) == (2, sorted(ids))
        assert (await ask("release", everything=True, dry_run=True))["count"] == 0, "none is held"
        assert await ask.ids(domain="one.example") == ids
        assert await ask("suspensions") == []

    serve(test, hop=[TWICE], queues=SLOW)


def test_retry_now(serve):
    """`retry` lets a message go at once, also to a site that was being left alone."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        assert (await ask("retry", selector={"domain": "one.example"}))["count"] == 1
        await house.arrived()

    serve(test, hop=[{"banner": ["421 4.3.0 closed"]}], queues=SLOW)


def test_bounce(serve):
    """`bounce` fails what is meant with the reason, records AdminBounce, and tells the sender."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@two.example")
        answer = await ask("bounce", selector={"domain": "one.example"}, reason="it is spam")
        assert (answer["count"], answer["name"]) == (1, None)
        record = await house.wait_for("AdminBounce")
        assert record["response"]["code"] == 551
        assert record["response"]["content"] == "Administrator bounced with reason: it is spam"
        await house.wait_for("Delivery")
        assert [taken.recipients for taken in house.hop.taken] == [[SENDER]]
        assert len(house.shard.scheduler) == 1

    serve(test, hop=[TWICE], queues=SLOW)


def test_a_bounce_tells_what_the_host_said(serve):
    """The notice of a message that an operator bounced has the host's last answer, and why it ended."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("bounce", everything=True, reason="it is spam")
        record = await house.wait_for("AdminBounce")
        assert record["response"]["content"] == "Administrator bounced with reason: it is spam"
        notice = (await house.arrived())[0].content.decode()
        assert "Status: 5.7.1\r\n" in notice
        assert f"Diagnostic-Code: smtp; {LATER['mail'][0]}" in notice
        assert "Remote-MTA: dns; [127.0.0.1]" in notice
        assert "Administrator bounced with reason: it is spam" in notice

    serve(test, hop=[LATER], queues=SLOW)


def test_delete_tells_nobody(serve):
    """`delete` ends a message with an AdminBounce record, and sends no notice."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("delete", selector={"domain": "one.example"}, reason="a test")
        record = await house.wait_for("AdminBounce")
        assert "Deleted by an administrator with reason: a test" in record["response"]["content"]
        await house.shard.settlement.close()
        assert len(house.shard.scheduler) == 0
        assert house.hop.taken == []

    serve(test, hop=[LATER], queues=SLOW)


def test_expire(serve):
    """`expire` ends a message as its age would: Expiration, and a notice."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("expire", selector={"sender": SENDER}, reason="too late")
        record = await house.wait_for("Expiration")
        assert record["response"]["code"] == 551
        assert record["response"]["content"].endswith(
            f"the last answer was {LATER['mail'][0]}; expired by an operator: too late"
        )
        assert record["peer_address"]["addr"] == "127.0.0.1"
        notice = (await house.arrived())[0].content.decode()
        assert f"Diagnostic-Code: smtp; {LATER['mail'][0]}" in notice
        assert "Remote-MTA: dns; [127.0.0.1]" in notice
        assert "expired by an operator: too late" in notice

    serve(test, hop=[LATER], queues=SLOW)


REFUSED = {"banner": "554 5.3.2 Go away"}


def test_what_a_host_said_first_is_its_own(serve):
    """Who refuses before MAIL is named, with its words, also where the server began anew since."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("hold", everything=True)
        await house.restart()
        await ask("expire", everything=True)
        record = await house.wait_for("Expiration")
        assert "the last answer was 554 5.3.2 Go away; " in record["response"]["content"]
        notice = (await house.arrived())[0].content.decode()
        assert "Diagnostic-Code: smtp; 554 5.3.2 Go away" in notice
        assert "Remote-MTA: dns; [127.0.0.1]" in notice
        assert "[127.0.0.1] said:" in notice

    serve(test, hop=[REFUSED], queues=SLOW)


def test_reroute(serve):
    """`reroute` moves messages to another queue and records AdminRebind; they go there, restart or not."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("suspend", selector={"domain": "one.example"}, reason="look first", name="s")
        answer = await ask(
            "reroute", selector={"domain": "one.example"}, queue=f"!{house.hop.route}", reason="new host"
        )
        assert answer["count"] == 1
        record = await house.wait_for("AdminRebind")
        assert record["response"]["content"].startswith("Rebound from one.example to one.example!")
        assert record["response"]["content"].endswith(": new host")
        await house.restart()
        [row] = await ask("list", selector={"domain": "one.example"})
        assert row["queue"].startswith("one.example!")
        await ask("cancel", what="s")
        [_] = await house.arrived()
        assert house.records("Delivery")[0]["queue"] == row["queue"]

    serve(test, queues="[queue.default]\nrouting_domain = '[127.0.0.1]:9'\nretry_interval = '1h'\n")


def test_reevaluate(serve):
    """`reevaluate` puts messages back where the policy in force would have put them."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        await ask("suspend", selector={"sender": SENDER}, reason="look first", name="s")
        await ask("reroute", selector={"domain": "one.example"}, queue="two.example", reason="a mistake")
        assert await ask.ids(queue="two.example") == await ask.ids(domain="two.example") != []
        assert (await ask("reevaluate", selector={"domain": "two.example"}))["count"] == 1
        assert len(await ask.ids(queue="one.example")) == 1

    serve(test, hop=[TWICE], queues=SLOW)


SECOND_THOUGHTS = """
asked = []

@policy.on
def get_queue_config(domain, tenant, campaign, routing_domain, conn_meta):
    asked.append(str(conn_meta.peer.ip))
    if asked == ["127.0.0.1"]:
        return QueueConfig(routing_domain="[127.0.0.1]:9", retry_interval=3600)
    return QueueConfig(routing_domain="$hop") if set(asked) == {"127.0.0.1"} else None
"""


def test_reevaluate_asks_code(serve):
    """`reevaluate` takes what `get_queue_config` answers now, and a restart keeps that."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, "b@one.example")
        await house.wait_for("TransientFailure")
        ask = Operator(house)
        assert (await ask("reevaluate", selector={"domain": "one.example"}))["count"] == 1
        await house.restart()
        assert (await ask("show", what="one.example"))["routing_domain"] == house.hop.route
        await ask("retry", selector={"domain": "one.example"})
        await house.arrived()

    serve(test, program=SECOND_THOUGHTS, queues="# none\n")


REFUSING = """
asked = []

@policy.on
def get_queue_config(domain, tenant, campaign, routing_domain, conn_meta):
    asked.append(domain)
    if len(asked) > 1:
        reject(451, "4.3.0 ask me later")
    return QueueConfig(routing_domain="$hop", retry_interval=3600)
"""


def test_reevaluate_where_code_refuses(serve):
    """A message whose queue code cannot tell stays as it is, and the answer says so."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        done = await ask("reevaluate", selector={"domain": "one.example"})
        assert (done["count"], done["failed"]) == (0, 1)
        await ask("retry", selector={"domain": "one.example"})
        await house.arrived()

    serve(test, hop=[LATER], program=REFUSING, queues="# none\n")


def test_suspension(serve):
    """A suspension keeps back what is there and what comes, across a restart; cancelled, it lets go."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        answer = await ask("suspend", selector={"domain": "one.example"}, reason="they move", name="move")
        assert (answer["count"], answer["name"]) == (1, "move")
        client = await house.connect()
        await client.send(SENDER, "d@one.example")
        delayed = await house.wait_for("Delayed")
        assert delayed["response"]["code"] == 400
        assert "suspend move: they move. Next due when released; it" in delayed["response"]["content"]
        await house.restart()
        [order] = await ask("suspensions")
        assert (order["name"], order["kind"], order["author"]) == ("move", "suspend", "ann")
        assert (order["reason"], order["about"]) == ("they move", "domain=one.example")
        done = await ask("retry", selector={"domain": "one.example"})
        assert (done["count"], done["stopped"]) == (2, 2)
        would = await ask("retry", everything=True, dry_run=True)
        assert (would["count"], would["stopped"]) == (2, 2)
        rows = await ask("list", selector={"domain": "one.example"})
        assert [row["due"] for row in rows] == [None, None]
        assert [row["why"] for row in rows] == ["suspend move by ann: they move"] * 2
        with pytest.raises(RequestError, match="stands already"):
            await ask("suspend", selector={"domain": "x.example"}, name="move")
        assert (await ask("cancel", what="move"))["cancelled"] == "move"
        await house.arrived(2)
        assert await ask("suspensions") == []
        with pytest.raises(RequestError, match="no suspension"):
            await ask("cancel", what="move")

    serve(test, hop=[LATER], queues=SLOW)


def test_a_suspension_by_sender_or_site(serve):
    """A suspension may be about what only a message or its route tells."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        site = (await ask("list"))["queues"][0]["site"]
        await ask("suspend", selector={"sender": "@other.example"}, name="other")
        await ask("suspend", selector={"site": site}, name="site")
        client = await house.connect()
        await client.send(SENDER, "c@two.example")
        assert "suspend site" in (await house.wait_for("Delayed"))["response"]["content"]
        await client.send("x@other.example", "d@three.example")
        assert "suspend other" in (await house.wait_for("Delayed", 2))["response"]["content"]

    serve(test, hop=[LATER], queues=SLOW)


def test_a_suspension_expires(serve_in_jumps):
    """A suspension with a duration ends by itself, and what waited under it goes."""

    async def test(house):
        ask = Operator(house)
        await ask("suspend", selector={"domain": "one.example"}, seconds=600.0, name="s")
        client = await house.connect()
        await client.send(SENDER, "b@one.example")
        delayed = await house.wait_for("Delayed")
        [order] = await ask("suspensions")
        until = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(order["expires"]))
        assert delayed["response"]["content"].endswith(f"Next due {until}")
        delivery = await house.wait_for("Delivery")
        assert 600 <= delivery["timestamp"] - delayed["timestamp"] <= 605
        assert await ask("suspensions") == []

    serve_in_jumps(test, queues=SLOW)


def test_age_counts_under_a_suspension(serve_in_jumps):
    """A suspended message expires at its age, whatever the suspension says."""

    async def test(house):
        ask = Operator(house)
        await ask("suspend", selector={"domain": "one.example"}, name="s", reason="for ever")
        client = await house.connect()
        await client.send(SENDER, "b@one.example")
        record = await house.wait_for("Expiration")
        assert 3600 <= record["timestamp"] - record["created"] <= 3665

    serve_in_jumps(test, queues=SLOW + "max_age = '1h'\n")


def test_hold_and_release(serve):
    """`hold` keeps back the messages that are there now, across a restart; `release` lets them go."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        answer = await ask("hold", selector={"domain": "one.example"}, reason="a question", name="q")
        assert answer["count"] == 1
        client = await house.connect()
        await client.send(SENDER, "later@one.example")
        await house.arrived()
        await house.restart()
        await ask("retry", selector={"domain": "one.example"})
        [row] = await ask("list", selector={"domain": "one.example"})
        assert row["why"] == "hold q by ann: a question"
        assert (await ask("release", selector={"ids": [row["id"]]}))["count"] == 1
        await house.arrived(2)

    serve(test, hop=[LATER], queues=SLOW)


def test_cancelling_a_hold_releases_what_it_held(serve):
    """A hold is a named order too: cancelled, it lets everything go that it held."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        answer = await ask("hold", selector={"domain": "one.example"})
        await ask("retry", selector={"domain": "one.example"})
        assert house.hop.taken == []
        await ask("cancel", what=answer["name"])
        await house.arrived()

    serve(test, hop=[LATER], queues=SLOW)


def test_a_bounce_that_stands(serve):
    """A bounce with a duration also fails what comes until then, and can be cancelled."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        answer = await ask(
            "bounce", selector={"domain": "one.example"}, seconds=60.0, reason="closed", name="x"
        )
        assert (answer["count"], answer["name"]) == (1, "x")
        await house.wait_for("AdminBounce")
        client = await house.connect()
        await client.send(SENDER, "d@one.example")
        record = await house.wait_for("AdminBounce", 2)
        assert record["recipient"] == "d@one.example"
        await ask("cancel", what="x")
        await client.send(SENDER, "e@one.example")
        while ["e@one.example"] not in [taken.recipients for taken in house.hop.taken]:
            await house.wait_for("Delivery", len(house.records("Delivery")) + 1)

    serve(test, hop=[LATER], queues=SLOW)


def test_what_is_on_the_wire_is_left_alone(serve):
    """Nothing is done to a message on the wire: it is counted as busy."""

    reached = asyncio.Event()

    def hang(_):
        reached.set()
        return Do.HANG

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, "b@one.example")
        await reached.wait()
        answer = await Operator(house)("delete", selector={"domain": "one.example"})
        assert (answer["count"], answer["busy"]) == (0, 1)
        house.hop.close_all()

    serve(test, hop=[{"mail": hang}], queues=SLOW)


def test_unknown_requests(serve):
    """A wrong request is answered with what is wrong."""

    async def test(house):
        ask = Operator(house)
        for arguments, text in (
            ({"action": "dance"}, "unknown action 'dance'"),
            ({"action": "list", "selector": {"colour": "red"}}, "colour"),
            ({"action": "reroute", "everything": True}, "where to"),
            ({"action": "find", "header": "Subject"}, "Name: text"),
        ):
            with pytest.raises(RequestError, match=text):
                await ask(arguments.pop("action"), **arguments)

    serve(test)


@pytest.mark.parametrize(
    ("action", "arguments", "problem"),
    [
        ("list", {"selector": {"domain": "zz!!@"}}, "not a domain: 'zz!!@'"),
        ("suspend", {"selector": {"recipient": "@"}}, "write 'ann@example.com'"),
        ("retry", {"selector": {"queue": "a.example!not a domain"}}, "is no routing domain"),
        (
            "reroute",
            {"selector": {"domain": "one.example"}, "queue": "!not a domain"},
            "is no routing domain",
        ),
        ("reroute", {"selector": {"domain": "one.example"}, "queue": "not a domain"}, "not a domain"),
        ("suspend", {"selector": {"domain": "one.example"}, "seconds": 1e308}, "ten years at most"),
        ("suspend", {"selector": {"domain": "one.example"}, "name": "a\x1b[0m"}, "is no name"),
        ("show", {}, "show what?"),
        ("cancel", {}, "cancel what?"),
    ],
)
def test_nobody_is_meant(serve, action, arguments, problem):
    """What names nobody, or nothing that can be, is refused, and no message loses its future by it."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        with pytest.raises(RequestError, match=re.escape(problem)):
            await ask(action, **arguments)
        [message] = house.shard.scheduler
        assert message.is_waiting
        assert await ask("suspensions") == []

    serve(test, hop=[TWICE], queues=SLOW)


@pytest.mark.parametrize(
    "selector",
    [
        {"domain": "One.EXAMPLE."},
        {"domain": "*.Example"},
        {"queue": "ONE.example"},
        {"recipient": "@ONE.example."},
        {"recipient": "B@One.Example"},
    ],
)
def test_a_selector_in_any_spelling(serve, selector):
    """Domains are meant however they are written."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        assert len(await ask.ids(**selector)) == 1

    serve(test, hop=[TWICE], queues=SLOW)


def test_a_hold_ends_with_what_it_holds(serve):
    """A hold says how many messages it holds, and is over when the last one is released."""

    async def test(house):
        ask = await waiting(house, "b@one.example", "c@two.example")
        await ask("hold", selector={"sender": SENDER}, reason="look", name="h")
        assert [order["holds"] for order in await ask("suspensions")] == [2]
        await ask("release", selector={"domain": "one.example"})
        assert [order["holds"] for order in await ask("suspensions")] == [1]
        await ask("release", selector={"domain": "two.example"})
        assert await ask("suspensions") == []

    serve(test, hop=[TWICE], queues=SLOW)


@pytest.mark.parametrize(("age", "least", "most"), [("", 3000, 4000), ("max_age = '10m'\n", 600, 600)])
def test_a_message_names_the_limit_that_it_waits_for(serve, age, least, most):
    """In lists too, what waits for a rate says which, where it is written, and until when, or its end."""

    async def test(house):
        client = await house.connect()
        for _ in range(2):
            await client.send(SENDER, "b@one.example")
        await house.arrived()
        ask = Operator(house)
        [row] = await ask("list", selector={"domain": "one.example"})
        assert re.fullmatch(r"max_message_rate 1/hour of queue one.example \(.*queues.toml:3\)", row["why"])
        assert least <= round(row["due"] - row["created"]) <= most

    rate = "[queue.default]\nrouting_domain = '$hop'\nmax_message_rate = '1/hour,max_burst=1'\n"
    serve(test, queues=rate + age)


def test_a_site_is_known_after_a_reload(serve):
    """Selectors by site mean what they meant before, though nothing has been tried since."""

    async def test(house):
        ask = await waiting(house, "b@one.example")
        [site] = [queue["site"] for queue in (await ask("list"))["queues"]]
        house.shard.take(house.shard.configuration)
        assert len(await ask.ids(site=site)) == 1

    serve(test, hop=[TWICE], queues=SLOW)
