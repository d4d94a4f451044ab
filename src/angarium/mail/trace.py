"""What lets a message be traced: the Received field that we write, and our own signed references.

Received fields follow RFC 5321 section 4.4. The supplemental trace header and the signed reverse-path let a
report find its message again: both carry a key's name, a time and an HMAC-SHA-256, so that nobody else can
make them. Promises that a forged, altered or expired reference never reads as verified; keys and the time
come in as arguments.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Any, Final

from angarium.mail.address import Address

TRACE_FIELD: Final = "X-Angarium-Ref"
"""The supplemental trace header: what lets a report find its message again."""


@dataclass(frozen=True, slots=True)
class Hop:
    """What one Received field says. Every text in it is already free of control characters."""

    helo: str
    peer_address: str
    hostname: str
    local_address: str
    protocol: str
    """`SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, or their `UTF8` forms (RFC 3848, RFC 6531)."""
    tls: str | None = None
    """`version:cipher`, where the session is encrypted."""
    head: str = field(init=False, repr=False, compare=False)
    """What does not change from message to message: everything before the id."""

    def __post_init__(self) -> None:
        """Write the head once, for all messages that come this way."""
        tls = f" ({self.tls})" if self.tls else ""
        head = (
            f"Received: from {self.helo or 'unspecified'} ({self.peer_address})\r\n"
            f"  by {self.hostname} (Angarium {self.local_address})\r\n"
            f"  with {self.protocol}{tls} id "
        )
        object.__setattr__(self, "head", head)


def received_field(hop: Hop, ident: str, recipient: str, unix_seconds: float) -> bytes:
    """The Received field of one message, folded, with its final CRLF; no line is longer than 998 octets."""
    return f"{hop.head}{ident}\r\n  for <{recipient}>; {_date(int(unix_seconds))}\r\n".encode()


@lru_cache(maxsize=8)
def _date(unix_seconds: int) -> str:
    """The date of RFC 5322; within a second many messages share it."""
    return format_datetime(datetime.fromtimestamp(unix_seconds, UTC))


MIN_SECRET: Final = 16  # octets of a key
MAX_TRACE: Final = 16_384  # characters of a supplemental trace header that are read
MAX_AGE: Final = (
    60 * 86_400.0
)  # seconds that a reference holds: bounces come within days, complaints within weeks
CLOCK_SKEW: Final = 86_400.0  # seconds that another host's clock may be ahead
FOLD: Final = 70  # characters of a line of the supplemental trace header

_UNSIGNED: Final = "eyJ"  # base64 of a JSON object's beginning
_MARKER: Final = "_@_"
_KEY_ID = re.compile(r"[a-z0-9]{1,4}")
_CLAIM = re.compile(r"v=1;k=([a-z0-9]{1,4});")
_TRACE = re.compile(r"v=1;k=([a-z0-9]{1,4});t=(\d{1,12});s=([A-Za-z0-9_-]{43});d=([A-Za-z0-9_-]*)")
_BLANKS = re.compile(r"\s+")
# A local part of ours: prefix + message id . key . day in hexadecimal . signature; at most 64 octets.
_PATH_CLAIM = re.compile(r"[a-z]{1,4}\+[^.]{0,64}\.([a-z0-9]{1,4})\.[^.]{0,8}\.[^.]{0,32}")
_REVERSE_PATH = re.compile(r"[a-z]{1,4}\+([0-9a-f]{32})\.([a-z0-9]{1,4})\.([0-9a-f]{4,5})\.([a-z2-7]{16})")


@dataclass(frozen=True, slots=True)
class Key:
    """A secret that signs references, and the short name that tells which one did."""

    ident: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse names that do not fit into a reference, and secrets that can be guessed (ValueError)."""
        if _KEY_ID.fullmatch(self.ident) is None:
            raise ValueError(f"a key's name is one to four of a-z and 0-9, not {self.ident[:20]!r}")
        if len(self.secret) < MIN_SECRET:
            raise ValueError(f"the secret of key {self.ident!r} is shorter than {MIN_SECRET} octets")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a signed reference says, and whether we said it."""

    data: Mapping[str, Any]
    key_id: str
    made: float
    """Seconds since the epoch."""
    verified: bool | None
    """True: ours and fresh. False: forged, altered or too old. None: signed by an unknown key.

    What names a key of ours and does not read is altered too: its `data` is empty.
    """


class KeyFileError(ValueError):
    """A key file that cannot be used: its line, from 1, and what is wrong, without the secret."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(f"line {line}: {text}")
        self.line = line
        self.text = text


def read_keys(text: str) -> dict[str, Key]:
    """Read a key file: a line `NAME SECRET` (base64) a key, the first one signs, all of them verify.

    Empty lines and lines that begin with `#` are passed over. Raises KeyFileError.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = _read_key(words, number)
        if key.ident in keys:
            raise KeyFileError(number, f"a key named {key.ident} stands above already")
        keys[key.ident] = key
    return keys


