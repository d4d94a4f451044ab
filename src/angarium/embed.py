"""A real server inside somebody's program: `async with angarium.serve(policy) as server:`.

Answers "how do I run it here?": sockets are bound (port 0 takes any that is free), the spool is taken up, and
when the block ends the server stops as at SIGTERM: what is in flight is finished, nothing is lost. Promises
to leave the process alone: no signal handler, no user change, no logging set-up. Refuses an open relay, as
`angarium run` does.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from angarium.admin.why import log_folders
from angarium.log.indexing import Librarian
from angarium.net.accept import bind
from angarium.policy.config import ConfigError, Configuration
from angarium.policy.hooks import Policy
from angarium.policy.load import load, load_policy
from angarium.policy.open_relay import open_relays
from angarium.policy.reload import Reloader, Result
from angarium.shard import Shard


class Server:
    """A server that serves; `serve` makes it."""

    def __init__(
        self, shard: Shard, listeners: Mapping[str, tuple[str, int]], reloader: Reloader | None
    ) -> None:
        self.listeners = listeners
        """Each listener's name (else what it listens on) → the address and port that it listens on."""
        self._shard = shard
        self._reloader = reloader

    @property
    def configuration(self) -> Configuration:
        """What is in force."""
        return self._shard.configuration

    async def reload(self) -> Result:
        """Load the files again and put them in force, whole or not at all; the result says why not.

        Raises ValueError where the policy is an object of this program, which has no files to load again.
        """
        if self._reloader is None:
            raise ValueError("this policy is no file: give serve() the path of one, and it can be reloaded")
        return await self._reloader.reload()


@asynccontextmanager
async def serve(policy: str | Path | Policy, *, allow_open_relay: bool = False) -> AsyncIterator[Server]:
    """Serve a policy, given as the path of its main file or as a `Policy`, until the block ends.

    Files are watched, and loaded again when they change. Raises ConfigError (for an open relay too, unless
    `allow_open_relay`), BindError, SpoolError and LogError where it cannot start.
    """
    configuration = load_policy(policy) if isinstance(policy, Policy) else load(policy)
    problems = [] if allow_open_relay else open_relays(configuration)
    if problems:
        raise ConfigError(problems, configuration.files)
    with _bound(configuration) as sockets:
        shard = Shard(configuration, sockets)
        await shard.start()
    reloader = None
    if not isinstance(policy, Policy):
        reloader = Reloader(Path(policy), configuration, shard.take, allow_open_relay=allow_open_relay)
        reloader.start()
    librarian = Librarian(log_folders(configuration.log))
    shard.writer.on_finished = librarian.ask
    librarian.start()
    try:
        yield Server(shard, _addresses(configuration, sockets), reloader)
    finally:
        await librarian.close()
        if reloader is not None:
            await reloader.close()
        await shard.stop()


@contextmanager
def _bound(configuration: Configuration) -> Iterator[dict[str, socket.socket]]:
    """The listeners' sockets, which are closed again if the server does not start."""
    with ExitStack() as opened:
        yield {
            listener.listen: opened.enter_context(bind(listener.listen))
            for listener in configuration.listeners
        }
        opened.pop_all()


def _addresses(
    configuration: Configuration, sockets: Mapping[str, socket.socket]
) -> dict[str, tuple[str, int]]:
    names = {listener.label: sockets[listener.listen].getsockname() for listener in configuration.listeners}
    return {label: (str(name[0]), int(name[1])) for label, name in names.items()}
