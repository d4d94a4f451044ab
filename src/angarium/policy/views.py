"""What an operator's handler sees of a session and a message, and what it may change there.

A session is read-only but for `.meta`. A message changes through its attributes and methods alone; each
change is recorded, so that a decision can say who made it. Header fields are checked: nothing that a
handler passes on from a stranger can begin a line of its own. Wrong values raise TypeError or ValueError,
which cost that one command.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import Header
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

import msgspec

from angarium.mail.address import Address
from angarium.mail.header import Headers, readable, split_content
from angarium.reports.values import Bounce, Feedback, Kind, Original, Recipient

MAX_LINE = 998
"""Octets of a line without CRLF: RFC 5322 section 2.1.1."""

_FIELD_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 section 2.2
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u0080-\u009f\u2028\u2029]")
Plain = str | int | float | bool | None


class Meta(MutableMapping[str, Any]):
    """Metadata: names with JSON values, copied in and out, so that nothing but setting changes it."""

    __slots__ = ("_values",)

    def __init__(self, values: Iterable[tuple[str, Any]] | MutableMapping[str, Any] = ()) -> None:
        self._values: dict[str, Any] = {}
        self.update(values)

    def __getitem__(self, key: str) -> Any:
        return _json(self._values[key])

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"names of metadata are texts, not {key!r}")
        self._values[readable(key)] = _json(value)

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def as_dict(self) -> dict[str, Any]:
        """Everything, as a dict of its own; what stands in it does not change."""
        return dict(self._values)

    def __repr__(self) -> str:
        return f"Meta({self._values!r})"


def _json(value: object) -> Any:
    """A copy of the value, if JSON can say it; raises TypeError or ValueError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no form in JSON")
    if isinstance(value, str):
        return readable(value)
    if value is None or isinstance(value, int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("names in metadata are texts")
        return {readable(key): _json(item) for key, item in value.items()}
    raise TypeError(f"{type(value).__name__} has no form in JSON: make it a text")


class Endpoint(NamedTuple):
    """One end of a connection; as text `10.0.0.1:25` or `[2001:db8::1]:25`."""

    ip: IPv4Address | IPv6Address
    port: int

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if self.ip.version == 6 else f"{self.ip}:{self.port}"


class Tls(NamedTuple):
    """How a session is encrypted."""

    version: str
    cipher: str
    peer_subject: tuple[str, ...] = ()
    """`CN=client.example` and so on, of a client certificate that was verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionMeta:
    """One session as it stands at the moment of the call."""

    session_id: str
    peer: Endpoint
    local: Endpoint
    listener: str
    """The listener's name, else what it listens on."""
    hostname: str
    """Ours, as this listener has it."""
    ehlo_domain: str | None = None
    tls: Tls | None = None
    authn_id: str | None = None
    authz_id: str | None = None
    meta: Meta = field(default_factory=Meta)
    """Yours: copied to every message of the session."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a client has proved to be, and on whose behalf it acts (its own, unless said otherwise)."""

    authn_id: str
    authz_id: str = ""

    def __post_init__(self) -> None:
        """Without an authorisation identity a client acts for itself (RFC 4616 section 2)."""
        if not self.authz_id:
            object.__setattr__(self, "authz_id", self.authn_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedReport:
    """A bounce or feedback report at the door, as `report_received` sees it. Nothing in it changes."""

    id: str
    """Of the report itself, as in its records."""
    sender: Address | None
    """Reverse-path of the report; None is the null reverse-path."""
    recipient: Address
    """Whom the report was sent to."""
    kind: Kind
    """`oob` or `arf`."""
    why: str
    """The rule that knew it."""
    by_shape: bool
    """It follows no RFC; only its shape says what it is."""
    failed: tuple[Recipient, ...]
    """Whom the mail failed for."""
    notices: tuple[Recipient, ...]
    """Of whom something else is told: delayed, delivered, relayed, expanded."""
    bounce: Bounce | None
    feedback: Feedback | None
    original: Original | None
    """What came back of the message that it is about."""
    verified: bool | None
    """Whether a signed reference of ours came back with it; None: nothing that could be checked."""
    trace: Mapping[str, Any]
    """What that reference says, verified or not: `id`, `recipient`, metadata."""
    is_queued: bool
    """Whether it is also carried on."""


class Change(msgspec.Struct, frozen=True):
    """A change: of `sender`, `recipients`, `queue` or `meta`, `prepend_header` or `remove_header`."""

    what: str
    value: str
    """The new address, addresses or queue; of header fields and metadata the name."""


class Message:
    """A message at the door: its envelope and content, as they are after the changes made so far."""

    __slots__ = ("_body", "_changes", "_is_single", "_prefix", "_queue", "_recipients", "_section",
                 "_sender", "meta")  # fmt: skip

    def __init__(
        self,
        sender: Address | None,
        recipients: Iterable[Address],
        content: bytes,
        meta: Meta | None = None,
        prefix: bytes = b"",
        *,
        is_single: bool = False,
    ) -> None:
        self._sender = sender
        self._recipients = tuple(recipients)
        self._section, self._body = _split(content)
        self._prefix = prefix
        self._queue: str | None = None
        self._changes: list[Change] = []
        self._is_single = is_single  # one of the messages that a transaction was made into
        self.meta = Meta() if meta is None else meta
        """Yours: names with JSON values, kept with the message to its end."""

    @property
    def sender(self) -> Address | None:
        """The reverse-path; None is the null reverse-path. Set it to an address, a text, or None."""
        return self._sender

    @sender.setter
    def sender(self, value: Address | str | None) -> None:
        self._sender = None if value is None else _address(value)
        self._record("sender", "<>" if self._sender is None else str(self._sender))

    @property
    def recipients(self) -> tuple[Address, ...]:
        """The forward-paths. Set it to addresses or texts: one at least, and in
        `smtp_server_message_received`, where each recipient has a message of its own, one.
        """
        return self._recipients

    @recipients.setter
    def recipients(self, values: Iterable[Address | str]) -> None:
        if isinstance(values, str | Address):
            raise TypeError(f"recipients are several: write [{values!r}]")
        recipients = tuple(_address(value) for value in values)
        if not recipients:
            raise ValueError("a message keeps one recipient at least: reject it instead")
        if self._is_single and len(recipients) > 1:
            raise ValueError(
                "each recipient has a message of its own here: write several in smtp_server_data"
            )
        self._recipients = recipients
        self._record("recipients", ", ".join(map(str, recipients)))

    @property
    def queue(self) -> str | None:
        """The name of the queue it is put into; None: the one of its recipient's domain."""
        return self._queue

    @queue.setter
    def queue(self, name: str | None) -> None:
        if name is not None and not (isinstance(name, str) and name and name.isprintable()):
            raise ValueError(f"{name!r} is not the name of a queue")
        self._queue = name
        self._record("queue", name or "")

    @property
    def headers(self) -> Headers:
        """The header fields, those put above them first."""
        return Headers(self._prefix + bytes(self._section))

    @property
    def body(self) -> bytes:
        """What follows the header section."""
        return bytes(split_content(bytes(self._body))[1])

    @property
    def size(self) -> int:
        """Octets of the whole."""
        return len(self._prefix) + len(self._section) + len(self._body)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What handlers changed, in order."""
        return tuple(self._changes)

    @property
    def parts(self) -> tuple[bytes, bytes | memoryview, memoryview]:
        """The content in pieces: fields put above, header section, the rest from the empty line on."""
        return self._prefix, self._section, self._body

    def prepend_header(self, name: str, value: str) -> None:
        """Put a field above all others. Raises ValueError for what is no field, line breaks above all."""
        self._prefix = _field(name, value) + self._prefix
        self._record("prepend_header", name)

    def remove_header(self, name: str) -> None:
        """Take out every field of this name. Raises ValueError for what is no name."""
        _check_name(name)
        field = rb"^" + re.escape(name.encode()) + rb"[ \t]*:.*(?:\n[ \t].*)*(?:\n|\Z)"
        pattern = re.compile(field, re.MULTILINE | re.IGNORECASE)
        self._section = pattern.sub(b"", bytes(self._section))
        self._prefix = pattern.sub(b"", self._prefix)
        self._record("remove_header", name)

    def _record(self, what: str, value: str) -> None:
        self._changes.append(Change(what, value))

    def __repr__(self) -> str:
        return (
            f"Message(sender={self._sender}, recipients={list(map(str, self._recipients))}, size={self.size})"
        )


def _split(content: bytes) -> tuple[bytes | memoryview, memoryview]:
    """The header section, and everything from the empty line on, without copying the latter."""
    end = content.find(b"\r\n\r\n")
    view = memoryview(content)
    if content.startswith(b"\r\n") or end < 0:
        cut = 0 if content.startswith(b"\r\n") else len(content)
        return b"" if cut == 0 else content, view[cut:]
    return content[: end + 2], view[end + 2 :]


def _address(value: Address | str) -> Address:
    return value if isinstance(value, Address) else Address.parse(value)


def _check_name(name: str) -> None:
    if not isinstance(name, str) or _FIELD_NAME.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not the name of a header field")


def _field(name: str, value: str) -> bytes:
    """One header field, folded, with its CRLF; what is not ASCII is encoded (RFC 2047)."""
    _check_name(name)
    if not isinstance(value, str) or _CONTROLS.search(value):
        raise ValueError(f"the value of {name} holds a line break or another control character")
    charset = "us-ascii" if value.isascii() else "utf-8"
    try:
        folded = Header(value, charset, header_name=name).encode(linesep="\r\n")
    except (HeaderParseError, UnicodeError) as error:
        raise ValueError(f"the value of {name} cannot be encoded: {error}") from None
    line = f"{name}: {folded}\r\n"
    if any(len(part) > MAX_LINE for part in line.split("\r\n")):
        raise ValueError(f"{name} has a word that is longer than a line may be")
    return line.encode("ascii")
