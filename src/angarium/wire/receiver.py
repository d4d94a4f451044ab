"""The receiving side of SMTP, without input or output (RFC 5321, 2920, 1870, 6531, 3030, 3207, 4954).

Answers "what did the client say?": octets go in with `receive_data`, events come out of `next_event`, one at
a time; each is answered with `send` before the next is pulled, so that pipelining needs no queue; all replies
queued so far come out of `data_to_send` in one piece.

Promises: any chunking of the octets gives the same events; garbage gives one Refused a line; memory is
bounded by the limits; every final reply after content ends the transaction, and EHLO, HELO and RSET reset it;
nothing that came before a TLS handshake is known after it. Refuses to decide anything about mail: the replies
it makes by itself are about grammar, sequence and limits. STATES is the whole state machine; `state_table`
prints it.

The shell pulls until NEED_DATA before it reads again; what it hands in beyond that is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Final

from angarium.mail.status import Reply, reply
from angarium.wire.commands import decode_base64, needs_smtputf8, parse_bdat, parse_command
from angarium.wire.events import (
    NEED_DATA,
    Answerable,
    Auth,
    AuthResponse,
    Chunk,
    Command,
    Content,
    Data,
    Disconnected,
    Event,
    Mail,
    Rcpt,
    Refused,
    StartTls,
)
from angarium.wire.extensions import CommandError, Extensions
from angarium.wire.framing import CRLF, HEAD, Canonical, Defect, Input, checked
from angarium.wire.states import (
    CLOSED,
    CLOSES,
    CONTENT,
    ENDS,
    HANDSHAKE,
    IN_TRANSACTION,
    OUT_OF_SEQUENCE,
    READY,
    STATES,
    STAYS,
    STEPS,
    TAKES_CONTENT,
    State,
    Step,
)

_MAX_REPLY_TEXT = 500  # octets a line, so that code and CRLF fit 512: RFC 5321 section 4.5.3.1.5
_SKIPPED = 64 * 1024 * 1024  # octets beyond the limit that are read to stay in step with a client
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_COMMAND = frozenset({"syntax", "encoding", "unknown-command", "too-long"})
_RESPONSE = re.compile(rb"[A-Za-z0-9+/]{12,}={0,2}")
STRAY = b"[redacted: base64 out of place]"
"""What stands in place of a line that a client may have sent which is out of step with AUTH."""
SECRET = b"[redacted]"
"""What stands in a refused line in place of a response of AUTH."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything is taken."""

    message_size: int = 20 * 1024 * 1024
    """Octets of content, CRLF counted, stuffing not."""
    line_length: int = 998
    """Octets of a command line or a line of content, CRLF not counted (RFC 5321 section 4.5.3.1.6)."""
    auth_line: int = 12_288
    """Octets of a line of an AUTH exchange, CRLF not counted (RFC 4954 section 4)."""
    fix_line_endings: bool = False
    """Make bare CR and LF in content line ends, instead of refusing the content."""


_DEFECTS: Final = {
    Defect.TOO_BIG: (reply(552, "5.3.4 message is too big"), "too-big"),
    Defect.LINE_ENDINGS: (
        reply(552, "5.6.0 lines must end with CRLF; CR and LF stand nowhere else, nor NUL beside a lone dot"),
        "line-endings",
    ),
    Defect.LONG_LINE: (reply(500, "5.2.3 a line of the message is too long"), "long-line"),
}


