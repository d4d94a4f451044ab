"""What a decision is: the verdict, the reply, who decided, and every check that was made on the way.

These values feed the session, the records, `explain`, `prove` and the operator's own tests alike. They hold
no secrets, and nothing in them can change after they are made. `ListenerDomain`, an operator's handler's
answer, stands here because it is an input of every decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, StrEnum
from typing import Literal

import msgspec

from angarium.mail.address import Address
from angarium.mail.status import Reply
from angarium.policy.config import LineEndings, Network, Source
from angarium.policy.networks import NetworkSet, parse_network

ReportKind = Literal["oob", "arf"]


class LogMode(Enum):
    """What becomes of a report addressed to a domain (contract 2.3)."""

    IGNORE = "Ignore"
    """It is not looked for."""
    LOG_THEN_DROP = "LogThenDrop"
    """Processed, logged and discarded: what `true` means."""
    LOG_THEN_RELAY = "LogThenRelay"
    """Logged, and queued if the recipient may be relayed anyway."""

    @property
    def logs(self) -> bool:
        """Whether messages are examined in this mode."""
        return self is not LogMode.IGNORE

    @classmethod
    def parse(cls, value: object) -> LogMode:
        """Read true, false or the name of a mode; raises ValueError for anything else."""
        if value is True:
            return cls.LOG_THEN_DROP
        if value is False:
            return cls.IGNORE
        try:
            return cls(value)
        except ValueError:
            modes = ", ".join(repr(mode.value) for mode in cls)
            raise ValueError(f"{value!r} is not a way to log reports: write true, false, {modes}") from None


class ListenerDomain:
    """What `get_listener_domain` returns: the whole answer for one domain, in place of the files'.

    `relay_from` takes networks or addresses (strings or `ipaddress` values), `log_oob` and `log_arf` take a
    boolean or a mode (`"LogThenDrop"`, `"LogThenRelay"`, `"Ignore"`); `log_fbl` is another name of `log_arf`;
    `ttl` is accepted and ignored. Raises TypeError or ValueError, which say what to write instead.
    """

    __slots__ = ("log_arf", "log_oob", "relay_from", "relay_from_authz", "relay_to")
    relay_to: bool
    relay_from: NetworkSet
    relay_from_authz: frozenset[str]
    log_oob: LogMode
    log_arf: LogMode

    def __init__(
        self,
        *,
        relay_to: bool = False,
        relay_from: Iterable[str | Network] = (),
        relay_from_authz: Iterable[str] = (),
        log_oob: bool | str | LogMode = False,
        log_arf: bool | str | LogMode | None = None,
        log_fbl: bool | str | LogMode | None = None,
        ttl: object = None,
    ) -> None:
        if not isinstance(relay_to, bool):
            raise TypeError(f"relay_to is True or False, not {relay_to!r}")
        if log_arf is not None and log_fbl is not None:
            raise ValueError("log_fbl is another name of log_arf: give one of them")
        self._set("relay_to", relay_to)
        self._set("relay_from", NetworkSet(_network(value) for value in _items("relay_from", relay_from)))
        self._set("relay_from_authz", frozenset(_identities(relay_from_authz)))
        self._set("log_oob", LogMode.parse(log_oob))
        self._set("log_arf", LogMode.parse(next((v for v in (log_arf, log_fbl) if v is not None), False)))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a ListenerDomain does not change; make another with {name}={value!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ListenerDomain) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        parts = (f"{name}={value!r}" for name, value in self.given().items())
        return f"ListenerDomain({', '.join(parts)})"

    def given(self) -> dict[str, object]:
        """What differs from an answer that allows nothing, as it is given."""
        names = ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf")
        values = {name: getattr(self, name) for name in names}
        return {
            name: _written(value) for name, value in values.items() if value and value is not LogMode.IGNORE
        }

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


def _written(value: object) -> object:
    """A value as it is given."""
    if isinstance(value, LogMode):
        return value.value
    if isinstance(value, NetworkSet):
        return [str(network) for network in value]
    return sorted(value) if isinstance(value, frozenset) else value


def _items(option: str, values: Iterable[object]) -> list[object]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise TypeError(f"{option} is a list, not {values!r}: write [{values!r}]")
    return list(values)


def _network(value: object) -> Network:
    return parse_network(value if isinstance(value, str) else str(value))


def _identities(values: Iterable[str]) -> list[str]:
    items = _items("relay_from_authz", values)
    for item in items:
        if not isinstance(item, str) or not item:
            raise TypeError(f"relay_from_authz holds the names of identities, not {item!r}")
    return [str(item) for item in items]


class HandlerPlace(msgspec.Struct, frozen=True):
    """A handler of the operator's: its function, and where that stands."""

    handler: str
    source: Source


