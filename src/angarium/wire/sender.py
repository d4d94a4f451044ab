"""The sending side of SMTP and LMTP, without input or output (RFC 5321, 2920, 2033, 1870, 3030, 6531, 3461).

Answers "what did the next hop say to which of my commands?". Octets go in with `receive_data`, events come
out of `next_event`; commands and content come out of `data_to_send` as a list of pieces, so that content is
not copied.

Promises: replies are matched to commands and recipients in order, with PIPELINING and without; content is
sent only after a 354 with at least one recipient accepted, otherwise a 354 gets a lone dot; where CHUNKING
and PIPELINING are offered, a small content goes out in one piece with its envelope; a transaction that began
ends with TransactionEnded, Disconnected or ProtocolError; after a refused MAIL the replies to the
rest of its group are not told; what was left open is reset before the next transaction. Refuses to decide
whether mail may go: parameters that the server does not offer are left out, and whether that is acceptable is
delivery's to know.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ClassVar

import msgspec

from angarium.mail.envelope import Envelope
from angarium.mail.status import Reply
from angarium.wire.events import NEED_DATA
from angarium.wire.framing import CRLF, Octets, chunk_content, wire_content
from angarium.wire.replies import NotAReply, PeerExtensions, ReplyReader
from angarium.wire.requests import mail_command, rcpt_command
from angarium.wire.sender_events import (
    AuthReply,
    ContentReply,
    DataReply,
    Disconnected,
    EhloReply,
    Greeting,
    MailReply,
    ProtocolError,
    QuitReply,
    RcptReply,
    RsetReply,
    SenderEvent,
    Stage,
    StartTlsReply,
    Told,
    TransactionEnded,
    Unsolicited,
)

MAX_AHEAD = 128 * 1024
"""Octets of content that are sent behind RCPT, before it is known whether anybody wants them."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class _Transaction(msgspec.Struct):
    """What is known of the transaction under way."""

    commands: list[str]
    """MAIL, and RCPT for each recipient."""
    content: Sequence[Octets]
    grouped: bool
    """MAIL, RCPT and DATA went out in one group."""
    is_ahead: bool
    """The content went out with them, in a chunk (RFC 3030)."""
    accepted: list[int]
    failed: bool = False
    """MAIL was refused: what comes in answer to the rest of the group is noise."""


