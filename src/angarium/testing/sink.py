"""A receiving SMTP server that accepts everything, except what its rules refuse, delay, hang or drop.

Answers "what does my sender do when the next hop …?", and takes mail as fast as a load test can send it: the
content is scanned in place for its end and kept only where somebody asks for it.

Content comes by DATA or in chunks by BDAT (RFC 3030). Promises: commands that arrive together are answered
together and in order, also behind a delay; a final reply is sent after the message has been counted and
handed to `on_message`. Refuses to be a mail server: no TLS, no AUTH, addresses are taken as they come.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, cast

from angarium.testing.contents import Chunked, Dotted
from angarium.testing.rules import ACCEPT, Action, Rules, Verdict

EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING")
MAX_COMMAND = 16 * 1024
"""Octets of one command line; above, the connection is closed (RFC 5321 section 4.5.3.1 asks for 512)."""

_READ_SIZE = 256 * 1024
# The path of MAIL and RCPT: what stands in angle brackets, where a quoted local part may hold a bracket.
_PATH = re.compile(rb'[^:]*:\s*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>')
_CHUNK = re.compile(rb"BDAT +([0-9]{1,10})( +LAST)? *", re.IGNORECASE)  # RFC 3030 section 2
_IN_CHUNKS = b"503 5.5.1 BDAT has begun"


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came: envelope, octets, and the content without stuffed dots (b"" unless asked for)."""

    peer: str
    helo: str
    sender: str
    recipients: tuple[str, ...]
    size: int
    content: bytes = b""


@dataclass(slots=True)
class Counters:
    """What happened so far."""

    connections: int = 0
    open: int = 0
    messages: int = 0
    recipients: int = 0
    octets: int = 0
    last: float = 0.0
    """When the last message was taken, in epoch seconds."""
    hung: int = 0
    dropped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Stage and reply → how often."""


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """How a sink behaves. `max_recipients` per message (0: no limit); `max_size` in octets (0: no limit)."""

    hostname: str = "sink.invalid"
    extensions: tuple[str, ...] = EXTENSIONS
    max_recipients: int = 0
    max_size: int = 0
    keeps_content: bool = False


class Sink:
    """The server: `await start(…)`, read `counters`, `await stop()`."""

    def __init__(
        self,
        rules: Rules | None = None,
        options: SinkOptions | None = None,
        on_message: Callable[[Received], None] | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.options = options or SinkOptions()
        self.on_message = on_message
        self.counters = Counters()
        self.sessions: set[Session] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0, *, backlog: int = 1024) -> tuple[str, int]:
        """Listen, and say where. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self), host, port, backlog=backlog)
        address: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return address

    async def stop(self) -> None:
        """Close every socket at once."""
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def take(self, message: Received) -> None:
        """Count one message, and hand it on."""
        self.counters.messages += 1
        self.counters.recipients += len(message.recipients)
        self.counters.octets += message.size
        self.counters.last = time.time()
        if self.on_message is not None:
            self.on_message(message)


