"""Reading listener_domains files: what did the operator write about each domain?

Takes documents (TOML or JSON, read by `policy.source`) in their order and the configured listeners, and makes
the tables of `policy.match`. Keys are brought to one normal form; the same key in several files is merged
option by option, the later file wins; sections are bound to the listeners that they name.

Refuses, each as a problem with file and line: keys that are no domains, two keys of one file that become
one, unknown options, values of the wrong kind, sections that no listener can match, and one option said by
two sections of one listener. It reports all of them, not the first alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from angarium.mail.address import AddressError, normalize_domain
from angarium.policy.bindings import Binding, bind_sections
from angarium.policy.config import Listener, Problem, Source
from angarium.policy.domain_options import OPTIONS, OPTIONS_OF_NULL_PATH, OptionError, suggestion
from angarium.policy.match import LINE_BITS, NULL_PATH, PolicyTables, Raw, Row, Scope, Shape, Table
from angarium.policy.networks import IPAddress, parse_address
from angarium.policy.source import Document, KeyPath

RESERVED = "listener"
"""The top-level key that holds the listener sections; no domain is called so."""

ALL_LISTENERS = "*"

Level = str | None
"""A listener section as the operator named it; None: the top level."""


def load_domains(
    documents: Sequence[Document], listeners: Sequence[Listener]
) -> tuple[PolicyTables, list[Problem]]:
    """Make tables of the files; with an error among the problems they must not be used."""
    reading = _Reading(documents)
    for number, document in enumerate(documents):
        _FileReading(reading, number, document).read()
    reading.bind(listeners)
    return reading.tables, reading.problems


def load_levels(documents: Sequence[Document]) -> tuple[PolicyTables, Mapping[str, Scope]]:
    """Tables of the files, and each section as what it would add for a listener that it alone names."""
    reading = _Reading(documents)
    for number, document in enumerate(documents):
        _FileReading(reading, number, document).read()
    return reading.tables, {level: Scope(table) for level, table in reading.levels.items() if level}


def parse_key(text: str) -> str:
    """The normal form of an entry's key; raises AddressError, which says what to write instead."""
    if text in ("*", NULL_PATH):
        return text
    name = text.removeprefix("*.")
    advice = _key_advice(text, name)
    if advice:
        raise AddressError(advice)
    try:
        return text[: len(text) - len(name)] + normalize_domain(name)
    except AddressError as error:
        raise AddressError(f"{error}: write a domain, *.domain, an [address], * or {NULL_PATH}") from None


def _key_advice(text: str, name: str) -> str | None:
    """What was probably meant by a key that is no domain."""
    if not text:
        return f'an empty key is no domain: the null reverse-path is "{NULL_PATH}"'
    if text.startswith("."):
        return f'"{text}" is no domain: write "*{text}" for every name below it'
    if "@" in text:
        return f'"{text}" is an address: entries are for domains: write "{text.rpartition("@")[2]}"'
    address = _address(name)
    if address is not None and (":" in name or name == text):
        return f'"{text}" is no domain: write the address literal "{literal(address)}"'
    if "*" in name:
        return f'"{text}": * stands only for the leftmost labels: write "*.{name.rpartition("*.")[2]}"'
    if name is not text and name.startswith("["):
        return f'"{text}": nothing is below an address literal: write "{name}"'
    return None


def literal(address: IPAddress) -> str:
    """The address literal of an address, in normal form (RFC 5321 section 4.1.3)."""
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _address(text: str) -> IPAddress | None:
    return parse_address(text) if text[-1:].isdigit() or ":" in text else None


