"""What is the smallest change of the files that would turn this decision round?

Makes each change that could matter on values, asks the real `decide` again, and tells only those after which
the verdict is another: as file, line and text. Pure. What a handler decided, and a recipient that only has to
go in a transaction of its own, no line of a file can turn round.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath
from typing import Any, NamedTuple

import msgspec

from angarium.policy.config import Configuration, Listener, Network, Source
from angarium.policy.context import Context, effective_recipient, sender_domain
from angarium.policy.decision import Decision, LogMode, Verdict
from angarium.policy.match import (
    LINE_BITS,
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
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import OPTION_OF, decide

MAX_STEPS = 8
"""Rights that are taken away together at most."""

CountLines = Callable[[str], int]
"""How many lines a file has: what is added comes after them."""


class Change(msgspec.Struct, frozen=True):
    """One change: `replace` this line by the text, `add` the text as this line, or `remove` the line."""

    action: str
    file: str
    line: int
    text: str


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A change that turns the verdict into another; `also` is what must be changed together with it."""

    action: str
    file: str
    line: int
    text: str
    verdict: str
    also: tuple[Change, ...] = ()


class _World(NamedTuple):
    """What a decision reads."""

    domains: PolicyTables
    hash: str
    context: Context

    def decide(self) -> Decision:
        return decide(self, self.context)


_Step = tuple[Change, _World]
Options = tuple[tuple[str, Raw, int], ...]
"""Option, value, and how many lines below the entry's first it stands; 0: on the same."""


def flips(configuration: Configuration, context: Context, count_lines: CountLines) -> list[Flip]:
    """The changes that turn the decision about this question round, each verified; easiest first."""
    world = _World(configuration.domains, configuration.hash, context)
    return list(_Flipping(configuration, world, count_lines).flips())


class _Flipping:
    def __init__(self, configuration: Configuration, world: _World, count_lines: CountLines) -> None:
        self._configuration = configuration
        self._world = world
        self._count_lines = count_lines
        self._decision = world.decide()

    def flips(self) -> Iterator[Flip]:
        verdict = self._decision.verdict
        if verdict is Verdict.RELAY:
            yield from self._taking_away()
        elif verdict is not Verdict.DEFER:
            for step in self._grants():
                yield from self._if_turned([step])
            if verdict is Verdict.REPORT_ONLY:
                yield from self._if_turned(self._ignoring())

    def _if_turned(self, steps: list[_Step]) -> Iterator[Flip]:
        if not steps:
            return
        after = steps[-1][1].decide().verdict
        if after is not self._decision.verdict:
            first, *rest = (change for change, _ in steps)
            yield Flip(**msgspec.structs.asdict(first), verdict=after.value, also=tuple(rest))

    # What would let it through

    def _grants(self) -> Iterator[_Step]:
        world, context = self._world, self._world.context
        recipient, sender = effective_recipient(context).domain, sender_domain(context)
        yield from self._set(world, recipient, "relay_to", True)
        yield from self._relay_hosts(world, [*context.relay_hosts, str(context.peer)])
        entry = self._entry(world, sender)
        peers = _texts(entry.relay_from if entry else None)
        yield from self._set(world, sender, "relay_from", (*peers, str(context.peer)))
        if context.identity is not None:
            names = _texts(entry.relay_from_authz if entry else None)
            yield from self._set(world, sender, "relay_from_authz", (*names, context.identity))
        if effective_recipient(context).routes:
            yield from self._allow_routing(world)

    def _allow_routing(self, world: _World) -> Iterator[_Step]:
        changed = msgspec.structs.replace(world.context, allow_sender_routing=True)
        listener = self._listener()
        if listener is not None:
            change = _add_below(listener, "allow_sender_routing = true")
            yield change, world._replace(context=changed)

    # What would stop it

    def _taking_away(self) -> Iterator[Flip]:
        """Take right after right away, until none is left."""
        steps: list[_Step] = []
        world, decision = self._world, self._decision
        for _ in range(MAX_STEPS):
            step = next(self._without(world, decision), None)
            if step is None:
                break
            _append(steps, step)
            world = step[1]
            decision = world.decide()
        yield from self._if_turned(steps)

    def _without(self, world: _World, decision: Decision) -> Iterator[_Step]:
        """The change that takes away the right by which it is relayed."""
        context = world.context
        if decision.right == "relay_to":
            yield from self._set(world, effective_recipient(context).domain, "relay_to", False)
        elif decision.right == "relay_hosts":
            yield from self._relay_hosts(world, _without_peer(context.relay_hosts, context))
        elif decision.right == "postmaster" and context.postmaster_source is not None:
            source = context.postmaster_source
            change = Change("remove", source.file, source.line, f'postmaster = "{context.postmaster}"')
            yield change, world._replace(context=msgspec.structs.replace(context, postmaster=None))
        elif decision.right in ("relay_from", "relay_from_authz"):
            yield from self._without_sender(world, decision.right)

    def _without_sender(self, world: _World, option: str) -> Iterator[_Step]:
        context = world.context
        entry = self._entry(world, sender_domain(context))
        setting = getattr(entry, option) if entry is not None else None
        if setting is None:
            return
        if option == "relay_from":
            left = tuple(map(str, _without_peer(setting.value, context)))
        else:
            left = tuple(name for name in _texts(setting) if name != context.identity)
        yield from self._set(world, sender_domain(context), option, left)

    def _ignoring(self) -> list[_Step]:
        """No kind of report is looked for any more."""
        steps: list[_Step] = []
        world = self._world
        for examination in self._decision.examinations:
            domain = effective_recipient(world.context).domain
            off = LogMode.IGNORE.value
            for step in self._set(world, domain, OPTION_OF[examination.kind], off):
                _append(steps, step)
                world = step[1]
        return steps

    # Changes of the main file

    def _listener(self) -> Listener | None:
        label = self._world.context.listener
        return next((one for one in self._configuration.listeners if one.label == label), None)

    def _relay_hosts(self, world: _World, networks: Iterable[Network | str]) -> Iterator[_Step]:
        texts = tuple(dict.fromkeys(_short(str(network)) for network in networks))
        text = f"relay_hosts = {_value(texts)}"
        source, listener = world.context.relay_hosts_source, self._listener()
        if source is not None:
            change = Change("replace", source.file, source.line, text)
        elif listener is not None:
            change = _add_below(listener, text)
        else:
            return
        changed = msgspec.structs.replace(world.context, relay_hosts=NetworkSet.parse(texts))
        yield change, world._replace(context=changed)

    # Changes of listener_domains

    def _entry(self, world: _World, domain: str) -> Entry | None:
        context = world.context
        return world.domains.lookup(domain, world.domains.scope(context.listener, context.local))

    def _set(self, world: _World, domain: str, option: str, raw: Raw) -> Iterator[_Step]:
        """Set an option for one domain on this listener, where that takes the least."""
        edit = _Edit(world, domain, option, raw, self._count_lines)
        yield from edit.steps(self._entry(world, domain))


