"""What does a record say of the question that was asked then, and of its answer?

As much of a Reception or Rejection as can be asked again: the session, the recipients as the client named
them, and who decided. Read alike by `admin.recorded`, which asks one session again, and by `admin.replay`,
which puts all of them to another configuration.
"""

from __future__ import annotations

import msgspec

from angarium.policy.decision import DEFAULTS, DecidedBy

_RCPT = "RCPT TO:<"
_BEGINS = (b'{"type":"Reception', b'{"type":"Rejection')
_REPORTS = (b'{"type":"OOB', b'{"type":"Feedback')


class Status(msgspec.Struct, rename={"class_": "class"}):
    """An enhanced status code."""

    class_: int
    subject: int
    detail: int

    def __str__(self) -> str:
        return f"{self.class_}.{self.subject}.{self.detail}"


class Said(msgspec.Struct):
    """A reply."""

    code: int = 0
    enhanced_code: Status | None = None
    content: str = ""
    command: str | None = None

    def __str__(self) -> str:
        return " ".join(str(part) for part in (self.code, self.enhanced_code, self.content) if part)


class Peer(msgspec.Struct):
    """The client."""

    addr: str = ""


class Told(msgspec.Struct):
    """A recipient that was accepted."""

    address: str = ""
    decided_by: DecidedBy | None = None
    reply: str | None = None

    @property
    def asked(self) -> str:
        """The recipient as the client named it."""
        return _asked(self.address, self.decided_by)


class Call(msgspec.Struct):
    """A handler's call."""

    event: str = ""


class Entry(msgspec.Struct):
    """One Reception or Rejection; of an OOB or Feedback record, whose report it tells of."""

    type: str
    id: str = ""
    session_id: str = ""
    event_time: str = ""
    sender: str = ""
    recipient: str | list[str] = ""
    response: Said = msgspec.field(default_factory=Said)
    peer_address: Peer | None = None
    listener: str = ""
    local_address: str = ""
    helo: str = ""
    authz_id: str | None = None
    tls_cipher: str | None = None
    recipients: list[Told] = []
    recipients_left_out: int = 0
    handlers: list[Call] = []
    decided_by: DecidedBy | None = None
    disposition: str | None = None
    report_error: str | None = None
    why: str | None = None
    limit: str | None = None

    @property
    def refused(self) -> str | None:
        """The recipient whose RCPT it refuses."""
        command = self.response.command or ""
        is_rcpt = self.type == "Rejection" and command.startswith(_RCPT)
        return command[len(_RCPT) :].rstrip(">") if is_rcpt else None

    @property
    def is_decision(self) -> bool:
        """Whether the policy decided: about a recipient, or about content that was to be a report."""
        decided = self.decided_by
        if decided is None or self.limit or (self.refused is None and self.response.command != "DATA"):
            return False
        return decided.kind != "default" or decided.key in DEFAULTS

    @property
    def asked(self) -> str:
        """The recipient that it is about, as the client named it."""
        if self.refused is not None:
            return self.refused
        if self.type == "Rejection" and self.recipients:
            return self.recipients[0].asked
        one = self.recipient
        return _asked(one if isinstance(one, str) else next(iter(one), ""), self.decided_by)

    @property
    def peer(self) -> str:
        """The client's address; empty where it is not recorded."""
        return self.peer_address.addr if self.peer_address is not None else ""


def _asked(address: str, decided: DecidedBy | None) -> str:
    """Mail to postmaster is recorded with the address that it goes to."""
    return "Postmaster" if decided is not None and decided.key == "postmaster" else address


_decoder = msgspec.json.Decoder(Entry)


def read_entry(line: bytes, *, with_reports: bool = False) -> Entry | None:
    """The entry of a record, a line of JSON; None for one of another type. Raises msgspec.MsgspecError."""
    if line.startswith(_BEGINS) or (with_reports and line.startswith(_REPORTS)):
        return _decoder.decode(line)
    return None
