"""Is a sender told what became of a message? And the notice as an arrival at the door in.

A notice is due where the sender asked for it (NOTIFY, RFC 3461 section 4.1) or did not say, and the queue's
options allow it. Never for what came with the null reverse-path: that is how notices come. Never to those who
had no right of their own to send, unless the queue says so: their reverse-path may be forged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.status import Reply
from angarium.policy.config import Configuration
from angarium.policy.route import QueueName
from angarium.queue.intake import Arrival
from angarium.queue.message import Message
from angarium.queue.notice import Action, Notice, write_notice
from angarium.queue.records import notice_reception

if TYPE_CHECKING:
    from angarium.queue.settle import Outcome


def owes_failure(message: Message) -> bool:
    """Whether the sender is told that it failed. Raises SpoolError."""
    return message.queue.config.dsn_failure and _is_told(message, "FAILURE", unless_said=True)


def owes_delay(message: Message, now: float) -> bool:
    """Whether the sender is told, now and once, that it is delayed. Raises SpoolError."""
    after = message.queue.config.dsn_delay
    if after is None or now - message.created < after or (message.special and message.special.delay_told):
        return False
    return _is_told(message, "DELAY", unless_said=True)


def owed_success(message: Message, outcome: Outcome) -> Action | None:
    """What the sender is told of a success, who asked for that; None where the next hop will tell."""
    if not message.queue.config.dsn_success or not _is_told(message, "SUCCESS", unless_said=False):
        return None
    passage = outcome.passage
    if passage is not None and passage.protocol == "ESMTP":
        return None if passage.takes_dsn else Action.RELAYED
    return Action.DELIVERED


def _is_told(message: Message, event: str, *, unless_said: bool) -> bool:
    stored = message.stored
    if stored.sender is None or not (stored.dsn_allowed or message.queue.config.dsn_to_strangers):
        return False
    return event in stored.notify if stored.notify else unless_said


def make_notice(  # noqa: PLR0913 - each is a fact of the notice
    message: Message,
    outcome: Outcome,
    action: Action,
    *,
    ident: str,
    configuration: Configuration,
    now: float,
    expired: bool = False,
    remark: Reply | None = None,
) -> Arrival:
    """The notice, on its way to the sender. Raises SpoolError where the message cannot be read."""
    sender = message.sender
    assert sender is not None
    notice = Notice(
        action=action,
        sender=sender,
        recipient=message.recipient.address,
        reply=outcome.reply,
        remote_mta=outcome.peer.name if outcome.peer is not None else None,
        remote_address=outcome.peer.address if outcome.peer is not None else None,
        remark=remark,
        arrival=message.created,
        is_local=outcome.is_local,
        expired=expired,
        envid=message.envelope.envid,
        orcpt=message.recipient.orcpt,
        tried_until=message.expires if action is Action.DELAYED else None,
        returns=_returns(message, action),
    )
    original = b"".join(message.content)
    content = write_notice(notice, original, hostname=configuration.hostname, ident=ident, now=now)
    arrival = Arrival(
        ident=ident,
        envelope=Envelope(None, (Recipient(sender),), not content.isascii(), not sender.is_ascii),
        prefix=b"",
        content=[content],
        meta={},
        queue=str(QueueName(sender.domain)),
        is_queued=True,
    )
    arrival.records = [notice_reception(arrival, message, configuration, now)]
    return arrival


def _returns(message: Message, action: Action) -> str:
    """What returns: as the sender asked with RET for failures, else as the queue says; the rest is short."""
    if action is not Action.FAILED:
        return "headers"
    asked = message.envelope.ret
    return {"FULL": "full", "HDRS": "headers"}.get(asked or "", message.queue.config.dsn_return)
