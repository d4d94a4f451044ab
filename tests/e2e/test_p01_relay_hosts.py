"""P1: a peer in relay_hosts may relay anywhere; any other may connect, and is refused at RCPT."""

import pytest

from tests.e2e.house import MAIL

IN = "a@customer.example"
OUT = "b@elsewhere.example"


def test_a_peer_on_the_list_may_relay_anywhere(serve):
    """Its mail arrives at the next hop; Reception and Delivery have the id that the 250 told."""

    async def test(house):
        client = await house.connect()
        answer = await client.send(IN, OUT)
        [taken] = await house.arrived()
        assert (taken.sender, taken.recipients) == (IN, [OUT])
        assert taken.content.endswith(MAIL)
        ident = answer.removeprefix("250 2.0.0 OK ids=")
        assert [record["id"] for record in house.records("Reception", "Delivery")] == [ident, ident]
        assert house.seen[0]["decided_by"]["key"] == "relay_hosts"

    serve(test)


@pytest.mark.parametrize(
    ("address", "hosts", "source", "relays"),
    [
        ("127.0.0.1", '["127.0.0.0/31"]', "127.0.0.1", True),
        ("127.0.0.1", '["127.0.0.0/31"]', "127.0.0.2", False),
        ("127.0.0.1", '["10.0.0.0/8", "127.0.0.2"]', "127.0.0.2", True),
        ("127.0.0.1", "[]", "127.0.0.1", False),
        ("::1", '["::1"]', "::1", True),
        ("::1", '["fe80::/10", "127.0.0.1"]', "::1", False),
        ("::", '["127.0.0.0/8"]', "127.0.0.1", True),  # an IPv4 peer of a dual-stack listener is IPv4 (W17)
    ],
)
def test_addresses_and_networks(serve, address, hosts, source, relays):
    """The list holds addresses and networks of both families, and replaces the default."""

    async def test(house):
        client = await house.connect(source)
        [answer] = await client.begin(IN, OUT)
        assert answer.startswith("250" if relays else "550 5.7.1"), answer

    serve(test, listeners=[(address, f"relay_hosts = {hosts}")])


def test_another_peer_is_refused_at_rcpt(serve):
    """`550 5.7.1` at RCPT, with a Rejection that names the recipient; the session goes on."""

    async def test(house):
        client = await house.stranger()
        [answer] = await client.begin(IN, OUT)
        assert answer.startswith("550 5.7.1")
        [record] = house.seen
        assert (record["type"], record["sender"], record["recipient"]) == ("Rejection", IN, OUT)
        assert record["response"]["code"] == 550
        assert record["response"]["command"] == f"RCPT TO:<{OUT}>"
        assert record["peer_address"] == {"name": "client.example", "addr": "127.0.0.2"}
        assert record["decided_by"]["kind"] == "default"
        assert (await client.say("NOOP")).startswith("250")

    serve(test)
