"""The whole server in a test: real rooms, virtual time, and nothing outside that the test did not write.

`Mta` runs a `Shard` on a policy in an event loop of its own: reception, policy with its handlers, spool,
queue, delivery and log are the ones that serve in production. Both doors have connections in memory, names
come from a zone in a dict, next hops follow scripts, and time passes only where nothing else can happen:
`advance(hours=2)` takes as long as what happens in these two hours.

Refuses the network: no port is opened and no name is looked up.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from angarium.log.records import Record, encode_record
from angarium.log.writer import Writer
from angarium.net.connection import Connection
from angarium.net.dns import StaticResolver, Zone
from angarium.policy.config import ConfigError, Configuration
from angarium.policy.decision import Decision
from angarium.policy.hooks import Policy
from angarium.policy.load import load, load_policy
from angarium.policy.reload import keep_what_needs_restart
from angarium.queue.message import Message
from angarium.reception.listener import Listening
from angarium.shard import Outside, Shard
from angarium.spool.errors import SpoolError
from angarium.testing.client import Session
from angarium.testing.clock import START, VirtualClock
from angarium.testing.expectation import meet
from angarium.testing.memory import join
from angarium.testing.network import Delivered, Hop, HopScript, Network

STRANGER = "203.0.113.5"
"""The peer unless told otherwise: an address of RFC 5737, which nobody has."""
_SEGMENT_SIZE = 1024 * 1024
_OWN = ("127.0.0.1", "::1", "192.0.2.1", "2001:db8::1")
"""The machine's addresses, for the question whether a next hop is this server itself."""
_ANY = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104
"""Where somebody arrives who connects to a listener on every address."""

Files = Mapping[str, str]
"""File name → text; the first one is the main file."""
Given = str | Path | Files | Policy
"""A policy: the path of a main file, its text (TOML), several files, or the `Policy` of a program."""
T = TypeVar("T")


class Queued(msgspec.Struct, frozen=True, kw_only=True):
    """A message between its 250 and its end."""

    id: str
    sender: str
    """"" for the null reverse-path."""
    recipient: str
    queue: str
    attempts: int
    due: datetime
    """When it is tried next."""
    meta: dict[str, Any]


class MakeMta(Protocol):
    """The fixture `mta`: makes servers, which end with the test."""

    def __call__(
        self, policy: Given, *, zone: Zone | None = None, seed: int = 0, start: float = START
    ) -> Mta:
        """See `Mta`."""


class NoListenerError(ValueError):
    """A session for a listener that the policy does not have."""


