"""How is mail handed to a site: how many connections, how fast, how long, how encrypted, as whom?

Reads shaping files and answers with the options of one way out. Layers, each laid over those before it,
option by option: the built-in defaults, `[default]`, the `[provider.'NAME']` whose pattern matches every MX
host, `[domain.'DOMAIN']` (its own, else the longest wildcard), and the options of the queue. Every option of
the answer says where it was written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from angarium.mail.address import AddressError, normalize_domain
from angarium.policy import values
from angarium.policy.config import TLS_MODES, Problem, QueueConfig, Source
from angarium.policy.source import Document, Key
from angarium.policy.tables import NOT_YET, Reader, Schema
from angarium.policy.throttle import Rate
from angarium.policy.values import BadValueError, duration, whole_number

QUEUE_OVERRIDES = ("connection_limit", "max_deliveries_per_connection", "tls")
"""Options of a shaping file that a queue may have too; there they are laid over all others."""

Level = dict[str, tuple[Any, Source]]
"""Option name → value, and where it was written."""


class Credentials(msgspec.Struct, frozen=True):
    """Who we are to a next hop. The password is where the operator put it, and in no text of ours."""

    username: str
    password_env: str | None = None
    password_file: str | None = None
    """Absolute."""

    def password(self) -> str:
        """The password as it is now; raises LookupError, which says what is missing and not what is there."""
        if self.password_env is not None:
            found = os.environ.get(self.password_env)
            if not found:
                raise LookupError(f"the environment has no {self.password_env}")
            return found
        try:
            text = Path(self.password_file or "").read_text("utf-8")
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise LookupError(f"cannot read {self.password_file}: {reason}") from None
        return text.removesuffix("\n").removesuffix("\r")


class PathOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How mail goes one way out. Durations are seconds (time-outs: RFC 5321 section 4.5.3.2)."""

    connection_limit: int = 32
    max_connection_rate: Rate | None = None
    max_message_rate: Rate | None = None
    max_deliveries_per_connection: int = 1024
    max_recipients_per_batch: int = 100
    """A transaction here has one recipient, so every value above zero is kept."""
    idle_timeout: float = 5.0
    connect_timeout: float = 60.0
    banner_timeout: float = 60.0
    command_timeout: float = 300.0
    """For each reply from EHLO on, the final one included; content that flows has all the time it needs."""
    starttls_timeout: float = 30.0
    """For the whole handshake."""
    auth_timeout: float = 60.0
    chunking: bool = True
    """Where CHUNKING is offered, small mail goes out in one piece with its envelope (RFC 3030)."""
    tls: str = "opportunistic"
    tls_ca: str | None = None
    """A PEM file of authorities to believe in place of the system's."""
    ehlo_domain: str | None = None
    auth: Credentials | None = None
    sources: Mapping[str, Source] = {}
    """Where each option was written. A default has no source."""


def rate(value: object) -> Rate:
    """A rate such as `100/s` or `500/day,max_burst=10`."""
    try:
        return Rate.parse(values.text(value))
    except BadValueError:
        raise
    except ValueError as error:
        raise BadValueError(str(error)) from None


def _credentials(value: object) -> Credentials:
    """`{ username, password_env }` or `{ username, password_file }`; a password itself is refused."""
    if not isinstance(value, Mapping) or "password" in value:
        raise BadValueError("write { username = 'us', password_env = 'NAME' } or password_file = 'FILE'")
    known = {key: values.inside(values.text, key, part) for key, part in value.items()}
    unknown = known.keys() - {"username", "password_env", "password_file"}
    if unknown or "username" not in known or len(known) != 2:
        raise BadValueError("needs username, and one of password_env and password_file")
    return Credentials(**known)


OPTIONS: dict[str, values.Parser] = {
    "connection_limit": whole_number(1),
    "max_connection_rate": rate,
    "max_message_rate": rate,
    "max_deliveries_per_connection": whole_number(1),
    "max_recipients_per_batch": whole_number(1),
    "idle_timeout": duration,
    "connect_timeout": duration,
    "banner_timeout": duration,
    "command_timeout": duration,
    "starttls_timeout": duration,
    "auth_timeout": duration,
    "chunking": values.boolean,
    "tls": values.one_of(*TLS_MODES),
    "tls_ca": values.text,
    "ehlo_domain": values.domain,
    "auth": _credentials,
}
_REFUSED = {
    "enable_tls": "is called tls here",
    "use_lmtp": "is a matter of the queue here: write protocol = 'lmtp' in the queues file",
    **dict.fromkeys(("max_ready", "enable_pipelining", "additional_connection_limits"), NOT_YET),
    **dict.fromkeys(
        ("ehlo_timeout", "mail_from_timeout", "rcpt_to_timeout", "data_timeout", "data_dot_timeout"),
        "is called command_timeout here",
    ),
}
SHAPING_SCHEMA = Schema(OPTIONS, refused=_REFUSED)
PROVIDER_SCHEMA = Schema({**OPTIONS, "match": values.one_or_more(values.text)}, refused=_REFUSED)
SHAPING_FILE_SCHEMA = Schema({}, tables=("default", "provider", "domain"))


class Provider(msgspec.Struct):
    """Sites that are one operator's, known by the names of their MX hosts."""

    name: str
    patterns: tuple[str, ...] = ()
    options: Level = {}

    def runs(self, hosts: Iterable[str]) -> bool:
        """Whether every host is one of theirs."""
        return all(any(_pattern(each).match(host) for each in self.patterns) for host in hosts)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(translate(text.lower()))


