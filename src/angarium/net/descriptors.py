"""How many connections fit the files that this process may open?

A server that runs out of descriptors cannot even write its spool. So the limit is raised as far as the system
lets us, and sessions get what is left after everything else that must go on: deliveries, the spool, the log.
"""

from __future__ import annotations

import resource
from contextlib import suppress

RESERVED = 2560
"""Descriptors kept back: 2,000 connections of delivery, and the files of spool and log."""


def raise_limit() -> None:
    """Take as many descriptors as the system grants without asking (the hard limit)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def room_for_sessions() -> int:
    """How many sessions fit beside what is kept back; half of a limit that is small."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft - RESERVED, soft // 2) if soft != resource.RLIM_INFINITY else 1 << 20
