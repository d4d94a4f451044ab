"""The load generator against a sink that misbehaves by rules."""

import asyncio
import socket
from typing import Any

import pytest
import uvloop

from angarium.testing.load import Load, Results
from angarium.testing.mixture import LoadOptions
from angarium.testing.rules import Action
from angarium.testing.sink import SinkOptions

from .serving import serving

KEEPING = SinkOptions(keeps_content=True)


def send(address: tuple[str, int], **options: Any) -> Results:
    host, port = address
    options = {"connections": 4, "messages": 40, "timeout": 5.0, "retry_wait": 0.001} | options
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(Load(LoadOptions(host=host, port=port, **options)).run())


@pytest.mark.parametrize("pipelining", [True, False])
def test_every_message_arrives_once(pipelining: bool):
    """As many messages as asked for arrive, each with a Message-ID of its own and the size asked for."""
    with serving() as (sink, received):
        results = send(sink.address, pipelining=pipelining, sizes=((2000, 1.0),), recipients_per_message=2)
    assert (results.accepted, results.failed, results.recipients) == (40, 0, 80)
    assert {message.size for message in received} == {2000}
    assert len({message.content.split(b"\r\n")[0] for message in received}) == 40
    assert results.times.count == 40
    assert results.octets == 80_000


def test_octets_are_those_of_the_content():
    """What is counted is what arrives, also where a size is smaller than a header section."""
    with serving() as (sink, received):
        results = send(sink.address, sizes=((1, 1.0), (300, 1.0), (301, 1.0)))
    assert results.octets == sum(len(message.content) for message in received)


def test_weights_make_the_mixture():
    """Sizes and recipients come up as often as their weights say."""
    with serving() as (sink, received):
        send(
            sink.address,
            messages=400,
            sizes=((1000, 3.0), (5000, 1.0)),
            recipients=(("r@a.example", 9.0), ("r@b.example", 1.0)),
            seed=3,
        )
    assert 250 < sum(message.size == 1000 for message in received) < 350
    assert 20 < sum(message.recipients == ("r@b.example",) for message in received) < 60


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("rule", "error"),
    [
        ("mail=450 4.1.8 No", "mail: 450 4.1.8 No"),
        ("rcpt=550 5.1.1 No", "rcpt: 550 5.1.1 No"),
        ("data=451 4.3.0 No", "data: 451 4.3.0 No"),
        ("content=552 5.3.4 No", "content: 552 5.3.4 No"),
        ("rcpt=421 4.3.2 Bye", "rcpt: 421 4.3.2 Bye"),
    ],
)
def test_refusals_are_counted_by_reply(rule: str, error: str, pipelining: bool):
    """A refused message is failed, once, under the reply that refused it; then come the next."""
    with serving((Action.REFUSE, rule)) as (sink, received):
        results = send(sink.address, connections=1, messages=3, pipelining=pipelining)
    assert (results.accepted, results.failed, dict(results.errors)) == (0, 3, {error: 3})
    assert received == []


@pytest.mark.parametrize("pipelining", [True, False])
def test_one_refused_recipient_of_two(pipelining: bool):
    """A message with one good recipient is accepted; the refusal of the other is counted."""
    with serving((Action.REFUSE, "rcpt:bad@*=550 5.1.1 No")) as (sink, received):
        results = send(
            sink.address,
            pipelining=pipelining,
            messages=60,
            recipients=(("bad@x.example", 1.0), ("good@x.example", 1.0)),
            recipients_per_message=2,
            seed=1,
        )
    assert results.accepted == len(received) > 20
    assert results.accepted + results.failed == 60
    assert results.recipients + results.errors["rcpt: 550 5.1.1 No"] == 120


def test_lost_connections_are_made_anew():
    """A connection that ends in the middle costs one message, and the next goes over a new one."""
    with serving((Action.DROP, "content:0.3")) as (sink, received):
        results = send(sink.address)
    assert results.accepted == len(received)
    assert results.failed == results.errors["content: connection lost"] > 0
    assert results.accepted + results.failed == 40


