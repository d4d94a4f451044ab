"""Which options has a queue? Reading queues files, and answering for a domain, a tenant and a campaign.

Levels are merged option by option, each laid over those before it: `[queue.default]`, the domain's entry
(its own, else the longest wildcard that matches), `[tenant.'T']`, `[queue.'DOMAIN'.'T']`,
`[queue.'DOMAIN'.'T'.'C']`. Every option of the answer says where it was written. Answers are remembered, as
many as there are entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

import msgspec

from angarium.mail.address import AddressError, normalize_domain
from angarium.policy import values
from angarium.policy.config import TLS_MODES, Problem, Protocol, QueueConfig, Source
from angarium.policy.route import RouteError, parse_next_hop
from angarium.policy.shaping import rate
from angarium.policy.source import Document, Key
from angarium.policy.tables import NOT_YET, Reader, Schema
from angarium.policy.values import BadValueError, duration, whole_number

DEFAULT = "default"

MAILDIR_FIELDS = (
    *("queue", "campaign", "tenant", "domain", "routing_domain", "local_part", "domain_part", "email"),
    *("sender_local_part", "sender_domain_part", "sender_email"),
)
"""What a maildir_path may have in braces."""

Level = dict[str, tuple[Any, Source]]
"""Option name → value, and where it was written."""


def _routing_domain(value: object) -> str:
    return _normal_route(values.text(value))


@lru_cache(maxsize=4096)
def _normal_route(text: str) -> str:
    try:
        return str(parse_next_hop(text, is_trusted=True))
    except RouteError as error:
        raise BadValueError(str(error)) from None


_PROTOCOLS: dict[str, dict[str, values.Parser]] = {
    "smtp": {"mx_list": values.list_of(_routing_domain)},
    "lmtp": {"mx_list": values.list_of(_routing_domain)},
    "maildir": {
        "maildir_path": values.text,
        "dir_mode": whole_number(0, 0o777),
        "file_mode": whole_number(0, 0o777),
    },
    "handler": {},
}


def _protocol(value: object) -> Protocol:
    """A protocol by its name, or as a table: `{ smtp = { mx_list = [...] } }`, `{ maildir_path = '...' }`."""
    if isinstance(value, str):
        value = {value: {}}
    if isinstance(value, Mapping) and "maildir_path" in value:
        value = {"maildir": value}
    if not isinstance(value, Mapping) or len(value) != 1 or next(iter(value)) not in _PROTOCOLS:
        raise BadValueError(
            f"{values.shown(value)} is no protocol: write 'smtp', 'lmtp', 'handler', "
            "{ smtp = { mx_list = ['mx.example.com'] } } or { maildir_path = '/var/mail/{email}' }"
        )
    [(kind, options)] = value.items()
    return Protocol(kind=kind, **values.inside(lambda table: _options_of(kind, table), kind, options))


def _options_of(kind: str, table: object) -> dict[str, Any]:
    known = _PROTOCOLS[kind]
    if not isinstance(table, Mapping) or table.keys() - known.keys():
        raise BadValueError(f"{kind} takes {', '.join(known) or 'no options'}")
    if kind == "maildir":
        maildir_template(table.get("maildir_path"))
    return {name: values.inside(known[name], name, value) for name, value in table.items()}


def maildir_template(value: object) -> None:
    """Check a template of paths; raises BadValueError."""
    fields = {field for _, field, _, _ in _parts(values.text(value)) if field is not None}
    unknown = fields - set(MAILDIR_FIELDS)
    if unknown or not str(value).startswith("/"):
        raise BadValueError(
            f"{values.shown(value)} is no template: write an absolute path with {{email}}, {{local_part}} or "
            f"others of {', '.join(MAILDIR_FIELDS)}"
        )


def _parts(template: str) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(Formatter().parse(template))
    except ValueError:
        raise BadValueError(f"{values.shown(template)} has a brace that is not closed") from None


OPTIONS: dict[str, values.Parser] = {
    "retry_interval": duration,
    "max_retry_interval": duration,
    "max_age": duration,
    "routing_domain": _routing_domain,
    "connection_limit": whole_number(1),
    "max_deliveries_per_connection": whole_number(1),
    "prohibited_hosts": values.list_of(values.network),
    "smtp_port": whole_number(1, 65535),
    "max_message_rate": rate,
    "egress_pool": values.text,
    "protocol": _protocol,
    "tls": values.one_of(*TLS_MODES),
    "supplemental_trace": values.boolean,
    "verp": values.domain,
    "dsn_failure": values.boolean,
    "dsn_delay": duration,
    "dsn_success": values.boolean,
    "dsn_return": values.one_of("none", "headers", "full"),
    "dsn_to_strangers": values.boolean,
}
_NOT_YET = {"overall_max_message_rate": NOT_YET}
_NO_EFFECT = "has no effect here, where queues need no such tuning"
_IGNORED = dict.fromkeys(
    (
        *("strategy", "timerwheel_tick_interval", "reap_interval", "refresh_interval", "refresh_strategy"),
        *("shrink_policy", "provider_name"),
    ),
    _NO_EFFECT,
)
QUEUE_SCHEMA = Schema(OPTIONS, refused=_NOT_YET, ignored=_IGNORED)
TENANT_SCHEMA = Schema(
    {**OPTIONS, "require_authz": values.list_of(values.text)},
    refused={**_NOT_YET, "campaigns": NOT_YET},
    ignored=_IGNORED,
)
FILE_SCHEMA = Schema(
    {
        "scheduling_header": values.text,
        "tenant_header": values.text,
        "remove_tenant_header": values.boolean,
        "campaign_header": values.text,
        "remove_campaign_header": values.boolean,
        "default_tenant": values.text,
    },
    tables=("queue", "tenant"),
)


class HeaderOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Which fields of a message's header choose its queue and its time (reference Q4)."""

    scheduling_header: str | None = None
    tenant_header: str | None = None
    remove_tenant_header: bool = False
    campaign_header: str | None = None
    remove_campaign_header: bool = False
    default_tenant: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no header needs to be read."""
        return not (
            self.scheduling_header or self.tenant_header or self.campaign_header or self.default_tenant
        )


class Tenant(msgspec.Struct):
    """The options of a tenant or campaign, and the campaigns below it."""

    options: Level
    below: dict[str, Tenant] = {}


Tenants = dict[str, Tenant]

Shape = tuple[int, tuple[tuple[str, Any, int], ...]]
"""What equal entries of a file share: its number; options, values, lines counted from the entry's."""

