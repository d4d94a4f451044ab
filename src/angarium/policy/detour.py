"""Which entries of shaping files speak of a domain whose mail goes elsewhere?

An entry is found by the next hop. Warnings alone: code, and names of queues, may send mail there all the
same.
"""

from __future__ import annotations

from collections.abc import Iterator

from angarium.policy.config import Problem
from angarium.policy.queues import QueueTable
from angarium.policy.route import next_hop
from angarium.policy.shaping import Shaping


def detoured(shaping: Shaping, queues: QueueTable, only: str | None = None) -> Iterator[Problem]:
    """A warning for each entry, or for this one only, all of whose mail the queues files route past it."""
    hops = {next_hop("", route).domain for route in queues.named("routing_domain") if route}
    taken = {shaping.domain_key(hop) for hop in hops}
    for domain, source in shaping.entries():
        if domain.startswith("[") or domain in taken or only not in (None, domain):
            continue
        config = queues.lookup(domain)
        if config.routing_domain is None or _is_partly_direct(domain, shaping, queues):
            continue
        hop = next_hop(domain, config.routing_domain).domain
        text = f"mail for {domain} goes to {hop} ({config.sources['routing_domain']})"
        advice = f"write [domain.'{hop}'] here, or max_message_rate and others in the queues file"
        yield Problem(source, f"has no effect: {text}: {advice}", is_error=False)


def _is_partly_direct(wildcard: str, shaping: Shaping, queues: QueueTable) -> bool:
    """Whether the queues files send some of a wildcard's domains to themselves."""
    if not wildcard.startswith("*"):
        return False
    below = (key for key in queues.domains if key.endswith(wildcard[1:]) and key != wildcard)
    return any(
        shaping.domain_key(key) == wildcard
        and not any("routing_domain" in level for _, level in queues.levels(key, None, None))
        for key in below
    )
