"""Is this report about mail of ours? What its signed reverse-path and its returned trace header prove.

Pure. A reference says which message is meant; `verified` says whether we made it: true where a signature
holds, false where one that is there does not (forged, altered or too old) or where two of them name
different messages, null where nothing could be checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from angarium.mail.address import Address, AddressError
from angarium.mail.trace import Key, Reference, read_reverse_path, read_supplemental
from angarium.reports.values import Report


class Trace(msgspec.Struct, frozen=True):
    """What the references of one report say, together."""

    verified: bool | None = None
    data: Mapping[str, Any] | None = None
    """`id`, `recipient` and metadata, as far as they are there; None without any reference."""

    @property
    def recipient(self) -> str | None:
        """Whom the original message was for, if we said so."""
        found = (self.data or {}).get("recipient") if self.verified else None
        return found if isinstance(found, str) and _is_address(found) else None


def trace_of(report: Report, recipient: Address, keys: Mapping[str, Key], now: float) -> Trace:
    """Read what a report to `recipient` carries of ours."""
    header = report.original.trace if report.original is not None else None
    found = [
        read_reverse_path(recipient, keys, now),
        read_supplemental(header, keys, now) if header is not None else None,
    ]
    references = [reference for reference in found if reference is not None]
    if not references:
        return Trace()
    best = max(references, key=lambda one: bool(one.verified))
    held = [one for one in references if one.verified]
    data = {name: value for one in held or [best] for name, value in one.data.items()}
    return Trace(_verdict(references, held), data)


def _verdict(references: list[Reference], held: list[Reference]) -> bool | None:
    if held:
        return len({one.data.get("id") for one in held}) == 1
    return False if any(one.verified is False for one in references) else None


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except AddressError:
        return False
    return True
