"""Where does an effective option come from?

For a listener, a domain, a queue or a site: every layer that says something about an option, in the order in
which they are laid over each other, with file and line, and which of them wins. Reads the sources that the
values of the configuration carry; decides nothing itself. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Literal

import msgspec

from angarium.policy.config import Configuration, Listener, QueueConfig, Source
from angarium.policy.listeners import effective_options, overlays_for
from angarium.policy.match import Entry, Match, PolicyTables, Setting, Table
from angarium.policy.networks import PROHIBITED_HOSTS, IPAddress, NetworkSet
from angarium.policy.route import QueueName
from angarium.policy.shaping import QUEUE_OVERRIDES, PathOptions, overrides
from angarium.policy.throttle import Rate
from angarium.policy.values import spelled

Outcome = Literal["wins", "overridden", "held back", "answers for others"]

ENTRY_OPTIONS = (
    "relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf", "invalid_line_endings", "allow",
)  # fmt: skip


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """What one place says about an option."""

    name: str
    """Which layer: `default`, `listener`, `peer 10.0.0.0/8`, `entry "*.example.com"`, `section office`."""
    value: str
    source: Source | None
    """None: built in."""
    outcome: Outcome
    why: str | None = None
    """Why it has no say, where that is not plain."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One option in force, and where it comes from."""

    option: str
    value: str
    layers: tuple[Layer, ...]


def of_listener(
    configuration: Configuration, listener: Listener, peer: IPAddress, local: IPAddress
) -> list[Origin]:
    """The options in force on a listener for a peer and a local address, merged from its overlays."""
    found: dict[str, list[tuple[str, Any, Source | None]]] = {}
    base = listener.options
    for option in _fields(base):
        source = base.sources.get(option)
        is_top = source is not None and source == configuration.sources.get(option)
        name = "default" if source is None else "top level" if is_top else "listener"
        found[option] = [(name, getattr(base, option), source)]
    for overlay in overlays_for(listener, peer, local):
        kind = "peer" if peer in overlay.network else "via"
        for option, value in overlay.options.items():
            found[option].append((f"{kind} {overlay.network}", value, overlay.sources.get(option)))
    options = effective_options(listener, peer, local)
    return [
        Origin(option=option, value=shown(getattr(options, option)), layers=_stacked(layers))
        for option, layers in found.items()
    ]


def of_queue(configuration: Configuration, name: QueueName) -> list[Origin]:
    """The options in force for a queue, merged from the levels of the queues files."""
    table = configuration.queues
    levels = table.levels(table.key_of(name.domain), name.tenant, name.campaign)
    in_force = table.lookup(name.domain, name.tenant, name.campaign, name.routing_domain)
    origins = []
    for field in msgspec.structs.fields(QueueConfig):
        option = field.name
        if option == "sources":
            continue
        default = None if field.default is msgspec.NODEFAULT else field.default
        default = _UNSAID.get(option) if default is None else default
        if field.type is float and isinstance(default, int):
            default = float(default)
        layers: list[tuple[str, Any, Source | None]] = [("default", default, None)]
        layers += [(title, *level[option]) for title, level in levels if option in level]
        if option == "routing_domain" and name.routing_domain is not None:
            layers.append(("queue name", name.routing_domain, None))
        value = getattr(in_force, option)
        value = _UNSAID.get(option) if value is None else value
        origins.append(Origin(option=option, value=shown(value), layers=_stacked(layers)))
    return origins


_UNSAID = {**dict.fromkeys(QUEUE_OVERRIDES, "as shaping files say"), "prohibited_hosts": PROHIBITED_HOSTS}
"""What holds for a queue where no queues file says it."""


class Site(msgspec.Struct, frozen=True):
    """A way out, as delivery names it: its MX hosts, the entry of its domain, and what its queues say."""

    hosts: tuple[str, ...]
    domain: str = ""
    overrides: Mapping[str, str] = {}


def parse_site(text: str) -> Site:
    """Read a way's name: `out1->mx1.example.com,mx2.example.com:2525;domain=example.com;tls=required`."""
    site, *marks = text.rpartition("->")[2].split(";")
    said = dict(mark.partition("=")[::2] for mark in marks if "=" in mark)
    domain = said.pop("domain", "")
    hosts = tuple(_PORT.sub("", host) for host in site.removesuffix("@lmtp").split(","))
    only = {option: value for option, value in said.items() if option in QUEUE_OVERRIDES}
    return Site(hosts, domain, only)


_PORT = re.compile(r":\d+$")


