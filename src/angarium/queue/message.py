"""A message between its 250 and its end: what is stored of it, and what stays in memory while it waits.

`Stored` goes to the spool once, at the door in. `State` is the little that changes. `Message` is what the
queue holds: a million may wait, so it keeps a place in the spool and a time, and takes the rest from there
when needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.ident import created_at
from angarium.policy.schedule import schedule_of
from angarium.queue.order import Order

if TYPE_CHECKING:
    from angarium.queue.scheduled import ScheduledQueue
    from angarium.spool.files import Part
    from angarium.spool.keeper import Keeper


class Stored(msgspec.Struct, frozen=True, array_like=True, kw_only=True, tag="message"):
    """The spool's own record of a message. Fields are only ever added at the end, with defaults."""

    sender: str | None
    recipient: str
    queue: str
    prefix: bytes
    """Header fields of ours that stand above the content."""
    size: int
    """Octets of prefix and content."""
    meta: dict[str, Any] = {}
    eight_bit: bool = False
    smtputf8: bool = False
    notify: tuple[str, ...] = ()
    orcpt: str | None = None
    ret: str | None = None
    envid: str | None = None
    session_id: str = ""
    dsn_allowed: bool = False
    """Whether a failure is told to the sender: those who sent by a right of their own (contract 2.A and 2.B).
    """
    reception_protocol: str = "ESMTP"
    queue_options: dict[str, Any] | None = None
    """What `get_queue_config` answered for its queue (see `kept_config`)."""
    return_path: str | None = None
    """The reverse-path that next hops are told, where it is not the sender's (see `signing`)."""


class Evidence(msgspec.Struct, frozen=True, array_like=True, tag="evidence"):
    """Records that the log does not have yet: kept so that no report is answered 250 and then forgotten."""

    records: tuple[bytes, ...]


class State(msgspec.Struct, frozen=True, array_like=True):
    """What changes while a message waits. Fields are only ever added at the end, with defaults."""

    attempts: int
    due: float
    queue: str | None = None
    """Its queue, where it has been moved to another one."""
    held: str | None = None
    """The name of the hold that an operator put it under."""
    delay_told: bool = False
    """Its sender has been told that it is delayed."""
    last: str | None = None
    """What was said to its last attempt."""
    queue_options: dict[str, Any] | None = None
    """What `get_queue_config` answered for the queue that it has been moved to."""
    last_host: tuple[str, str] | None = None
    """Name and address of the host that its last attempt reached, or tried to."""
    last_is_local: bool = True
    """Whether `last` is our words, and no host's."""


class Special(msgspec.Struct):
    """What few messages have, so that the others need no room for it."""

    expires: float | None = None
    """Its own end, Unix seconds, instead of its queue's `max_age`."""
    begins: float | None = None
    """Its first attempt, Unix seconds, where that was asked for: its age counts from then."""
    is_moved: bool = False
    """It is in another queue than it was stored with, or its queue has other options."""
    held: str | None = None
    """As in `State`."""
    waits_for: str | None = None
    """The suspension or hold that it was due under: what it waits for, instead of a time."""
    delay_told: bool = False
    """As in `State`."""


_encode = msgspec.msgpack.Encoder().encode
_stored = msgspec.msgpack.Decoder(Stored)
_kept: msgspec.msgpack.Decoder[Stored | Evidence | Order] = msgspec.msgpack.Decoder(Stored | Evidence | Order)
_state = msgspec.msgpack.Decoder(State)


def encode(value: Stored | Evidence | Order | State) -> bytes:
    """The octets that the spool keeps."""
    return _encode(value)


def decode_stored(payload: bytes) -> Stored:
    """Read a stored message; raises msgspec.DecodeError."""
    return _stored.decode(payload)


def decode_kept(payload: bytes) -> Stored | Evidence | Order:
    """Read whatever the spool keeps; raises msgspec.DecodeError."""
    return _kept.decode(payload)


def decode_state(payload: bytes) -> State:
    """Read a state; raises msgspec.DecodeError."""
    return _state.decode(payload)


