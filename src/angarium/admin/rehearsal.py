"""A session that never happened: the real one, played to a client that is only thought of.

The dialogue runs through the real `reception.session` and receiver, with every handler and limit; what it
would put into spool and log goes nowhere. So what is told here is what a live session says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from angarium.log.records import Record
from angarium.log.writer import Writer
from angarium.mail.status import Reply, reply
from angarium.net.connection import Connection, TimedOut
from angarium.net.dns import DnsTrouble, Resolver
from angarium.net.tls import TlsFacts
from angarium.policy.config import Configuration
from angarium.policy.context import Context
from angarium.policy.decision import DecidedBy, Decision
from angarium.policy.hooks import HandlerCall
from angarium.queue.intake import Arrival, Intake
from angarium.reception.calls import Calls
from angarium.reception.door import Door, Whereabouts
from angarium.reception.keyring import Keyring
from angarium.reception.session import Session

NAME = "explain.invalid"
"""What the client calls itself, unless told otherwise."""
_FACTS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class NoResolver:
    """Asks nobody."""

    async def mx(self, name: str) -> Any:
        """Raise DnsTrouble."""
        raise DnsTrouble(f"{name} was not asked about")

    addresses = mx

    async def lookup(self, name: str, _: str) -> Any:
        """Raise DnsTrouble."""
        return await self.mx(name)


@dataclass(slots=True, kw_only=True)
class Play:
    """What the client would do."""

    where: Whereabouts
    sender: str
    """As it stands in the command, without brackets; empty for the null reverse-path."""
    recipients: Sequence[str]
    """The same."""
    identity: str | None = None
    """As which it would be authenticated."""
    is_encrypted: bool = False
    content: bytes | None = None
    helo: str = NAME


@dataclass(slots=True)
class Answer:
    """What one recipient was answered."""

    recipient: str
    reply: Reply
    context: Context | None = None
    """None: it was refused before anything was decided."""
    decision: Decision | None = None
    calls: list[HandlerCall] = field(default_factory=list)
    """Those since the recipient before."""
    refused_by: DecidedBy | None = None
    """Who refused it, as the record would say."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    session: Session
    answers: list[Answer]
    final: Reply | None = None
    final_calls: list[HandlerCall] = field(default_factory=list)
    """What handlers said from DATA on."""
    final_refused_by: DecidedBy | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    """The messages that would have been taken, after all that handlers changed."""


async def rehearse(configuration: Configuration, play: Play, resolver: Resolver) -> Outcome:
    """Play the session to its end."""
    stage = _Stage()
    door = _PaperDoor(
        configuration,
        cast("Intake", stage),
        cast("Writer", stage),
        clock=lambda: 0.0,
        new_ident=lambda: "0" * 32,
        keyring=cast("Keyring", stage),
        resolver=resolver,
    )
    client = _Client(play, stage)
    session = Session(door, play.where, cast("Connection", client))
    session.handlers.calls = client.calls
    client.outcome = outcome = Outcome(session, [])
    client.session = session
    await session.run()
    client.take_reply()
    outcome.arrivals = stage.arrivals
    return outcome