def of_site(configuration: Configuration, site: Site, config: QueueConfig | None = None) -> list[Origin]:
    """The options of a way out, merged from the layers of the shaping files and those of a queue."""
    layers = configuration.shaping.layers(site.domain, site.hosts)
    queue = dict(overrides(config)) if config is not None else dict(site.overrides)
    origins = []
    for field in msgspec.structs.fields(PathOptions):
        option = field.name
        if option == "sources":
            continue
        said: list[tuple[str, Any, Source | None]] = [("default", field.default, None)]
        said += [(title, *level[option]) for title, level in layers if option in level]
        if option in queue:
            source = config.sources.get(option) if config is not None else None
            said.append(("queue", queue[option], source))
        origins.append(Origin(option=option, value=shown(said[-1][1]), layers=_stacked(said)))
    return origins


def of_domain(
    configuration: Configuration, domain: str, listener: Listener, local: IPAddress
) -> list[Origin]:
    """The options of a domain's entry on a listener: what each entry and section says of it, and what
    holds.
    """
    tables = configuration.domains
    scope = tables.scope(listener.label, local)
    entry = tables.lookup(domain, scope)
    origins = []
    for option in ENTRY_OPTIONS:
        layers = tuple(_entry_layers(tables, scope.section, domain, entry, option))
        setting: Setting[Any] | None = getattr(entry, option) if entry is not None else None
        value = "not said: off" if setting is None else shown(setting.value)
        origins.append(Origin(option=option, value=value, layers=layers))
    return origins


def _entry_layers(
    tables: PolicyTables, section: Table | None, domain: str, entry: Entry | None, option: str
) -> Iterator[Layer]:
    winner: Setting[Any] | None = getattr(entry, option) if entry is not None else None
    above = tables.lookup_above(domain)
    passed: Setting[Any] | None = getattr(above, option) if above is not None else None
    if passed is not None and entry is not None:
        named = domain.replace("?", "*", 1)
        why = f'"{entry.found[0].key}" answers for {named} and inherits nothing'
        yield _layer(passed, "answers for others", why)
    for table in (tables.top, section):
        match = table.find(domain) if table is not None else None
        for setting in _parts(tables, match, option):
            held = _held_back(entry, setting)
            if held is not None:
                yield _layer(setting, "held back", held)
            else:
                is_winner = winner is not None and setting.source == winner.source
                yield _layer(setting, "wins" if is_winner else "overridden")


def _parts(tables: PolicyTables, match: Match | None, option: str) -> Iterator[Setting[Any]]:
    """What each file says: an entry may stand in several."""
    if match is None:
        return
    kind, key, row = match
    for one in row if isinstance(row, tuple) else (row,):
        setting = tables.settings(kind, key, one).get(option)
        if setting is not None:
            yield setting


def _held_back(entry: Entry | None, setting: Setting[Any]) -> str | None:
    ignored = entry.ignored if entry is not None else ()
    return next((one.why for one in ignored if one.setting.source == setting.source), None)


def _layer(setting: Setting[Any], outcome: Outcome, why: str | None = None) -> Layer:
    where = "" if setting.section is None else f" of section {setting.section}"
    name = f'entry "{setting.key}"{where}'
    return Layer(name=name, value=shown(setting.value), source=setting.source, outcome=outcome, why=why)


def _fields(options: msgspec.Struct) -> Iterator[str]:
    for field in msgspec.structs.fields(options):
        if field.name != "sources":
            yield field.name


def _stacked(layers: list[tuple[str, Any, Source | None]]) -> tuple[Layer, ...]:
    """Layers of which the last wins; tables (`meta`) are merged key by key."""
    last = len(layers) - 1
    is_merged = last > 0 and all(isinstance(value, Mapping) for _, value, _ in layers)
    why = "merged key by key" if is_merged else None
    return tuple(
        Layer(
            name=name,
            value=shown(value),
            source=source,
            outcome="wins" if n == last or is_merged else "overridden",
            why=why,
        )
        for n, (name, value, source) in enumerate(layers)
    )


def shown(value: object) -> str:
    """A value as an operator would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, NetworkSet):
        return ", ".join(map(str, value.networks)) or "none"
    if isinstance(value, Rate):
        usual = Rate.parse(str(value))
        return str(value) if value == usual else f"{value},max_burst={value.burst}"
    if isinstance(value, float):
        return spelled(value)
    if isinstance(value, frozenset | tuple | list):
        return (
            ", ".join(sorted(map(str, value)) if isinstance(value, frozenset) else map(str, value)) or "none"
        )
    if isinstance(value, msgspec.Struct):
        return ", ".join(f"{name} = {shown(getattr(value, name))}" for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {part}" for key, part in value.items()) or "none"
    return "none" if value is None else str(value)
