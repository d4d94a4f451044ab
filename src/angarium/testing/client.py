"""A client in a test: it says what the test writes, and tells what the server answered.

Low level, `send` puts octets on the wire as they are; high level, `mail` is a whole transaction. Either way
everything passes through the server's own connection, receiver and session. Plain calls: each runs the server
until nothing more can happen unless time passes.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from angarium.mail.address import Address
from angarium.mail.status import Reply
from angarium.net.connection import Connection, ConnectionTrouble, TimedOut
from angarium.policy.decision import Decision
from angarium.reception.session import Session as ServerSession
from angarium.reception.transaction import ask
from angarium.wire.replies import PeerExtensions, ReplyReader

if TYPE_CHECKING:
    from angarium.testing.server import Mta

MESSAGE = "From: somebody@example.net\nSubject: a test\nMessage-ID: <1@example.net>\n\nHello.\n"
HANDSHAKE_LIMIT = 60.0
PATIENCE = 3600.0
"""Seconds, of virtual time, for which a reply is waited for."""

Content = str | bytes | EmailMessage
"""Text (its lines will end in CRLF), octets that are sent as they are, or the standard library's message."""


class NoReply(AssertionError):  # noqa: N818 - what happened
    """The server said nothing where a reply was due; the text is the dialogue so far."""


