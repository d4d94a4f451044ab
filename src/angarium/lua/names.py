"""Which names and methods of a Lua file are nowhere, so that the line fails when mail reaches it?

It knows what a handler's parameters are, what a helper's `setup` returned, and what an address is, as far as
the text shows it; of a name that anything in the files binds, or that a line looks at without calling it, it
says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from angarium.lua import catalogue
from angarium.lua.tables import skip
from angarium.lua.tokens import Token
from angarium.policy.hooks import EVENTS

KEYWORDS = catalogue.words(
    "and break do else elseif end false for function goto if in local nil not or repeat return then true",
    "until while",
)
_KINDS = {"message": "msg", "msg": "msg", "conn_meta": "conn_meta"}
"""Names of parameters that say what they are, whatever the function."""
_GIVEN = {**_KINDS, "sender": "address", "recipient": "address"}
"""The same, of the events' own."""
_ADDRESSES = frozenset(
    f"msg:{name}" for name in ("sender", "recipient", "from_header", "to_header", "get_address_header")
)
_NAMING = frozenset(
    {
        *("get_meta", "set_meta", "get_first_named_header_value", "get_all_named_header_values"),
        *("get_address_header", "prepend_header", "remove_all_named_headers"),
    }
)
"""Methods whose first argument is a name."""
_FIELDS = ("user", "domain", "email", "name")
_MODULES = {f"policy-extras.{name}": name for name in ("listener_domains", "queue", "sources")}
_NOTHING = Token("mark", "", 0)


class Scope(NamedTuple):
    """The tokens of one function, and what its parameters are."""

    start: int
    end: int
    kinds: dict[str, str | None]


