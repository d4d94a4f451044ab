"""The classification rules that come with Angarium: part of the program, read like its code."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

SHIPPED: Final = ("community.toml", "iana.toml")


def shipped() -> tuple[tuple[str, str], ...]:
    """Name and text of each shipped rule file, in the order in which they are asked."""
    here = files(__name__)
    return tuple((name, here.joinpath(name).read_text("utf-8")) for name in SHIPPED)
