"""The envelope that a client is building: each recipient decided at its RCPT, all of one fate.

Promises that a decision is made with the session as it is at that moment, and that recipients whose mail
would have different fates never share a transaction (contract 2.5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from angarium.mail.address import Address
from angarium.mail.envelope import Recipient
from angarium.mail.status import Reply
from angarium.policy.config import LineEndings
from angarium.policy.context import Context
from angarium.policy.decision import Decision, HandlerPlace, TransactionKind
from angarium.policy.fate import Fate
from angarium.policy.relay import decide
from angarium.reception.told import told_of
from angarium.wire.events import MailParameters, Rcpt

if TYPE_CHECKING:
    from angarium.reception.session import Session


class Accepted:
    """A recipient that was answered 250, and why."""

    __slots__ = ("decision", "recipient")

    def __init__(self, recipient: Recipient, decision: Decision) -> None:
        self.recipient = recipient
        self.decision = decision


class Transaction:
    """One mail transaction, from MAIL to the end of content."""

    def __init__(self, sender: Address | None, parameters: MailParameters) -> None:
        self.sender = sender
        self.parameters = parameters
        self.accepted: list[Accepted] = []
        self.asked: tuple[Context, Decision] | None = None
        """The question about the recipient named last, and its answer."""
        self.refused: tuple[Address, Decision] | None = None
        """The recipient refused last, and why, for its record."""
        self.fate: Fate | None = None
        """The fate that refused the whole, after its content was judged."""

    @property
    def kind(self) -> TransactionKind | None:
        """What the first accepted recipient made of it."""
        return self.accepted[0].decision.kind if self.accepted else None

    @property
    def fixes_line_endings(self) -> bool:
        """Whether every recipient's domain only logs and takes bare line ends."""
        for accepted in self.accepted:
            if accepted.decision.invalid_line_endings is not LineEndings.FIX:
                return False
        return bool(self.accepted)

    async def add_recipient(self, session: Session, event: Rcpt) -> Reply:
        """Decide about a recipient, and keep it if it is accepted."""
        context = await context_of(session, self.sender, event.address, self.kind)
        if isinstance(context, Reply):
            return context
        decision = decide(session.door.configuration, context)
        self.asked = context, decision
        if not decision.verdict.accepts:
            self.refused = event.address, decision
            return decision.reply
        refusal = await session.handlers.notify("smtp_server_rcpt_to", event.address)
        if refusal is not None:
            return refusal
        recipient = Recipient(decision.recipient, event.parameters.notify, event.parameters.orcpt)
        self.accepted.append(Accepted(recipient, decision))
        return decision.reply


async def ask(
    session: Session,
    sender: Address | None,
    recipient: Address,
    transaction: TransactionKind | None,
    written_by: HandlerPlace | None = None,
) -> Decision | Reply:
    """Decide whether mail from sender to recipient is taken now; a Reply where a handler failed."""
    context = await context_of(session, sender, recipient, transaction, written_by)
    return context if isinstance(context, Reply) else decide(session.door.configuration, context)


async def context_of(
    session: Session,
    sender: Address | None,
    recipient: Address,
    transaction: TransactionKind | None,
    written_by: HandlerPlace | None = None,
) -> Context | Reply:
    """What a decision reads now, handlers' answers included; a Reply where a handler failed."""
    context = msgspec.structs.replace(
        told_of(session).context,
        sender=sender,
        recipient=recipient,
        transaction=transaction,
        written_by=written_by,
    )
    if session.handlers.handles("get_listener_domain"):
        return await session.handlers.answer_for(context)
    return context
