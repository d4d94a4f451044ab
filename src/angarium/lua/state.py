"""One Lua state: a policy file that has run, inside limits, and whose handlers can be called.

Promises that Lua reaches nothing of Python but what the host gives it, runs no longer than so many
instructions a call and takes no more than so much memory. What Lua's own functions do in C counts as
instructions too (`bounds.lua`). A state that met a limit must not be used again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, NoReturn

from lupa.lua54 import LuaError, LuaMemoryError, LuaRuntime

from angarium.lua.host import Opaque, functions
from angarium.lua.values import text_from_lua, text_to_lua, to_lua

LOAD_FACTOR = 100
"""How many times the instructions of a call a file may take when it is loaded."""


@dataclass
class Limits:
    """What one state may use."""

    max_instructions: int = 5_000_000
    """Of a call: some 50 ms."""
    max_memory: int = 64 * 1024 * 1024
    """Octets."""


class Failure(Exception):  # noqa: N818 - it is an outcome
    """Lua raised. `handler` counts the event's handlers from 0; `is_broken`: the state met a limit."""

    def __init__(
        self, text: str, file: str | None, line: int | None, handler: int, *, is_broken: bool
    ) -> None:
        super().__init__(text)
        self.text = text
        self.file = file
        self.line = line
        self.handler = handler
        self.is_broken = is_broken


class Refusal(Exception):  # noqa: N818 - it is an answer
    """`kumo.reject`, or `kumo.disconnect`."""

    def __init__(self, code: object, text: object, handler: int, *, disconnects: bool) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.handler = handler
        self.disconnects = disconnects


class Answer(NamedTuple):
    """What an event's handlers answered; the first that answered, from 0, or None."""

    value: Any
    handler: int | None


class State:
    """A state before its file has run; `host` are functions of the program besides those of every state."""

    def __init__(self, host: Mapping[str, Callable[..., Any]], limits: Limits) -> None:
        self.limits = limits
        self._runtime = LuaRuntime(
            encoding="latin-1",
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_handlers=(_refuse, _refuse),
            max_memory=0,
        )
        hosted = functions(self._runtime) | dict(host)
        hosted |= {"limited": self._limit, "unlimited": self._unlimit}
        load = self._runtime.eval("function(text, name) return load(text, name, 't') end")
        prelude, bounds = (load(text, f"={name}") for name, text in _sources().items())
        self._start, self._call = prelude(self._runtime.table_from(hosted), bounds)

    def start(self, source: bytes, name: str) -> None:
        """Run the policy file; raises Failure."""
        self._unlimit()
        try:
            answer = self._start(source, text_to_lua(name), self.limits.max_instructions * LOAD_FACTOR)
        except (LuaError, LuaMemoryError) as error:
            raise Failure(str(error), None, None, 0, is_broken=True) from None
        if answer[0] != "answer":
            _raise(answer)

    def call(self, event: str, *args: Any) -> Answer:
        """Ask an event's handlers; raises Failure, Refusal. Texts must be `text_to_lua`'s."""
        self._unlimit()
        try:
            answer = self._call(event, self.limits.max_instructions, *args)
        except (LuaError, LuaMemoryError) as error:
            raise Failure(str(error), None, None, 0, is_broken=True) from None
        if answer[0] != "answer":
            _raise(answer)
        value, handler = answer[1], answer[2]
        if handler is None:
            return _NOTHING
        return Answer(value.value if type(value) is Opaque else value, handler - 1)

    def to_lua(self, value: Any) -> Any:
        """Plain data as this state's."""
        return to_lua(self._runtime, value)

    def set_limits(self, **limits: int) -> None:
        """Change limits from now on."""
        for name, value in limits.items():
            setattr(self.limits, name, value)

    def _limit(self) -> None:
        self._runtime.set_max_memory(self.limits.max_memory)

    def _unlimit(self) -> None:
        self._runtime.set_max_memory(0)


_NOTHING = Answer(None, None)


@cache
def _sources() -> dict[str, str]:
    """The two files of Lua that every state begins with."""
    folder = files("angarium.lua")
    return {
        name: folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in ("prelude", "bounds")
    }


def _refuse(*_: object) -> NoReturn:
    raise AttributeError("this value of the server's has nothing inside for Lua")


def _raise(answer: tuple[Any, ...]) -> NoReturn:
    kind, first, second, third, handler, *rest = (*answer, None, None, None, None, None)
    number = (handler or 1) - 1
    if kind == "reject":
        raise Refusal(_plain(first), _plain(second), number, disconnects=bool(third))
    text = first if isinstance(first, str) else repr(first)
    file = text_from_lua(second) if second else None
    is_broken = bool(rest[0]) or text == "not enough memory"
    raise Failure(text_from_lua(text), file, third, number, is_broken=is_broken)


def _plain(value: Any) -> Any:
    return text_from_lua(value) if isinstance(value, str) else value
