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
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(slots=True)
class _Transaction:
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
                self._take(answer)
            except NotAReply as error:
                return ProtocolError(str(error), self._end(self.during).during)
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

    def _take(self, answer: Reply) -> None:
        """Match a reply to what awaits it."""
        during = self.during if answer.closes else ""
        if self._awaited:
            stage, index = self._awaited[0]
            _require_sense(stage, answer)
            self._awaited.popleft()
            self._answered(stage, index, answer)
        elif answer.closes:
            self._events.append(Unsolicited(answer))
        else:
            raise NotAReply(f"a reply to nothing: {answer.code}")
        if answer.closes:
            self._end(during)

    def _answered(self, stage: Stage, index: int | None, answer: Reply) -> None:
        if self._transaction is not None and stage is not Stage.RSET:
            self._take_in_transaction(self._transaction, stage, index, answer)
        else:
            self._answered_alone(stage, answer)

    def _answered_alone(self, stage: Stage, answer: Reply) -> None:
        match stage:
            case Stage.GREETING:
                self._events.append(Greeting(answer))
            case Stage.EHLO | Stage.HELO:
                self._take_ehlo(stage, answer)
            case Stage.STARTTLS:
                self._take_starttls(answer)
            case Stage.AUTH:
                self._events.append(AuthReply(answer))
            case Stage.RSET:
                self._take_rset(answer)
            case _:
                self._events.append(QuitReply(answer))

    def _take_ehlo(self, stage: Stage, answer: Reply) -> None:
        offers = stage is Stage.EHLO and answer.is_positive
        self.extensions = PeerExtensions.read(answer) if offers else PeerExtensions()
        self._events.append(EhloReply(answer, self.extensions))

    def _take_starttls(self, answer: Reply) -> None:
        if answer.is_positive and self._replies.has_buffered_input:
            raise NotAReply("octets behind the answer to STARTTLS")
        self._events.append(StartTlsReply(answer))

    def _take_rset(self, answer: Reply) -> None:
        self._open = False
        if not self._resetting:
            self._events.append(RsetReply(answer))
            return
        self._resetting = False
        if self._transaction and not self._transaction.grouped:
            self._say(Stage.MAIL, self._transaction.commands[0])

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
        if any(map(_CONTROL.search, commands)):
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
        commands, last, chunk = transaction.commands, Stage.DATA, []
        if transaction.is_ahead:
            last, chunk = Stage.CONTENT, chunk_content(transaction.content)
        data = f"BDAT {sum(map(len, chunk))} LAST" if transaction.is_ahead else "DATA"
        self._output.append("\r\n".join([*commands, data, ""]).encode())
        self._output += chunk
        self._awaited.append((Stage.MAIL, None))
        self._awaited.extend((Stage.RCPT, index) for index in range(len(commands) - 1))
        self._awaited.append((last, None))

    def _take_in_transaction(
        self, transaction: _Transaction, stage: Stage, index: int | None, answer: Reply
    ) -> None:
        match stage:
            case Stage.MAIL:
                self._take_mail(transaction, answer)
            case Stage.RCPT:
                self._take_rcpt(transaction, index or 0, answer)
            case Stage.DATA:
                self._take_data(transaction, answer)
            case _:
                self._take_content(transaction, index, answer)

    def _take_mail(self, transaction: _Transaction, answer: Reply) -> None:
        transaction.failed = not answer.is_positive
        self._open = not transaction.failed
        self._events.append(MailReply(answer))
        if not transaction.grouped:
            self._next_command(transaction, 0)

    def _take_rcpt(self, transaction: _Transaction, index: int, answer: Reply) -> None:
        if not transaction.failed:
            self._events.append(RcptReply(index, answer))
            if answer.is_positive:
                transaction.accepted.append(index)
        if not transaction.grouped:
            self._next_command(transaction, index + 1)

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

    def _take_data(self, transaction: _Transaction, answer: Reply) -> None:
        if answer.is_intermediate and self._replies.has_buffered_input:
            raise NotAReply("an answer to content that was not sent yet")
        if transaction.accepted:
            self._events.append(DataReply(answer))
        if answer.is_intermediate:
            self._say_content(transaction)
        else:
            self._finish()

    def _say_content(self, transaction: _Transaction) -> None:
        """Send the content, or a lone dot where nobody would get it (RFC 2920 section 3.1)."""
        self._output += wire_content(transaction.content if transaction.accepted else ())
        if self._lmtp:
            self._awaited.extend((Stage.CONTENT, index) for index in transaction.accepted)
        else:
            self._awaited.append((Stage.CONTENT, None))
        if not self._awaited:
            self._finish()

    def _take_content(self, transaction: _Transaction, index: int | None, answer: Reply) -> None:
        # What a refused chunk leaves behind nobody knows before RSET (RFC 3030 section 2).
        self._open = transaction.is_ahead and not transaction.failed and not answer.is_positive
        if transaction.accepted:
            self._events.append(ContentReply(answer, index))
        if not self._awaited:
            self._finish()

    def _finish(self) -> None:
        self._transaction = None
        self._events.append(TransactionEnded())


def _require_sense(stage: Stage, answer: Reply) -> None:
    """Raise NotAReply for a class of reply that the command cannot have (RFC 5321 section 4.3.2)."""
    if stage is Stage.DATA:
        is_senseless = answer.is_positive
    else:
        is_senseless = answer.is_intermediate and stage is not Stage.AUTH
    if is_senseless:
        raise NotAReply(f"{answer.code} in answer to {stage.value}")
