"""One SMTP session: pulls what the client said from `wire.receiver`, decides, and answers.

Promises that each command is judged by the session as it is at that moment and by the configuration then in
force, that a surprise costs one command a 451 and loses nothing, and that every refusal is recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Protocol

from angarium.mail.status import Reply, reply
from angarium.net.connection import ConnectionTrouble, TimedOut
from angarium.policy.config import LineEndings, ListenerOptions
from angarium.policy.listeners import effective_options
from angarium.policy.networks import NetworkSet
from angarium.reception.custody import take_content
from angarium.reception.door import Door, Whereabouts
from angarium.reception.handlers import Handlers
from angarium.reception.rejection import record_refusal
from angarium.reception.transaction import Transaction
from angarium.wire import events
from angarium.wire.events import Disconnected, NeedData
from angarium.wire.extensions import Extensions
from angarium.wire.receiver import Limits, Receiver

log = logging.getLogger(__name__)

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
        self._take_options()
        self.handlers = Handlers(self)
        self._receiver = Receiver(self._limits, self._extensions)
        self._waits = False
        self._is_stopping = False

    # The dialogue

    async def run(self) -> None:
        """Serve the client until one side ends the session. Raises nothing."""
        try:
            await self._greet()
            await self._converse()
        except TimedOut:
            self._part(f"4.3.2 {self.options.hostname} idle too long")
        except ConnectionTrouble as trouble:
            log.debug("session %s: %s", self.ident, trouble)
        except Exception:
            log.exception("session %s ended by a surprise", self.ident)
            self._part(f"4.3.0 {self.options.hostname} technical difficulties")
        self._stream.close()

    async def _greet(self) -> None:
        hostname = self.options.hostname
        answer = self.door.why_closed(hostname) or await self.handlers.notify(
            "smtp_server_connection_accepted"
        )
        answer = answer or Reply(220, None, f"{hostname} {self.options.banner}")
        if answer.code != 220:
            record_refusal(self, answer, None)
        self._receiver.send_greeting(answer)

    async def _converse(self) -> None:
        receiver = self._receiver
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

    async def _listen(self) -> None:
        if self._is_stopping and not self._receiver.in_transaction:
            self._receiver.send(reply(421, f"4.3.2 {self.options.hostname} shutting down"))
            return
        self._waits = True
        try:
            data = await self._stream.receive(self.options.client_timeout)
        finally:
            self._waits = False
        if data:
            self._receiver.receive_data(data)
        else:
            self._receiver.receive_eof()

    async def _flush(self) -> None:
        output = self._receiver.data_to_send()
        if output:
            self._stream.write(output)
            await self._stream.drain(self.options.client_timeout)

    def _part(self, text: str) -> None:
        """Say 421 as the last thing."""
        if not self._receiver.is_closed:
            self._receiver.send(reply(421, text))
            self._stream.write(self._receiver.data_to_send())

    async def _answer(self, event: events.Answerable) -> None:
        if self.door.configuration is not self._configuration:
            self._take_configuration()
        try:
            answer = await _ANSWERS[type(event)](self, event)
        except ConnectionTrouble:
            raise
        except Exception:
            log.exception("session %s: %s cost a surprise", self.ident, type(event).__name__)
            answer = SURPRISE
        if answer is not None:
            if answer.is_refusal:
                record_refusal(self, answer, event)
            self._receiver.send(answer)
        if self.transaction is not None and not self._receiver.in_transaction:
            self._end_transaction()

    def _end_transaction(self) -> None:
        self.transaction = None
        self.handlers.calls = []
        self._receiver.limits = self._limits

    def ask_to_stop(self) -> None:
        """End the session as soon as no transaction is open."""
        self._is_stopping = True
        if self._waits and not self._receiver.in_transaction:
            self._part(f"4.3.2 {self.options.hostname} shutting down")
            self._stream.close()

    def protocol(self, *, smtputf8: bool) -> str:
        """How the message came, as Received says it (RFC 3848, RFC 6531 section 4.3)."""
        if not self.is_extended:
            return "SMTP"
        return "UTF8SMTP" if smtputf8 else "ESMTP"

    # What is in force

    def _take_options(self) -> None:
        where = self.whereabouts
        self._configuration = self.door.configuration
        self.options = effective_options(self.door.listener(where.listener), where.peer.ip, where.local.ip)
        self.relay_hosts = network_set(self.options.relay_hosts)
        self._limits, self._extensions = _limits(self.options), _extensions(self.options)

    def _take_configuration(self) -> None:
        """A reload has happened: what it says holds from this command on."""
        self._take_options()
        self._receiver.limits = self._limits
        self._receiver.extensions = self._extensions

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

    async def _mail(self, event: events.Mail) -> Reply:
        if self.message_count >= self.options.max_messages_per_connection:
            return reply(421, f"4.5.3 {self.options.hostname} too many messages on this connection")
        self.message_count += 1
        refusal = await self.handlers.notify("smtp_server_mail_from", event.sender)
        if refusal is None:
            self.transaction = Transaction(event.sender, event.parameters)
        return refusal or _SENDER_OK

    async def _rcpt(self, event: events.Rcpt) -> Reply:
        assert self.transaction is not None
        if len(self.transaction.accepted) >= self.options.max_recipients_per_message:
            return reply(452, "4.5.3 too many recipients")
        return await self.transaction.add_recipient(self, event)

    async def _data(self, event: events.Data) -> Reply:
        assert self.transaction is not None
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


def _extensions(options: ListenerOptions) -> Extensions:
    return Extensions(size=options.max_message_size)
