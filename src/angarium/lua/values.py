"""Values between Lua and Python.

Texts are octets in Lua: they are UTF-8 here, and octets that are not survive the way there and back as
surrogate escapes. A table whose keys are 1 to n is a list; an empty one is a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lupa.lua54 import lua_type

MAX_DEPTH = 64
MAX_TABLES = 100_000
"""In one value: a table that is reached over several ways counts each time."""


def text_from_lua(value: str) -> str:
    """A text of Lua's, which comes with one character an octet."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "surrogateescape")


def text_to_lua(value: str) -> str | bytes:
    """A text for Lua."""
    return value if value.isascii() else value.encode("utf-8", "surrogateescape")


def from_lua(value: Any) -> Any:
    """A value of Lua's as lists, dicts with texts as keys, and plain values; raises TypeError, ValueError."""
    return _from_lua(value, 0, iter(range(MAX_TABLES)))


def _from_lua(value: Any, depth: int, left: Iterator[int]) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return text_from_lua(value)
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if next(left, None) is None:
        raise ValueError(f"a table of more than {MAX_TABLES} tables is too large")
    if lua_type(value) != "table":
        raise TypeError("a function, or an object of the server's, has no place here")
    items = dict(value.items())
    if items and all(isinstance(key, int) for key in items) and set(items) == set(range(1, len(items) + 1)):
        return [_from_lua(items[index], depth + 1, left) for index in range(1, len(items) + 1)]
    return {_key(key): _from_lua(item, depth + 1, left) for key, item in items.items()}


def _key(key: Any) -> str:
    if isinstance(key, str):
        return text_from_lua(key)
    if isinstance(key, int | float):
        return f"{key:g}" if isinstance(key, float) else str(key)
    raise TypeError("keys of tables are texts or numbers here")


def to_lua(runtime: Any, value: Any, depth: int = 0) -> Any:
    """Lists, dicts and plain values as Lua has them; raises ValueError."""
    if isinstance(value, str):
        return text_to_lua(value)
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        items = [(key, item) for key, item in value.items() if item is not None]
        return runtime.table_from(
            {text_to_lua(str(key)): to_lua(runtime, item, depth + 1) for key, item in items}
        )
    if isinstance(value, list | tuple):
        return runtime.table_from([to_lua(runtime, item, depth + 1) for item in value])
    return text_to_lua(str(value))  # dates of TOML
