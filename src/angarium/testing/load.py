"""A load generator: many SMTP connections that send as much as they may, and count what comes of it.

Answers "how much does this server take, how fast does it answer, and what does it refuse?".

Promises: content is made once per size, so that sending costs little; the time of a message runs from MAIL to
the reply after the final dot, or, where a rate is asked for, from the moment at which the message was due, so
that a server that stalls cannot hide it by stalling us; each failed message is in `errors`, by its reply.
Refuses TLS and AUTH.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

from angarium.testing.histogram import Histogram
from angarium.testing.mixture import LoadOptions, Mixture

MAX_KINDS = 50
"""Different errors that are told apart; further ones are counted together."""
_MAX_TRIES = 5  # connections that fail one after another before a worker gives up
_READ_SIZE = 64 * 1024
_LAST_DOT = b".\r\n"


@dataclass(slots=True)
class Results:
    """What came of it."""

    accepted: int = 0
    failed: int = 0
    recipients: int = 0
    octets: int = 0
    connections: int = 0
    began: float = 0.0
    """When the run began, in epoch seconds."""
    seconds: float = 0.0
    cpu: float = 0.0
    """Seconds of CPU that sending took here."""
    times: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Messages accepted a second."""
        return self.accepted / self.seconds if self.seconds else 0.0

    def error(self, what: str) -> None:
        """Count an error under its text."""
        self.errors[what if what in self.errors or len(self.errors) < MAX_KINDS else "(others)"] += 1


class Load:
    """One run: `await run()`; `results` may be read meanwhile; `stop()` lets what is in flight end."""

    def __init__(self, options: LoadOptions) -> None:
        self.options = options
        self.results = Results()
        self.clients: set[_Client] = set()
        self._issued = 0
        self._began = 0.0
        self._is_stopped = False
        self._mix = Mixture(options)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began if self._began else 0.0

    async def run(self) -> Results:
        """Send it all, and tell what came of it."""
        self._began, cpu = time.perf_counter(), time.process_time()
        self.results.began = time.time()
        workers = [asyncio.create_task(self._worker()) for _ in range(self.options.connections)]
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.gather(*workers)
        finally:
            for task in [*workers, watch]:
                task.cancel()
            self.abort()
        self.results.seconds, self.results.cpu = self.elapsed, time.process_time() - cpu
        return self.results

    def stop(self) -> None:
        """Begin no further message."""
        self._is_stopped = True
        for client in list(self.clients):
            client.stop_waiting()

    def abort(self) -> None:
        """Close every connection at once."""
        self._is_stopped = True
        for client in list(self.clients):
            client.abort()

    @property
    def is_over(self) -> bool:
        """True if no further message may begin."""
        options = self.options
        return (
            self._is_stopped
            or (options.messages is not None and self._issued >= options.messages)
            or (options.duration is not None and self.elapsed >= options.duration)
        )

    def ticket(self) -> float | None:
        """The right to send one message, and when (as `time.perf_counter`); None when the run is over."""
        if self.is_over:
            return None
        self._issued += 1
        now = time.perf_counter()
        if self.options.rate is None:
            return now
        due = self._began + (self._issued - 1) / self.options.rate
        if self.options.duration is not None and due > self._began + self.options.duration:
            self._is_stopped = True
            return None
        return due

    def next_message(self) -> tuple[list[bytes], list[bytes], int]:
        """Envelope commands, content parts and size of the next message."""
        return self._mix.next_message()

    async def _worker(self) -> None:
        tries = 0
        while not self.is_over and tries < _MAX_TRIES:
            client = await self._connect()
            if client is not None:
                await client.over
                tries = 0 if client.has_sent else tries + 1
            else:
                tries += 1
            if tries and not self.is_over:
                await asyncio.sleep(self.options.retry_wait * 2**tries)

    async def _connect(self) -> _Client | None:
        loop = asyncio.get_running_loop()
        address = (self.options.host, self.options.port)
        try:
            async with asyncio.timeout(self.options.timeout):
                _, client = await loop.create_connection(lambda: _Client(self), *address)
        except TimeoutError:
            self.results.error("connect: no answer")
        except OSError as error:
            self.results.error(f"connect: {_why(error)}")
        else:
            self.results.connections += 1
            return client
        return None

    async def _watch(self) -> None:
        """End connections whose server has stopped answering."""
        while True:
            await asyncio.sleep(min(1.0, self.options.timeout / 4))
            oldest = time.perf_counter() - self.options.timeout
            for client in list(self.clients):
                client.expire(oldest)


