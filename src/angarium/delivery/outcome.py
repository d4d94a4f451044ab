"""What a next hop's reply, or its silence, means, and for whom (RFC 5321 section 4.2). Nobody else judges.

Answers "who suffers?" by blast radius: the recipient, the message, the connection, the host. (A site
suffers when all of its hosts do: the dispatcher knows that.) Promises: pure; a fault is never taken for a
refusal, what is not understood is transient, and a message whose final reply was lost is marked as such,
since it may arrive twice. Refuses nothing: every stage and every cause has a ruling in one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from angarium.mail.envelope import Envelope
from angarium.mail.status import Reply, reply
from angarium.queue.passage import Passage
from angarium.wire.framing import Octets


class Stage(Enum):
    """How far an attempt came; the value is the word for records."""

    __hash__ = object.__hash__  # Enum hashes its name in Python, and tables are asked all the time

    ROUTE = "route"
    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    """The command, the handshake, and whether the certificate will do."""
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "."
    """Content is on its way, or has been sent and waits for its reply."""


class Cause(Enum):
    """What the next hop did."""

    __hash__ = object.__hash__  # Enum hashes its name in Python, and tables are asked all the time

    ACCEPTED = "2yz"
    CLOSING = "421"
    REFUSED_FOR_NOW = "4yz"
    REFUSED = "5yz"
    ODD = "503, 3yz"
    """Out of step: 503 is about the dialogue, never about the message; a final 3yz means nothing."""
    LOST = "closed"
    TIMED_OUT = "timed out"
    GARBLED = "garbled"


class Kind(Enum):
    """What becomes of the message."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    PERMANENT = "permanent"


class Blame(Enum):
    """Who suffers, from small to large."""

    NOBODY = "nobody"
    RECIPIENT = "recipient"
    MESSAGE = "message"
    CONNECTION = "connection"
    """It ends; the message goes to the next host, other messages are not touched."""
    HOST = "host"
    """As CONNECTION, and the host is left alone for a while."""
    SITE = "site"
    """No host of the site can be used: everything that waits for it is told."""


class Ruling(msgspec.Struct, frozen=True):
    """What a cause at a stage means."""

    blame: Blame
    kind: Kind
    """What becomes of the message where no other host is left to try."""
    is_unknown: bool = False
    """The next hop may have taken the message all the same: it is tried later, never at once."""

    @property
    def ends_connection(self) -> bool:
        """Whether nothing more is said on this connection."""
        return self.blame in (Blame.CONNECTION, Blame.HOST)

    @property
    def tries_next_host(self) -> bool:
        """Whether the message goes to the next host at once, without an outcome."""
        return self.ends_connection and not self.is_unknown


def _ruling(blame: Blame, kind: Kind = Kind.TRANSIENT) -> Ruling:
    return Ruling(blame, kind)


GO_ON = _ruling(Blame.NOBODY, Kind.DELIVERED)
"""What was asked for is done."""
_HOST = _ruling(Blame.HOST)
_CONNECTION = _ruling(Blame.CONNECTION)
_MESSAGE = _ruling(Blame.MESSAGE)
_RECIPIENT = _ruling(Blame.RECIPIENT)

# Before MAIL a host speaks of itself, not of a message: even its 5yz bounces nothing (another host may serve,
# and a wrongly configured one will be mended).
_OF_ITSELF = dict.fromkeys(Cause, _HOST) | {Cause.ACCEPTED: GO_ON}
_OF_THE_MESSAGE = {
    Cause.ACCEPTED: GO_ON,
    Cause.CLOSING: _CONNECTION,
    Cause.REFUSED_FOR_NOW: _MESSAGE,
    Cause.REFUSED: _ruling(Blame.MESSAGE, Kind.PERMANENT),
    Cause.ODD: _MESSAGE,
    Cause.LOST: _CONNECTION,
    Cause.TIMED_OUT: _HOST,
    Cause.GARBLED: _HOST,
}

RULINGS: dict[Stage, dict[Cause, Ruling]] = {
    Stage.CONNECT: _OF_ITSELF,
    Stage.BANNER: _OF_ITSELF,
    Stage.EHLO: _OF_ITSELF,
    Stage.STARTTLS: _OF_ITSELF,
    Stage.AUTH: _OF_ITSELF,
    Stage.MAIL: _OF_THE_MESSAGE,
    Stage.RCPT: _OF_THE_MESSAGE
    | {
        Cause.REFUSED_FOR_NOW: _RECIPIENT,
        Cause.REFUSED: _ruling(Blame.RECIPIENT, Kind.PERMANENT),
        Cause.ODD: _RECIPIENT,
    },
    Stage.DATA: _OF_THE_MESSAGE,
    Stage.CONTENT: _OF_THE_MESSAGE
    | {
        # RFC 5321 section 4.5.3.2.6, RFC 1047: the reply is lost, perhaps not the message.
        Cause.LOST: Ruling(Blame.CONNECTION, Kind.TRANSIENT, is_unknown=True),
        Cause.TIMED_OUT: Ruling(Blame.HOST, Kind.TRANSIENT, is_unknown=True),
        Cause.GARBLED: Ruling(Blame.HOST, Kind.TRANSIENT, is_unknown=True),
    },
}

TRY_AGAIN_AT_ONCE = Ruling(Blame.NOBODY, Kind.TRANSIENT)
"""Too many recipients in one transaction: this one belongs into the next."""