class _PaperDoor(Door):
    """A door without certificates: nobody comes in."""

    def take(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.hooks = configuration.hooks


class _Ledger(Calls):
    """Handlers' calls, told once each."""

    def __init__(self) -> None:
        super().__init__()
        self._fresh: list[HandlerCall] = []

    def add(self, call: HandlerCall) -> None:
        super().add(call)
        self._fresh.append(call)

    def fresh(self) -> list[HandlerCall]:
        """Those that were not told yet."""
        fresh, self._fresh = self._fresh, []
        return fresh


class _Stage:
    """The rooms behind the door as a rehearsal has them: intake, log and keyring without effect."""

    trouble = None

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.rejection: DecidedBy | None = None
        """Who made the refusal that would be recorded last."""

    async def take(self, arrivals: list[Arrival]) -> None:
        self.arrivals = arrivals

    def has_queue(self, name: str) -> bool:
        return False

    def write(self, record: Record) -> None:
        self.rejection = record.decided_by or None

    def prepare(self, options: object) -> None:
        pass

    def context(self, options: object) -> ssl.SSLContext:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


class _Client:
    """The client's side, as the stream that the session reads and writes: one command at a time."""

    has_input = False
    must_drain = False

    def __init__(self, play: Play, stage: _Stage) -> None:
        self.session: Session
        self.outcome: Outcome
        self.calls = _Ledger()
        self._play = play
        self._stage = stage
        self._output = b""
        self._asked: str | None = None
        self._awaits_final = False
        self._is_greeted = False
        self._is_over = False
        self._lines = self._commands()

    async def receive(self, limit: float) -> bytes:
        if not self._is_greeted:
            raise TimedOut("nobody speaks before the greeting")
        self.take_reply()
        await asyncio.sleep(0)
        return b"" if self._is_over else next(self._lines, b"")

    def put_back(self, data: bytes) -> None:
        raise AssertionError("a rehearsal has no proxies")

    async def start_tls(self, context: Any, limit: float, *, implicit: bool = False) -> TlsFacts:
        self._output = b""
        return _FACTS

    def write(self, data: bytes) -> None:
        self._output += data
        self._is_greeted = True

    async def drain(self, limit: float) -> None:
        pass

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass

    def take_reply(self) -> None:
        """Note what was answered to the command before; a refusal of anything but RCPT ends the play."""
        answer = _last_reply(self._output)
        self._output = b""
        if answer is None:
            return
        if self._asked is not None:
            self._note(answer)
        elif self._awaits_final:
            self.outcome.final = answer
            self.outcome.final_calls = self.calls.fresh()
            self.outcome.final_refused_by = self._stage.rejection if answer.is_refusal else None
            self._is_over = True
        elif answer.is_refusal:
            self._refuse_all(answer)

    def _note(self, answer: Reply) -> None:
        assert self._asked is not None
        transaction = self.session.transaction
        asked = transaction.asked if transaction is not None else None
        noted = Answer(self._asked, answer, calls=self.calls.fresh())
        noted.refused_by = self._stage.rejection if answer.is_refusal else None
        if asked is not None and transaction is not None:
            noted.context, noted.decision = asked
            transaction.asked = None
        self.outcome.answers.append(noted)
        self._asked = None
        self._is_over = answer.closes

    def _refuse_all(self, answer: Reply) -> None:
        calls = self.calls.fresh()
        told = len(self.outcome.answers)
        for recipient in self._play.recipients[told:]:
            refused_by = self._stage.rejection
            self.outcome.answers.append(Answer(recipient, answer, calls=calls, refused_by=refused_by))
        self._is_over = True

    def _commands(self) -> Iterator[bytes]:
        play = self._play
        yield f"EHLO {play.helo}\r\n".encode()
        if play.is_encrypted and self.session.options.tls in ("starttls", "required"):
            yield b"STARTTLS\r\n"
            yield f"EHLO {play.helo}\r\n".encode()
        if play.identity is not None:
            self.session.handlers.learn(authn_id=play.identity, authz_id=play.identity)
        yield self._mail()
        for recipient in play.recipients:
            self._asked = recipient
            yield f"RCPT TO:<{recipient}>\r\n".encode()
        transaction = self.session.transaction
        if play.content is not None and transaction is not None and transaction.accepted:
            self._awaits_final = True
            yield f"BDAT {len(play.content)} LAST\r\n".encode() + play.content

    def _mail(self) -> bytes:
        play = self._play
        is_ascii = all(path.isascii() for path in (play.sender, *play.recipients))
        return f"MAIL FROM:<{play.sender}>{'' if is_ascii else ' SMTPUTF8'}\r\n".encode()


def _last_reply(output: bytes) -> Reply | None:
    """The last reply in what was written."""
    lines: list[str] = []
    for line in output.decode("utf-8", "replace").split("\r\n")[:-1]:
        if lines and lines[-1][3:4] != "-":
            lines.clear()
        lines.append(line)
    if not lines:
        return None
    return reply(int(lines[-1][:3]), "\n".join(line[4:] for line in lines))
