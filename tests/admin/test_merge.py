"""admin.merge: what several workers answer is one answer."""

from __future__ import annotations

from typing import Any

from angarium.admin.merge import merge


def queue(name: str, messages: int, **options: Any) -> dict[str, Any]:
    row = {"queue": name, "messages": messages, "waiting": messages, "routing_domain": None}
    return row | {"site": None, "orders": [], "last": ""} | options


def site(name: str, waiting: int, **options: Any) -> dict[str, Any]:
    state = {"site": name, "hosts": ["mx:25"], "waiting": waiting, "connections": 1, "idle": 0, "opening": 0}
    bound = {"bound_by": "", "bound_at": "", "bound_until": None, "quiet_until": None, "last_trouble": ""}
    bound["last_trouble_at"] = None
    return state | bound | {"sessions": [["s", "mail"]]} | options


def overview(*queues: dict[str, Any], **options: Any) -> dict[str, Any]:
    messages = sum(each["messages"] for each in queues)
    watchdog = {"rounds": 3, "violations": 1, "last": ["one"]}
    whole = {"messages": messages, "queue_count": len(queues), "queues": list(queues), "sites": []}
    return whole | {"suspensions": 2, "watchdog": watchdog} | options


def test_overview() -> None:
    """Messages are summed by queue and in all; who has most comes first; orders are everybody's."""
    one = overview(queue("a", 3, last="451 later"), queue("b", 1), sites=[site("mx", 3)])
    two = overview(queue("a", 2, site="mx"), queue("c", 9), sites=[site("mx", 7, bound_by="full")])
    both = merge("list", [one, two], 2)
    assert (both["messages"], both["queue_count"], both["suspensions"]) == (15, 3, 2)
    assert [(each["queue"], each["messages"]) for each in both["queues"]] == [("c", 9), ("a", 5)]
    assert (both["queues"][1]["last"], both["queues"][1]["site"]) == ("451 later", "mx")
    [merged] = both["sites"]
    assert (merged["waiting"], merged["connections"], merged["bound_by"]) == (10, 2, "full")
    assert len(merged["sessions"]) == 2
    assert both["watchdog"] == {"rounds": 3, "violations": 2, "last": ["one", "one"]}


def test_more_queues_than_are_named() -> None:
    """Queues that a worker has and does not name are counted too."""
    many = overview(queue("a", 1), queue_count=50)
    assert merge("list", [many, overview(queue("a", 1))], 10)["queue_count"] == 50


def test_rows() -> None:
    """Messages come by age, and no more than were asked for."""
    one = [{"id": "2", "created": 2.0}, {"id": "4", "created": 4.0}]
    two = [{"id": "1", "created": 1.0}, {"id": "3", "created": 3.0}]
    assert [row["id"] for row in merge("find", [one, two], 3)] == ["1", "2", "3"]
    assert merge("list", [[], []], 3) == []


def test_shown() -> None:
    """A message is the one that was found; queues and sites are put together."""
    message = {"id": "x", "queue": "a", "site_state": None}
    assert merge("show", [message], 10) == message
    assert merge("show", [{"site": site("mx", 1)}, {"site": site("mx", 2)}], 10)["site"]["waiting"] == 3
    quiet = site("mx", 0, quiet_until=5.0)
    shown = merge(
        "show",
        [
            queue("a", 2) | {"site_state": quiet, "options": {}, "rows": [{"id": "2", "created": 2.0}]},
            queue("a", 1) | {"site_state": None, "options": {}, "rows": [{"id": "1", "created": 1.0}]},
        ],
        10,
    )
    assert (shown["messages"], shown["site_state"]["quiet_until"]) == (3, 5.0)
    assert [row["id"] for row in shown["rows"]] == ["1", "2"]


def test_orders() -> None:
    """An order that stands everywhere is one, the oldest first, and holds what all have under it."""
    noon, move = {"name": "noon", "created": 1.0, "holds": 2}, {"name": "move", "created": 2.0, "holds": None}
    assert merge("suspensions", [[move, noon], [noon, move]], 10) == [noon | {"holds": 4}, move]
    assert merge("cancel", [{"cancelled": "noon"}], 10) == {"cancelled": "noon"}


def test_changes() -> None:
    """Counts are summed, whatever is counted; ten ids are enough."""
    done = {"count": 7, "busy": 1, "failed": 2, "sample": list("abcdefg"), "name": "noon"}
    both = merge("hold", [done, done], 10)
    assert (both["count"], both["busy"], both["failed"], both["name"]) == (14, 2, 4, "noon")
    assert both["sample"] == list("abcdefgabc")
    assert merge("delete", [{"dry_run": True} | done] * 2, 10)["dry_run"] is True
