"""By which source does the next message leave? Weighted turns among the sources of a pool.

Promises: over any stretch of messages each source has its share, evenly spread; a source whose address is
not on this machine is reported once, skipped, and looked at again after a while; a turn that led nowhere
costs nobody a later one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from angarium.policy.egress import EgressSource

log = logging.getLogger(__name__)

CHECK_TIME = 60.0
"""Seconds for which an address is believed to be there, or not."""


class Addresses:
    """Which addresses are this machine's own, asked seldom. `clock` must not jump."""

    def __init__(self, is_local: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._is_local = is_local
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}

    def has(self, source: EgressSource) -> bool:
        """Whether a source can be used."""
        address = source.source_address
        if address is None:
            return True
        until, was_there = self._known.get(address, (0.0, True))
        if self._clock() < until:
            return was_there
        is_there = self._is_local(address)
        self._known[address] = (self._clock() + CHECK_TIME, is_there)
        if is_there != was_there:
            self._report(source, is_there=is_there)
        return is_there

    def _report(self, source: EgressSource, *, is_there: bool) -> None:
        if is_there:
            log.info("egress source %s: %s is back on this machine", source.name, source.source_address)
        else:
            log.warning(
                "%s: egress source %s is skipped: %s is no address of this machine",
                source.written or "-",
                source.name,
                source.source_address,
            )


class Turns:
    """Smooth weighted round robin: each turn every source gains its weight, and the richest pays for all."""

    def __init__(self, members: Sequence[tuple[EgressSource, int]]) -> None:
        self._members = members
        self._credits = [0] * len(members)

    def next(self, can_be_used: Callable[[EgressSource], bool]) -> EgressSource | None:
        """The source whose turn it is; None where none can be used."""
        best, total = -1, 0
        for index, (source, weight) in enumerate(self._members):
            if not can_be_used(source):
                continue
            self._credits[index] += weight
            total += weight
            if best < 0 or self._credits[index] > self._credits[best]:
                best = index
        if best < 0:
            return None
        self._credits[best] -= total
        return self._members[best][0]

    def give_back(self, source: EgressSource, can_be_used: Callable[[EgressSource], bool]) -> None:
        """Undo the turn of a source among those that could be used."""
        for index, (member, weight) in enumerate(self._members):
            if member == source or can_be_used(member):
                self._credits[index] -= weight
                self._credits[self._place(source)] += weight

    def _place(self, source: EgressSource) -> int:
        return next(index for index, (member, _) in enumerate(self._members) if member == source)
