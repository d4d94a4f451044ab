"""Where do listener_domains files of the reference's mean something else here?

Both lookups are asked: ours, and the reference's as our notes state it (T5 to T16), for every key, every name
around a key and every other name, at the top level and on each listener that a section names. Each
difference is told at the line that makes it, with the entry that would keep the old meaning; the entries that
were proposed already are taken as written. `true` for reports (W2) is told line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from angarium.lua.toml import shown
from angarium.mail.address import AddressError
from angarium.policy.config import Problem, Source
from angarium.policy.decision import LogMode
from angarium.policy.domains import ALL_LISTENERS, RESERVED, load_levels, parse_key, representative
from angarium.policy.match import Entry, PolicyTables, Scope
from angarium.policy.source import Document, Key

_REPORTS = ("log_oob", "log_arf", "log_fbl")
_OPTIONS = ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf")
_SOCKET = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]):\d+")
Entries = dict[str, dict[str, Any]]
Level = str | None
"""A section's name; None: the top level."""


def differences(documents: Sequence[Document]) -> list[Problem]:
    """A warning for every line whose meaning changes; of files that load, in their order."""
    comparing = _Comparing(documents)
    return sorted({*comparing.readings(), *comparing.keys(), *comparing.answers()})


class _Comparing:
    """The files of one `setup`."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        self._levels: dict[Level, Entries] = {None: {}}
        self._places: dict[tuple[Level, str], Source] = {}
        self._proposed: dict[Level, Entries] = {}
        for document in documents:
            for level, key, entry, path in _entries(document):
                self._levels.setdefault(level, {}).setdefault(key, {}).update(entry)
                self._places.setdefault((level, key), document.source(*path))

    def readings(self) -> Iterator[Problem]:
        """W2: what `true` means for reports."""
        for document in self._documents:
            for _, _, entry, path in _entries(document):
                for option in _REPORTS:
                    if entry.get(option) is True:
                        text = (
                            f"{option} = true logs a report and discards it here; KumoMTA relays it, too: "
                            f'to relay what may be relayed, write {option} = "LogThenRelay"'
                        )
                        yield _warning(document.source(*path, option), text)

    def keys(self) -> Iterator[Problem]:
        """W7, W8: sections and keys that never matched there, and do here."""
        for (level, key), source in self._places.items():
            if level is not None and not _SOCKET.fullmatch(level):
                text = (
                    f'the section "{level}" never answers in KumoMTA, which looks for the "ip:port" of a '
                    "listener alone, and answers here: take it out to keep the old meaning"
                )
                yield _warning(source, text)
            elif _normal(key) not in (None, key):
                text = f'"{key}" never matches in KumoMTA, and is "{_normal(key)}" here: '
                yield _warning(source, text + "take it out to keep the old meaning")

    def answers(self) -> Iterator[Problem]:
        """W4, W5, W6: names that get another answer, the top level first."""
        sections = [level for level in self._levels if level is not None and _SOCKET.fullmatch(level)]
        for level in (None, *sections):
            tables, scopes = load_levels([*self._read(), _document(self._proposed)])
            scope = tables.default_scope if level is None else scopes[level]
            yield from self._differing(level, tables, scope)

    def _read(self) -> list[Document]:
        """What the reference's lookup could find, as one file: the rest is told by `keys`."""
        return [_document({level: self._matching(level) for level in self._levels})]

    def _matching(self, level: Level) -> Entries:
        return {key: entry for key, entry in self._levels[level].items() if _normal(key) == key}

    def _differing(self, level: Level, tables: PolicyTables, scope: Scope) -> Iterator[Problem]:
        own, top = self._matching(level), self._matching(None)
        names = list(dict.fromkeys([*_around(own), *_around(top)]))
        maps = (_Map(own), _Map(top))
        there = {name: _reference(maps, top, representative(name)) for name in names}
        old, _ = load_levels([_document({None: there})])
        for name in names:
            was = _on(old.lookup(representative(name), old.default_scope))
            now = _on(tables.lookup(representative(name), scope))
            options = [option for option in _OPTIONS if was.get(option) != now.get(option)]
            if options:
                yield self._told(level, name, self._kept(level, name, options, there[name]))

    def _kept(self, level: Level, name: str, options: list[str], there: Mapping[str, Any]) -> dict[str, Any]:
        """The options that give a name its old answer: a new entry at the top level has to say all."""
        is_whole = level is None and name not in self._levels[None]
        wanted = {option: there[option] for option in _OPTIONS if is_whole and option in there}
        given = {**there, **({"log_arf": there["log_fbl"]} if "log_fbl" in there else {})}
        wanted |= {option: given.get(option, _nothing(option)) for option in options}
        self._proposed.setdefault(level, {}).setdefault(name, {}).update(wanted)
        return wanted

    def _told(self, level: Level, name: str, options: Mapping[str, Any]) -> Problem:
        lines = [f"{option} = {shown(value)}" for option, value in sorted(options.items())]
        if name in self._levels[level]:
            what = "this entry is laid over the one outside the section here, and hides it in KumoMTA"
            return _warning(self._places[level, name], f"{what}: to keep the old meaning, add{_below(lines)}")
        header = f'["{name}"]' if level is None else f'[{RESERVED}."{level}"."{name}"]'
        what = f"the answer for {_names(name)} is not KumoMTA's"
        added = _below([header, *lines])
        return _warning(self._near(level, name), f"{what}: to keep the old one, add{added}")

    def _near(self, level: Level, name: str) -> Source:
        """The line that a name's other answer comes from: a key at or below it, else the level's first."""
        base = name.removeprefix("*.")
        keys = self._levels[level]
        below = (key for key in keys if key == base or key.endswith(f".{base}"))
        above = (key for key in keys if key.startswith("*.") and base.endswith(key[1:]))
        return self._places[level, next(chain(below, above, keys))]


