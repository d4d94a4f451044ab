"""One connection with one host: from connecting to the last reply, with a time limit at every stage.

Drives `wire.sender` over `net.connection`. Promises: whatever goes wrong is a Trouble that says at which
stage and what follows from it; a host that hangs, trickles or talks nonsense costs a bounded time; all that
is to be said at one moment leaves in one write. Knows nothing of queues, and judges nothing (`outcome` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn, TypeVar

import msgspec

from angarium.delivery.outcome import RULINGS, Cause, Offer, Peer, Ruling, Stage, fault_reply, judge
from angarium.mail.envelope import Envelope
from angarium.mail.status import Reply
from angarium.net.connection import Connection, ConnectionTrouble, TimedOut, connect
from angarium.wire.events import NEED_DATA
from angarium.wire.framing import Octets
from angarium.wire.sender import (
    Disconnected,
    EhloReply,
    Greeting,
    ProtocolError,
    Sender,
    SenderEvent,
    Unsolicited,
)

MIN_FLOW = 256 * 1024
"""Octets of content that a host takes in the time for one reply, or it counts as hanging."""

_Answer = TypeVar("_Answer", Greeting, EhloReply)


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds (RFC 5321 section 4.5.3.2; the reference's Q29)."""

    connect: float = 60.0
    banner: float = 60.0
    command: float = 300.0
    """For each reply from EHLO on, the final one included; content that flows has all the time it needs."""
    idle: float = 5.0
    """For which a connection without work is kept."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What every session needs."""

    ehlo_name: str
    clock: Callable[[], float]
    """Unix seconds."""
    make_id: Callable[[], str]
    timeouts: Timeouts = Timeouts()
    connect: Callable[..., Coroutine[Any, Any, Connection]] = connect


class Trouble(Exception):  # noqa: N818 - raised within a session, and told to its site as a value
    """A host or connection that cannot be used any longer."""

    def __init__(self, ruling: Ruling, stage: Stage, answer: Reply, *, is_local: bool = False) -> None:
        super().__init__(f"{stage.value}: {answer}")
        self.ruling = ruling
        self.stage = stage
        self.reply = answer
        self.is_local = is_local


class Link:
    """A connection to one host. `open` first; then transactions, while `receive` waits for what comes."""

    def __init__(self, peer: Peer, setup: Setup) -> None:
        self.peer = peer
        self.stage = Stage.CONNECT
        self.offer = Offer()
        self.sender = Sender(setup.ehlo_name)
        self._setup = setup
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._deadline = 0.0
        self._unsent = 0

    async def open(self) -> None:
        """Connect and say EHLO, or HELO to hosts that know no better. Raises Trouble."""
        await self._connect()
        timeouts = self._setup.timeouts
        self.stage = Stage.BANNER
        greeting = await self._expect(Greeting, timeouts.banner)
        self._require(greeting.reply)
        self.stage = Stage.EHLO
        self.sender.send_ehlo()
        answer = await self._expect(EhloReply, timeouts.command)
        if answer.reply.is_permanent:
            self.sender.send_helo()
            answer = await self._expect(EhloReply, timeouts.command)
        self._require(answer.reply)
        offered = answer.extensions
        self.offer = Offer(offered.size, offered.eight_bit, offered.smtputf8)

    async def _connect(self) -> None:
        peer = self.peer
        try:
            limit = self._setup.timeouts.connect
            self._connection = await self._setup.connect(peer.address, peer.port, limit=limit)
        except ConnectionTrouble as error:
            self.fault(Cause.TIMED_OUT if isinstance(error, TimedOut) else Cause.LOST, str(error))

    def _require(self, answer: Reply) -> None:
        """Go on only after 2yz. Raises Trouble."""
        ruling = judge(self.stage, answer)
        if ruling.ends_connection:
            raise Trouble(ruling, self.stage, answer)

    async def _expect(self, kind: type[_Answer], limit: float) -> _Answer:
        """Send what is to be sent, and wait for this answer to it. Raises Trouble."""
        self.flush()
        self._deadline = self._loop.time() + limit
        while (event := self.sender.next_event()) is NEED_DATA:
            await self.receive()
        if not isinstance(event, kind):
            self.unexpected(event)
        return event

    def start(self, envelope: Envelope, content: Sequence[Octets]) -> None:
        """Begin a transaction; `flush` sends it. Raises ValueError for an envelope that cannot be said."""
        self.stage = Stage.MAIL
        self.sender.start_transaction(envelope, content)
        self.renew()

    def reach(self, stage: Stage, size: int = 0) -> None:
        """A stage is reached; with CONTENT, so many octets are on their way."""
        self.stage = stage
        self._unsent = size
        self.renew()

    def renew(self) -> None:
        """The time for the next reply begins."""
        self._deadline = self._loop.time() + self._setup.timeouts.command

    async def receive(self) -> None:
        """Let the sender have what comes. Raises Trouble."""
        assert self._connection is not None
        try:
            data = await self._connection.receive(self._deadline - self._loop.time())
        except TimedOut:
            if not self._has_time():
                self.fault(Cause.TIMED_OUT)
            return
        except ConnectionTrouble as error:
            self.fault(Cause.LOST, str(error))
        if data:
            self.sender.receive_data(data)
        else:
            self.sender.receive_eof()

    def _has_time(self) -> bool:
        """Whether the wait may go on: work began while waiting, or content still flows."""
        assert self._connection is not None
        unsent = self._connection.transport.get_write_buffer_size()
        if unsent <= self._unsent - MIN_FLOW:
            self.renew()
        self._unsent = unsent
        return self._loop.time() < self._deadline

    def unexpected(self, event: SenderEvent) -> NoReturn:
        """The host has gone, or said what is no answer. Raises Trouble."""
        match event:
            case Disconnected():
                self.fault(Cause.LOST)
            case ProtocolError():
                self.fault(Cause.GARBLED, event.text)
            case Unsolicited():
                raise Trouble(RULINGS[self.stage][Cause.CLOSING], self.stage, event.reply)
            case _:
                self.fault(Cause.GARBLED, f"{type(event).__name__} out of turn")

    def fault(self, cause: Cause, detail: str = "") -> NoReturn:
        """Something other than a reply has come of the stage. Raises Trouble."""
        answer = fault_reply(self.stage, cause, detail)
        raise Trouble(RULINGS[self.stage][cause], self.stage, answer, is_local=True)

    def flush(self) -> None:
        """Write all that waits, in one go."""
        parts = self.sender.data_to_send()
        if parts and self._connection is not None:
            self._connection.write_parts(parts)

    def say_goodbye(self) -> None:
        """Say QUIT without waiting for the answer, and close when it has left."""
        self.sender.send_quit()
        self.flush()
        if self._connection is not None:
            self._connection.close()

    def drop(self) -> None:
        """Close at once: what a broken connection has not sent by now it will never send."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None
