"""What a client said, as values: the events of `wire.receiver`.

Every value is frozen. An event other than NEED_DATA and Disconnected waits for a reply.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

from msgspec import Struct

from angarium.mail.address import Address
from angarium.mail.status import Reply


class MailParameters(Struct, frozen=True):
    """Parameters of MAIL; None, 0 and False where the client gave none."""

    size: int = 0
    """SIZE in octets (RFC 1870)."""
    eight_bit: bool = False
    """BODY=8BITMIME (RFC 6152)."""
    smtputf8: bool = False
    """SMTPUTF8 (RFC 6531)."""
    ret: str | None = None
    """RET: `FULL` or `HDRS` (RFC 3461 section 4.3)."""
    envid: str | None = None
    """ENVID, decoded (RFC 3461 section 4.4)."""
    auth: str | None = None
    """AUTH, decoded; `<>` where the client does not vouch for anybody (RFC 4954 section 5)."""


class RcptParameters(Struct, frozen=True):
    """Parameters of RCPT (RFC 3461): `notify` upper-case words, `orcpt` as `type;address`, decoded."""

    notify: tuple[str, ...] = ()
    orcpt: str | None = None


class Ehlo(Struct, frozen=True):
    """EHLO with the name that the client gives itself."""

    domain: str


class Helo(Struct, frozen=True):
    """HELO with the name that the client gives itself."""

    domain: str


class Mail(Struct, frozen=True):
    """MAIL FROM; the sender is None for the null reverse-path."""

    sender: Address | None
    parameters: MailParameters


class Rcpt(Struct, frozen=True):
    """RCPT TO; the bare `<Postmaster>` has the domain ""."""

    address: Address
    parameters: RcptParameters


class Data(Struct, frozen=True):
    """DATA: reply 354 to go on, or refuse the transaction."""


class Chunk(Struct, frozen=True):
    """A BDAT chunk that is not the last has come whole (RFC 3030); `size` is its own."""

    size: int


class Content(Struct, frozen=True):
    """The whole content of a message: unstuffed, canonical, and empty or ended by CRLF."""

    data: bytes


class Rset(Struct, frozen=True):
    """RSET."""


class Noop(Struct, frozen=True):
    """NOOP."""


class Quit(Struct, frozen=True):
    """QUIT: reply 221; the receiver is closed afterwards."""


class Vrfy(Struct, frozen=True):
    """VRFY of something that looks like a user or a mailbox; it was not parsed."""

    argument: str


class Expn(Struct, frozen=True):
    """EXPN of something that looks like a list."""

    argument: str


class Help(Struct, frozen=True):
    """HELP, perhaps on a subject."""

    argument: str


class StartTls(Struct, frozen=True):
    """STARTTLS, with nothing behind it: reply 220, then shake hands, then `Receiver.restart`."""


@dataclass(frozen=True, slots=True)  # a Struct shows its fields to more than `repr`
class Auth:
    """AUTH of an offered mechanism; `initial` is the decoded initial response, None where there was none."""

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        return f"Auth({self.mechanism!r})"  # no credential in any traceback


@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The decoded answer to a 334. An exchange ends with every other reply."""

    data: bytes

    def __repr__(self) -> str:
        return "AuthResponse()"


class Xclient(Struct, frozen=True):
    """XCLIENT: what a proxy says of the connection that it has; reply 220. None: not said, or not known."""

    address: str | None = None
    port: int | None = None
    destination_address: str | None = None
    destination_port: int | None = None


class Refused(Struct, frozen=True):
    """What the receiver refuses by itself: record it, then send exactly `reply`."""

    reply: Reply
    line: bytes
    """The command without secrets; of long ones and of content only the beginning, or nothing."""
    why: str
    """One word: `syntax`, `encoding`, `unknown-command`, `not-offered`, `sequence`, `parameter`, `address`,
    `too-long`, `too-big`, `line-endings`, `long-line`, `cancelled`, `early-input`."""


@final
class Disconnected(Struct, frozen=True):
    """The client has gone, or the receiver has closed; `during` is the state in which it happened."""

    during: str


@final
class NeedData:
    """Nothing can be said before more octets come."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "NEED_DATA"


NEED_DATA: Final = NeedData()

Command = (
    Ehlo | Helo | Mail | Rcpt | Data | Rset | Noop | Quit | Vrfy | Expn | Help | StartTls | Auth | Xclient
)
Answerable = Command | Chunk | Content | AuthResponse | Refused
Event = Answerable | Disconnected | NeedData
