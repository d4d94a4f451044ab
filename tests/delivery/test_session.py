"""delivery.session and delivery.link: what delivery does, stage by stage, with a real next hop."""

import pytest

from angarium.delivery.outcome import (
    NEEDS_8BITMIME,
    NEEDS_SMTPUTF8,
    TOO_BIG,
    Blame,
    Kind,
    Stage,
)
from angarium.testing.nexthop import Do, NextHop
from tests.delivery.delivery_house import CONTENT, both


def attempt(run, *scripts, number=1, **message):
    """Dispatch messages one after the other to a next hop that follows the scripts."""

    async def test(house):
        async with NextHop(*scripts) as hop:
            queue = house.queue(f"example.net!{hop.route}")
            outcomes = [(await house.deliver(queue, **message))[0] for _ in range(number)]
            await house.dispatcher.drain(10)
            await hop.until(lambda: hop.open == 0)
            return outcomes, hop

    return run(test)


def test_a_message_arrives_as_it_is(run):
    """Envelope and content reach the next hop; the outcome says by which host and session."""
    [outcome], hop = attempt(run, content=b"Subject: dots\r\n\r\n.\r\n..two\r\n.one")
    taken = hop.taken[0]
    assert (taken.sender, taken.recipients) == ("a@example.com", ["b@example.net"])
    assert taken.content == b"Subject: dots\r\n\r\n.\r\n..two\r\n.one\r\n"
    assert (outcome.kind, outcome.stage, outcome.blame) == (Kind.DELIVERED, Stage.CONTENT, Blame.NOBODY)
    assert (outcome.peer.address, outcome.peer.port, outcome.site) == ("127.0.0.1", hop.port, hop.route)
    assert outcome.session_id
    assert not outcome.is_local


@pytest.mark.parametrize("stage", [Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.CONTENT])
def test_a_reply_ended_by_a_bare_lf(run, stage):
    """It is no reply, costs a second and no time-out, and the record says what the host said."""
    key = "content" if stage is Stage.CONTENT else stage.value.lower()

    async def test(house):
        async with NextHop({"ehlo": "250 next.hop", key: b"250 taken as 7\n"}) as hop:
            begun = house.clock.now()
            [outcome] = await house.deliver(house.queue(f"example.net!{hop.route}"))
            return outcome, house.clock.now() - begun

    outcome, seconds = run(test)
    is_unknown = stage is Stage.CONTENT
    assert (outcome.kind, outcome.stage, outcome.is_unknown) == (Kind.TRANSIENT, stage, is_unknown)
    said = f"Not SMTP at {stage.value}: a reply ended by a bare LF: b'250 taken as 7'"
    assert outcome.reply.text == said + (", and the next hop may have the message" if is_unknown else "")
    assert seconds < 10


def test_the_dialogue(run):
    """EHLO with our name; MAIL with what the next hop offers; then RCPT and DATA."""
    _, hop = attempt(run, eight_bit=True)
    assert hop.commands[0] == [
        "EHLO we.example",
        f"MAIL FROM:<a@example.com> SIZE={len(CONTENT)} BODY=8BITMIME",
        "RCPT TO:<b@example.net>",
        "DATA",
        "QUIT",
    ]


BANNER_TO_EHLO = [
    ({"banner": "554 5.3.2 No mail here"}, Stage.BANNER, 554),
    ({"banner": "421 4.3.2 Full"}, Stage.BANNER, 421),
    ({"banner": Do.CLOSE}, Stage.BANNER, 451),
    ({"banner": Do.HANG}, Stage.BANNER, 451),
    ({"banner": "hello"}, Stage.BANNER, 451),
    ({"ehlo": "451 4.3.0 Later"}, Stage.EHLO, 451),
    ({"ehlo": Do.CLOSE}, Stage.EHLO, 451),
    ({"ehlo": Do.HANG}, Stage.EHLO, 451),
    ({"ehlo": "500 what", "helo": "500 what"}, Stage.EHLO, 500),
]


@pytest.mark.parametrize(("script", "stage", "code"), BANNER_TO_EHLO)
def test_before_mail_the_site_is_to_blame(run, script, stage, code):
    """What a host says of itself bounces nothing; without another host the site is left alone."""
    [outcome], _ = attempt(run, script)
    assert (outcome.kind, outcome.stage, outcome.blame) == (Kind.TRANSIENT, stage, Blame.SITE)
    assert outcome.reply.code == code


