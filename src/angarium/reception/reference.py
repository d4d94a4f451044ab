"""Is this report about mail of ours? What its signed reverse-path and its returned trace header prove.

Pure. A reference says which message is meant; `verified` says whether we made it: true where a signature
holds, false where one that is there does not (forged, altered or too old) or where header and reverse-path
name different messages, null where nothing could be checked.
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

    @property
    def proves(self) -> tuple[str, ...]:
        """What our signatures vouch for: the message, and its recipient where the header came back."""
        if not self.verified:
            return ()
        return ("message", "recipient") if self.recipient else ("message",)


def trace_of(report: Report, recipient: Address, keys: Mapping[str, Key], now: float) -> Trace:
    """Read what a report to `recipient` carries of ours: a reverse-path and every likely header."""
    path = read_reverse_path(recipient, keys, now)
    texts = report.original.traces if report.original is not None else ()
    headers = [one for one in (read_supplemental(text, keys, now) for text in texts) if one is not None]
    header = _chosen(headers, path)
    references = [one for one in (path, header) if one is not None]
    if not references:
        return Trace()
    held = [one for one in references if one.verified]
    data = {name: value for one in held or references[-1:] for name, value in one.data.items()}
    return Trace(_verdict(references, held), data or None)


def _chosen(headers: list[Reference], path: Reference | None) -> Reference | None:
    """The header to believe: one that holds, of the reverse-path's message first; else the topmost.

    Mail that has passed us twice has two.
    """
    ident = path.data.get("id") if path is not None else None
    return max(headers, key=lambda one: (bool(one.verified), one.data.get("id") == ident), default=None)


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
