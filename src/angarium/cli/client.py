"""Asking the server that runs, from a command.

A command asks where its configuration says; when nobody answers there, it goes by the files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import typer

from angarium.net.unix import NobodyThere, UnixTrouble, exchange_line

LIMIT = 60.0
"""Seconds to wait for an answer."""


class Refusal(Exception):  # noqa: N818 - it is an answer
    """The server cannot answer this; the text says why."""


def ask(socket: str, request: str, **arguments: Any) -> Any:
    """Put a request to the server on a socket; raises NobodyThere, UnixTrouble, Refusal."""
    return _exchange(socket, request, arguments)["answer"]


def _exchange(socket: str, request: str, arguments: dict[str, Any]) -> dict[str, Any]:
    line = msgspec.json.encode({"request": request, **arguments})
    answer: dict[str, Any] = msgspec.json.decode(exchange_line(socket, line, LIMIT))
    if not answer["ok"]:
        raise Refusal(answer["error"])
    return answer


def is_serving(socket: str, config: Path) -> bool:
    """Whether the server on this socket serves this configuration."""
    try:
        return bool(ask(socket, "version")["config"] == str(config.absolute()))
    except NobodyThere:
        return False
    except (UnixTrouble, Refusal) as error:
        print(f"angarium: {error}; going by the files instead", file=sys.stderr)
        return False


def ask_all_or_exit(socket: str, request: str, **arguments: Any) -> tuple[Any, list[int]]:
    """As `ask`, with the workers that did not answer; says why there is no answer and exits with 1."""
    try:
        answer = _exchange(socket, request, arguments)
        return answer["answer"], answer.get("missing_workers", [])
    except (UnixTrouble, Refusal) as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
