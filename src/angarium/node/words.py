"""What a worker is told when it begins, and what it says when it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from angarium.policy.config import Configuration, ControlConfig, DnsConfig, LogConfig, SpoolConfig

_Kept = dict[str, Any]
_SECTIONS = {"spool": SpoolConfig, "log": LogConfig, "control": ControlConfig, "dns": DnsConfig}
"""What is read once, at the node's start, whatever the files say later (see `policy.reload`)."""


class Begin(msgspec.Struct, frozen=True):
    """What a worker is told first."""

    number: int
    workers: int
    path: str
    """The main file."""
    copies: str
    """Where the files are as they are in force."""
    hash: str
    """Of the configuration in force, which must be what the copies say."""
    sockets: Mapping[str, Sequence[int]]
    """`listen` → the descriptors of its sockets, one for each worker by its number."""
    last_words: int
    """The descriptor of a file, for what the interpreter says at a fatal signal."""
    kept: _Kept
    """The sections that only a restart of the node changes."""


class Opening(msgspec.Struct, frozen=True):
    """What a worker is told before it serves."""

    orders: Sequence[bytes]
    """The operators' orders that the others have."""
    requests: Sequence[Mapping[str, Any]]
    """What was asked of the queue while it was not there."""


class Built(msgspec.Struct, frozen=True):
    """A worker has taken up its spool."""

    hash: str
    orders: list[bytes]
    """The operators' orders that stand in its spool."""


def kept_of(configuration: Configuration) -> _Kept:
    """The sections that every worker must have alike."""
    return {name: msgspec.to_builtins(getattr(configuration, name)) for name in _SECTIONS}


def keeping(configuration: Configuration, begin: Begin) -> Configuration:
    """A configuration as the node has it in force: with its sections, and its listeners alone."""
    kept = {name: msgspec.convert(begin.kept[name], made) for name, made in _SECTIONS.items()}
    listeners = tuple(one for one in configuration.listeners if one.listen in begin.sockets)
    return msgspec.structs.replace(configuration, listeners=listeners, **kept)
