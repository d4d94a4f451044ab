"""Plain data as TOML: tables by their headers, short values on one line, in the order that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(data: Mapping[str, Any]) -> str:
    """A TOML document; raises TypeError for what TOML cannot say. None is left out."""
    return "\n".join(_table(data, ())).lstrip("\n") + "\n"


def _table(data: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    below = {}
    for name, value in data.items():
        if isinstance(value, Mapping) or _is_tables(value):
            below[name] = value
        elif value is not None:
            yield f"{key(name)} = {shown(value)}"
    for name, value in below.items():
        header = ".".join(map(key, (*path, name)))
        if isinstance(value, Mapping):
            if not value or not all(isinstance(part, Mapping) for part in value.values()):
                yield f"\n[{header}]"
            yield from _table(value, (*path, name))
            continue
        for item in value:
            yield f"\n[[{header}]]"
            yield from _table(item, (*path, name))


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else shown(name)


def shown(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key(name)} = {shown(part)}" for name, part in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise TypeError(f"{type(value).__name__} has no form in TOML")
