"""What does a Lua file use that is not here? Found by reading it, whether or not those lines ever run.

It follows `kumo.a.b` and names that a file gives to them (`local k = kumo`), events, modules, methods of the
reference's objects, and the options written in a call. What a program works out only when it runs, running
it finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from angarium.lua import catalogue
from angarium.lua.declared import LATER, SCHEMAS
from angarium.lua.host import OPAQUE as MADE
from angarium.lua.names import Names
from angarium.lua.tables import TableText, literals, read_table, skip
from angarium.lua.tokens import Token, tokens
from angarium.policy.config import Problem, Source
from angarium.policy.source import shown_path
from angarium.policy.tables import Schema, unknown

_NOTHING = Token("mark", "", 0)
_CODES = frozenset(map(str, range(400, 600)))


class Reading:
    """One file, read: what is wrong with it, where its tables stand, what it names."""

    def __init__(self, source: str, shown: str) -> None:
        self.shown = shown
        self.source = source
        self.tokens = tokens(source)
        self.problems: list[Problem] = []
        self.tables: dict[int, list[TableText]] = {}
        """By the line of the brace, as the outermost constructors of calls."""
        self.required: dict[str, int] = {}
        """Modules that are required by name, and the line that does it first."""
        self._aliases = {"kumo": "kumo", "angarium": "angarium"} | {
            name: name for name in ("os", "io", "package")
        }
        self.allowed: set[str] = set()
        self.names = Names(self.tokens)
        self._read()

    def table_at(self, line: int) -> TableText | None:
        """The table of the call whose arguments begin on a line, if it is one alone."""
        found = self.tables.get(line, [])
        return found[0] if len(found) == 1 else None

    def pools(self) -> Iterator[str]:
        """Names that `egress_pool` is given as a text."""
        for name, equals, value in zip(self.tokens, self.tokens[1:], self.tokens[2:], strict=False):
            if name[:2] == ("name", "egress_pool") and equals.value == "=" and value.kind == "text":
                yield value.value

    def function_text(self, line: int) -> str:
        """The lines of the function that begins on a line, as far as they can be told."""
        starts = [at for at, token in enumerate(self.tokens) if token[1:] == ("function", line)]
        end = skip(self.tokens, starts[0]) if starts else len(self.tokens)
        last = self.tokens[end - 1].line if starts else line
        return "\n".join(self.source.splitlines()[line - 1 : last])

    def uses_parameters(self, line: int) -> bool:
        """Whether the function that begins on a line looks at its parameters; True where that is unclear."""
        starts = [at for at, token in enumerate(self.tokens) if token[1:] == ("function", line)]
        if len(starts) != 1:
            return True
        body = self.tokens[starts[0] : skip(self.tokens, starts[0])]
        close = next((at for at, token in enumerate(body) if token.value == ")"), 0)
        parameters = {token.value for token in body[:close] if token.kind == "name" or token.value == "..."}
        return any(token.value in parameters for token in body[close:])

    def _at(self, at: int) -> Token:
        return self.tokens[at] if 0 <= at < len(self.tokens) else _NOTHING

    def _read(self) -> None:
        for at, token in enumerate(self.tokens):
            if token.kind == "name":
                self._read_name(at, token)
            if token.value == "{" and token.kind == "mark" and self._begins_arguments(at):
                self.tables.setdefault(token.line, []).append(read_table(self.tokens, at)[0])

    def _begins_arguments(self, at: int) -> bool:
        before = self._at(at - 1)
        if before.value == "(" and before.kind == "mark":
            before = self._at(at - 2)
        return before.kind in ("name", "text") or before.value in ("]", ")")

    def _read_name(self, at: int, token: Token) -> None:
        before = self._at(at - 1)
        if before.kind == "mark" and before.value == ":":
            self._missing(catalogue.missing_method(token.value), token)
        elif token.value == "require" and before.value not in (".", ":"):
            self._required(at)
        elif token.value in self._aliases and before.value not in (".", ":"):
            self._path(at, token)

    def _required(self, at: int) -> None:
        name = self._argument(at + 1)
        if name is None:
            return
        self.required.setdefault(name.value, name.line)
        self._missing(catalogue.missing_module(name.value), name)
        if name.value == "kumo" and self._assigned(at) is not None:
            self._aliases[str(self._assigned(at))] = "kumo"

    def _path(self, at: int, token: Token) -> None:
        """Follow `kumo.a.b`, and judge it."""
        assigned, path, end = self._assigned(at), self._aliases[token.value], at + 1
        while (name := self._step(end)) is not None:
            path, end = f"{path}.{name[0]}", name[1]
        ends_here = self._at(end).value not in (".", "[", "(", "{") and self._at(end).kind != "text"
        if assigned is not None and ends_here and path.partition(".")[0] in ("kumo", "angarium"):
            self._aliases[assigned] = path
        if path.partition(".")[0] not in ("kumo", "angarium"):
            self._unsafe(path, token)
            return
        if not self._is_assigned_to(end):
            self._missing(catalogue.missing_function(path), token)
            self._call(path, end)

    def _step(self, at: int) -> tuple[str, int] | None:
        """The next part of a dotted name, and where it ends."""
        if self._at(at).value == "." and self._at(at + 1).kind == "name":
            return self._at(at + 1).value, at + 2
        if self._at(at).value == "[" and self._at(at + 1).kind == "text" and self._at(at + 2).value == "]":
            return self._at(at + 1).value, at + 3
        return None

    def _assigned(self, at: int) -> str | None:
        """The local name that is given what begins at `at`."""
        name, is_local = self._at(at - 2), self._at(at - 3).value == "local"
        return name.value if self._at(at - 1).value == "=" and name.kind == "name" and is_local else None

    def _is_assigned_to(self, end: int) -> bool:
        return self._at(end).kind == "mark" and self._at(end).value == "="

    def _unsafe(self, path: str, token: Token) -> None:
        if path in catalogue.UNSAFE:
            text = f"{path} is not allowed: write angarium.configure {{ lua = {{ allow = {{ '{path}' }} }} }}"
            self.problems.append(Problem(Source(self.shown, token.line), text))

    def _argument(self, at: int) -> Token | None:
        """The first argument of a call, where it is a text."""
        token = self._at(at + 1) if self._at(at).value == "(" else self._at(at)
        return token if token.kind == "text" else None

    def _call(self, path: str, end: int) -> None:
        if path == "kumo.on" and (event := self._argument(end)) is not None:
            self._missing(catalogue.missing_event(event.value), event)
        if path in ("kumo.reject", "kumo.disconnect"):
            self._refusal(path, end)
        if path == "kumo.disconnect":
            self._disconnect(end)
        brace = end + 1 if self._at(end).value == "(" else end
        if path in SCHEMAS and self._at(brace).value == "{":
            self._options(path, SCHEMAS[path], read_table(self.tokens, brace)[0])
            self._values(path, brace)

    def _refusal(self, path: str, end: int) -> None:
        """A code and a text that are written out are looked at, since the line may never have run."""
        if self._at(end).value != "(":
            return
        code, after, text = self._at(end + 1), self._at(end + 2), self._at(end + 3)
        if code.kind == "number" and after.value in (",", ")") and code.value not in _CODES:
            self._missing(f"{path} takes a code from 400 to 599, not {code.value}", code)
        elif code.value == ")" or (code.kind == "number" and after.value == ")"):
            self._missing(f"{path} takes a code and a text: {path}(550, '5.7.1 not from you')", code)
        elif after.value == "," and text == ("text", "", text.line):
            self._missing(f"{path} takes a text that says why, not an empty one", text)

    def _disconnect(self, end: int) -> None:
        close = skip(self.tokens, end) if end < len(self.tokens) else end
        for token in self.tokens[end:close]:
            if token.kind == "text" and token.value == "FollowWith421":
                text = "FollowWith421 is not available: leave it out, and the session ends with the reply"
                self.problems.append(Problem(Source(self.shown, token.line), text))

    def _options(self, path: str, schema: Schema, table: TableText) -> None:
        for name, (line, below) in table.fields.items():
            if path == "angarium.configure" and name == "lua" and below is not None:
                self._allow(below)
            if not isinstance(name, str) or name in schema.options or name in schema.tables:
                continue
            if name in schema.refused:
                self.problems.append(Problem(Source(self.shown, line), f"{name} {schema.refused[name]}"))
            elif name in schema.ignored and path in LATER:
                continue
            elif name in schema.ignored:
                text = f"{name} {schema.ignored[name]}"
                self.problems.append(Problem(Source(self.shown, line), text, is_error=False))
            else:
                known = [*schema.options, *schema.tables, *schema.refused, *schema.ignored]
                self.problems.append(Problem(Source(self.shown, line), unknown(name, known)))

    def _values(self, path: str, brace: int) -> None:
        """What is written out is tried, since the line may never have run."""
        make = MADE.get(path.removeprefix("kumo."))
        if make is None:
            return
        known = SCHEMAS[path].options
        given = {name: value for name, value in literals(self.tokens, brace)[0].items() if name in known}
        try:
            make(given)
        except (TypeError, ValueError) as error:
            self.problems.append(Problem(Source(self.shown, self._at(brace).line), str(error)))

    def _allow(self, below: TableText) -> None:
        """What the file allows itself, where it says so in texts."""
        if "allow" in below.fields:
            first = below.fields["allow"][0]
            last = max((line for _, line in below.lines()), default=first)
            self.allowed |= {
                token.value for token in self.tokens if token.kind == "text" and first <= token.line <= last
            }

    def _missing(self, text: str | None, token: Token) -> None:
        if text is not None:
            self.problems.append(Problem(Source(self.shown, token.line), text))

    def judged(self, bound_elsewhere: frozenset[str]) -> list[Problem]:
        """The problems, without those about what the file allows itself, or other files bind."""
        found = self.problems + [
            Problem(Source(self.shown, token.line), text)
            for token, text in self.names.missing(bound_elsewhere)
        ]
        found += [
            Problem(Source(self.shown, token.line), text, is_error=is_error)
            for token, text, is_error in self.names.returns()
        ]
        return [
            problem
            for problem in dict.fromkeys(found)
            if not any(problem.text.startswith(f"{name} is not allowed") for name in self.allowed)
        ]


def absent_modules(main: Reading, folder: Path, found: Mapping[str, Reading]) -> Iterator[Problem]:
    """Modules that are required by name and are nowhere, where the files say of no other place to look."""
    readings = (main, *found.values())
    if any(token.value in ("path", "preload") for reading in readings for token in reading.tokens):
        return
    for reading in readings:
        for name, line in reading.required.items():
            is_known = name in catalogue.MODULES or name.startswith("policy-extras.") or name in found
            if not is_known and not (folder / name.replace(".", "/") / "init.lua").is_file():
                text = f"there is no module {name} beside {main.shown}: add the file, or take out the line"
                yield Problem(Source(reading.shown, line), text)


def read_modules(main: Reading, folder: Path, known: Mapping[str, Reading]) -> dict[str, Reading]:
    """The files beside a policy file that it requires, and that those require, by their modules' names."""
    found = dict(known)
    waiting = [name for reading in (main, *known.values()) for name in reading.required]
    while waiting:
        name = waiting.pop()
        path = folder / f"{name.replace('.', '/')}.lua"
        if name in found or not path.is_file():
            continue
        found[name] = Reading(path.read_text(encoding="utf-8", errors="surrogateescape"), shown_path(path))
        waiting += found[name].required
    return found