class Mta:
    """A server on a policy. The fixture `mta` makes them; `close` ends one."""

    def __init__(
        self, policy: Given, folder: Path, *, zone: Zone | None = None, seed: int = 0, start: float = START
    ) -> None:
        """`folder` takes spool and logs; `start` is in Unix seconds. Raises ConfigError."""
        self.zone: dict[str, Any] = dict(zone or {})
        """What DNS knows; may be changed at any time."""
        self.sessions: list[Session] = []
        self._folder = folder
        self._policy = _written(policy, folder / "policy")
        self._clock = VirtualClock(start=start)
        self._entropy = random.Random(seed)  # noqa: S311 - to be the same in every run
        self._network = Network()
        self._records: list[bytes] = []
        self._ports = count(40_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self.configuration = self._load()
        self._runner = asyncio.Runner(loop_factory=self._clock.new_event_loop)
        self._clock.busy_while(lambda: self.configuration.hooks.is_in_thread)
        self._shard: Shard | None = None
        self.run(self._start())

    # Its life

    def _load(self) -> Configuration:
        configuration = load_policy(self._policy) if isinstance(self._policy, Policy) else load(self._policy)
        folder = self._folder
        spool = msgspec.structs.replace(
            configuration.spool, path=str(folder / "spool"), segment_size=_SEGMENT_SIZE, min_free_space=0
        )
        return msgspec.structs.replace(
            configuration,
            spool=spool,
            log=msgspec.structs.replace(configuration.log, dir=str(folder / "logs"), per_record={}),
            control=msgspec.structs.replace(configuration.control, socket=str(folder / "control.sock")),
        )

    async def _start(self) -> None:
        outside = Outside(
            make_resolver=lambda _: StaticResolver(self.zone),
            connect=self._network.connect,
            is_local=lambda address: address in _OWN,
            make_worker=_LoopWorker,
            make_writer=self._make_writer,
        )
        shard = Shard(
            self.configuration, {}, clock=self._clock.now, entropy=self._entropy.randbytes, outside=outside
        )
        await shard.start()
        self._shard = shard

    def _make_writer(self, *args: Any, **options: Any) -> Writer:
        writer = _Watched(*args, **options)
        writer.watch = self._records.append
        return writer

    @property
    def shard(self) -> Shard:
        """The server itself."""
        assert self._shard is not None, "the server has been closed"
        return self._shard

    def restart(self) -> None:
        """Stop, as SIGTERM does, and start again with what the spool holds."""
        self.run(self.shard.stop())
        self.run(self._start())
        self.settle()

    def reload(self, files: Files | None = None) -> None:
        """Put the policy in force as it stands in its files now; `files` are written first.

        Files are of a policy that was given as texts: those of your own stay as they are (ValueError). Raises
        ConfigError, and then nothing has changed.
        """
        __tracebackhide__ = True
        folder = self._folder / "policy"
        if files and not folder.exists():
            raise ValueError(
                "reload(files) is for a policy given as texts: write your own files, then reload()"
            )
        for name, text in (files or {}).items():
            (folder / name).write_text(text)
        try:
            loaded = self._load()
        except ConfigError as error:
            raise error.with_traceback(None) from None
        self.configuration, _ = keep_what_needs_restart(self.configuration, loaded)
        self.shard.take(self.configuration)

    def close(self) -> None:
        """Stop, and end the event loop."""
        shard, self._shard = self._shard, None
        try:
            if shard is not None:
                self.run(shard.stop())
        finally:
            self._runner.close()

    # Time

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's event loop."""
        return self._runner.run(work)

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self.run(self._clock.idle())

    def advance(self, **amount: float) -> None:
        """Let time pass: `advance(hours=2)`, with the words of `datetime.timedelta`."""
        self.run(asyncio.sleep(timedelta(**amount).total_seconds()))
        self.settle()

    @property
    def now(self) -> datetime:
        """The time."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    # At the front door

    def session(
        self,
        peer: str = STRANGER,
        listener: str | int | None = None,
        *,
        auth: str | tuple[str, str] | None = None,
        tls: bool = False,
        helo: str | None = "client.example",
        local: str | None = None,
        preface: bytes = b"",
    ) -> Session:
        """Connect from `peer` to a listener: its name, what it listens on, or its port; by default the first.

        `helo` None: say nothing yet. `tls`: STARTTLS. `auth` (user, password): AUTH PLAIN; a name alone: the
        session is as if that identity had been proved. `local`: the address that is connected to. `preface`:
        what is said before the greeting, such as a PROXY header. Listeners that begin with TLS get it.
        """
        listening = self._listening(listener)
        connection = self.run(self._connect(listening, peer, local))
        server = next(
            (one for one in listening.sessions if one.whereabouts.peer.port == connection.local[1]), None
        )
        session = Session(self, connection, server)
        self.sessions.append(session)
        session.begin(preface, tls_first=listening.listener.options.tls == "implicit")
        if helo is None or session.is_closed or not session.banner.is_positive:
            return session
        session.ehlo(helo)
        if tls:
            _must(session.start_tls(helo), session)
        if isinstance(auth, tuple):
            _must(session.log_in(*auth), session)
        elif auth is not None and server is not None:
            server.handlers.learn(authn_id=auth, authz_id=auth)
        return session

    async def _connect(self, listening: Listening, peer: str, local: str | None) -> Connection:
        client, server = Connection(), Connection()
        host = local or _ANY.get(listening.listener.host, listening.listener.host)
        join(client, server, (peer, next(self._ports)), (host, listening.listener.port))
        task = asyncio.create_task(listening.serve(server))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._clock.idle()
        return client

    def _listening(self, wanted: str | int | None) -> Listening:
        for listening in self.shard.listening:
            listener = listening.listener
            if wanted is None or str(wanted) in (listener.name, listener.listen, str(listener.port)):
                return listening
        known = ", ".join(listening.listener.label for listening in self.shard.listening)
        raise NoListenerError(f"there is no listener {wanted!r}: there are {known}")

    def decide(self, sender: str | None, recipient: str, *, peer: str = STRANGER, **session: Any) -> Decision:
        """What RCPT would be answered, and why; the other arguments are those of `session`."""
        asking = self.session(peer, **session)
        try:
            return asking.decide(sender, recipient)
        finally:
            asking.close()

    def expect(
        self, verdict: str, sender: str | None, recipient: str, *, peer: str = STRANGER, **session: Any
    ) -> None:
        """Ask over SMTP, up to RCPT; raises AssertionError with the decision's checks if it is not `verdict`.

        That is `relay`, `report-only`, `refuse` or `defer`, or a reply (`550`, `550 5.7.1`). The other
        arguments are those of `session`.
        """
        asking = self.session(peer, **session)
        meet(asking, verdict, sender, recipient)
        asking.close()

    # What has become of it

    @property
    def delivered(self) -> list[Delivered]:
        """What next hops have taken, in order."""
        return self._network.delivered

    def next_hop(self, host: str, *scripts: HopScript) -> Hop:
        """The next hop at an IP address. Each script serves one connection, the last one all that follow."""
        hop = self._network.hop(host)
        if scripts:
            hop.follow(scripts)
            self.settle()
        return hop

    @property
    def queue(self) -> list[Queued]:
        """What waits, or is with delivery; by the time of its next attempt."""
        waiting = [_queued(message) for message in self.shard.scheduler]
        return sorted(waiting, key=lambda queued: queued.due)

    def records(self, *types: str) -> list[dict[str, Any]]:
        """The log's records so far, of these types, as the log has them."""
        records = [json.loads(line) for line in self._records]
        return [record for record in records if not types or record["type"] in types]


def _must(answer: Any, session: Session) -> None:
    if not answer.is_positive:
        raise AssertionError("\n".join([f"the server answered {answer}", *session.dialogue]))


def _queued(message: Message) -> Queued:
    stored = message.stored
    return Queued(
        id=message.ident,
        sender=stored.sender or "",
        recipient=stored.recipient,
        queue=str(message.queue.name),
        attempts=message.attempts,
        due=datetime.fromtimestamp(message.due, UTC),
        meta=dict(stored.meta),
    )


def _written(policy: Given, folder: Path) -> Path | Policy:
    """What is to be loaded; texts are written into the folder."""
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str) and "\n" in policy:
        policy = {"angarium.toml": policy}
    if isinstance(policy, str | Path):
        return Path(policy)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in policy.items():
        (folder / name).write_text(text)
    return folder / next(iter(policy))


class _Watched(Writer):
    """The log; what is written to it is shown to the test too, at once."""

    watch: Callable[[bytes], None]

    def write(self, record: Record) -> None:
        super().write(record)
        self.watch(encode_record(record))

    def write_encoded(self, line: bytes) -> None:
        super().write_encoded(line)
        self.watch(line)


class _LoopWorker:
    """A spool's worker without a thread: a job is a turn of the loop, so time knows of it."""

    def __init__(self, name: str) -> None:
        self._jobs: deque[tuple[Callable[[], Any], Callable[[Any], None]]] = deque()

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """See spool.worker."""
        self._jobs.append((job, done))
        asyncio.get_running_loop().call_soon(self._work)

    def stop(self) -> None:
        """See spool.worker."""
        while self._jobs:
            self._work()

    def _work(self) -> None:
        if not self._jobs:
            return
        job, done = self._jobs.popleft()
        outcome: Any
        try:
            outcome = job()
        except (OSError, SpoolError) as error:
            outcome = error
        done(outcome)