def cause_of(answer: Reply) -> Cause:
    """The cause that a reply stands for."""
    if answer.is_positive:
        return Cause.ACCEPTED
    if answer.closes:
        return Cause.CLOSING
    if answer.is_transient:
        return Cause.REFUSED_FOR_NOW
    return Cause.REFUSED if answer.is_permanent and answer.code != 503 else Cause.ODD


def judge(stage: Stage, answer: Reply) -> Ruling:
    """What a reply at a stage means. Nobody asks about the 354 that DATA hopes for; there, 2yz is odd."""
    if answer.is_positive:
        return RULINGS[stage][Cause.ODD] if stage is Stage.DATA else GO_ON
    return RULINGS[stage][cause_of(answer)]


def judge_recipient(answer: Reply, *, accepted_before: int) -> Ruling:
    """What a reply to RCPT means for its recipient, after `accepted_before` others of its transaction.

    452, and 552 of old servers, say "too many recipients" (RFC 5321 section 4.5.3.1.10), unless none was
    accepted before or an enhanced status code says otherwise.
    """
    is_ambiguous = answer.code in (452, 552) and accepted_before > 0
    if is_ambiguous and (answer.enhanced is None or str(answer.enhanced)[2:] in ("5.3", "3.0")):
        return TRY_AGAIN_AT_ONCE
    return judge(Stage.RCPT, answer)


class Peer(msgspec.Struct, frozen=True):
    """The host that an attempt reached, or tried to reach."""

    name: str
    """As DNS or the operator called it; an address literal stays one."""
    address: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}/{self.address}:{self.port}"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one attempt to deliver one message."""

    kind: Kind
    reply: Reply
    """The next hop's own words, or ours where it said nothing (`is_local`)."""
    stage: Stage
    blame: Blame = Blame.NOBODY
    peer: Peer | None = None
    site: str = ""
    session_id: str = ""
    is_local: bool = False
    is_unknown: bool = False
    """The final reply was lost: the message may have been delivered."""
    was_attempted: bool = True
    """False where the site is left alone for now and the message was not even tried."""
    retry_after: float | None = None
    """Unix seconds before which another attempt is useless, if that is known."""
    passage: Passage | None = None


# What we decide ourselves, in the codes of the reference (sections 8.4 and 8.6).
NULL_MX = reply(556, "5.1.10 Recipient address has a null MX")
NO_ROUTE = reply(451, "4.4.4 MX didn't resolve to any hosts")
PROHIBITED = reply(550, "5.4.4 The next hop is an address that DNS may not name")
LOOP = reply(554, "5.4.6 The next hop is this server itself: mail would loop")
NEEDS_8BITMIME = reply(554, "5.6.3 The next hop does not take 8-bit content")
NEEDS_SMTPUTF8 = reply(554, "5.6.7 The next hop does not take internationalised addresses")
TOO_BIG = reply(552, "5.3.4 The message is bigger than the next hop takes")
CANNOT_READ = reply(451, "4.3.0 The spool cannot be read now")
EXPIRED = reply(451, "4.4.7 The message expired before a connection was free")
NO_SOURCE = reply(451, "4.3.5 No address of the egress pool is on this machine")
SURPRISE = reply(451, "4.3.0 An error of our own; the log has it")

_FAULT_TEXT = {
    Cause.LOST: "4.4.2 Connection lost",
    Cause.TIMED_OUT: "4.4.2 No reply in time",
    Cause.GARBLED: "4.5.0 Not SMTP",
}


def fault_reply(stage: Stage, cause: Cause, detail: str = "") -> Reply:
    """The reply that stands in records for a fault: 451 with the stage in its text."""
    if stage is Stage.CONNECT:
        return reply(451, f"4.4.1 {detail or 'No connection'}")
    return reply(451, f"{_FAULT_TEXT[cause]} at {stage.value}{': ' if detail else ''}{detail}{_doubt(stage)}")


def cut_reply(stage: Stage) -> Reply:
    """The reply that stands in records for an attempt that the end of this server has cut off."""
    return reply(451, f"4.3.2 Cut off at {stage.value}: this server was shutting down{_doubt(stage)}")


def _doubt(stage: Stage) -> str:
    """What nobody knows of an attempt that ended while its last reply was waited for."""
    return ", and the next hop may have the message" if stage is Stage.CONTENT else ""


def unfit(envelope: Envelope, content: Sequence[Octets], offer: Offer) -> Reply | None:
    """Why a message may not go to a next hop with this offer (decided before MAIL), or None where it may."""
    if offer.size and sum(map(len, content)) > offer.size:
        return TOO_BIG
    if not offer.smtputf8 and _needs_smtputf8(envelope, content):
        return NEEDS_SMTPUTF8
    if not offer.eight_bit and not all(_is_ascii(part) for part in content):
        return NEEDS_8BITMIME
    return None


class Offer(msgspec.Struct, frozen=True):
    """What of a next hop's EHLO reply decides whether a message may go there."""

    size: int | None = None
    eight_bit: bool = False
    smtputf8: bool = False


def _needs_smtputf8(envelope: Envelope, content: Sequence[Octets]) -> bool:
    """RFC 6531 section 3.2: an internationalised address, or a header section of a message declared so."""
    addresses = [recipient.address for recipient in envelope.recipients]
    if envelope.sender is not None:
        addresses.append(envelope.sender)
    if not all(address.is_ascii for address in addresses):
        return True
    return envelope.smtputf8 and not b"".join(content).partition(b"\r\n\r\n")[0].isascii()


def _is_ascii(part: Octets) -> bool:
    return bytes(part).isascii()
