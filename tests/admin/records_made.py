"""Records as the front door writes them, made by asking the real decision."""

from __future__ import annotations

from typing import Any

from angarium.log.records import PeerAddress, RecipientDecision, Record, Response, encode_record, rfc3339
from angarium.policy.config import Configuration
from angarium.policy.context import Context
from angarium.policy.decision import Decision, Verdict
from angarium.policy.fate import Report, fate

NOW = 1_700_000_000.0


def ident(number: int, kind: int = 7) -> str:
    return f"{int(NOW * 1000) + number:012x}{kind}{number:019x}"


def record(kind: Any, number: int, **more: Any) -> Record:
    now = NOW + number
    return Record(
        type=kind,
        id=more.pop("id", ident(number)),
        response=more.pop("response", Response(code=250)),
        timestamp=int(now),
        event_time=rfc3339(now),
        created=int(now),
        created_time=rfc3339(now),
        **more,
    )


def of_decision(
    configuration: Configuration,
    context: Context,
    decision: Decision,
    number: int,
    report: Report | None = None,
) -> list[bytes]:
    """What is recorded of one recipient's transaction."""
    sender = "" if context.sender is None else str(context.sender)
    facts: dict[str, Any] = {
        "sender": sender,
        "session_id": ident(number, 6),
        "listener": context.listener,
        "local_address": f"{context.local}:25",
        "peer_address": PeerAddress(name="client.example", addr=str(context.peer)),
        "helo": "client.example",
        **({"authz_id": context.identity, "authn_id": context.identity} if context.identity else {}),
    }
    told = [RecipientDecision(address=str(decision.recipient), decided_by=decision.decided_by)]
    if not decision.verdict.accepts:
        command = f"RCPT TO:<{context.recipient}>"
        code = 452 if decision.verdict is Verdict.DEFER else 550
        said = Response(code=code, content="no", command=command)
        return [_line("Rejection", number, id="", response=said, decided_by=decision.decided_by, **facts)]
    result = fate(decision, report)
    facts |= {"recipient": str(decision.recipient), "decided_by": result.decided_by, "recipients": told}
    if result.reply is not None:
        said = Response(code=550, content="no", command="DATA")
        return [_line("Rejection", number, id="", response=said, **facts)]
    why = {"why": result.why} if result.why else {}
    lines = [_line("Reception", number, disposition=result.disposition, **facts, **why)]
    return lines + [_line(kind, number, **facts) for kind in result.records[1:]]


def _line(kind: Any, number: int, **more: Any) -> bytes:
    return encode_record(record(kind, number, **more))