TRANSACTION = [
    ({"mail": "550 5.7.1 No"}, Kind.PERMANENT, Stage.MAIL, Blame.MESSAGE),
    ({"mail": "451 4.7.1 Later"}, Kind.TRANSIENT, Stage.MAIL, Blame.MESSAGE),
    ({"mail": "503 5.5.1 Sequence"}, Kind.TRANSIENT, Stage.MAIL, Blame.MESSAGE),
    ({"mail": "421 4.3.2 Bye"}, Kind.TRANSIENT, Stage.MAIL, Blame.CONNECTION),
    ({"mail": Do.CLOSE}, Kind.TRANSIENT, Stage.MAIL, Blame.CONNECTION),
    ({"mail": Do.HANG}, Kind.TRANSIENT, Stage.MAIL, Blame.HOST),
    ({"mail": "yes\nno"}, Kind.TRANSIENT, Stage.MAIL, Blame.HOST),
    ({"rcpt": "550 5.1.1 Unknown"}, Kind.PERMANENT, Stage.RCPT, Blame.RECIPIENT),
    ({"rcpt": "450 4.2.0 Grey"}, Kind.TRANSIENT, Stage.RCPT, Blame.RECIPIENT),
    ({"rcpt": "452 4.2.2 Full"}, Kind.TRANSIENT, Stage.RCPT, Blame.RECIPIENT),
    ({"rcpt": "552 Full"}, Kind.PERMANENT, Stage.RCPT, Blame.RECIPIENT),
    ({"rcpt": "421 4.3.2 Bye"}, Kind.TRANSIENT, Stage.RCPT, Blame.CONNECTION),
    ({"rcpt": Do.CLOSE}, Kind.TRANSIENT, Stage.RCPT, Blame.CONNECTION),
    ({"rcpt": Do.HANG}, Kind.TRANSIENT, Stage.RCPT, Blame.HOST),
    ({"rcpt": "550 5.1.1 Unknown", "data": "503 5.5.1 No"}, Kind.PERMANENT, Stage.RCPT, Blame.RECIPIENT),
    ({"data": "554 5.7.1 No"}, Kind.PERMANENT, Stage.DATA, Blame.MESSAGE),
    ({"data": "250 Fine"}, Kind.TRANSIENT, Stage.DATA, Blame.HOST),
    ({"data": Do.HANG}, Kind.TRANSIENT, Stage.DATA, Blame.HOST),
    ({"content": "554 5.7.1 Spam"}, Kind.PERMANENT, Stage.CONTENT, Blame.MESSAGE),
    ({"content": "451 4.3.0 Later"}, Kind.TRANSIENT, Stage.CONTENT, Blame.MESSAGE),
    ({"content": "354 What"}, Kind.TRANSIENT, Stage.CONTENT, Blame.HOST),
    ({"content": "421 4.3.2 Bye"}, Kind.TRANSIENT, Stage.CONTENT, Blame.CONNECTION),
    ({"content": Do.CLOSE}, Kind.TRANSIENT, Stage.CONTENT, Blame.CONNECTION),
    ({"content": Do.HANG}, Kind.TRANSIENT, Stage.CONTENT, Blame.HOST),
    ({"content": "\x00\x01"}, Kind.TRANSIENT, Stage.CONTENT, Blame.HOST),
]


@pytest.mark.parametrize(("script", "kind", "stage", "blame"), TRANSACTION)
def test_in_a_transaction(run, script, kind, stage, blame):
    """Every answer, silence or nonsense at every stage of a transaction gives the outcome of the table."""
    [outcome], _ = attempt(run, script)
    assert (outcome.kind, outcome.stage, outcome.blame) == (kind, stage, blame), outcome.reply
    lost = stage is Stage.CONTENT and outcome.is_local
    assert outcome.is_unknown == lost


@pytest.mark.parametrize("step", ["550 5.1.1 Unknown", "450 4.2.0 Grey"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "content"])
def test_a_refused_message_leaves_the_connection_alone(run, stage, step):
    """After a refusal the next message takes the same connection."""
    outcomes, hop = attempt(run, {stage: step}, number=2)
    assert [outcome.kind is Kind.DELIVERED for outcome in outcomes] == [False, True]
    assert (hop.connections, len(hop.taken)) == (1, 1)


def test_421_blames_nobody_else(run):
    """A 421 costs one message an attempt; the others are delivered over a new connection."""
    outcomes, hop = attempt(run, {"mail": "421 4.3.2 Bye"}, number=3)
    kinds = [outcome.kind for outcome in outcomes]
    assert kinds == [Kind.TRANSIENT, Kind.DELIVERED, Kind.DELIVERED]
    assert (outcomes[0].reply.code, outcomes[0].stage) == (421, Stage.MAIL)
    assert hop.connections == 2


