"""Is this still a client, or an attack? The limits that end a session, each with a 421 that says which.

A Guard counts for one session; what is counted by network stands in a Watch, which all sessions of one worker
share. Peers in `relay_hosts` are exempt from the limits of a network. Raises LimitReached, and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from angarium.mail.status import Reply, reply
from angarium.net.limits import NetworkKey, network_key
from angarium.wire import events
from angarium.wire.receiver import SECRET

if TYPE_CHECKING:
    from angarium.reception.session import Session

RATE_GRACE = 60.0
"""Seconds of content before its rate is looked at."""
NO_ROOM = reply(452, "4.3.1 too much mail is being received at once; try again later")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3 too many recipients")
TOO_MANY_HOPS = reply(554, "5.4.6 too many hops: this mail is in a loop")
HEADER_TOO_LARGE = reply(552, "5.3.4 the header section is too large")
MAX_HEADER_LINES = 10_000
"""Lines of a header section, however short: each costs time wherever fields are read one by one."""
TOO_LONG = reply(451, "4.4.5 data_processing_timeout exceeded")
BINDING = {
    NO_ROOM: "content_memory",
    TOO_MANY_RECIPIENTS: "max_recipients_per_message",
    TOO_MANY_HOPS: "max_hops",
    HEADER_TOO_LARGE: "max_header_size",
    TOO_LONG: "data_processing_timeout",
}
"""Answers that end no session → the option that bound."""
_BOUND = {
    "too-big": "max_message_size",
    "long-line": "line_length_hard_limit",
    "too-long": "line_length_hard_limit",
}
"""Why the receiver refused by itself → the option that bound."""
_NOT_SYNTAX = frozenset({"sequence", "too-big", "line-endings", "long-line", "cancelled", "early-input"})
OF_CONTENT = frozenset({"too-big", "line-endings", "long-line"})
_OF_MESSAGES = (events.Mail, events.Data, events.Chunk, events.Content)
"""Refusals of these are as many as there are messages, which have a limit of their own."""
_PUT_OFF = 452


class LimitReached(Exception):  # noqa: N818 - it is an answer
    """A limit ends the session; `limit` is the name of the option that bound."""

    def __init__(self, limit: str, text: str, status: str = "4.7.0") -> None:
        super().__init__(text)
        self.limit = limit
        self.reply = reply(421, f"{status} {text}")


def limit_of(answer: Reply, event: events.Answerable | None) -> str | None:
    """The option that made an answer which ends no session, or None."""
    if isinstance(event, events.Refused):
        return _BOUND.get(event.why)
    return BINDING.get(answer)


class Guard:
    """The limits of one session."""

    __slots__ = ("_auth_failures", "_begun", "_content_octets", "_content_since", "_messages", "_network",
                 "_now", "_overflows", "_refused", "_sequence_errors", "_session", "_syntax_errors", "_watch",
                 "claimed")  # fmt: skip

    def __init__(self, session: Session) -> None:
        self._session = session
        self._watch = session.door.watch
        self._now = asyncio.get_running_loop().time  # a clock that only goes forward, in seconds
        self._begun = self._now()
        self._network: NetworkKey | None = None
        self._messages = 0
        self._auth_failures = 0
        self._refused = 0
        self._overflows = 0
        self._syntax_errors = 0
        self._sequence_errors = 0
        self._content_since: float | None = None
        self._content_octets = 0
        self.claimed = 0
        """Octets of content that the session holds, as far as was said."""

    # Who is here

    def enter(self) -> None:
        """Count the session with its network; again after the peer has changed."""
        self.leave()
        session, options = self._session, self._session.options
        if session.is_trusted:
            return
        self._network = self._key()
        if self._watch.crowd.enter(self._network) > options.max_connections_per_network:
            text = "too many connections from your network; try again later"
            raise LimitReached("max_connections_per_network", text)

    def leave(self) -> None:
        """The session is over."""
        self.end_content()
        if self._network is not None:
            self._watch.crowd.leave(self._network)
            self._network = None

    def _key(self) -> NetworkKey:
        options = self._session.options
        peer = self._session.whereabouts.peer.ip
        return network_key(peer, options.network_prefix_ipv4, options.network_prefix_ipv6)

    # Time

    def patience(self) -> float:
        """Seconds to wait for the client's next octets."""
        options = self._session.options
        left = self._begun + options.max_session_duration - self._now()
        if left <= 0:
            raise LimitReached("max_session_duration", "this session has lasted too long")
        return min(options.client_timeout, left)

    # Commands

    def count_message(self) -> None:
        """Count a MAIL command."""
        if self._messages >= self._session.options.max_messages_per_connection:
            text = "too many messages on this connection"
            raise LimitReached("max_messages_per_connection", text, "4.5.3")
        self._messages += 1

    def before_auth(self) -> None:
        """Look at how often the client's network has failed, before it may try again."""
        options = self._session.options
        if self._session.is_trusted:
            return
        failures = self._watch.auth_failures.count(self._key(), self._now())
        if failures >= options.max_auth_failures_per_network:
            text = "too many failed AUTH attempts from your network; try again later"
            raise LimitReached("max_auth_failures_per_network", text)

    def after(self, event: events.Answerable, answer: Reply) -> None:
        """Count an answer that is a refusal."""
        if isinstance(event, events.Refused) and event.line[:5].upper() == b"MAIL ":
            self.count_message()
        if isinstance(event, events.Rcpt):
            self._count_recipient(answer)
        elif _is_auth(event):
            self._count_auth(answer)
        elif isinstance(event, events.Refused) and event.why not in _NOT_SYNTAX:
            self._count_syntax_error()
        elif not isinstance(event, _OF_MESSAGES):
            self._count_sequence_error(event)

    def _count_auth(self, answer: Reply) -> None:
        if answer.is_permanent:
            self._auth_failures += 1
            if not self._session.is_trusted:
                self._watch.auth_failures.add(self._key(), self._now())
            if self._auth_failures >= self._session.options.max_auth_failures:
                raise LimitReached("max_auth_failures", "too many failed AUTH attempts")

    def _count_recipient(self, answer: Reply) -> None:
        session, options = self._session, self._session.options
        if answer.code == _PUT_OFF:
            self._overflows += 1
            if self._overflows > options.max_recipients_per_message:
                raise LimitReached("max_recipients_per_message", "too many recipients")
        if not answer.is_permanent:
            return
        self._refused += 1
        if self._refused > options.max_refused_recipients:
            raise LimitReached("max_refused_recipients", "too many refused recipients")
        if session.is_trusted:
            return
        key, now = self._key(), self._now()
        self._watch.refused_recipients.add(key, now)
        if self._watch.refused_recipients.count(key, now) > options.max_refused_recipients_per_network:
            text = "too many refused recipients from your network; try again later"
            raise LimitReached("max_refused_recipients_per_network", text)

    def _count_syntax_error(self) -> None:
        self._syntax_errors += 1
        if self._syntax_errors > self._session.options.max_syntax_errors:
            raise LimitReached("max_syntax_errors", "too many commands that are none")

    def _count_sequence_error(self, event: events.Answerable) -> None:
        """What was refused for its place costs a record each time, like everything that is refused."""
        if isinstance(event, events.Refused) and event.why in OF_CONTENT and not event.line:
            return  # content
        self._sequence_errors += 1
        if self._sequence_errors > self._session.options.max_sequence_errors:
            raise LimitReached("max_sequence_errors", "too many commands at the wrong place")

    # Content

    @property
    def has_room(self) -> bool:
        """Whether content may begin to come."""
        return not self._watch.content.is_spent

    def receive_content(self, octets: int) -> None:
        """Look at how long content takes to come."""
        now = self._now()
        if self._content_since is None:
            self._content_since, self._content_octets = now, 0
        self._content_octets += octets
        elapsed = now - self._content_since
        if elapsed > RATE_GRACE and self._content_octets < self._session.options.min_data_rate * elapsed:
            raise LimitReached("min_data_rate", "the message comes too slowly")

    def hold_content(self, octets: int) -> None:
        """The session holds so many octets of content now, whichever way they came."""
        more = octets - self.claimed
        if not more:
            return
        self.claimed = octets
        self._watch.content.take(more)
        if more > 0 and self._watch.content.used > self._watch.content.total:
            raise LimitReached("content_memory", "too much mail is being received at once; try again later")

    def end_content(self) -> None:
        """The transaction is over, and its content no longer held."""
        self._content_since = None
        if self.claimed:
            self._watch.content.give_back(self.claimed)
            self.claimed = 0


def _is_auth(event: events.Answerable) -> bool:
    """Whether this is an attempt to authenticate, be it one that is no base64."""
    if isinstance(event, events.Refused):
        return event.why == "syntax" and event.line.endswith(SECRET)
    return isinstance(event, events.Auth | events.AuthResponse)
