"""When is the next attempt, if there is one?

The delay doubles with each failure, from `retry_interval` up to `max_retry_interval`, and is spread a little,
so that messages that failed together do not return together. The caller brings clock and entropy.
"""

from __future__ import annotations

from angarium.policy.config import QueueConfig

MAX_SPREAD = 30.0
"""Seconds that an attempt may come earlier or later at most."""
_MAX_DOUBLINGS = 40


def retry_delay(failures: int, config: QueueConfig, entropy: float) -> float:
    """Seconds to wait after `failures` (1 or more) failed attempts; `entropy` is in [0, 1)."""
    delay = config.retry_interval * float(2 ** min(failures - 1, _MAX_DOUBLINGS))
    if config.max_retry_interval is not None:
        delay = min(delay, config.max_retry_interval)
    spread = min(config.retry_interval / 40, MAX_SPREAD)
    return max(delay + (2 * entropy - 1) * spread, 0.0)


def next_attempt(
    failures: int, now: float, expires: float, config: QueueConfig, entropy: float
) -> float | None:
    """The time of the next attempt, or None where the message expires before it. Times are Unix seconds."""
    due = now + retry_delay(failures, config, entropy)
    return None if due > expires else due