class Sender:
    """One connection's protocol state, towards one next hop."""

    def __init__(
        self, ehlo_name: str, *, lmtp: bool = False, pipelining: bool = True, chunking: bool = True
    ) -> None:
        self.extensions = PeerExtensions()
        """What the server offered last."""
        self._name = ehlo_name
        self._lmtp = lmtp
        self._may_pipeline = pipelining
        self._may_chunk = chunking and not lmtp
        self._replies = ReplyReader()
        self._output: list[Octets] = []
        self._awaited: deque[tuple[Stage, int | None]] = deque([(Stage.GREETING, None)])
        self._events: deque[Told] = deque()
        self._transaction: _Transaction | None = None
        self._open = False  # the server may still hold a transaction that must be reset
        self._resetting = False  # the RSET under way is our own affair
        self._ended: Disconnected | None = None
        self._eof = False

    # What comes in

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take in octets from the server."""
        self._replies.receive_data(data)

    def receive_eof(self) -> None:
        """The server sends nothing more; what it has sent is still understood."""
        self._eof = True

    @property
    def during(self) -> str:
        """What is awaited now, as a Stage's value; `idle` when nothing is."""
        return self._awaited[0][0].value if self._awaited else "idle"

    @property
    def ended_by_lf(self) -> bytes | None:
        """What a server has said that ends its lines with a bare LF: waiting for more is in vain."""
        return self._replies.ended_by_lf

    @property
    def is_idle(self) -> bool:
        """Whether a command or a transaction may be sent now."""
        return not self._awaited and self._transaction is None and self._ended is None

    @property
    def is_content_out(self) -> bool:
        """Whether the content went out with its envelope: the server may have it before a reply is heard."""
        return self._transaction is not None and self._transaction.is_ahead

    def next_event(self) -> SenderEvent:
        """The next thing the server said; NEED_DATA when there is nothing."""
        while not self._events and self._ended is None:
            try:
                answer = self._replies.next_reply()
                if answer is None:
                    break
                event = self._take(answer)
            except NotAReply as error:
                return ProtocolError(str(error), self._end(self.during).during)
            if event is not None:
                return event
        if self._events:
            return self._events.popleft()
        if self._eof:
            self._end(self.during)
        return self._ended or NEED_DATA

    def _end(self, during: str) -> Disconnected:
        """Nothing more is said or understood."""
        self._output = []
        self._ended = self._ended or Disconnected(during)
        return self._ended

    def _take(self, answer: Reply) -> Told | None:
        """Match a reply to what awaits it; None where the reply is told to nobody."""
        if answer.closes:
            return self._take_last(answer)
        if not self._awaited:
            raise NotAReply(f"a reply to nothing: {answer.code}")
        stage, index = self._awaited[0]
        if not answer.is_refusal:
            _require_sense(stage, answer)
        self._awaited.popleft()
        return self._TAKE[stage](self, answer, index)

    def _take_last(self, answer: Reply) -> Told | None:
        """Match a 421 to what awaits it, or to nothing: the server is about to close."""
        during = self.during
        event: Told | None = Unsolicited(answer)
        if self._awaited:
            stage, index = self._awaited.popleft()
            event = self._TAKE[stage](self, answer, index)
        self._end(during)
        return event

    def _take_greeting(self, answer: Reply, _: int | None) -> Told:
        return Greeting(answer)

    def _take_auth(self, answer: Reply, _: int | None) -> Told:
        return AuthReply(answer)

    def _take_quit(self, answer: Reply, _: int | None) -> Told:
        return QuitReply(answer)

    def _take_ehlo(self, answer: Reply, _: int | None) -> Told:
        self.extensions = PeerExtensions.read(answer) if answer.is_positive else PeerExtensions()
        return EhloReply(answer, self.extensions)

    def _take_helo(self, answer: Reply, _: int | None) -> Told:
        self.extensions = PeerExtensions()
        return EhloReply(answer, self.extensions)

    def _take_starttls(self, answer: Reply, _: int | None) -> Told:
        if answer.is_positive and self._replies.has_buffered_input:
            raise NotAReply("octets behind the answer to STARTTLS")
        return StartTlsReply(answer)

    def _take_rset(self, answer: Reply, _: int | None) -> Told | None:
        self._open = False
        if not self._resetting:
            return RsetReply(answer)
        self._resetting = False
        if self._transaction and not self._transaction.grouped:
            self._say(Stage.MAIL, self._transaction.commands[0])
        return None

    # What goes out

    def data_to_send(self) -> list[Octets]:
        """Everything to be sent since the last call, in pieces; write them at once."""
        output, self._output = self._output, []
        return output

    def _say(self, stage: Stage, command: str, index: int | None = None) -> None:
        if _CONTROL.search(command):
            raise ValueError(f"control character in a {stage.value} command")
        self._output.append(command.encode() + CRLF)
        self._awaited.append((stage, index))

    def _say_alone(self, stage: Stage, command: str) -> None:
        if not self.is_idle:
            raise RuntimeError(f"{stage.value} while {self.during} waits for its answer")
        self._say(stage, command)

    def send_ehlo(self) -> None:
        """Say EHLO, or LHLO where the server speaks LMTP."""
        self._say_alone(Stage.EHLO, f"{'LHLO' if self._lmtp else 'EHLO'} {self._name}")

    def send_helo(self) -> None:
        """Say HELO, to a server that refused EHLO."""
        self._say_alone(Stage.HELO, f"HELO {self._name}")

    def send_starttls(self) -> None:
        """Ask for TLS; after StartTlsReply with 220 shake hands, then call `restart`."""
        self._say_alone(Stage.STARTTLS, "STARTTLS")

    def send_auth(self, mechanism: str, initial: bytes | None) -> None:
        """Begin AUTH (RFC 4954); `initial` is the initial response, None where the mechanism has none."""
        response = "" if initial is None else f" {base64.b64encode(initial).decode() or '='}"
        self._say_alone(Stage.AUTH, f"AUTH {mechanism}{response}")

    def send_auth_response(self, response: bytes | None) -> None:
        """Answer a 334; None cancels the exchange."""
        self._say_alone(Stage.AUTH, "*" if response is None else base64.b64encode(response).decode())

    def send_rset(self) -> None:
        """Say RSET; also a question whether the server is still there."""
        self._say_alone(Stage.RSET, "RSET")

    def send_quit(self) -> None:
        """Say goodbye."""
        self._say_alone(Stage.QUIT, "QUIT")

    def restart(self) -> None:
        """TLS has begun: forget what the server offered before; EHLO comes next."""
        self.extensions = PeerExtensions()

    # A transaction

    def start_transaction(self, envelope: Envelope, content: Sequence[Octets]) -> None:
        """Send a message to all recipients of the envelope.

        Content is canonical; dots are stuffed here. Raises RuntimeError while the sender is not idle, and
        ValueError for an address that would break its command.
        """
        if not self.is_idle:
            raise RuntimeError(f"a transaction while {self.during} waits for its answer")
        grouped = self._may_pipeline and self.extensions.pipelining
        size = sum(map(len, content))
        commands = [mail_command(envelope, size, self.extensions)]
        commands += [rcpt_command(recipient, self.extensions) for recipient in envelope.recipients]
        if _CONTROL.search("".join(commands)):
            raise ValueError("control character in an envelope")
        is_ahead = grouped and self._may_chunk and self.extensions.chunking and size <= MAX_AHEAD
        self._transaction = _Transaction(commands, content, grouped, is_ahead, [])
        if self._open:
            self._resetting = True
            self._say(Stage.RSET, "RSET")
        if grouped:
            self._say_group(self._transaction)
        elif not self._resetting:
            self._say(Stage.MAIL, commands[0])

    def _say_group(self, transaction: _Transaction) -> None:
        """MAIL, every RCPT, and DATA or the content itself, in one piece (RFC 2920 section 3.1, RFC 3030)."""
        last, chunk = "DATA", []
        if transaction.is_ahead:
            chunk = chunk_content(transaction.content)
            last = f"BDAT {sum(map(len, chunk))} LAST"
        self._output.append("\r\n".join([*transaction.commands, last, ""]).encode())
        self._output += chunk
        self._awaited += _group(len(transaction.commands) - 1, is_ahead=transaction.is_ahead)

    def _take_mail(self, answer: Reply, _: int | None) -> Told:
        transaction = self._transaction
        assert transaction is not None
        self._open = answer.is_positive
        transaction.failed = not self._open
        if not transaction.grouped:
            self._next_command(transaction, 0)
        return MailReply(answer)

    def _take_rcpt(self, answer: Reply, index: int | None) -> Told | None:
        transaction = self._transaction
        assert transaction is not None
        assert index is not None
        if answer.is_positive and not transaction.failed:
            transaction.accepted.append(index)
        if not transaction.grouped:
            self._next_command(transaction, index + 1)
        return None if transaction.failed else RcptReply(index, answer)

    def _next_command(self, transaction: _Transaction, index: int) -> None:
        """Without PIPELINING: what comes after an answered command."""
        commands = transaction.commands[1:]
        if transaction.failed:
            self._finish()
        elif index < len(commands):
            self._say(Stage.RCPT, commands[index], index)
        elif transaction.accepted:
            self._say(Stage.DATA, "DATA")
        else:
            self._finish()

    def _take_data(self, answer: Reply, _: int | None) -> Told | None:
        transaction = self._transaction
        assert transaction is not None
        if answer.is_intermediate and self._replies.has_buffered_input:
            raise NotAReply("an answer to content that was not sent yet")
        if answer.is_intermediate:
            self._say_content(transaction)
        else:
            self._finish()
        return DataReply(answer) if transaction.accepted else None

    def _say_content(self, transaction: _Transaction) -> None:
        """Send the content, or a lone dot where nobody would get it (RFC 2920 section 3.1)."""
        self._output += wire_content(transaction.content if transaction.accepted else ())
        if self._lmtp:
            self._awaited.extend((Stage.CONTENT, index) for index in transaction.accepted)
        else:
            self._awaited.append((Stage.CONTENT, None))
        if not self._awaited:
            self._finish()

    def _take_content(self, answer: Reply, index: int | None) -> Told | None:
        transaction = self._transaction
        assert transaction is not None
        # What a refused chunk leaves behind nobody knows before RSET (RFC 3030 section 2).
        self._open = transaction.is_ahead and not transaction.failed and not answer.is_positive
        if not self._awaited:
            self._finish()
        return ContentReply(answer, index) if transaction.accepted else None

    def _finish(self) -> None:
        self._transaction = None
        self._events.append(TransactionEnded())

    _TAKE: ClassVar[dict[Stage, Callable[[Sender, Reply, int | None], Told | None]]] = {
        Stage.GREETING: _take_greeting,
        Stage.EHLO: _take_ehlo,
        Stage.HELO: _take_helo,
        Stage.STARTTLS: _take_starttls,
        Stage.AUTH: _take_auth,
        Stage.MAIL: _take_mail,
        Stage.RCPT: _take_rcpt,
        Stage.DATA: _take_data,
        Stage.CONTENT: _take_content,
        Stage.RSET: _take_rset,
        Stage.QUIT: _take_quit,
    }
    """Who takes the reply that was awaited for what."""


@lru_cache(maxsize=64)
def _group(recipients: int, *, is_ahead: bool) -> tuple[tuple[Stage, int | None], ...]:
    """What is awaited after a transaction was said in one group."""
    last = Stage.CONTENT if is_ahead else Stage.DATA
    return ((Stage.MAIL, None), *((Stage.RCPT, index) for index in range(recipients)), (last, None))


def _require_sense(stage: Stage, answer: Reply) -> None:
    """Raise NotAReply for 2yz or 3yz where the command cannot have it (RFC 5321 section 4.3.2)."""
    if stage is Stage.DATA:
        is_senseless = answer.is_positive
    else:
        is_senseless = not answer.is_positive and stage is not Stage.AUTH
    if is_senseless:
        raise NotAReply(f"{answer.code} in answer to {stage.value}")