def _entries(document: Document) -> Iterator[tuple[Level, str, dict[str, Any], tuple[Key, ...]]]:
    """Level, key, entry and place of each entry of a file; a top-level one replaces `[listener."*"]`'s."""
    sections = document.data.get(RESERVED, {})
    for level, keys in sections.items() if isinstance(sections, dict) else ():
        for key, entry in keys.items() if isinstance(keys, dict) else ():
            is_hidden = level == ALL_LISTENERS and key in document.data
            if isinstance(entry, dict) and not is_hidden:
                yield None if level == ALL_LISTENERS else level, key, entry, (RESERVED, level, key)
    for key, entry in document.data.items():
        if key != RESERVED and isinstance(entry, dict):
            yield None, key, entry, (key,)


def _document(levels: Mapping[Level, Entries]) -> Document:
    data: dict[str, Any] = dict(levels.get(None, {}))
    data[RESERVED] = {level: entries for level, entries in levels.items() if level is not None}
    return Document("", Path("/"), data, b"", {})


def _normal(key: str) -> str | None:
    """A key as ours are; None: it is none."""
    try:
        return parse_key(key)
    except AddressError:
        return None


def _around(entries: Entries) -> Iterator[str]:
    """The keys, every name above them, and all that is below each; `*`: any other name."""
    yield "*"
    for key in entries:
        name = key.removeprefix("*.")
        if key[:1] in "[<" or name == "*":
            yield key
            continue
        while name:
            yield name
            yield f"*.{name}"
            name = name.partition(".")[2]


def _reference(maps: Sequence[_Map], top: Entries, name: str) -> dict[str, Any]:
    """The reference's answer (T9): this listener's section, the top level, the top level's `*`."""
    found = [entry for entry in (*(one.find(name) for one in maps), top.get("*")) if entry is not None]
    return found[0] if found else {}


class _Map:
    """One map of the reference's: label by label from the right, with no going back (T10 to T13)."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._nodes = set(_suffixes(entries))

    def find(self, name: str) -> dict[str, Any] | None:
        if name[:1] in "[<":
            return self._entries.get(name)
        rest, here = name, ""
        while rest:
            rest, _, label = rest.rpartition(".")
            deeper = f"{label}.{here}" if here else label
            if deeper not in self._nodes:
                return self._entries.get(f"*.{here}" if here else "*")
            here = deeper
        return self._entries.get(here)


def _suffixes(entries: Entries) -> Iterator[str]:
    for key in entries:
        name = key
        while name:
            yield name
            name = name.partition(".")[2]


def _on(entry: Entry | None) -> dict[str, Any]:
    """The options that an entry turns on."""
    found = {option: getattr(entry, option, None) for option in _OPTIONS}
    values = {option: setting.value for option, setting in found.items() if setting is not None}
    return {option: value for option, value in values.items() if value and value != LogMode.IGNORE}


def _nothing(option: str) -> Any:
    return [] if option.startswith("relay_from") else False


def _names(name: str) -> str:
    if name == "*":
        return "names that are near no entry"
    return f"names below {name[2:]} that have no entry" if name.startswith("*.") else f"mail for {name}"


def _below(lines: Sequence[str]) -> str:
    """Lines of a file as they are to be copied."""
    return "".join(f"\n    {line}" for line in lines)


def _warning(source: Source, text: str) -> Problem:
    return Problem(source, text, is_error=False)
