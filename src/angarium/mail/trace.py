"""Trace fields (RFC 5321 section 4.4): the Received field that we write, and the hops that a message has made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

TRACE_FIELD: Final = "X-Angarium-Ref"
"""The supplemental trace header: what lets a report find its message again."""

_RECEIVED = re.compile(rb"^Received[ \t]*:", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hop:
    """What one Received field says. Every text in it is already free of control characters."""

    helo: str
    peer_address: str
    hostname: str
    local_address: str
    protocol: str
    """`ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, their `UTF8` forms, or `SMTP` (RFC 3848, RFC 6531 section 4.3)."""
    tls: str | None = None
    """`version:cipher`, where the session is encrypted."""


def received_field(hop: Hop, ident: str, recipient: str, unix_seconds: float) -> bytes:
    """The Received field of one message, folded, with its final CRLF; no line is longer than 998 octets."""
    tls = f" ({hop.tls})" if hop.tls else ""
    date = format_datetime(datetime.fromtimestamp(int(unix_seconds), UTC))
    return (
        f"Received: from {hop.helo or 'unspecified'} ({hop.peer_address})\r\n"
        f"  by {hop.hostname} (Angarium {hop.local_address})\r\n"
        f"  with {hop.protocol}{tls} id {ident}\r\n"
        f"  for <{recipient}>; {date}\r\n"
    ).encode()


def count_received(header_section: bytes) -> int:
    """How many Received fields a header section holds: the hops made so far (RFC 5321 section 6.3)."""
    return len(_RECEIVED.findall(header_section))
