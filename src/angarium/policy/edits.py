"""What becomes of the tables when somebody writes an option for one domain into the files?

Says where the line would stand and how it would read, in TOML or JSON, and makes the tables that would come
of it, without touching a file. `policy.flips` asks the real `decide` about them. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from angarium.mail.address import AddressError
from angarium.policy.config import Source
from angarium.policy.context import Context
from angarium.policy.decision import Decision, LogMode
from angarium.policy.domains import parse_key, representative
from angarium.policy.match import (
    LINE_BITS,
    NULL_PATH,
    Entry,
    Found,
    KeyKind,
    PolicyTables,
    Raw,
    Row,
    Scope,
    Setting,
    Shape,
    Table,
)
from angarium.policy.relay import decide

CountLines = Callable[[str], int]
"""How many lines a file has: what is added comes after them."""


class Change(msgspec.Struct, frozen=True):
    """One change: `replace` this line by the text, `add` the text as this line, or `remove` the line."""

    action: str
    file: str
    line: int
    text: str


class World(NamedTuple):
    """What a decision reads."""

    domains: PolicyTables
    hash: str
    context: Context

    def decide(self) -> Decision:
        """What is decided in this world."""
        return decide(self, self.context)


Step = tuple[Change, World]
Options = tuple[tuple[str, Raw, int], ...]
"""Option, value, and how many lines below the entry's first it stands; 0: on the same."""


class Edit:
    """One option of one domain, set in the tables as a line of a file would."""

    def __init__(self, world: World, domain: str, option: str, raw: Raw, count_lines: CountLines) -> None:
        self._world = world
        self._domain = domain
        self._option = option
        self._raw = raw
        self._count_lines = count_lines

    def steps(self, entry: Entry | None) -> Iterator[Step]:
        """The one change that sets it, where a file can; `entry` is what answers for the domain now."""
        if not self._world.domains.files:
            return
        setting: Setting[Any] | None = getattr(entry, self._option) if entry is not None else None
        exact = [found for found in entry.found if found.kind is KeyKind.EXACT] if entry is not None else []
        if setting is not None and setting.kind is KeyKind.EXACT:
            stands = next(found for found in exact if found.section == setting.section)
            yield self._in_place(stands, setting.source)
        elif exact:
            yield self._in_place(exact[0], None)
        elif _is_key(self._domain):
            yield self._new_entry(entry)

    def _in_place(self, found: Found, source: Source | None) -> Step:
        """Change the option's line in an entry of the domain's own, or give it one."""
        level = self._level(found.section)
        row = self._row(level, None if source is None else source.file)
        shape = self._world.domains.shapes[row >> LINE_BITS]
        place = Source(self._world.domains.files[shape.file], row & ((1 << LINE_BITS) - 1))
        found = msgspec.structs.replace(found, source=place)
        file, begin = found.source.file, found.source.line
        options: Options = ((self._option, self._raw, 0),)
        if shape.options and not any(delta for _, _, delta in shape.options):
            given = {option: raw for option, raw, _ in shape.options} | {self._option: self._raw}
            options = tuple((option, raw, 0) for option, raw in given.items())
            change = Change("replace", file, begin, _inline(file, self._domain, given))
        else:
            action, line = ("add", begin + 1) if source is None else ("replace", source.line)
            options = ((self._option, self._raw, line - begin),)
            change = Change(action, file, line, _option(file, self._option, self._raw))
        rows = _rows(level.exact[self._domain])
        return change, self._changed(level, shape.file, found, rows, options)

    def _new_entry(self, entry: Entry | None) -> Step:
        """An entry of its own, which says again what a wildcard or `"*"` has said for the domain."""
        tables = self._world.domains
        file = tables.files[0]
        given = dict(self._inherited(entry)) | {self._option: self._raw}
        line = 2 if _is_json(file) else self._count_lines(file) + 1
        change = Change("add", file, line, _entry_text(file, self._domain, given))
        found = Found(self._domain, KeyKind.EXACT, Source(file, line))
        options = tuple((option, raw, number) for number, (option, raw) in enumerate(given.items(), 1))
        return change, self._changed(tables.top, 0, found, (), options)

    def _inherited(self, entry: Entry | None) -> Iterator[tuple[str, Raw]]:
        found = self._world.domains.top.find(self._domain) if entry is not None else None
        if found is None:
            return
        for one in _rows(found[2]):
            for option, raw, _ in self._world.domains.shapes[one >> LINE_BITS].options:
                yield option, raw

    def _level(self, section: str | None) -> Table:
        if section is None:
            return self._world.domains.top
        scope = self._scope()
        assert scope.section is not None
        return scope.section

    def _scope(self) -> Scope:
        context = self._world.context
        return self._world.domains.scope(context.listener, context.local)

    def _row(self, level: Table, file: str | None) -> int:
        """The entry's row in this file, where it stands in several; else the last, which wins."""
        tables = self._world.domains
        rows = _rows(level.exact[self._domain])
        own = [row for row in rows if tables.files[tables.shapes[row >> LINE_BITS].file] == file]
        return (own or rows)[-1]

    def _changed(
        self, level: Table, file: int, found: Found, rows: tuple[int, ...], options: Options
    ) -> World:
        """The world after the change: tables of their own, in which one entry has one more row."""
        old = self._world.domains
        shape = Shape(file, found.section, options)
        row = len(old.shapes) << LINE_BITS | found.source.line
        tables = PolicyTables(old.files)
        tables.shapes = [*old.shapes, shape]
        changed = _with_row(level, self._domain, (*rows, row))
        tables.top = changed if level is old.top else old.top
        scope = self._scope()
        if level is not old.top:
            scope = Scope(changed, scope.identities)
        if self._option == "relay_from_authz" and isinstance(self._raw, tuple):
            scope = Scope(scope.section, self._identities(tables, scope, self._raw))
        # Only this listener, and this address, are asked about from here on.
        tables.scopes = {self._world.context.listener: scope}
        tables.default_scope = scope
        return self._world._replace(domains=tables)

    def _identities(self, tables: PolicyTables, scope: Scope, given: tuple[str, ...]) -> dict[str, str]:
        """Who may send with the null reverse-path, and by which entry, after the change."""
        left = dict(scope.identities)
        for identity in [one for one, name in left.items() if name == self._domain and one not in given]:
            del left[identity]
            other = next(_naming(tables, scope, identity), None)
            if other is not None:
                left[identity] = other
        return {**dict.fromkeys(given, self._domain), **left}


