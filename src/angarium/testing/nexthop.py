"""A scripted next hop: an SMTP server on loopback that does at each stage what the test wrote down.

Answers "what does delivery do when …": refuse, close, hang, or talk nonsense, at any stage, on the first
connection and not on the second. Promises: connection n follows the n-th script (later ones accept
everything), a stage's n-th command its n-th step; what it was told is kept; `until` waits for what is to
happen, so that no test sleeps. Commands that come together are answered together. BDAT is taken too; a
script's `ehlo` has to offer it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import cast

from angarium.net.tls import Layer, TlsError

STAGES = (
    "banner",
    "ehlo",
    "lhlo",
    "helo",
    "starttls",
    "handshake",
    "auth",
    "mail",
    "rcpt",
    "data",
    "content",
    "rset",
    "quit",
)
"""What a script has steps for; `banner` is the greeting, `content` the reply to the final dot, `handshake`
what comes instead of TLS where it is not accepted, `auth` each reply within AUTH."""


class Do(Enum):
    """What can be done besides replying."""

    ACCEPT = "accept"
    CLOSE = "close"
    """Close the connection without a word."""
    HANG = "hang"
    """Say nothing more, and listen to nothing more."""


Step = str | bytes | Do
"""A reply (lines separated by LF; after a 421 the connection is closed), octets that are sent as they are, or
what to do instead.
"""
Script = Mapping[str, Step | Sequence[Step] | Callable[[str], Step]]
"""Stage → its step, or its steps in order, or what finds the step for a command line; what has no step is
accepted."""

_EHLO = "250-next.hop\n250-PIPELINING\n250-SIZE 10000000\n250-8BITMIME\n250-SMTPUTF8\n250 ENHANCEDSTATUSCODES"
_REPLIES = {
    "banner": "220 next.hop ESMTP",
    "ehlo": _EHLO,
    "lhlo": _EHLO,
    "starttls": "220 2.0.0 Go on",
    "auth": "235 2.7.0 Welcome",
    "data": "354 Go on",
    "quit": "221 2.0.0 Bye",
}


@dataclass(slots=True)
class Taken:
    """A message that was answered with 2yz."""

    sender: str
    recipients: list[str]
    content: bytes
    """With its dots unstuffed."""
    connection: int
    """Which connection it came by, from 0."""
    is_encrypted: bool = False


class NextHop:
    """`async with NextHop({"mail": "421 4.3.2 Bye"}, {}) as hop`; connect to `hop.host`:`hop.port`.

    `port` 0 is any that is free. With `tls` it offers STARTTLS, and says EHLO's answer again afterwards.
    """

    def __init__(
        self, *scripts: Script, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        self.scripts = scripts
        self.tls = tls
        self.host = host
        self.port = port
        self.taken: list[Taken] = []
        self.commands: list[list[str]] = []
        """The command lines of each connection."""
        self.open = self.most_open = 0
        """Connections that are open now, and the most that ever were."""
        self.sessions: set[_Session] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    @property
    def connections(self) -> int:
        """How many connections have been made."""
        return len(self.commands)

    @property
    def route(self) -> str:
        """The routing domain that leads here."""
        return f"[{self.host}]:{self.port}"

    async def __aenter__(self) -> NextHop:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self.accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for session in tuple(self.sessions):
            session.transport.abort()
        await self._server.wait_closed()

    def close_all(self) -> None:
        """Close every connection without a word."""
        for session in tuple(self.sessions):
            session.transport.close()

    async def until(self, condition: Callable[[], bool], *, limit: float = 10.0) -> None:
        """Wait until the condition holds, looking again whenever anything happens here."""
        async with asyncio.timeout(limit):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def take(self, taken: Taken) -> None:
        """Keep a message that was accepted."""
        self.taken.append(taken)

    def accept(self) -> asyncio.Protocol:
        """The server's side of a new connection, wherever that comes from."""
        return _Session(self)

    def script(self, number: int) -> Script:
        """What the connection of this number, from 0, follows."""
        return self.scripts[number] if number < len(self.scripts) else {}

    def changed(self) -> None:
        """Something happened: whoever waits looks again."""
        self._changed.set()


