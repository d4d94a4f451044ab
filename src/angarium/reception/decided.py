"""Who refused what is no decision about a recipient, and who had a message discarded? As records say it.

Promises that every refusal names a line of the operator's files, a handler, or the default that it follows
from (contract 2.14), and that nobody is named for an answer that somebody else gave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from angarium.mail.status import Reply, reply
from angarium.policy.decision import DecidedBy, HandlerPlace
from angarium.policy.trail import Trail
from angarium.policy.views import Change
from angarium.reception.calls import OF_AUTH
from angarium.reception.guard import limit_of
from angarium.reception.proxies import BROKEN_HEADER, NOT_BELIEVED
from angarium.wire import events

if TYPE_CHECKING:
    from angarium.reception.session import Session
    from angarium.reception.transaction import Transaction

TLS_FIRST = reply(530, "5.7.0 STARTTLS is needed first")
NULL_MX_SENDER = reply(550, "5.7.27 the sender's domain takes no mail, so that nobody could answer")
OPTION_OF = {
    TLS_FIRST: "tls",
    NULL_MX_SENDER: "reject_null_mx_senders",
    NOT_BELIEVED: "proxy_hosts",
    BROKEN_HEADER: "proxy_hosts",
}
"""Answer → the option that asks for it."""
_WHAT: dict[type, str] = {
    events.Ehlo: "ehlo",
    events.Helo: "ehlo",
    events.StartTls: "starttls",
    events.Auth: "auth",
    events.AuthResponse: "auth",
    events.Xclient: "xclient",
    events.Mail: "mail",
    events.Rcpt: "rcpt",
    events.Data: "content",
    events.Chunk: "content",
    events.Content: "content",
}
"""What is named where neither an option nor a rule is to be named."""


def who_refused(
    session: Session, answer: Reply, event: events.Answerable | None, limit: str | None
) -> DecidedBy:
    """Who gave this very answer: what was decided before about others must not be taken for it."""
    if limit is not None:
        return _option(session, limit)
    place = _handler(session, answer) or _judge_of_identities(session, event)
    if place is not None:
        return _trail(session).code(place)
    decided = _which_rule(session.transaction, answer, event) if session.transaction is not None else None
    return decided or _option(session, _reason(answer, event))


def who_discarded(session: Session) -> DecidedBy:
    """Who chose the queue that nothing leaves: a handler, or metadata of the listener."""
    for call in reversed(session.handlers.calls.told()):
        if any(_chooses_queue(change) for change in call.changes or ()):
            return _trail(session).code(call.place)
    return _option(session, "meta")


def _chooses_queue(change: Change) -> bool:
    return change.what == "queue" or (change.what == "meta" and change.value == "queue")


def limit_reached(session: Session, answer: Reply, event: events.Answerable | None) -> str | None:
    """The limit that made an answer which ends no session."""
    return None if _handler(session, answer) is not None else limit_of(answer, event)


def _trail(session: Session) -> Trail:
    return Trail(session.door.configuration.hash)


def _option(session: Session, option: str) -> DecidedBy:
    """The line that says so, or the default."""
    return _trail(session).rule(session.options.sources.get(option), option)


def _handler(session: Session, answer: Reply) -> HandlerPlace | None:
    """The operator's handler that gave this very answer."""
    refusal = session.handlers.refusal
    return refusal[1] if refusal is not None and refusal[0] is answer else None


def _judge_of_identities(session: Session, event: events.Answerable | None) -> HandlerPlace | None:
    """The handler that knows passwords, or tokens, in place of the users files."""
    if not isinstance(event, events.Auth | events.AuthResponse):
        return None
    return next((call.place for call in session.handlers.calls.of_command if call.event in OF_AUTH), None)


def _which_rule(transaction: Transaction, answer: Reply, event: events.Answerable | None) -> DecidedBy | None:
    fate, refused = transaction.fate, transaction.refused
    if fate is not None and fate.reply is answer:
        return fate.decided_by
    if refused is None or refused[1].reply is not answer:
        return None
    is_other = isinstance(event, events.Rcpt) and event.address != refused[0]
    return None if is_other else refused[1].decided_by


def _reason(answer: Reply, event: events.Answerable | None) -> str:
    """The option that asks for it; else what was wrong with the command, or which it was."""
    if isinstance(event, events.Refused):
        return event.why
    return OPTION_OF.get(answer) or _WHAT.get(type(event), "connection")
