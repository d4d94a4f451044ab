"""What happened to a message, and who decided it?

Gathers the records of a message, a session or a Message-ID and tells them as a timeline: each step, the
rule or handler that decided, and the configuration in force then. Whether a message without a last record
is still queued only a running server knows; without one that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from angarium.log.index import NOTICE, find_lines
from angarium.policy.config import LogConfig

Kind = Literal["message", "session", "message-id"]
LAST = frozenset({"Delivery", "Bounce", "Expiration", "AdminBounce"})
"""Records after which a message is no more."""
MAX_RELATED = 1000
"""Messages that one question gathers: a session may have thousands."""


class Record(msgspec.Struct):
    """As much of a record as a timeline tells."""

    type: str
    id: str = ""
    session_id: str = ""
    event_time: str = ""
    sender: str = ""
    recipient: str | list[str] = ""
    queue: str = ""
    site: str = ""
    size: int = 0
    num_attempts: int = 0
    response: dict[str, Any] = {}
    peer_address: dict[str, str] | None = None
    listener: str = ""
    authz_id: str = ""
    disposition: str = ""
    message_id: str | None = None
    decided_by: dict[str, Any] | None = None
    recipients: list[dict[str, Any]] = []
    why: str = ""
    limit: str = ""
    report_error: str = ""
    bounce_classification: str = ""


_decoder = msgspec.json.Decoder(Record)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step in a life."""

    time: str
    """RFC 3339, UTC."""
    what: str
    """The record's type."""
    text: str
    decided_by: str | None = None
    """`file:line` and which rule or handler; None: nobody had to."""
    config: str | None = None
    """The hash of the configuration in force."""


class Life(msgspec.Struct, kw_only=True):
    """One message, or (without an id) what else happened in a session."""

    id: str
    sender: str = ""
    recipient: str = ""
    message_id: str | None = None
    steps: list[Step] = []
    is_over: bool = False
    """A last record was found: it is not queued any more."""
    queued: dict[str, Any] | None = None
    """What the running server says of it."""
    unknown: str | None = None
    """Why it is not known whether it is still queued."""


class Story(msgspec.Struct, kw_only=True):
    """The answer to `why`."""

    asked: str
    kind: Kind
    session: str | None = None
    lives: list[Life] = []


def log_folders(log: LogConfig) -> list[Path]:
    """Every folder that records are written to."""
    own = [rule["log_dir"] for rule in log.per_record.values() if rule.get("log_dir")]
    return list(dict.fromkeys(map(Path, (log.dir, *own))))


def tell(folders: Sequence[Path], asked: str) -> Story | None:
    """The story of an id or Message-ID; None where no record has it. Raises OSError."""
    records = _read(find_lines(folders, _spellings(asked)))
    if not records:
        return None
    kind = _kind(records, asked)
    messages = {record.id for record in records if record.id}
    if kind != "message" and messages:
        records += _read(find_lines(folders, sorted(messages)[:MAX_RELATED]))
    session = asked if kind == "session" else None
    lives = _lives(_unique(records), kind, asked)
    return Story(asked=asked, kind=kind, session=session, lives=lives)


def _spellings(asked: str) -> list[str]:
    """A Message-ID is often copied without its brackets."""
    if "@" in asked and not asked.startswith("<"):
        return [asked, f"<{asked}>"]
    return [asked]


def _read(lines: Iterable[bytes]) -> list[Record]:
    return [_decoder.decode(line) for line in lines]


def _unique(records: list[Record]) -> list[Record]:
    seen = {msgspec.json.encode(record): record for record in records}
    return sorted(seen.values(), key=lambda record: record.event_time)


def _kind(records: list[Record], asked: str) -> Kind:
    if any(record.id == asked for record in records):
        return "message"
    return "session" if any(record.session_id == asked for record in records) else "message-id"


