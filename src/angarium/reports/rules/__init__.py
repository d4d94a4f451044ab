"""The rule files that come with Angarium: part of the program, read like its code."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SHIPPED: Final = ("providers.toml", "community.toml", "iana.toml")
"""The files that classify replies, in the order in which they are asked."""


def read_rules(name: str) -> str:
    """The text of one file."""
    return files(__name__).joinpath(name).read_text("utf-8")


def shipped() -> tuple[tuple[str, str], ...]:
    """Name and text of each file that classifies replies."""
    return tuple((name, read_rules(name)) for name in SHIPPED)
