"""Arguments that several commands take: what they mean, and what is said when they mean nothing.

Raises `typer.BadParameter`, which ends the program with exit status 2 and the text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

UnreadConfig = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", exists=True, help="Taken as by every command; this one reads no configuration."
    ),
]
_ENDPOINT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:\s]*)):(?P<port>\d{1,5})")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(|k|ki|m|mi)b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 1000, "ki": 1024, "m": 1000**2, "mi": 1024**2}
_WEIGHT = re.compile(r":(\d+(?:\.\d+)?|\.\d+)$")


def endpoint(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`, `[IPV6]:PORT` or `:PORT` (all addresses)."""
    match = _ENDPOINT.fullmatch(text.strip())
    if match is None or int(match["port"]) > 65_535:
        raise typer.BadParameter(f"{text!r} is not HOST:PORT: write for example 127.0.0.1:2525 or [::1]:2525")
    return match["six"] or match["host"] or "", int(match["port"])


def shown_endpoint(address: tuple[str, int]) -> str:
    """`HOST:PORT`, with brackets around an IPv6 address."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def size(text: str) -> int:
    """Read `2048`, `10k`, `10 KiB` or `1M` as octets."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a size: write for example 2048, 10k, 100 KiB or 1M")
    return int(float(match[1]) * _FACTORS[match[2].lower()])


def weighted(texts: list[str]) -> list[tuple[str, float]]:
    """Read `VALUE` or `VALUE:WEIGHT`, several in one argument with commas; the weight is 1 unless given."""
    return [_weighted(item.strip()) for text in texts for item in text.split(",") if item.strip()]


def _weighted(item: str) -> tuple[str, float]:
    match = _WEIGHT.search(item)
    if match is None:
        return item, 1.0
    if not float(match[1]):
        raise typer.BadParameter(f"{item!r}: a weight of nothing never comes up; leave it out")
    return item[: match.start()], float(match[1])
