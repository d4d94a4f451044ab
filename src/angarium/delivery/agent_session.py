"""A session without a next hop: messages go to an agent (a maildir, the operator's code), one by one.

To its site it looks like any other session, so that limits, rates, turns and the end of the server hold for
it too. Promises: a message that it holds gets exactly one outcome, within `command_timeout`; what an agent
says of a message is that message's fate alone, and never the site's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

from angarium.delivery.link import Trouble
from angarium.delivery.outcome import (
    SURPRISE,
    Blame,
    Cause,
    Kind,
    Outcome,
    Peer,
    Stage,
    cut_reply,
    fault_reply,
)
from angarium.delivery.path import Then
from angarium.delivery.way import Agent, Way
from angarium.mail.status import Reply
from angarium.queue.message import Message

log = logging.getLogger(__name__)


class Owner(Protocol):
    """The site, as this session sees it (`session.Owner` has the words)."""

    def opened(self, session: AgentSession) -> None:
        """It is ready."""

    def next_for(self, session: AgentSession) -> Message | Then:
        """What to do next."""

    def settle(self, message: Message, outcome: Outcome) -> None:
        """A message has its outcome."""

    def ended(self, session: AgentSession, trouble: Trouble | None) -> None:
        """The session is over."""


class AgentSession:
    """Gives messages to an agent until there are none for a while."""

    def __init__(self, ident: str, way: Way, agent: Agent, owner: Owner) -> None:
        self.ident = ident
        self.way = way
        self.deliveries = 0
        self.is_established = False
        self.peer: Peer | None = None
        """Nobody: there is no host."""
        self._agent = agent
        self._owner = owner
        self._message: Message | None = None
        self._is_over = False
        self._wakes = asyncio.Event()

    @property
    def doing(self) -> str:
        """What it does now, for people."""
        return f"{'idle' if self._message is None else 'at work'} {self.way.name}"

    def messages(self) -> Iterator[Message]:
        """What it has at work."""
        if self._message is not None:
            yield self._message

    async def run(self) -> None:
        """Serve until there is nothing more to do."""
        self.is_established = True
        try:
            self._owner.opened(self)
            self._proceed()
            while await self._has_work():
                await self._deliver()
                self._proceed()
        except asyncio.CancelledError:
            if self._message is not None:
                self._owner.settle(self._message, self._outcome(cut_reply(Stage.CONTENT), is_unknown=True))
            raise
        finally:
            self._owner.ended(self, None)

    def _proceed(self) -> None:
        step = self._owner.next_for(self)
        if not isinstance(step, Then):
            self._message = step
        elif step is Then.CLOSE:
            self._is_over = True

    async def _has_work(self) -> bool:
        """Wait for a message; False where none came for a while, or the end did."""
        if self._message is None and not self._is_over:
            self._wakes.clear()
            try:
                async with asyncio.timeout(self.way.options.idle_timeout):
                    await self._wakes.wait()
            except TimeoutError:
                return self._message is not None
        return self._message is not None

    async def _deliver(self) -> None:
        message, is_unknown = self._message, False
        assert message is not None
        try:
            async with asyncio.timeout(self.way.options.command_timeout):
                answer = await self._agent.deliver(message)
        except TimeoutError:
            answer, is_unknown = fault_reply(Stage.CONTENT, Cause.TIMED_OUT), True
        except Exception:  # a surprise costs one attempt, never a message
            log.exception("delivery of %s to %s", message.ident, self.way.name)
            answer = SURPRISE
        self._message = None
        self.deliveries += answer.is_positive
        self._owner.settle(message, self._outcome(answer, is_unknown=is_unknown))

    def _outcome(self, answer: Reply, *, is_unknown: bool) -> Outcome:
        kind = Kind.PERMANENT if answer.is_permanent else Kind.TRANSIENT
        return Outcome(
            kind=Kind.DELIVERED if answer.is_positive else kind,
            reply=answer,
            stage=Stage.CONTENT,
            blame=Blame.NOBODY if answer.is_positive else Blame.MESSAGE,
            site=self.way.name,
            session_id=self.ident,
            is_local=True,
            is_unknown=is_unknown,
            passage=self.way.passage,
        )

    def begin(self, message: Message) -> None:
        """Take a message while idle."""
        self._message = message
        self._wakes.set()

    def leave(self) -> None:
        """End, while nothing is going on."""
        self._is_over = True
        self._wakes.set()
