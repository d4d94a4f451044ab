"""What a sender is told of a message: a delivery status notification, as `multipart/report` (RFC 3461 section
6, RFC 3464, RFC 6533).

Promises that a sender whose address is ASCII gets it over hosts that take seven bits only, whatever it is
about. Pure. The notice has the null reverse-path, so it never causes another; whether one is due, `dsn`
knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import Enum
from quopri import encodestring
from textwrap import wrap

import msgspec

from angarium.mail.address import Address
from angarium.mail.header import split_content
from angarium.mail.status import EnhancedStatus, Reply

MAX_RETURNED_HEADERS = 64 * 1024
"""Octets of the original's header section that a notice returns at most."""
MAX_RETURNED = 1024 * 1024
"""Octets of an original that returns whole; of larger ones the header section does."""
MAX_SAID = 2000
"""Characters of a reply that are told."""
_DENT = "    "
_EMBEDDED = re.compile(r"[^!-~]|[\\+=]")


class Action(Enum):
    """What has become of the message (RFC 3464 section 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    """Handed on to a host that sends no notices of success."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice tells."""

    action: Action = Action.FAILED

    sender: Address
    recipient: Address
    reply: Reply
    remote_mta: str | None
    """The host that was asked, where one was."""
    remote_address: str | None = None
    """Its IP address."""
    arrival: float
    """When the message was accepted, Unix seconds."""
    is_local: bool = False
    """Whether the reply is this server's own, and nothing that SMTP said."""
    remark: Reply | None = None
    """What this server says beside the reply: why it gave up."""
    expired: bool = False
    envid: str | None = None
    orcpt: str | None = None
    tried_until: float | None = None
    """Of a delayed message: how long it is tried, Unix seconds."""
    returns: str = "headers"
    """How much of the original returns: `none`, `headers` or `full` (RFC 3461 section 4.3)."""


def write_notice(notice: Notice, original: bytes, *, hostname: str, ident: str, now: float) -> bytes:
    """The content of a notice. `original` is the content of the message that it is about.

    Written by hand and not with `email`, whose parts cannot hold a returned header section octet by octet.
    """
    boundary = f"=_{ident}"
    is_seven_bit = notice.sender.is_ascii
    is_global = _is_utf8(notice) and not is_seven_bit
    status_type = "global-delivery-status" if is_global else "delivery-status"
    parts = [
        _part("text/plain; charset=utf-8", _text(notice, hostname), is_seven_bit=is_seven_bit),
        _part(f"message/{status_type}", _status_fields(notice, hostname, now), is_seven_bit=is_seven_bit),
        *(_part(*returned, is_seven_bit=is_seven_bit) for returned in _returned(notice, original)),
    ]
    head = _lines(
        f"From: Mail Delivery System <mailer-daemon@{hostname}>",
        f"To: <{notice.sender}>",
        f"Subject: {_SUBJECTS[notice.action]}",
        f"Date: {_date(now)}",
        f"Message-ID: <{ident}@{hostname}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 section 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        f"Content-Transfer-Encoding: {_encoding(b''.join(parts))}",
        "",
    )
    delimiter = f"--{boundary}\r\n".encode()
    return head + b"".join(delimiter + part for part in parts) + f"--{boundary}--\r\n".encode()


_SUBJECTS = {
    Action.FAILED: "Undelivered mail returned to sender",
    Action.DELAYED: "Your mail is delayed",
    Action.DELIVERED: "Your mail was delivered",
    Action.RELAYED: "Your mail was handed on",
}
_SAID = {
    Action.FAILED: "was not delivered.",
    Action.DELAYED: "could not be delivered yet. It is still being tried, and you need not send it again.",
    Action.DELIVERED: "was delivered, as you asked to be told.",
    Action.RELAYED: "was handed on to a system that does not tell what becomes of it.",
}


def _is_utf8(notice: Notice) -> bool:
    """Whether the fields hold an internationalised address (RFC 6533 section 4)."""
    return not (notice.recipient.is_ascii and (notice.orcpt or "").isascii())


def _text(notice: Notice, hostname: str) -> bytes:
    expired = " It could not be delivered in time, and will not be tried again." if notice.expired else ""
    until = f"It is tried until {_date(notice.tried_until)}." if notice.tried_until is not None else ""
    said = _quoted(f"{_who(notice)} said:", notice.reply)
    if notice.remark is not None:
        said += ["", *_quoted("This server adds:", notice.remark)]
    return _lines(
        f"This is the mail system at {hostname}.",
        "",
        f"Your message to <{notice.recipient}> {_SAID[notice.action]}{expired}",
        *([until] if until else []),
        *([] if notice.is_local and notice.action is Action.DELIVERED else said),
    )


