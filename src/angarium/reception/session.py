"""One SMTP session: pulls what the client said from `wire.receiver`, decides, and answers.

Promises that each command is judged by the session as it is at that moment and by the configuration then in
force, that a surprise costs one command a 451 and loses nothing, and that every refusal is recorded.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache

from angarium.mail.status import Reply, reply
from angarium.net.connection import Connection, ConnectionTrouble, TimedOut
from angarium.net.deadline import Deadline
from angarium.policy.listeners import effective_options
from angarium.policy.networks import NetworkSet
from angarium.reception.answers import ANSWERS, limits_of
from angarium.reception.arrival import arrive, encrypt, greeting
from angarium.reception.authentication import Exchange, offered_mechanisms
from angarium.reception.door import Door, Whereabouts
from angarium.reception.guard import Guard, LimitReached
from angarium.reception.handlers import Handlers
from angarium.reception.proxies import (
    NOT_BELIEVED,
    may_use_xclient,
)
from angarium.reception.rejection import record_refusal
from angarium.reception.told import Told
from angarium.reception.transaction import Transaction
from angarium.wire import events
from angarium.wire.events import Disconnected, NeedData
from angarium.wire.extensions import Extensions
from angarium.wire.proxy import begins_header
from angarium.wire.receiver import Receiver
from angarium.wire.states import HANDSHAKE, IN_TRANSACTION

log = logging.getLogger(__name__)

_OPENING = 16
"""Octets that tell a PROXY header from SMTP."""
MAX_BURST = 64
"""Commands that one session has answered at a time, before other sessions get their turn."""

SURPRISE = reply(451, "4.3.0 something went wrong here; try again later")

network_set = lru_cache(maxsize=256)(NetworkSet)
"""Networks ready to be asked; sessions of one listener share them."""


class Session:
    """The dialogue with one client."""

    def __init__(self, door: Door, whereabouts: Whereabouts, stream: Connection) -> None:
        self.door = door
        self.whereabouts = whereabouts
        self.ident = door.new_ident()
        self.helo = ""
        self.is_extended = False
        """EHLO was said, not HELO."""
        self.transaction: Transaction | None = None
        self.stream = stream
        self.is_encrypted = False
        self.exchange: Exchange | None = None
        self.has_spoken = False
        self._opening: bytes | None = b""
        """What the client said first, until it is known to be no PROXY header."""
        self.told: Told | None = None
        """What is said of it in its records and elsewhere (see `told_of`)."""
        self._take_options()
        self.handlers = Handlers(self)
        self.guard = Guard(self)
        self.receiver = Receiver(self._limits, self.offer())
        self.deadline = Deadline()
        self._waits = False
        self._is_stopping = False

    def __str__(self) -> str:
        """The session as the server's own log names it: its id is that of its records."""
        where = self.whereabouts
        return f"session {self.ident} (from {where.peer}, on {where.listener.label})"

    # The dialogue

    async def run(self) -> None:
        """Serve the client until one side ends the session. Raises nothing."""
        try:
            if await arrive(self):
                self.receiver.send_greeting(await greeting(self))
                await self._converse()
        except LimitReached as reached:
            self.refuse(reached.reply, reached.limit)
        except TimedOut:
            self._part_with_silence(reply(421, f"4.3.2 {self.options.hostname} idle too long"))
        except ConnectionTrouble as trouble:
            log.debug("session %s: %s", self.ident, trouble)
        except Exception:
            log.exception("%s ended by a surprise", self)
            self._part(reply(421, f"4.3.0 {self.options.hostname} technical difficulties"))
        finally:
            self.receiver.close()  # content that came is let go now, and not when the collector looks
            self.transaction = None
            self.guard.leave()
            self.deadline.close()
            self.stream.close()

    async def _converse(self) -> None:
        receiver, answered = self.receiver, 0
        while True:
            event = receiver.next_event()
            if type(event) is NeedData:
                self._send()
                if self.stream.must_drain:
                    await self._flush()
                await self._listen()
            elif type(event) is Disconnected:
                await self._flush()
                return
            else:
                await self._answer(event)
                answered += 1
                if answered % MAX_BURST == 0:
                    await self._flush()
                    await asyncio.sleep(0)  # other sessions come first now

    async def _listen(self) -> None:
        receiver, guard = self.receiver, self.guard
        takes_content = receiver.takes_content
        if self._is_stopping and not takes_content:
            receiver.send(reply(421, f"4.3.2 {self.options.hostname} shutting down"))
            return
        if takes_content or guard.claimed:
            guard.hold_content(receiver.held)
        self._waits = True
        try:
            data = await self.stream.receive(guard.patience())
        except TimedOut:
            guard.patience()
            raise
        finally:
            self._waits = False
        if not data:
            receiver.receive_eof()
            return
        if takes_content:
            guard.receive_content(len(data))
        if self._opening is not None:
            self._hear_opening(data)
        self.has_spoken = True
        receiver.receive_data(data)

    def _hear_opening(self, data: bytes) -> None:
        """Refuse who begins with a PROXY header, in however many pieces it comes."""
        assert self._opening is not None
        self._opening += data[:_OPENING]
        is_header = begins_header(self._opening)
        if is_header:
            self.refuse(NOT_BELIEVED)
        if is_header is not None:
            self._opening = None

    def _send(self) -> None:
        """Write all that was answered, in one go."""
        output = self.receiver.data_to_send()
        if output:
            self.stream.write(output)

    async def _flush(self) -> None:
        """As `_send`, and wait for a client that does not keep up."""
        self._send()
        if self.stream.must_drain:
            await self.stream.drain(self.options.client_timeout)

    def refuse(self, answer: Reply, limit: str | None = None) -> None:
        """End the session, and record why."""
        record_refusal(self, answer, None, limit)
        self._part(answer)

    def turn_away(self, limit: str) -> None:
        """Refuse the session before it begins, since `limit` binds (reference S2)."""
        text = f"4.3.2 {self.options.hostname} too many concurrent sessions. Try later"
        self.refuse(reply(421, text), limit)

    def _part_with_silence(self, answer: Reply) -> None:
        """A client that fell silent within a transaction leaves a record: somebody may miss that mail."""
        if self.transaction is not None:
            record_refusal(self, answer, None, "client_timeout")
        self._part(answer)

    def _part(self, answer: Reply) -> None:
        """Say 421 as the last thing; before TLS has begun where it has to there is nothing to say."""
        if self.receiver.is_closed:
            return
        self.receiver.close()
        if self.is_encrypted or self.options.tls != "implicit":
            self.stream.write(self.receiver.data_to_send() + f"{answer}\r\n".encode())

    async def _answer(self, event: events.Answerable) -> None:
        if self.door.configuration is not self._configuration:
            self._take_configuration()
        calls, limit = self.handlers.calls, None
        if calls.of_command:
            calls.begin_command()
        try:
            answer = await ANSWERS[type(event)](self, event)
            if answer is not None and answer.is_refusal:
                self.guard.after(event, answer)
        except LimitReached as reached:
            answer, limit = reached.reply, reached.limit
        except ConnectionTrouble:
            raise
        except Exception:
            log.exception("%s: %s cost a surprise", self, type(event).__name__)
            answer = SURPRISE
        if calls.of_command:
            calls.end_command(accepted=answer is None or not answer.is_refusal)
        if answer is not None and answer.is_refusal:
            self._refuse_command(event, answer, limit)
        elif answer is not None:
            self.receiver.send(answer)
        if self.receiver.state is HANDSHAKE:
            await self._flush()
            await encrypt(self)
        if self.transaction is not None and self.receiver.state not in IN_TRANSACTION:
            self._end_transaction()

    def _refuse_command(self, event: events.Answerable, answer: Reply, limit: str | None) -> None:
        record_refusal(self, answer, event, limit)
        self.receiver.send(answer)
        if _asks_for_trust(event):
            self.receiver.close()

    def _end_transaction(self) -> None:
        self.transaction = None
        self.handlers.calls.end_transaction()
        self.guard.end_content()
        self.receiver.limits = self._limits

    def ask_to_stop(self) -> None:
        """End the session; content that is on its way, or being judged, is finished first."""
        self._is_stopping = True
        if self._waits and not self.receiver.takes_content:
            self._part(reply(421, f"4.3.2 {self.options.hostname} shutting down"))
            self.stream.close()

    def protocol(self, *, smtputf8: bool) -> str:
        """How the message came, as Received says it (RFC 3848, RFC 6531 section 4.3)."""
        if not self.is_extended:
            return "SMTP"
        connection = self.handlers.connection
        secured = "S" if connection.tls else ""
        return f"{'UTF8SMTP' if smtputf8 else 'ESMTP'}{secured}{'A' if connection.authn_id else ''}"

    @property
    def tls_text(self) -> str | None:
        """How the session is encrypted, as Received says it."""
        tls = self.handlers.connection.tls
        return f"{tls.version}:{tls.cipher}" if tls else None

    @property
    def is_trusted(self) -> bool:
        """Whether the peer is in `relay_hosts`."""
        return self.whereabouts.peer.ip in self.relay_hosts

    # What is in force

    def _take_options(self) -> None:
        where = self.whereabouts
        self._configuration = self.door.configuration
        self.options = effective_options(self.door.listener(where.listener), where.peer.ip, where.local.ip)
        self.relay_hosts = network_set(self.options.relay_hosts)
        self._limits = limits_of(self.options)

    def _take_configuration(self) -> None:
        """A reload has happened: what it says holds from this command on."""
        self._take_options()
        self.handlers.take_listener(self.door.listener(self.whereabouts.listener).label)
        self.receiver.limits = self._limits
        self.receiver.extensions = self.offer()

    def offer(self) -> Extensions:
        """What EHLO offers now."""
        options = self.options
        mechanisms = offered_mechanisms(self)
        has_tls = options.tls in {"starttls", "required"}
        may_auth = self.is_encrypted or options.allow_plaintext_auth
        return Extensions(
            size=options.max_message_size,
            starttls=has_tls and not self.is_encrypted,
            auth=mechanisms if may_auth else (),
            auth_after_tls=bool(mechanisms) and has_tls and not may_auth,
            xclient=may_use_xclient(options, self.whereabouts.peer.ip),
            chunking=True,
            dsn=True,
        )

    def forget(self) -> None:
        """Forget what the client said of itself."""
        self.helo, self.is_extended = "", False
        self.transaction = self.exchange = None
        self.handlers.forget()

    def move(self, whereabouts: Whereabouts) -> None:
        """The session has other ends than was thought: begin anew, by the options for them."""
        self.whereabouts = whereabouts
        self._take_options()
        self.forget()
        self.handlers = Handlers(self)
        self.receiver.limits = self._limits
        self.receiver.extensions = self.offer()


def _asks_for_trust(event: events.Answerable) -> bool:
    """Whether a stranger has tried to speak for others: such a session is over."""
    return (
        isinstance(event, events.Refused)
        and event.why == "not-offered"
        and event.line[:7].upper() == b"XCLIENT"
    )
