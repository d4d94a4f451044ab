"""The workers of a node as the supervisor keeps them: begun, watched, begun again, asked, told, ended.

Promises: no worker takes mail before all of the first crew are ready; a worker that ends is begun again, at
first at once and then ever more slowly, on the sockets it had, where connections have waited meanwhile; a
configuration is put in force in all workers or in none; a worker never serves another configuration than the
one in force, and needs no files for it but the supervisor's copies.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from angarium.node.channel import CallFailed, ChannelClosed, Payload
from angarium.node.leases import Answer, Ask
from angarium.node.lender import Lender
from angarium.node.member import Member, Sockets, WorkerTrouble
from angarium.node.owed import PREFIX, Owed, forget_others
from angarium.node.turns import Turn, Turns
from angarium.node.words import Begin, kept_of
from angarium.policy.config import ConfigError, Configuration, Problem, Source
from angarium.policy.copies import Copies
from angarium.policy.load import Changing
from angarium.policy.source import shown_path

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 0.1, 30.0
"""Seconds before a worker is begun again; doubled with each time that it ends soon."""
SETTLED = 60.0
"""Seconds after which an end is no sign of trouble with beginning."""
PATIENCE = 3.0
"""Seconds that a request waits for a worker that is being begun."""
PREPARE_LIMIT = 330.0
"""Seconds for loading a configuration: more than its own limit for reading."""

_asks = msgspec.msgpack.Decoder(list[Ask])


class NotReady(Exception):  # noqa: N818 - it will be
    """Not every worker is there; the text says which are not."""


class Crew:
    """All workers. `sockets` has, for each, `listen` → its socket."""

    def __init__(
        self,
        configuration: Configuration,
        path: Path,
        sockets: Sequence[Sockets],
        on_finished: Callable[[], object],
    ) -> None:
        self.configuration = configuration
        """In force."""
        self._path = path
        self._on_finished = on_finished
        spool = Path(configuration.spool.path)
        forget_others(spool, len(sockets))
        self.members = [
            Member(number, sockets, Owed(spool / f"{PREFIX}{number}")) for number in range(len(sockets))
        ]
        self._lender = Lender(self._tell_lease)
        self._turns = Turns(len(sockets), sockets[0], self._tell_turn)
        self._busy = asyncio.Lock()
        """Held while workers change from one configuration to the next, or one begins with it."""
        self._changed = asyncio.Condition()
        self._again = asyncio.Event()
        """Set, and another takes its place, when workers that pause may try at once."""
        self._keepers: list[asyncio.Task[None]] = []
        self._copies: Copies | None = None
        self._place = Path()
        """Of the copies of what is in force."""

    # Beginning, watching, ending

    async def start(self) -> None:
        """Begin all workers, and have them open their doors together. Raises WorkerTrouble."""
        await self._keep_files()
        begun = await asyncio.gather(*map(self._begin, self.members), return_exceptions=True)
        for result in begun:
            if isinstance(result, BaseException):
                raise result
        orders = [order for member in self.members for order in member.standing()]
        await asyncio.gather(*(self._let_serve(member, orders) for member in self.members))
        self._keepers = [asyncio.create_task(self._keep(member)) for member in self.members]

    async def _keep_files(self) -> None:
        """Copy the files of the configuration in force. Raises WorkerTrouble."""
        try:
            self._copies = Copies(Path(self.configuration.spool.path))
            self._place = await asyncio.to_thread(self._copies.make, self.configuration)
        except Changing:
            raise WorkerTrouble("the files change while they are read: start again") from None
        except ConfigError as error:
            raise WorkerTrouble("\n".join(map(str, error.problems))) from None
        except OSError as error:
            raise WorkerTrouble(_no_copy(error)) from None

    async def _begin(self, member: Member) -> None:
        begin = Begin(
            number=member.number,
            workers=len(self.members),
            path=str(self._path.absolute()),
            copies=str(self._place),
            hash=self.configuration.hash,
            sockets={},
            last_words=-1,
            kept=kept_of(self.configuration),
        )
        notes = {
            "lease": lambda payload: self._hear_lease(member, payload),
            "room": lambda payload: self._hear_room(member, payload),
            "finished": lambda _: self._on_finished(),
        }
        await member.begin(begin, notes)

    async def _keep(self, member: Member) -> None:
        """Begin a worker again whenever it has ended."""
        pause, loop = FIRST_PAUSE, asyncio.get_running_loop()
        while True:
            began = loop.time()
            ended = await member.ended()
            self._lender.leave(member.number)
            self._turns.leave(member.number)
            if loop.time() - began > SETTLED:
                pause = FIRST_PAUSE
            log.error("worker %d ended (%s); it is started again", member.number, ended)
            again, has_begun = self._again, False
            while not has_begun:
                await _pause(again, pause)
                again = self._again  # from before it looks at the files: who mends them meanwhile is heard
                has_begun = await self._has_begun_again(member, pause)
                pause = min(pause * 2, MAX_PAUSE)

    async def _has_begun_again(self, member: Member, pause: float) -> bool:
        try:
            await self._begin(member)
            async with self._busy:
                await self._open(member)
        except WorkerTrouble as trouble:
            after = min(pause * 2, MAX_PAUSE)
            log.error(
                "worker %d cannot start: %s; trying again in %g s, or after the next reload",
                member.number,
                trouble,
                after,
            )
            member.ask_to_stop()
            await member.end(0.0)
            return False
        log.info("worker %d is ready again", member.number)
        async with self._changed:
            self._changed.notify_all()
        return True

    def _wake(self) -> None:
        """Have workers that could not start try at once: with another configuration they may."""
        again, self._again = self._again, asyncio.Event()
        again.set()

    async def _open(self, member: Member) -> None:
        """Let a worker that was begun again serve, with the orders that the others have."""
        if member.built.hash != self.configuration.hash:
            raise WorkerTrouble("the configuration has changed meanwhile")
        orders: list[bytes] = []
        for other in self.ready:
            with suppress(ChannelClosed, CallFailed):
                orders += msgspec.msgpack.decode(await other.channel.call("orders"), type=list[bytes])
        await self._let_serve(member, orders)

    async def _let_serve(self, member: Member, orders: list[bytes]) -> None:
        await member.open(orders)
        self._turns.join(member.number)

    async def stop(self, limit: float) -> None:
        """Have every worker finish what is in flight, and end; who needs much more than `limit` is killed."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for member in self.members:
            member.close_sockets()
            member.ask_to_stop()
        await asyncio.gather(*(member.end(limit) for member in self.members))
        self._lender.close()
        if self._copies is not None:
            self._copies.close()

    @property
    def ready(self) -> list[Member]:
        """The workers that serve."""
        return [member for member in self.members if member.is_ready]

    async def all_ready(self) -> list[Member]:
        """Every worker, once all of them serve; raises NotReady where that takes long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: len(self.ready) == len(self.members))
        if missing := [member.number for member in self.members if not member.is_ready]:
            raise NotReady(f"worker {', '.join(map(str, missing))} is not there: see the server's log")
        return self.ready

    def steady(self) -> asyncio.Lock:
        """To be held while no worker shall begin to serve, and none change its configuration."""
        return self._busy

    # Leases

    def _hear_lease(self, member: Member, payload: Payload) -> None:
        self._lender.hear(member.number, _asks.decode(payload))

    def _tell_lease(self, number: int, answers: list[Answer]) -> None:
        self.members[number].channel.note("lease", answers)

    # Connections

    def _hear_room(self, member: Member, payload: Payload) -> None:
        listen, has_room = msgspec.msgpack.decode(payload, type=tuple[str, bool])
        self._turns.hear(member.number, listen, has_room=has_room)

    def _tell_turn(self, number: int, turn: Turn) -> None:
        self.members[number].channel.note("accept", turn)

    # A new configuration

    async def take(self, configuration: Configuration) -> None:
        """Put a configuration in force in every worker, or raise ConfigError, and nothing has changed.

        Raises Changing where the files are not those any more that the configuration was made of.
        """
        assert self._copies is not None
        async with self._busy:
            place = await self._prepared_in(self._copies, configuration)
            before, self._place, self.configuration = self._place, place, configuration
            await asyncio.gather(*(self._commit(member, configuration) for member in self.ready))
        self._wake()
        await asyncio.to_thread(self._copies.remove, before)

    async def _prepared_in(self, copies: Copies, configuration: Configuration) -> Path:
        """Copy the files and have every worker prepare the configuration; returns the place of the copies."""
        try:
            place = await asyncio.to_thread(copies.make, configuration)
        except OSError as error:
            raise self._refused([_no_copy(error)], configuration) from None
        try:
            await self._all_prepared(self.ready, configuration, place)
        except BaseException:
            copies.remove(place)
            raise
        return place

    def _refused(self, texts: list[str], configuration: Configuration) -> ConfigError:
        source = Source(shown_path(self._path), 1)
        return ConfigError([Problem(source, text) for text in texts], configuration.files)

    async def _all_prepared(
        self, members: Sequence[Member], configuration: Configuration, place: Path
    ) -> None:
        """Who has ended meanwhile begins again with whatever is in force then."""
        results = await asyncio.gather(
            *(
                _limited(member.channel.call("prepare", (configuration.hash, str(place))))
                for member in members
            ),
            return_exceptions=True,
        )
        troubles = [
            f"worker {member.number}: {result}"
            for member, result in zip(members, results, strict=True)
            if isinstance(result, BaseException) and not isinstance(result, ChannelClosed)
        ]
        if troubles:
            raise self._refused(troubles, configuration)

    async def _commit(self, member: Member, configuration: Configuration) -> None:
        try:
            await _limited(member.channel.call("commit", configuration.hash))
        except (CallFailed, TimeoutError) as trouble:
            log.error("worker %d: %s; it is started again", member.number, trouble)
            member.kill()
        except ChannelClosed:
            return

    def describe(self) -> list[Mapping[str, Any]]:
        """The workers as an operator sees them."""
        return [
            {
                "number": one.number,
                "pid": one.pid,
                "ready": one.is_ready,
                "starts": one.starts,
                "full": self._turns.full(one.number),
            }
            for one in self.members
        ]


def _no_copy(error: OSError) -> str:
    return f"cannot keep a copy of the files in the spool's folder: {error.strerror or error}"


async def _pause(again: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(again.wait(), seconds)


async def _limited(call: Awaitable[Payload]) -> Payload:
    async with asyncio.timeout(PREPARE_LIMIT):
        return await call
