"""A programmable mail transfer agent whose decisions can be explained, proved and tested.

What a policy file imports stands here; it is loaded when it is first asked for, since commands import this
too.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from angarium.embed import serve
    from angarium.mail.address import Address
    from angarium.policy.config import QueueConfig
    from angarium.policy.decision import ListenerDomain
    from angarium.policy.hooks import Policy, reject
    from angarium.policy.views import ConnectionMeta, Identity, Message, ReceivedReport

__all__ = [
    "Address",
    "ConnectionMeta",
    "Identity",
    "ListenerDomain",
    "Message",
    "Policy",
    "QueueConfig",
    "ReceivedReport",
    "reject",
    "serve",
]

_HOMES = {
    "Address": "angarium.mail.address",
    "ConnectionMeta": "angarium.policy.views",
    "Identity": "angarium.policy.views",
    "ListenerDomain": "angarium.policy.decision",
    "Message": "angarium.policy.views",
    "Policy": "angarium.policy.hooks",
    "QueueConfig": "angarium.policy.config",
    "ReceivedReport": "angarium.policy.views",
    "reject": "angarium.policy.hooks",
    "serve": "angarium.embed",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
