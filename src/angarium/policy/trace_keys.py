"""Which keys sign the mail that leaves? The `[trace]` table, and the key file that it names.

Promises that a file that others may read is noted, that no secret stands in any problem, and that nothing
that wants a signature is taken without a key.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from angarium.mail.trace import Key, KeyFileError, read_keys
from angarium.policy import values
from angarium.policy.config import ConfigError, Listener, Overlay, Problem, Source, TraceHeaders
from angarium.policy.match import PolicyTables
from angarium.policy.queues import QueueTable
from angarium.policy.source import read_octets, shown_path
from angarium.policy.tables import Reader, Schema

TRACE_SCHEMA = Schema({"keys": values.text})
HOW_TO_MAKE = "echo k1 $(openssl rand -base64 32) > trace.keys"


def read_trace_keys(reader: Reader, options: Mapping[str, Any]) -> dict[str, Key]:
    """Read the key file, noting what is wrong; empty where none is named."""
    if "keys" not in options:
        return {}
    path = reader.document.path.parent / options["keys"]
    reader.attached[path.absolute()] = b""
    named_at = reader.document.source("trace", "keys")
    try:
        octets = read_octets(path, named_at)
    except ConfigError as error:
        reader.problems += error.problems
        return {}
    reader.attached[path.absolute()] = hashlib.sha256(octets).digest()
    return _read(reader, octets, path)


def _read(reader: Reader, octets: bytes, path: Path) -> dict[str, Key]:
    shown = shown_path(path)
    if path.stat().st_mode & stat.S_IROTH:
        text = f"{shown} can be read by every user: chmod o-r {shown}"
        reader.problem(text, "trace", "keys", is_error=False)
    try:
        keys = read_keys(octets.decode("utf-8-sig", "replace"))
    except KeyFileError as error:
        reader.problems.append(Problem(Source(shown, error.line), error.text))
        return {}
    if not keys:
        reader.problem(f"{shown} holds no key: {HOW_TO_MAKE}", "trace", "keys")
    return keys


def unsigned(keys: Mapping[str, Key], listeners: Iterable[Listener], queues: QueueTable) -> Iterator[Problem]:
    """A problem for each option that wants a signature, where there is no key."""
    if keys:
        return
    text = f"nothing can be signed without a key: write [trace] keys = 'trace.keys' ({HOW_TO_MAKE})"
    asking = [queues.named("verp"), queues.named("supplemental_trace")]
    for source in (source for named in asking for value, source in named.items() if value):
        yield Problem(source, text)
    for listener in listeners:
        for source in _signing_options(listener):
            yield Problem(source, text)


def unheard(queues: QueueTable, domains: PolicyTables) -> Iterator[Problem]:
    """A warning for each domain of signed reverse-paths whose bounces nobody would read."""
    for domain, source in queues.named("verp").items():
        entry = domains.lookup(domain, domains.default_scope)
        if entry is None or not (entry.log_oob or entry.relay_to):
            text = f"bounces to {domain} are refused: write ['{domain}'] log_oob = true, if they come here"
            yield Problem(source, f"verp: {text}", is_error=False)


def _signing_options(listener: Listener) -> Iterator[Source]:
    yield from _signs(listener.options.trace_headers, listener.options.sources)
    for overlay in (*listener.peer, *listener.via):
        yield from _signing_overlays(overlay)


def _signing_overlays(overlay: Overlay) -> Iterator[Source]:
    yield from _signs(overlay.options.get("trace_headers"), overlay.sources)
    for inner in (*overlay.peer, *overlay.via):
        yield from _signing_overlays(inner)


def _signs(headers: TraceHeaders | None, sources: Mapping[str, Source]) -> Iterator[Source]:
    if headers is not None and headers.supplemental_header:
        yield sources["trace_headers"]
