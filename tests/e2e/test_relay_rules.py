"""The contract's rules 7, 8 and 10 to 12, and P10, end to end."""

import pytest

SENDER = "a@customer.example"
OUT = "b@elsewhere.example"


def test_the_null_reverse_path_has_an_entry_of_its_own(serve):
    """`<>` is looked up as `"<>"` only: neither `"*"` nor a customer's entry answers for it (W14)."""

    async def test(house):
        allowed = await house.connect("127.0.0.3")
        assert (await allowed.begin("", OUT))[0].startswith("250")
        refused = await house.stranger()
        assert (await refused.begin("", OUT))[0].startswith("550 5.7.1")
        await refused.say("RSET")
        assert (await refused.begin(SENDER, OUT))[0].startswith("250")

    domains = '["*"]\nrelay_from = ["127.0.0.2"]\n["<>"]\nrelay_from = ["127.0.0.3"]\n'
    serve(test, domains=domains)


@pytest.mark.parametrize("written", ["EXAMPLE.ORG", "bücher.example", "example.org.", "[IPv6:0::1]"])
def test_keys_are_compared_in_their_normal_form(serve, written):
    """Capitals, U-labels, a final dot and other spellings of a literal are the same key (W8)."""
    asked = {"bücher.example": "xn--bcher-kva.example", "[IPv6:0::1]": "[IPv6:::1]"}

    async def test(house):
        client = await house.stranger()
        domain = asked.get(written, "example.org")
        assert (await client.begin(SENDER, f"b@{domain}"))[0].startswith("250")

    serve(test, domains=f'["{written}"]\nrelay_to = true\n')


@pytest.mark.parametrize(
    "recipient", ["Postmaster", "postmaster@mx.example.com", "POSTMASTER@MX.example.com"]
)
def test_postmaster(serve, recipient):
    """Mail to postmaster is accepted from anyone and goes to the operator's address; the rule is told."""

    async def test(house):
        client = await house.stranger()
        await client.send("", recipient)
        [taken] = await house.arrived()
        assert taken.recipients == ["ops@example.net"]
        reception = house.seen[0]
        assert reception["decided_by"]["key"] == "postmaster"
        assert reception["decided_by"]["line"] == 2

    serve(test, main='postmaster = "ops@example.net"')


def test_without_the_option_postmaster_is_refused(serve):
    """It follows the ordinary rule then, and the bare form does not end the session."""

    async def test(house):
        client = await house.stranger()
        answers = await client.begin("", "Postmaster", "postmaster@mx.example.com")
        assert [answer[:9] for answer in answers] == ["550 5.7.1", "550 5.7.1"]
        assert house.records("Rejection")[0]["response"]["command"] == "RCPT TO:<postmaster>"

    serve(test)


@pytest.mark.parametrize(
    "recipient", ["user%far.example@ok.example", "far!user@ok.example", '"user@far"@ok.example']
)
def test_sender_routing(serve, recipient):
    """Local parts that ask for another host are for peers with a right of their own."""

    async def test(house):
        stranger = await house.stranger()
        assert (await stranger.begin(SENDER, recipient))[0].startswith("550 5.7.1")
        trusted = await house.connect()
        await trusted.send(SENDER, recipient)
        assert (await house.arrived())[0].recipients == [recipient]

    serve(test, domains='["ok.example"]\nrelay_to = true\n')


def test_sender_routing_allowed(serve):
    """`allow_sender_routing` lets strangers write them."""

    async def test(house):
        stranger = await house.stranger()
        assert (await stranger.begin(SENDER, "user%far.example@ok.example"))[0].startswith("250")

    serve(test, listener="allow_sender_routing = true", domains='["ok.example"]\nrelay_to = true\n')


def test_source_routes_are_dropped(serve):
    """`@a,@b:user@c` is mail to user@c."""

    async def test(house):
        client = await house.connect()
        await client.send("@x.example:a@customer.example", "@y.example,@z.example:b@elsewhere.example")
        [taken] = await house.arrived()
        assert (taken.sender, taken.recipients) == (SENDER, [OUT])

    serve(test)


@pytest.mark.parametrize(
    "literal", ["[127.0.0.1]", "[169.254.1.1]", "[0.0.0.0]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]"]
)
def test_literals_written_by_clients(serve, literal):
    """Nobody reaches the server's own network by writing an address literal, not even a trusted peer."""

    async def test(house):
        client = await house.connect()
        assert (await client.begin(SENDER, f"b@{literal}"))[0].startswith("550 5.7.1")

    serve(test)


def test_mail_in_a_loop(serve):
    """More than `max_hops` Received fields are too many: 554 5.4.6, and a Rejection."""

    async def test(house):
        client = await house.connect()
        field = b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0000\r\n"
        assert (await client.send(SENDER, OUT, content=field * 5 + b"\r\nhi\r\n")).startswith("250")
        answer = await client.send(SENDER, OUT, content=field * 6 + b"\r\nhi\r\n")
        assert answer.startswith("554 5.4.6")
        assert house.records("Rejection")[0]["response"]["code"] == 554
        body = b"Subject: x\r\n\r\n" + field * 50
        assert (await client.send(SENDER, OUT, content=body)).startswith("250")

    serve(test, listener="max_hops = 5")


def test_delivery_never_connects_to_its_own_listeners(serve):
    """A route that leads back here is a loop: it bounces, or waits, but is never followed."""

    async def test(house):
        client = await house.connect()
        host, port = house.address()
        house.take(queues=f"[queue.default]\nrouting_domain = '[{host}]:{port}'\n")
        await client.send(SENDER, OUT)
        record = await house.wait_for("Bounce")
        assert "loop" in record["response"]["content"] or "own" in record["response"]["content"]
        assert len(house.records("Reception")) <= 2

    serve(test)


def test_a_route_for_a_relayed_domain(serve):
    """P10: `routing_domain` of the queues file leads to the next hop, though the MX is this very host."""

    async def test(house):
        client = await house.stranger()
        await client.send(SENDER, "b@relayed.example")
        [taken] = await house.arrived()
        assert taken.recipients == ["b@relayed.example"]
        delivery = house.records("Delivery")[0]
        assert delivery["site"] == house.hop.route
        assert house.dns.asked == {}

    serve(
        test,
        domains='["relayed.example"]\nrelay_to = true\n',
        queues="[queue.'relayed.example']\nrouting_domain = '$hop'\n",
        zone={"relayed.example": {"MX": ["10 mx.example.com."]}},
    )
