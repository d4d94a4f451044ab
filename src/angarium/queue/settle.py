"""The door out: what an attempt's outcome does to a message. Records it, and finishes, reschedules or returns
it.

Promises: every outcome has its record; a message that fails or expires is finished only when its record, and
the notice to its sender where one is due, are on stable storage; nothing is rescheduled beyond its age.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from angarium.log.records import Record, RecordType
from angarium.log.writer import LogError, Writer
from angarium.mail.status import Reply, reply
from angarium.policy.config import Configuration
from angarium.policy.retry import next_attempt
from angarium.policy.schedule import schedule_of
from angarium.queue.dsn import make_notice, owed_success, owes_delay, owes_failure
from angarium.queue.intake import Arrival, Intake, NoCustody
from angarium.queue.message import Message, State, encode
from angarium.queue.notice import Action
from angarium.queue.passage import Passage
from angarium.queue.records import delay_record, delivery_record, rebind_record
from angarium.queue.scheduled import Scheduler
from angarium.spool.errors import SpoolError
from angarium.spool.keeper import Keeper

log = logging.getLogger(__name__)

TROUBLE_PAUSE = 60.0
"""Seconds until a message that could not be finished, since the log or the spool failed, is looked at again.
"""

UNTRIED_PAUSE = 1.0
"""Seconds, at least, until a message that was not tried is handed out again."""


class Host(Protocol):
    """The host that an attempt reached."""

    @property
    def name(self) -> str:
        """Its name, as the route has it."""

    @property
    def address(self) -> str:
        """Its IP address."""


class _Host(NamedTuple):
    """The host that an attempt reached before."""

    name: str
    address: str


class Kind(Protocol):
    """What becomes of the message."""

    @property
    def value(self) -> str:
        """`delivered`, `transient` or `permanent`."""


class Outcome(Protocol):
    """What settling needs of what delivery found out."""

    @property
    def kind(self) -> Kind:
        """What becomes of the message."""

    @property
    def reply(self) -> Reply:
        """What the next hop said, or what we say of it."""

    @property
    def is_local(self) -> bool:
        """Whether the reply is ours, and no next hop's words."""

    @property
    def peer(self) -> Host | None:
        """The host, where one was reached."""

    @property
    def site(self) -> str:
        """The site's name."""

    @property
    def session_id(self) -> str:
        """The outgoing session's."""

    @property
    def passage(self) -> Passage | None:
        """How it left, or would have; None where it never came so far."""

    @property
    def was_attempted(self) -> bool:
        """Whether a host was tried; else the site was left alone, or the message waited too long."""

    @property
    def is_unknown(self) -> bool:
        """Whether the next hop may have the message all the same."""

    @property
    def retry_after(self) -> float | None:
        """The earliest time of the next attempt, Unix seconds, where delivery knows one."""


class _Failed:
    """The kind of what fails without an attempt."""

    value = "permanent"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome that no attempt had: the message's time is over, or an operator decided."""

    reply: Reply
    kind: Kind = _Failed()
    peer: Host | None = None
    site: str = ""
    session_id: str = ""
    is_local: bool = True
    was_attempted: bool = False
    is_unknown: bool = False
    retry_after: float | None = None
    passage: Passage | None = None


