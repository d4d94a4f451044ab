"""The door in: custody of what arrives, its records, and its first turn.

Promises: `take` returns only when everything that is not simply forgotten is on stable storage. A message
that is queued is handed to delivery after that and not before; a report that is not queued is kept as its
records until the log has them. When it raises (NoCustody: nothing could be kept), or is cancelled, what was
put is withdrawn with the next batch: it is never delivered while this server runs. A crash before that batch
may keep it, so that mail answered 451 may arrive twice, as after any lost reply.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from angarium.log.records import Record, encode_record
from angarium.log.writer import LogError, Writer
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope
from angarium.policy.config import QueueConfig
from angarium.policy.route import QueueName, parse_queue_name
from angarium.queue.fresh import Fresh
from angarium.queue.kept_config import unpack_config
from angarium.queue.message import Evidence, Message, Stored, decode_kept, decode_state, encode
from angarium.queue.order import Order
from angarium.queue.orders import Orders
from angarium.queue.scheduled import ScheduledQueue, Scheduler
from angarium.spool.errors import SpoolError
from angarium.spool.keeper import Keeper
from angarium.spool.store import Recovered

log = logging.getLogger(__name__)

NULL_QUEUE = "null"
"""The name of the queue whose messages are discarded (reference S64)."""


class NoCustody(Exception):  # noqa: N818 - the reply is 452
    """The spool or the log cannot keep anything now."""


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One message for one recipient on its way in."""

    ident: str
    envelope: Envelope
    prefix: bytes
    """Header fields of ours, to stand above the content."""
    content: list[bytes | memoryview]
    """Shared by the messages of one transaction, unless a handler changed one of them."""
    meta: dict[str, Any]
    is_queued: bool = False
    """Whether it is to be carried on."""
    return_path: Address | None = None
    """The reverse-path that next hops are told, where it is not the sender's (see `signing`)."""
    tells_sender: bool = False
    """Whether a failure is told to the sender."""
    session_id: str = ""
    queue: str | None = None
    """The name of its queue, where a handler chose one."""
    queue_config: QueueConfig | None = None
    """What `get_queue_config` answered for a queue that is new."""
    records: list[Record] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Octets of the whole."""
        return len(self.prefix) + sum(map(len, self.content))


def queue_name(arrival: Arrival) -> QueueName:
    """The queue it belongs into: a handler's choice, else its recipient's domain with tenant and campaign."""
    if arrival.queue is not None:
        return parse_queue_name(arrival.queue)
    return _chosen(arrival.meta, arrival.envelope.recipients[0].address.domain)


def is_discarded(arrival: Arrival) -> bool:
    """Whether somebody chose the queue that nothing leaves; a domain of that name is a domain."""
    chosen = arrival.queue if arrival.queue is not None else arrival.meta.get("queue")
    return chosen == NULL_QUEUE


def queue_name_of(meta: Mapping[str, Any], recipient: str) -> QueueName:
    """The queue that metadata and a recipient ask for."""
    return _chosen(meta, recipient.rpartition("@")[2] if "@" in recipient else "")


_CHOICES = frozenset({"queue", "tenant", "campaign", "routing_domain"})
"""Metadata that says something about the queue."""


def _chosen(meta: Mapping[str, Any], domain: str) -> QueueName:
    if _CHOICES.isdisjoint(meta):
        return QueueName(domain)
    chosen = meta.get("queue")
    if isinstance(chosen, str):
        return parse_queue_name(chosen)
    tenant, campaign, route = meta.get("tenant"), meta.get("campaign"), meta.get("routing_domain")
    return QueueName(domain, _text(tenant), _text(campaign), _text(route))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


class Intake:
    """Takes custody of arrivals, and of what the spool still had at start."""

    def __init__(
        self,
        store: Keeper,
        writer: Writer,
        scheduler: Scheduler,
        orders: Orders,
        new_ident: Callable[[], str],
    ) -> None:
        self._store = store
        self._orders = orders
        self._writer = writer
        self._scheduler = scheduler
        self.new_ident = new_ident
        """Makes the id of a message."""
        self._releases: set[asyncio.Task[None]] = set()
        self._evidence: dict[str, int] = {}
        """Id in the spool → place."""
        self._fresh = Fresh()
        self._complaint: type[SpoolError] | None = None
        self._refused = 0
        """Transactions that the spool has refused since it last took one."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be taken now, for the operator; None where all is well."""
        return self._store.problem or self._writer.problem

    def has_queue(self, name: str) -> bool:
        """Whether a queue is known, so that nobody need be asked about it."""
        return self._scheduler.has_queue(name)

    def config_of(self, arrival: Arrival) -> QueueConfig:
        """The options of the queue that an arrival goes into."""
        assert arrival.queue is not None
        return self._scheduler.config_of(arrival.queue, arrival.queue_config)

    async def take(self, arrivals: Sequence[Arrival]) -> None:
        """Take custody; raises NoCustody."""
        if self._writer.problem is not None:
            raise NoCustody(self._writer.problem)
        waiting: list[Message] = []
        evidence = None
        try:
            self._put_messages(arrivals, waiting)
            evidence = self._put_evidence(arrivals)
            await self._store.commit()
        except SpoolError as error:
            self._withdraw(waiting, evidence)
            self._complain(error)
            raise NoCustody(str(error)) from error
        except asyncio.CancelledError:
            self._withdraw(waiting, evidence)
            raise
        if self._refused:
            log.warning("the spool takes mail again; it had refused %d transactions", self._refused)
            self._refused = 0
        self._record(arrivals)
        if evidence is not None:
            self._release(*evidence)
        for message in waiting:
            self._scheduler.add(message)

    def _complain(self, error: SpoolError) -> None:
        """Say once what is wrong, however many clients are refused for it."""
        if not self._refused or type(error) is not self._complaint:
            log.error("the spool takes nothing: %s", error)
        self._complaint = type(error)
        self._refused += 1

    def _withdraw(self, waiting: list[Message], evidence: tuple[str, int] | None) -> None:
        """Take back what was put: the client is not answered 250, and will send it again."""
        for message in waiting:
            self._store.finish(message.place, message.ident)
        if evidence is not None:
            ident, place = evidence
            self._store.finish(place, ident)

    def _record(self, arrivals: Sequence[Arrival]) -> None:
        """Write the records. What was answered 250 goes on, whatever becomes of the log."""
        try:
            for arrival in arrivals:
                for record in arrival.records:
                    self._writer.write(record)
        except LogError as error:
            log.error("a record is lost to the log: %s", error)

    def _put_messages(self, arrivals: Sequence[Arrival], waiting: list[Message]) -> None:
        """Put what is to be queued, each content once; adds to `waiting` what was put."""
        groups: dict[int, list[Arrival]] = {}
        for arrival in arrivals:
            if arrival.is_queued:
                groups.setdefault(id(arrival.content), []).append(arrival)
        for group in groups.values():
            self._put_group(group, waiting)

    def _put_group(self, group: list[Arrival], waiting: list[Message]) -> None:
        """Put messages of one content; adds to `waiting` what was put."""
        content = group[0].content
        octets = sum(map(len, content))
        held, payloads = [], []
        for arrival in group:
            assert arrival.queue is not None
            queue = self._scheduler.make_queue(arrival.queue, arrival.queue_config)
            stored = _stored(arrival, queue, len(arrival.prefix) + octets)
            held.append((arrival, stored, queue))
            payloads.append((arrival.ident, encode(stored)))
        places = self._store.put(content, payloads)
        for (arrival, stored, queue), place in zip(held, places, strict=True):
            message = Message(arrival.ident, place, queue, self._store)
            message.take_schedule(arrival.meta)
            message.remember(stored, _outward(arrival), [arrival.prefix, *content])
            self._fresh.add(message, stored.size)
            waiting.append(message)

    def _put_evidence(self, arrivals: Sequence[Arrival]) -> tuple[str, int] | None:
        """Keep the records of what has no other trace: reports, and messages that are discarded."""
        records: list[bytes] = []
        for arrival in arrivals:
            if not arrival.is_queued or len(arrival.records) > 1:
                records += map(encode_record, arrival.records)
        if not records:
            return None
        ident = self.new_ident()
        return ident, self._store.put([], [(ident, encode(Evidence(tuple(records))))])[0]

    def _release(self, ident: str, place: int) -> None:
        """Drop evidence once the log has it on stable storage."""
        self._evidence[ident] = place
        task = asyncio.get_running_loop().create_task(self._release_when_logged(ident))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release_when_logged(self, ident: str) -> None:
        try:
            await self._writer.sync()
        except LogError as error:
            log.error("records stay in the spool: %s", error)
            return
        self._store.finish(self._evidence.pop(ident), ident)

    def moved(self, ident: str, place: int) -> None:
        """The spool has put evidence elsewhere, if it is some: the log may take its time."""
        if ident in self._evidence:
            self._evidence[ident] = place

    def recover(self) -> int:
        """Take up what the spool holds: messages to their queues, orders in force, evidence to the log.

        Returns how many messages wait. What cannot be understood, perhaps of a newer version, stays there.
        """
        count = 0
        for found in self._store.recover():
            try:
                count += self._take_up(found)
            except (ValueError, KeyError, LogError) as error:  # msgspec's errors are ValueErrors too
                log.error("%s stays in the spool, since it cannot be understood: %s", found.ident, error)
        return count

    def _take_up(self, found: Recovered) -> bool:
        """Take up one thing; whether it is a message. Raises ValueError, KeyError, LogError."""
        kept = decode_kept(found.message)
        if isinstance(kept, Evidence):
            for record in kept.records:
                self._writer.write_encoded(record)
            self._release(found.ident, found.place)
        elif isinstance(kept, Order):
            self._orders.take(found.ident, found.place, kept)
        else:
            self._scheduler.add(self._recovered(found, kept))
            return True
        return False

    def _recovered(self, found: Recovered, kept: Stored) -> Message:
        state = None if found.note is None else decode_state(found.note)
        name, options = kept.queue, kept.queue_options
        if state is not None and state.queue is not None:
            name, options = state.queue, state.queue_options
        queue = self._scheduler.make_queue(name, None if options is None else unpack_config(options))
        message = Message(found.ident, found.place, queue, self._store)
        message.take_schedule(kept.meta)
        if state is not None:
            message.take_state(state)
            queue.last = state.last or queue.last
        return message

    async def close(self) -> None:
        """Wait for evidence on its way to the log."""
        await asyncio.gather(*self._releases, return_exceptions=True)


def _outward(arrival: Arrival) -> Envelope:
    """The envelope that next hops see."""
    if arrival.return_path is None:
        return arrival.envelope
    return replace(arrival.envelope, sender=arrival.return_path)


def _stored(arrival: Arrival, queue: ScheduledQueue, size: int) -> Stored:
    envelope = arrival.envelope
    recipient = envelope.recipients[0]
    assert arrival.queue is not None
    return Stored(
        sender=None if envelope.sender is None else envelope.sender.text,
        recipient=recipient.address.text,
        queue=arrival.queue,
        prefix=arrival.prefix,
        size=size,
        meta=arrival.meta,
        eight_bit=envelope.eight_bit,
        smtputf8=envelope.smtputf8,
        notify=recipient.notify,
        orcpt=recipient.orcpt,
        ret=envelope.ret,
        envid=envelope.envid,
        session_id=arrival.session_id,
        dsn_allowed=arrival.tells_sender,
        queue_options=queue.kept_options(),
        return_path=None if arrival.return_path is None else arrival.return_path.text,
    )
