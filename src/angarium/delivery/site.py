"""What is done for one site: opening connections, judging how they end, leaving it alone while it fails.

A Site acts on what its Path decides. Promises: hosts that failed lately are tried last; a site none of whose
hosts can be used is left alone for a while, everything that waits for it is told why, and so is what comes
meanwhile, without being tried; afterwards one connection finds out whether it is back. Nothing here waits.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator

import msgspec

from angarium.delivery.agent_session import AgentSession
from angarium.delivery.link import Trouble
from angarium.delivery.outcome import EXPIRED, Blame, Kind, Outcome, Peer, Stage
from angarium.delivery.path import Bound, Limits, Path, Then
from angarium.delivery.services import Services
from angarium.delivery.session import Session
from angarium.delivery.shares import Slots
from angarium.delivery.way import Target, Way
from angarium.policy.config import QueueConfig
from angarium.queue.message import Message
from angarium.queue.scheduled import ScheduledQueue

FIRST_BACK_OFF = 30.0
"""Seconds that a site is left alone after a failure; doubled with each that follows."""
MAX_BACK_OFF = 20 * 60.0
HOST_BACK_OFF = 60.0
"""Seconds for which other hosts of a site are tried before one that failed."""
MAX_QUIET_HOSTS = 10_000
"""Above that, those whose time is over are forgotten."""
FULL_TIME = 60.0
"""Seconds for which no connection is added to a site that refused one beside others."""
MAX_STRIKES = 3
"""Connections that break one after the other, with no message answered between, before a site fails."""
_SHARE_OF_RETRY = 0.9
"""Of a queue's retry interval: what is tried again then finds the site open."""
_OF_THE_MESSAGE = (Blame.NOBODY, Blame.RECIPIENT, Blame.MESSAGE)
_TOLD_AT_ONCE = 100
"""Messages of a failed site that are told in one turn of the loop."""

_UNBOUND = Bound("")
AnySession = Session | AgentSession


def _patience(config: QueueConfig) -> float:
    """Seconds that a queue lets its site be left alone: less than its own retry interval, so that none of its
    messages waits longer for the site.
    """
    longest = config.retry_interval if config.max_retry_interval is None else config.max_retry_interval
    return min(config.retry_interval, longest) * _SHARE_OF_RETRY


class SiteState(msgspec.Struct, frozen=True):
    """A site as an operator sees it."""

    site: str
    hosts: tuple[str, ...]
    waiting: int
    connections: int
    idle: int
    opening: int
    bound_by: str
    """What keeps the mail that waits from going now; "" where nothing does."""
    bound_at: str
    """Where that limit was written, `file:line`; "" for a default, and for what is no option."""
    bound_until: float | None
    """Unix seconds, where only time is needed."""
    quiet_until: float | None
    """Until when it is left alone, Unix seconds."""
    last_trouble: str
    """Why it was last left alone; "" where it works again, or that is long ago."""
    last_trouble_at: float | None
    """When that was, Unix seconds."""
    sessions: tuple[tuple[str, str], ...]
    """Session id and what it does."""


