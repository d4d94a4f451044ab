"""What every session of a worker shares: the configuration in force, and the rooms behind the door."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from angarium.log.writer import Writer
from angarium.mail.status import Reply, reply
from angarium.policy.config import Configuration, Listener
from angarium.policy.views import Endpoint
from angarium.queue.intake import Intake


class Whereabouts(msgspec.Struct, frozen=True):
    """Both ends of a session, and the listener that accepted it."""

    listener: Listener
    peer: Endpoint
    local: Endpoint


class Door:
    """The shared side of reception. `configuration` is replaced whole; sessions look it up at each command."""

    def __init__(
        self,
        configuration: Configuration,
        intake: Intake,
        log: Writer,
        clock: Callable[[], float],
        new_ident: Callable[[], str],
    ) -> None:
        self.take(configuration)
        self.intake = intake
        self.log = log
        self.clock = clock
        self.new_ident = new_ident
        self.is_stopping = False

    def take(self, configuration: Configuration) -> None:
        """Put a configuration in force."""
        self.configuration = configuration
        self.hooks = configuration.hooks

    def listener(self, known: Listener) -> Listener:
        """The listener as the configuration in force has it; as it was, where it has gone from the files."""
        return next((one for one in self.configuration.listeners if one.listen == known.listen), known)

    def why_closed(self, hostname: str) -> Reply | None:
        """Why no session can begin now, or None (reference S3)."""
        if self.is_stopping:
            return reply(421, f"4.3.2 {hostname} shutting down")
        if self.intake.trouble is not None:
            return reply(421, f"4.3.2 {hostname} the spool is not accepting writes. Try later")
        return None
