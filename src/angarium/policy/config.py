"""The configuration in force, as typed values. `policy.load` makes them; everything else only reads them.

A value here is complete and checked: durations are seconds, sizes octets, networks `ipaddress` networks.
`Source` says where an option was written; what has no source is a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import msgspec

Network = IPv4Network | IPv6Network


class Source(msgspec.Struct, frozen=True, order=True):
    """A place in a file of the operator's: `file` as they named it, `line` from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Problem(msgspec.Struct, frozen=True, order=True):
    """Something wrong in a file. `text` says what is wrong and what to do."""

    source: Source
    text: str
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.source}: {'' if self.is_error else 'warning: '}{self.text}"


class ConfigError(Exception):
    """A configuration that cannot be taken; holds every problem found, errors and warnings."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class LineEndings(Enum):
    """What becomes of a bare CR or LF in content."""

    DENY = "Deny"
    FIX = "Fix"


class TraceHeaders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reference's `trace_headers`, section 1.3; the supplemental header is off by default."""

    received_header: bool = True
    supplemental_header: bool = False
    header_name: str = "X-KumoRef"
    include_meta_names: tuple[str, ...] = ()


class ListenerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options in force for one session: defaults, listener, then `peer` and `via` overlays laid on."""

    hostname: str
    relay_hosts: tuple[Network, ...]
    banner: str = "Angarium"
    batch_handling: str = "BifurcateAlways"
    trace_headers: TraceHeaders = TraceHeaders()
    client_timeout: float = 60.0
    data_processing_timeout: float = 300.0
    max_messages_per_connection: int = 10_000
    max_recipients_per_message: int = 1024
    max_message_size: int = 20 * 1024 * 1024
    data_buffer_size: int = 128 * 1024
    invalid_line_endings: LineEndings = LineEndings.DENY
    line_length_hard_limit: int = 998
    max_hops: int = 100
    allow_sender_routing: bool = False
    meta: Mapping[str, Any] = {}


class Overlay(msgspec.Struct, frozen=True):
    """Options for peers (or local addresses) of one network; may hold overlays itself, as the reference's L1 has it."""

    network: Network
    options: Mapping[str, Any]
    """Option name → checked value, to be laid over ListenerOptions; `meta` is merged key by key."""
    peer: tuple[Overlay, ...] = ()
    via: tuple[Overlay, ...] = ()
    sources: Mapping[str, Source] = {}


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[listener]]`."""

    name: str | None
    listen: str
    """As written, `ADDR:PORT` or `[ADDR6]:PORT`."""
    options: ListenerOptions
    max_connections: int = 32768
    peer: tuple[Overlay, ...] = ()
    via: tuple[Overlay, ...] = ()
    sources: Mapping[str, Source] = {}

    @property
    def label(self) -> str:
        """Its name, or what it listens on: how records and messages call it."""
        return self.name or self.listen


class SpoolConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`[spool]`."""

    path: str
    segment_size: int = 64 * 1024 * 1024
    min_free_space: int = 64 * 1024 * 1024
    """Octets that must stay free on the file system; below, `452 4.3.1`."""


class LogConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`: the reference's section 6.4, and `keep`."""

    dir: str
    max_file_size: int = 1_000_000_000
    max_segment_duration: float | None = None
    compression_level: int = 0
    meta: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    keep_age: float | None = None
    keep_size: int | None = None
    per_record: Mapping[str, Mapping[str, Any]] = {}


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one scheduled queue (reference 8.3); also what `get_queue_config` returns."""

    retry_interval: float = 20 * 60
    max_retry_interval: float | None = None
    max_age: float = 7 * 86400
    routing_domain: str | None = None
    connection_limit: int = 32
    max_deliveries_per_connection: int = 1024
    prohibited_hosts: tuple[Network, ...] | None = None
    """None: the built-in list (loopback, link-local, unspecified)."""
    smtp_port: int = 25
    sources: Mapping[str, Source] = {}
