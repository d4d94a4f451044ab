"""One listener: accepts connections within its limits, and keeps the sessions that it began.

An error while accepting, or in a session, never ends the listener. Among several workers, one that has no
room leaves its connections to the others, as the node says (see `node.turns`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection
from ipaddress import ip_address

from angarium.net.accept import Acceptor
from angarium.net.connection import Connection, ConnectionTrouble, accepted
from angarium.policy.config import Listener
from angarium.policy.networks import canonical_address
from angarium.policy.views import Endpoint
from angarium.reception.door import Door, Whereabouts
from angarium.reception.session import Session

log = logging.getLogger(__name__)

FAREWELL_LIMIT = 2.0
"""Seconds that a connection over the limit gets to read its 421."""
ROOM = 16
"""What part of a limit must be free before a worker that was full takes connections again."""


class Listening:
    """A listener at work on its socket; without one, it serves the connections that are brought to it."""

    def __init__(
        self,
        listener: Listener,
        sock: socket.socket | None,
        door: Door,
        *,
        others: Collection[socket.socket] = (),
        on_room: Callable[[bool], object] | None = None,
    ) -> None:
        """`others`: sockets of other workers, from which it accepts when it is told to. `on_room` is told
        that there is no room, or room again, and says where to accept from; without it, 421 is all there is.
        """
        self._listener = listener
        self._door = door
        self._on_room = on_room
        self._has_room = True
        self._sessions: dict[Session, asyncio.Task[None]] = {}
        self._accepted: set[asyncio.Task[None]] = set()
        self._acceptors = {one: Acceptor(one, self._on_socket, rests=True) for one in others}
        if sock is not None:
            self._acceptors[sock] = Acceptor(sock, self._on_socket)

    def _on_socket(self, sock: socket.socket) -> None:
        task = asyncio.get_running_loop().create_task(self._accept(sock))
        self._accepted.add(task)
        task.add_done_callback(self._ended)
        self.look()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._accepted.discard(task)
        self.look()

    def accept_from(self, sockets: Collection[socket.socket]) -> None:
        """Accept from these of its sockets alone."""
        for sock, acceptor in self._acceptors.items():
            if sock in sockets:
                acceptor.go_on()
            else:
                acceptor.rest()

    def look(self) -> None:
        """Say so where room for one more session has gone or come, and accept nothing until told."""
        if self._on_room is None or self._door.is_stopping:
            return
        has_room = self._takes_more() if self._has_room else self._takes_many_more()
        if has_room != self._has_room:
            self._has_room = has_room
            self.accept_from(())
            self._on_room(has_room)

    def _takes_more(self) -> bool:
        door = self._door
        count = max(len(self._accepted), len(self._sessions))
        return count < self.listener.max_connections and not door.is_full and door.intake.trouble is None

    def _takes_many_more(self) -> bool:
        """Whether there is enough room again that it will not be gone at once."""
        door, most = self._door, self.listener.max_connections
        return (
            len(self._accepted) < most - most // ROOM
            and door.sessions < door.max_sessions - door.max_sessions // ROOM
            and door.intake.trouble is None
        )

    async def _accept(self, sock: socket.socket) -> None:
        try:
            connection = await accepted(sock)
        except ConnectionTrouble as trouble:
            log.warning("%s: %s", self._listener.label, trouble)
            return
        await self.serve(connection)

    async def serve(self, connection: Connection) -> None:
        """Begin a session on a connection, and stay with it until its end."""
        listener = self._door.listener(self._listener)
        session = Session(self._door, _whereabouts(listener, connection), connection)
        limit = self._full(listener)
        if limit is not None:
            session.turn_away(limit)
            await _close(connection)
            return
        task = asyncio.current_task()
        assert task is not None
        self._sessions[session] = task
        self._door.sessions += 1
        try:
            await session.run()
        except Exception:  # at its very end: all before is told there
            log.exception("%s could not be ended", session)
            connection.abort()
        finally:
            self._door.sessions -= 1
            del self._sessions[session]

    def _full(self, listener: Listener) -> str | None:
        """The limit that leaves no room for one more session, or None."""
        if len(self._sessions) >= listener.max_connections:
            return "max_connections"
        return "open_files" if self._door.is_full else None

    def stop_accepting(self) -> None:
        """Take no more connections."""
        for acceptor in self._acceptors.values():
            acceptor.close()

    async def stop(self, limit: float) -> None:
        """Let sessions finish the transaction they are in, at most `limit` seconds, then end them."""
        for session in self._sessions:
            session.ask_to_stop()
        tasks = {*self._sessions.values(), *self._accepted}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=limit)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @property
    def listener(self) -> Listener:
        """What is configured for it."""
        return self._door.listener(self._listener)

    @property
    def sessions(self) -> Collection[Session]:
        """Those that are open."""
        return self._sessions.keys()


def _whereabouts(listener: Listener, connection: Connection) -> Whereabouts:
    return Whereabouts(listener, _endpoint(connection.peer), _endpoint(connection.local))


def _endpoint(name: tuple[str, int]) -> Endpoint:
    return Endpoint(canonical_address(ip_address(name[0])), name[1])


async def _close(connection: Connection) -> None:
    """Close a connection that was turned away, whether it reads why or not."""
    try:
        await connection.drain(FAREWELL_LIMIT)
    except ConnectionTrouble:
        connection.abort()
    connection.close()
