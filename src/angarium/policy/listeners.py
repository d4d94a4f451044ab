"""What is in force on a listener, for a peer and a local address?

Reads the `[[listener]]` tables with their `peer` and `via` overlays, and lays the overlays on: the listener's
own options, then those for the peer, then those for the local address, so that `via` beats `peer`; an overlay
may hold overlays itself. Of several networks that hold an address the narrowest counts, alone. Every option
in force says where it was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

import msgspec

from angarium.policy import values
from angarium.policy.certificates import read_authorities, read_certificates
from angarium.policy.config import (
    LineEndings,
    Listener,
    ListenerOptions,
    Network,
    Overlay,
    Problem,
    Source,
    TraceHeaders,
)
from angarium.policy.networks import IPAddress, canonical_address
from angarium.policy.source import Key
from angarium.policy.tables import Options, Reader, Schema
from angarium.policy.values import BadValueError, duration, size, whole_number

DEFAULT_LISTEN = "127.0.0.1:2025"
_CACHED_SESSIONS = 4096
_NOWHERE = ip_network("::/128")


def _header_name(value: object) -> str:
    name = values.text(value)
    if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
        raise BadValueError(f"{name!r} is not the name of a header field: write letters, digits and hyphens")
    return name


def _line_endings(value: object) -> LineEndings:
    if value == "Allow":
        raise BadValueError(
            "'Allow' cannot be had, since relaying a bare CR or LF lets strangers smuggle mail: "
            "write 'Deny' to refuse such content or 'Fix' to mend it"
        )
    return LineEndings(values.one_of("Deny", "Fix")(value))


def _reason(value: object) -> str:
    reason = values.text(value)
    if not reason.strip():
        raise BadValueError("'' is no reason: say why anybody may relay here, or take it out")
    return reason


def _batch_handling(value: object) -> str:
    if value == "BatchByDomain":
        raise BadValueError(
            "'BatchByDomain' cannot be had: one message is made per recipient; take the option out"
        )
    return str(values.one_of("BifurcateAlways")(value))


def _trusted_network(value: object) -> Network:
    """A network whose word is taken; everybody is none."""
    network = values.network(value)
    if network.prefixlen == 0:
        raise BadValueError(
            f"{network} is everybody, and whoever is believed may relay: write your proxies alone"
        )
    return network


_TRACE_HEADERS = {
    "received_header": values.boolean,
    "supplemental_header": values.boolean,
    "header_name": _header_name,
    "include_meta_names": values.list_of(values.text),
}


def _trace_headers(value: object) -> TraceHeaders:
    table = values.json_table(value)
    given = {}
    for name, part in table.items():
        parse = _TRACE_HEADERS.get(name)
        if parse is None:
            raise BadValueError(f"unknown key {name}: write {', '.join(_TRACE_HEADERS)}", name)
        given[name] = values.inside(parse, name, part)
    return TraceHeaders(**given)


OVERLAY_OPTIONS: dict[str, values.Parser] = {
    "hostname": values.domain,
    "relay_hosts": values.list_of(values.network),
    "banner": values.text,
    "batch_handling": _batch_handling,
    "trace_headers": _trace_headers,
    "client_timeout": duration,
    "data_processing_timeout": duration,
    "max_messages_per_connection": whole_number(1),
    "max_recipients_per_message": whole_number(1),
    "max_message_size": size,
    "max_header_size": size,
    "data_buffer_size": size,
    "invalid_line_endings": _line_endings,
    "line_length_hard_limit": whole_number(512, 1 << 20),
    "max_hops": whole_number(1, 10_000),
    "allow_sender_routing": values.boolean,
    "tls": values.one_of("starttls", "required", "implicit", "off"),
    "tls_certificate": values.one_or_more(values.text),
    "tls_private_key": values.one_or_more(values.text),
    "tls_client_ca": values.text,
    "tls_client_certificate": values.one_of("optional", "required"),
    "tls_handshake_timeout": duration,
    "allow_plaintext_auth": values.boolean,
    "auth_failure_delay": values.duration_or_none,
    "proxy_hosts": values.list_of(_trusted_network),
    "xclient_hosts": values.list_of(_trusted_network),
    "max_auth_failures": whole_number(1),
    "max_auth_failures_per_network": whole_number(1),
    "max_refused_recipients": whole_number(1),
    "max_refused_recipients_per_network": whole_number(1),
    "max_syntax_errors": whole_number(1),
    "max_sequence_errors": whole_number(1),
    "max_connections_per_network": whole_number(1),
    "max_session_duration": duration,
    "min_data_rate": whole_number(0),
    "network_prefix_ipv4": whole_number(1, 32),
    "network_prefix_ipv6": whole_number(1, 128),
    "greeting_delay": values.duration_or_none,
    "reject_null_mx_senders": values.boolean,
    "meta": values.json_table,
}

_WRITES_AT_ONCE = "cannot be had: 250 means that the message is on stable storage; take it out"
_REFUSED = {
    "deferred_spool": _WRITES_AT_ONCE,
    "deferred_queue": "cannot be had: policy decides before the 250, never after it; take it out",
    "tls_required_client_ca": "is tls_client_ca here, with tls_client_certificate = 'required'",
}
PEER_OPTIONS: dict[str, values.Parser] = {
    **OVERLAY_OPTIONS,
    "allow_xclient": values.boolean,
    "require_proxy_protocol": values.boolean,
}
_BELIEVES_ALL = {
    "allow_xclient": "would believe everybody: write xclient_hosts = ['10.0.0.9'], or a peer overlay",
    "require_proxy_protocol": "would believe everybody: write proxy_hosts = ['10.0.0.9'], or a peer overlay",
}
"""Options of the reference that only a `peer` overlay may hold."""
_ON_LISTENERS_ALONE = "belongs to the listener itself: take it out of this overlay"

LISTENER_SCHEMA = Schema(
    {
        "name": values.text,
        "listen": values.listen,
        "max_connections": whole_number(1),
        "allow": _reason,
        **OVERLAY_OPTIONS,
    },
    tables=("peer", "via"),
    refused=_REFUSED | _BELIEVES_ALL,
)
OVERLAY_SCHEMA = Schema(
    PEER_OPTIONS,
    tables=("peer", "via"),
    refused=_REFUSED | dict.fromkeys(("name", "listen", "max_connections", "allow"), _ON_LISTENERS_ALONE),
)
VIA_SCHEMA = Schema(OVERLAY_OPTIONS, OVERLAY_SCHEMA.tables, {**OVERLAY_SCHEMA.refused, **_BELIEVES_ALL})


def read_listeners(reader: Reader, defaults: ListenerOptions) -> tuple[Listener, ...]:
    """Read every `[[listener]]`; `defaults` are the options where none is written."""
    tables = reader.document.data.get("listener", [])
    if not isinstance(tables, Sequence) or not all(isinstance(table, Mapping) for table in tables):
        reader.problem("listeners are an array of tables: write [[listener]]", "listener")
        return ()
    if not tables:
        reader.problem("nothing to listen on: write [[listener]] with listen = '0.0.0.0:25'")
    listeners = tuple(_read_listener(reader, table, index, defaults) for index, table in enumerate(tables))
    _check_names(reader, listeners)
    for listener in listeners:
        if not ip_address(listener.host).is_loopback:
            _refuse_plaintext_auth(reader, listener, listener)
    return listeners


def _refuse_plaintext_auth(reader: Reader, listener: Listener, holder: Listener | Overlay) -> None:
    """Passwords in clear text never cross a network."""
    own = holder.options.sources if isinstance(holder, Listener) else holder.sources
    if "allow_plaintext_auth" in own:
        text = f"allow_plaintext_auth is for loopback addresses, not for {listener.listen}: take it out"
        reader.problems.append(Problem(own["allow_plaintext_auth"], text))
    for overlay in (*holder.peer, *holder.via):
        _refuse_plaintext_auth(reader, listener, overlay)


def _read_listener(
    reader: Reader, table: Mapping[str, Any], index: int, defaults: ListenerOptions
) -> Listener:
    path = ("listener", index)
    own = reader.options(table, LISTENER_SCHEMA, *path)
    places = {"listen": reader.document.source(*path), **own.sources}
    if "listen" in table and "listen" not in own.values:
        del places["listen"]  # it is wrong, and so is like no other
    _read_tls(reader, own, *path)
    listen = own.values.pop("listen", DEFAULT_LISTEN)
    name = own.values.pop("name", None)
    more = {key: own.values.pop(key) for key in ("max_connections", "allow") if key in own.values}
    return Listener(
        name=name,
        listen=listen,
        options=_laid_over(defaults, own.values, _sources_of(reader, own, *path)),
        peer=_read_overlays(reader, table, *path, "peer"),
        via=_read_overlays(reader, table, *path, "via"),
        sources=places,
        **more,
    )


def _read_tls(reader: Reader, own: Options, *path: Key) -> None:
    """Put the certificates that options name in their place, read and checked."""
    certificates, keys = own.values.pop("tls_certificate", ()), own.values.pop("tls_private_key", ())
    if certificates:
        where = (*path, "tls_certificate")
        own.values["certificates"] = read_certificates(reader, certificates, keys, *where)
    elif keys:
        reader.problem("tls_private_key: its tls_certificate is missing beside it", *path, "tls_private_key")
    if "tls_client_ca" in own.values:
        name = own.values["tls_client_ca"]
        own.values["tls_client_ca"] = read_authorities(reader, name, *path, "tls_client_ca")


def _sources_of(reader: Reader, own: Options, *path: Key) -> dict[str, Source]:
    metas = {f"meta.{key}": reader.document.source(*path, "meta", key) for key in own.values.get("meta", ())}
    return {**{name: source for name, source in own.sources.items() if name in PEER_OPTIONS}, **metas}


def _read_overlays(reader: Reader, parent: Mapping[str, Any], *path: Key) -> tuple[Overlay, ...]:
    """The overlays of one `peer` or `via` table, the narrowest network first."""
    table = reader.table(parent, *path)
    overlays: dict[Network, tuple[str, Overlay]] = {}
    for key in table:
        try:
            network = values.network(key)
        except BadValueError as error:
            reader.problem(f"{path[-1]}: {error}", *path, key)
            _read_overlay(reader, _NOWHERE, table, *path, key)  # for what is wrong inside
            continue
        if network in overlays:
            first = reader.document.source(*path, overlays[network][0])
            reader.problem(f"{key!r} is the same network as on line {first.line}: make them one", *path, key)
        overlays[network] = (key, _read_overlay(reader, network, table, *path, key))
    return tuple(sorted((overlay for _, overlay in overlays.values()), key=lambda o: -o.network.prefixlen))


def _read_overlay(reader: Reader, network: Network, parent: Mapping[str, Any], *path: Key) -> Overlay:
    table = reader.table(parent, *path)
    own = reader.options(table, OVERLAY_SCHEMA if path[-2] == "peer" else VIA_SCHEMA, *path)
    _read_tls(reader, own, *path)
    return Overlay(
        network,
        own.values,
        peer=_read_overlays(reader, table, *path, "peer"),
        via=_read_overlays(reader, table, *path, "via"),
        sources=_sources_of(reader, own, *path),
    )


def _check_names(reader: Reader, listeners: tuple[Listener, ...]) -> None:
    """Two listeners cannot share an address, nor a name."""
    seen: dict[object, Source] = {}
    for listener in listeners:
        for option, name in (("listen", (listener.host, listener.port)), ("name", listener.name)):
            source = listener.sources.get(option)
            if name is None or source is None:
                continue
            first = seen.setdefault(name, source)
            if first is not source:
                text = (
                    f"{option} {getattr(listener, option)} is that of line {first.line} too: choose another"
                )
                reader.problems.append(Problem(source, text))


def effective_options(listener: Listener, peer: IPAddress, local: IPAddress) -> ListenerOptions:
    """The options in force for a peer's session on a local address; pure, and remembered."""
    if not listener.peer and not listener.via:
        return listener.options
    return _effective(listener, canonical_address(peer), canonical_address(local))


@lru_cache(maxsize=_CACHED_SESSIONS)
def _effective(listener: Listener, peer: IPAddress, local: IPAddress) -> ListenerOptions:
    options = listener.options
    for overlay in overlays_for(listener, peer, local):
        options = _laid_over(options, overlay.options, overlay.sources)
    return options


def overlays_for(holder: Listener | Overlay, peer: IPAddress, local: IPAddress) -> Iterator[Overlay]:
    """The overlays that apply, each to be laid over those before it."""
    for overlays, address in ((holder.peer, peer), (holder.via, local)):
        overlay = next((overlay for overlay in overlays if address in overlay.network), None)
        if overlay is not None:
            yield overlay
            yield from overlays_for(overlay, peer, local)


def _laid_over(
    options: ListenerOptions, given: Mapping[str, Any], sources: Mapping[str, Source]
) -> ListenerOptions:
    if "meta" in given:
        given = {**given, "meta": {**options.meta, **given["meta"]}}
    return msgspec.structs.replace(options, **given, sources={**options.sources, **sources})
