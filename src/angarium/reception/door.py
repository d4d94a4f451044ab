"""What every session of a worker shares: the configuration in force, and the rooms behind the door."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from angarium.log.writer import Writer
from angarium.mail.status import Reply, reply
from angarium.net.descriptors import room_for_sessions
from angarium.net.dns import Resolver
from angarium.policy.config import Configuration, Listener
from angarium.policy.views import Endpoint
from angarium.queue.intake import Intake
from angarium.reception.keyring import Keyring
from angarium.reception.watch import Watch

log = logging.getLogger(__name__)


class Whereabouts(msgspec.Struct, frozen=True):
    """Both ends of a session, and the listener that accepted it."""

    listener: Listener
    peer: Endpoint
    local: Endpoint
    peer_address: str = ""
    """The client's address as text, without its port; made here once, since every record says it."""
    local_address: str = ""
    accepted: tuple[Endpoint, Endpoint] | None = None
    """Peer and local end of the TCP connection, where a proxy has said that the session has others."""

    def __post_init__(self) -> None:
        """Write both addresses out."""
        msgspec.structs.force_setattr(self, "peer_address", str(self.peer.ip))
        msgspec.structs.force_setattr(self, "local_address", str(self.local.ip))

    @property
    def accepted_local(self) -> Endpoint:
        """Where the listener accepted the TCP connection: what sections are bound to (contract 2.2)."""
        return self.local if self.accepted is None else self.accepted[1]

    def moved(self, peer: Endpoint, local: Endpoint) -> Whereabouts:
        """The same session with other ends, as a proxy tells them."""
        return Whereabouts(self.listener, peer, local, accepted=self.accepted or (self.peer, self.local))


class Door:
    """The shared side of reception.

    `configuration` is replaced whole; sessions look it up at each command.
    """

    def __init__(
        self,
        configuration: Configuration,
        intake: Intake,
        log: Writer,
        clock: Callable[[], float],
        new_ident: Callable[[], str],
        *,
        keyring: Keyring,
        resolver: Resolver,
    ) -> None:
        self.max_sessions = room_for_sessions()
        """At a time, on all listeners: more would take the descriptors that the spool needs."""
        self.sessions = 0
        self.keyring = keyring
        self.resolver = resolver
        self.watch = Watch(configuration.content_memory)
        self.take(configuration)
        self.intake = intake
        self.log = log
        self.clock = clock
        self.new_ident = new_ident
        self.is_stopping = False
        self._trouble: str | None = None
        """Why the last client was turned away that wanted to begin."""

    def take(self, configuration: Configuration) -> None:
        """Put a configuration in force. Raises TlsError, and keeps the one before."""
        self.keyring.prepare(listener.options for listener in configuration.listeners)
        self.watch.content.total = configuration.content_memory
        self.configuration = configuration
        self.hooks = configuration.hooks

    @property
    def is_full(self) -> bool:
        """Whether no further session fits the process."""
        return self.sessions >= self.max_sessions

    def listener(self, known: Listener) -> Listener:
        """The listener as the configuration in force has it; as it was, where it has gone from the files."""
        return next((one for one in self.configuration.listeners if one.listen == known.listen), known)

    def why_closed(self, hostname: str) -> Reply | None:
        """Why no session can begin now, or None (reference S3)."""
        if self.is_stopping:
            return reply(421, f"4.3.2 {hostname} shutting down")
        if self._takes_nothing():
            return reply(421, f"4.3.1 {hostname} cannot store mail now; try again later")
        return None

    def _takes_nothing(self) -> bool:
        """Whether spool or log is in trouble; the operator is told when that begins, and when it is over."""
        trouble = self.intake.trouble
        if (trouble is None) != (self._trouble is None):
            if trouble is not None:
                log.error("clients are turned away: %s", trouble)
            else:
                log.warning("clients are served again, after: %s", self._trouble)
        self._trouble = trouble
        return trouble is not None
