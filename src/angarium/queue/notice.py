"""The notice that a message has failed: a `multipart/report` to its sender (RFC 3461 section 6, RFC 3464).

Pure. The notice has the null reverse-path, so it never causes another; the caller asks only for messages
whose sender had a right to send them, so that forged senders are never hit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from angarium.mail.address import Address
from angarium.mail.header import split_content
from angarium.mail.status import EnhancedStatus, Reply

MAX_RETURNED_HEADERS = 64 * 1024
"""Octets of the original's header section that a notice returns at most."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice tells."""

    sender: Address
    recipient: Address
    reply: Reply
    remote_mta: str | None
    """The host that refused, where one did."""
    arrival: float
    """When the message was accepted, Unix seconds."""
    expired: bool = False
    envid: str | None = None
    orcpt: str | None = None


def failure_notice(failure: Failure, original: bytes, *, hostname: str, ident: str, now: float) -> bytes:
    """The content of a failure notice. `original` is the failed message's content, of which the headers
    return.

    Written by hand and not with `email`, whose parts cannot hold a returned header section octet by octet.
    """
    boundary = f"=_{ident}"
    head = _lines(
        f"From: Mail Delivery System <mailer-daemon@{hostname}>",
        f"To: <{failure.sender}>",
        "Subject: Undelivered mail returned to sender",
        f"Date: {_date(now)}",
        f"Message-ID: <{ident}@{hostname}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 section 5
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"',
        "Content-Transfer-Encoding: 8bit",
        "",
    )
    utf8 = not failure.recipient.is_ascii  # RFC 6533 section 4
    status_type = "message/global-delivery-status" if utf8 else "message/delivery-status"
    returned = _returned(original)
    headers_type = "text/rfc822-headers" if returned.isascii() else "message/global-headers"
    parts = (
        _part("text/plain; charset=utf-8", _text(failure, hostname)),
        _part(status_type, _status_fields(failure, hostname)),
        _part(headers_type, returned),
    )
    delimiter = f"--{boundary}\r\n".encode()
    return head + b"".join(delimiter + part for part in parts) + f"--{boundary}--\r\n".encode()


def _text(failure: Failure, hostname: str) -> bytes:
    expired = " It could not be delivered in time, and will not be tried again." if failure.expired else ""
    return _lines(
        f"This is the mail system at {hostname}.",
        "",
        f"Your message to <{failure.recipient}> was not delivered.{expired}",
        f"{failure.remote_mta or 'This server'} said:",
        "",
        f"    {_one_line(failure.reply)}",
    )


def _status_fields(failure: Failure, hostname: str) -> bytes:
    """The per-message and the per-recipient fields (RFC 3464 sections 2.2 and 2.3)."""
    utf8 = not failure.recipient.is_ascii
    message = [f"Reporting-MTA: dns; {hostname}", f"Arrival-Date: {_date(failure.arrival)}"]
    if failure.envid:
        message.insert(0, f"Original-Envelope-Id: {failure.envid}")
    recipient = [
        f"Final-Recipient: {'utf-8' if utf8 else 'rfc822'}; {failure.recipient}",
        "Action: failed",
        f"Status: {_status(failure)}",
        f"Diagnostic-Code: smtp; {_one_line(failure.reply)}",
    ]
    if failure.orcpt:
        recipient.insert(0, f"Original-Recipient: {failure.orcpt}")
    if failure.remote_mta:
        recipient.append(f"Remote-MTA: dns; {failure.remote_mta}")
    return _lines(*message, "", *recipient)


def _status(failure: Failure) -> EnhancedStatus:
    """A permanent status: an expired message's last reply was a transient one (RFC 3464 section 2.3.4)."""
    status = failure.reply.enhanced
    if failure.expired:
        return EnhancedStatus(5, 4, 7)
    return status if status is not None and status.class_ == 5 else EnhancedStatus(5, 0, 0)


def _part(media_type: str, body: bytes) -> bytes:
    encoding = "7bit" if body.isascii() else "8bit"
    return (
        _lines(f"Content-Type: {media_type}", f"Content-Transfer-Encoding: {encoding}", "") + body + b"\r\n"
    )


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _returned(original: bytes) -> bytes:
    section, _ = split_content(original[:MAX_RETURNED_HEADERS])
    return section


def _one_line(reply: Reply) -> str:
    return " ".join(str(reply).split())


def _date(unix_seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(unix_seconds), UTC))
