"""What a next hop says to a client of SMTP or LMTP, as events of `wire.sender`, and what they answer.

Answers "what happened?" on the sending side, as `wire.events` does on the receiving one.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from angarium.mail.status import Reply
from angarium.wire.events import NeedData
from angarium.wire.replies import PeerExtensions


class Greeting(msgspec.Struct, frozen=True):
    """The server's first words; other than 220, it does not want mail."""

    reply: Reply


class EhloReply(msgspec.Struct, frozen=True):
    """The answer to EHLO, LHLO or HELO, with what it offers."""

    reply: Reply
    extensions: PeerExtensions


class StartTlsReply(msgspec.Struct, frozen=True):
    """The answer to STARTTLS; after 220 shake hands, then `Sender.restart`."""

    reply: Reply


class AuthReply(msgspec.Struct, frozen=True):
    """An answer within AUTH: 235, a refusal, or 334 with a challenge in base64."""

    reply: Reply


class MailReply(msgspec.Struct, frozen=True):
    """The answer to MAIL; a refusal is every recipient's."""

    reply: Reply


class RcptReply(msgspec.Struct, frozen=True):
    """The answer to the RCPT of one recipient, by its place in the envelope."""

    index: int
    reply: Reply


class DataReply(msgspec.Struct, frozen=True):
    """The answer to DATA, where a recipient was accepted; a refusal is every accepted recipient's."""

    reply: Reply


class ContentReply(msgspec.Struct, frozen=True):
    """The final answer: for all accepted recipients (index None), or for one of them (LMTP)."""

    reply: Reply
    index: int | None = None


class TransactionEnded(msgspec.Struct, frozen=True):
    """All that belongs to the transaction has been said."""


class RsetReply(msgspec.Struct, frozen=True):
    """The answer to `send_rset`."""

    reply: Reply


class QuitReply(msgspec.Struct, frozen=True):
    """The answer to QUIT."""

    reply: Reply


class Unsolicited(msgspec.Struct, frozen=True):
    """A 421 that answers nothing: the server is about to close."""

    reply: Reply


class Disconnected(msgspec.Struct, frozen=True):
    """The server has gone, or said 421 before; `during` names what had no answer yet (a Stage's value)."""

    during: str


class ProtocolError(msgspec.Struct, frozen=True):
    """The server sent something else than a reply; nothing more is understood on this connection."""

    text: str
    during: str


class Stage(Enum):
    """What a reply is awaited for."""

    __hash__ = object.__hash__  # Enum hashes its name in Python, and tables are asked all the time

    GREETING = "greeting"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    """The final dot was handed out: the server may have taken the message, whatever is heard from now on."""
    RSET = "rset"
    QUIT = "quit"


Told = (
    Greeting
    | EhloReply
    | StartTlsReply
    | AuthReply
    | MailReply
    | RcptReply
    | DataReply
    | ContentReply
    | TransactionEnded
    | RsetReply
    | QuitReply
    | Unsolicited
)
SenderEvent = Told | Disconnected | ProtocolError | NeedData
