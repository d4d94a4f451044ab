"""One SMTP session: pulls what the client said from `wire.receiver`, decides, and answers.

Promises that each command is judged by the session as it is at that moment and by the configuration then in
force, that a surprise costs one command a 451 and loses nothing, and that every refusal is recorded.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Protocol

from angarium.mail.address import Address
from angarium.mail.status import Reply, reply
from angarium.net.connection import ConnectionTrouble, TimedOut
from angarium.net.dns import DnsError
from angarium.net.tls import TlsFacts
from angarium.policy.config import LineEndings, ListenerOptions
from angarium.policy.listeners import effective_options
from angarium.policy.networks import NetworkSet
from angarium.policy.views import Tls
from angarium.reception.authentication import Exchange, offered_mechanisms
from angarium.reception.custody import take_content
from angarium.reception.door import Door, Whereabouts
from angarium.reception.guard import NO_ROOM, Guard, LimitReached
from angarium.reception.handlers import Handlers
from angarium.reception.proxies import (
    BROKEN_HEADER,
    NOT_BELIEVED,
    behind,
    may_use_xclient,
    read_header,
    speaks_for_others,
    told,
)
from angarium.reception.rejection import record_refusal
from angarium.reception.transaction import Transaction
from angarium.wire import events
from angarium.wire.events import Disconnected, NeedData
from angarium.wire.extensions import Extensions
from angarium.wire.proxy import ProxyError, begins_header
from angarium.wire.receiver import Limits, Receiver
from angarium.wire.states import State

log = logging.getLogger(__name__)

MAX_BURST = 64
"""Commands that one session has answered at a time, before other sessions get their turn."""

SPOKE_FIRST = reply(554, "5.5.1 you spoke before the greeting")
GONE = reply(421, "4.4.2 you left before the greeting")
TLS_FIRST = reply(530, "5.7.0 STARTTLS is needed first")
NULL_MX_SENDER = reply(550, "5.7.27 the sender's domain takes no mail, so that nobody could answer")
_BEGIN_TLS = reply(220, "2.0.0 ready for TLS")
SURPRISE = reply(451, "4.3.0 something went wrong here; try again later")
_OK = reply(250, "2.0.0 OK")
_SENDER_OK = reply(250, "2.1.0 sender accepted")
_GO_AHEAD = Reply(354, None, "send the message; end with CRLF.CRLF")
_BYE = reply(221, "2.0.0 goodbye")
_HELP = reply(214, "2.0.0 see RFC 5321")
_NO_LISTS = reply(502, "5.5.1 lists are not told")
_NOT_SAID = reply(252, "2.1.5 mailboxes are not told; send mail and see")


network_set = lru_cache(maxsize=256)(NetworkSet)
"""Networks ready to be asked; sessions of one listener share them."""


class Stream(Protocol):
    """What a session needs of a connection."""

    async def receive(self, limit: float) -> bytes: ...
    def put_back(self, data: bytes) -> None: ...
    async def start_tls(
        self, context: ssl.SSLContext, limit: float, *, implicit: bool = False
    ) -> TlsFacts: ...
    def write(self, data: bytes) -> None: ...
    async def drain(self, limit: float) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    @property
    def has_input(self) -> bool: ...


class Session:
    """The dialogue with one client."""

    def __init__(self, door: Door, whereabouts: Whereabouts, stream: Stream) -> None:
        self.door = door
        self.whereabouts = whereabouts
        self.ident = door.new_ident()
        self.helo = ""
        self.is_extended = False
        """EHLO was said, not HELO."""
        self.transaction: Transaction | None = None
        self.message_count = 0
        self._stream = stream
        self._is_encrypted = False
        self._exchange: Exchange | None = None
        self._spoke = False
        self._take_options()
        self.handlers = Handlers(self)
        self.guard = Guard(self)
        self._receiver = Receiver(_limits(self.options), self._offer())
        self._waits = False
        self._is_stopping = False

    # The dialogue

    async def run(self) -> None:
        """Serve the client until one side ends the session. Raises nothing."""
        try:
            if await self._arrive():
                self._receiver.send_greeting(await self._greeting())
                await self._converse()
        except LimitReached as reached:
            self._refuse_session(reached.reply, reached.limit)
        except TimedOut:
            self._part(reply(421, f"4.3.2 {self.options.hostname} idle too long"))
        except ConnectionTrouble as trouble:
            log.debug("session %s: %s", self.ident, trouble)
        except Exception:
            log.exception("session %s ended by a surprise", self.ident)
            self._part(reply(421, f"4.3.0 {self.options.hostname} technical difficulties"))
        finally:
            self.guard.leave()
            self._stream.close()

    async def _arrive(self) -> bool:
        """Learn who is there, and encrypt where the listener wants it; False: nobody is served."""
        if speaks_for_others(self.options, self.whereabouts.peer.ip):
            try:
                header = await read_header(self._stream, self.options.client_timeout)
            except ProxyError:
                self._refuse_session(BROKEN_HEADER)
                return False
            if header is None:
                return False
            self._move(behind(self.whereabouts, header))
        self.guard.enter()
        if self.options.tls == "implicit":
            await self._encrypt(implicit=True)
        return True

    async def _greeting(self) -> Reply:
        """The 220, or why there is none."""
        hostname = self.options.hostname
        answer = self.door.why_closed(hostname) or await self._hear_early_talkers()
        answer = answer or await self.handlers.notify("smtp_server_connection_accepted")
        answer = answer or Reply(220, None, f"{hostname} {self.options.banner}")
        if answer.code != 220:
            record_refusal(self, answer, None)
        self.handlers.begin_dialogue()
        return answer

    async def _hear_early_talkers(self) -> Reply | None:
        """Whoever speaks before the greeting speaks no SMTP (RFC 5321 section 4.3.1)."""
        if not self.options.greeting_delay or self.is_trusted or self._spoke:
            return None
        try:
            data = await self._stream.receive(self.options.greeting_delay)
        except TimedOut:
            return None
        return SPOKE_FIRST if data else GONE

    async def _converse(self) -> None:
        receiver, answered = self._receiver, 0
        while True:
            event = receiver.next_event()
            if isinstance(event, NeedData):
                await self._flush()
                await self._listen()
            elif isinstance(event, Disconnected):
                await self._flush()
                return
            else:
                await self._answer(event)
                answered += 1
                if answered % MAX_BURST == 0:
                    await self._flush()
                    await asyncio.sleep(0)  # other sessions come first now

    async def _listen(self) -> None:
        if self._is_stopping and not self._receiver.takes_content:
            self._receiver.send(reply(421, f"4.3.2 {self.options.hostname} shutting down"))
            return
        self._waits = True
        try:
            data = await self._receive()
        finally:
            self._waits = False
        if not data:
            self._receiver.receive_eof()
            return
        if self._receiver.takes_content:
            self.guard.receive_content(len(data))
        if not self._spoke and begins_header(data):
            self._refuse_session(NOT_BELIEVED)
        self._spoke = True
        self._receiver.receive_data(data)

    async def _receive(self) -> bytes:
        try:
            return await self._stream.receive(self.guard.patience())
        except TimedOut:
            self.guard.patience()
            raise

    async def _flush(self) -> None:
        output = self._receiver.data_to_send()
        if output:
            self._stream.write(output)
            await self._stream.drain(self.options.client_timeout)

    def _refuse_session(self, answer: Reply, limit: str | None = None) -> None:
        """End the session, and record why."""
        record_refusal(self, answer, None, limit)
        self._part(answer)

    def _part(self, answer: Reply) -> None:
        """Say 421 as the last thing; before TLS has begun where it has to there is nothing to say."""
        if self._receiver.is_closed:
            return
        self._receiver.close()
        if self._is_encrypted or self.options.tls != "implicit":
            self._stream.write(self._receiver.data_to_send() + f"{answer}\r\n".encode())

    async def _answer(self, event: events.Answerable) -> None:
        if self.door.configuration is not self._configuration:
            self._take_configuration()
        limit = None
        try:
            self.guard.before(event)
            answer = await _ANSWERS[type(event)](self, event)
            if answer is not None and answer.is_refusal:
                self.guard.after(event, answer)
        except LimitReached as reached:
            answer, limit = reached.reply, reached.limit
        except ConnectionTrouble:
            raise
        except Exception:
            log.exception("session %s: %s cost a surprise", self.ident, type(event).__name__)
            answer = SURPRISE
        if answer is not None:
            if answer.is_refusal:
                record_refusal(self, answer, event, limit)
            self._receiver.send(answer)
            if _asks_for_trust(event):
                self._receiver.close()
        await self._settle()

    async def _settle(self) -> None:
        """What follows from an answer once it is given."""
        if self._receiver.state is State.HANDSHAKE:
            await self._flush()
            await self._encrypt()
        if self.transaction is not None and not self._receiver.in_transaction:
            self._end_transaction()

    def _end_transaction(self) -> None:
        self.transaction = None
        self.handlers.calls = []
        self.guard.end_content()
        self._receiver.limits = _limits(self.options)

    def ask_to_stop(self) -> None:
        """End the session; content that is on its way, or being judged, is finished first."""
        self._is_stopping = True
        if self._waits and not self._receiver.takes_content:
            self._part(reply(421, f"4.3.2 {self.options.hostname} shutting down"))
            self._stream.close()

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

    def _take_configuration(self) -> None:
        """A reload has happened: what it says holds from this command on."""
        self._take_options()
        self._receiver.limits = _limits(self.options)
        self._receiver.extensions = self._offer()

    def _offer(self) -> Extensions:
        """What EHLO offers now."""
        options = self.options
        mechanisms = offered_mechanisms(self)
        has_tls = options.tls in {"starttls", "required"}
        may_auth = self._is_encrypted or options.allow_plaintext_auth
        return Extensions(
            size=options.max_message_size,
            starttls=has_tls and not self._is_encrypted,
            auth=mechanisms if may_auth else (),
            auth_after_tls=bool(mechanisms) and has_tls and not may_auth,
            xclient=may_use_xclient(options, self.whereabouts.peer.ip),
            chunking=True,
        )

    async def _encrypt(self, *, implicit: bool = False) -> None:
        """Shake hands; nothing that the client said before is known afterwards (RFC 3207 section 4.2)."""
        context = self.door.keyring.context(self.options)
        assert context is not None
        try:
            facts = await self._stream.start_tls(
                context, self.options.tls_handshake_timeout, implicit=implicit
            )
        except ConnectionTrouble as trouble:
            record_refusal(self, reply(454, f"4.7.0 {trouble}"), None)
            self._receiver.close()
            raise
        self._is_encrypted = True
        if not implicit:
            self._forget()
            self._receiver.restart(self._offer())
        self.handlers.learn_tls(Tls(*facts))
        self._receiver.extensions = self._offer()

    def _forget(self) -> None:
        """Forget what the client said of itself."""
        self.helo, self.is_extended = "", False
        self.transaction = self._exchange = None
        self.handlers.forget()

    def _move(self, whereabouts: Whereabouts) -> None:
        """The session has other ends than was thought: begin anew, by the options for them."""
        self.whereabouts = whereabouts
        self._take_options()
        self._forget()
        self.handlers = Handlers(self)
        self._receiver.limits = _limits(self.options)
        self._receiver.extensions = self._offer()

    # Commands

    async def _ehlo(self, event: events.Ehlo) -> Reply | None:
        refusal = await self._hello(event.domain)
        if refusal is None:
            self.is_extended = True
            self._receiver.send_ehlo(self.options.hostname)
        return refusal

    async def _helo(self, event: events.Helo) -> Reply:
        refusal = await self._hello(event.domain)
        if refusal is None:
            self.is_extended = False
        return refusal or Reply(250, None, self.options.hostname)

    async def _hello(self, domain: str) -> Reply | None:
        refusal = await self.handlers.notify("smtp_server_ehlo", domain)
        if refusal is None:
            self.helo = domain
            self.handlers.learn(ehlo_domain=domain)
        return refusal

    async def _starttls(self, event: events.StartTls) -> Reply:
        return _BEGIN_TLS

    async def _auth(self, event: events.Auth) -> Reply:
        self._exchange = Exchange(self, event.mechanism)
        return await self._exchange.step(event.initial)

    async def _auth_response(self, event: events.AuthResponse) -> Reply:
        assert self._exchange is not None
        return await self._exchange.step(event.data)

    async def _xclient(self, event: events.Xclient) -> None:
        """Begin anew with the client that a proxy tells: a greeting is the answer."""
        self._move(told(self.whereabouts, event))
        self.guard.enter()
        self._receiver.restart(self._offer())
        self._receiver.send_greeting(await self._greeting())

    async def _mail(self, event: events.Mail) -> Reply:
        if self.options.tls == "required" and not self._is_encrypted:
            return TLS_FIRST
        if self.message_count >= self.options.max_messages_per_connection:
            return reply(421, f"4.5.3 {self.options.hostname} too many messages on this connection")
        self.message_count += 1
        refusal = await self._refuse_unanswerable(event.sender)
        refusal = refusal or await self.handlers.notify("smtp_server_mail_from", event.sender)
        if refusal is None:
            self.transaction = Transaction(event.sender, event.parameters)
        return refusal or _SENDER_OK

    async def _refuse_unanswerable(self, sender: Address | None) -> Reply | None:
        """Refuse a sender whose domain takes no mail (RFC 7505 section 4.2); trouble with DNS refuses nobody."""
        if sender is None or not self.options.reject_null_mx_senders or self.is_trusted:
            return None
        try:
            hosts = await self.door.resolver.mx(sender.domain)
        except DnsError:
            return None
        return NULL_MX_SENDER if [host.name for host in hosts] == [""] else None

    async def _rcpt(self, event: events.Rcpt) -> Reply:
        assert self.transaction is not None
        if len(self.transaction.accepted) >= self.options.max_recipients_per_message:
            return reply(452, "4.5.3 too many recipients")
        return await self.transaction.add_recipient(self, event)

    async def _data(self, event: events.Data) -> Reply:
        assert self.transaction is not None
        if not self.guard.has_room:
            return NO_ROOM
        self._limit_content()
        return _GO_AHEAD

    async def _chunk(self, event: events.Chunk) -> Reply:
        self._limit_content()
        return reply(250, f"2.0.0 {event.size} octets received")

    def _limit_content(self) -> None:
        """A domain that only logs may have bare line ends mended, whatever the listener does."""
        assert self.transaction is not None
        if self.transaction.fixes_line_endings:
            self._receiver.limits = _limits(self.options, fix=True)

    async def _content(self, event: events.Content) -> Reply:
        assert self.transaction is not None
        return await take_content(self, self.transaction, event.data)

    async def _rset(self, event: events.Rset) -> Reply:
        return _OK

    async def _noop(self, event: events.Noop) -> Reply:
        return _OK

    async def _quit(self, event: events.Quit) -> Reply:
        return _BYE

    async def _vrfy(self, event: events.Vrfy) -> Reply:
        return _NOT_SAID

    async def _expn(self, event: events.Expn) -> Reply:
        return _NO_LISTS

    async def _help(self, event: events.Help) -> Reply:
        return _HELP

    async def _refused(self, event: events.Refused) -> Reply:
        return event.reply


_ANSWERS: dict[type[Any], Callable[[Session, Any], Awaitable[Reply | None]]] = {
    events.Ehlo: Session._ehlo,
    events.Helo: Session._helo,
    events.StartTls: Session._starttls,
    events.Auth: Session._auth,
    events.AuthResponse: Session._auth_response,
    events.Xclient: Session._xclient,
    events.Mail: Session._mail,
    events.Rcpt: Session._rcpt,
    events.Data: Session._data,
    events.Chunk: Session._chunk,
    events.Content: Session._content,
    events.Rset: Session._rset,
    events.Noop: Session._noop,
    events.Quit: Session._quit,
    events.Vrfy: Session._vrfy,
    events.Expn: Session._expn,
    events.Help: Session._help,
    events.Refused: Session._refused,
}


def _limits(options: ListenerOptions, *, fix: bool = False) -> Limits:
    return Limits(
        message_size=options.max_message_size,
        line_length=options.line_length_hard_limit,
        fix_line_endings=fix or options.invalid_line_endings is LineEndings.FIX,
    )


def _asks_for_trust(event: events.Answerable) -> bool:
    """Whether a stranger has tried to speak for others: such a session is over."""
    return (
        isinstance(event, events.Refused)
        and event.why == "not-offered"
        and event.line[:7].upper() == b"XCLIENT"
    )
