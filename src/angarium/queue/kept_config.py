"""A queue's options as the spool keeps them: what `get_queue_config` answered, for a start that cannot ask it
again.

Pure. Options of files are not kept: those are read at each start.
"""

from __future__ import annotations

from typing import Any

import msgspec

from angarium.policy.config import Protocol, QueueConfig
from angarium.policy.networks import parse_network
from angarium.policy.throttle import Rate

_DEFAULT = QueueConfig()
_LOCAL = frozenset({"prohibited_hosts", "sources"})
_KINDS: dict[str, type] = {"protocol": Protocol, "max_message_rate": Rate}


def pack_config(config: QueueConfig) -> dict[str, Any]:
    """The options that are not the defaults, as plain values."""
    options = {
        name: getattr(config, name)
        for name in config.__struct_fields__
        if name not in _LOCAL and getattr(config, name) != getattr(_DEFAULT, name)
    }
    if config.prohibited_hosts is not None:
        options["prohibited_hosts"] = [str(network) for network in config.prohibited_hosts]
    return options


def unpack_config(options: dict[str, Any]) -> QueueConfig:
    """What `pack_config` packed; options that this version does not know are left out."""
    known = {name: value for name, value in options.items() if name in QueueConfig.__struct_fields__}
    if "prohibited_hosts" in known:
        known["prohibited_hosts"] = tuple(parse_network(text) for text in known["prohibited_hosts"])
    for name, kind in _KINDS.items():
        if name in known:
            known[name] = msgspec.convert(known[name], kind)
    return QueueConfig(**known)
