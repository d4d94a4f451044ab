"""Identities of messages and sessions: 32 hex digits that begin with their time (the layout of UUID version
7).

Pure: the caller brings clock and entropy. Ids sort by time; `created_at` reads the time back.
"""

from __future__ import annotations


def make_ident(unix_seconds: float, entropy: bytes) -> str:
    """Make an id from a time and at least ten octets of entropy."""
    random = entropy[:10].hex()
    variant = "89ab"[entropy[2] >> 6]  # RFC 9562 section 5.7
    return f"{int(unix_seconds * 1000):012x}7{random[:3]}{variant}{random[5:]}"


def created_at(ident: str) -> float:
    """The Unix time in seconds (to the millisecond) that an id was made at."""
    return int(ident[:12], 16) / 1000
