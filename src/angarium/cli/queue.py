"""`angarium queue`: what is queued, why it waits, what is next; and changing it."""

from __future__ import annotations

import getpass
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from angarium.cli.answers import as_json, console, counted
from angarium.cli.client import ask_all_or_exit
from angarium.cli.configuration import Config, complain, find
from angarium.policy.config import ConfigError
from angarium.policy.load import find_socket
from angarium.policy.values import BadValueError
from angarium.policy.values import duration as parse_duration

LOOKING = ("list", "show", "find", "suspensions")
CHANGING = (
    *("hold", "release", "retry", "expire", "bounce", "delete", "reroute", "reevaluate", "suspend"),
    "cancel",
)
_DONE = {
    "hold": "held",
    "release": "released",
    "retry": "due now",
    "expire": "expired",
    "bounce": "bounced",
    "delete": "deleted",
    "reroute": "rerouted",
    "reevaluate": "evaluated again",
    "suspend": "waiting under it now",
}
_NAMED = ("show", "cancel")
_LISTED_BY = {"show": "list", "cancel": "suspensions"}


def queue(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help=f"{', '.join(LOOKING)}; {', '.join(CHANGING)}.")
    ] = "list",
    what: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID…|NAME]",
            help="Messages by id; for show, also a queue or site; for cancel, a suspension's name.",
        ),
    ] = None,
    config: Config = None,
    *,
    socket: Annotated[
        str | None, typer.Option(help="The control socket, if not the configuration's.")
    ] = None,
    queue_: Annotated[str | None, typer.Option("--queue", help="Messages of this queue.")] = None,
    domain: Annotated[
        str | None, typer.Option(help="… to this domain; *.example.com is all below it.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="… of this tenant.")] = None,
    campaign: Annotated[str | None, typer.Option(help="… of this campaign.")] = None,
    site: Annotated[str | None, typer.Option(help="… that go to this site.")] = None,
    sender: Annotated[str | None, typer.Option(help="… from this address, @domain or <>.")] = None,
    recipient: Annotated[str | None, typer.Option(help="… to this address or @domain.")] = None,
    older_than: Annotated[str | None, typer.Option(help="… accepted so long ago, as 2h or 3 days.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every message.")] = False,
    message_id: Annotated[str | None, typer.Option(help="find: with this Message-ID.")] = None,
    header: Annotated[str | None, typer.Option(help="find: with a field like this, 'Name: text'.")] = None,
    to: Annotated[str | None, typer.Option(help="reroute: to this queue, or '!routing_domain'.")] = None,
    reason: Annotated[str, typer.Option(help="Why; for the records and for colleagues.")] = "",
    for_: Annotated[str | None, typer.Option("--for", help="hold, suspend, bounce: for so long.")] = None,
    name: Annotated[str | None, typer.Option(help="hold, suspend, bounce: the name of the order.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, show a sample, change nothing.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to show.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Look at what is queued, why it waits and what is next; and change it, on the running server.

    Example: angarium queue suspend --domain example.com --reason "they move house" --for 2h
    """
    if action not in LOOKING + CHANGING:
        raise typer.BadParameter(f"{action!r} is no action: {', '.join(LOOKING + CHANGING)}")
    if action in _NAMED and len(what or []) != 1:
        raise typer.BadParameter(f"{action} wants one name: `angarium queue {_LISTED_BY[action]}` has them")
    selector = {
        "ids": [] if action in _NAMED else what or [],
        "queue": queue_,
        "domain": domain,
        "tenant": tenant,
        "campaign": campaign,
        "site": site,
        "sender": sender,
        "recipient": recipient,
        "older_than": _seconds(older_than),
    }
    _must_name(action, is_meant=everything or any(selector.values()), is_found=bool(message_id or header))
    if action == "reroute" and not to:
        raise typer.BadParameter("reroute wants --to: a queue, or '!routing_domain'")
    answer, missing = ask_all_or_exit(
        socket or _socket(find(config)),
        "queue",
        action=action,
        what=what[0] if what and action in _NAMED else None,
        selector={key: value for key, value in selector.items() if value},
        everything=everything,
        message_id=message_id,
        header=header,
        queue=to,
        reason=reason,
        author=_author(),
        seconds=_seconds(for_),
        name=name,
        dry_run=dry_run,
        limit=limit,
    )
    if json:
        if missing and isinstance(answer, dict):
            answer["missing_workers"] = missing
        print(as_json(answer))
    else:
        _print(action, answer, limit)
    is_told = action in CHANGING and not dry_run
    for worker in missing:
        what_of_it = "it is told when it is back" if is_told else "its part is missing"
        print(f"angarium: worker {worker} is not there: {what_of_it}; see the server's log", file=sys.stderr)
    is_found = not selector["ids"] or bool(missing) or not _concerns_nothing(answer)
    if (missing and not is_told) or (action == "find" and not answer) or not is_found:
        raise typer.Exit(1)


def _concerns_nothing(answer: Any) -> bool:
    """Whether a change found no message of those that were named."""
    return isinstance(answer, dict) and not (
        answer.get("count", 1) or answer.get("busy") or answer.get("name")
    )


def _must_name(action: str, *, is_meant: bool, is_found: bool) -> None:
    """Who is about to change everything must say so. Raises BadParameter."""
    if action == "find" and not (is_meant or is_found):
        raise typer.BadParameter("find whom? Say --recipient, --sender, --message-id, --header or others")
    if action in CHANGING and action not in _NAMED and not is_meant:
        raise typer.BadParameter(f"{action} would be about every message: say which ones, or --all")


def _socket(path: Path) -> str:
    """Where the server listens; a configuration that is broken elsewhere is no hindrance."""
    try:
        return find_socket(path)
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(1) from None


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else parse_duration(text)
    except BadValueError as error:
        raise typer.BadParameter(str(error)) from None


def _author() -> str:
    """Who asks: the person behind sudo, if it is one."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _print(action: str, answer: Any, limit: int) -> None:
    if action == "suspensions":
        _print_orders(answer)
    elif action == "cancel":
        print(f"{answer['kind']} {answer['cancelled']} is cancelled")
    elif action in _DONE:
        _print_done(action, answer)
    elif isinstance(answer, list):
        _print_rows(answer)
        if len(answer) == limit:
            print(f"… perhaps more than these {limit}; --limit shows more")
    elif action == "list":
        _print_overview(answer)
    else:
        _print_facts(answer)


def _print_done(action: str, answer: Any) -> None:
    if answer.get("dry_run"):
        print(f"would concern {counted(answer['count'], 'message')}, for example:")
        print("".join(f"  {ident}\n" for ident in answer["sample"]), end="")
    else:
        print(f"{counted(answer['count'] - answer['stopped'], 'message')} {_DONE[action]}")
        if action == "hold" and not answer["name"]:
            print("no hold stands, and what comes later goes: `angarium queue suspend` keeps that back too")
    if answer["name"]:
        print(f"{action} {answer['name']} stands; `angarium queue cancel {answer['name']}` ends it")
    if answer["busy"]:
        print(f"{counted(answer['busy'], 'message')} on the wire or being finished: untouched")
    if answer["stopped"]:
        print(f"{counted(answer['stopped'], 'message')} stopped by an order: angarium queue suspensions")
    if answer["failed"]:
        print(f"{counted(answer['failed'], 'message')} waits as before: the server's log says why")


def _print_overview(answer: Any) -> None:
    print(f"{counted(answer['messages'], 'message')} in {counted(answer['queue_count'], 'queue')}")
    if answer["suspensions"]:
        print(f"{counted(answer['suspensions'], 'order')} of operators: angarium queue suspensions")
    if answer["watchdog"]["violations"]:
        print(
            f"{counted(answer['watchdog']['violations'], 'message')} had to be repaired: see the server's log"
        )
    if answer["queues"]:
        has_orders = any(row["orders"] for row in answer["queues"])
        table = _table(
            "queue", "messages", "waiting", *(["orders"] if has_orders else []), "site", "last answer"
        )
        for row in answer["queues"]:
            orders = [", ".join(row["orders"])] if has_orders else []
            _add(table, row["queue"], row["messages"], row["waiting"], *orders, row["site"], row["last"])
        console().print(table)
        if answer["queue_count"] > len(answer["queues"]):
            print(f"… the largest {len(answer['queues'])} of them; --limit shows more")


def _print_rows(rows: list[Any]) -> None:
    if not rows:
        print("no such message is queued")
        return
    table = _table("id", "from", "to", "age", "tries", "next", "waits for")
    now = time.time()
    for row in rows:
        age, due = _span(now - row["created"]), _until(row["due"], now)
        _add(table, row["id"], row.get("sender"), row.get("recipient"), age, row["attempts"], due, row["why"])
    console().print(table)


def _print_orders(orders: list[Any]) -> None:
    if not orders:
        print("no order stands")
        return
    table = _table("name", "kind", "about", "until", "by", "reason")
    for order in orders:
        until = "no end" if order["expires"] is None else _when(order["expires"])
        held = "" if order["holds"] is None else f": {counted(order['holds'], 'message')}"
        about = f"{order['about']}{held}"
        _add(table, order["name"], order["kind"], about, until, order["author"], order["reason"])
    console().print(table)


_TIMES = ("created", "due", "expires", "quiet_until", "bound_until", "last_trouble_at")


def _print_facts(answer: Any, indent: str = "") -> None:
    rows = answer.pop("rows", None)
    for key, value in answer.items():
        if key == "due" and value is None:
            print(f"{indent}due: when released")
        if value in (None, "", [], {}):
            continue
        label = f"{indent}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            print(f"{label}:")
            _print_facts(value, indent + "  ")
        else:
            print(f"{label}: {_when(value) if key in _TIMES else _fact(value)}")
    if rows:
        _print_rows(rows)


def _fact(value: Any) -> str:
    return ", ".join(map(_fact, value)) if isinstance(value, list) else str(value)


def _table(*columns: str) -> Table:
    table = Table(show_edge=False, pad_edge=False, box=None)
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "id")
    return table


def _add(table: Table, *cells: object) -> None:
    table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))


def _when(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _until(due: float | None, now: float) -> str:
    if due is None:
        return "when released"
    return f"in {_span(due - now)}" if due > now else "now"


def _span(seconds: float) -> str:
    """A duration to two digits or so: `45s`, `12m`, `5h`, `3d`."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