class HandlerAnswer(msgspec.Struct, frozen=True):
    """What `get_listener_domain` answered for one domain; None stands for no answer."""

    domain: ListenerDomain
    place: HandlerPlace


class Verdict(StrEnum):
    """What becomes of one recipient; equal to its text, so that tests read well."""

    RELAY = "relay"
    """Accepted; the message may be queued."""
    REPORT_ONLY = "report-only"
    """Accepted, so that the message can be examined; anything but a report is refused after DATA."""
    REFUSE = "refuse"
    DEFER = "defer"
    """It may be accepted in a transaction of its own."""

    @property
    def accepts(self) -> bool:
        """Whether RCPT is answered 250."""
        return self in (Verdict.RELAY, Verdict.REPORT_ONLY)


class TransactionKind(Enum):
    """What the accepted recipients of a transaction have in common (contract 2.5)."""

    RELAY = "relay"
    OOB = "oob"
    ARF = "arf"
    OOB_AND_ARF = "oob+arf"


class DecidedBy(msgspec.Struct, frozen=True, gc=False):
    """Who decided: a line in a file, a handler, or what holds where neither says anything."""

    kind: Literal["rule", "handler", "default"]
    file: str | None = None
    line: int | None = None
    section: str | None = None
    """The listener section, as the operator named it."""
    key: str | None = None
    """The key of the entry (`*.example.com`), or the option (`relay_hosts`) outside entries."""
    handler: str | None = None
    config: str = ""
    """The hash of the configuration that was in force."""


DEFAULTS = frozenset({None, "allow_sender_routing", "one-reply-one-fate", "prohibited_hosts"})
"""Keys under which recipients are refused by default; others are of commands, content and sessions."""


class Check(msgspec.Struct, frozen=True, gc=False):
    """One step of a decision: the rule, what it read, and what it concluded."""

    rule: str
    holds: bool
    """Whether the rule gave, took or examined something; False: it did not apply."""
    read: str
    concluded: str
    source: Source | None = None
    section: str | None = None
    key: str | None = None
    handler: str | None = None


class Examination(msgspec.Struct, frozen=True):
    """A kind of report that is looked for in a message to this recipient."""

    kind: ReportKind
    mode: LogMode
    decided_by: DecidedBy


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one RCPT, and what end of data needs to know of it."""

    verdict: Verdict
    reply: Reply
    decided_by: DecidedBy
    checks: tuple[Check, ...]
    recipient: Address
    """Where mail goes: as the client wrote it, but for postmaster."""
    right: str | None = None
    """The rule by which it may be relayed; None: it may not."""
    examinations: tuple[Examination, ...] = ()
    invalid_line_endings: LineEndings | None = None
    """What the entry of a recipient that only logs says of bare CR and LF; None: as the listener has it."""

    @property
    def may_relay(self) -> bool:
        """Whether a right to be relayed holds."""
        return self.right is not None

    @property
    def kind(self) -> TransactionKind | None:
        """With which recipients it may share a transaction; None: it was refused."""
        return transaction_kind(self.may_relay, self.examinations)


def transaction_kind(may_relay: bool, examinations: tuple[Examination, ...]) -> TransactionKind | None:
    """The kind of a recipient: may be relayed, or examined for these reports; None for neither."""
    if may_relay:
        return TransactionKind.RELAY
    if len(examinations) == 2:
        return TransactionKind.OOB_AND_ARF
    return TransactionKind(examinations[0].kind) if examinations else None
