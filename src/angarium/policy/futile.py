"""What in the files can never take effect, however many sessions and messages come?

Warnings, each once, at the first place where it was written: rights of identities that nobody can prove, and
retry intervals above their own limit. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from angarium.policy.config import Problem, QueueConfig
from angarium.policy.match import PolicyTables
from angarium.policy.queues import QueueTable


def unprovable(domains: PolicyTables) -> Iterator[Problem]:
    """The first relay_from_authz of files whose configuration knows neither users nor AUTH handlers."""
    places = domains.places("relay_from_authz")
    for source in sorted(source for identities, source in places.items() if identities)[:1]:
        text = "relay_from_authz can never allow anything, since nobody can authenticate here"
        advice = "name a file in the option users of policy, or write an AUTH handler"
        yield Problem(source, f"{text}: {advice}", is_error=False)


def capped(queues: QueueTable) -> Iterator[Problem]:
    """The first place of each retry_interval that max_retry_interval cuts short from the first retry on."""
    seen = set()
    for level in queues.each_level("retry_interval", "max_retry_interval"):
        said = {**queues.default, **level}
        interval = said["retry_interval"][0] if "retry_interval" in said else QueueConfig().retry_interval
        limit = said["max_retry_interval"][0] if "max_retry_interval" in said else interval
        if limit < interval and (interval, limit) not in seen:
            seen.add((interval, limit))
            _, source = level.get("retry_interval") or level["max_retry_interval"]
            text = f"max_retry_interval ({limit:g} s) is below retry_interval ({interval:g} s)"
            yield Problem(source, f"{text}, so delays never grow: raise it or take it out", is_error=False)
