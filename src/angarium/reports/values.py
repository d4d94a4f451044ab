"""What a report says, as values: the words that `reports.examine` answers in.

Every value that was read carries a mark: `reported` (the report states it in a field made for it),
`derived` (read out of prose, out of the returned message or out of another value) or `trace` (from our own
trace header). The marks stand beside the values, by field name, so that a value itself stays plain text.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["oob", "arf", "none"]
Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]
Mark = Literal["reported", "derived", "trace"]
Texts = dict[str, tuple[str, ...]]
"""Field values as they came, by lower-case field name."""


class Mta(msgspec.Struct, frozen=True, kw_only=True):
    """A host named in a report, as `type; name` (RFC 3464 section 2.1.2)."""

    mta_type: str
    name: str


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a remote server answered, taken apart."""

    code: int | None = None
    enhanced: str | None = None
    text: str = ""
    """One line, without code and enhanced status."""

    def __str__(self) -> str:
        return " ".join(filter(None, (str(self.code or ""), self.enhanced, self.text)))


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the mail for one recipient (RFC 3464 section 2.3)."""

    address: str
    """The final recipient, else the original one; `local@domain` where the address type is rfc822."""
    address_type: str = "rfc822"
    original: str | None = None
    original_type: str | None = None
    action: Action = "failed"
    status: str | None = None
    """The enhanced status code; derived from the reply or from the prose where no field states it."""
    reply: Reply | None = None
    diagnostic: str | None = None
    """The diagnostic text as it was reported, on one line."""
    diagnostic_type: str | None = None
    remote_mta: Mta | None = None
    last_attempt_date: str | None = None
    will_retry_until: str | None = None
    final_log_id: str | None = None
    extensions: Texts = {}
    unparsed: Texts = {}
    marks: dict[str, Mark] = {}

    @property
    def meant(self) -> str:
        """The recipient as the sender knows it: the original address where it is one, else the final."""
        return self.original if self.original and "@" in self.original else self.address


class Bounce(msgspec.Struct, frozen=True, kw_only=True):
    """An out-of-band bounce: what it says of the message (RFC 3464 section 2.2) and of each recipient."""

    recipients: tuple[Recipient, ...] = ()
    reporting_mta: Mta | None = None
    received_from_mta: Mta | None = None
    dsn_gateway: Mta | None = None
    original_envelope_id: str | None = None
    arrival_date: str | None = None
    queue_id: str | None = None
    extensions: Texts = {}
    unparsed: Texts = {}
    marks: dict[str, Mark] = {}


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A feedback report (RFC 5965 section 3, RFC 6591, RFC 9477), under the JSON names of the log record."""

    feedback_type: str | None = None
    user_agent: str | None = None
    version: str | None = None
    arrival_date: str | None = None
    """RFC 3339; Received-Date, or the returned message, where there is no Arrival-Date."""
    incidents: int | None = None
    original_envelope_id: str | None = None
    original_mail_from: str | None = None
    reporting_mta: Mta | None = None
    source_ip: str | None = None
    authentication_results: tuple[str, ...] = ()
    original_rcpt_to: tuple[str, ...] = ()
    reported_domain: tuple[str, ...] = ()
    reported_uri: tuple[str, ...] = ()
    original_message: str | None = None
    """The returned message or its header, cut at 64 KiB, lines ended by LF."""
    extensions: Texts = {}
    unparsed: Texts = {}
    fields: Texts = {}
    """Every field of the feedback part as it came."""
    marks: dict[str, Mark] = {}


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """What the report returns of the message that it is about."""

    message_id: str | None = None
    sender: str | None = None
    """The From field."""
    to: str | None = None
    subject: str | None = None
    date: str | None = None
    list_unsubscribe: str | None = None
    feedback_id: str | None = None
    """The CFBL-Feedback-ID field (RFC 9477 section 3.2)."""
    traces: tuple[str, ...] = ()
    """What looks like our supplemental trace header, raw and unverified (see `mail.trace`), topmost first."""
    marks: dict[str, Mark] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `examine`: what kind of report a message is, why, and what it says."""

    kind: Kind
    why: str
    """The rule that decided, as one word (`docs/reports.md` lists them)."""
    by_shape: bool = False
    """Recognised by its looks alone, not by a type that an RFC defines."""
    problem: str | None = None
    """Set where the message claims to be a report and is too broken to use: what is wrong with it."""
    bounce: Bounce | None = None
    feedback: Feedback | None = None
    original: Original | None = None

    @property
    def is_usable(self) -> bool:
        """Whether this is a report that can be recorded."""
        return self.kind != "none" and self.problem is None

    @property
    def failed(self) -> tuple[Recipient, ...]:
        """The recipients that the mail failed for: one OOB record each."""
        return self._with_action(failed=True)

    @property
    def notices(self) -> tuple[Recipient, ...]:
        """The recipients of whom something else is told: delayed, delivered, relayed, expanded."""
        return self._with_action(failed=False)

    def _with_action(self, *, failed: bool) -> tuple[Recipient, ...]:
        everyone = self.bounce.recipients if self.bounce else ()
        return tuple(r for r in everyone if (r.action == "failed") is failed)
