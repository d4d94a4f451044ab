"""Tenants, campaigns and times that a header or the policy chooses (issue 6, demand 4)."""

import json
from datetime import UTC, datetime

import pytest

from angarium.policy.schedule import ScheduleError, parse_schedule, parse_schedule_text
from angarium.testing.clock import START

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"
BASE = "[queue.default]\nrouting_domain = '$hop'\n"
HEADERS = "tenant_header = 'X-Tenant'\nremove_tenant_header = true\ncampaign_header = 'X-Campaign'\n"
TENANTS = "[tenant.'blue']\nretry_interval = '5m'\n[tenant.'a:b@c!d']\nretry_interval = '5m'\n"
HOURS = {"dow": "Mon,Tue,Wed,Thu,Fri", "tz": "Europe/Berlin", "start": "08:00:00", "end": "17:00:00"}


def mail(**fields):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"From: {SENDER}\r\n{lines}\r\nhello\r\n".encode()


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-01-05T10:00:00", "2026-01-05T10:00:00"),  # Monday, open
        ("2026-01-05T05:00:00", "2026-01-05T07:00:00"),  # before eight in Berlin
        ("2026-01-05T16:30:00", "2026-01-06T07:00:00"),  # after five in Berlin
        ("2026-01-09T20:00:00", "2026-01-12T07:00:00"),  # Friday evening
        ("2026-07-06T05:00:00", "2026-07-06T06:00:00"),  # summer time
    ],
)
def test_windows(now, opens):
    """A window opens by the clock of its own time zone, on its own days."""
    assert parse_schedule(HOURS).next_open(at(now)) == at(opens)


def test_a_window_across_midnight():
    """A window may end on the day after it began."""
    schedule = parse_schedule({**HOURS, "dow": "Mon", "tz": "UTC", "start": "22:00", "end": "02:00"})
    assert schedule.next_open(at("2026-01-06T01:00:00")) == at("2026-01-06T01:00:00")
    assert schedule.next_open(at("2026-01-06T03:00:00")) == at("2026-01-12T22:00:00")


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "[]", '{"when": 1}',
     '{"first_attempt": "soon"}', '{"first_attempt": 7}', '{"dow": "Mon"}',
     json.dumps({**HOURS, "tz": "Nowhere/At_all"}), json.dumps({**HOURS, "dow": "Someday"})],
)  # fmt: skip
def test_what_is_no_schedule(text):
    """Anything but the described object is refused, with one kind of error."""
    with pytest.raises(ScheduleError):
        parse_schedule_text(text)


def test_tenant_and_campaign_from_headers(serve):
    """The named fields choose the queue; one that is to go is taken out; names cannot forge a queue."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=mail(X_Tenant="blue", X_Campaign="may"))
        await client.send(SENDER, OUT, content=mail(X_Tenant="a:b@c!d"))
        await client.send(SENDER, OUT, content=mail())
        taken = await house.arrived(3)
        queues = [record["queue"] for record in house.records("Reception")]
        assert queues == [
            "may:blue@elsewhere.example", "a%3Ab%40c%21d@elsewhere.example", "elsewhere.example",
        ]  # fmt: skip
        assert b"X-Tenant" not in taken[0].content
        assert b"X-Campaign: may\r\n" in taken[0].content

    serve(test, queues=HEADERS + BASE + TENANTS)


@pytest.mark.parametrize("tenant", ["red", "blue"])
def test_tenants_are_checked(serve, tenant):
    """An unknown tenant is refused with 500, and so is one that asks for an identity that is not there."""

    async def test(house):
        client = await house.connect()
        answer = await client.send(SENDER, OUT, content=mail(X_Tenant=tenant))
        assert answer.startswith("500 5.7.1"), answer
        assert len(house.shard.scheduler) == 0

    serve(test, queues=HEADERS + BASE + "[tenant.'blue']\nrequire_authz = ['ann']\n")


def test_strangers_choose_nothing(serve):
    """The header of who has no right of their own chooses nothing, and goes on as it came."""

    async def test(house):
        client = await house.stranger()
        await client.send("x@elsewhere.example", OUT, content=mail(X_Tenant="blue", X_When="nonsense"))
        [taken] = await house.arrived()
        assert b"X-Tenant: blue\r\n" in taken.content
        assert house.records("Reception")[0]["queue"] == "elsewhere.example"

    serve(
        test,
        queues="scheduling_header = 'X-When'\n" + HEADERS + BASE + TENANTS,
        domains='["elsewhere.example"]\nrelay_to = true\n',
    )


def test_default_tenant(serve):
    """Messages that name no tenant are the default tenant's."""

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=mail())
        await house.arrived()
        assert house.records("Reception")[0]["queue"] == "blue@elsewhere.example"

    serve(test, queues="default_tenant = 'blue'\n" + BASE + TENANTS)


