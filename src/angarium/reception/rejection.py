"""Every refusal has its record (reference S17); one that the log cannot take is said to the operator."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from angarium.log.writer import LogError
from angarium.mail.status import Reply
from angarium.queue.classified import classified
from angarium.reception.record import rejection_record
from angarium.wire import events

if TYPE_CHECKING:
    from angarium.reception.session import Session

log = logging.getLogger(__name__)


def record_refusal(
    session: Session, answer: Reply, event: events.Answerable | None, limit: str | None = None
) -> None:
    """Record a reply of class 4 or 5; `limit` names the option that bound."""
    try:
        record = rejection_record(session, answer, event, limit)
        session.door.log.write(classified(record, session.door.configuration.classifier))
    except LogError as error:
        log.error("a rejection is lost to the log: %s", error)
