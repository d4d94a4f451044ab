"""What in the listener_domains files is allowed, and probably not meant?

Warnings for `check` and for a reload: entries that are silent where a wildcard or `"*"` above them speaks,
domains accepted without a route to anywhere, options without effect, overlays that no session can match,
lists of peers that are very long together.
Pure; says each with file and line and what to do. The same advice about many entries is summed up after
MAX_ALIKE of them, so that one line in a file of 100,000 does not bury the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network
from typing import Any

from angarium.policy.breadth import is_open, many
from angarium.policy.config import Listener, Network, Overlay, Problem, Source
from angarium.policy.match import Entry, KeyKind, PolicyTables, Setting, Table, is_on
from angarium.policy.open_relay import all_overlays

MAX_ALIKE = 20
INHERITABLE = ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf")
PEER_LISTS = ("relay_hosts", "xclient_hosts", "proxy_hosts")

Settings = dict[str, Setting[Any]]
HasRoute = Callable[[str], bool]
"""Whether the queues files give a key (`example.com`, `*.example.com`, `*`) a next hop."""


def advise(tables: PolicyTables, listeners: Sequence[Listener], has_route: HasRoute) -> list[Problem]:
    """Every warning about the domains and the listeners' overlays of one configuration."""
    advisor = _Advisor(tables, has_route)
    for table in _tables(tables):
        advisor.table(table)
    for listener in listeners:
        advisor.overlays(listener)
        advisor.peer_lists(listener)
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
        self._public: dict[Any, int] = {}
        """How many addresses each list of networks holds, if that is too many and not said otherwise."""

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
        inherits = table is self._tables.top and bool(table.wildcards or table.default)
        for key, row in table.items():
            settings = self._tables.settings(_kind(key), key, row)
            self._no_effect(settings)
            if inherits:
                self._silent(key, settings)
            if _is(settings.get("relay_to")):
                self._relay_to(key, settings["relay_to"])
            relay_from = settings.get("relay_from")
            if relay_from is not None and "allow" not in settings:
                self._broad(f'relay_from of "{key}"', relay_from.value, relay_from.source)

    def _silent(self, key: str, settings: Settings) -> None:
        """Contract 2.1: the entry found inherits nothing."""
        if key == "*":
            return
        above = self._above(key)
        if above is None:
            return
        on = [(name, getattr(above, name)) for name in INHERITABLE if name not in settings]
        silent = [(name, setting) for name, setting in on if setting is not None and is_on(setting.value)]
        if silent:
            names = ", ".join(name for name, _ in silent)
            other = f'"{silent[0][1].key}" turns on ({silent[0][1].source})'
            text = f'"{key}" inherits nothing and is silent on {names}, which {other}'
            missing = " and ".join(f"{name} = ..." for name, _ in silent)
            about = f'silent on {names} of "{silent[0][1].key}"'
            self.warn(about, self._begin(key), f"{text}: write {missing} here too")

    def _above(self, key: str) -> Entry | None:
        return self._tables.lookup_above(key.replace("*", "?", 1))

    def _begin(self, key: str) -> Source:
        entry = self._tables.lookup(key.replace("*", "?", 1), self._tables.default_scope)
        assert entry is not None
        return entry.found[0].source

    def _relay_to(self, key: str, setting: Setting[Any]) -> None:
        if key != "*" and not key.startswith("[") and not self._has_route(key):
            text = f'relay_to accepts mail for "{key}", but no queues file routes it, and its MX is this host'
            advice = f"write [queue.'{key}'] routing_domain = '[ADDRESS]' into a queues file"
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

    def peer_lists(self, listener: Listener) -> None:
        """Look for lists of peers that hold more addresses than anybody's one network has."""
        if listener.allow is None:
            for option in PEER_LISTS:
                source = listener.options.sources.get(option)
                self._broad(option, getattr(listener.options, option), source)
                for overlay in all_overlays(listener.peer, listener.via):
                    networks = overlay.options.get(option, ())
                    self._broad(option, networks, overlay.sources.get(option))

    def _broad(self, what: str, networks: Iterable[Network], source: Source | None) -> None:
        """Say how many there are; a list that is a part of the Internet is an error, and said as one."""
        if networks not in self._public:
            self._public[networks] = 0 if is_open(networks) else many(networks)
        count = self._public[networks]
        if count and source is not None:
            advice = "all of them are believed: name the machines that you mean"
            self.warn("many addresses", source, f"{what} holds {count:,} public addresses, and {advice}")

    def overlays(self, listener: Listener) -> None:
        """Look for overlays that no session on this listener can match."""
        address = ip_address(listener.host)
        everywhere: Network | None = None if address.is_unspecified else ip_network(address)
        peers = None if address.version == 6 else ip_network("0.0.0.0/0")
        self._unmatched(listener, peers, everywhere)

    def _unmatched(self, holder: Listener | Overlay, peers: Network | None, locals_: Network | None) -> None:
        """`peers` and `locals_` are what the sessions that come here have in common; None: nothing."""
        for overlay in holder.peer:
            self._meets(overlay, "peer", peers)
            self._unmatched(overlay, _narrower(overlay.network, peers), locals_)
        for overlay in holder.via:
            self._meets(overlay, "via", locals_)
            self._unmatched(overlay, peers, _narrower(overlay.network, locals_))

    def _meets(self, overlay: Overlay, kind: str, around: Network | None) -> None:
        if around is None or _overlap(overlay.network, around):
            return
        source = next(iter(overlay.sources.values()), None)
        if source is not None:
            text = f"{kind} {overlay.network} can never match: only addresses in {around} come here"
            self.warn("overlays that never match", source, f"{text}: take it out")


def _narrower(network: Network, around: Network | None) -> Network:
    """The narrower of two networks that overlap."""
    if around is None or not _overlap(network, around):
        return network
    return max(network, around, key=lambda each: each.prefixlen)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _kind(key: str) -> KeyKind:
    if key == "*":
        return KeyKind.DEFAULT
    return KeyKind.WILDCARD if key.startswith("*.") else KeyKind.EXACT


def _is(setting: Setting[Any] | None) -> bool:
    return setting is not None and bool(setting.value)