@pytest.mark.parametrize("step", ["421 4.4.2 Idle too long", Do.CLOSE])
def test_a_connection_that_had_enough_costs_nothing(run, step):
    """Where a used connection ends before it has seen the next message, that goes over a new one."""
    outcomes, hop = attempt(run, {"mail": [Do.ACCEPT, step]}, number=2)
    assert [outcome.kind for outcome in outcomes] == [Kind.DELIVERED, Kind.DELIVERED]
    assert hop.connections == 2


def test_a_peer_that_closes_an_idle_connection(run):
    """An idle connection that the peer closes costs no message an attempt."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}")
            await house.deliver(queue)
            hop.close_all()
            outcomes = await house.deliver(queue)
            return outcomes[0].kind, hop.connections

    assert run(test) == (Kind.DELIVERED, 2)


def test_helo_where_ehlo_is_not_known(run):
    """A host that refuses EHLO is greeted with HELO, and spoken to without extensions or pipelining."""
    [outcome], hop = attempt(run, {"ehlo": "502 5.5.1 What"})
    assert outcome.kind is Kind.DELIVERED
    assert hop.commands[0][:3] == ["EHLO we.example", "HELO we.example", "MAIL FROM:<a@example.com>"]


PLAIN = {"ehlo": "250 next.hop"}


@pytest.mark.parametrize(
    ("script", "message", "refusal"),
    [
        (PLAIN, {"content": "Subject: x\r\n\r\ngrüße\r\n".encode()}, NEEDS_8BITMIME),
        (PLAIN, {"recipient": "jürgen@example.net"}, NEEDS_SMTPUTF8),
        ({"ehlo": "250-next.hop\n250 SIZE 20"}, {}, TOO_BIG),
    ],
)
def test_what_the_next_hop_cannot_take_is_not_offered(run, script, message, refusal):
    """Such a message bounces by our own decision, before MAIL, and the connection goes on."""
    [outcome, _], hop = attempt(run, script, number=2, **message)
    assert (outcome.kind, outcome.reply, outcome.is_local) == (Kind.PERMANENT, refusal, True)
    assert not any(line.startswith("MAIL") for line in hop.commands[0])
    assert hop.connections == 1


def test_an_idle_connection_is_closed_with_quit(run):
    """Without work a connection is kept five seconds, then QUIT is said."""

    async def test(house):
        async with NextHop() as hop:
            await house.deliver(house.queue(f"example.net!{hop.route}"))
            before = house.clock.elapsed
            await hop.until(lambda: hop.open == 0, limit=60)
            return round(house.clock.elapsed - before), hop.commands[0][-1]

    assert run(test) == (5, "QUIT")


def test_a_busy_connection_is_not_closed(run):
    """The five seconds begin anew with each message."""

    async def test(house):
        async with NextHop() as hop:
            queue = house.queue(f"example.net!{hop.route}")
            for _ in range(4):
                await house.deliver(queue)
                await house.sleep(3)
            return hop.connections

    assert run(test) == 1


def test_a_hanging_host_costs_a_bounded_time(run):
    """The final reply is waited for as long as the reference says."""

    async def test(house):
        async with NextHop({"content": Do.HANG}) as hop:
            [outcome] = await house.deliver(house.queue(f"example.net!{hop.route}"))
            return round(house.clock.elapsed), str(outcome.reply)

    assert run(test) == (300, "451 4.4.2 No reply in time at ., and the next hop may have the message")


def test_big_content(run):
    """A message far bigger than any buffer arrives whole."""
    content = b"Subject: big\r\n\r\n" + b"0123456789abcdef" * 64 * 1024 + b"\r\n"
    [outcome], hop = attempt(run, {"ehlo": PLAIN["ehlo"]}, content=content)
    assert outcome.kind is Kind.DELIVERED
    assert hop.taken[0].content == content


ZONE = {
    "example.net": {"MX": ["10 first.example.", "20 second.example."]},
    "first.example": {"A": ["127.0.0.1"]},
    "second.example": {"A": ["127.0.0.2"]},
}


@pytest.mark.parametrize("script", [case[0] for case in BANNER_TO_EHLO])
def test_the_next_host_on_host_trouble(run, script):
    """Where the first MX host is in trouble, the message goes to the second in the same session."""

    async def test(house):
        async with both(NextHop(script), NextHop(host="127.0.0.2")) as (first, second):
            queue = house.queue("example.net", smtp_port=first.port, prohibited_hosts=())
            outcomes = await house.deliver(queue)
            return outcomes[0].kind, outcomes[0].peer.name, first.connections, len(second.taken)

    assert run(test, zone=ZONE) == (Kind.DELIVERED, "second.example", 1, 1)


@pytest.mark.parametrize("step", ["421 4.3.2 Bye", Do.CLOSE, Do.HANG, "nonsense"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_the_next_host_in_a_transaction(run, stage, step):
    """A connection that breaks before the content has left costs nothing where there is another host."""

    async def test(house):
        async with both(NextHop({stage: step}), NextHop(host="127.0.0.2")) as (first, second):
            queue = house.queue("example.net", smtp_port=first.port, prohibited_hosts=())
            outcomes = await house.deliver(queue)
            return outcomes[0].kind, len(second.taken)

    assert run(test, zone=ZONE) == (Kind.DELIVERED, 1)


@pytest.mark.parametrize("step", [Do.CLOSE, Do.HANG, "nonsense"])
def test_no_other_host_after_the_final_dot(run, step):
    """Where the final reply is lost, the message may have arrived: it is not tried again at once."""

    async def test(house):
        async with both(NextHop({"content": step}), NextHop(host="127.0.0.2")) as (first, second):
            queue = house.queue("example.net", smtp_port=first.port, prohibited_hosts=())
            outcomes = await house.deliver(queue)
            return outcomes[0].kind, outcomes[0].is_unknown, second.connections

    assert run(test, zone=ZONE) == (Kind.TRANSIENT, True, 0)


def test_an_unreachable_first_host(run):
    """A first MX host that cannot be connected to costs no attempt, and is not tried first again at once."""

    async def test(house):
        async with both(NextHop(), NextHop(host="127.0.0.2")) as (first, second):
            zone = house.queue("example.net", smtp_port=second.port, prohibited_hosts=())
            await first.__aexit__()
            await house.deliver(zone)
            await hop_closed(second)
            outcomes = await house.deliver(zone)
            await first.__aenter__()
            return outcomes[0].kind, first.connections, second.connections

    async def hop_closed(hop):
        await hop.until(lambda: hop.open == 0, limit=60)

    assert run(test, zone=ZONE) == (Kind.DELIVERED, 0, 2)


CHUNKING = "250-next.hop\n250-PIPELINING\n250 CHUNKING"


def test_small_mail_leaves_in_one_piece(run):
    """A next hop that offers CHUNKING and PIPELINING gets the content behind its envelope, as it is."""
    [outcome], hop = attempt(run, {"ehlo": CHUNKING}, content=b"Subject: x\r\n\r\n.\r\n")
    assert (outcome.kind, outcome.stage) == (Kind.DELIVERED, Stage.CONTENT)
    assert hop.taken[0].content == b"Subject: x\r\n\r\n.\r\n"
    assert [line.split()[0] for line in hop.commands[0]] == ["EHLO", "MAIL", "RCPT", "BDAT", "QUIT"]


CHUNKED = [
    ({"mail": "550 5.7.1 No"}, Kind.PERMANENT, Stage.MAIL, Blame.MESSAGE, False),
    ({"rcpt": "550 5.1.1 Who"}, Kind.PERMANENT, Stage.RCPT, Blame.RECIPIENT, False),
    ({"rcpt": "450 4.2.1 Later"}, Kind.TRANSIENT, Stage.RCPT, Blame.RECIPIENT, False),
    ({"content": "554 5.6.0 No"}, Kind.PERMANENT, Stage.CONTENT, Blame.MESSAGE, False),
    ({"content": "452 4.3.1 Full"}, Kind.TRANSIENT, Stage.CONTENT, Blame.MESSAGE, False),
    ({"content": Do.CLOSE}, Kind.TRANSIENT, Stage.CONTENT, Blame.CONNECTION, True),
    ({"content": Do.HANG}, Kind.TRANSIENT, Stage.CONTENT, Blame.HOST, True),
    ({"mail": Do.HANG}, Kind.TRANSIENT, Stage.CONTENT, Blame.HOST, True),
    ({"rcpt": Do.CLOSE}, Kind.TRANSIENT, Stage.CONTENT, Blame.CONNECTION, True),
]


@pytest.mark.parametrize(("script", "kind", "stage", "blame", "is_unknown"), CHUNKED)
def test_content_that_went_ahead(run, script, kind, stage, blame, is_unknown):
    """What a next hop says means what it means with DATA; once it has spoken and leaves, or falls silent, it
    may have the message."""
    [outcome], _ = attempt(run, {"ehlo": CHUNKING, **script})
    assert (outcome.kind, outcome.stage, outcome.blame) == (kind, stage, blame)
    assert outcome.is_unknown is is_unknown


def test_who_leaves_without_a_word_has_not_read(run):
    """A connection that ends before any reply is tried again at once, though the content had left."""
    script = {"ehlo": CHUNKING, "mail": [Do.ACCEPT, Do.CLOSE]}
    outcomes, hop = attempt(run, script, {"ehlo": CHUNKING}, number=2)
    assert [outcome.kind for outcome in outcomes] == [Kind.DELIVERED, Kind.DELIVERED]
    assert [taken.connection for taken in hop.taken] == [0, 1]
