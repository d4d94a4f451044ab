"""What did a handler change? Of a message that it was shown, and of metadata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from angarium.policy.views import Change, ConnectionMeta, Message, Meta

MAX_CHANGES = 50
"""Changes of one call that are told."""
MAX_VALUE = 200
"""Characters of a new value that are told: every record of a transaction repeats them."""

_ABSENT = object()
Before = list[tuple[Meta, dict[str, Any]]]


def before(args: Sequence[object]) -> Before:
    """The metadata that a handler is going to see, as it stands."""
    metas = {id(arg.meta): arg.meta for arg in args if isinstance(arg, Message | ConnectionMeta)}
    return [(meta, meta.as_dict()) for meta in metas.values()]


def changes_since(metas: Before, args: Sequence[object]) -> list[Change]:
    """What the handler has changed, in order; of metadata the names."""
    changes = [change for arg in args if isinstance(arg, Message) for change in arg.changes]
    for meta, was in metas:
        changes += [Change("meta", name) for name in _different(was, meta.as_dict())]
    if len(changes) > MAX_CHANGES:  # those of header fields are the ones that come in hundreds
        changes.sort(key=lambda change: change.what.endswith("_header"))
    return [Change(change.what, change.value[:MAX_VALUE]) for change in changes[:MAX_CHANGES]]


def _different(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    if was == now:
        return []
    return [name for name in {**was, **now} if was.get(name, _ABSENT) != now.get(name, _ABSENT)]