class Names:
    """One file's names."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._scopes = [self._scope(at) for at, token in enumerate(tokens) if _is(token, "function")]
        self._kinds: dict[str, str] = {}
        self.bound = set(self._bound())
        """Every name that the file gives to something, wherever."""

    def missing(self, bound_elsewhere: frozenset[str]) -> Iterator[tuple[Token, str]]:
        """Each use that fails, with what is wrong with it."""
        bound = self.bound | bound_elsewhere
        guarded = {token.value for at, token in enumerate(self._tokens) if self._is_only_read(at)}
        for at, token in enumerate(self._tokens):
            if token.kind != "name" or token.value in KEYWORDS or self._at(at - 1).value in (".", ":"):
                continue
            self._learn(at)
            yield from self._object(at, token)
            yield from self._library(at, token, bound)
            if token.value not in bound | guarded and self._is_used(at):
                text = catalogue.missing_global(token.value)
                if text is not None:
                    yield token, text

    def returns(self) -> Iterator[tuple[Token, str, bool]]:
        """What handlers return that cannot be an answer, and whether that is an error."""
        for at, token in enumerate(self._tokens):
            if token.value != "on" or self._at(at - 1).value != "." or self._at(at + 1).value != "(":
                continue
            event = self._at(at + 2)
            if event.kind == "text" and event.value in EVENTS and _is(self._at(at + 4), "function"):
                yield from self._returned(event.value, at + 4)

    def _returned(self, event: str, start: int) -> Iterator[tuple[Token, str, bool]]:
        at, end = start + 1, skip(self._tokens, start)
        wanted = _ANSWERS.get(event)
        while at < end:
            if _is(self._at(at), "function"):
                at = skip(self._tokens, at)
                continue
            value = self._at(at + 1)
            if _is(self._at(at), "return") and _is_literal(value):
                if wanted is None:
                    yield value, f"{event} has no answer: what is returned here has no effect", False
                elif event != "smtp_server_auth_plain" or value.value not in ("true", "false", "{"):
                    yield value, f"{event} returns {wanted}, or nil", True
            at += 1

    # -- what a name is ------------------------------------------------------------------------------------

    def _at(self, at: int) -> Token:
        return self._tokens[at] if 0 <= at < len(self._tokens) else _NOTHING

    def _scope(self, at: int) -> Scope:
        opening = next((i for i in range(at, min(at + 8, len(self._tokens))) if self._at(i).value == "("), at)
        closing = skip(self._tokens, opening)
        names = [token.value for token in self._tokens[opening:closing] if token.kind == "name"]
        event = self._at(at - 2)
        is_handler = event.kind == "text" and self._at(at - 4).value == "on" and event.value in EVENTS
        given = EVENTS[event.value].parameters if is_handler else ()
        kinds: dict[str, str | None] = {name: _KINDS.get(name) for name in names}
        kinds |= {name: _GIVEN.get(ours) for name, ours in zip(names, given, strict=False)}
        return Scope(at, skip(self._tokens, at), kinds)

    def _kind(self, at: int, name: str) -> str | None:
        inside = [scope for scope in self._scopes if scope.start < at < scope.end and name in scope.kinds]
        return inside[-1].kinds[name] if inside else self._kinds.get(name)

    def _learn(self, at: int) -> None:
        """What `local name = …` at a name says of it."""
        if self._at(at + 1).value != "=" or not _is(self._at(at - 1), "local"):
            return
        name, value = self._at(at).value, at + 2
        self._kinds.pop(name, None)
        if self._at(value).value == "require":
            module = self._at(value + 2 if self._at(value + 1).value == "(" else value + 1)
            if module.value in _MODULES:
                self._kinds[name] = _MODULES[module.value]
        elif self._at(value).kind == "name":
            kind, end = self._kind(value, self._at(value).value), value + 1
            while kind is not None and self._at(end).value == ":":
                kind = _result(kind, self._at(end + 1).value)
                end = self._after_arguments(end + 2)
            if kind is not None and self._at(end).value not in (".", ":", "["):
                self._kinds[name] = kind

    def _object(self, at: int, token: Token) -> Iterator[tuple[Token, str]]:
        """Follow the methods that are called on a name, one after the other."""
        kind, end = self._kind(at, token.value), at + 1
        while kind is not None and self._at(end).value in (":", ".") and self._at(end + 1).kind == "name":
            name = self._at(end + 1)
            is_method = self._at(end).value == ":"
            text = _unknown(kind, name.value, is_method=is_method)
            is_bare = self._at(end + 2).value == "(" and self._at(end + 3).value == ")"
            if text is None and is_bare and name.value in _NAMING:
                text = f"{kind}:{name.value} takes a name: {kind}:{name.value}('…')"
            if text is not None and self._at(end + 2).value != "=":
                yield name, text
            if not is_method:
                return
            kind, end = _result(kind, name.value), self._after_arguments(end + 2)

    def _after_arguments(self, at: int) -> int:
        return skip(self._tokens, at) if self._at(at).value in ("(", "{") else at + 1

    def _library(
        self, at: int, token: Token, bound: frozenset[str] | set[str]
    ) -> Iterator[tuple[Token, str]]:
        if token.value not in catalogue.LIBRARY or token.value in bound or self._at(at + 1).value != ".":
            return
        member = self._at(at + 2)
        text = catalogue.missing_member(token.value, member.value)
        if text is not None and self._at(at + 3).value in ("(", "{") and member.kind == "name":
            yield member, text

    # -- what is bound -------------------------------------------------------------------------------------

    def _bound(self) -> Iterator[str]:
        for scope in self._scopes:
            yield from scope.kinds
        for at, token in enumerate(self._tokens):
            if _is(token, "for") or _is(token, "local") or _is(token, "function"):
                yield from self._names_after(at + 1 + _is(self._at(at + 1), "function"))
            elif token.value == "=" and token.kind == "mark":
                yield from self._names_before(at)

    def _names_after(self, at: int) -> Iterator[str]:
        while self._at(at).kind == "name":
            yield self._at(at).value
            at += 1
            while self._at(at).value == "<":
                at += 3
            if self._at(at).value != ",":
                return
            at += 1

    def _names_before(self, at: int) -> Iterator[str]:
        while self._at(at - 1).kind == "name" and self._at(at - 2).value not in (".", ":"):
            yield self._at(at - 1).value
            if self._at(at - 2).value != ",":
                return
            at -= 2

    def _is_used(self, at: int) -> bool:
        """Whether a name is called, or looked into: what fails if it is nil."""
        after = self._at(at + 1)
        is_call = after.kind == "text" or (after.kind == "mark" and after.value in ("(", "{", ".", ":", "["))
        return is_call and not (after.value == ":" and self._at(at + 2).value == ":")

    def _is_only_read(self, at: int) -> bool:
        token = self._at(at)
        is_name = token.kind == "name" and self._at(at - 1).value not in (".", ":")
        return is_name and not self._is_used(at)


_ANSWERS = {
    "get_listener_domain": "what kumo.make_listener_domain makes",
    "get_queue_config": "what kumo.make_queue_config makes",
    "smtp_server_auth_plain": "true, false, or a table of identities",
}


def _is(token: Token, word: str) -> bool:
    return token.kind == "name" and token.value == word


def _is_literal(token: Token) -> bool:
    return token.kind in ("text", "number") or token.value == "{" or token.value in ("true", "false")


def _result(kind: str, method: str) -> str | None:
    """What a method returns, where that is an object of ours."""
    if f"{kind}:{method}" in _ADDRESSES:
        return "address"
    return kind if kind == "queue" and method.startswith("setup") else None


def _unknown(kind: str, name: str, *, is_method: bool) -> str | None:
    if kind == "address":
        return None if name in _FIELDS and not is_method else catalogue.missing_field(name)
    return catalogue.missing_method_of(kind, name)