def test_first_attempt(serve_in_jumps):
    """A scheduling header says when the first attempt is, restart or not; the field is always taken out."""
    when = datetime.fromtimestamp(START + 7200, UTC).isoformat()

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=mail(X_When=json.dumps({"first_attempt": when})))
        await house.restart()
        [taken] = await house.arrived()
        assert b"X-When" not in taken.content
        assert START + 7200 <= house.records("Delivery")[0]["timestamp"] <= START + 7202

    serve_in_jumps(test, queues="scheduling_header = 'X-When'\n" + BASE)


def test_a_first_attempt_beyond_its_age(serve_in_jumps):
    """What is to go later than `max_age` from now is tried all the same: its age counts from then."""
    when = datetime.fromtimestamp(START + 7200, UTC).isoformat()

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=mail(X_When=json.dumps({"first_attempt": when})))
        await house.restart()
        await house.arrived()

    serve_in_jumps(test, queues="scheduling_header = 'X-When'\n" + BASE + "max_age = '1h'\n")


@pytest.mark.parametrize(
    "schedule",
    [
        {"first_attempt": "2026-01-31T08:00:00"},
        {"first_attempt": "2026-01-31T08:00:00Z", "expires": "2026-01-31T08:00:00Z"},
        {"first_attempt": 5},
    ],
)
def test_times_that_are_none(schedule):
    """A time has a zone (RFC 3339), and a message does not end before its first attempt."""
    with pytest.raises(ScheduleError):
        parse_schedule(schedule)


def test_expires(serve_in_jumps):
    """A message's own end holds instead of `max_age`."""
    when = datetime.fromtimestamp(START + 3600, UTC).isoformat()

    async def test(house):
        client = await house.connect()
        await client.send(SENDER, OUT, content=mail(X_When=json.dumps({"expires": when})))
        record = await house.wait_for("Expiration")
        assert record["timestamp"] <= START + 3600

    queues = "scheduling_header = 'X-When'\n" + BASE + "retry_interval = '10m'\n"
    serve_in_jumps(test, hop=[{"mail": ["451 4.2.1 busy"]}] * 9, queues=queues)


def test_a_bad_schedule(serve):
    """A header that is no schedule is refused, and nothing is queued."""

    async def test(house):
        client = await house.connect()
        answer = await client.send(SENDER, OUT, content=mail(X_When="tomorrow"))
        assert answer.startswith("550 5.6.0"), answer

    serve(test, queues="scheduling_header = 'X-When'\n" + BASE)


def test_a_schedule_of_the_policy(serve_in_jumps):
    """A handler schedules with the metadata `schedule`; one that is none costs the message a 451."""
    when = datetime.fromtimestamp(START + 600, UTC).isoformat()
    program = f"""
@policy.on
def smtp_server_message_received(message: Message, conn_meta: ConnectionMeta) -> None:
    message.meta["schedule"] = {{"first_attempt": "{when}"}} if message.sender.user == "a" else "soon"
"""

    async def test(house):
        client = await house.connect()
        assert (await client.send("x@customer.example", OUT)).startswith("451 4.3.0")
        await client.send(SENDER, OUT)
        await house.arrived()
        assert START + 600 <= house.records("Delivery")[0]["timestamp"] <= START + 602

    serve_in_jumps(test, queues=BASE, program=program)
