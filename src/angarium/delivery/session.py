"""One outgoing session: a walk along the hosts of a site until one takes the mail, message after message.

Promises: a message that a session holds gets exactly one outcome, or is given back untouched; the fault of
one host leads to the next one, never to a bounce. What replies mean, `outcome` decides; what comes next, the
site. The hot path is synchronous: `begin` puts a message on the wire, also while the session's task waits for
input of an idle connection; each wake-up handles all replies that have come, and writes once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol

from angarium.delivery.link import Link, Setup, Trouble
from angarium.delivery.outcome import (
    CANNOT_READ,
    GO_ON,
    RULINGS,
    SURPRISE,
    Blame,
    Cause,
    Kind,
    Outcome,
    Peer,
    Ruling,
    Stage,
    cut_reply,
    judge,
    judge_recipient,
    unfit,
)
from angarium.delivery.path import Then
from angarium.delivery.way import Target, Way
from angarium.mail.status import Reply
from angarium.queue.message import Message
from angarium.spool.errors import SpoolError
from angarium.wire.events import NEED_DATA
from angarium.wire.sender_events import (
    ContentReply,
    DataReply,
    MailReply,
    RcptReply,
    TransactionEnded,
)

log = logging.getLogger(__name__)


class Owner(Protocol):
    """The site, as a session sees it."""

    def opened(self, session: Session) -> None:
        """The first host has answered EHLO."""

    def next_for(self, session: Session) -> Message | Then:
        """What to do next: a message, IDLE or CLOSE."""

    def settle(self, message: Message, outcome: Outcome) -> None:
        """A message has its outcome."""

    def give_back(self, message: Message) -> None:
        """A message was taken but not tried."""

    def host_failed(self, peer: Peer) -> None:
        """A host is to be left alone for a while."""

    def ended(self, session: Session, trouble: Trouble | None) -> None:
        """The session is over; the trouble is None where nothing went wrong."""


class Session:
    """One session with a site. The site starts `run`, and may call `begin` and `leave` while it `is_idle`."""

    def __init__(self, ident: str, way: Way, targets: Sequence[Target], setup: Setup, owner: Owner) -> None:
        self.ident = ident
        self.way = way
        self.deliveries = 0
        """Messages handed over on the connection that it has now."""
        self.is_established = False
        self.is_idle = False
        self._targets = targets
        self._setup = setup
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._link = Link(targets[0], way, setup)
        self._message: Message | None = None
        self._is_reused = False
        """Something else was going on between the greeting and this transaction."""
        self._idle_since = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> Peer:
        """The host that it talks to, or tries to."""
        return self._link.peer

    @property
    def doing(self) -> str:
        """What it does now, for people."""
        return f"{'idle' if self.is_idle else self._link.stage.value} {self.peer}"

    def messages(self) -> Iterator[Message]:
        """What it has on the wire, or takes along the hosts."""
        if self._message is not None:
            yield self._message

    # --- the walk ---

    async def run(self) -> None:
        """Serve until there is nothing more to do, or no host is left."""
        trouble: Trouble | None = None
        try:
            trouble = await self._walk()
        except asyncio.CancelledError:
            self._settle_cut()
            raise
        except Exception:  # noqa: BLE001 - a surprise costs one attempt, never a message
            trouble = self._on_surprise()
        finally:
            self._hang_up()
            self._owner.ended(self, trouble)

    async def _walk(self) -> Trouble | None:
        trouble: Trouble | None = None
        for target in self._targets:
            try:
                await self._converse(target)
            except Trouble as error:
                trouble = error
                trouble.passage, trouble.peer = self._link.passage, self._link.peer
            else:
                return None
            finally:
                self._hang_up()
            if not self._goes_on(trouble):
                return trouble
        if trouble is not None:
            self._settle_trouble(trouble)
        return trouble

    def _goes_on(self, trouble: Trouble) -> bool:
        """Whether the next host is tried after this trouble."""
        if trouble.ruling.blame is Blame.HOST:
            self._owner.host_failed(self.peer)
        if self._message is None:
            return not self.is_established
        if trouble.stage is Stage.MAIL and self._is_reused and trouble.ruling.blame is Blame.CONNECTION:
            # The host had enough of this connection before it saw the message.
            self._owner.give_back(self._message)
            self._message = None
            return False
        if not trouble.ruling.tries_next_host:
            self._settle_trouble(trouble)
            return False
        return True

    def _settle_trouble(self, trouble: Trouble) -> None:
        if self._message is not None:
            self._settle(trouble.ruling, trouble.stage, trouble.reply, is_local=trouble.is_local)

    def _settle_cut(self) -> None:
        """Cut off at the end of the server: an attempt all the same, and at worst the message has left."""
        if self._message is not None:
            stage = self._link.stage
            ruling = Ruling(Blame.NOBODY, Kind.TRANSIENT, is_unknown=stage is Stage.CONTENT)
            self._settle(ruling, stage, cut_reply(stage), is_local=True)

    def _on_surprise(self) -> Trouble:
        """An error of our own: it costs one attempt."""
        log.exception("delivery session %s with %s", self.ident, self.peer)
        stage = self._link.stage
        trouble = Trouble(RULINGS[stage][Cause.LOST], stage, SURPRISE, is_local=True)
        self._settle_trouble(trouble)
        return trouble

    def _hang_up(self) -> None:
        self.is_idle = False
        self._link.drop()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    # --- one host ---

    async def _converse(self, target: Target) -> None:
        """Serve messages on one connection until the site says CLOSE. Raises Trouble."""
        link = self._link = Link(target, self.way, self._setup)
        self.deliveries = 0
        self._is_reused = False
        await link.open()
        if not self.is_established:
            self.is_established = True
            self._owner.opened(self)
        if self._message is None or not self._start(self._message):
            self._proceed()
        while True:
            link.flush()
            await link.receive()
            if not self._hear(link):
                return

    def _hear(self, link: Link) -> bool:
        """Handle everything that has come; False where the conversation is over. Raises Trouble."""
        while (event := link.sender.next_event()) is not NEED_DATA:
            handle = self._HANDLERS.get(type(event))
            if handle is not None:
                handle(self, event)
            elif self._message is None:
                return False  # the host or we have left, and no message is touched by it
            else:
                link.unexpected(event)
        return True

    def begin(self, message: Message) -> None:
        """Take a message while idle."""
        self.is_idle = False
        self._is_reused = True
        try:
            if not self._start(message):
                self._proceed()
            self._link.flush()
        except Exception:  # noqa: BLE001 - whoever brings a message has no part in what goes wrong here
            self._on_surprise()
            self._hang_up()

    def leave(self) -> None:
        """Say goodbye while nothing is going on."""
        self.is_idle = False
        self._link.say_goodbye()

    def _proceed(self) -> None:
        """The connection is free: put the next message on the wire, or be idle, or leave."""
        while not isinstance(step := self._owner.next_for(self), Then):
            if self._start(step):
                return
        if step is Then.CLOSE:
            self.leave()
        else:
            self._be_idle()

    def _start(self, message: Message) -> bool:
        """Put a message on the wire; False where it has its outcome already."""
        self._message = message
        try:
            envelope, content = message.envelope, message.content
        except SpoolError:
            self._settle(Ruling(Blame.MESSAGE, Kind.TRANSIENT), Stage.ROUTE, CANNOT_READ, is_local=True)
            return False
        refusal = unfit(envelope, content, self._link.offer)
        if refusal is not None:
            self._settle(Ruling(Blame.MESSAGE, Kind.PERMANENT), Stage.MAIL, refusal, is_local=True)
            return False
        self._link.start(envelope, content)
        return True

    def _be_idle(self) -> None:
        """Keep the connection for a while. One timer serves many short pauses."""
        self.is_idle = True
        self._idle_since = self._link.renew()
        if self._idle_timer is None:
            self._idle_timer = self._loop.call_later(self.way.options.idle_timeout, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_timer = None
        if not self.is_idle:
            return
        rest = self._idle_since + self.way.options.idle_timeout - self._loop.time()
        if rest > 0:
            self._idle_timer = self._loop.call_later(rest, self._check_idle)
        else:
            self.leave()

    # --- replies ---

    def _on_mail(self, event: MailReply) -> None:
        self._go_on(Stage.MAIL, judge(Stage.MAIL, event.reply), event.reply, Stage.RCPT)

    def _on_rcpt(self, event: RcptReply) -> None:
        self._go_on(Stage.RCPT, judge_recipient(event.reply, accepted_before=0), event.reply, Stage.DATA)

    def _on_data(self, event: DataReply) -> None:
        if event.reply.is_intermediate:
            assert self._message is not None
            self._link.reach(Stage.CONTENT, self._message.size)
        else:
            self._go_on(Stage.DATA, judge(Stage.DATA, event.reply), event.reply, Stage.DATA)

    def _on_content(self, event: ContentReply) -> None:
        ruling = judge(Stage.CONTENT, event.reply)
        if ruling is not GO_ON and ruling.ends_connection:
            raise Trouble(ruling, Stage.CONTENT, event.reply)
        self._settle(ruling, Stage.CONTENT, event.reply)

    def _on_end(self, _: TransactionEnded) -> None:
        """The connection is free again."""
        self._is_reused = True
        self._proceed()

    def _go_on(self, stage: Stage, ruling: Ruling, answer: Reply, next_stage: Stage) -> None:
        """Wait for the next reply, or settle the message by this one. Raises Trouble."""
        if ruling is GO_ON:
            if self._link.stage is not Stage.CONTENT:  # where it is out already, its reply is waited for
                self._link.reach(next_stage)
        elif ruling.ends_connection:
            raise Trouble(ruling, stage, answer)
        else:
            self._settle(ruling, stage, answer)

    def _settle(self, ruling: Ruling, stage: Stage, answer: Reply, *, is_local: bool = False) -> None:
        """The message has its outcome."""
        message, self._message = self._message, None
        assert message is not None
        if ruling.kind is Kind.DELIVERED:
            self.deliveries += 1
        outcome = Outcome(
            kind=ruling.kind,
            reply=answer,
            stage=stage,
            blame=ruling.blame,
            peer=self._link.peer,
            site=self.way.name,
            session_id=self.ident,
            is_local=is_local,
            is_unknown=ruling.is_unknown,
            passage=self._link.passage,
        )
        self._owner.settle(message, outcome)

    _HANDLERS: ClassVar[dict[type, Callable[[Session, Any], None]]] = {
        MailReply: _on_mail,
        RcptReply: _on_rcpt,
        DataReply: _on_data,
        ContentReply: _on_content,
        TransactionEnded: _on_end,
    }
