"""How do the answers of several workers become one node's? For the `queue` request.

Pure: counts are summed, lists merged and sorted, and what stands alone is that of the first worker that has
it. Values are those that `admin.queue` answers, as JSON would have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from angarium.queue.steering import SAMPLE

Value = dict[str, Any]
_SUMS = ("waiting", "connections", "idle", "opening")


def merge(action: str, answers: Sequence[Any], limit: int) -> Any:
    """One answer of those that workers gave to a request with this action; there is one at least."""
    if action == "list" and isinstance(answers[0], dict):
        return _overview(answers, limit)
    if action in ("list", "find"):
        return _rows(answers, limit)
    if action == "show":
        return _shown(answers, limit)
    if action == "suspensions":
        return _orders(answers)
    if action == "cancel":
        return answers[0]
    return _changes(answers)


def _overview(answers: Sequence[Value], limit: int) -> Value:
    queues = _by_name("queue", (queue for answer in answers for queue in answer["queues"]), _queue)
    unnamed = sum(answer["queue_count"] - len(answer["queues"]) for answer in answers)
    return {
        "messages": _sum("messages", answers),
        "queue_count": len(queues) + unnamed,
        "queues": sorted(queues, key=lambda queue: (-queue["messages"], queue["queue"]))[:limit],
        "sites": _sites(site for answer in answers for site in answer["sites"]),
        "suspensions": max(answer["suspensions"] for answer in answers),
        "watchdog": _health([answer["watchdog"] for answer in answers]),
    }


def _health(healths: Sequence[Value]) -> Value:
    return {
        "rounds": min(health["rounds"] for health in healths),
        "violations": _sum("violations", healths),
        "last": [line for health in healths for line in health["last"]],
    }


def _queue(same: Sequence[Value]) -> Value:
    """One queue, as each worker has its part of it."""
    sums: Value = {"messages": _sum("messages", same), "waiting": _sum("waiting", same)}
    sums["orders"] = list(dict.fromkeys(order for queue in same for order in queue["orders"]))
    return same[0] | sums | {name: _first(name, same) for name in ("routing_domain", "site", "last")}


def _sites(sites: Iterable[Value]) -> list[Value]:
    return sorted(_by_name("site", sites, _site), key=lambda site: str(site["site"]))


def _site(same: Sequence[Value]) -> Value:
    """One site: what binds it is what binds the worker that has most mail for it."""
    busiest = max(same, key=lambda site: int(site["waiting"]))
    merged = busiest | {name: _sum(name, same) for name in _SUMS}
    merged["quiet_until"] = max((site["quiet_until"] for site in same if site["quiet_until"]), default=None)
    latest = max(same, key=lambda site: site["last_trouble_at"] or 0.0)
    merged |= {name: latest[name] for name in ("last_trouble", "last_trouble_at")}
    merged["sessions"] = [session for site in same for session in site["sessions"]]
    return merged


def _rows(answers: Sequence[list[Value]], limit: int) -> list[Value]:
    rows = [row for answer in answers for row in answer]
    return sorted(rows, key=lambda row: (row["created"], row["id"]))[:limit]


def _shown(answers: Sequence[Value], limit: int) -> Value:
    first = answers[0]
    if "id" in first:
        return first
    if "queue" not in first:
        return {"site": _site([answer["site"] for answer in answers])}
    states = [answer["site_state"] for answer in answers if answer["site_state"] is not None]
    rows = _rows([answer["rows"] for answer in answers], limit)
    return _queue(answers) | {"site_state": _site(states) if states else None, "rows": rows}


def _orders(answers: Sequence[list[Value]]) -> list[Value]:
    """Every worker has every order, and holds its own messages under it."""
    orders = _by_name("name", (order for answer in answers for order in answer), _order)
    return sorted(orders, key=lambda order: float(order["created"]))


def _order(same: Sequence[Value]) -> Value:
    return same[0] | {"holds": None if same[0]["holds"] is None else _sum("holds", same)}


def _changes(answers: Sequence[Value]) -> Value:
    """Counts are summed, whatever they count; a name is the same everywhere."""
    counts = {name for answer in answers for name, value in answer.items() if type(value) is int}
    merged = answers[0] | {name: _sum(name, answers) for name in counts}
    merged["name"] = _first("name", answers)
    merged["sample"] = [ident for answer in answers for ident in answer["sample"]][:SAMPLE]
    return merged


def _by_name(name: str, values: Iterable[Value], join: Any) -> list[Value]:
    groups: dict[str, list[Value]] = {}
    for value in values:
        groups.setdefault(value[name], []).append(value)
    return [join(group) for group in groups.values()]


def _sum(name: str, values: Iterable[Value]) -> int:
    return sum(value[name] for value in values)


def _first(name: str, values: Iterable[Value]) -> Any:
    """The first that says anything."""
    return next((value[name] for value in values if value[name]), None)
