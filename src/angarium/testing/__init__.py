"""For people who test their mail policy: the whole server in a test, scripted next hops, time that jumps.

Installed with Angarium, the pytest plugin gives tests the fixture `mta` and runs tables called
`who-may-relay.csv`: see docs/test-your-policy.md. What stands here is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from angarium.testing.client import NoDecision, NoReply, Result, Session
    from angarium.testing.clock import StuckError, VirtualClock
    from angarium.testing.network import Delivered, Hop, HopScript
    from angarium.testing.nexthop import Do
    from angarium.testing.server import MakeMta, Mta, Queued

__all__ = [
    "Delivered",
    "Do",
    "Hop",
    "HopScript",
    "MakeMta",
    "Mta",
    "NoDecision",
    "NoReply",
    "Queued",
    "Result",
    "Session",
    "StuckError",
    "VirtualClock",
]

_HOMES = {
    **dict.fromkeys(("NoDecision", "NoReply", "Result", "Session"), "client"),
    **dict.fromkeys(("StuckError", "VirtualClock"), "clock"),
    **dict.fromkeys(("Delivered", "Hop", "HopScript"), "network"),
    "Do": "nexthop",
    **dict.fromkeys(("MakeMta", "Mta", "Queued"), "server"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
