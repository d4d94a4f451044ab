"""What in the listener_domains files is allowed, and probably not meant?

Warnings for `check` and for a reload: entries that are silent where a wildcard or `"*"` above them speaks,
domains accepted without a route to anywhere, options without effect, networks that are everybody. Pure; says
each with file and line and what to do. The same advice about many entries is summed up after MAX_ALIKE of
them, so that one line in a file of 100,000 does not bury the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from angarium.policy.config import Listener, Overlay, Problem, Source
from angarium.policy.match import Entry, KeyKind, PolicyTables, Setting, Table, is_on

MAX_ALIKE = 20
INHERITABLE = ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf")

Settings = dict[str, Setting[Any]]
HasRoute = Callable[[str], bool]
"""Whether the queues files give a key (`example.com`, `*.example.com`, `*`) a next hop."""


def advise(tables: PolicyTables, listeners: Sequence[Listener], has_route: HasRoute) -> list[Problem]:
    """Every warning about the domains and the listeners' relay_hosts of one configuration."""
    advisor = _Advisor(tables, has_route)
    for table in _tables(tables):
        advisor.table(table)
    for listener in listeners:
        advisor.relay_hosts(listener)
    return advisor.sum_up()


def _tables(tables: PolicyTables) -> list[Table]:
    """The top level, and each section once."""
    local = (scope for by_address in tables.local_scopes.values() for scope in by_address.values())
    scopes = (*tables.scopes.values(), *local)
    sections = {id(scope.section): scope.section for scope in scopes if scope.section is not None}
    return [tables.top, *sections.values()]


class _Advisor:
    def __init__(self, tables: PolicyTables, has_route: HasRoute) -> None:
        self._tables = tables
        self._has_route = has_route
        self._problems: dict[Problem, None] = {}
        self._alike: Counter[str] = Counter()
        self._last: dict[str, Source] = {}

    def warn(self, about: str, source: Source, text: str) -> None:
        """Add a warning; those with the same `about` are alike."""
        problem = Problem(source, text, is_error=False)
        if problem in self._problems:
            return
        self._alike[about] += 1
        self._last[about] = source
        if self._alike[about] <= MAX_ALIKE:
            self._problems[problem] = None

    def sum_up(self) -> list[Problem]:
        """The warnings in the order of the files, the many alike summed up."""
        for about, count in self._alike.items():
            if count > MAX_ALIKE:
                text = f"{count - MAX_ALIKE} more entries like those above ({about}); this is the last"
                self._problems[Problem(self._last[about], text, is_error=False)] = None
        return sorted(self._problems)

    def table(self, table: Table) -> None:
        """Look at every entry of one level."""
        for key, row in table.items():
            settings = self._tables.settings(_kind(key), key, row)
            accepted = "allow" in settings
            self._no_effect(settings)
            if table is self._tables.top:
                self._silent(key, settings)
            if _is(settings.get("relay_to")):
                self._relay_to(key, settings["relay_to"], accepted)
            if (networks := settings.get("relay_from")) is not None and not accepted:
                self._wide("relay_from", networks.value, networks.source)

    def _silent(self, key: str, settings: Settings) -> None:
        """Contract 2.1: the entry found inherits nothing."""
        if key == "*":
            return
        above = self._above(key)
        if above is None:
            return
        for option in INHERITABLE:
            setting: Setting[Any] | None = getattr(above, option)
            if setting is not None and is_on(setting.value) and option not in settings:
                text = f'"{key}" inherits nothing and is silent on {option}, which "{setting.key}" turns on'
                about = f'silent on {option} of "{setting.key}"'
                self.warn(
                    about, self._begin(key), f"{text} ({setting.source}): write {option} = ... here too"
                )

    def _above(self, key: str) -> Entry | None:
        return self._tables.lookup_above(key.replace("*", "?", 1))

    def _begin(self, key: str) -> Source:
        entry = self._tables.lookup(key.replace("*", "?", 1), self._tables.default_scope)
        assert entry is not None
        return entry.found[0].source

    def _relay_to(self, key: str, setting: Setting[Any], accepted: bool) -> None:
        if key == "*" and not accepted:
            text = (
                '"*" with relay_to = true relays from anyone to everywhere, an open relay: list the domains'
            )
            self.warn("open relay", setting.source, text)
        elif key != "*" and not key.startswith("[") and not self._has_route(key):
            text = f'relay_to accepts mail for "{key}", but no queues file routes it, and its MX is this host'
            advice = f"write [queue.'{key}'] routing_domain = '[ADDRESS]'"
            self.warn("relay_to without a route", setting.source, f"{text}: {advice}")

    def _no_effect(self, settings: Settings) -> None:
        relay_to, endings = settings.get("relay_to"), settings.get("invalid_line_endings")
        if _is(relay_to) and endings is not None:
            text = (
                "invalid_line_endings has no effect where mail is relayed: set it on the listener or a peer"
            )
            self.warn("invalid_line_endings", endings.source, text)
        for option in ("log_oob", "log_arf"):
            setting = settings.get(option)
            if (
                setting is not None
                and setting.kind is KeyKind.DEFAULT
                and _is(relay_to)
                and is_on(setting.value)
            ):
                text = (
                    f'{option} of "*" examines only what may not be relayed, and relay_to of "*" relays all'
                )
                self.warn('"*"', setting.source, f"{text}: give the domains entries of their own")

    def _wide(self, option: str, networks: Iterable[Any], source: Source) -> None:
        for network in networks:
            if network.prefixlen == 0:
                text = f"{option} believes everybody: {network} is every address: name those that you mean"
                self.warn("believing everybody", source, text)

    def relay_hosts(self, listener: Listener) -> None:
        """Look at whom a listener and its overlays believe."""
        source = listener.options.sources.get("relay_hosts")
        if source is not None:
            self._wide("relay_hosts", listener.options.relay_hosts, source)
        for overlay in _overlays((*listener.peer, *listener.via)):
            source = overlay.sources.get("relay_hosts")
            if source is not None:
                self._wide("relay_hosts", overlay.options["relay_hosts"], source)


def _overlays(overlays: Iterable[Overlay]) -> Iterator[Overlay]:
    for overlay in overlays:
        yield overlay
        yield from _overlays((*overlay.peer, *overlay.via))


def _kind(key: str) -> KeyKind:
    if key == "*":
        return KeyKind.DEFAULT
    return KeyKind.WILDCARD if key.startswith("*.") else KeyKind.EXACT


def _is(setting: Setting[Any] | None) -> bool:
    return setting is not None and bool(setting.value)
