"""What did the operator's handlers answer, as the records of a session tell it?

Promises that each record has the calls that still hold: those about the connection and the client, the last
of each event; those of the transaction at hand; those of the command at hand. What a refused command asked
is told in its own record and in no later one.
"""

from __future__ import annotations

from angarium.policy.hooks import HandlerCall

MAX_REMEMBERED = 64
"""Calls of one transaction that are told; older ones are dropped."""
ACCEPTED = "smtp_server_connection_accepted"
OF_AUTH = frozenset({"smtp_server_auth_plain", "smtp_server_auth_oauthbearer"})
OF_SESSION = OF_AUTH | {ACCEPTED, "smtp_server_ehlo"}


class Calls:
    """The calls of one session, oldest first."""

    def __init__(self) -> None:
        self._of_session: dict[str, HandlerCall] = {}
        self._of_transaction: list[HandlerCall] = []
        self.of_command: list[HandlerCall] = []
        """Those about the command at hand, and about the last one until the next begins."""
        self._is_kept = True
        """Whether the command at hand was accepted, as far as is known."""

    def told(self) -> list[HandlerCall]:
        """Those that a record made now has."""
        return [*self._of_session.values(), *(self._of_transaction + self.of_command)[-MAX_REMEMBERED:]]

    def add(self, call: HandlerCall) -> None:
        """A handler has answered."""
        self.of_command.append(call)
        del self.of_command[:-MAX_REMEMBERED]

    def end_command(self, *, accepted: bool) -> None:
        """The command at hand was answered; what was asked about it is told until the next one begins."""
        self._is_kept = accepted

    def begin_command(self) -> None:
        """The next command: what was asked about the last one is kept if that was accepted."""
        for call in self.of_command if self._is_kept else ():
            if call.event in OF_SESSION:
                self._of_session.pop(call.event, None)
                self._of_session[call.event] = call
            else:
                self._of_transaction.append(call)
        del self._of_transaction[:-MAX_REMEMBERED]
        self.of_command = []
        self._is_kept = True

    def end_transaction(self) -> None:
        """What was asked about this transaction is told no more."""
        if self.of_command:
            self.begin_command()
        self._of_transaction = []

    def forget(self) -> None:
        """What the client said is forgotten, and so is what was asked about it (RFC 3207 section 4.2)."""
        self.end_transaction()
        self._of_session = {event: call for event, call in self._of_session.items() if event == ACCEPTED}