class _Client(asyncio.BufferedProtocol):
    """One connection, driven by the replies that come."""

    # One buffer for all: it is emptied before the loop reads again from anybody.
    _buffer = memoryview(bytearray(_READ_SIZE))

    def __init__(self, load: Load) -> None:
        self._load = load
        self._results = load.results
        self._rest = b""
        self._awaited: deque[str] = deque(["greeting"])
        self._unsent: deque[tuple[str, bytes]] = deque()  # commands that wait for a reply first
        self._pipelines = False
        self._chunks = False
        self._keywords: set[bytes] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._since = time.perf_counter()
        self._began: float | None = None  # of the message in flight
        self._trouble = ""
        self._refusal = ""
        self._accepted = 0
        self._needs_reset = False
        self._left = load.options.messages_per_connection or -1
        self.has_sent = False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- the transport's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting."""
        self._transport = cast("asyncio.Transport", transport)
        self._load.clients.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count what was in flight as failed."""
        self._load.clients.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._awaited and self._awaited[0] != "quit":
            self._failed(self._trouble or self._refusal or f"{self._awaited[0]}: connection lost")
        if not self.over.done():
            self.over.set_result(None)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the common buffer to the loop."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take the replies that are complete."""
        *lines, self._rest = (self._rest + self._buffer[:nbytes]).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._reply(line)
            elif self._awaited and self._awaited[0] == "ehlo":
                self._keywords.add(line[4:].upper())

    # --- what the run asks ---

    def stop_waiting(self) -> None:
        """Leave, if nothing is in flight but the wait for the next message's time."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._leave()

    def expire(self, oldest: float) -> None:
        """Give up if a reply has been awaited since before `oldest`."""
        if self._awaited and self._since < oldest:
            self._trouble = f"{self._awaited[0]}: no answer"
            self.abort()

    def abort(self) -> None:
        """End the connection without a word."""
        self._transport.abort()

    # --- replies ---

    def _reply(self, line: bytes) -> None:
        if not self._awaited:
            self._results.error(f"unasked: {_shown(line)}")
            return
        stage = self._awaited.popleft()
        code = line[:1]
        if stage in {"mail", "rcpt", "data", "content"}:
            self._transaction_reply(stage, code, line)
        elif stage == "greeting" and code == b"2":
            self._send("ehlo", f"EHLO {self._load.options.ehlo_name}\r\n".encode())
        elif stage == "ehlo" and code == b"2":
            self._keywords.add(line[4:].upper())
            self._pipelines = self._load.options.pipelining and b"PIPELINING" in self._keywords
            self._chunks = self._pipelines and self._load.options.chunking and b"CHUNKING" in self._keywords
            self._next()
        elif stage in {"greeting", "ehlo"}:
            self._results.error(f"{stage}: {_shown(line)}")
            self._leave()
        elif stage == "rset":
            self._send_next()
        elif stage == "quit":
            self._transport.close()

    def _transaction_reply(self, stage: str, code: bytes, line: bytes) -> None:
        if line.startswith(b"421"):  # the server closes (RFC 5321 section 3.8)
            self._failed(self._refusal or f"{stage}: {_shown(line)}")
            self._awaited.clear()
            self._transport.close()
        elif stage == "content":
            self._finished(line if code != b"2" else b"")
        elif stage == "data":
            self._data_answered(code, line)
        elif code == b"2":
            self._accepted += stage == "rcpt"
            self._send_next()
        else:
            self._note(stage, line)
            self._go_on(stage, line)

    def _go_on(self, stage: str, line: bytes) -> None:
        """After a refusal: what was not sent yet is only sent if it can still lead to a message."""
        is_hopeless = stage == "mail" or (not self._accepted and len(self._unsent) == 1)
        if self._unsent and is_hopeless:
            self._unsent.clear()
            self._needs_reset = stage != "mail"
            self._finished(line)
        else:
            self._send_next()

    def _data_answered(self, code: bytes, line: bytes) -> None:
        if code == b"3":
            parts = self._parts if self._accepted else [b".\r\n"]
            self._awaited.append("content")
            self._since = time.perf_counter()
            self._transport.writelines(parts)
            return
        self._note("data", line)
        self._needs_reset = True
        self._finished(line)

    def _note(self, stage: str, line: bytes) -> None:
        """Keep the first refusal of a transaction: others follow from it, but for those of recipients."""
        if not self._refusal:
            self._refusal = f"{stage}: {_shown(line)}"
        elif stage == "rcpt" and self._refusal.startswith("rcpt"):
            self._results.error(f"{stage}: {_shown(line)}")

    def _finished(self, refusal: bytes) -> None:
        if refusal or not self._accepted:
            self._needs_reset |= self._chunks  # what a refused chunk leaves open is ended
            self._failed(self._refusal or f"content: {_shown(refusal)}")
        else:
            self._succeeded()
        self._next()

    def _succeeded(self) -> None:
        if self._refusal:  # of one recipient among several
            self._results.error(self._refusal)
        self._results.accepted += 1
        self._results.recipients += self._accepted
        self._results.octets += self._size
        self._results.times.add(time.perf_counter() - (self._began or 0.0))
        self._began = None
        self.has_sent = True

    def _failed(self, what: str) -> None:
        self._results.error(what)
        self._results.failed += self._began is not None
        self._began = None

    # --- commands ---

    def _send(self, stage: str, command: bytes) -> None:
        self._awaited.append(stage)
        self._since = time.perf_counter()
        self._transport.write(command)

    def _next(self) -> None:
        """Begin the next message now or when it is due, or leave."""
        due = self._load.ticket() if self._left else None
        if due is None:
            self._leave()
            return
        self._left -= 1
        wait = due - time.perf_counter()
        if wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._begin, due)
        else:
            self._begin(due)

    def _begin(self, due: float) -> None:
        self._timer = None
        self._began = min(due, time.perf_counter())  # timers have milliseconds, and may be early
        self._refusal = ""
        self._accepted = 0
        envelope, self._parts, self._size = self._load.next_message()
        commands = [("mail", envelope[0]), *(("rcpt", command) for command in envelope[1:])]
        commands.append(self._chunk() if self._chunks else ("data", b"DATA\r\n"))
        if self._needs_reset:
            commands.insert(0, ("rset", b"RSET\r\n"))
            self._needs_reset = False
        self._unsent.extend(commands)
        self._send_next()

    def _chunk(self) -> tuple[str, bytes]:
        """The content as one chunk: it has no line that begins with a dot, so that only the last one goes."""
        content = b"".join(self._parts)
        return "content", b"BDAT %d LAST\r\n%b" % (len(content) - len(_LAST_DOT), content[: -len(_LAST_DOT)])

    def _send_next(self) -> None:
        """Send the next command, or all of them where the server lets us."""
        if not self._unsent:
            return
        if self._pipelines:
            self._awaited.extend(stage for stage, _ in self._unsent)
            self._since = time.perf_counter()
            self._transport.write(b"".join(command for _, command in self._unsent))
            self._unsent.clear()
        else:
            self._send(*self._unsent.popleft())

    def _leave(self) -> None:
        self._send("quit", b"QUIT\r\n")


def _why(error: OSError) -> str:
    """What the system says; names that are not found have numbers of their own."""
    if isinstance(error, socket.gaierror) or not error.errno:
        return error.strerror or str(error)
    return os.strerror(error.errno)


def _shown(line: bytes) -> str:
    """A reply as an error is counted by: without what differs from message to message."""
    return line[:120].decode("ascii", "replace")
