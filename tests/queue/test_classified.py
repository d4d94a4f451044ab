"""What this server says itself has a class of its own, whatever the rules for others' words make of it."""

from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from angarium.delivery.outcome import (
    LOOP,
    NULL_MX,
    PROHIBITED,
    TOO_BIG,
    Cause,
    Stage,
    fault_reply,
)
from angarium.queue.settle import Verdict
from angarium.reports.classify import Classifier
from tests.queue.rooms import outcome
from tests.queue.test_watchdog import run

__all__ = ["run"]

EVERYTHING_IS_SPAM = Classifier.load([("mine.toml", "[rules]\nSpamBlock = ['.']\n")])

SAID = [
    (
        fault_reply(Stage.CONNECT, Cause.LOST, "cannot connect to 192.0.2.1: Connection refused"),
        "NoAnswerFromHost",
    ),
    (fault_reply(Stage.BANNER, Cause.GARBLED, "a line that is too long"), "ProtocolErrors"),
    (fault_reply(Stage.CONTENT, Cause.TIMED_OUT), "BadConnection"),
    (NULL_MX, "BadDomain"),
    (PROHIBITED, "RoutingErrors"),
    (LOOP, "RoutingErrors"),
    (TOO_BIG, "QuotaIssues"),
]


@pytest.mark.parametrize(("answer", "expected"), SAID)
@pytest.mark.parametrize("is_local", [True, False])
def test_our_own_words_are_not_put_to_rules(run, answer, expected, is_local):
    """A fault that this server found has a fixed class; the same words of a next hop have the rules'."""

    async def test(rooms, clock):
        rooms.configuration = replace(rooms.configuration, classifier=EVERYTHING_IS_SPAM)
        kind = SimpleNamespace(value="permanent" if answer.is_permanent else "transient")
        said = Verdict(kind=kind, reply=answer, is_local=is_local, was_attempted=True)
        rooms.settle(await rooms.accept(), said)
        await rooms.quiet()
        [record] = [r for r in rooms.writer.seen if r.type in ("Bounce", "TransientFailure")]
        assert record.bounce_classification == (expected if is_local else "SpamBlock")

    run(test)


def test_an_expiry_quotes_without_being_what_it_quotes(run):
    """A message that has grown too old has the class of that, whatever the next hop said last."""

    async def test(rooms, clock):
        ident = await rooms.accept()
        [message] = rooms.yard.messages()
        message.make_special().expires = clock.now()
        rooms.settle(ident, outcome("transient", 451, "4.7.1 blocked for spam"))
        await rooms.quiet()
        [record] = [r for r in rooms.writer.seen if r.type == "Expiration"]
        assert record.bounce_classification == "MessageExpired"

    run(test)