def test_a_silent_server_is_left():
    """A server that never answers costs `timeout`, and is counted as that."""
    with serving((Action.HANG, "data")) as (sink, _):
        results = send(sink.address, connections=1, messages=1, timeout=0.05)
    assert dict(results.errors) == {"data: no answer": 1}
    assert results.failed == 1


def test_messages_per_connection():
    """After so many messages a connection is closed and another made."""
    with serving() as (sink, _):
        results = send(sink.address, connections=1, messages=9, messages_per_connection=2)
    assert results.connections == sink.counters.connections == 5
    assert results.accepted == 9


def test_a_rate_is_kept():
    """Messages begin at the rate asked for, however fast the server is."""
    with serving() as (sink, _):
        results = send(sink.address, messages=20, rate=200.0)
    assert results.accepted == 20
    assert results.seconds >= 18 / 200  # timers have milliseconds


def test_a_stall_cannot_hide():
    """At a rate, a message's time counts from when it was due: the wait behind a slow one is in it."""
    with serving((Action.DELAY, "content=50ms")) as (sink, _):
        results = send(sink.address, connections=1, messages=5, rate=1000.0)
    assert results.times.largest >= 5 * 0.05 - 0.005


def test_no_message_is_faster_than_its_server():
    """At a rate, too, no time is shorter than what the server took."""
    with serving((Action.DELAY, "content=20ms")) as (sink, _):
        results = send(sink.address, messages=40, rate=150.0)
    assert results.accepted == 40
    assert results.times.doublings()[0][0] >= 0.02


def test_a_duration_ends_the_run():
    """A run of a tenth of a second ends after about that, with nothing failed."""
    with serving() as (sink, received):
        results = send(sink.address, messages=None, duration=0.1)
    assert results.seconds < 2
    assert results.accepted == len(received) > 0
    assert results.failed == 0


def test_nobody_there():
    """Where nobody listens, the run ends by itself and says so."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        results = send(free.getsockname(), connections=1)
    assert results.accepted == 0
    assert list(results.errors) == ["connect: Connection refused"]


def test_a_refused_greeting():
    """A server that will not talk to us is counted, and not asked for ever."""
    with serving((Action.REFUSE, "connect=554 5.7.1 No")) as (sink, _):
        results = send(sink.address, connections=1)
    assert list(results.errors) == ["greeting: 554 5.7.1 No"]
    assert results.accepted == 0


def test_content_in_chunks():
    """By BDAT each message arrives once and as large as asked for; a refused one is counted by its reply."""
    with serving((Action.REFUSE, "rcpt:bad@*=550 5.1.1 No")) as (sink, received):
        results = send(
            sink.address,
            chunking=True,
            sizes=((2000, 1.0),),
            recipients=(("bad@x.example", 1.0), ("good@x.example", 1.0)),
            seed=1,
        )
    assert results.accepted == len(received) > 10
    assert results.failed == results.errors["rcpt: 550 5.1.1 No"] == 40 - results.accepted
    assert {message.size for message in received} == {2000}


def test_chunks_only_where_they_are_offered():
    """A server without CHUNKING gets DATA."""
    options = SinkOptions(keeps_content=True, extensions=("PIPELINING",))
    with serving((Action.REFUSE, "data=451 no"), options=options) as (sink, _):
        results = send(sink.address, chunking=True, messages=2)
    assert dict(results.errors) == {"data: 451 no": 2}


@pytest.mark.parametrize("header", [1000, 20_000])
def test_a_header_section_of_a_size(header: int):
    """`header` octets of a message are its header section, within a line; the message stays as large."""
    with serving(options=KEEPING) as (sink, received):
        send(sink.address, messages=1, connections=1, sizes=((30_000, 1.0),), header=header)
    (message,) = received
    assert len(message.content) == 30_000
    assert header - 10 <= len(message.content.partition(b"\r\n\r\n")[0]) + 4 <= header