def _append(steps: list[_Step], step: _Step) -> None:
    """Add a step; one that changes what an earlier one has added becomes part of it."""
    change, world = step
    for number, (earlier, _) in enumerate(steps):
        lines = earlier.text.splitlines()
        place = change.line - earlier.line
        if earlier.action == "add" and earlier.file == change.file and 0 <= place <= len(lines):
            lines[place : place + (change.action != "add")] = change.text.splitlines()
            joined = msgspec.structs.replace(earlier, text="\n".join(lines))
            del steps[number]
            steps.append((joined, world))
            return
    steps.append(step)


class _Edit:
    """One option of one domain, set in the tables as a line of a file would."""

    def __init__(self, world: _World, domain: str, option: str, raw: Raw, count_lines: CountLines) -> None:
        self._world = world
        self._domain = domain
        self._option = option
        self._raw = raw
        self._count_lines = count_lines

    def steps(self, entry: Entry | None) -> Iterator[_Step]:
        if not self._world.domains.files:
            return
        setting: Setting[Any] | None = getattr(entry, self._option) if entry is not None else None
        exact = [found for found in entry.found if found.kind is KeyKind.EXACT] if entry is not None else []
        if setting is not None and setting.kind is KeyKind.EXACT:
            stands = next(found for found in exact if found.section == setting.section)
            yield self._in_place(stands, setting.source)
        elif exact:
            yield self._in_place(exact[0], None)
        else:
            yield self._new_entry(entry)

    def _in_place(self, found: Found, source: Source | None) -> _Step:
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

    def _new_entry(self, entry: Entry | None) -> _Step:
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
    ) -> _World:
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
            named = dict.fromkeys(self._raw, self._domain)
            scope = Scope(scope.section, {**named, **scope.identities})
        # Only this listener, and this address, are asked about from here on.
        tables.scopes = {self._world.context.listener: scope}
        tables.default_scope = scope
        return self._world._replace(domains=tables)


def _with_row(level: Table, domain: str, row: Row) -> Table:
    table = Table()
    table.exact = {**level.exact, domain: row}
    table.wildcards, table.default, table.depth = level.wildcards, level.default, level.depth
    return table


def _rows(row: Row) -> tuple[int, ...]:
    return row if isinstance(row, tuple) else (row,)


def _texts(setting: Setting[Any] | None) -> tuple[str, ...]:
    if setting is None:
        return ()
    value = setting.value
    return tuple(_short(str(each)) for each in (sorted(value) if isinstance(value, frozenset) else value))


def _without_peer(networks: NetworkSet, context: Context) -> list[Network]:
    return [network for network in networks if context.peer not in NetworkSet([network])]


def _short(network: str) -> str:
    """One address without its prefix length, as people write it."""
    return network.removesuffix("/128") if ":" in network else network.removesuffix("/32")


# As the files write it

_MODES: dict[Raw, bool] = {LogMode.LOG_THEN_DROP.value: True, LogMode.IGNORE.value: False}


def _is_json(file: str) -> bool:
    return PurePath(file).suffix == ".json"


def _value(raw: Raw) -> str:
    """A value as TOML and JSON both write it, and people do."""
    if raw in _MODES:
        raw = _MODES[raw]
    return json.dumps(list(raw) if isinstance(raw, tuple) else raw, ensure_ascii=False)


def _option(file: str, option: str, raw: Raw) -> str:
    return f'"{option}": {_value(raw)}' if _is_json(file) else f"{option} = {_value(raw)}"


def _inline(file: str, domain: str, given: dict[str, Raw]) -> str:
    inside = ", ".join(_option(file, option, raw) for option, raw in given.items())
    return f'"{domain}": {{{inside}}}' if _is_json(file) else f'"{domain}" = {{ {inside} }}'


def _entry_text(file: str, domain: str, given: dict[str, Raw]) -> str:
    if _is_json(file):
        return _inline(file, domain, given)
    return "\n".join((f'["{domain}"]', *(_option(file, option, raw) for option, raw in given.items())))


def _add_below(listener: Listener, text: str) -> Change:
    """A line for a listener's own table, directly below one of its lines."""
    source = listener.sources.get("listen") or Source("", 0)
    return Change("add", source.file, source.line + 1, text)
