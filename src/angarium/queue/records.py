"""The records of delivery: Delivery, TransientFailure, Bounce, Expiration; of what befalls a message that
waits: Delayed, AdminBounce, AdminRebind; and the Reception of our own notices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from angarium.log.captured import captured_headers, captured_meta
from angarium.log.records import EnhancedCode, PeerAddress, Record, RecordType, Response, rfc3339
from angarium.mail.ident import created_at
from angarium.mail.status import Reply, reply
from angarium.policy.config import Configuration
from angarium.policy.decision import DecidedBy
from angarium.queue.classified import classified
from angarium.queue.message import Message, Stored
from angarium.queue.passage import Passage
from angarium.spool.errors import SpoolError

if TYPE_CHECKING:
    from angarium.queue.intake import Arrival
    from angarium.queue.settle import Outcome


def delivery_record(
    record_type: RecordType,
    message: Message,
    outcome: Outcome,
    configuration: Configuration,
    now: float,
    answer: Reply | None = None,
) -> Record:
    """What became of one attempt; `answer` where the record says something else than the next hop did."""
    created, peer, log = created_at(message.ident), outcome.peer, configuration.log
    stored = _known(message)
    record = Record(
        type=record_type,
        id=message.ident,
        sender=stored.sender or "",
        recipient=stored.recipient,
        queue=str(message.queue.name),
        site=outcome.site,
        size=stored.size,
        response=_response(answer or outcome.reply),
        peer_address=PeerAddress(name=peer.name, addr=peer.address) if peer is not None else None,
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(created),
        created_time=rfc3339(created),
        num_attempts=message.attempts,
        meta=captured_meta(log.meta, stored.meta),
        headers=captured_headers(log.headers, message.content) if log.headers and stored.size else {},
        nodeid=configuration.hostname,
        delivery_protocol="ESMTP" if outcome.was_attempted else None,
        reception_protocol=stored.reception_protocol,
        session_id=outcome.session_id or UNSET,
        decided_by=message.queue.route_decided_by(configuration.hash),
    )
    if outcome.is_unknown:
        record.outcome_unknown = True
    if outcome.passage is not None:
        _tell_passage(record, outcome.passage)
    is_ours = record_type == "Expiration" or (outcome.is_local and record_type != "AdminBounce")
    return classified(record, configuration.classifier, is_ours=is_ours)


def delay_record(
    message: Message, reasons: str, configuration: Configuration, now: float, due: float | None
) -> Record:
    """A message waits for another reason than a failed attempt; `due` is None where for an operator."""
    until = f"when released; it expires {_when(message.expires)}" if due is None else _when(due)
    answer = reply(400, f"Context: {reasons}. Next due {until}")
    return _event("Delayed", message, answer, configuration, now)


def rebind_record(
    message: Message, was: str, reason: str, configuration: Configuration, now: float
) -> Record:
    """A message was moved to another queue."""
    answer = reply(250, f"Rebound from {was} to {message.queue.name}: {reason}")
    return _event("AdminRebind", message, answer, configuration, now)


def _event(
    record_type: RecordType, message: Message, answer: Reply, configuration: Configuration, now: float
) -> Record:
    """What befell a message that waits."""
    created, stored = message.created, _known(message)
    return Record(
        type=record_type,
        id=message.ident,
        sender=stored.sender or "",
        recipient=stored.recipient,
        queue=str(message.queue.name),
        size=stored.size,
        response=_response(answer),
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(created),
        created_time=rfc3339(created),
        num_attempts=message.attempts,
        meta=captured_meta(configuration.log.meta, stored.meta),
        nodeid=configuration.hostname,
        reception_protocol=stored.reception_protocol,
    )


def _when(unix_seconds: float) -> str:
    return rfc3339(unix_seconds)[:19] + "Z"


def _tell_passage(record: Record, passage: Passage) -> None:
    """How the message left, or would have."""
    record.egress_pool, record.egress_source = passage.egress_pool, passage.egress_source
    if record.delivery_protocol is not None:
        record.delivery_protocol = passage.protocol
    if passage.source_address is not None:
        record.source_address = {"address": passage.source_address}
    if passage.provider is not None:
        record.provider_name = passage.provider
    if passage.tls_fallback:
        record.tls_fallback = passage.tls_fallback
    if passage.tls is not None:
        record.tls_protocol_version, record.tls_cipher = passage.tls.version, passage.tls.cipher
        record.tls_peer_subject_name = list(passage.tls.peer_subject)


def _known(message: Message) -> Stored:
    """What the spool has of it; of a message that cannot be read, what is known without."""
    try:
        return message.stored
    except SpoolError:
        return Stored(sender=None, recipient="", queue=str(message.queue.name), prefix=b"", size=0)


def notice_reception(arrival: Arrival, about: Message, configuration: Configuration, now: float) -> Record:
    """The Reception of a notice that this server made about a message of its own."""
    return Record(
        type="Reception",
        id=arrival.ident,
        recipient=str(arrival.envelope.recipients[0].address),
        queue=arrival.queue or "",
        size=arrival.size,
        response=Response(code=250),
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(now),
        created_time=rfc3339(now),
        nodeid=configuration.hostname,
        disposition="queued",
        decided_by=DecidedBy("default", key="notice", config=configuration.hash),
        why=f"notice about {about.ident}",
    )


def _response(answer: Reply) -> Response:
    status = answer.enhanced
    return Response(
        code=answer.code,
        enhanced_code=EnhancedCode(status.class_, status.subject, status.detail) if status else None,
        content=" ".join(answer.text.split()),
    )
