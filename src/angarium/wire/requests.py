"""MAIL and RCPT as a client writes them (RFC 5321 section 4.1.1, RFC 1870, 6152, 6531, 3461).

Answers "how is this envelope said to that server?". Parameters that the server does not offer are left out.
"""

from __future__ import annotations

import re

from angarium.mail.envelope import Envelope, Recipient
from angarium.wire.replies import PeerExtensions

_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def mail_command(envelope: Envelope, size: int, offered: PeerExtensions) -> str:
    """The MAIL command for content of `size` octets, without its CRLF."""
    command = f"MAIL FROM:<{envelope.sender or ''!s}>"
    if offered.size is not None:
        command += f" SIZE={size}"
    if envelope.eight_bit and offered.eight_bit:
        command += " BODY=8BITMIME"
    if envelope.smtputf8 and offered.smtputf8:
        command += " SMTPUTF8"
    if envelope.ret and offered.dsn:
        command += f" RET={envelope.ret}"
    if envelope.envid and offered.dsn:
        command += f" ENVID={encode_xtext(envelope.envid)}"
    return command


def rcpt_command(recipient: Recipient, offered: PeerExtensions) -> str:
    """The RCPT command for one recipient, without its CRLF."""
    command = f"RCPT TO:<{recipient.address!s}>"
    if recipient.notify and offered.dsn:
        command += f" NOTIFY={','.join(recipient.notify)}"
    if recipient.orcpt and offered.dsn:
        kind, _, address = recipient.orcpt.partition(";")
        command += f" ORCPT={kind};{encode_xtext(address)}"
    return command


def encode_xtext(text: str) -> str:
    r"""Encode as xtext (RFC 3461 section 4); characters beyond ASCII as `\x{…}` (RFC 6533 section 3)."""
    ascii_only = _BEYOND_ASCII.sub(lambda match: f"\\x{{{ord(match[0]):X}}}", text)
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", ascii_only)