class _Reading:
    """What has been read so far of all files."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.tables = PolicyTables(document.file for document in documents)
        self.problems: list[Problem] = []
        self.levels: dict[Level, Table] = {None: self.tables.top}
        self.places: dict[str, Source] = {}
        """Where each section was first named."""
        self.with_identities: dict[Level, dict[str, None]] = {}
        """The keys of each level that say relay_from_authz, in their order."""
        self._shapes: dict[tuple[object, ...], int] = {}

    def error(self, source: Source, text: str) -> None:
        self.problems.append(Problem(source, text))

    def note(self, source: Source, text: str) -> None:
        self.problems.append(Problem(source, text, is_error=False))

    def row(self, file: int, level: Level, line: int, options: tuple[tuple[str, Raw, int], ...]) -> int:
        """The row of an entry; equal entries share a shape."""
        number = self._shapes.setdefault((file, level, options), len(self._shapes))
        if number == len(self.tables.shapes):
            self.tables.shapes.append(Shape(file, level, options))
        return number << LINE_BITS | line

    def source(self, row: int) -> Source:
        """Where the entry of this row begins."""
        return Source(self.tables.files[self.shape(row).file], row & ((1 << LINE_BITS) - 1))

    def shape(self, row: int) -> Shape:
        """What the entry of this row says."""
        return self.tables.shapes[row >> LINE_BITS]

    def bind(self, listeners: Sequence[Listener]) -> None:
        """Give each listener the sections that name it, and say which name none."""
        bindings = bind_sections(self.places, listeners)
        named = {text for binding in bindings for text in binding.sections}
        labels = tuple(name for listener in listeners for name in (listener.name, listener.listen) if name)
        for text in self.places.keys() - named:
            problem = f'no listener is called "{text}" or listens there'
            self.error(self.places[text], problem + suggestion(text, labels))
        self._scopes(bindings)
        self.problems.sort(key=lambda problem: problem.source)

    def _scopes(self, bindings: Iterable[Binding]) -> None:
        tables = self.tables
        tables.default_scope = Scope(None, self._identities(None, ()))
        for binding in bindings:
            section = self._merge(binding.sections)
            scope = Scope(section, self._identities(section, binding.sections))
            if binding.local is None:
                tables.scopes[binding.listener] = scope
            else:
                tables.local_scopes.setdefault(binding.listener, {})[binding.local] = scope

    def _merge(self, texts: tuple[str, ...]) -> Table | None:
        """One table of all sections that name a listener; an option that two of them give is an error."""
        if len(texts) < 2:
            return self.levels[texts[0]] if texts else None
        merged = Table()
        for text in texts:
            for key, row in self.levels[text].items():
                before = merged.get(key)
                merged.put(key, row if before is None else self._joined(key, before, row))
        return merged

    def _joined(self, key: str, before: Row, row: Row) -> Row:
        first, second = _rows(before), _rows(row)
        places = {
            option: self._place(one, delta) for one in first for option, _, delta in self.shape(one).options
        }
        for one in second:
            for option, _, delta in self.shape(one).options:
                if option in places:
                    self._said_by_two(key, option, places[option], self._place(one, delta))
        return first + second

    def _place(self, row: int, delta: int) -> Source:
        start = self.source(row)
        return Source(start.file, start.line + delta)

    def _said_by_two(self, key: str, option: str, first: Source, second: Source) -> None:
        text = f'{option} of "{key}" stands in two sections of one listener, also at {first}: say it once'
        if (problem := Problem(second, text)) not in self.problems:
            self.problems.append(problem)

    def _identities(self, section: Table | None, texts: tuple[str, ...]) -> Mapping[str, str]:
        """Whom relay_from_authz names in any entry in force here, and for which name."""
        keys = dict(self.with_identities.get(None, {}))
        own = [key for text in texts for key in self.with_identities.get(text, ())]
        if section is not None and not own:
            return self.tables.default_scope.identities
        identities: dict[str, str] = {}
        scope = Scope(section)
        for key in keys | dict.fromkeys(own):
            name = representative(key)
            entry = self.tables.lookup(name, scope)
            if entry is not None and entry.relay_from_authz is not None and key != NULL_PATH:
                for identity in sorted(entry.relay_from_authz.value):
                    identities.setdefault(identity, name)
        return identities


def _rows(row: Row) -> tuple[int, ...]:
    return row if isinstance(row, tuple) else (row,)


def representative(key: str) -> str:
    """A name that the key answers for and no other key can name: labels never hold a question mark."""
    return key.replace("*", "?", 1)


class _FileReading:
    """Reads one file into what has been read so far."""

    def __init__(self, reading: _Reading, number: int, document: Document) -> None:
        self._reading = reading
        self._number = number
        self._document = document

    def read(self) -> None:
        for key, value in self._document.data.items():
            if key != RESERVED:
                self._entry(None, key, value, (key,))
            elif self._is_table(value, (key,), f'write [{RESERVED}."ADDRESS"."DOMAIN"]'):
                self._sections(value)

    def _sections(self, sections: dict[str, Any]) -> None:
        for text, entries in sections.items():
            path = (RESERVED, text)
            if not self._is_table(entries, path, f'write [{RESERVED}."{text}"."DOMAIN"]'):
                continue
            level = None if text == ALL_LISTENERS else text
            if level is not None:
                self._reading.places.setdefault(level, self._document.source(*path))
                self._reading.levels.setdefault(level, Table())
            for key, value in entries.items():
                self._entry(level, key, value, (*path, key))

    def _is_table(self, value: object, path: KeyPath, advice: str) -> bool:
        if not isinstance(value, dict):
            self._error(path, f'"{path[-1]}" is a table of domains: {advice}')
        return isinstance(value, dict)

    def _error(self, path: KeyPath, text: str) -> None:
        self._reading.error(self._document.source(*path), text)

    def _entry(self, level: Level, text: str, value: object, path: KeyPath) -> None:
        if not isinstance(value, dict):
            self._error(path, _not_an_entry(text, level))
            return
        try:
            key = parse_key(text)
        except AddressError as error:
            self._error(path, str(error))
            return
        line = self._document.source(*path).line
        options = self._options(key, value, path, line)
        self._put(level, key, self._reading.row(self._number, level, line, options))
        if "relay_from_authz" in value:
            self._reading.with_identities.setdefault(level, {})[key] = None

    def _put(self, level: Level, key: str, row: int) -> None:
        table = self._reading.levels[level]
        before = table.get(key)
        if before is None:
            table.put(key, row)
            return
        last = _rows(before)[-1]
        if self._reading.shape(last).file == self._number:
            self._said_twice(key, last, row)
        else:
            table.put(key, (*_rows(before), row))

    def _said_twice(self, key: str, first: int, second: int) -> None:
        one, two = sorted((self._reading.source(first), self._reading.source(second)))
        self._reading.error(two, f'"{key}" stands here and on line {one.line}: make them one entry')

    def _options(
        self, key: str, values: dict[str, Any], path: KeyPath, line: int
    ) -> tuple[tuple[str, Raw, int], ...]:
        lines = self._document.lines
        options = []
        for option, value in values.items():
            raw = self._checked(key, option, value, path)
            if raw is not None:
                place = lines.get((*path, option), line)
                options.append(("log_arf" if option == "log_fbl" else option, raw, place - line))
        if "log_fbl" in values and "log_arf" in values:
            other = self._document.source(*path, "log_arf").line
            self._error(
                (*path, "log_fbl"), f"log_fbl is log_arf, which stands on line {other}: say one of them"
            )
        return tuple(options)

    def _checked(self, key: str, option: str, value: object, path: KeyPath) -> Raw | None:
        """The value as it travels; None after a problem, or where the option is ignored."""
        check = OPTIONS.get(option)
        if check is None:
            self._unknown(path, option, value)
        elif key == NULL_PATH and option not in OPTIONS_OF_NULL_PATH:
            text = f'"{NULL_PATH}" takes relay_from and relay_from_authz alone: remove {option}'
            self._error((*path, option), text)
        else:
            try:
                raw = check(option, value)
                return str(self._document.path.parent / str(raw)) if option == "recipients" else raw
            except OptionError as error:
                for one in (error, *error.others):
                    place = (*path, option) if one.index is None else (*path, option, one.index)
                    self._error(place, str(one))
        return None

    def _unknown(self, path: KeyPath, option: str, value: object) -> None:
        place = (*path, option)
        if option == "ttl":
            text = "ttl is ignored: files are read again when they change; remove it"
            self._reading.note(self._document.source(*place), text)
        elif isinstance(value, dict):
            name = f"{path[-1]}.{option}"
            self._error(place, f'"{path[-1]}" holds a table "{option}": quote the whole domain: ["{name}"]')
        else:
            self._error(place, f'unknown option "{option}"{suggestion(option, tuple(OPTIONS))}')


def _not_an_entry(text: str, level: Level) -> str:
    header = '["DOMAIN"]' if level is None else f'[{RESERVED}."{level}"."DOMAIN"]'
    if text in OPTIONS:
        return f"{text} stands outside any entry: write {header} above it"
    return f'"{text}" is not an entry, which is a table of options: write {header}'
