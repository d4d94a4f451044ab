"""From the end of data to the reply: what becomes of a message, and custody of it before it is answered 250.

The whole transaction has one fate. Order: hop limit, the operator's handlers, decisions about what they
changed, examination for reports, fates, and the queue's door in, which answers only when all is on stable
storage.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.header import Outline, has_more_lines, outline
from angarium.mail.mime import MAX_READ
from angarium.mail.status import EnhancedStatus, Reply, reply
from angarium.mail.trace import received_field
from angarium.policy.config import QueueConfig
from angarium.policy.decision import Decision, TransactionKind
from angarium.policy.fate import Fate, fate
from angarium.policy.fate import Report as Found
from angarium.policy.route import QueueName
from angarium.policy.schedule import ScheduleError, parse_schedule
from angarium.policy.views import Message, Meta, ReceivedReport
from angarium.queue.intake import Arrival, NoCustody, is_discarded, queue_name
from angarium.queue.signing import sign
from angarium.reception.guard import HEADER_TOO_LARGE, MAX_HEADER_LINES, TOO_LONG, TOO_MANY_HOPS
from angarium.reception.queue_choice import Choice, choose
from angarium.reception.record import NOTHING_KEPT, Kept, classify_records, kept_of, reception_records
from angarium.reception.reference import Trace, trace_of
from angarium.reception.report_record import MAX_RECORDS
from angarium.reception.told import told_of
from angarium.reception.transaction import Accepted, Transaction, ask
from angarium.reports.detect import examine
from angarium.reports.values import Report
from angarium.wire.framing import as_bytes

if TYPE_CHECKING:
    from angarium.reception.session import Session

log = logging.getLogger(__name__)

OWN_RIGHTS = frozenset({"relay_hosts", "relay_from", "relay_from_authz"})
"""Rights of the sender: those who have one are told of failures; strangers, whose sender may be forged, are
not.
"""
NUL_IN_HEADER = reply(550, "5.6.0 the header holds a NUL")
"""RFC 5322 forbids it, and readers that stop at it see other fields than those that drop it."""
MAX_INLINE = 64 * 1024
"""Octets that are examined at once; more are examined in a thread, so that other sessions go on."""
NO_TRACE = Trace()
_OF_HEADERS = frozenset({"prepend_header", "remove_header"})
BAD_SCHEDULE = reply(451, "4.3.0 Local policy failed; try again later")
_TAKEN = EnhancedStatus(2, 0, 0)
NO_CUSTODY = reply(452, "4.3.1 the message cannot be stored now; try again later")


async def take_content(session: Session, transaction: Transaction, content: bytes) -> Reply:
    """Judge the content of a transaction and take custody of it; returns the reply for all of it."""
    try:
        with session.deadline(session.options.data_processing_timeout):
            return await _Taking(session, transaction, content).take()
    except TimeoutError:
        return TOO_LONG
    except NoCustody:
        return NO_CUSTODY
    except Refusal as refusal:
        return refusal.reply


class Refusal(Exception):  # noqa: N818 - it is an answer
    """The whole transaction is refused."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(str(answer))
        self.reply = answer


@dataclass(slots=True)
class Draft:
    """One message for one recipient, with what was decided about it."""

    arrival: Arrival
    decision: Decision
    report: Report | None = None
    fate: Fate | None = None
    trace: Trace = NO_TRACE
    """What the report proves about which message of ours it means."""
    kept: Kept = NOTHING_KEPT
    """What its records keep of its header."""
    share: int = MAX_RECORDS
    """How many OOB records its report may have, and how many notices."""

    @property
    def is_logged(self) -> bool:
        """Whether it is a report that is recorded as one."""
        return self.fate is not None and len(self.fate.records) > 1


def _apart(content: bytes) -> bytes:
    """The content; behind an empty header where its first line would continue our Received field."""
    return b"\r\n" + content if content[:1] in (b" ", b"\t") else content