class Site:
    """One site and everything that is on its way there."""

    def __init__(self, way: Way, services: Services) -> None:
        self.name = way.name
        self.path: Path[Message, AnySession] = Path(Limits(), services.throttle_of)
        self.sessions: dict[AnySession, asyncio.Task[None]] = {}
        self.is_quiet = False
        """Left alone, until `quiet_until` (Unix seconds)."""
        self.quiet_until = 0.0
        self._services = services
        self._setup = services.setup
        self._loop = asyncio.get_running_loop()
        self._trouble: Trouble | None = None
        self._trouble_at = 0.0
        self._patience = math.inf
        """Seconds that the most impatient queue here lets it be left alone."""
        self._failures = 0
        self._strikes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._full_timer: asyncio.TimerHandle | None = None
        self._rate_timer: asyncio.TimerHandle | None = None
        self._rate_at = 0.0
        self._slots = services.slots(self.name, self._take_slots)
        if self._slots is not None:
            self.path.allowed = self._slots.allowed
        self.take_way(way)

    def take_way(self, way: Way) -> None:
        """Use these hosts and options from now on, also for what waits already."""
        self.way = way
        options = way.options
        self.path.limits = Limits(
            options.connection_limit,
            options.max_deliveries_per_connection,
            self._services.throttle(f"connections {self.name}", options.max_connection_rate),
            self._services.throttle(f"messages {self.name}", options.max_message_rate),
        )

    # --- what comes in ---

    def add(self, message: Message) -> None:
        """Take a message on its way, or tell at once that the site is left alone."""
        patience, now = _patience(message.queue.config), self._setup.clock()
        self._patience = min(self._patience, patience)
        if self.is_quiet and now < self.quiet_until:
            if self.quiet_until > now + patience:
                self._leave_alone(patience)
            self._defer(message)
            return
        if self.is_quiet:
            self._come_back()  # its time is over by the clock, which the timer does not go by
        self.path.add(message.queue, message)
        self.act()

    def _defer(self, message: Message) -> None:
        """The message is not tried, since the site is left alone."""
        assert self._trouble is not None
        outcome = Outcome(
            kind=Kind.TRANSIENT,
            reply=self._trouble.reply,
            stage=self._trouble.stage,
            blame=Blame.SITE,
            peer=self._trouble.peer,
            site=self.name,
            is_local=self._trouble.is_local,
            was_attempted=False,
            retry_after=self.quiet_until,
            passage=self.way.passage,
        )
        self._services.settle(message, outcome)

    def act(self) -> None:
        """Do what the path says, until there is nothing to do."""
        if not self.is_quiet:
            self._act()
        if self._slots is not None:
            self._balance(self._slots)

    def _act(self) -> None:
        path = self.path
        while path.waiting and (step := path.next_step(self._loop.time())) is not Then.WAIT:
            if not isinstance(step, Then):
                self._assign(*step)
            elif self._services.may_connect(self):
                self._open()
            else:
                path.not_opened()
                return
        if path.waiting:
            self._wait_for_rates()

    def _balance(self, slots: Slots) -> None:
        """Ask for the connections that are wanted, and give back what is not."""
        path = self.path
        slots.balance(path.used, path.used if self.is_quiet else path.wanted, path.limits.connections)
        path.allowed = slots.allowed

    def _take_slots(self) -> None:
        """More connections are allowed, or fewer: then those that are idle end now, others when they can."""
        assert self._slots is not None
        self.path.allowed = self._slots.allowed
        for session in self.path.spare():
            session.leave()
        self._loop.call_soon(self.act)

    def _wait_for_rates(self) -> None:
        """Act again when a rate allows the next."""
        until = self.path.wakes_at(self._loop.time())
        if until is None or (self._rate_timer is not None and self._rate_at <= until):
            return
        if self._rate_timer is not None:
            self._rate_timer.cancel()
        self._rate_timer, self._rate_at = self._loop.call_at(until, self._on_rate), until

    def _on_rate(self) -> None:
        self._rate_timer = None
        self.act()

    def _assign(self, session: AnySession, message: Message) -> None:
        if not self._expires(message):
            session.begin(message)
            return
        following = self.next_for(session)
        if not isinstance(following, Then):
            session.begin(following)
        elif following is Then.CLOSE:
            session.leave()

    def _expires(self, message: Message) -> bool:
        """Whether a message waited here beyond its time; then it has its outcome."""
        now = self._setup.clock()
        if now <= message.expires:
            return False
        outcome = Outcome(
            kind=Kind.TRANSIENT,
            reply=EXPIRED,
            stage=Stage.ROUTE,
            site=self.name,
            is_local=True,
            was_attempted=False,
            retry_after=now,
            passage=self.way.passage,
        )
        self._services.settle(message, outcome)
        return True

    def _open(self) -> None:
        session = self._new_session()
        self.sessions[session] = asyncio.create_task(session.run())

    def _new_session(self) -> AnySession:
        ident, way = self._setup.make_id(), self.way
        if way.agent is not None:
            return AgentSession(ident, way, way.agent, self)
        return Session(ident, way, self._targets(), self._setup, self)

    def _targets(self) -> list[Target]:
        """Every address of every host, those that failed lately last."""
        quiet, now = self._services.quiet_hosts, self._setup.clock()
        return sorted(
            self.way.targets, key=lambda each: quiet.get((each.peer.address, each.peer.port), 0.0) > now
        )

    # --- what sessions tell (session.Owner) ---

    def opened(self, session: AnySession) -> None:
        """One more connection is established: the site answers."""
        self.path.opened()
        if session.peer is not None:
            self._services.quiet_hosts.pop((session.peer.address, session.peer.port), None)
        self._loop.call_soon(self.act)

    def next_for(self, session: AnySession) -> Message | Then:
        """What a free connection does next."""
        while True:
            step = self.path.next_for(session, session.deliveries, self._loop.time())
            if isinstance(step, Then):
                if self.path.waiting:
                    self._wait_for_rates()
                return step
            if not self._expires(step[1]):
                return step[1]

    def settle(self, message: Message, outcome: Outcome) -> None:
        """A message has its outcome; an answer about the message itself shows that the site works."""
        if not outcome.is_local and outcome.blame in _OF_THE_MESSAGE:
            self._strikes = self._failures = 0
            if self.is_quiet:
                self._loop.call_soon(self._come_back)
        self._services.settle(message, outcome)

    def give_back(self, message: Message) -> None:
        """A message was taken but not tried."""
        self.path.put_back(message.queue, message)

    def host_failed(self, peer: Peer) -> None:
        """Others are tried before this host for a while."""
        quiet, now = self._services.quiet_hosts, self._setup.clock()
        if len(quiet) >= MAX_QUIET_HOSTS:
            for key in [key for key, until in quiet.items() if until <= now]:
                del quiet[key]
        quiet[peer.address, peer.port] = now + HOST_BACK_OFF

    def ended(self, session: AnySession, trouble: Trouble | None) -> None:
        """A session is over."""
        del self.sessions[session]
        if session.is_established:
            self.path.closed(session)
        else:
            self.path.not_opened()
        if trouble is not None:
            self._judge(trouble, was_established=session.is_established)
        self._services.disconnected()
        self.act()
        self._forget_if_unused()

    def _judge(self, trouble: Trouble, *, was_established: bool) -> None:
        """What a session's trouble means for the site."""
        if was_established:
            self._strikes += 1
            if self._strikes >= MAX_STRIKES:
                self._fail(trouble)
        elif self.path.established:
            self._be_full()
        else:
            self._fail(trouble)

    def _be_full(self) -> None:
        """A connection was refused beside others that work: these must do for a while."""
        self.path.is_full = True
        if self._full_timer is None:
            self._full_timer = self._loop.call_later(FULL_TIME, self._end_full)

    def _end_full(self) -> None:
        self._full_timer = None
        self.path.is_full = False
        self.act()

    # --- failing ---

    def _fail(self, trouble: Trouble) -> None:
        """Leave the site alone for a while, and tell everything that waits for it."""
        self._trouble, self._trouble_at = trouble, self._setup.clock()
        self._strikes = 0
        self._leave_alone(min(FIRST_BACK_OFF * 2.0 ** min(self._failures, 20), MAX_BACK_OFF, self._patience))
        self._failures += 1
        self._tell_waiting()

    def _leave_alone(self, delay: float) -> None:
        """Try nothing for so many seconds."""
        self.is_quiet = True
        self.quiet_until = self._setup.clock() + delay
        self._set_timer(delay, self._come_back)

    def _tell_waiting(self) -> None:
        """Every message that waited has the trouble's outcome; a part in each turn of the loop."""
        trouble = self._trouble
        assert trouble is not None
        outcome = Outcome(
            kind=trouble.ruling.kind,
            reply=trouble.reply,
            stage=trouble.stage,
            blame=Blame.SITE,
            peer=trouble.peer,
            site=self.name,
            is_local=trouble.is_local,
            passage=trouble.passage or self.way.passage,
        )
        for message in self.path.take(_TOLD_AT_ONCE):
            self._services.settle(message, outcome)
        if self.path.waiting:
            self._loop.call_soon(self._tell_waiting)

    def _come_back(self) -> None:
        """The site may be tried again. How often it failed is remembered for a while."""
        self.is_quiet = False
        self._patience = math.inf
        self._set_timer(MAX_BACK_OFF, self._forget_failures)
        self.act()

    def _forget_failures(self) -> None:
        self._timer = None
        self._failures = 0
        self._forget_if_unused()

    def _set_timer(self, delay: float, callback: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, callback)

    def _forget_if_unused(self) -> None:
        if self.path.is_unused and self._timer is None:
            self._services.on_unused(self)

    # --- the end, and what an operator sees ---

    def take_all(self) -> list[Message]:
        """Give up everything that waits, to find its way anew."""
        taken = self.path.take(self.path.waiting)
        self._forget_if_unused()
        return taken

    def withdraw(self, is_meant: Callable[[Message], bool]) -> list[Message]:
        """Take back the messages that are meant and that no session has."""
        return self.path.withdraw(is_meant)

    def messages(self) -> Iterator[Message]:
        """Every message that it has, with sessions or waiting for one."""
        yield from self.path.items()
        for session in self.sessions:
            yield from session.messages()

    def try_now(self) -> None:
        """Leave it alone no longer: somebody wants to know whether it is back."""
        if self.is_quiet:
            self._come_back()

    def stop(self) -> None:
        """Begin nothing more: connections end when they are free."""
        self.path.is_closing = True
        for timer in (self._timer, self._full_timer, self._rate_timer):
            if timer is not None:
                timer.cancel()
        for session in self.path.idle:
            session.leave()

    def state(self) -> SiteState:
        """The site as it is now."""
        now = self._loop.time()
        bound = self.path.binding(now) or _UNBOUND
        text, sources = bound.text, self.way.options.sources
        if isinstance(bound.queue, ScheduledQueue):
            text, sources = f"{text} of queue {bound.queue.name}", bound.queue.config.sources
        return SiteState(
            site=self.name,
            hosts=tuple(f"{host.name}:{host.port}" for host in self.way.plan.hosts),
            waiting=self.path.waiting,
            connections=self.path.established,
            idle=len(tuple(self.path.idle)),
            opening=self.path.opening,
            bound_by=text,
            bound_at=str(sources.get(bound.option, "")),
            bound_until=None if bound.until is None else self._setup.clock() + bound.until - now,
            quiet_until=self.quiet_until if self.is_quiet else None,
            last_trouble=str(self._trouble) if self._failures else "",
            last_trouble_at=self._trouble_at if self._failures else None,
            sessions=tuple((session.ident, session.doing) for session in self.sessions),
        )
