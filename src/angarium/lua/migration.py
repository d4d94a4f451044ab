"""The same policy without Lua: what a policy file declares as TOML, its handlers as Python to be written.

The operator's own TOML files are taken as they are, with a warning for each line that means something else
here. A handler becomes a function that refuses to answer, with the Lua text as a comment in it, since a
handler that answers nothing would open what the old one closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from angarium.lua.differences import differences
from angarium.lua.handlers import Function
from angarium.lua.program import Program
from angarium.lua.toml import dumps
from angarium.policy.config import ConfigError, Problem, Source
from angarium.policy.hooks import EVENTS
from angarium.policy.rule_files import DEFAULT_FILES
from angarium.policy.source import Document, Key, read_document, read_octets

MAIN, POLICY = "angarium.toml", "policy.py"
_FILES = ("tls_certificate", "tls_private_key", "tls_client_ca")
_PATHS = (("spool", "path"), ("log", "dir"), ("control", "socket"), ("trace", "keys"))
_NAMED = frozenset({"recipients", "tls_ca", "password_file"})
"""Options of the operator's own files that name further ones."""


class Migration(NamedTuple):
    """What is to be written, and what to look at."""

    files: dict[str, bytes]
    """By name; what the operator's files name may lie in folders below."""
    main: str
    """Which of them is the configuration."""
    warnings: list[Problem]


def migrate(path: Path) -> Migration:
    """Turn a policy file into others; raises ConfigError where it cannot be run to its end."""
    program = Program(path, read_octets(path), is_tolerant=True)
    state = program.run()
    if state is None:
        raise ConfigError(program.problems())
    moving = _Moving(program)
    return Migration(moving.files(), moving.main, sorted({*program.problems(), *moving.warnings}))


class _Moving:
    """One migration."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._folder = program.path.parent
        self._files: dict[str, bytes] = {}
        self._read: dict[str, list[Document]] = {}
        """By the option of `[policy]` that names them."""
        self.warnings: list[Problem] = []
        self.main = POLICY if program.handlers() else MAIN

    def files(self) -> dict[str, bytes]:
        """Everything to be written; the main file first."""
        data = self._absolute(self._program.declared.data)
        if "policy" in data:
            data["policy"] = {
                option: [self._take(option, name) for name in names]
                for option, names in data["policy"].items()
            }
        self.warnings += differences(self._read.get("listener_domains", []))
        head = f"# Made from {self._program.path.name} by `angarium migrate`.\n"
        written = {MAIN: (head + dumps(data)).encode("utf-8", "surrogateescape")}
        if self.main == POLICY:
            written[POLICY] = self._skeletons().encode("utf-8", "surrogateescape")
        return written | self._files

    def _take(self, option: str, name: str) -> str:
        """Take one of the operator's files, or tables that stood in the program; returns its new name."""
        inline = self._program.declared.documents.get(name)
        if inline is not None:
            new = self._free(f"{option}.toml")
            self._files[new] = dumps(inline.data).encode("utf-8", "surrogateescape")
            self._read.setdefault(option, []).append(inline)
            return new
        path = self._folder / name
        new = self._free(path.name)
        document = read_document(path)
        self._files[new] = read_octets(path)
        self._read.setdefault(option, []).append(document)
        for source, named in _named(document, document.data):
            self._take_named(path.parent, named, source)
        return new

    def _take_named(self, folder: Path, name: str, source: Source) -> None:
        """Take a file that one of the operator's names, to the same place beside it."""
        path = Path(name)
        if path.is_absolute():
            return
        octets = read_octets(folder / path, source)
        if ".." in path.parts or self._files.get(name, octets) != octets:
            text = f"{name} is not copied: put it where the new file finds it, or name it from the root"
            self.warnings.append(Problem(source, text, is_error=False))
        else:
            self._files[name] = octets

    def _free(self, name: str) -> str:
        """The name, or one like it that no file has yet."""
        stem, dot, suffix = name.rpartition(".")
        taken = {MAIN, POLICY, *self._files}
        return next(
            new
            for n in range(len(taken) + 1)
            if (new := name if not n else f"{stem}-{n}{dot}{suffix}") not in taken
        )

    def _absolute(self, data: dict[str, Any]) -> dict[str, Any]:
        """The data, with names of files that stay where they are as they are found from anywhere."""
        made = {**data, "listener": [self._listener(table) for table in data["listener"]]}
        for table, option in _PATHS:
            if option in made.get(table, {}):
                made[table] = {**made[table], option: self._found(made[table][option])}
        if "files" in made.get("classifier", {}):
            names = [
                name if name in DEFAULT_FILES else self._found(name) for name in made["classifier"]["files"]
            ]
            made["classifier"] = {**made["classifier"], "files": names}
        return made

    def _listener(self, table: Any) -> Any:
        if not isinstance(table, dict):
            return table
        made = {name: self._listener(value) for name, value in table.items()}
        for name in _FILES:
            if isinstance(made.get(name), list):
                made[name] = [self._found(one) for one in made[name]]
            elif name in made:
                made[name] = self._found(made[name])
        return made

    def _found(self, name: str) -> str:
        return str(self._folder / name)

    def _skeletons(self) -> str:
        return "\n\n".join([self._head(), *self._handlers()])

    def _head(self) -> str:
        name = self._program.path.name
        return (
            f'"""Made from {name} by `angarium migrate`: the handlers are yours to write, '
            "each with its Lua text.\n\n"
            "Until then each of them costs its command a 451, so that nothing is opened by accident.\n"
            '"""\n\nfrom angarium import Policy\n\n'
            f'policy = Policy.load("{MAIN}")\n'
        )

    def _handlers(self) -> Iterator[str]:
        for event, functions in self._program.handlers().items():
            parameters = ", ".join(EVENTS[event].parameters)
            lines = ["@policy.on", f"def {event}({parameters}):"]
            for function in functions:
                lines += [f"    # {text}".rstrip() for text in self._text(function)]
            first = next(function.source for function in functions if not function.is_files)
            lines.append(f'    raise NotImplementedError("{first}: write this handler")')
            yield "\n".join(lines) + "\n"

    def _text(self, function: Function) -> list[str]:
        """The Lua text of a handler, under its place."""
        source = function.source
        if function.is_files:
            return [f"{source}: the files of `listener_domains:setup` (return None: let the files answer)"]
        readings = (self._program.main, *self._program.modules.values())
        reading = next(one for one in readings if one.shown == source.file)
        return [f"{source}", *reading.function_text(source.line).splitlines()]


def _named(document: Document, part: Any, *path: Key) -> Iterator[tuple[Source, str]]:
    """Files that a file names, with the place."""
    for key, value in part.items() if isinstance(part, dict) else ():
        if key in _NAMED and isinstance(value, str):
            yield document.source(*path, key), value
        else:
            yield from _named(document, value, *path, key)
