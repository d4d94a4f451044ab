"""What of a limit may this worker use, where several workers share it? The question that delivery asks.

One worker has every limit to itself, and asks nobody. With several, somebody outside this process knows: the
node's supervisor (`node.shares`), and one day perhaps a server that many nodes ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from angarium.policy.throttle import Meter, Rate


class Slots(Protocol):
    """A worker's share of the connections to one site."""

    @property
    def allowed(self) -> int:
        """Connections that it may have now. May fall below what it has: then it closes some."""

    def balance(self, used: int, wanted: int, limit: int) -> None:
        """Say how many connections there are now, how many it would like in all, and what the limit is.

        What is neither used nor wanted is given back; what is wanted comes in its time, if it can.
        """


class Shares(Protocol):
    """A worker's shares of all limits."""

    def meter(self, name: str, rate: Rate) -> Meter:
        """The meter of that name, which all workers have in common."""

    def slots(self, site: str, on_change: Callable[[], None]) -> Slots:
        """The worker's share of a site's connections; `on_change` is called when `allowed` is another."""