class Shaping:
    """All shaping files of one configuration; nothing changes after loading."""

    __slots__ = ("_default", "_domains", "_providers")

    def __init__(
        self,
        default: Level | None = None,
        providers: Mapping[str, Provider] | None = None,
        domains: Mapping[str, Level] | None = None,
    ) -> None:
        self._default = default or {}
        self._providers = dict(providers or {})
        self._domains = dict(domains or {})

    def options(self, domain: str, hosts: Sequence[str], config: QueueConfig | None = None) -> PathOptions:
        """The options of the way to a domain, whose MX hosts these are, for mail of a queue."""
        level: Level = {}
        for _, own in self.layers(domain, hosts):
            level |= own
        given = {name: value for name, (value, _) in level.items()}
        sources = {name: source for name, (_, source) in level.items()}
        for name, value in overrides(config) if config is not None else ():
            given[name] = value
            sources.pop(name, None)
            if config is not None and name in config.sources:
                sources[name] = config.sources[name]
        return PathOptions(**given, sources=sources)

    def layers(self, domain: str, hosts: Sequence[str]) -> list[tuple[str, Level]]:
        """What the files say of the way to a domain, each layer laid over those before it."""
        layers = [("[default]", self._default)]
        provider = self.provider(hosts)
        if provider is not None:
            layers.append((f'provider "{provider.name}"', provider.options))
        key = self.domain_key(domain)
        if key is not None:
            layers.append((f'domain "{key}"', self._domains[key]))
        return layers

    def entries(self) -> Iterator[tuple[str, Source]]:
        """Each domain or wildcard that says anything, and where it first does."""
        for key, level in self._domains.items():
            if level:
                yield key, min(source for _, source in level.values())

    def provider(self, hosts: Sequence[str]) -> Provider | None:
        """The first provider that runs all of these hosts."""
        return next((each for each in self._providers.values() if hosts and each.runs(hosts)), None)

    def domain_key(self, domain: str) -> str | None:
        """The entry that a domain has: its own, else the longest wildcard above it."""
        if domain in self._domains:
            return domain
        rest = "" if domain.startswith("[") else domain
        while rest:
            rest = rest.partition(".")[2]
            if f"*.{rest}" in self._domains:
                return f"*.{rest}"
        return None


def overrides(config: QueueConfig) -> list[tuple[str, Any]]:
    """The options of a queue that are laid over those of shaping files."""
    return [(name, value) for name in QUEUE_OVERRIDES if (value := getattr(config, name)) is not None]


def load_shaping(documents: Iterable[Document]) -> tuple[Shaping, list[Problem]]:
    """Read shaping files, later ones laid over earlier ones; with an error the result must not be used."""
    problems: list[Problem] = []
    reading = _Reading()
    for document in documents:
        reading.read(Reader(document, problems))
    return Shaping(reading.default, reading.providers, reading.domains), problems


class _Reading:
    """What the files have said so far."""

    def __init__(self) -> None:
        self.default: Level = {}
        self.providers: dict[str, Provider] = {}
        self.domains: dict[str, Level] = {}

    def read(self, reader: Reader) -> None:
        data = reader.document.data
        reader.options(data, SHAPING_FILE_SCHEMA)
        self.default |= _level(reader, reader.table(data, "default"), SHAPING_SCHEMA, "default")
        for name in reader.table(data, "provider"):
            self._provider(reader, data["provider"], name)
        for key in reader.table(data, "domain"):
            self._domain(reader, data["domain"], key)

    def _provider(self, reader: Reader, tables: Mapping[str, Any], name: str) -> None:
        path = ("provider", name)
        level = _level(reader, reader.table(tables, *path), PROVIDER_SCHEMA, *path)
        provider = self.providers.setdefault(name, Provider(name))
        provider.patterns += level.pop("match", ((), None))[0]
        provider.options |= level
        if not provider.patterns:
            reader.problem(f"{name} has no MX hosts: write match = ['*.example.com']", *path)

    def _domain(self, reader: Reader, tables: Mapping[str, Any], key: str) -> None:
        path = ("domain", key)
        level = _level(reader, reader.table(tables, *path), SHAPING_SCHEMA, *path)
        name = key.removeprefix("*.")
        try:
            domain = key[: len(key) - len(name)] + normalize_domain(name)
        except AddressError:
            text = (
                f"{values.shown(key)} is not a domain: write 'example.com', '*.example.com' or '[10.0.0.1]'"
            )
            reader.problem(text, *path)
            return
        if domain.rpartition(".")[2].isdigit():
            reader.problem(f"{key} looks like an address: write [domain.'[{key}]']", *path)
            return
        self.domains[domain] = self.domains.get(domain, {}) | level


def _level(reader: Reader, table: Mapping[str, Any], schema: Schema, *path: Key) -> Level:
    given, sources = reader.options(table, schema, *path)
    for name in ("tls_ca", "auth"):
        if name in given:
            given[name] = _with_file(reader, given[name], *path, name)
    return {name: (value, sources[name]) for name, value in given.items()}


def _with_file(reader: Reader, value: str | Credentials, *path: Key) -> str | Credentials:
    """The value with the file it names made absolute: relative names are relative to the shaping file."""
    folder = reader.document.path.parent
    if isinstance(value, str):
        found = folder / value
    elif value.password_file is not None:
        found = folder / value.password_file
        value = msgspec.structs.replace(value, password_file=str(found))
    else:
        return value
    if not found.is_file():
        reader.problem(f"{path[-1]}: there is no file {found}", *path)
    return str(found) if isinstance(value, str) else value
