"""The configuration in force, as typed values. `policy.load` makes them; everything else only reads them.

A value here is complete and checked: durations are seconds, sizes octets, networks `ipaddress` networks.
`Source` says where an option was written; what has no source is a default.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from angarium.mail.address import Address, normalize_domain
from angarium.mail.trace import TRACE_FIELD, Key
from angarium.policy.route import parse_next_hop
from angarium.policy.throttle import Rate
from angarium.reports.classify import Classifier

if TYPE_CHECKING:
    from angarium.policy.egress import Egress
    from angarium.policy.hooks import Hooks
    from angarium.policy.match import PolicyTables
    from angarium.policy.queues import QueueTable
    from angarium.policy.shaping import Shaping
    from angarium.policy.users import Users

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

    def __init__(self, problems: list[Problem], files: tuple[Path, ...] = ()) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems
        self.files = files
        """Every file that was named, absolute, as far as was known when reading ended."""


class LineEndings(Enum):
    """What becomes of a bare CR or LF in content."""

    DENY = "Deny"
    FIX = "Fix"


class TraceHeaders(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reference's `trace_headers`, section 1.3; the supplemental header is off by default."""

    received_header: bool = True
    supplemental_header: bool = False
    """Sign mail of those who send by a right of their own; what is merely relayed inwards is left alone."""
    header_name: str = TRACE_FIELD
    include_meta_names: tuple[str, ...] = ()


class Certificate(msgspec.Struct, frozen=True):
    """A certificate chain and its key, in PEM files, as they were when they were read."""

    certificate: str
    private_key: str
    names: tuple[str, ...]
    """DNS names that it is for, lower case, perhaps with `*.` before them."""
    digest: str
    """Changes with what the files hold."""


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
    max_header_size: int = 256 * 1024
    data_buffer_size: int = 128 * 1024
    invalid_line_endings: LineEndings = LineEndings.DENY
    line_length_hard_limit: int = 998
    max_hops: int = 100
    allow_sender_routing: bool = False
    tls: str = "starttls"
    """`starttls`: offered; `required`: offered, and MAIL waits for it; `implicit`: from the first octet
    (RFC 8314); `off`. Without `tls_certificate` a self-signed certificate is made for `hostname`."""
    certificates: tuple[Certificate, ...] = ()
    """`tls_certificate` and `tls_private_key`: PEM files, each one name or a list; a client that asks for a
    name (SNI) gets the certificate that has it, else the first. Without keys, they are in the same files."""
    tls_client_ca: str | None = None
    """A PEM file of authorities whose client certificates are believed."""
    tls_client_certificate: str = "optional"
    """With `tls_client_ca`: `optional`, or `required`: without one the handshake fails."""
    tls_handshake_timeout: float = 30.0
    """Seconds for a whole handshake."""
    allow_plaintext_auth: bool = False
    """Offer AUTH without TLS; only on loopback addresses."""
    auth_failure_delay: float = 2.0
    """Seconds before a failed AUTH is answered."""
    proxy_hosts: tuple[Network, ...] = ()
    """Balancers: each of their connections begins with a PROXY header, which says who the client is."""
    require_proxy_protocol: bool = False
    """The same for the peers of one `peer` overlay."""
    xclient_hosts: tuple[Network, ...] = ()
    """Proxies that may say with XCLIENT who their client is."""
    allow_xclient: bool = False
    """The same for the peers of one `peer` overlay."""
    max_auth_failures: int = 3
    """Failed AUTH attempts of a session: the last of them gets 421."""
    max_auth_failures_per_network: int = 20
    """Failed AUTH attempts of a network in ten minutes; then AUTH gets 421. Peers in `relay_hosts` are exempt
    from this and the other limits of a network."""
    max_refused_recipients: int = 20
    """Recipients of a session that were refused for good; the next refusal is a 421."""
    max_refused_recipients_per_network: int = 1000
    """The same, of a network in an hour."""
    max_syntax_errors: int = 20
    max_sequence_errors: int = 1000
    """Commands of a session that were none; the next one gets 421."""
    max_connections_per_network: int = 50
    """Connections of a network at a time."""
    max_session_duration: float = 3600.0
    """Seconds from the first octet to the last."""
    min_data_rate: int = 100
    """Octets of content a second, after its first minute; 0: any."""
    network_prefix_ipv4: int = 32
    """How many leading bits of an IPv4 address make a network that is counted as one."""
    network_prefix_ipv6: int = 64
    """The same for IPv6."""
    greeting_delay: float = 0.0
    """Seconds to wait before greeting a peer outside `relay_hosts`; one that speaks first is refused."""
    reject_null_mx_senders: bool = False
    """Refuse senders whose domain says that it takes no mail (RFC 7505): nobody could answer them."""
    meta: Mapping[str, Any] = {}
    sources: Mapping[str, Source] = {}
    """Where each option in force was written; `meta.KEY` for one of `meta`. Defaults have none."""