class Message:
    """One message for one recipient, waiting or on its way."""

    __slots__ = ("_content", "_envelope", "_stored", "attempts", "due", "ident", "is_waiting", "place",
                 "queue", "special", "store")  # fmt: skip

    def __init__(self, ident: str, place: int, queue: ScheduledQueue, store: Keeper) -> None:
        self.ident = ident
        self.place = place
        self.queue = queue
        self.store = store
        self.attempts = 0
        self.due = 0.0
        self.is_waiting = False
        self.special: Special | None = None
        self._stored: Stored | None = None
        self._envelope: Envelope | None = None
        self._content: list[Part] | None = None

    @property
    def stored(self) -> Stored:
        """What the spool has of it; raises SpoolError when the spool cannot be read."""
        if self._stored is None:
            self._stored = decode_stored(self.store.load(self.place).message)
        return self._stored

    def peek(self) -> Stored:
        """As `stored`, without keeping it in memory: for those who look at many messages."""
        if self._stored is not None:
            return self._stored
        return decode_stored(self.store.load(self.place).message)

    def last_state(self) -> State | None:
        """What the spool remembers of it since its last attempt; None of one that never waited."""
        note = self.store.read_note(self.place)
        return None if note is None else decode_state(note)

    def last_reply(self) -> str | None:
        """What was said to its last attempt, as far as the spool knows."""
        state = self.last_state()
        return None if state is None else state.last

    def remember(self, stored: Stored, envelope: Envelope, content: list[Part]) -> None:
        """Keep what is already in memory, for the attempt that follows at once."""
        self._stored = stored
        self._envelope = envelope
        self._content = content

    def forget(self) -> None:
        """Drop everything that the spool has too: the message waits for a time."""
        self._stored = None
        self._envelope = None
        self._content = None

    @property
    def envelope(self) -> Envelope:
        """The envelope for its one recipient, as next hops see it."""
        if self._envelope is None:
            self._envelope = _envelope(self.stored)
        return self._envelope

    @property
    def content(self) -> list[Part]:
        """Its octets, prefix first, as pieces that nobody copies; raises SpoolError."""
        if self._content is None:
            loaded = self.store.load(self.place)
            self._stored = decode_stored(loaded.message)
            self._content = [self._stored.prefix, loaded.content]
        return self._content

    @property
    def sender(self) -> Address | None:
        """The reverse-path that it came with; None is the null reverse-path."""
        sender = self.stored.sender
        return None if sender is None else Address.parse(sender)

    @property
    def recipient(self) -> Recipient:
        """The one forward-path."""
        return self.envelope.recipients[0]

    @property
    def domain(self) -> str:
        """The domain of its queue: where it goes unless a routing domain says otherwise."""
        return self.queue.name.domain

    @property
    def routing_domain(self) -> str | None:
        """Where it goes instead of to its domain, if that was said."""
        return self.queue.routing_domain

    @property
    def created(self) -> float:
        """When it was accepted, Unix seconds."""
        return created_at(self.ident)

    @property
    def expires(self) -> float:
        """When it may wait no longer, Unix seconds."""
        special = self.special
        if special is None:
            return created_at(self.ident) + self.queue.config.max_age
        if special.expires is not None:
            return special.expires
        return max(self.created, special.begins or 0.0) + self.queue.config.max_age

    @property
    def held(self) -> str | None:
        """The hold that an operator put it under."""
        return None if self.special is None else self.special.held

    @property
    def waits_for(self) -> str | None:
        """The suspension or hold that it waits for, instead of a time."""
        return None if self.special is None else self.special.waits_for

    def make_special(self) -> Special:
        """Where to write what few messages have."""
        if self.special is None:
            self.special = Special()
        return self.special

    def state(
        self, last: str | None = None, host: tuple[str, str] | None = None, *, is_local: bool = True
    ) -> State:
        """What the spool is to remember of it beside what it has: what was said last, and by whom."""
        special = self.special
        if special is None:
            return State(self.attempts, self.due, last=last, last_host=host, last_is_local=is_local)
        queue, options = None, None
        if special.is_moved:
            queue, options = str(self.queue.name), self.queue.kept_options()
        return State(
            self.attempts, self.due, queue, special.held, special.delay_told, last, options, host, is_local
        )

    def take_schedule(self, meta: Mapping[str, Any]) -> None:
        """Take the time of its first attempt and its own end from its metadata, if they stand there."""
        if "schedule" not in meta or (schedule := schedule_of(meta)) is None:
            return
        self.due = schedule.next_open(schedule.first_attempt or self.created)
        if schedule.first_attempt is not None:
            self.make_special().begins = schedule.first_attempt
        if schedule.expires is not None:
            self.make_special().expires = schedule.expires

    def take_state(self, state: State) -> None:
        """Continue where the last run left off. Its queue is the caller's to find."""
        self.attempts, self.due = state.attempts, state.due
        if state.queue is not None or state.held is not None or state.delay_told:
            special = self.make_special()
            special.is_moved = state.queue is not None
            special.held, special.delay_told = state.held, state.delay_told

    @property
    def meta(self) -> Mapping[str, Any]:
        """Its metadata."""
        return self.stored.meta

    @property
    def size(self) -> int:
        """Octets of the whole."""
        return self.stored.size


def _envelope(stored: Stored) -> Envelope:
    sender = stored.return_path or stored.sender
    return Envelope(
        sender=None if sender is None else Address.parse(sender),
        recipients=(Recipient(_recipient(stored.recipient), stored.notify, stored.orcpt),),
        eight_bit=stored.eight_bit,
        smtputf8=stored.smtputf8,
        ret=stored.ret,
        envid=stored.envid,
        size=stored.size,
    )


def _recipient(text: str) -> Address:
    return Address.parse(text) if "@" in text else Address(text, "")
