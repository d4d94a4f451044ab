"""`angarium check`: every problem of a configuration, before it is in force."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from angarium.cli.configuration import Config, ConfigArgument, find
from angarium.delivery.plan import SMTP_PORT
from angarium.delivery.resolve import Own
from angarium.net.local import is_local_address
from angarium.net.rights import has_user, interpreter_trouble
from angarium.policy.config import ConfigError, Configuration, Problem, Protocol
from angarium.policy.load import load
from angarium.policy.open_relay import open_relays, proxies_with_rights
from angarium.policy.route import next_hop


def check(
    argument: ConfigArgument = None,
    config: Config = None,
    *,
    strict: Annotated[bool, typer.Option(help="Exit with 1 for warnings too.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print problems as JSON.")] = False,
) -> None:
    """Load a configuration and print every problem as `file:line: what, and what to do`. Touches nothing.

    Example: angarium check /etc/angarium/angarium.toml
    """
    path = find(config, argument)
    problems = sorted(_problems(path))
    if json_:
        print(json.dumps([_row(problem) for problem in problems], indent=2))
    else:
        for problem in problems:
            print(problem)
    errors = sum(problem.is_error for problem in problems)
    if not json_:
        print(
            f"{path}: {_count(errors, 'error')}, {_count(len(problems) - errors, 'warning')}", file=sys.stderr
        )
    raise typer.Exit(1 if errors or (strict and problems) else 0)


def _problems(path: object) -> list[Problem]:
    try:
        configuration = load(str(path))
    except ConfigError as error:
        return error.problems
    return [
        *configuration.problems,
        *open_relays(configuration),
        *proxies_with_rights(configuration),
        *_of_this_machine(configuration),
        *_circles(configuration),
    ]


def _of_this_machine(configuration: Configuration) -> Iterator[Problem]:
    """What the files say rightly, and a start here could not do."""
    user = configuration.user
    if user is not None and not has_user(user):
        text = f"user {user!r} does not exist on this machine, where a start as root would fail: create it"
        yield Problem(configuration.sources["user"], text, is_error=False)
    elif configuration.workers != 1 and (trouble := interpreter_trouble(user)):
        yield Problem(configuration.sources["user"], trouble, is_error=False)


def _circles(configuration: Configuration) -> Iterator[Problem]:
    """Routes that lead back to one of our own listeners: delivery never goes there (RFC 5321 section 6.3)."""
    own = Own(listeners=tuple((listener.host, listener.port) for listener in configuration.listeners))
    queues = configuration.queues
    for level in queues.each_level("routing_domain"):
        routing_domain, source = level["routing_domain"]
        protocol, _ = level.get("protocol") or queues.default.get("protocol") or (Protocol(), source)
        if protocol.kind not in ("smtp", "lmtp") or protocol.mx_list:
            continue  # its mail goes elsewhere
        port, _ = level.get("smtp_port") or queues.default.get("smtp_port") or (SMTP_PORT, source)
        hop = next_hop("", routing_domain) if routing_domain is not None else None
        if hop is None or hop.address is None:
            continue
        if own.takes(str(hop.address), hop.port or port, is_local_address):
            text = f"routing_domain {routing_domain} is one of our own listeners: mail for it fails with"
            text += " 554 5.4.6; name the server that has the mailboxes"
            yield Problem(source, text, is_error=False)


def _row(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.source.file,
        "line": problem.source.line,
        "error": problem.is_error,
        "text": problem.text,
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