class Overlay(msgspec.Struct, frozen=True):
    """Options for peers (or local addresses) of one network; may hold overlays itself (reference L1)."""

    network: Network
    options: Mapping[str, Any]
    """Option name → checked value, to be laid over; `meta` is merged key by key."""
    peer: tuple[Overlay, ...] = ()
    via: tuple[Overlay, ...] = ()
    sources: Mapping[str, Source] = {}


class Listener(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One `[[listener]]`. `policy.listeners.effective_options` lays its overlays on for one session."""

    name: str | None
    listen: str
    """As written, `ADDR:PORT` or `[ADDR6]:PORT`."""
    options: ListenerOptions
    max_connections: int = 32768
    allow: str | None = None
    """Why it may be an open relay; None: it may not."""
    peer: tuple[Overlay, ...] = ()
    via: tuple[Overlay, ...] = ()
    sources: Mapping[str, Source] = {}

    @property
    def label(self) -> str:
        """Its name, or what it listens on: how records and messages call it."""
        return self.name or self.listen

    @property
    def host(self) -> str:
        """The address of `listen`, without brackets."""
        return self.listen.rpartition(":")[0].removeprefix("[").removesuffix("]")

    @property
    def port(self) -> int:
        """The port of `listen`; 0 asks for any that is free."""
        return int(self.listen.rpartition(":")[2])


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
    """Record type → `enable`, `suffix`, `log_dir`; `Any` stands for the types that are not named."""


class ControlConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`[control]`."""

    socket: str


class DnsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`[dns]`."""

    nameservers: tuple[tuple[str, int], ...] = ()
    """Address and port of each; none: the system's."""


TLS_MODES = ("none", "opportunistic", "required", "dane", "mta-sts")
"""How well connections to next hops are to be encrypted."""
PROTOCOLS = ("smtp", "lmtp", "maildir", "handler")


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a queue's mail is handed over (reference 8.5)."""

    kind: str = "smtp"
    """`smtp`, `lmtp`, `maildir`, or `handler`: the operator's `deliver`."""
    mx_list: tuple[str, ...] = ()
    """For SMTP and LMTP: the next hops, tried in this order, in place of MX hosts."""
    maildir_path: str | None = None
    """A template, as `/var/mail/{domain_part}/{local_part}`."""
    dir_mode: int = 0o700
    file_mode: int = 0o600

    def __post_init__(self) -> None:
        """Refuse what could not work; raises ValueError."""
        if self.kind not in PROTOCOLS:
            raise ValueError(f"a protocol is one of {', '.join(PROTOCOLS)}, not {self.kind!r}")
        if (self.kind == "maildir") != (self.maildir_path is not None):
            raise ValueError("maildir_path belongs to the protocol maildir, and to no other")
        for text in self.mx_list:
            parse_next_hop(text, is_trusted=True)


class QueueConfig(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The options of one scheduled queue (reference 8.3); also what `get_queue_config` returns.

    Durations are seconds. Raises ValueError for a duration or limit that is not above zero and for a
    `routing_domain` that is none.
    """

    retry_interval: float = 20 * 60
    max_retry_interval: float | None = None
    max_age: float = 7 * 86400
    routing_domain: str | None = None
    """`'[10.0.0.1]'`, `'[10.0.0.1]:2525'`, `'name:port'`, or a name whose MX hosts are meant."""
    connection_limit: int | None = None
    """None here and below: what shaping files say of the site."""
    max_deliveries_per_connection: int | None = None
    prohibited_hosts: tuple[Network, ...] | None = None
    """None: the built-in list (loopback, link-local, unspecified)."""
    smtp_port: int = 25
    max_message_rate: Rate | None = None
    """Of this queue alone, whatever its site allows."""
    egress_pool: str = "none"
    """The pool whose sources its mail leaves by; `none`: the kernel chooses the address."""
    protocol: Protocol = Protocol()
    tls: str | None = None
    supplemental_trace: bool | None = None
    """Whether mail carries our signed trace header; None: as its listener says for who sent it."""
    dsn_failure: bool = True
    """Whether senders are told of failures, unless they said otherwise (RFC 3461)."""
    dsn_delay: float | None = None
    """Seconds after which a sender is told, once, that a message is still being tried; None: never."""
    dsn_success: bool = True
    """Whether senders who ask are told that a message arrived, or went where nobody will tell."""
    dsn_return: str = "headers"
    """What returns of a message that failed, where its sender did not say: `none`, `headers`, `full`."""
    dsn_to_strangers: bool = False
    """Whether senders without a right of their own are told too, whose addresses may be forged."""
    verp: str | None = None
    """The domain of a signed reverse-path that next hops are told instead of the sender's."""
    sources: Mapping[str, Source] = {}
    """Where each option was written. A default has no source."""

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if self.routing_domain is not None:
            parse_next_hop(self.routing_domain, is_trusted=True)
        for name in (
            "retry_interval",
            "max_retry_interval",
            "max_age",
            "connection_limit",
            "max_deliveries_per_connection",
            "smtp_port",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above zero, not {value!r}")
        if self.tls is not None and self.tls not in TLS_MODES:
            raise ValueError(f"tls is one of {', '.join(TLS_MODES)}, not {self.tls!r}")
        if self.verp is not None and normalize_domain(self.verp) != self.verp:
            raise ValueError(f"verp is a domain in lower case, not {self.verp!r}")


class Configuration(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that is in force; made whole by `policy.load`, and replaced whole."""

    hostname: str
    postmaster: Address | None = None
    workers: int = 1
    user: str | None = None
    listeners: tuple[Listener, ...]
    spool: SpoolConfig
    log: LogConfig
    control: ControlConfig
    dns: DnsConfig = DnsConfig()
    content_memory: int = 512 * 1024 * 1024
    """Octets of messages that a worker takes in at a time; more wait behind a `452 4.3.1`."""
    shutdown_timeout: float = 30.0
    handler_timeout: float = 30.0
    domains: PolicyTables
    queues: QueueTable
    shaping: Shaping
    egress: Egress
    users: Users
    """Who may log in."""
    hooks: Hooks
    """The operator's handlers: none, unless the main file is Python."""
    classifier: Classifier
    """What replies mean, by the rule files of `[classifier]`."""
    trace_keys: Mapping[str, Key] = {}
    """The keys of `[trace]` by name; the first signs."""
    sources: Mapping[str, Source] = {}
    """Where the options outside listeners were written, as `workers` or `spool.path`."""
    problems: tuple[Problem, ...] = ()
    """Warnings: nothing that keeps it from being taken."""
    hash: str
    """Sixteen hex digits that change with the contents of any file."""
    files: tuple[Path, ...]
    """Every file that was read, absolute; the main file first."""
    empty_files: tuple[str, ...] = ()
    """Files in which nothing is said, which is how a file looks that is just being written."""
