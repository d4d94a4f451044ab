"""What stands in the files and changes nothing?

Entries that can never match, entries and overlays that others hide, sections without effect, domains accepted
without a route. Pure; each finding has its file and line and says what it found. None of it is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from angarium.mail.address import MAX_DOMAIN
from angarium.policy.advice import MAX_ALIKE
from angarium.policy.config import Configuration, Listener, Network, Overlay, Problem, Source
from angarium.policy.domains import representative
from angarium.policy.match import LINE_BITS, Entry, KeyKind, PolicyTables, Row, Scope, Table, is_on
from angarium.policy.networks import NetworkSet
from angarium.policy.open_relay import is_public_suffix
from angarium.policy.regions import Cover
from angarium.policy.space import View, peer_networks, senders, stands

_TOP_LEVEL = frozenset({"com", "net", "org", "edu", "gov", "mil", "int", "info", "biz", "arpa"})
OPTIONS = ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf", "invalid_line_endings")


def idle(configuration: Configuration) -> list[Problem]:
    """Everything that changes nothing, in the order of the files; of many alike the first few."""
    tables = configuration.domains
    found: dict[Problem, None] = {}
    for problems in (
        _too_long(tables),
        _overwritten(tables),
        _redundant(tables),
        _needless_networks(configuration),
        _bare(tables),
        _sections(configuration),
        _overlays(configuration),
        _unrouted(configuration),
    ):
        for count, problem in enumerate(problems):
            if count < MAX_ALIKE:
                found[problem] = None
    return sorted(found)


def _note(source: Source, text: str) -> Problem:
    return Problem(source, text, is_error=False)


def _sources(tables: PolicyTables, row: Row) -> list[tuple[Source, set[str]]]:
    """Where each part of a row begins, and which options it says."""
    parts = row if isinstance(row, tuple) else (row,)
    shapes = [(tables.shapes[one >> LINE_BITS], one & ((1 << LINE_BITS) - 1)) for one in parts]
    return [
        (Source(tables.files[shape.file], line), {option for option, _, _ in shape.options})
        for shape, line in shapes
    ]


def _levels(tables: PolicyTables) -> Iterator[Table]:
    yield tables.top
    local = (scope for by_address in tables.local_scopes.values() for scope in by_address.values())
    sections = {id(s.section): s.section for s in (*tables.scopes.values(), *local) if s.section is not None}
    yield from sections.values()


def _too_long(tables: PolicyTables) -> Iterator[Problem]:
    """A wildcard below which no name is short enough."""
    for level in _levels(tables):
        for suffix, row in level.wildcards.items():
            if len(suffix) + len("a.") > MAX_DOMAIN:
                source = _sources(tables, row)[0][0]
                yield _note(source, f'"*.{suffix[:30]}…" can never match: no name below it is short enough')


def _overwritten(tables: PolicyTables) -> Iterator[Problem]:
    """An entry of which later files say every option again."""
    for level in _levels(tables):
        for key, row in level.items():
            parts = _sources(tables, row)
            for index, (source, options) in enumerate(parts[:-1]):
                later = set().union(*(said for _, said in parts[index + 1 :]))
                if options <= later:
                    where = parts[-1][0]
                    yield _note(source, f'"{key}" is shadowed: {where} says every option of it again')


def _redundant(tables: PolicyTables) -> Iterator[Problem]:
    """An entry that says what the wildcard above it would say without it."""
    if any(scope.section is not None for scope in tables.scopes.values()) or tables.local_scopes:
        return  # a section's wildcard may treat a name with an entry of its own differently
    for key in dict(tables.top.items()):
        if key == "*":
            continue
        name = representative(key)
        above = tables.lookup_above(name)
        if above is None or above.found[0].kind is KeyKind.DEFAULT:
            continue
        entry = tables.lookup(name, tables.default_scope)
        if entry is not None and entry.allow is None and _said(entry) == _said(above):
            other = above.found[0]
            text = f'"{key}" changes nothing: "{other.key}" ({other.source}) says the same'
            yield _note(entry.found[0].source, text)


def _needless_networks(configuration: Configuration) -> Iterator[Problem]:
    """relay_from whose peers may relay anyway, wherever they come in."""
    gives: dict[Source, bool] = {}
    keys: dict[Source, str] = {}
    for stand in stands(configuration):
        view = View(configuration, stand.listener, stand.local)
        known: dict[tuple[Network, ...], bool] = {}
        for key, name in senders([view]).items():
            entry = view.tables.lookup(name, view.scope)
            setting = entry.relay_from if entry is not None else None
            if setting is None or not setting.value:
                continue
            networks = tuple(setting.value)
            if networks not in known:
                known[networks] = _reaches_others(view, networks)
            keys[setting.source] = key
            gives[setting.source] = gives.get(setting.source, False) or known[networks]
    for source, has_effect in gives.items():
        if not has_effect:
            yield _note(
                source, f'relay_from of "{keys[source]}" adds nothing: relay_hosts has all these peers'
            )


def _reaches_others(view: View, networks: tuple[Network, ...]) -> bool:
    """Whether these networks hold a peer that relay_hosts does not."""
    named = NetworkSet(networks)
    cover = Cover((*networks, *peer_networks(view.listener)))
    return any(atom.address in named and not view.by_address(atom.address).may_relay for atom in cover.atoms)


def _bare(tables: PolicyTables) -> Iterator[Problem]:
    """A top-level domain that was probably meant with everything below it, or not at all."""
    for level in _levels(tables):
        for key, row in level.items():
            if key in _TOP_LEVEL or ("." in key and is_public_suffix(key)):
                text = f'"{key}" answers for addresses like user@{key} alone, and for no domain below it'
                yield _note(_sources(tables, row)[0][0], f"{text}: name your domains themselves")


def _said(entry: Entry | None) -> tuple[Any, ...]:
    """The options in force, without where they stand; `"*"` counts apart where it matters."""
    if entry is None:
        return (None,) * len(OPTIONS)
    settings = [getattr(entry, option) for option in OPTIONS]
    return tuple(
        (setting.value, setting.kind is KeyKind.DEFAULT)
        if setting is not None and is_on(setting.value)
        else None
        for setting in settings
    )


def _sections(configuration: Configuration) -> Iterator[Problem]:
    """Entries of sections that leave every answer as it was, on every listener that they are in force for."""
    tables = configuration.domains
    effective: dict[Source, bool] = {}
    keys: dict[Source, str] = {}
    for stand in stands(configuration):
        view = View(configuration, stand.listener, stand.local)
        section = view.scope.section
        if section is None:
            continue
        for key, row in section.items():
            source = _sources(tables, row)[-1][0]
            keys[source] = key
            effective[source] = effective.get(source, False) or _changes(tables, view.scope, key)
    for source, has_effect in effective.items():
        if not has_effect:
            yield _note(source, f'"{keys[source]}" of this listener section changes nothing')


def _changes(tables: PolicyTables, scope: Scope, key: str) -> bool:
    """Whether any name that this key of a section answers for is answered differently without it."""
    assert scope.section is not None
    names = [representative(key)]
    if key.startswith("*"):
        names += [representative(other) for other, _ in tables.top.items()]
    for name in names:
        laid = scope.section.find(name)
        if laid is not None and laid[1] == key and _differs(tables, scope, name):
            return True
    return False


def _differs(tables: PolicyTables, scope: Scope, name: str) -> bool:
    return _said(tables.lookup(name, scope)) != _said(tables.lookup(name, tables.default_scope))


def _overlays(configuration: Configuration) -> Iterator[Problem]:
    """Overlays for addresses that cannot come here, since what holds them is for others."""
    for listener in configuration.listeners:
        yield from _unreachable(listener, listener.peer, None)
        bound = None if listener.host in ("0.0.0.0", "::") else listener.host  # noqa: S104 - read, not bound
        for overlay in listener.via:
            if bound is not None and not _holds(overlay, bound):
                text = f"via {overlay.network} can never match: this listener is at {listener.listen}"
                yield _note(_place(overlay, listener), text)


def _unreachable(listener: Listener, group: tuple[Overlay, ...], holder: Overlay | None) -> Iterator[Problem]:
    for overlay in group:
        if holder is not None and not overlay.network.overlaps(holder.network):
            text = f"peer {overlay.network} can never match inside the overlay for {holder.network}"
            yield _note(_place(overlay, listener), text)
        yield from _unreachable(listener, overlay.peer, overlay)


def _holds(overlay: Overlay, host: str) -> bool:
    return ip_address(host) in overlay.network


def _place(overlay: Overlay, listener: Listener) -> Source:
    return min(overlay.sources.values(), default=listener.sources["listen"])


def _unrouted(configuration: Configuration) -> Iterator[Problem]:
    """Domains whose mail is accepted, and then has nowhere to go: their MX is this very host."""
    tables, queues = configuration.domains, configuration.queues
    for level in _levels(tables):
        for key, row in level.items():
            if key == "*" or key.startswith("["):
                continue
            says = tables.settings(KeyKind.EXACT, key, row).get("relay_to")
            if says is not None and says.value and queues.lookup(key).routing_domain is None:
                yield _note(says.source, f'relay_to accepts mail for "{key}", and no queues file routes it')
