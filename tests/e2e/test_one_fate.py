"""Contract 2.5: one reply is one fate, so recipients whose mail would fare differently never share one."""

import pytest

from tests.e2e.mails import DSN

DOMAINS = """
["relayed.example"]
relay_to = true
["oob.example"]
log_oob = true
["oob2.example"]
log_oob = true
["arf.example"]
log_arf = true
["both.example"]
log_oob = true
log_arf = true
"""


@pytest.mark.parametrize(
    ("first", "second", "shares"),
    [
        ("relayed", "relayed", True),
        ("relayed", "oob", False),
        ("oob", "relayed", False),
        ("oob", "oob2", True),
        ("oob", "arf", False),
        ("oob", "both", False),
        ("both", "both", True),
    ],
)
def test_who_may_share(serve, first, second, shares):
    """The first accepted recipient sets the kind; others get 452 4.5.3, which says why, and a record."""

    async def test(house):
        client = await house.stranger()
        _, answer = await client.begin("", f"a@{first}.example", f"b@{second}.example")
        if shares:
            assert answer.startswith("250")
            return
        assert answer.startswith("452 4.5.3")
        assert "transaction of its own" in answer
        [record] = house.seen
        assert record["recipient"] == f"b@{second}.example"
        assert [one["address"] for one in record["recipients"]] == [f"a@{first}.example"]

    serve(test, domains=DOMAINS)


def test_the_reply_names_one_message_for_each_recipient(serve):
    """BifurcateAlways: each recipient has its own message, id, Reception and Received field."""

    async def test(house):
        client = await house.connect()
        people = ["one@a.example", "two@a.example", "three@b.example"]
        answer = await client.send("x@customer.example", *people)
        idents = answer.removeprefix("250 2.0.0 OK ids=").split(" ")
        assert len(set(idents)) == 3
        taken = await house.arrived(3)
        assert sorted(one.recipients[0] for one in taken) == sorted(people)
        receptions = {record["id"]: record for record in house.records("Reception")}
        assert set(receptions) == set(idents) == {record["id"] for record in house.records("Delivery")}
        assert [receptions[ident]["recipient"] for ident in idents] == people
        for one in taken:
            ident = next(
                key for key, record in receptions.items() if record["recipient"] == one.recipients[0]
            )
            assert f"id {ident}".encode() in one.content
            assert f"for <{one.recipients[0]}>".encode() in one.content
        assert [one["address"] for one in receptions[idents[0]]["recipients"]] == people

    serve(test)


MARKED = """
@policy.on
def smtp_server_message_received(message, conn_meta):
    message.prepend_header("X-For", str(message.recipients[0]))
"""


@pytest.mark.parametrize("program", ["", MARKED])
def test_content_is_stored_once(serve, program):
    """A hundred recipients of a megabyte take one megabyte of the spool, also where each has a field of its
    own.
    """

    async def test(house):
        client = await house.connect()
        content = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 14_000
        before = _written(house)
        people = [f"r{number}@a.example" for number in range(100)]
        await client.send("x@customer.example", *people, content=content)
        assert _written(house) - before < 2 * len(content)

    serve(test, program=program, queues="[queue.default]\nrouting_domain = '[127.0.0.1]:1'\n")


def _written(house):
    return sum(segment.end for segment in house.shard.store._journal.segments.values())


def test_a_refused_report_refuses_the_whole(serve):
    """What is no report for one is none for all: the whole transaction is refused, with every recipient
    recorded.
    """

    async def test(house):
        client = await house.stranger()
        answer = await client.send("", "a@oob.example", "b@oob2.example")
        assert answer.startswith("550 5.7.1")
        [record] = house.seen
        assert record["recipient"] == ["a@oob.example", "b@oob2.example"]
        answer = await client.send("", "a@oob.example", "b@oob2.example", content=DSN)
        assert answer.startswith("250")
        assert len(house.records("Reception")) == len(house.records("OOB")) == 2

    serve(test, domains=DOMAINS)


def test_the_records_of_a_large_transaction(serve):
    """Each record tells the first recipient and its own, so that all of them together stay small."""

    async def test(house):
        client = await house.connect()
        people = [f"user{number}@a.example" for number in range(200)]
        await client.begin("x@customer.example", *people)
        assert (await client.say("DATA again")).startswith("501")
        assert (await client.content()).startswith("250")
        receptions = house.records("Reception")
        assert [one["recipient"] for one in receptions] == people
        for record in receptions[1:]:
            told = [one["address"] for one in record["recipients"]]
            assert told == [people[0], record["recipient"]]
            assert all(one["decided_by"] for one in record["recipients"])
            assert record["recipients_left_out"] == 198
        [refusal] = house.records("Rejection")
        assert [one["address"] for one in refusal["recipients"]] == [people[0]]
        assert refusal["recipients_left_out"] == 199

    serve(test)


def test_refused_content_of_a_large_transaction(serve):
    """Its one record tells all of its recipients, since no other does."""

    async def test(house):
        client = await house.connect()
        people = [f"user{number}@a.example" for number in range(50)]
        await client.begin("x@customer.example", *people)
        assert (await client.content(b"Subject: x\r\n\r\na\nb\r\n")).startswith("552")
        [record] = house.records("Rejection")
        assert record["recipient"] == people
        assert [one["address"] for one in record["recipients"]] == people

    serve(test)
