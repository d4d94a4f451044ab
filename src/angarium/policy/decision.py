"""What a decision is: the verdict, the reply, who decided, and every check that was made on the way.

These values feed the session, the records, `explain`, `prove` and the operator's own tests alike. They hold
no secrets, and nothing in them can change after they are made. `ListenerDomain`, an operator's handler's
answer, stands here because it is an input of every decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Literal

from angarium.policy.config import Network
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
        parts = (f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"ListenerDomain({', '.join(parts)})"

    def _values(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


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
