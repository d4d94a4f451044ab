"""One connection with one host: from connecting over TLS and AUTH to the last reply, with time limits.

Drives `wire.sender` over `net.connection`. Promises: whatever goes wrong is a Trouble that says at which
stage and what follows from it; a host that hangs, trickles or talks nonsense costs a bounded time; all that
is to be said at one moment leaves in one write; a handshake that nothing depends on and that fails leads to
clear text, never to a bounce; credentials go to those who have proved who they are, and nowhere else.
Knows nothing of queues, and judges nothing (`outcome` does).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from ipaddress import ip_address
from typing import Any, NoReturn, TypeVar

import msgspec

from angarium.delivery.outcome import RULINGS, Cause, Offer, Peer, Ruling, Stage, fault_reply, judge
from angarium.delivery.plan import Demand
from angarium.delivery.way import Target, Way
from angarium.mail.envelope import Envelope
from angarium.mail.status import Reply, reply
from angarium.net.connection import Connection, ConnectionTrouble, TimedOut, connect
from angarium.net.dane import is_promised
from angarium.net.tls import TlsError, TlsFacts, client_context
from angarium.policy.shaping import Credentials
from angarium.queue.passage import Passage
from angarium.wire.events import NEED_DATA
from angarium.wire.framing import Octets
from angarium.wire.sender import Sender
from angarium.wire.sender_events import (
    AuthReply,
    Disconnected,
    EhloReply,
    Greeting,
    ProtocolError,
    SenderEvent,
    StartTlsReply,
    Unsolicited,
)
from angarium.wire.sender_events import Stage as Awaited

HANDSHAKE_PAUSE = 600.0
"""Seconds for which a host whose handshake failed gets clear text, where that is allowed."""
MAX_FAILED_HANDSHAKES = 10_000
MECHANISMS = ("PLAIN", "LOGIN")
"""For AUTH, in the order in which we like them."""
LF_TIME = 1.0
"""Seconds that the rest of a reply may take whose line has come to a bare LF."""
MIN_FLOW = 256 * 1024
"""Octets of content that a host takes in the time for one reply, or it counts as hanging."""

_Answer = TypeVar("_Answer", Greeting, EhloReply, StartTlsReply, AuthReply)


class FailedHandshakes:
    """Where opportunistic TLS came to nothing lately, and why: it is not tried each time."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, str]] = {}

    def add(self, peer: Peer, why: str, now: float) -> None:
        """Remember a handshake that failed."""
        if len(self._known) >= MAX_FAILED_HANDSHAKES:
            self._known.pop(next(iter(self._known)))
        self._known[peer.address, peer.port] = (now + HANDSHAKE_PAUSE, why)

    def why_not(self, peer: Peer, now: float) -> str:
        """Why a handshake is not worth a try now; "" where it is."""
        until, why = self._known.get((peer.address, peer.port), (0.0, ""))
        return why if until > now else ""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What every session needs."""

    ehlo_name: str
    clock: Callable[[], float]
    """Unix seconds."""
    make_id: Callable[[], str]
    connect: Callable[..., Coroutine[Any, Any, Connection]] = connect
    handshakes: FailedHandshakes = msgspec.field(default_factory=FailedHandshakes)


class Trouble(Exception):  # noqa: N818 - raised within a session, and told to its site as a value
    """A host or connection that cannot be used any longer."""

    def __init__(self, ruling: Ruling, stage: Stage, answer: Reply, *, is_local: bool = False) -> None:
        super().__init__(f"{stage.value}: {answer}")
        self.passage: Passage | None = None
        self.peer: Peer | None = None
        """The host that it came from, or that was tried."""
        self.cause: Cause | None = None
        """What came of the stage, where that was no reply."""
        self.ruling = ruling
        self.stage = stage
        self.reply = answer
        self.is_local = is_local


class Link:
    """A connection to one host. `open` first; then transactions, while `receive` waits for what comes."""

    def __init__(self, target: Target, way: Way, setup: Setup) -> None:
        self.peer = target.peer
        self.stage = Stage.CONNECT
        self.offer = Offer()
        self.passage = way.passage
        """How mail leaves by this connection, as far as that is known."""
        self._way = way
        self._options = way.options
        self._demand = target.demand
        self._setup = setup
        self.sender = self._new_sender()
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._deadline = 0.0
        self._unsent = 0

    def _new_sender(self) -> Sender:
        source = self._way.source
        name = self._options.ehlo_domain or (source.ehlo_domain if source else None)
        return Sender(name or self._setup.ehlo_name, lmtp=self._way.is_lmtp, chunking=self._options.chunking)

    async def open(self) -> None:
        """Connect, say EHLO, and do what else has to come before MAIL. Raises Trouble."""
        await self._connect()
        self.stage = Stage.BANNER
        greeting = await self._expect(Greeting, self._options.banner_timeout)
        self._require(greeting.reply)
        await self._greet()
        await self._encrypt()
        if self._options.auth is not None:
            self.stage = Stage.AUTH
            await self._log_in(self._options.auth)

    async def _greet(self) -> None:
        """Say EHLO, or HELO to hosts that know no better."""
        self.stage = Stage.EHLO
        self.sender.send_ehlo()
        answer = await self._expect(EhloReply, self._options.command_timeout)
        if answer.reply.is_permanent and not self._way.is_lmtp:
            self.sender.send_helo()
            answer = await self._expect(EhloReply, self._options.command_timeout)
        self._require(answer.reply)
        offered = answer.extensions
        self.offer = Offer(offered.size, offered.eight_bit, offered.smtputf8)
        self._note(takes_dsn=offered.dsn)

    async def _connect(self) -> None:
        peer, source = self.peer, self._way.bind_to
        more = {"source": source} if source else {}
        try:
            limit = self._options.connect_timeout
            self._connection = await self._setup.connect(peer.address, peer.port, limit=limit, **more)
        except ConnectionTrouble as error:
            self.fault(Cause.TIMED_OUT if isinstance(error, TimedOut) else Cause.LOST, str(error))
        host, port = self._connection.local
        self._note(source_address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")

    def _note(self, **facts: Any) -> None:
        self.passage = msgspec.structs.replace(self.passage, **facts)

    # TLS

    async def _encrypt(self) -> None:
        """Begin TLS, as far as it is asked for and to be had."""
        demand = self._in_force()
        if demand.tls == "none":
            return
        self.stage = Stage.STARTTLS
        if not self.sender.extensions.starttls:
            self._do_without(demand, "STARTTLS is not offered")
            return
        if demand.tls == "offered" and (why := self._setup.handshakes.why_not(self.peer, self._loop.time())):
            self._note(tls_fallback=why)
            return
        self.sender.send_starttls()
        try:
            answer = (await self._expect(StartTlsReply, self._options.starttls_timeout)).reply
        except Trouble as trouble:
            if trouble.cause is not Cause.GARBLED:
                raise
            await self._begin_again(demand, trouble.reply.text)  # who injects could strip STARTTLS too
            return
        if not answer.is_positive:
            self._do_without(demand, f"STARTTLS was refused: {answer}")
            return
        try:
            self._note(tls=await self._shake_hands(demand), tls_fallback="")
        except (ConnectionTrouble, TlsError) as error:
            await self._begin_again(demand, str(error))
            return
        self.sender.restart()
        try:
            await self._greet()
        except Trouble as trouble:
            if demand.tls == "required" or not self._is_refused_handshake(trouble):
                raise
            await self._begin_again(demand, f"after the TLS handshake: {trouble.reply.text}")

    def _is_refused_handshake(self, trouble: Trouble) -> bool:
        """Whether the first EHLO over TLS has had no answer but the end: with TLS 1.3 a host that refuses our
        side of the handshake does so when ours is done (RFC 8446 section 4.4.4).
        """
        return trouble.cause is Cause.LOST and self.sender.during == Awaited.EHLO.value

    def _in_force(self) -> Demand:
        """What is asked for; credentials are for those who prove who they are."""
        if self._options.auth is not None and not self._is_loopback:
            return self._demand.for_credentials()
        return self._demand

    @property
    def _is_loopback(self) -> bool:
        return ip_address(self.peer.address).is_loopback

    def _do_without(self, demand: Demand, why: str) -> None:
        """Go on in clear text, or end here."""
        if demand.tls == "required":
            self._refuse(f"4.7.5 TLS is required by {demand.why}: {why}")
        if self.sender.extensions.starttls:
            self._note(tls_fallback=why)

    def _refuse(self, text: str) -> NoReturn:
        """This host will not do. Raises Trouble."""
        raise Trouble(RULINGS[self.stage][Cause.REFUSED_FOR_NOW], self.stage, reply(451, text), is_local=True)

    async def _shake_hands(self, demand: Demand) -> TlsFacts:
        assert self._connection is not None
        name = self.peer.name.strip("[]")
        facts = await self._connection.start_tls(
            client_context(verify=demand.verify, ca=self._options.tls_ca),
            self._options.starttls_timeout,
            server_name=name,
            server=False,
        )
        if demand.tlsa and not is_promised(self._connection.tls_chain(), demand.tlsa, [name]):
            raise TlsError("the certificate is not the one of the TLSA records")
        return facts

    async def _begin_again(self, demand: Demand, why: str) -> None:
        """The handshake has cost the connection: take another, without TLS where that is allowed."""
        if demand.tls == "required":
            self._refuse(f"4.7.5 TLS is required by {demand.why}: {why}")
        self._setup.handshakes.add(self.peer, why, self._loop.time())
        self.drop()
        self.stage = Stage.CONNECT
        self.sender = self._new_sender()
        self._note(tls=None)
        await self.open()

    # AUTH (RFC 4954)

    async def _log_in(self, auth: Credentials) -> None:
        """Say who we are. What the host says to a refusal is not repeated: it might repeat the password."""
        if self.passage.tls is None and not self._is_loopback:
            self._refuse("4.7.11 No credentials are sent without TLS")
        offered = {name.upper() for name in self.sender.extensions.auth}
        mechanism = next((name for name in MECHANISMS if name in offered), None)
        if mechanism is None:
            self._refuse(f"4.7.4 The next hop offers none of AUTH {' and '.join(MECHANISMS)}")
        try:
            user, password = auth.username.encode(), auth.password().encode()
        except LookupError as error:
            self._refuse(f"4.7.0 No credentials for {auth.username}: {error.args[0]}")
        answers = [user, password] if mechanism == "LOGIN" else []
        self.sender.send_auth(mechanism, None if answers else b"\0" + user + b"\0" + password)
        answer = (await self._expect(AuthReply, self._options.auth_timeout)).reply
        while answer.is_intermediate and answers:
            self.sender.send_auth_response(answers.pop(0))
            answer = (await self._expect(AuthReply, self._options.auth_timeout)).reply
        if not answer.is_positive:
            self._refuse(f"4.7.8 The next hop refused {auth.username}: {answer.code} {answer.enhanced or ''}")

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
        self.sender.start_transaction(envelope, content)
        if self.sender.is_content_out:
            self.reach(Stage.CONTENT, sum(map(len, content)))
        else:
            self.reach(Stage.MAIL)

    def reach(self, stage: Stage, size: int = 0) -> None:
        """A stage is reached; with CONTENT, so many octets are on their way."""
        self.stage = stage
        self._unsent = size
        self.renew()

    def renew(self) -> float:
        """The time for the next reply begins; returns what the loop's clock says."""
        now = self._loop.time()
        self._deadline = now + self._options.command_timeout
        return now

    async def receive(self) -> None:
        """Let the sender have what comes. Raises Trouble."""
        assert self._connection is not None
        limit, said = self._deadline - self._loop.time(), self.sender.ended_by_lf
        try:
            data = await self._connection.receive(limit if said is None else min(limit, LF_TIME))
        except TimedOut:
            if said is not None:
                self.fault(Cause.GARBLED, f"a reply ended by a bare LF: {said!r}")
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
        stage = self.stage
        if stage is Stage.CONTENT and cause is Cause.LOST and self.sender.during == Awaited.MAIL.value:
            stage = Stage.MAIL  # who leaves without a word has not read the content either
        trouble = Trouble(RULINGS[stage][cause], stage, fault_reply(stage, cause, detail), is_local=True)
        trouble.cause = cause
        raise trouble

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
