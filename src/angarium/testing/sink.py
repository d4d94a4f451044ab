"""A receiving SMTP server that accepts everything, except what its rules refuse, delay, hang or drop.

Answers "what does my sender do when the next hop …?", and takes mail as fast as a load test can send it: the
content is scanned in place for its end and kept only where somebody asks for it.

Promises: commands that arrive together are answered together and in order, also behind a delay; a final reply
is sent after the message has been counted and handed to `on_message`. Refuses to be a mail server: no TLS, no
AUTH, addresses are taken as they come.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, cast

from angarium.testing.rules import ACCEPT, Action, Rules, Verdict

EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
MAX_COMMAND = 16 * 1024
"""Octets of one command line; above, the connection is closed (RFC 5321 section 4.5.3.1 asks for 512)."""
MAX_CONTENT = 1 << 30

_READ_SIZE = 256 * 1024
_END = b"\r\n.\r\n"
# The path of MAIL and RCPT: what stands in angle brackets, where a quoted local part may hold a bracket.
_PATH = re.compile(rb'[^:]*:\s*<((?:"(?:[^"\\]|\\.)*"|[^">])*)>')


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
        self._is_in_content = False
        self._tail = b""  # the last octets of content so far, which may begin its end
        self._size = 0
        self._parts: list[bytes] | None = None
        self._is_deaf = False  # hangs: reads on only to see the connection end
        self._timer: asyncio.TimerHandle | None = None
        self._helo = ""
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._recipients: list[str] = []

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
            if self._is_in_content:
                start = self._take_content(data, start, end)
                continue
            newline = data.find(b"\r\n", start, end)
            if newline < 0:
                break
            line = bytes(data[start:newline])
            start = newline + 2
            self._command(line)
        self._rest = bytes(data[start:end])
        if len(self._rest) > MAX_COMMAND and self._timer is None:
            self._say(b"421 4.5.2 Line too long")
            self._drop()
        self._flush()

    def _take_content(self, data: bytes | bytearray, start: int, end: int) -> int:
        """Take content up to its final dot or to the end of what is there; returns where it stopped."""
        seam = self._tail + data[start : start + 4]
        found = seam.find(_END)
        stop = start + found + len(_END) - len(self._tail) if found >= 0 else self._find_end(data, start, end)
        self._size += (stop or end) - start
        if self._parts is not None:
            self._parts.append(bytes(data[start : stop or end]))
        if not stop:
            self._tail = bytes(self._tail + data[max(start, end - 4) : end])[-4:]
            return end
        self._is_in_content = False
        self._content_ended()
        return stop

    def _find_end(self, data: bytes | bytearray, start: int, end: int) -> int:
        found = data.find(_END, start, end)
        return found + len(_END) if found >= 0 else 0

    # --- replies ---

    def _say(self, reply: bytes) -> None:
        self._out.append(reply + b"\r\n")

    def _flush(self) -> None:
        if self._out:
            self._transport.write(b"".join(self._out))
            self._out.clear()

    def _answer(self, stage: str, subjects: list[str], reply: bytes) -> bool:
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
        elif self._sender is None:
            self._say(b"503 5.5.1 MAIL first")
        elif limit and len(self._recipients) >= limit:
            self._refuse("rcpt", b"452 4.5.3 Too many recipients")
        elif self._answer("rcpt", [recipient], b"250 2.1.5 OK"):
            self._recipients.append(recipient)

    def _data(self, line: bytes) -> None:
        if not self._recipients:
            self._say(b"503 5.5.1 RCPT first" if self._sender is not None else b"503 5.5.1 MAIL first")
        elif self._answer("data", self._recipients, b"354 Go on"):
            self._is_in_content = True
            self._tail = b"\r\n"
            self._size = 0
            self._parts = [] if self._sink.options.keeps_content else None

    def _content_ended(self) -> None:
        limit = self._sink.options.max_size
        size = self._size - len(_END) + 2  # the line end before the dot is the content's own
        message = Received(
            self._peer, self._helo, self._sender or "", tuple(self._recipients), size, self._content()
        )
        self._reset()
        if limit and size > limit:
            self._refuse("content", b"552 5.3.4 Too big")
        elif self._answer("content", list(message.recipients), b"250 2.0.0 OK"):
            self._sink.take(message)

    def _content(self) -> bytes:
        """The content before its dots were stuffed, also such as `wire.framing` would refuse."""
        if self._parts is None:
            return b""
        stuffed = b"\r\n" + b"".join(self._parts)
        return stuffed[: 2 - len(_END)].replace(b"\r\n.", b"\r\n")[2:]

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
        b"RSET": _rset,
        b"NOOP": _noop,
        b"QUIT": _quit,
    }


def _path(line: bytes) -> str | None:
    """The address of MAIL or RCPT ("" for the null reverse-path); None where there is none."""
    match = _PATH.match(line)
    return match[1].decode("utf-8", "replace") if match else None