class _Session(asyncio.Protocol):
    def __init__(self, hop: NextHop) -> None:
        self._hop = hop
        self._input = b""
        self._out: list[bytes] = []
        self._in_content = False
        self._in_auth = False
        self._chunk: int | None = None
        """Octets of the last chunk, which is coming (RFC 3030)."""
        self._layer: Layer | None = None
        self._nonsense = b""
        self._is_deaf = False
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        hop = self._hop
        self._number = hop.connections
        script = hop.script(self._number)
        self._steps = {stage: _steps(script.get(stage, ())) for stage in STAGES}
        hop.commands.append([])
        hop.open += 1
        hop.most_open = max(hop.most_open, hop.open)
        hop.sessions.add(self)
        self._answer("banner")
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hop.open -= 1
        self._hop.sessions.discard(self)
        self._hop.changed()

    def data_received(self, data: bytes) -> None:
        if self._nonsense:
            self.transport.write(self._nonsense)
            self._nonsense = b""
        self._input += data if self._layer is None else self._decrypt(self._layer, data)
        while not self._is_deaf and self._next():
            pass
        self._flush()

    def _decrypt(self, layer: Layer, data: bytes) -> bytes:
        try:
            plain = layer.receive(data)
        except TlsError:
            self._is_deaf = True
            plain = b""
        self.transport.write(layer.output())
        if self._is_deaf:
            self.transport.close()
        return plain

    def _flush(self) -> None:
        if self._out:
            octets = b"".join(self._out)
            if self._layer is not None:
                self._layer.send(octets)
                octets = self._layer.output()
            self.transport.write(octets)
            self._out.clear()
        self._hop.changed()

    def _next(self) -> bool:
        if self._chunk is not None:
            return self._take_chunk(self._chunk)
        return self._content() if self._in_content else self._command()

    def _command(self) -> bool:
        line, found, rest = self._input.partition(b"\r\n")
        if not found:
            return False
        self._input = rest
        text = line.decode("utf-8", "replace")
        self._hop.commands[self._number].append(text)
        if text.startswith("BDAT ") and text.endswith(" LAST"):
            self._chunk = int(text.split()[1])
            return True
        stage = "auth" if self._in_auth else text.partition(" ")[0].lower()
        code = self._say("503 5.5.1 Not now") if self._is_early(stage) else self._answer(stage, text)
        if stage in ("mail", "rset") and code == "250":
            self._sender, self._recipients = (_path(text) if stage == "mail" else None), []
        elif stage == "rcpt" and code == "250":
            self._recipients.append(_path(text))
        elif stage == "data":
            self._in_content = code == "354"
        elif stage == "auth":
            self._in_auth = code == "334"
        elif stage == "starttls" and code == "220":
            self._shake_hands()
        elif stage == "quit":
            self._close()
        return True

    def _shake_hands(self) -> None:
        self._flush()
        step = (self._steps["handshake"] or [Do.ACCEPT])[0]  # type: ignore[index]
        if step is Do.CLOSE:
            self._close()
        elif step is Do.HANG:
            self._is_deaf = True
        elif isinstance(step, str):
            self._nonsense = step.encode() + b"\r\n"
            self._is_deaf = True
        elif self._hop.tls is not None:
            self._layer = Layer(self._hop.tls, server=True)

    def _is_early(self, stage: str) -> bool:
        """RCPT without MAIL, or DATA without anybody to get it; unless the script has a step for it."""
        if stage not in STAGES:
            return True
        if self._steps[stage]:
            return False
        return (stage == "rcpt" and self._sender is None) or (stage == "data" and not self._recipients)

    def _content(self) -> bool:
        content, found, rest = (b"\r\n" + self._input).partition(b"\r\n.\r\n")
        if not found:
            return False
        self._input = rest
        self._in_content = False
        self._take((content + b"\r\n").replace(b"\r\n.", b"\r\n")[2:])
        return True

    def _take_chunk(self, size: int) -> bool:
        if len(self._input) < size:
            return False
        chunk, self._input, self._chunk = self._input[:size], self._input[size:], None
        if self._recipients:
            self._take(chunk)
        else:
            self._say("503 5.5.1 Nobody wants it")
        return True

    def _take(self, content: bytes) -> None:
        """Answer content, and keep it if that is accepted."""
        is_encrypted = self._layer is not None
        taken = Taken(self._sender or "", self._recipients, content, self._number, is_encrypted)
        self._sender, self._recipients = None, []
        if self._answer("content").startswith("2"):
            self._hop.take(taken)

    def _answer(self, stage: str, line: str = "") -> str:
        """Do the next step of a stage; returns the code that was said, or ""."""
        steps = self._steps[stage] or [Do.ACCEPT]
        step = steps(line) if callable(steps) else steps.pop(0)
        if step is Do.CLOSE:
            self._close()
        elif step is Do.HANG:
            self._is_deaf = True
        elif isinstance(step, bytes):
            self._out.append(step)
            return step[:3].decode()
        else:
            return self._say(self._usual(stage) if isinstance(step, Do) else step)
        return ""

    def _usual(self, stage: str) -> str:
        """The reply of a stage without a step."""
        usual = _REPLIES.get(stage, "250 2.0.0 OK")
        offers = stage in ("ehlo", "lhlo") and self._hop.tls is not None and self._layer is None
        return usual.replace("\n250 ENH", "\n250-STARTTLS\n250 ENH") if offers else usual

    def _say(self, text: str) -> str:
        self._out.append(text.replace("\n", "\r\n").encode() + b"\r\n")
        if text.startswith("421"):
            self._close()
        return text[:3]

    def _close(self) -> None:
        self._is_deaf = True
        self._flush()
        self.transport.close()


def _steps(steps: Step | Sequence[Step] | Callable[[str], Step]) -> list[Step] | Callable[[str], Step]:
    if callable(steps):
        return steps
    return [steps] if isinstance(steps, (str, bytes, Do)) else list(steps)


def _path(line: str) -> str:
    return line.partition("<")[2].rpartition(">")[0]
