"""Is this recipient answered as expected, and if not, which rules said so?

Asks a live session over SMTP, as a client would, up to RCPT. What it raises shows the reply, every check of
the decision with file and line, what handlers answered, and the dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from angarium.mail.status import Reply
from angarium.policy.config import Source
from angarium.policy.decision import Check, Decision, Verdict
from angarium.testing.client import NoDecision, Session

VERDICTS = tuple(verdict.value for verdict in Verdict)
_REPLY = re.compile(r"[245]\d\d(?: .*)?")
_SYNTAX = (500, 501, 555)
"""Replies to what is no address: nothing was decided about it."""


def is_expectation(text: str) -> bool:
    """Whether it is a verdict, or a reply such as `550` or `550 5.7.1`."""
    return text in VERDICTS or _REPLY.fullmatch(text) is not None


def meet(session: Session, expected: str, sender: str | None, recipient: str) -> None:
    """Ask, and raise AssertionError if the answer is another; ValueError if `expected` is no answer."""
    if not is_expectation(expected):
        raise ValueError(
            f"{expected!r} is no answer: write {', '.join(VERDICTS)}, or a reply as in 550 5.7.1"
        )
    answer = session.envelope(sender, recipient)
    verdict = _verdict(session, answer)
    if expected == verdict or (expected not in VERDICTS and f"{answer} ".startswith(f"{expected} ")):
        return
    raise AssertionError("\n".join(_complaint(session, expected, verdict, answer, (sender, recipient))))


def _verdict(session: Session, answer: Reply) -> str:
    """What the reply means; of one that accepts, the session knows what for."""
    if answer.is_positive and session.server is not None and session.server.transaction is not None:
        return str(session.server.transaction.accepted[-1].decision.verdict.value)
    return str((Verdict.REFUSE if answer.is_permanent else Verdict.DEFER).value)


def _complaint(
    session: Session, expected: str, verdict: str, answer: Reply, asked: tuple[str | None, str]
) -> Iterator[str]:
    sender, recipient = asked
    who = session.server.whereabouts if session.server is not None else None
    yield f"expected {expected}, got {verdict}: {answer}"
    if who is not None and session.server is not None:
        identity = session.server.handlers.connection.authz_id
        as_whom = f" as {identity}" if identity else ""
        yield f"  {who.peer.ip}{as_whom} on {who.listener.label}, from <{sender or ''}> to <{recipient}>"
    if session.server is not None:
        calls = session.server.handlers.calls.told()
        yield from dict.fromkeys(f"  {call.file}:{call.line}: {call.event}: {call.answer}" for call in calls)
    if answer.code not in _SYNTAX:
        try:
            yield from described(session.decide(sender, recipient))
        except NoDecision as trouble:
            yield f"  {trouble}"
    yield from (f"  {line}" for line in session.dialogue)


def described(decision: Decision) -> list[str]:
    """Who decided, and each check, a line each with file and line."""
    decided = decision.decided_by
    source = Source(decided.file, decided.line or 1) if decided.file else None
    by = decided.handler or decided.key or "no rule"
    lines = [f"  decided by {decided.kind} {by}{f' at {source}' if source else ''}"]
    return lines + [f"  {_check(check)}" for check in decision.checks]


def _check(check: Check) -> str:
    place = f"{check.source}: " if check.source is not None else ""
    mark = "+" if check.holds else "-"
    return f"{mark} {place}{check.rule}: {check.read}: {check.concluded}"