def _who(notice: Notice) -> str:
    """Whose words the reply is."""
    if notice.is_local:
        return "This server"
    name = notice.remote_mta or "The next hop"
    address = f"[{notice.remote_address}]" if notice.remote_address else ""
    return name if address in ("", name) else f"{name} {address}"


def _quoted(introduction: str, answer: Reply) -> list[str]:
    said = wrap(_one_line(answer), 72, initial_indent=_DENT, subsequent_indent=_DENT)
    return [introduction, "", *said]


def _status_fields(notice: Notice, hostname: str, now: float) -> bytes:
    """The per-message and the per-recipient fields (RFC 3464 sections 2.2 and 2.3)."""
    utf8 = not (notice.recipient.is_ascii or notice.sender.is_ascii)
    message = [f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {_date(notice.arrival)}"]
    if notice.envid:
        message.insert(0, f"Original-Envelope-Id: {notice.envid}")
    recipient = [
        f"Final-Recipient: {_address(notice)}",
        f"Action: {notice.action.value}",
        f"Status: {_status(notice)}",
    ]
    if not notice.is_local:
        said = _one_line(notice.reply)
        recipient += wrap(
            f"Diagnostic-Code: smtp; {said if utf8 else _ascii(said)}", 78, subsequent_indent=" "
        )
    if notice.orcpt:
        kind, separator, address = notice.orcpt.partition(";")
        orcpt = f"{kind}{separator}{_embedded(address)}" if notice.sender.is_ascii else notice.orcpt
        recipient.insert(0, f"Original-Recipient: {orcpt}")
    if notice.remote_mta:
        recipient.append(f"Remote-MTA: dns; {notice.remote_mta}")
    if notice.tried_until is not None:
        recipient.append(f"Will-Retry-Until: {_date(notice.tried_until)}")
    return _lines(*message, "", *recipient)


def _address(notice: Notice) -> str:
    """The recipient with its type; in seven bits where the notice may have no more."""
    address = str(notice.recipient)
    if notice.recipient.is_ascii:
        return f"rfc822; {address}"
    return f"utf-8; {_embedded(address) if notice.sender.is_ascii else address}"


def _embedded(address: str) -> str:
    r"""The address with `\x{…}` for what seven bits cannot say (RFC 6533 section 3: utf-8-addr-xtext)."""
    if address.isascii():
        return address
    return _EMBEDDED.sub(lambda match: f"\\x{{{ord(match[0]):02X}}}", address)


_CLASSES = {Action.FAILED: 5, Action.DELAYED: 4, Action.DELIVERED: 2, Action.RELAYED: 2}


def _status(notice: Notice) -> EnhancedStatus:
    """A status of the action's class: what expired was answered with another (RFC 3464 section 2.3.4)."""
    final = notice.reply if notice.remark is None else notice.remark
    status, wanted = final.enhanced, _CLASSES[notice.action]
    if notice.expired:
        return EnhancedStatus(5, 4, 7)
    return status if status is not None and status.class_ == wanted else EnhancedStatus(wanted, 0, 0)


def _part(media_type: str, body: bytes, *, is_seven_bit: bool) -> bytes:
    """One part; what has eight bits is encoded where a host may take seven only (RFC 2045 section 6.7)."""
    encoding = _encoding(body)
    if encoding == "8bit" and is_seven_bit:
        body = encodestring(body.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        encoding = "quoted-printable"
    return (
        _lines(f"Content-Type: {media_type}", f"Content-Transfer-Encoding: {encoding}", "") + body + b"\r\n"
    )


def _encoding(body: bytes) -> str:
    return "7bit" if body.isascii() else "8bit"


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _returned(notice: Notice, original: bytes) -> Iterator[tuple[str, bytes]]:
    """The part that returns the original, or its header section: its type, which may be encoded where the
    octets have eight bits (RFC 6532 section 3.7, RFC 6533 section 6), and its octets.
    """
    if notice.returns == "full" and len(original) <= MAX_RETURNED:
        yield "message/rfc822" if original.isascii() else "message/global", original
    elif notice.returns != "none":
        section, _ = split_content(original[:MAX_RETURNED_HEADERS])
        yield "text/rfc822-headers" if section.isascii() else "message/global-headers", section


def _one_line(reply: Reply) -> str:
    text = " ".join(str(reply).split())
    return text if len(text) <= MAX_SAID else f"{text[:MAX_SAID]}..."


def _ascii(text: str) -> str:
    """Fields of an ASCII report hold nothing else (RFC 3464 section 2.1)."""
    return text.encode("ascii", "backslashreplace").decode()


def _date(unix_seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(unix_seconds), UTC))
