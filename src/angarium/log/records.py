"""What happened, as values: the records of the reference's section 6.2, with every input of a decision beside
them.

One struct serves all types, since consumers read them from one stream. A field whose type allows UnsetType is
left out where it is unknown; the others are always written, null where they do not apply. Takes plain values;
what a decision or a report is made of comes in already as JSON-like values. Holds no credentials: nobody puts
any in.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, get_args

import msgspec
from msgspec import UNSET, UnsetType

RecordType = Literal[
    "Reception", "Delivery", "TransientFailure", "Bounce", "Expiration", "AdminBounce", "AdminRebind",
    "Rejection", "OOB", "Feedback", "Delayed",
]  # fmt: skip
RECORD_TYPES: tuple[str, ...] = get_args(RecordType)


class EnhancedCode(msgspec.Struct, frozen=True, rename={"class_": "class"}):
    """An enhanced status code (RFC 3463)."""

    class_: int
    subject: int
    detail: int


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered, by us or by the next hop; `command` is what it answered, without secrets."""

    code: int
    enhanced_code: EnhancedCode | None = None
    content: str = ""
    command: str | None = None


class PeerAddress(msgspec.Struct, frozen=True, kw_only=True):
    """The other side: its name (HELO of a client, host name of a next hop) and its IP address."""

    name: str
    addr: str


class RecipientDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of a transaction, who decided about it, and the reply it got."""

    address: str
    decided_by: Any = None
    reply: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a delayed or success notice says of one recipient."""

    recipient: str
    action: str
    status: str | None = None


class Record(msgspec.Struct, kw_only=True):
    """One record: one line of JSON."""

    type: RecordType
    id: str
    sender: str = ""
    recipient: str | list[str] = ""
    queue: str = ""
    site: str = ""
    size: int = 0
    response: Response
    peer_address: PeerAddress | None = None
    timestamp: int
    event_time: str
    created: int
    created_time: str
    num_attempts: int = 0
    bounce_classification: str = "Uncategorized"
    egress_pool: str | None = None
    egress_source: str | None = None
    source_address: Any = None
    feedback_report: Any = None
    meta: dict[str, Any] = {}
    headers: dict[str, Any] = {}
    delivery_protocol: str | None = None
    reception_protocol: str | None = None
    nodeid: str | None = None
    session_id: str | UnsetType = UNSET
    tls_cipher: str | UnsetType = UNSET
    tls_protocol_version: str | UnsetType = UNSET
    tls_peer_subject_name: list[str] | UnsetType = UNSET
    outcome_unknown: bool | UnsetType = UNSET
    """True where the next hop may have taken a message without our knowing: it may arrive twice."""
    tls_fallback: str | UnsetType = UNSET
    """Why mail left in clear text although the next hop offers TLS."""
    provider_name: str | UnsetType = UNSET
    listener: str | UnsetType = UNSET
    local_address: str | UnsetType = UNSET
    helo: str | UnsetType = UNSET
    authn_id: str | UnsetType = UNSET
    authz_id: str | UnsetType = UNSET
    recipients: list[RecipientDecision] | UnsetType = UNSET
    recipients_left_out: int | UnsetType = UNSET
    """How many accepted recipients of the transaction do not stand in `recipients`."""
    handlers: list[Any] | UnsetType = UNSET
    decided_by: Any | UnsetType = UNSET
    disposition: str | UnsetType = UNSET
    message_id: str | UnsetType | None = UNSET
    """On Receptions: the message's Message-ID field, null where it has none."""
    notices: list[Notice] | UnsetType = UNSET
    left_out: int | UnsetType = UNSET
    """Recipients of a report that have no OOB record or notice, since it names too many."""
    dead_address: str | UnsetType = UNSET
    verified: bool | UnsetType | None = UNSET
    report: Any | UnsetType = UNSET
    report_error: str | UnsetType = UNSET
    why: str | UnsetType = UNSET
    limit: str | UnsetType = UNSET


_encoder = msgspec.json.Encoder()


def encode_record(record: Record) -> bytes:
    """The record as one line of JSON, without its line end."""
    return _encoder.encode(record)


def rfc3339(unix_seconds: float) -> str:
    """A time as records write it: UTC, to the microsecond."""
    second = int(unix_seconds // 1)
    return f"{_second(second)}.{int((unix_seconds - second) * 1e6):06d}Z"


@lru_cache(maxsize=64)
def _second(unix_seconds: int) -> str:
    """The date and time of a second; many records share it."""
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