def _naming(tables: PolicyTables, scope: Scope, identity: str) -> Iterator[str]:
    """For which names an entry that is in force here names an identity."""
    shapes = {
        number
        for number, shape in enumerate(tables.shapes)
        for option, raw, _ in shape.options
        if option == "relay_from_authz" and isinstance(raw, tuple) and identity in raw
    }
    for level in (tables.top, *([scope.section] if scope.section is not None else [])):
        for key, row in level.items():
            if key != NULL_PATH and any(one >> LINE_BITS in shapes for one in _rows(row)):
                entry = tables.lookup(representative(key), scope)
                named = entry.relay_from_authz if entry is not None else None
                if named is not None and identity in named.value:
                    yield representative(key)


def _is_key(domain: str) -> bool:
    """Whether a file takes the name as a key: a domain of digits reads as an address."""
    try:
        return parse_key(domain) == domain
    except AddressError:
        return False


def _with_row(level: Table, domain: str, row: Row) -> Table:
    table = Table()
    table.exact = {**level.exact, domain: row}
    table.wildcards, table.default, table.depth = level.wildcards, level.default, level.depth
    return table


def _rows(row: Row) -> tuple[int, ...]:
    return row if isinstance(row, tuple) else (row,)


# As the files write it

_MODES: dict[Raw, bool] = {LogMode.LOG_THEN_DROP.value: True, LogMode.IGNORE.value: False}


def _is_json(file: str) -> bool:
    return PurePath(file).suffix == ".json"


def as_text(raw: Raw) -> str:
    """A value as TOML and JSON both write it, and people do."""
    if raw in _MODES:
        raw = _MODES[raw]
    return json.dumps(list(raw) if isinstance(raw, tuple) else raw, ensure_ascii=False)


def _option(file: str, option: str, raw: Raw) -> str:
    return f'"{option}": {as_text(raw)}' if _is_json(file) else f"{option} = {as_text(raw)}"


def _inline(file: str, domain: str, given: dict[str, Raw]) -> str:
    inside = ", ".join(_option(file, option, raw) for option, raw in given.items())
    return f'"{domain}": {{{inside}}}' if _is_json(file) else f'"{domain}" = {{ {inside} }}'


def _entry_text(file: str, domain: str, given: dict[str, Raw]) -> str:
    if _is_json(file):
        return _inline(file, domain, given)
    return "\n".join((f'["{domain}"]', *(_option(file, option, raw) for option, raw in given.items())))
