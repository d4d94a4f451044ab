"""The door out: what the records of attempts count."""

from types import SimpleNamespace

import msgspec
import pytest

from angarium.delivery.outcome import EXPIRED, Stage, cut_reply
from angarium.queue.settle import Verdict
from tests.queue.rooms import outcome
from tests.queue.test_watchdog import run

__all__ = ["run"]

TRANSIENT = SimpleNamespace(value="transient")


@pytest.mark.parametrize(
    ("kind", "code", "record_type"),
    [("delivered", 250, "Delivery"), ("permanent", 550, "Bounce"), ("transient", 451, "TransientFailure")],
)
def test_each_record_counts_its_own_attempt(run, kind, code, record_type):
    """The first attempt is number 1, however it ends."""

    async def test(rooms, clock):
        rooms.settle(await rooms.accept(), outcome(kind, code))
        await rooms.quiet()
        [record] = [r for r in rooms.writer.seen if r.type == record_type]
        assert record.num_attempts == 1

    run(test)


def test_an_attempt_that_was_cut_off_is_one(run):
    """What the end of the server has cut off is recorded, counted and kept: a TransientFailure."""

    async def test(rooms, clock):
        ident = await rooms.accept()
        rooms.settle(ident, Verdict(kind=TRANSIENT, reply=cut_reply(Stage.CONTENT), was_attempted=True))
        [record] = [r for r in rooms.writer.seen if r.type == "TransientFailure"]
        assert (record.num_attempts, record.bounce_classification) == (1, "TransientFailure")
        assert "may have the message" in record.response.content
        assert len(rooms.scheduler) == 1

    run(test)


def test_an_expiry_without_an_answer_quotes_none(run):
    """Where nobody answered, an Expiration tells the trouble and not an answer."""

    async def test(rooms, clock):
        ident = await rooms.accept()
        [message] = rooms.yard.messages()
        message.make_special().expires = clock.now()
        rooms.settle(ident, Verdict(kind=TRANSIENT, reply=EXPIRED))
        await rooms.quiet()
        [record] = [r for r in rooms.writer.seen if r.type == "Expiration"]
        assert "0 attempts; the last trouble was 451 4.4.7" in record.response.content

    run(test)


def test_what_is_not_tried_has_its_turn_later(run):
    """A message whose site is free again by the time it is settled does not go round and round at once."""

    async def test(rooms, clock):
        ident = await rooms.accept()
        verdict = Verdict(kind=TRANSIENT, reply=EXPIRED, retry_after=clock.now())
        rooms.settle(ident, verdict)
        assert rooms.scheduler.find(ident).is_waiting
        assert rooms.scheduler.find(ident).due == clock.now() + 1

    run(test)


def test_a_delay_is_told_though_nothing_was_tried(run):
    """A sender who is to hear of a delay hears of it too where the site is left alone."""

    async def test(rooms, clock):
        ident = await rooms.accept(sender="a@customer.example")
        message = rooms.scheduler.find(ident)
        message.queue.config = msgspec.structs.replace(message.queue.config, dsn_delay=60.0)
        clock.elapsed += 61
        rooms.settle(ident, Verdict(kind=TRANSIENT, reply=EXPIRED, retry_after=clock.now() + 60))
        await rooms.settlement.close()
        assert [message.recipient.address.domain for message in rooms.yard.messages()] == ["customer.example"]

    run(test)