def _read_key(words: list[str], number: int) -> Key:
    try:
        ident, secret = words
        return Key(ident, base64.b64decode(secret, validate=True))
    except binascii.Error:
        raise KeyFileError(number, "the secret is not base64") from None
    except ValueError as error:
        text = str(error) if len(words) == 2 else "a line is `NAME SECRET`, with a base64 secret"
        raise KeyFileError(number, text) from None


def signing_key(keys: Mapping[str, Key]) -> Key | None:
    """The key that signs: the first of its file."""
    return next(iter(keys.values()), None)


def supplemental_field(
    data: Mapping[str, Any], key: Key, unix_seconds: float, name: str = TRACE_FIELD
) -> bytes:
    """The supplemental trace header, folded, with its final CRLF. `data` holds JSON values."""
    packed = _base64(json.dumps(dict(data), separators=(",", ":"), sort_keys=True).encode())
    stamp = str(int(unix_seconds))
    signature = _base64(_sign(key.secret, "ref", key.ident, stamp, packed))
    value = f"v=1;k={key.ident};t={stamp};s={signature};d={packed}"
    lines = [value[start : start + FOLD] for start in range(0, len(value), FOLD)]
    return (f"{name}: " + "\r\n\t".join(lines) + "\r\n").encode("ascii")


def may_be_reference(value: str) -> bool:
    """Whether a field's value looks like a supplemental trace header, whatever the field is called."""
    return value.startswith(("v=1;k=", _UNSIGNED))


def read_supplemental(value: str, keys: Mapping[str, Key], unix_seconds: float) -> Reference | None:
    """Read the value of a supplemental trace header; None where it is none of ours.

    The reference's unsigned form (L13) is read too, for mail that was sent before moving here; it says
    nothing about who made it.
    """
    if value.lstrip().startswith(_UNSIGNED):
        return _read_unsigned(value)
    text = _BLANKS.sub("", value[:MAX_TRACE])
    claim, match = _CLAIM.match(text), _TRACE.fullmatch(text)
    data = _read_data(match[4]) if match else None
    if match is None or data is None:
        return _altered(claim, keys)
    key_id, stamp, signature, packed = match.groups()
    verified = None
    if key_id in keys:
        wanted = _base64(_sign(keys[key_id].secret, "ref", key_id, stamp, packed))
        verified = hmac.compare_digest(wanted, signature) and _is_fresh(float(stamp), unix_seconds)
    return Reference(data, key_id, float(stamp), verified)


def _read_data(packed: str) -> dict[str, Any] | None:
    try:
        data = json.loads(_unbase64(packed))
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _altered(claim: re.Match[str] | None, keys: Mapping[str, Key]) -> Reference | None:
    """What names a key of ours and does not read as we write it; None where the key is nobody's."""
    return Reference({}, claim[1], 0.0, verified=False) if claim and claim[1] in keys else None


def _read_unsigned(value: str) -> Reference | None:
    try:
        data = json.loads(base64.b64decode(_BLANKS.sub("", value[:MAX_TRACE]), validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.pop(_MARKER, None) != "\\_/":
        return None
    return Reference(data, "", 0.0, None)


def signed_reverse_path(ident: str, domain: str, key: Key, unix_seconds: float, prefix: str = "b") -> Address:
    """The reverse-path of a message: a bounce to it names the message (32 hexadecimal digits) that bounced.

    Only lower-case letters, digits and dots, since hosts on the way change the case; raises ValueError for an
    `ident` or a `prefix` (one to four letters) that does not fit.
    """
    day = f"{int(unix_seconds // 86_400):04x}"
    local_part = f"{prefix}+{ident}.{key.ident}.{day}.{_short(key, ident, day, domain)}"
    if _REVERSE_PATH.fullmatch(local_part) is None:
        raise ValueError("not the id of a message, or not a prefix of one to four letters")
    return Address(local_part, domain)


def read_reverse_path(address: Address, keys: Mapping[str, Key], unix_seconds: float) -> Reference | None:
    """Read a signed reverse-path; None where the address is none. `data` holds the message's `id`.

    It names no recipient: each message of ours has one, which our own records tell by the id.
    """
    local_part = address.local_part.lower()
    match = _REVERSE_PATH.fullmatch(local_part)
    if match is None:
        return _altered(_PATH_CLAIM.fullmatch(local_part), keys)
    ident, key_id, day, signature = match.groups()
    made = int(day, 16) * 86_400.0
    verified = None
    if key_id in keys:
        wanted = _short(keys[key_id], ident, day, address.domain)
        verified = hmac.compare_digest(wanted, signature) and _is_fresh(made, unix_seconds)
    return Reference({"id": ident}, key_id, made, verified)


def _is_fresh(made: float, unix_seconds: float) -> bool:
    return -CLOCK_SKEW <= unix_seconds - made <= MAX_AGE


def _short(key: Key, ident: str, day: str, domain: str) -> str:
    """80 bits of signature in letters and digits that survive a change of case."""
    return base64.b32encode(_sign(key.secret, "path", key.ident, ident, day, domain)[:10]).decode().lower()


def _sign(secret: bytes, *texts: str) -> bytes:
    return hmac.digest(secret, "\0".join(texts).encode(), hashlib.sha256)


def _base64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