class Settlement:
    """Settles attempts. `entropy` gives numbers in [0, 1)."""

    def __init__(
        self,
        store: Keeper,
        writer: Writer,
        scheduler: Scheduler,
        intake: Intake,
        *,
        configuration: Callable[[], Configuration],
        clock: Callable[[], float],
        entropy: Callable[[], float],
    ) -> None:
        self._store = store
        self._writer = writer
        self._scheduler = scheduler
        self._intake = intake
        self._configuration = configuration
        self._clock = clock
        self._entropy = entropy
        self._tasks: set[asyncio.Task[None]] = set()
        self.when_full: Callable[[], None] = lambda: None
        """Called where the next message that ends may find no room in the spool."""
        self.finishing: set[Message] = set()
        """Messages that are over as soon as that is on stable storage."""

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Take note of what became of an attempt.

        Trouble, of whatever kind, costs a pause, not the message.
        """
        try:
            message.attempts += outcome.was_attempted
            kind = outcome.kind.value
            if kind == "delivered":
                self._delivered(message, outcome)
            elif kind == "permanent":
                self._fail(message, outcome, "Bounce")
            else:
                self._defer(message, outcome)
        except SpoolError as error:
            log.error("message %s cannot be read from the spool: %s", message.ident, error)
            self._look_again(message)
        except Exception:
            log.exception("message %s could not be settled", message.ident)
            self._look_again(message)

    def _delivered(self, message: Message, outcome: Outcome) -> None:
        """The message is over, even where that cannot be recorded: nobody may deliver it again."""
        try:
            self._write(self._account("Delivery", message, outcome))
        except Exception:
            log.exception("the Delivery record of message %s is lost", message.ident)
        try:
            if (action := owed_success(message, outcome)) is not None:
                self._tell(self._notice(message, outcome, action))
        except Exception:
            log.exception("nobody is told of the success of message %s", message.ident)
        self._finish(message)

    def _look_again(self, message: Message) -> None:
        message.due = self._clock() + TROUBLE_PAUSE
        self._scheduler.add(message)

    def _account(
        self, record_type: RecordType, message: Message, outcome: Outcome, answer: Reply | None = None
    ) -> Record:
        return delivery_record(record_type, message, outcome, self._configuration(), self._clock(), answer)

    def _write(self, record: Record) -> None:
        try:
            self._writer.write(record)
        except LogError as error:
            log.error("a record is lost to the log: %s", error)

    def _finish(self, message: Message) -> None:
        self._store.finish(message.place, message.ident)
        self._scheduler.finish(message)
        if not self._store.can_finish:
            self.when_full()

    @property
    def can_finish(self) -> bool:
        """Whether a message that ends now is sure to have ended after a restart too."""
        return self._store.can_finish

    def _defer(self, message: Message, outcome: Outcome) -> None:
        """Try again later, unless it would be too old by then."""
        now = self._clock()
        if outcome.was_attempted:
            self._write(self._account("TransientFailure", message, outcome))
        due = self._next_due(message, outcome, now)
        if due is None and not outcome.was_attempted and outcome.peer is None:
            self.expire(message, outcome.reply)
            return
        if due is None:
            self._fail(message, outcome, "Expiration")
            return
        message.due = due
        if not outcome.was_attempted:
            self.tell_delay(message, f"{outcome.site} is left alone: {outcome.reply}", due)
        if owes_delay(message, now):
            message.make_special().delay_told = True
            self._tell(self._notice(message, outcome, Action.DELAYED))
        last = message.queue.last = " ".join(str(outcome.reply).split())
        peer = outcome.peer
        host = None if peer is None else (peer.name, peer.address)
        state = message.state(last, host, is_local=outcome.is_local)
        self._store.note(message.place, message.ident, encode(state))
        self._scheduler.add(message)

    def tell_sender_of_wait(self, message: Message, why: Reply) -> None:
        """Tell the sender of a message that waits untried, where that is due. Raises SpoolError."""
        if owes_delay(message, self._clock()):
            message.make_special().delay_told = True
            self._tell(self._notice(message, Verdict(reply=why), Action.DELAYED))
            self.note(message)

    def tell_sender_of_delay(self, message: Message) -> None:
        """Tell the sender of a message that waits for its next attempt, where that is due before it."""
        after, special = message.queue.config.dsn_delay, message.special
        now = self._clock()
        if after is None or now - message.created < after or (special and special.delay_told):
            return
        last = _last(message)
        if last is None:
            return
        try:
            if owes_delay(message, now):
                self._tell(self._notice(message, last, Action.DELAYED))
        except SpoolError as error:
            log.error("the sender of message %s is told of no delay: %s", message.ident, error)
            return
        message.make_special().delay_told = True  # told, or not to be told: nobody asks again
        self.note(message)
        message.forget()

    def tell_rebind(self, message: Message, was: str, reason: str) -> None:
        """Record that a message was moved to another queue."""
        self._write(rebind_record(message, was, reason, self._configuration(), self._clock()))

    def note(self, message: Message) -> None:
        """Let the spool remember what has changed of a message that waits."""
        was = message.last_state() or State(0, 0.0)
        state = message.state(was.last, was.last_host, is_local=was.last_is_local)
        self._store.note(message.place, message.ident, encode(state))

    async def synced(self) -> None:
        """Return when all that has changed so far is on stable storage. Raises SpoolError."""
        await self._store.commit()

    def tell_delay(self, message: Message, reasons: str, due: float | None) -> None:
        """Record that a message waits for another reason than a failed attempt: until it is due, or, with
        None, until an operator lets it go.
        """
        self._write(delay_record(message, reasons, self._configuration(), self._clock(), due))

    def _next_due(self, message: Message, outcome: Outcome, now: float) -> float | None:
        config, expires = message.queue.config, message.expires
        due = next_attempt(max(message.attempts, 1), now, expires, config, self._entropy())
        if not outcome.was_attempted and outcome.retry_after is not None:
            due = max(outcome.retry_after, now + UNTRIED_PAUSE) if outcome.retry_after <= expires else None
        schedule = schedule_of(message.meta)
        if due is None or schedule is None:
            return due
        opens = schedule.next_open(due)
        return opens if opens <= expires else None

    # What cannot be delivered

    def expire(self, message: Message, why: Reply) -> None:
        """End a message that neither waits nor is tried, since it is too old, or somebody says so.

        What its last attempt met is told as for every other that expires, and why it ends beside it.
        """
        last = _last(message)
        if last is None:
            self._fail(message, Verdict(reply=why), "Expiration")
        else:
            self._fail(message, last, "Expiration", remark=why)

    def bounce(self, message: Message, answer: Reply, *, tells_sender: bool = True) -> None:
        """Fail a message that neither waits nor is tried, since an operator says so.

        The record has the answer alone; the notice also what the last attempt met.
        """
        self._fail(message, Verdict(reply=answer), "AdminBounce", tells_sender=tells_sender)

    def _fail(
        self,
        message: Message,
        outcome: Outcome,
        record_type: RecordType,
        *,
        tells_sender: bool = True,
        remark: Reply | None = None,
    ) -> None:
        self.finishing.add(message)
        work = self._return(message, outcome, record_type, tells_sender=tells_sender, remark=remark)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._returned(message, task))

    def _returned(self, message: Message, task: asyncio.Task[None]) -> None:
        """A message that has failed, but for a surprise, is looked at again."""
        self._tasks.discard(task)
        self.finishing.discard(message)
        if not task.cancelled() and (surprise := task.exception()) is not None:
            log.error("message %s could not be finished", message.ident, exc_info=surprise)
            self._look_again(message)

    async def _return(
        self,
        message: Message,
        outcome: Outcome,
        record_type: RecordType,
        *,
        tells_sender: bool,
        remark: Reply | None,
    ) -> None:
        """Record a failure, tell the sender where that is due, and only then finish the message.

        The notice comes last, so that trouble with the log does not send a second one.
        """
        now = self._clock()
        expired = record_type == "Expiration"
        answer = _expiry(message, outcome, now, remark) if expired else outcome.reply
        try:
            self._writer.write(self._account(record_type, message, outcome, answer))
            await self._writer.sync()
            if tells_sender and self._owes_notice(message):
                if record_type == "AdminBounce" and (last := _last(message)) is not None:
                    outcome, remark = last, answer
                notice = self._notice(message, outcome, Action.FAILED, expired=expired, remark=remark)
                await self._intake.take([notice])
        except (NoCustody, LogError, SpoolError) as trouble:
            log.error("message %s has failed and cannot be finished now: %s", message.ident, trouble)
            self._look_again(message)
            return
        self._finish(message)

    def _owes_notice(self, message: Message) -> bool:
        """Whether the sender is told; not of a message that can no longer be read."""
        try:
            return owes_failure(message)
        except SpoolError as error:
            log.error("message %s ends unread: %s", message.ident, error)
            return False

    def _notice(
        self,
        message: Message,
        outcome: Outcome,
        action: Action,
        *,
        expired: bool = False,
        remark: Reply | None = None,
    ) -> Arrival:
        return make_notice(
            message,
            outcome,
            action,
            ident=self._intake.new_ident(),
            configuration=self._configuration(),
            now=self._clock(),
            expired=expired,
            remark=remark,
        )

    def _tell(self, notice: Arrival) -> None:
        """Send a notice about a message that goes on, or is over; when it cannot be kept, nobody is told."""
        task = asyncio.get_running_loop().create_task(self._take_notice(notice))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_notice(self, notice: Arrival) -> None:
        try:
            await self._intake.take([notice])
        except NoCustody as trouble:
            log.error("a notice to %s is lost: %s", notice.envelope.recipients[0].address, trouble)

    async def close(self) -> None:
        """Wait for what is being finished."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _last(message: Message) -> Verdict | None:
    """What the last attempt met, as far as the spool knows; None where nothing was tried."""
    try:
        state = message.last_state()
    except SpoolError as error:
        log.error("what message %s was told last cannot be read: %s", message.ident, error)
        return None
    if state is None or state.last is None:
        return None
    code, _, text = state.last.partition(" ")
    peer = None if state.last_host is None else _Host(*state.last_host)
    return Verdict(reply=reply(int(code), text), peer=peer, is_local=state.last_is_local)


def _expiry(message: Message, last: Outcome, now: float, remark: Reply | None) -> Reply:
    """The reference's 551 5.4.7, with the last thing the next hop said, or we of it."""
    age, what = int(now - message.created), "trouble" if last.is_local else "answer"
    said = " ".join(str(last.reply).split())
    why = "" if remark is None else f"; {' '.join(remark.text.split())}"
    return reply(
        551, f"5.4.7 expired after {age} s and {message.attempts} attempts; the last {what} was {said}{why}"
    )