Row = tuple[int, ...]
"""An entry: shape number and line in one number, one for each file that says something; the last wins."""

_LINE_BITS = 32


class QueueTable:
    """All queues files of one configuration, packed for 100,000 domains; nothing changes after loading."""

    __slots__ = ("_answers", "default", "domains", "files", "headers", "require_authz", "shapes", "tenants",
                 "tenants_of")  # fmt: skip

    def __init__(self) -> None:
        self.files: list[str] = []
        self.shapes: list[Shape] = []
        self.default: Level = {}
        self.domains: dict[str, Row] = {}
        """By domain in normal form; a wildcard with its `*.`."""
        self.tenants: Tenants = {}
        self.tenants_of: dict[str, Tenants] = {}
        """By the same keys as `domains`, where a domain has tenants of its own."""
        self.headers = HeaderOptions()
        self.require_authz: dict[str, tuple[str, ...]] = {}
        """Tenant → the identities that may send as it; others take anybody."""
        self._answers: dict[tuple[str, str | None, str | None], QueueConfig] = {}

    def lookup(
        self,
        domain: str,
        tenant: str | None = None,
        campaign: str | None = None,
        routing_domain: str | None = None,
    ) -> QueueConfig:
        """The options of a queue; its own `routing_domain`, if it has one, is laid over all of them.

        The domain is in normal form. Raises ValueError for a routing domain that is none.
        """
        config = self._remembered(domain, tenant, campaign)
        if routing_domain is None or routing_domain == config.routing_domain:
            return config
        sources = {name: source for name, source in config.sources.items() if name != "routing_domain"}
        return msgspec.structs.replace(config, routing_domain=routing_domain, sources=sources)

    def key_of(self, domain: str) -> str:
        """The key that answers for a domain: its own, else the longest wildcard above it, else `default`."""
        if domain in self.domains:
            return domain
        rest = "" if domain.startswith("[") else domain
        while rest:
            rest = rest.partition(".")[2]
            if f"*.{rest}" in self.domains:
                return f"*.{rest}"
        return DEFAULT

    def _remembered(self, domain: str, tenant: str | None, campaign: str | None) -> QueueConfig:
        """The merged options; only names that stand in the files make answers of their own."""
        key = self.key_of(domain)
        below = self.tenants_of.get(key, {}).get(tenant or "")
        if below is None or campaign not in below.below:
            campaign = None
        if below is None and tenant not in self.tenants:
            tenant = None
        answer = self._answers.get((key, tenant, campaign))
        if answer is None:
            answer = self._answers[key, tenant, campaign] = self._merged(key, tenant, campaign)
        return answer

    def _merged(self, key: str, tenant: str | None, campaign: str | None) -> QueueConfig:
        merged: Level = {}
        for _, level in self.levels(key, tenant, campaign):
            merged |= level
        given = {name: value for name, (value, _) in merged.items()}
        return QueueConfig(**given, sources={name: source for name, (_, source) in merged.items()})

    def named(self, option: str) -> dict[Any, Source]:
        """Every value that the files give an option, and where it was given first."""
        found: dict[Any, Source] = {}
        for level in self.each_level(option):
            found.setdefault(*level[option])
        return found

    def each_level(self, *wanted: str) -> Iterator[Level]:
        """The levels that say at least one of these options."""
        levels: list[Level] = [self.default, *_levels_below(self.tenants)]
        for tenants in self.tenants_of.values():
            levels += _levels_below(tenants)
        if any(name in wanted for _, options in self.shapes for name, _, _ in options):
            levels += map(self._level, self.domains.values())
        return (level for level in levels if not level.keys().isdisjoint(wanted))

    def levels(self, key: str, tenant: str | None, campaign: str | None) -> list[tuple[str, Level]]:
        """The levels that are merged for a key, each laid over those before it, as the file calls them."""
        below = self.tenants_of.get(key, {}).get(tenant or "")
        lowest = below.below.get(campaign or "") if below else None
        levels = [(f"queue.{DEFAULT}", self.default)]
        if key != DEFAULT:
            levels.append((f"queue.'{key}'", self._level(self.domains.get(key, ()))))
        owners = (
            (f"tenant.'{tenant}'", self.tenants.get(tenant or "")),
            (f"queue.'{key}'.'{tenant}'", below),
            (f"queue.'{key}'.'{tenant}'.'{campaign}'", lowest),
        )
        return levels + [(name, owner.options) for name, owner in owners if owner is not None]

    def _level(self, row: Row) -> Level:
        level: Level = {}
        for one in row:
            file, options = self.shapes[one >> _LINE_BITS]
            line = one & (1 << _LINE_BITS) - 1
            for name, value, delta in options:
                level[name] = (value, Source(self.files[file], line + delta))
        return level


