"""Which entry answers for a domain, and what does it say?

Holds the operator's listener_domains files as tables that are small (100,000 entries in some 20 MB) and quick
to ask. The entry found is the whole global answer: its exact key, else the longest wildcard above the name,
else `"*"`. What the sections of the listener say is laid over it option by option, with the two guards of
`_guard`. Every option of the answer knows the line, the key and the section that it comes from.

Refuses to guess: `"*"` never answers for an address literal or for the null reverse-path (`"<>"`), and no
answer outlives the tables that gave it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

from angarium.policy.config import LineEndings, Source
from angarium.policy.decision import HandlerAnswer, LogMode
from angarium.policy.networks import IPAddress, NetworkSet, canonical_address
from angarium.policy.recipients import Recipients

T = TypeVar("T")

NULL_PATH = "<>"
"""The key of the null reverse-path (contract 2.7)."""

LINE_BITS = 32
_LINE_MASK = (1 << LINE_BITS) - 1
_MAX_VALUES = 65536

Row = int | tuple[int, ...]
"""An entry: shape number and line in one number; several where files or sections were merged, the last wins.
"""

Raw = bool | str | tuple[str, ...]
"""A checked value as it travels: `bool`, the name of a mode, the canonical texts of a list."""


class KeyKind(Enum):
    """How a key came to answer for a name."""

    EXACT = "exact"
    WILDCARD = "wildcard"
    DEFAULT = '"*"'
    HANDLER = "handler"


Match = tuple[KeyKind, str, Row]
"""How, by which key, and with which row a table answers."""


class Setting(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One option in force for a domain: its value, and where it comes from."""

    value: T
    source: Source
    key: str
    kind: KeyKind
    section: str | None = None
    """The listener section as the operator named it; None: the top level of the file."""
    handler: str | None = None


class Found(msgspec.Struct, frozen=True, gc=False):
    """An entry that answered: its key and where the entry begins."""

    key: str
    kind: KeyKind
    source: Source
    section: str | None = None
    handler: str | None = None


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """An option of a listener section that a guard held back, and why."""

    option: str
    setting: Setting[Any]
    why: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """The effective options of one domain. None: no entry says anything about the option."""

    domain: str
    found: tuple[Found, ...]
    """The global entry, then the section's; never empty."""
    ignored: tuple[Ignored, ...] = ()
    relay_to: Setting[bool] | None = None
    recipients: Setting[str] | None = None
    """The file of who exists there, absolute; `PolicyTables.recipients` holds what it says."""
    relay_from: Setting[NetworkSet] | None = None
    relay_from_authz: Setting[frozenset[str]] | None = None
    log_oob: Setting[LogMode] | None = None
    log_arf: Setting[LogMode] | None = None
    invalid_line_endings: Setting[LineEndings] | None = None
    allow: Setting[str] | None = None


