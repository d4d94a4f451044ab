"""What records take over of a message's metadata and header fields: what the options `meta` and `headers`
name.

Pure. A final `*` matches everything that begins so (reference G8, G9). Nothing is taken unless it was asked
for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from angarium.mail.header import Headers, header_section, readable


def captured_meta(wanted: Sequence[str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata that `wanted` names, case and all; an absent or null value only by a `*`."""
    if not wanted:
        return {}
    return {key: value for key, value in meta.items() if any(_takes(one, key, value) for one in wanted)}


def _takes(pattern: str, key: str, value: object) -> bool:
    return _matches(pattern, key) and (value is not None or pattern.endswith("*"))


MAX_FIELDS = 100
"""Header fields that a record takes over."""
MAX_VALUE = 4096
"""Characters of one that it takes over: senders choose how many there are and how long they are."""
Fields = Sequence[tuple[str, str]]


def captured_headers(
    wanted: Sequence[str], parts: Sequence[bytes | bytearray | memoryview]
) -> dict[str, Any]:
    """The header fields that `wanted` names, in any case; repeated fields become a list."""
    return as_captured(wanted_fields(wanted, header_section(b"".join(parts)))) if wanted else {}


def wanted_fields(wanted: Sequence[str], section: bytes) -> Fields:
    """The header fields that `wanted` names, in their order, as many and as much as a record may hold."""
    if not wanted:
        return ()
    fields = Headers(section).matching(*wanted)
    return [(name, readable(value[:MAX_VALUE])) for name, value in islice(fields, MAX_FIELDS)]


def as_captured(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """These fields as records hold them: under the name's first spelling, repeated ones as a list."""
    captured: dict[str, list[str]] = {}
    spelling: dict[str, str] = {}
    for name, value in fields:
        captured.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in captured.items()}


def _matches(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