def _levels_below(tenants: Tenants) -> Iterator[Level]:
    for tenant in tenants.values():
        yield tenant.options
        yield from _levels_below(tenant.below)


def load_queues(documents: Iterable[Document]) -> tuple[QueueTable, list[Problem]]:
    """Make the table of the files, later ones laid over earlier ones; with an error it must not be used."""
    table = QueueTable()
    problems: list[Problem] = []
    for document in documents:
        _FileReading(table, Reader(document, problems)).read()
    return table, problems


class _FileReading:
    """Reads one file into the table."""

    def __init__(self, table: QueueTable, reader: Reader) -> None:
        self._table = table
        self._reader = reader
        table.files.append(reader.document.file)
        self._shapes: dict[Shape, int] = {}
        self._seen: dict[str, str] = {}
        """Domain in normal form → the key of this file that it was written as."""

    def read(self) -> None:
        data = self._reader.document.data
        given, _ = self._reader.options(data, FILE_SCHEMA)
        self._table.headers = msgspec.structs.replace(self._table.headers, **given)
        for key in self._reader.table(data, "queue"):
            self._domain(data["queue"], key)
        for name in self._reader.table(data, "tenant"):
            table = self._reader.table(data["tenant"], "tenant", name)
            level = self._level(table, TENANT_SCHEMA, "tenant", name)
            if (authz := level.pop("require_authz", None)) is not None:
                self._table.require_authz[name] = authz[0]
            _lay(self._table.tenants, name, level)

    def _domain(self, queues: Mapping[str, Any], key: str) -> None:
        path = ("queue", key)
        table = self._reader.table(queues, *path)
        if key == DEFAULT:
            self._table.default.update(self._level(table, QUEUE_SCHEMA, *path))
            for name in _below(table):
                text = f"default has no tenants: write [tenant.'{name}']"
                self._reader.problem(text, *path, name)
            return
        domain = self._normal(key)
        if domain is None:
            return
        row = self._row(self._level(table, QUEUE_SCHEMA, *path), self._reader.document.source(*path).line)
        self._table.domains[domain] = (*self._table.domains.get(domain, ()), row)
        if tenants := _below(table):
            self._tenants(tenants, self._table.tenants_of.setdefault(domain, {}), table, *path)

    def _row(self, level: Level, line: int) -> int:
        options = tuple((name, value, source.line - line) for name, (value, source) in level.items())
        shape = (len(self._table.files) - 1, options)
        number = self._shapes.get(shape)
        if number is None:
            number = self._shapes[shape] = len(self._table.shapes)
            self._table.shapes.append(shape)
        return number << _LINE_BITS | line

    def _tenants(self, names: list[str], tenants: Tenants, table: Mapping[str, Any], *path: Key) -> None:
        """The tenants of a domain, and the campaigns of each."""
        for tenant in names:
            if "." not in str(path[1]):
                text = (
                    f"{tenant} is taken as a tenant: quote a domain with dots, [queue.'{path[1]}.{tenant}']"
                )
                self._reader.problem(text, *path, tenant, is_error=False)
            self._below(tenants, table[tenant], *path, tenant)

    def _below(self, tenants: Tenants, table: Mapping[str, Any], *path: Key) -> None:
        level = self._level(table, QUEUE_SCHEMA, *path)
        below = _lay(tenants, str(path[-1]), level).below
        for campaign in _below(table):
            if len(path) > 3:
                self._reader.problem(f"nothing stands below a campaign: take out {campaign}", *path, campaign)
            else:
                self._below(below, table[campaign], *path, campaign)

    def _level(self, table: Mapping[str, Any], schema: Schema, *path: Key) -> Level:
        if schema is QUEUE_SCHEMA:
            below = _below(table)
            table = {name: value for name, value in table.items() if name not in below} if below else table
        given, sources = self._reader.options(table, schema, *path)
        return {name: (value, sources[name]) for name, value in given.items()}

    def _normal(self, key: str) -> str | None:
        """The normal form of a domain or wildcard; None after a problem."""
        if key == "*":
            self._reader.problem("what holds for all queues stands in [queue.default]", "queue", key)
            return None
        name = key.removeprefix("*.")
        try:
            domain = key[: len(key) - len(name)] + normalize_domain(name)
        except AddressError:
            text = (
                f"{values.shown(key)} is not a domain: write 'example.com', '*.example.com' or '[10.0.0.1]'"
            )
            self._reader.problem(text, "queue", key)
            return None
        first = self._seen.setdefault(domain, key)
        if first != key:
            line = self._reader.document.source("queue", first).line
            self._reader.problem(f"{key!r} is the domain of line {line} too: make them one", "queue", key)
        return domain


def _lay(tenants: Tenants, name: str, level: Level) -> Tenant:
    """Lay options over those that earlier files gave the same name."""
    tenant = tenants.setdefault(name, Tenant({}))
    tenant.options |= level
    return tenant


def _below(table: Mapping[str, Any]) -> list[str]:
    """The names of the tables in a table that are no options: tenants or campaigns."""
    known = (QUEUE_SCHEMA.options, QUEUE_SCHEMA.refused, QUEUE_SCHEMA.ignored)
    return [
        name
        for name, value in table.items()
        if isinstance(value, Mapping) and not any(name in names for names in known)
    ]
