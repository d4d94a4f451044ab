"""From which address does mail leave? Sources, and pools of them, as egress files say.

`[source.'S']` says an address, an EHLO name and a port; `[pool.'P'.'S']` makes a source a member of a pool,
with a weight. Several files are merged, later ones laid over earlier ones. A queue names its pool; `none` is
the pool of those that leave the choice to the kernel. Whether an address is on the machine is not asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, ip_address
from typing import Any

import msgspec

from angarium.policy import values
from angarium.policy.config import Problem, Source
from angarium.policy.source import Document
from angarium.policy.tables import NOT_YET, Reader, Schema
from angarium.policy.values import BadValueError, whole_number

_BROADCAST = IPv4Address("255.255.255.255")
NO_POOL = "none"
"""The pool of a queue that names none: the kernel chooses the address."""


class EgressSource(msgspec.Struct, frozen=True, kw_only=True):
    """One way out of this machine."""

    name: str
    source_address: str | None = None
    """What connections are bound to; None: the kernel chooses."""
    ehlo_domain: str | None = None
    remote_port: int | None = None
    """Where to connect, before the port of the route and `smtp_port`."""
    written: Source | None = None


class Egress(msgspec.Struct, frozen=True):
    """All egress files of one configuration."""

    sources: Mapping[str, EgressSource] = {}
    pools: Mapping[str, Mapping[str, int]] = {}
    """Pool → its sources and their weights, in the order in which they were written."""

    def knows(self, pool: str) -> bool:
        """Whether a queue may name this pool."""
        return pool == NO_POOL or pool in self.pools

    def members(self, pool: str) -> list[tuple[EgressSource, int]]:
        """The sources of a pool that have a weight; raises KeyError for a pool that does not exist."""
        return [(self.sources[name], weight) for name, weight in self.pools[pool].items() if weight]


def address(value: object) -> str:
    """An IP address that one machine has for its own."""
    try:
        found = ip_address(values.text(value))
    except BadValueError:
        raise
    except ValueError:
        raise BadValueError(f"{value!r} is not an IP address") from None
    if found.is_unspecified or found.is_multicast or found == _BROADCAST:
        raise BadValueError(
            f"{value!r} is no address that mail can come from: name one of this machine's own"
        )
    return str(found)


_PROXIES = (
    *("ha_proxy_server", "ha_proxy_source_address", "socks5_proxy_server", "socks5_proxy_source_address"),
    *("socks5_proxy_username", "socks5_proxy_password", "suspend_when_proxy_unhealthy"),
)
SOURCE_SCHEMA = Schema(
    {"source_address": address, "ehlo_domain": values.domain, "remote_port": whole_number(1, 65535)},
    refused=dict.fromkeys(_PROXIES, NOT_YET),
    ignored={
        "suspend_when_unplumbed": "is what happens here always: a source without its address is skipped"
    },
)
MEMBER_SCHEMA = Schema({"weight": whole_number(0, 1_000_000)})
EGRESS_FILE_SCHEMA = Schema({}, tables=("source", "pool"))


def load_egress(documents: Iterable[Document]) -> tuple[Egress, list[Problem]]:
    """Read egress files; with an error among the problems the result must not be used."""
    problems: list[Problem] = []
    sources: dict[str, EgressSource] = {}
    pools: dict[str, dict[str, int]] = {}
    readers = [Reader(document, problems) for document in documents]
    for reader in readers:
        reader.options(reader.document.data, EGRESS_FILE_SCHEMA)
        for name in reader.table(reader.document.data, "source"):
            sources[name] = _source(reader, name, sources.get(name))
    for reader in readers:
        for name in reader.table(reader.document.data, "pool"):
            _pool(reader, name, pools.setdefault(name, {}), sources)
    return Egress(sources, pools), problems


def _source(reader: Reader, name: str, before: EgressSource | None) -> EgressSource:
    path = ("source", name)
    given = reader.options(reader.table(reader.document.data["source"], *path), SOURCE_SCHEMA, *path).values
    written = reader.document.source(*path)
    if before is None:
        return EgressSource(name=name, written=written, **given)
    return msgspec.structs.replace(before, written=written, **given)


def _pool(reader: Reader, name: str, members: dict[str, int], sources: Mapping[str, Any]) -> None:
    if name == NO_POOL:
        reader.problem(f"{NO_POOL} is the name for no pool at all: take another", "pool", name)
    table = reader.table(reader.document.data["pool"], "pool", name)
    for member in table:
        path = ("pool", name, member)
        options = reader.options(reader.table(table, *path), MEMBER_SCHEMA, *path).values
        if member not in sources:
            reader.problem(f"there is no source {member}: write [source.'{member}']", *path)
        members[member] = options.get("weight", 1)
    if not any(members.values()):
        text = f"pool {name} has no source with a weight: write [pool.'{name}'.'SOURCE']"
        reader.problem(text, "pool", name)