class _Taking:
    """One transaction at its end of data."""

    def __init__(self, session: Session, transaction: Transaction, content: bytes) -> None:
        self.session = session
        self.transaction = transaction
        self.sender = transaction.sender
        self.accepted = transaction.accepted
        self.content: list[bytes | memoryview] = [_apart(content)]
        self.meta = session.handlers.connection.meta
        self.queue: str | None = None
        self.chosen: dict[str, Any] = {}
        """Metadata that the message's own header asked for."""
        self._has_nul = False
        self._outline: tuple[list[bytes | memoryview], Outline]
        """The content as it came, and what its header section says."""
        self._reports: dict[int, Report] = {}
        self._kept: dict[int, Kept] = {}

    async def take(self) -> Reply:
        self._look_at_header()
        if self.session.handlers.handles("smtp_server_data"):
            await self._show_data()
        self._read_choice()
        drafts = [self._draft(accepted) for accepted in self.accepted]
        if self.session.handlers.handles("smtp_server_message_received"):
            for draft in drafts:
                if draft is not drafts[0]:
                    await asyncio.sleep(0)  # other sessions have their turn
                await self._show_message(draft)
        for draft in drafts:
            if draft.decision.examinations:
                draft.report = await self._examined(draft.arrival)
            self._judge(draft)
        for draft in drafts:
            if draft.report is not None and draft.is_logged:
                await self._tell_of_report(draft, draft.report)
        await self._name_queues(drafts)
        self._sign(drafts)
        await self._make_records(drafts)
        arrivals = [draft.arrival for draft in drafts]
        await self.session.door.intake.take(arrivals)
        return Reply(250, _TAKEN, "OK ids=" + " ".join([arrival.ident for arrival in arrivals]))

    async def _make_records(self, drafts: list[Draft]) -> None:
        for draft in drafts:
            if draft is not drafts[0]:
                await asyncio.sleep(0)  # other sessions have their turn
            draft.share = max(1, MAX_RECORDS // len(drafts))
            draft.kept = self._kept_of(draft.arrival.content)
            records = draft.arrival.records = reception_records(self.session, draft)
            if len(records) > 1:  # a Reception means no trouble, and has no class
                await classify_records(records, self.session.door.configuration.classifier)

    def _look_at_header(self) -> None:
        options, content = self.session.options, as_bytes(self.content[0])
        header = outline(content, options.max_header_size + len(b"\r\n"))
        if header.size > options.max_header_size or has_more_lines(content, header.size, MAX_HEADER_LINES):
            raise Refusal(HEADER_TOO_LARGE)
        if header.hops > options.max_hops:
            raise Refusal(TOO_MANY_HOPS)
        self._has_nul = content.find(0, 0, header.size) >= 0
        self._outline = self.content, header

    @cached_property
    def _whole(self) -> bytes:
        """The content as all messages share it, in one piece."""
        return as_bytes(self.content[0]) if len(self.content) == 1 else b"".join(self.content)

    def _kept_of(self, content: Sequence[bytes | memoryview]) -> Kept:
        """What records keep of a header section; of content that messages share it is read once."""
        key = id(content)
        if key not in self._kept:
            original, header = self._outline
            known = header if content is original else None
            self._kept[key] = kept_of(content, self.session.door.configuration.log, known)
        return self._kept[key]

    # What handlers may change

    async def _show_data(self) -> None:
        """Let `smtp_server_data` see the transaction; what it changes of the envelope is decided again."""
        recipients = [accepted.recipient.address for accepted in self.accepted]
        message = Message(self.sender, recipients, bytes(self.content[0]), self.meta)
        await self._notify("smtp_server_data", message)
        if message.changes:
            if _changes(message) & _OF_HEADERS:
                self.content = list(message.parts)
            self.accepted = await self._decide_again("smtp_server_data", message, self.accepted)
            self.sender = message.sender
            self.queue = message.queue

    async def _show_message(self, draft: Draft) -> None:
        """Let `smtp_server_message_received` see one message, its Received field on top."""
        arrival = draft.arrival
        was = Accepted(arrival.envelope.recipients[0], draft.decision)
        meta = Meta(arrival.meta.items())
        shown = [was.recipient.address]
        message = Message(self.sender, shown, self._whole, meta, arrival.prefix, is_single=True)
        await self._notify("smtp_server_message_received", message)
        arrival.meta = dict(message.meta)
        arrival.queue = message.queue or arrival.queue
        if message.changes:
            [accepted] = await self._decide_again("smtp_server_message_received", message, [was])
            draft.decision = accepted.decision
            arrival.envelope = self._envelope(message.sender, accepted.recipient)
            self._take_headers(arrival, message)

    def _take_headers(self, arrival: Arrival, message: Message) -> None:
        """Take over changed header fields; fields put above leave the content what the others share."""
        changed = _changes(message)
        if "remove_header" in changed:
            arrival.prefix, arrival.content = b"", list(message.parts)
        elif "prepend_header" in changed:
            arrival.prefix = message.parts[0]

    def _read_choice(self) -> None:
        """Let the header choose queue and time, where the queues files say so and the sender has a right."""
        queues = self.session.door.configuration.queues
        if queues.headers.is_empty or not any(one.decision.right in OWN_RIGHTS for one in self.accepted):
            return
        authz_id = self.session.handlers.connection.authz_id
        try:
            self.chosen, parts = choose(queues, b"".join(self.content), authz_id)
        except Choice as choice:
            raise Refusal(choice.reply) from None
        self.content = list(parts)

    async def _notify(self, event: str, message: Message) -> None:
        refusal = await self.session.handlers.notify(event, message)
        if refusal is not None:
            raise Refusal(refusal)

    async def _decide_again(self, event: str, message: Message, before: list[Accepted]) -> list[Accepted]:
        """Decide about the envelope as the handler left it (contract 2.6); a refusal refuses everything."""
        known = {str(accepted.recipient.address): accepted for accepted in before}
        kind: TransactionKind | None = None
        result: list[Accepted] = []
        for address in message.recipients:
            accepted = known.get(str(address))
            if accepted is None or message.sender != self.sender:
                accepted = await self._ask_again(event, message.sender, address, accepted, kind)
            kind = kind or accepted.decision.kind
            result.append(accepted)
        return result

    async def _ask_again(
        self,
        event: str,
        sender: Address | None,
        address: Address,
        was: Accepted | None,
        kind: TransactionKind | None,
    ) -> Accepted:
        written_by = self.session.handlers.place(event) if was is None else None
        decision = await ask(self.session, sender, address, kind, written_by)
        if isinstance(decision, Reply):
            raise Refusal(decision)
        if not decision.verdict.accepts:
            self.transaction.refused = address, decision
            raise Refusal(decision.reply)
        return Accepted(Recipient(decision.recipient) if was is None else was.recipient, decision)

    # One message for each recipient

    def _draft(self, accepted: Accepted) -> Draft:
        ident = self.session.door.new_ident()
        arrival = Arrival(
            ident=ident,
            envelope=self._envelope(self.sender, accepted.recipient),
            prefix=self._received(ident, accepted.recipient.address),
            content=self.content,
            meta=self.meta.as_dict() | self.chosen,
            queue=self.queue,
            session_id=self.session.ident,
        )
        return Draft(arrival, accepted.decision)

    def _envelope(self, sender: Address | None, recipient: Recipient) -> Envelope:
        said = self.transaction.parameters
        return Envelope(sender, (recipient,), said.eight_bit, said.smtputf8, said.ret, said.envid)

    def _received(self, ident: str, recipient: Address) -> bytes:
        session = self.session
        if not session.options.trace_headers.received_header:
            return b""
        hop = told_of(session).hops[self.transaction.parameters.smtputf8]
        return received_field(hop, ident, recipient.text, session.door.clock())

    # What becomes of it

    def _judge(self, draft: Draft) -> None:
        """Give the message, examined where the decision asks for it, its fate."""
        draft.fate = fate(draft.decision, None if draft.report is None else _found(draft.report))
        if draft.fate.reply is not None:
            self.transaction.fate = draft.fate
            raise Refusal(draft.fate.reply)
        if draft.fate.queue and self._has_nul:
            raise Refusal(NUL_IN_HEADER)
        draft.arrival.is_queued = draft.fate.queue
        draft.arrival.tells_sender = draft.decision.right in OWN_RIGHTS

    async def _examined(self, arrival: Arrival) -> Report:
        """What the content is; messages that share it are examined once."""
        key = id(arrival.content)
        if key not in self._reports:
            self._reports[key] = await _examine(arrival.content, null_sender=arrival.envelope.sender is None)
        return self._reports[key]

    async def _tell_of_report(self, draft: Draft, report: Report) -> None:
        """Read what a report proves, and let `report_received` see it."""
        keys, handlers = self.session.door.configuration.trace_keys, self.session.handlers
        recipient = draft.arrival.envelope.recipients[0].address
        draft.trace = trace_of(report, recipient, keys, self.session.door.clock())
        if handlers.handles("report_received"):
            refusal = await handlers.notify("report_received", _shown(draft, report))
            if refusal is not None:
                raise Refusal(refusal)

    def _sign(self, drafts: list[Draft]) -> None:
        """Put our reference on what is to be carried on, as listener and queue ask for it."""
        keys = self.session.door.configuration.trace_keys
        if not keys:
            return
        for draft in drafts:
            if draft.arrival.is_queued:
                config = self.session.door.intake.config_of(draft.arrival)
                headers = self.session.options.trace_headers
                is_own = draft.decision.right in OWN_RIGHTS
                sign(draft.arrival, headers, config, keys, self.session.door.clock(), is_own=is_own)

    async def _name_queues(self, drafts: list[Draft]) -> None:
        """Name each message's queue, and ask the operator's code about queues that are new."""
        asks = self.session.handlers.handles("get_queue_config")
        for draft in drafts:
            arrival = draft.arrival
            name = queue_name(arrival)
            if "schedule" in arrival.meta:
                self._check_schedule(arrival)
            is_null = is_discarded(arrival)
            arrival.queue = str(name)
            if is_null:
                arrival.is_queued = False
            elif asks and arrival.is_queued:
                arrival.queue_config = await self._ask_queue_config(name)

    def _check_schedule(self, arrival: Arrival) -> None:
        """A schedule that a handler wrote, and that is none, is the handler's fault."""
        try:
            parse_schedule(arrival.meta["schedule"])
        except ScheduleError as error:
            log.error("message %s: its metadata `schedule`: %s", arrival.ident, error)
            raise Refusal(BAD_SCHEDULE) from None

    async def _ask_queue_config(self, name: QueueName) -> QueueConfig | None:
        handlers = self.session.handlers
        if self.session.door.intake.has_queue(str(name)):
            return None
        answer = await handlers.ask(
            "get_queue_config", name.domain, name.tenant, name.campaign, name.routing_domain
        )
        if isinstance(answer, Reply):
            raise Refusal(answer)
        return answer if isinstance(answer, QueueConfig) else None


async def _examine(content: Sequence[bytes | memoryview], *, null_sender: bool) -> Report:
    if sum(map(len, content)) <= MAX_INLINE:
        return examine(b"".join(content), null_sender=null_sender)
    return await asyncio.to_thread(lambda: examine(_beginning(content), null_sender=null_sender))


def _beginning(content: Sequence[bytes | memoryview]) -> bytes:
    """As much of a message as is ever examined."""
    octets, parts = 0, []
    for part in content:
        parts.append(memoryview(part)[: MAX_READ - octets])
        octets += len(parts[-1])
    return b"".join(parts)


def _shown(draft: Draft, report: Report) -> ReceivedReport:
    envelope, fate = draft.arrival.envelope, draft.fate
    return ReceivedReport(
        id=draft.arrival.ident,
        sender=envelope.sender,
        recipient=envelope.recipients[0].address,
        kind=report.kind,
        why=report.why,
        by_shape=report.by_shape,
        failed=report.failed,
        notices=report.notices,
        bounce=report.bounce,
        feedback=report.feedback,
        original=report.original,
        verified=draft.trace.verified,
        trace=MappingProxyType(dict(draft.trace.data or {})),
        is_queued=fate is not None and fate.queue,
    )


def _changes(message: Message) -> set[str]:
    return {change.what for change in message.changes}


def _found(report: Report) -> Found | None:
    return None if report.kind == "none" else Found(report.kind, report.by_shape, report.problem)
