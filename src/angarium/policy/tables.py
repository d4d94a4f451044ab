"""Reading one table of a configuration file by a list of what may stand in it.

Promises that every problem of the table is found, each with the line it stands on, and that an unknown name
is answered with the nearest that is known. Values that are wrong are left out of the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from angarium.policy.config import Problem, Source
from angarium.policy.source import Document, Key
from angarium.policy.values import BadValueError, Parser, shown

NOT_YET = "is not available in this version: take it out"


class Schema(NamedTuple):
    """What may stand in a table: option name → parser, and names that have another answer."""

    options: Mapping[str, Parser]
    tables: Collection[str] = ()
    """Read by the caller."""
    refused: Mapping[str, str] = {}
    """Name → why it cannot be had: continues the name in a sentence."""
    ignored: Mapping[str, str] = {}
    """Name → why it has no effect: continues the name in a sentence."""


class Options(NamedTuple):
    """The values that were read, and where each was written."""

    values: dict[str, Any]
    sources: dict[str, Source]


class Reader:
    """A document, with the list that its problems go to."""

    def __init__(self, document: Document, problems: list[Problem]) -> None:
        self.document = document
        self.problems = problems
        self.attached: dict[Path, bytes] = {}
        """Other files that options name, absolute, with the SHA-256 of what was read."""

    def problem(self, text: str, *path: Key, is_error: bool = True) -> None:
        """Note that something is wrong at a path."""
        self.problems.append(Problem(self.document.source(*path), text, is_error))

    def table(self, parent: Mapping[str, Any], *path: Key) -> Mapping[str, Any]:
        """The table at a path, whose last part is a key of `parent`; empty where there is none."""
        value = parent.get(str(path[-1]), {})
        if isinstance(value, Mapping):
            return value
        self.problem(f"{path[-1]} is a table, not {shown(value)}: write [{_dotted(path)}]", *path)
        return {}

    def options(self, table: Mapping[str, Any], schema: Schema, *path: Key) -> Options:
        """Read the options of the table at a path."""
        values: dict[str, Any] = {}
        sources: dict[str, Source] = {}
        for name, value in table.items():
            parse = schema.options.get(name)
            if parse is None:
                self._not_an_option(name, schema, *path)
                continue
            try:
                values[name] = parse(value)
            except BadValueError as error:
                for one in error.each():
                    self.problem(f"{name}: {one}", *path, name, *one.path)
            sources[name] = self.document.source(*path, name)
        return Options(values, sources)

    def _not_an_option(self, name: str, schema: Schema, *path: Key) -> None:
        if name in schema.tables:
            return
        if name in schema.refused:
            self.problem(f"{name} {schema.refused[name]}", *path, name)
        elif name in schema.ignored:
            self.problem(f"{name} {schema.ignored[name]}", *path, name, is_error=False)
        else:
            known = [*schema.options, *schema.tables, *schema.refused, *schema.ignored]
            self.problem(unknown(name, known), *path, name)


def unknown(name: str, known: Collection[str]) -> str:
    """Say that a name is unknown, and which was probably meant."""
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(sorted(known))}"
    return f"unknown option {name}: {hint}"


def _dotted(path: tuple[Key, ...]) -> str:
    return ".".join(str(part) for part in path if isinstance(part, str))
