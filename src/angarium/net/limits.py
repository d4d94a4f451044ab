"""How often, and how much at once? Counting by network, in memory that is bounded whatever strangers do.

A Tally counts events of each network in a sliding window; of too many networks it forgets those that were
silent longest. Crowd counts what is there now. Budget hands out octets. All hold for one worker: nothing here
is shared between processes. The time comes in as an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address

MAX_NETWORKS = 65_536
"""Networks that one Tally remembers, at some 200 octets each."""

NetworkKey = tuple[int, int]
"""IP version and the leading bits of the address."""


def network_key(address: IPv4Address | IPv6Address, prefix_ipv4: int, prefix_ipv6: int) -> NetworkKey:
    """The network that an address is counted with."""
    prefix = prefix_ipv4 if address.version == 4 else prefix_ipv6
    return address.version, int(address) >> (address.max_prefixlen - prefix)


class Tally:
    """Events of each network in the last `window` seconds.

    An estimate: events of the window before are taken as spread evenly, so that an entry is three numbers.
    """

    __slots__ = ("_capacity", "_entries", "_window")

    def __init__(self, window: float, capacity: int = MAX_NETWORKS) -> None:
        self._window = window
        self._capacity = capacity
        self._entries: OrderedDict[NetworkKey, tuple[int, int, int]] = OrderedDict()
        """Which window, events in it, events in the one before."""

    def add(self, key: NetworkKey, now: float) -> None:
        """Count one event."""
        number, current, before = self._entry(key, now)
        self._entries[key] = (number, current + 1, before)
        self._entries.move_to_end(key)
        if len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def count(self, key: NetworkKey, now: float) -> float:
        """How many events there were in the last `window` seconds."""
        number, current, before = self._entry(key, now)
        return current + before * (number + 1 - now / self._window)

    def _entry(self, key: NetworkKey, now: float) -> tuple[int, int, int]:
        this = int(now // self._window)
        number, current, before = self._entries.get(key, (this, 0, 0))
        if number == this:
            return number, current, before
        return this, 0, current if number == this - 1 else 0

    def __len__(self) -> int:
        return len(self._entries)


class Crowd:
    """How many of each network are here now."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[NetworkKey, int] = {}

    def enter(self, key: NetworkKey) -> int:
        """Count one in; returns how many there are then."""
        count = self._counts[key] = self._counts.get(key, 0) + 1
        return count

    def leave(self, key: NetworkKey) -> None:
        """Count one out that had come in."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def __len__(self) -> int:
        return len(self._counts)


class Budget:
    """Octets that may be in use at a time; `total` may be changed."""

    __slots__ = ("total", "used")

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.total

    def take(self, octets: int) -> None:
        """Use octets, whether they are left or not."""
        self.used += octets

    def give_back(self, octets: int) -> None:
        """Use them no longer."""
        self.used -= octets