class NoDecision(AssertionError):  # noqa: N818 - what happened
    """A handler refused or failed before there was a decision; `reply` is what the client gets."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"there is no decision: a handler costs the command {reply}")
        self.reply = reply


@dataclass(frozen=True)
class Result:
    """What became of a transaction."""

    reply: Reply
    """The last reply: to the content, or to the command that ended it sooner."""
    accepted: tuple[str, ...] = ()
    """Recipients that were answered with 2yz."""
    refused: dict[str, Reply] = field(default_factory=dict)
    """Recipient → the reply that refused it."""

    @property
    def is_accepted(self) -> bool:
        """Whether the server took the message, for somebody at least."""
        return self.reply.is_positive and bool(self.accepted)

    @property
    def ids(self) -> tuple[str, ...]:
        """The id of each message that was made, as the records have it."""
        return tuple(self.reply.text.partition("ids=")[2].split()) if self.is_accepted else ()


class Session:
    """One SMTP session; `mta.session(…)` opens it."""

    def __init__(self, mta: Mta, connection: Connection, server: ServerSession | None) -> None:
        self.server = server
        """The server's side of it; None where the server turned the connection away."""
        self.offer = PeerExtensions()
        """What the server offered in its reply to EHLO."""
        self.dialogue: list[str] = []
        """Every line so far, behind `C: ` or `S: `."""
        self._mta = mta
        self._connection = connection
        self._reader = ReplyReader()
        self.banner: Reply
        """The greeting, or what was said instead."""

    def begin(self, preface: bytes = b"", *, tls_first: bool = False) -> None:
        """Wait for the greeting; before it `preface` is said and, with `tls_first`, a handshake made."""
        replies = self.send(preface) if preface else []
        if tls_first:
            self._shake_hands()
        self.banner = self._reply_to(replies)

    # Line by line

    def send(self, octets: bytes) -> list[Reply]:
        """Send octets as they are; returns the replies that came at once."""
        self.dialogue += [f"C: {line}" for line in _shown(octets)]
        self._connection.write(octets)
        self._mta.settle()
        return self._replies()

    def say(self, line: str) -> Reply:
        """Send one command line, and wait for its reply; time passes if need be. Raises NoReply."""
        return self._reply_to(self.send(line.encode("utf-8", "surrogateescape") + b"\r\n"))

    def _reply_to(self, replies: list[Reply]) -> Reply:
        """The last of these replies; where there is none, let time pass until there is one."""
        replies = replies or self._replies()  # of a server that has hung up, too
        while not replies and not self.is_closed:
            replies = self._replies(PATIENCE)
        if not replies:
            raise NoReply("\n".join(["no reply came:", *self.dialogue]))
        return replies[-1]

    def _replies(self, limit: float = 0.0) -> list[Reply]:
        octets = self._mta.run(_received(self._connection, limit))
        if octets:
            self.dialogue += [f"S: {line}" for line in _shown(octets)]
        self._reader.receive_data(octets)
        replies = []
        while (answer := self._reader.next_reply()) is not None:
            replies.append(answer)
        return replies

    @property
    def is_closed(self) -> bool:
        """Whether the server has ended the session."""
        return self._connection.is_closed

    def close(self) -> None:
        """Leave without a word."""
        self._connection.close()
        self._mta.settle()

    # What clients do

    def ehlo(self, name: str = "client.example") -> Reply:
        """Say EHLO."""
        answer = self.say(f"EHLO {name}")
        self.offer = PeerExtensions.read(answer) if answer.is_positive else PeerExtensions()
        return answer

    def start_tls(self, name: str = "client.example") -> Reply:
        """Say STARTTLS, shake hands in truth, and say EHLO again; a refusal is returned."""
        answer = self.say("STARTTLS")
        if not answer.is_positive:
            return answer
        self._shake_hands()
        return self.ehlo(name)

    def _shake_hands(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._mta.run(self._connection.start_tls(context, HANDSHAKE_LIMIT, server=False))
        self.dialogue.append("-- TLS")

    def log_in(self, user: str, password: str) -> Reply:
        """Say AUTH PLAIN; the dialogue does not show the password."""
        token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        answer = self.say(f"AUTH PLAIN {token}")
        self.dialogue = [line.replace(token, "…") for line in self.dialogue]
        return answer

    def mail(
        self,
        sender: str | None,
        to: str | Sequence[str],
        content: Content = MESSAGE,
        *,
        parameters: str = "",
    ) -> Result:
        """Send one message; `sender` None or `""` is the null reverse-path, `parameters` those of MAIL."""
        answer = self.say(f"MAIL FROM:<{_path(sender)}> {parameters}".rstrip())
        recipients = [to] if isinstance(to, str) else list(to)
        if not answer.is_positive:
            return Result(answer, (), dict.fromkeys(recipients, answer))
        replies = {recipient: self.say(f"RCPT TO:<{recipient}>") for recipient in recipients}
        accepted = tuple(recipient for recipient, answer in replies.items() if answer.is_positive)
        refused = {recipient: answer for recipient, answer in replies.items() if not answer.is_positive}
        if not accepted:
            last = replies[recipients[-1]]
            if not self.is_closed:
                self.say("RSET")
            return Result(last, (), refused)
        return Result(self._content(content), accepted, refused)

    def envelope(self, sender: str | None, recipient: str) -> Reply:
        """Say MAIL and RCPT; returns the reply to RCPT, or to MAIL where that was refused."""
        answer = self.say(f"MAIL FROM:<{_path(sender)}>")
        return self.say(f"RCPT TO:<{recipient}>") if answer.is_positive else answer

    def _content(self, content: Content) -> Reply:
        answer = self.say("DATA")
        if answer.code != 354:
            return answer
        stuffed = (b"\r\n" + _octets(content)).replace(b"\r\n.", b"\r\n..")[2:]
        if not stuffed.endswith(b"\r\n"):
            stuffed += b"\r\n"
        return self._reply_to(self.send(stuffed + b".\r\n"))

    def decide(self, sender: str | None, recipient: str) -> Decision:
        """The decision that a RCPT would get now. Raises NoDecision where a handler refuses or fails."""
        if self.server is None or self.is_closed:
            raise NoDecision(self.banner)
        path = _path(sender)
        wanted = Address.parse(recipient) if "@" in recipient else Address(recipient, "")
        decision = self._mta.run(ask(self.server, Address.parse(path) if path else None, wanted, None))
        if isinstance(decision, Reply):
            raise NoDecision(decision)
        return decision


def _path(sender: str | None) -> str:
    return "" if sender in (None, "<>") else str(sender)


def _octets(content: Content) -> bytes:
    if isinstance(content, EmailMessage):
        return content.as_bytes(policy=SMTP)
    if isinstance(content, str):
        return content.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    return content


def _shown(octets: bytes) -> list[str]:
    return octets.decode("utf-8", "backslashreplace").removesuffix("\r\n").split("\r\n")


async def _received(connection: Connection, limit: float) -> bytes:
    """What has come so far; with a limit, what comes within so many seconds. Raises NoReply after them."""
    if not connection.has_input and not limit:
        return b""
    try:
        return await connection.receive(limit)
    except TimedOut:
        raise NoReply(f"no reply came within {limit:g} s") from None
    except ConnectionTrouble:
        return b""
