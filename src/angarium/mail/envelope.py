"""The envelope: who a message is from and to, as MAIL and RCPT said it (RFC 5321 section 2.3.1, RFC 3461)."""

from __future__ import annotations

from dataclasses import dataclass, field

from angarium.mail.address import Address


@dataclass(frozen=True, slots=True)
class Recipient:
    """One forward-path with its RFC 3461 parameters (`notify` upper-case words, `orcpt` as
    `type;xtext-decoded`).
    """

    address: Address
    notify: tuple[str, ...] = ()
    orcpt: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A reverse-path (None: the null reverse-path) and the forward-paths of one transaction."""

    sender: Address | None
    recipients: tuple[Recipient, ...]
    eight_bit: bool = False
    """BODY=8BITMIME was given (RFC 6152)."""
    smtputf8: bool = False
    """SMTPUTF8 was given (RFC 6531)."""
    ret: str | None = None
    """RET=FULL or HDRS (RFC 3461 section 4.3)."""
    envid: str | None = None
    """ENVID, decoded from xtext (RFC 3461 section 4.4)."""
    size: int = field(default=0, compare=False)
    """SIZE as declared, octets; 0 where it was not (RFC 1870)."""