def _lives(records: list[Record], kind: Kind, asked: str) -> list[Life]:
    lives: dict[str, Life] = {}
    for record in records:
        ident = record.id
        if record.why.startswith(NOTICE) and kind == "message" and ident != asked:
            ident = asked  # a notice of ours belongs to the life of the message that it is about
        life = lives.setdefault(ident, Life(id=ident))
        _add(life, record)
    return list(lives.values())


def _add(life: Life, record: Record) -> None:
    if record.type == "Reception" and record.id == life.id:
        life.sender, life.recipient = record.sender or "<>", _addresses(record.recipient)
        life.message_id = record.message_id
        life.is_over = record.disposition not in ("queued", "logged+queued")
    if record.id == life.id and record.type in LAST:
        life.is_over = True
    life.steps.append(
        Step(
            time=record.event_time,
            what=record.type,
            text=_TEXTS.get(record.type, _attempted)(record),
            decided_by=said_by(record.decided_by),
            config=(record.decided_by or {}).get("config") or None,
        )
    )


def said_by(decided: Mapping[str, Any] | None) -> str | None:
    """Who decided, in a few words."""
    if not decided:
        return None
    if decided.get("file") is None and decided.get("kind") != "default":
        return str(decided.get("handler") or f"the queue's name {decided.get('key')}")
    if decided.get("file") is None:
        return f"default ({decided['key']})" if decided.get("key") else "default: nothing allows it"
    where = f"{decided['file']}:{decided.get('line')}"
    names = [decided.get("handler") or (f'"{decided["key"]}"' if decided.get("key") else None)]
    if decided.get("section"):
        names.append(f"section {decided['section']}")
    return " ".join([where, *filter(None, names)])


# What each record says


def _received(record: Record) -> str:
    if record.why.startswith(NOTICE):
        return f"our notice {record.id} about it goes to {_addresses(record.recipient)}"
    peer = record.peer_address or {}
    who = f", authenticated as {record.authz_id}" if record.authz_id else ""
    came = f"from {peer.get('addr', '?')}{who} on {record.listener or '?'}"
    text = f"accepted {came}, {record.size} octets: {record.disposition or 'queued'}"
    if record.queue and "queued" in (record.disposition or "queued"):
        text += f" for {record.queue}"
    return f"{text} (report unusable: {record.report_error})" if record.report_error else text


def _refused(record: Record) -> str:
    command = record.response.get("command")
    limit = f" (limit {record.limit})" if record.limit else ""
    return f"refused {command or 'the connection'}: {_reply(record)}{limit}"


def _attempted(record: Record) -> str:
    said = f"{_ATTEMPTS.get(record.type, record.type)}: {_reply(record)}"
    where = f" at {record.site}" if record.site else ""
    count = f" (attempt {record.num_attempts})" if record.num_attempts else ""
    classified = record.bounce_classification
    more = f", class {classified}" if classified not in ("", "Uncategorized") else ""
    return f"{said}{where}{count}{more}"


def _bounced_later(record: Record) -> str:
    return f"a bounce came back for {_addresses(record.recipient)}: {_reply(record)}"


def _complained(record: Record) -> str:
    return "a feedback report came back"


ROUTED = frozenset({"Delivery", "TransientFailure", "Bounce", "Expiration", "AdminBounce"})
"""Records whose `decided_by` says who chose the route."""
_ATTEMPTS = {
    "Delivery": "delivered",
    "TransientFailure": "put off",
    "Bounce": "bounced",
    "Expiration": "expired",
    "AdminBounce": "bounced by an operator",
    "AdminRebind": "moved by an operator",
    "Delayed": "waits",
}
_TEXTS = {
    "Reception": _received,
    "Rejection": _refused,
    "OOB": _bounced_later,
    "Feedback": _complained,
}


def _addresses(recipient: str | list[str]) -> str:
    return recipient if isinstance(recipient, str) else ", ".join(recipient)


def _reply(record: Record) -> str:
    response = record.response
    status = response.get("enhanced_code") or {}
    enhanced = ".".join(str(status[name]) for name in ("class", "subject", "detail")) if status else ""
    return " ".join(filter(None, (str(response.get("code", "")), enhanced, response.get("content"))))