class Receiver:
    """One session's protocol state. `limits` and `extensions` may be replaced between commands."""

    def __init__(self, limits: Limits, extensions: Extensions) -> None:
        self.limits = limits
        self.extensions = extensions
        self.state = State.CONNECTED
        self._input = Input()
        self._output = b""
        self._pending: Answerable | None = None
        self._step: Step = STAYS
        self._eof = False
        self._authenticated = False
        self._smtputf8 = False
        self._secrets_may_follow = False  # credentials sent blindly after AUTH was refused
        self._chunk: tuple[int, bool] | None = None  # size and LAST of the chunk that is coming
        self._chunk_error: CommandError | None = None
        self._chunks = bytearray()

    # What comes in

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take in octets. Between STARTTLS and TLS they close the session (RFC 3207 section 5)."""
        if self.state is HANDSHAKE:
            self._close()
        if self.state is not CLOSED:
            self._input.append(data)

    def receive_eof(self) -> None:
        """The client sends nothing more; what it has sent is still understood."""
        self._eof = True

    @property
    def has_buffered_input(self) -> bool:
        """Whether octets came in that are not understood yet, such as those of early talkers."""
        return len(self._input) > 0

    @property
    def in_transaction(self) -> bool:
        """Whether MAIL was accepted and the transaction has not ended."""
        return self.state in IN_TRANSACTION

    @property
    def takes_content(self) -> bool:
        """Whether what comes next is content, or belongs to it."""
        return self.state in TAKES_CONTENT or self._chunk is not None

    @property
    def held(self) -> int:
        """Octets of content that stand here, in whole or in part."""
        return len(self._chunks) + (len(self._input) if self.takes_content else 0)

    @property
    def is_closed(self) -> bool:
        """Whether the session is over: send what is left, then close the connection."""
        return self.state is CLOSED

    # What it says

    def next_event(self) -> Event:
        """The next thing the client said. Raises RuntimeError while an event waits for its reply."""
        if self._pending is not None:
            raise RuntimeError(f"{type(self._pending).__name__} waits for its reply")
        if self._input.octets:
            read = self._READERS[self.state] if self._chunk is None else Receiver._read_chunk
            self._pending = read(self)
            if self._pending is not None:
                return self._pending
        if self.state is CLOSED or self._eof:
            return Disconnected(self.state.value)
        return NEED_DATA

    def _wait(self) -> None:
        """Nothing is understood now."""

    def _read_command(self) -> Answerable | None:
        limits = self.limits
        taken = self._input.take_line(limits.auth_line)
        if taken is None:
            return None
        line, length = taken
        if length > limits.line_length and (length > limits.auth_line or not _is_auth(line)):
            return self._refused(CommandError(reply(500, "5.2.3 line too long"), "too-long"), line[:HEAD])
        try:
            if line[:4].upper() == b"BDAT" and not line[4:5].isalnum():
                return self._begin_chunk(*parse_bdat(line))
            command = parse_command(line, self.extensions)
            self._check(command, line)
        except CommandError as error:
            return self._refused(error, line)
        self._secrets_may_follow = type(command) is Auth
        self._step = STEPS[type(command)]
        return command

    def _check(self, command: Command, line: bytes) -> None:
        """Refuse what stands at the wrong place; raises CommandError."""
        if type(command) not in STATES[self.state]:
            raise self._out_of_sequence(type(command))
        if type(command) is Mail:
            if command.parameters.size > self.limits.message_size:
                raise CommandError(*_DEFECTS[Defect.TOO_BIG])
            self._smtputf8 = command.parameters.smtputf8
        elif type(command) is Rcpt:
            if not (self._smtputf8 or line.isascii()):
                raise needs_smtputf8()
        elif type(command) is Auth and self._authenticated:
            raise CommandError(reply(503, "5.5.1 this session has authenticated already"), "sequence")
        elif type(command) is StartTls and len(self._input):
            raise CommandError(reply(421, "4.7.0 input came together with STARTTLS"), "early-input")

    def _out_of_sequence(self, kind: type[Answerable]) -> CommandError:
        text = OUT_OF_SEQUENCE[Rcpt if kind in {Data, Chunk} and self.state is READY else kind]
        if self.state is State.CHUNKS and kind in {Rcpt, Data}:
            text = "5.5.0 the content has begun with BDAT"
        return CommandError(reply(503, text), "sequence")

    def _refused(self, error: CommandError, line: bytes, step: Step = STAYS) -> Refused:
        self._step = step
        return Refused(error.reply, self._without_secrets(line, error.why), error.why)

    def _without_secrets(self, line: bytes, why: str) -> bytes:
        """The line as it may be recorded: no response of an AUTH exchange, not even of a refused one."""
        if _is_auth(line):
            self._secrets_may_follow = True
            return b"AUTH " + SECRET
        if why not in _NO_COMMAND:
            return line
        return SECRET if self._secrets_may_follow else STRAY if _RESPONSE.fullmatch(line) else line

    def _read_content(self) -> Answerable | None:
        limits = self.limits
        content = self._input.take_content(
            limits.message_size, limits.line_length, fix=limits.fix_line_endings
        )
        return None if content is None else self._content(content)

    def _content(self, content: bytes | Defect) -> Answerable:
        if isinstance(content, Defect):
            return self._refused(CommandError(*_DEFECTS[content]), b"", ENDS)
        self._step = ENDS
        return Content(content)

    def _read_auth_response(self) -> Answerable | None:
        taken = self._input.take_line(self.limits.auth_line)
        if taken is None:
            return None
        line, length = taken
        try:
            if length > self.limits.auth_line:
                raise CommandError(reply(500, "5.5.6 line of the AUTH exchange too long"), "too-long")
            if line == b"*":
                raise CommandError(reply(501, "5.5.0 AUTH was cancelled"), "cancelled")
            response = AuthResponse(decode_base64(line.decode("latin-1")))
        except CommandError as error:
            return self._refused(error, SECRET, ENDS)
        self._step = STEPS[AuthResponse]
        return response

    # BDAT (RFC 3030): a chunk is read to its end whatever becomes of it, unless that is far away

    def _begin_chunk(self, size: int, last: bool) -> Answerable | None:
        self._chunk_error = None
        try:
            if not self.extensions.chunking:
                raise CommandError(reply(502, "5.5.1 BDAT is not offered"), "not-offered")
            if Chunk not in STATES[self.state]:
                raise self._out_of_sequence(Chunk)
            if len(self._chunks) + size > self.limits.message_size:
                raise CommandError(*_DEFECTS[Defect.TOO_BIG])
        except CommandError as error:
            if size > self.limits.message_size + _SKIPPED:
                return self._refused(error, b"BDAT %d" % size, CLOSES)
            self._chunk_error = error
        self._chunk = (size, last)
        self._input.begin_chunk(size)
        return self._read_chunk()

    def _read_chunk(self) -> Answerable | None:
        assert self._chunk is not None
        if not self._input.take_chunk(None if self._chunk_error else self._chunks):
            return None
        (size, last), self._chunk = self._chunk, None
        if self._chunk_error is not None:  # the transaction has failed: RFC 3030 section 2
            return self._refused(self._chunk_error, b"BDAT %d" % size, ENDS)
        if last:
            return self._content(self._chunked_content())
        self._step = STEPS[Chunk]
        return Chunk(size)

    def _chunked_content(self) -> bytes | Defect:
        if self._chunks and not self._chunks.endswith(b"\n"):
            self._chunks += CRLF
        content, self._chunks = Canonical(self._chunks), bytearray()
        limits = self.limits
        return checked(content, limits.message_size + 2, limits.line_length, fix=limits.fix_line_endings)

    # What is answered

    def send_greeting(self, answer: Reply) -> None:
        """Greet with 220; every other code ends the session (RFC 5321 section 3.1).

        After `restart` it answers XCLIENT.
        """
        self._pending = None
        self.state = READY if answer.code == 220 else CLOSED
        self._output += _wire(answer.code, answer.full_text)

    def send_ehlo(self, hostname: str) -> None:
        """Accept the pending EHLO and say what is offered."""
        self.send(Reply(250, None, "\n".join([hostname, *self.extensions.lines()])))

    def send(self, answer: Reply) -> None:
        """Answer the pending event; without one only 421 may be said (RuntimeError for anything else)."""
        if self._pending is None and not answer.closes:
            raise RuntimeError("no event waits for a reply")
        self._pending = None
        self._output += _wire(answer.code, answer.full_text)
        self._authenticated |= answer.code == 235
        success, more, refusal = self._step
        step = success if answer.is_positive else more if answer.is_intermediate else refusal
        if answer.closes or step is CLOSED:
            self._close()
        elif step is not None:
            self.state = step
            if step is READY:
                self._chunks = bytearray()
            elif step is CONTENT:
                self._input.begin_content(self.limits.message_size)

    def close(self) -> None:
        """End the session: what was answered is still sent, and nothing more is understood."""
        self._pending = None
        self._close()

    def _close(self) -> None:
        self.state = CLOSED
        self._input.clear()
        self._chunk = None
        self._chunks = bytearray()

    def restart(self, extensions: Extensions) -> None:
        """TLS has begun, or XCLIENT was answered 220: forget everything learnt, offer `extensions`.

        A session that closed while shaking hands stays closed.
        """
        self.extensions = extensions
        self._authenticated = self._secrets_may_follow = False
        self._chunks = bytearray()
        if self.state is not CLOSED:
            self.state = READY

    def data_to_send(self) -> bytes:
        """All replies queued since the last call; write them at once."""
        output, self._output = self._output, b""
        return output

    _READERS: ClassVar[dict[State, Callable[[Receiver], Answerable | None]]] = {
        **dict.fromkeys(State, _wait),
        **dict.fromkeys(STATES, _read_command),
        State.CONTENT: _read_content,
        State.AUTH: _read_auth_response,
    }
    """Who reads what comes in each state, unless a chunk is coming."""


@lru_cache(maxsize=512)
def _wire(code: int, text: str) -> bytes:
    """A reply as octets; most are said again and again."""
    if text.isprintable() and len(text) <= _MAX_REPLY_TEXT:
        return f"{code} {text}\r\n".encode("ascii", "replace")
    lines = [_CONTROL.sub(" ", line)[:_MAX_REPLY_TEXT] for line in text.split("\n")]
    wire = [f"{code}-{line}\r\n" for line in lines[:-1]]
    return "".join([*wire, f"{code} {lines[-1]}\r\n"]).encode("ascii", "replace")


def _is_auth(line: bytes) -> bool:
    return line.lstrip()[:4].upper() == b"AUTH"