class Session(asyncio.BufferedProtocol):
    """One connection. Commands and content are taken from the common buffer as they come."""

    # One buffer for all: it is emptied before the loop reads again from anybody.
    _buffer = bytearray(_READ_SIZE)
    _lent = memoryview(_buffer)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._rules = sink.rules
        self._rest = b""  # the beginning of a command, or what waits behind a delay
        self._out: list[bytes] = []
        self._taking: Dotted | Chunked | None = None  # the content, where what comes next belongs to it
        self._is_deaf = False  # hangs: reads on only to see the connection end
        self._timer: asyncio.TimerHandle | None = None
        self._helo = ""
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._chunks: Chunked | None = None

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._sink.sessions.add(self)
        self._sink.counters.connections += 1
        self._sink.counters.open += 1
        self._answer("connect", [self._peer], b"220 " + self._sink.options.hostname.encode() + b" ESMTP sink")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session."""
        self._sink.sessions.discard(self)
        self._sink.counters.open -= 1
        if self._timer is not None:
            self._timer.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the common buffer to the loop."""
        return self._lent

    def buffer_updated(self, nbytes: int) -> None:
        """Take what the loop has read."""
        if self._is_deaf:
            return
        if self._timer is not None:
            self._rest += self._lent[:nbytes]
        elif self._rest:
            rest, self._rest = self._rest + self._lent[:nbytes], b""
            self._consume(rest, len(rest))
        else:
            self._consume(self._buffer, nbytes)

    def abort(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    # --- octets ---

    def _consume(self, data: bytes | bytearray, end: int) -> None:
        """Take everything in `data[:end]`; what cannot be taken yet is kept in `_rest`."""
        start = 0
        while start < end and self._timer is None and not self._is_deaf:
            if self._taking is not None:
                start = self._take_content(self._taking, data, start, end)
                continue
            newline = data.find(b"\r\n", start, end)
            if newline < 0:
                break
            line = bytes(data[start:newline])
            start = newline + 2
            self._command(line)
        if start < end:
            self._rest = bytes(data[start:end])
            if len(self._rest) > MAX_COMMAND and self._timer is None:
                self._say(b"421 4.5.2 Line too long")
                self._drop()
        self._flush()

    def _take_content(self, content: Dotted | Chunked, data: bytes | bytearray, start: int, end: int) -> int:
        """Take content up to its end or to the end of what is there; returns where it stopped."""
        stop = content.take(data, start, end)
        if stop < 0:
            return end
        self._taking = None
        if isinstance(content, Chunked):
            self._chunk_ended(content)
        else:
            self._content_ended(content)
        return stop

    # --- replies ---

    def _say(self, reply: bytes) -> None:
        self._out.append(reply + b"\r\n")

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _answer(self, stage: str, subjects: Sequence[str], reply: bytes) -> bool:
        """Give `reply` unless a rule says otherwise; True if the reply is ours and was given at once."""
        verdict = self._rules.verdict(stage, subjects)
        if verdict is ACCEPT:
            self._say(reply)
            return True
        if verdict.delay:
            self._flush()
            self._transport.pause_reading()
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(verdict.delay, self._resume, stage, verdict, reply)
        else:
            self._act(stage, verdict, reply)
        return verdict.action is None

    def _resume(self, stage: str, verdict: Verdict, reply: bytes) -> None:
        self._timer = None
        self._act(stage, verdict, reply)
        self._transport.resume_reading()
        rest, self._rest = self._rest, b""
        self._consume(rest, len(rest))

    def _act(self, stage: str, verdict: Verdict, reply: bytes) -> None:
        if verdict.action is Action.REFUSE:
            self._refuse(stage, verdict.reply)
        elif verdict.action is Action.HANG:
            self._sink.counters.hung += 1
            self._is_deaf = True
        elif verdict.action is Action.DROP:
            self._sink.counters.dropped += 1
            self._drop()
        else:
            self._say(reply)

    def _refuse(self, stage: str, reply: bytes) -> None:
        self._sink.counters.refused[f"{stage} {reply.decode('ascii', 'replace')}"] += 1
        self._say(reply)
        if reply.startswith(b"421") or stage == "connect":
            self._drop()

    def _drop(self) -> None:
        """Close after what has been said; nothing that follows is heard."""
        self._is_deaf = True
        self._flush()
        self._transport.close()

    # --- commands ---

    def _command(self, line: bytes) -> None:
        handler = self._handlers.get(line[:4].upper())
        if handler is None:
            self._say(b"502 5.5.1 Command not implemented")
        else:
            handler(self, line)

    def _ehlo(self, line: bytes) -> None:
        self._reset()
        self._helo = line[5:].decode("utf-8", "replace").strip()
        offered = [self._sink.options.hostname]
        if line[:1] in b"Ee":
            offered += self._sink.options.extensions
        lines = ["250-" + text for text in offered[:-1]] + ["250 " + offered[-1]]
        self._answer("ehlo", [self._helo], "\r\n".join(lines).encode())

    def _mail(self, line: bytes) -> None:
        sender = _path(line)
        if sender is None:
            self._say(b"501 5.1.7 Syntax: MAIL FROM:<address>")
        elif self._sender is not None:
            self._say(b"503 5.5.1 A transaction is open")
        elif self._answer("mail", [sender], b"250 2.1.0 OK"):
            self._sender = sender

    def _rcpt(self, line: bytes) -> None:
        recipient = _path(line)
        limit = self._sink.options.max_recipients
        if recipient is None:
            self._say(b"501 5.1.3 Syntax: RCPT TO:<address>")
        elif self._sender is None or self._chunks is not None:
            self._say(b"503 5.5.1 MAIL first" if self._sender is None else _IN_CHUNKS)
        elif limit and len(self._recipients) >= limit:
            self._refuse("rcpt", b"452 4.5.3 Too many recipients")
        elif self._answer("rcpt", [recipient], b"250 2.1.5 OK"):
            self._recipients.append(recipient)

    def _data(self, line: bytes) -> None:
        if self._chunks is not None:
            self._say(_IN_CHUNKS)
        elif not self._recipients:
            self._say(self._missing())
        elif self._answer("data", self._recipients, b"354 Go on"):
            self._taking = Dotted(keeps=self._sink.options.keeps_content)

    def _bdat(self, line: bytes) -> None:
        """Take the octets, also those that will be refused: nobody waits for a reply before they come."""
        match = _CHUNK.fullmatch(line)
        if match is None:  # how many octets follow is not known, so nothing after this can be understood
            self._say(b"501 5.5.4 Syntax: BDAT size [LAST]")
            self._drop()
            return
        if self._chunks is None:
            self._chunks = Chunked(keeps=self._sink.options.keeps_content)
        self._chunks.expect(int(match[1]), is_last=match[2] is not None)
        if self._chunks.missing:
            self._taking = self._chunks
        else:
            self._chunk_ended(self._chunks)

    def _chunk_ended(self, content: Chunked) -> None:
        if not self._recipients:
            self._chunks = None
            self._say(self._missing())
        elif content.is_last:
            self._content_ended(content)
        elif not self._answer("data", self._recipients, b"250 2.0.0 Octets received"):
            self._reset()

    def _missing(self) -> bytes:
        return b"503 5.5.1 RCPT first" if self._sender is not None else b"503 5.5.1 MAIL first"

    def _content_ended(self, content: Dotted | Chunked) -> None:
        limit, size = self._sink.options.max_size, content.size
        message = Received(
            self._peer, self._helo, self._sender or "", tuple(self._recipients), size, content.octets()
        )
        self._reset()
        if limit and size > limit:
            self._refuse("content", b"552 5.3.4 Too big")
        elif self._answer("content", message.recipients, b"250 2.0.0 OK"):
            self._sink.take(message)

    def _rset(self, line: bytes) -> None:
        self._reset()
        self._answer("rset", [], b"250 2.0.0 OK")

    def _noop(self, line: bytes) -> None:
        self._say(b"250 2.0.0 OK")

    def _quit(self, line: bytes) -> None:
        if self._answer("quit", [], b"221 2.0.0 Bye"):
            self._drop()

    _handlers: ClassVar[dict[bytes, Callable[[Session, bytes], None]]] = {
        b"EHLO": _ehlo,
        b"HELO": _ehlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _data,
        b"BDAT": _bdat,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
    }


def _path(line: bytes) -> str | None:
    """The address of MAIL or RCPT ("" for the null reverse-path); None where there is none."""
    match = _PATH.match(line)
    return match[1].decode("utf-8", "replace") if match else None
