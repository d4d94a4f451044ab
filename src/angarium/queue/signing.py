"""Which of our mail can be found again when a report comes? The signed header and the signed reverse-path.

Both are made once, at the door in, with the configuration of that moment, and kept with the message: a retry
says the same reverse-path, so that hosts that greylist know it again. The body is never touched, and what
was sent with the null reverse-path keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from angarium.mail.trace import Key, signed_reverse_path, signing_key, supplemental_field
from angarium.policy.config import QueueConfig, TraceHeaders

if TYPE_CHECKING:
    from angarium.queue.intake import Arrival


def sign(
    arrival: Arrival,
    headers: TraceHeaders,
    config: QueueConfig,
    keys: Mapping[str, Key],
    now: float,
    *,
    is_own: bool,
) -> None:
    """Put the signed header above a message and choose its reverse-path, as listener and queue ask for it.

    The header goes on mail of senders with a right of their own (`is_own`), or on all mail of a queue that
    says so; the reverse-path is changed for the former alone: a stranger's bounces are the stranger's.
    """
    key = signing_key(keys)
    if key is None:
        return
    wanted = config.supplemental_trace
    if wanted or (wanted is None and headers.supplemental_header and is_own):
        field = supplemental_field(_reference(arrival, headers), key, now, headers.header_name)
        arrival.prefix = field + arrival.prefix
    if config.verp is not None and is_own and arrival.envelope.sender is not None:
        arrival.return_path = signed_reverse_path(arrival.ident, config.verp, key, now)


def _reference(arrival: Arrival, headers: TraceHeaders) -> dict[str, Any]:
    """What the header says; whoever gets the mail can read it."""
    meta = {name: arrival.meta[name] for name in headers.include_meta_names if name in arrival.meta}
    return {**meta, "id": arrival.ident, "recipient": str(arrival.envelope.recipients[0].address)}