class Shape(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What equal entries of one file and section share: options, values, and lines counted from the key's."""

    file: int
    section: str | None
    options: tuple[tuple[str, Raw, int], ...]


class Table:
    """Keys of one level: the top level of the files, or the sections of one listener merged."""

    __slots__ = ("default", "depth", "exact", "wildcards")

    def __init__(self) -> None:
        self.exact: dict[str, Row] = {}
        self.wildcards: dict[str, Row] = {}
        """By the name below which they match: `*.example.com` stands under `example.com`."""
        self.default: Row | None = None
        self.depth = 0
        """The most labels that a wildcard's name has."""

    def find(self, name: str) -> Match | None:
        """The key that answers for a normalised name, backing up past names that are not listed."""
        if (row := self.exact.get(name)) is not None:
            return KeyKind.EXACT, name, row
        if name[:1] in "[<":  # address literals and the null reverse-path have only their own key
            return None
        return self.above(name)

    def above(self, name: str) -> Match | None:
        """What would answer for the name if it had no key of its own."""
        parts = name.rsplit(".", self.depth) if self.depth else ()
        for start in range(1, len(parts)):
            suffix = ".".join(parts[start:])
            if (row := self.wildcards.get(suffix)) is not None:
                return KeyKind.WILDCARD, "*." + suffix, row
        return None if self.default is None else (KeyKind.DEFAULT, "*", self.default)

    def get(self, key: str) -> Row | None:
        """The row of a key as it was written (`*.example.com`, `*`, `example.com`)."""
        if key == "*":
            return self.default
        return self.wildcards.get(key[2:]) if key.startswith("*.") else self.exact.get(key)

    def put(self, key: str, row: Row) -> None:
        """Set the row of a key."""
        if key == "*":
            self.default = row
        elif key.startswith("*."):
            self.wildcards[key[2:]] = row
            self.depth = max(self.depth, key.count("."))
        else:
            self.exact[key] = row

    def items(self) -> Iterator[tuple[str, Row]]:
        """Every key, as it was written, with its row."""
        yield from self.exact.items()
        for suffix, row in self.wildcards.items():
            yield "*." + suffix, row
        if self.default is not None:
            yield "*", self.default

    def __len__(self) -> int:
        return len(self.exact) + len(self.wildcards) + (self.default is not None)


class Scope(msgspec.Struct, frozen=True):
    """What one listener, perhaps on one of its addresses, adds to the top level."""

    section: Table | None = None
    identities: Mapping[str, str] = {}
    """Identity → a name whose entry grants `relay_from_authz` to it here."""


class PolicyTables:
    """All listener_domains files of one configuration, ready to be asked; nothing changes after loading."""

    __slots__ = (
        "_values", "default_scope", "files", "local_scopes", "recipients", "scopes", "shapes", "top",
    )  # fmt: skip

    def __init__(self, files: Iterable[str] = ()) -> None:
        self.files = list(files)
        self.shapes: list[Shape] = []
        self.top = Table()
        self.default_scope = Scope()
        self.scopes: dict[str, Scope] = {}
        """By a listener's label."""
        self.local_scopes: dict[str, dict[str, Scope]] = {}
        """By a listener's label and the local address of the connection, where a section names one."""
        self.recipients: dict[str, Recipients] = {}
        """By file: who exists, where an entry says `recipients`."""
        self._values: dict[int, tuple[tuple[str, Any, int], ...]] = {}

    def scope(self, listener: str, local: IPAddress | None = None) -> Scope:
        """The sections in force for connections that this listener accepted on this address."""
        if local is not None and (by_address := self.local_scopes.get(listener)):
            scope = by_address.get(str(canonical_address(local)))
            if scope is not None:
                return scope
        return self.scopes.get(listener, self.default_scope)

    def lookup(self, domain: str, scope: Scope) -> Entry | None:
        """The effective options of a normalised domain (or `"<>"`), or None where nothing answers."""
        found = self.top.find(domain)
        laid = scope.section.find(domain) if scope.section is not None else None
        if laid is not None:
            return self._lay_over(domain, found, laid)
        if found is None:
            return None
        return self._entry(domain, found)

    def lookup_above(self, domain: str) -> Entry | None:
        """The global entry that would answer if the one that answers were not there."""
        found = self.top.find(domain)
        if found is None or domain[:1] in "[<" or found[0] is KeyKind.DEFAULT:
            return None
        above = self.top.above(domain if found[0] is KeyKind.EXACT else found[1][2:])
        return None if above is None else self._entry(domain, above)

    def places(self, option: str) -> dict[Raw, Source]:
        """The values that an option has anywhere, and where each stands first."""
        wanted = {
            number: (raw, delta)
            for number, shape in enumerate(self.shapes)
            for name, raw, delta in shape.options
            if name == option
        }
        found: dict[Raw, Source] = {}
        for table in self._tables() if wanted else ():
            for _key, row in table.items():  # noqa: PERF102 - no dict
                for one in row if isinstance(row, tuple) else (row,):
                    if (said := wanted.get(one >> LINE_BITS)) is not None:
                        file = self.files[self.shapes[one >> LINE_BITS].file]
                        found.setdefault(said[0], Source(file, (one & _LINE_MASK) + said[1]))
        return found

    def _tables(self) -> Iterator[Table]:
        yield self.top
        by_address = (scope for scopes in self.local_scopes.values() for scope in scopes.values())
        for scope in (self.default_scope, *self.scopes.values(), *by_address):
            if scope.section is not None:
                yield scope.section

    def _entry(self, domain: str, found: Match) -> Entry:
        settings: dict[str, Any] = self.settings(*found)
        return Entry(domain=domain, found=(self._found(*found),), **settings)

    def _lay_over(self, domain: str, found: Match | None, laid: Match) -> Entry:
        """Lay a section's entry over the global answer, option by option (contract 2.2)."""
        settings: dict[str, Any] = self.settings(*found) if found else {}
        entries = [self._found(*found)] if found else []
        entries.append(self._found(*laid))
        kept, ignored = _guard(found[0] if found else None, laid[0], self.settings(*laid))
        return Entry(domain=domain, found=tuple(entries), ignored=tuple(ignored), **settings | kept)

    def settings(self, kind: KeyKind, key: str, row: Row) -> dict[str, Setting[Any]]:
        """The options of one entry, each with its source; of several lines for one option the last holds."""
        settings: dict[str, Setting[Any]] = {}
        for one in row if isinstance(row, tuple) else (row,):
            number, line = one >> LINE_BITS, one & _LINE_MASK
            shape = self.shapes[number]
            file = self.files[shape.file]
            for option, value, delta in self._values.get(number) or self._read_values(number):
                settings[option] = Setting(value, Source(file, line + delta), key, kind, shape.section)
        return settings

    def _found(self, kind: KeyKind, key: str, row: Row) -> Found:
        one = row[-1] if isinstance(row, tuple) else row
        shape = self.shapes[one >> LINE_BITS]
        return Found(key, kind, Source(self.files[shape.file], one & _LINE_MASK), shape.section)

    def _read_values(self, number: int) -> tuple[tuple[str, Any, int], ...]:
        if len(self._values) >= _MAX_VALUES:
            self._values.clear()
        options = self.shapes[number].options
        values = tuple((option, typed_value(option, raw), delta) for option, raw, delta in options)
        self._values[number] = values
        return values


def typed_value(option: str, raw: Raw) -> Any:
    """The value that decisions read, from a checked one as it travels."""
    return _READERS[option](raw)


_READERS: dict[str, Any] = {
    "relay_to": bool,
    "recipients": str,
    "relay_from": NetworkSet.parse,
    "relay_from_authz": frozenset,
    "log_oob": LogMode,
    "log_arf": LogMode,
    "invalid_line_endings": LineEndings,
    "allow": str,
}


def is_on(value: object) -> bool:
    """Whether a value gives or examines something: lists that hold something, modes that log, true."""
    if isinstance(value, LogMode):
        return value.logs
    return value is not LineEndings.DENY and bool(value)


def _guard(
    found: KeyKind | None, laid: KeyKind, settings: dict[str, Setting[Any]]
) -> tuple[dict[str, Setting[Any]], list[Ignored]]:
    """Hold back what a section's `"*"` or wildcard may not say about a name that has a global entry."""
    if laid is KeyKind.DEFAULT and found in (KeyKind.EXACT, KeyKind.WILDCARD):
        why = 'a section\'s "*" answers only where no other entry does'
        return {}, [Ignored(option, setting, why) for option, setting in settings.items()]
    if laid is not KeyKind.WILDCARD or found is not KeyKind.EXACT:
        return settings, []
    why = "a section's wildcard may turn options off for a name that has an entry of its own, never on"
    kept = {option: setting for option, setting in settings.items() if not is_on(setting.value)}
    ignored = [Ignored(option, setting, why) for option, setting in settings.items() if option not in kept]
    return kept, ignored


def entry_of_answer(domain: str, answer: HandlerAnswer) -> Entry:
    """A handler's answer in the form of an entry: the whole answer, in place of the files'."""
    place = answer.place

    def setting(value: T) -> Setting[T]:
        return Setting(value, place.source, domain, KeyKind.HANDLER, None, place.handler)

    return Entry(
        domain=domain,
        found=(Found(domain, KeyKind.HANDLER, place.source, None, place.handler),),
        relay_to=setting(answer.domain.relay_to),
        relay_from=setting(answer.domain.relay_from) if answer.domain.relay_from else None,
        relay_from_authz=setting(answer.domain.relay_from_authz) if answer.domain.relay_from_authz else None,
        log_oob=setting(answer.domain.log_oob),
        log_arf=setting(answer.domain.log_arf),
    )
