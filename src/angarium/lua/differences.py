"""Where does a listener_domains file of the reference's mean something else here?

Reads the file as it is, and says for each line whose answer differs (`true` for reports, sections of a
listener, wildcards around listed names) what would be written to keep the old meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from angarium.policy.config import Problem
from angarium.policy.source import Document, Key

_REPORTS = ("log_oob", "log_arf", "log_fbl")
Entries = Mapping[str, Mapping[str, Any]]


def differences(document: Document) -> list[Problem]:
    """A warning for every line whose meaning changes."""
    return sorted(_Comparing(document).warnings())


class _Comparing:
    """One file."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._top = _entries({key: part for key, part in document.data.items() if key != "listener"})
        sections = _entries(document.data.get("listener", {}))
        self._sections = {name: _entries(section) for name, section in sections.items() if name != "*"}
        self._listed: Entries = {**_entries(sections.get("*", {})), **self._top}
        """What answers on every listener."""

    def warnings(self) -> Iterator[Problem]:
        for key, entry in self._listed.items():
            path: tuple[Key, ...] = (key,) if key in self._top else ("listener", "*", key)
            yield from self._reports(entry, *path)
            yield from self._wildcards(self._listed, key, *path)
        for name, section in self._sections.items():
            for key, entry in section.items():
                path = ("listener", name, key)
                yield from self._reports(entry, *path)
                yield from self._hidden(key, entry, *path)
                yield from self._wildcards(section, key, *path)

    def _warn(self, text: str, *path: Key) -> Problem:
        return Problem(self._document.source(*path), text, is_error=False)

    def _reports(self, entry: Mapping[str, Any], *path: Key) -> Iterator[Problem]:
        """W2."""
        for option in _REPORTS:
            if entry.get(option) is True:
                text = (
                    f"{option} = true logs and discards a report here, and there logs and relays it: "
                    f'to relay what may be relayed, write {option} = "LogThenRelay"'
                )
                yield self._warn(text, *path, option)

    def _hidden(self, key: str, entry: Mapping[str, Any], *path: Key) -> Iterator[Problem]:
        """W4: what the section says nothing of is the top level's here."""
        kept: dict[str, Any] = {}
        for other, above in self._listed.items():
            if _meet(key, other):
                kept |= {name: value for name, value in above.items() if name not in entry and _is_on(value)}
        if kept:
            text = (
                f"this section is laid over the entries outside it here, and there it hides them: "
                f"to hide them, add {_off(kept)}"
            )
            yield self._warn(text, *path)

    def _wildcards(self, entries: Entries, key: str, *path: Key) -> Iterator[Problem]:
        """W5: names around one that is listed are the wildcard's here."""
        if key.startswith("*") or "." not in key:
            return
        name, around = key, [f"*.{key}"]
        while name := name.partition(".")[2]:
            wildcard = entries.get(f"*.{name}")
            if wildcard is not None:
                yield from self._around(around, key, (f"*.{name}", wildcard), entries, *path)
                return
            around += [name, f"*.{name}"]

    def _around(
        self, around: list[str], key: str, above: tuple[str, Mapping[str, Any]], entries: Entries, *path: Key
    ) -> Iterator[Problem]:
        wildcard, options = above
        on = {name: value for name, value in options.items() if _is_on(value)}
        missing = [name for name in around if name not in entries]
        if on and missing:
            section = "".join(f'listener."{part}".' for part in path[1:-1])
            lines = "; ".join(f'[{section}"{name}"] {_off(on)}' for name in missing)
            text = (
                f"names around {key} that have no entry are answered by {wildcard} here, and there are not: "
                f"to keep them out, add {lines}"
            )
            yield self._warn(text, *path)


def _entries(table: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(table, Mapping):
        return {}
    return {str(key): dict(part) for key, part in table.items() if isinstance(part, Mapping)}


def _meet(first: str, second: str) -> bool:
    """Whether a name can match both keys."""
    if "*" in (first, second):
        return first == second
    return first == second or _covers(first, second) or _covers(second, first)


def _covers(wildcard: str, key: str) -> bool:
    return wildcard.startswith("*.") and key.removeprefix("*").endswith(wildcard[1:])


def _is_on(value: Any) -> bool:
    return bool(value) and value != "Ignore"


def _off(options: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} = {'[]' if isinstance(value, list) else 'false'}" for name, value in sorted(options.items())
    )
