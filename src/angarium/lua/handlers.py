"""A policy file's handlers in Lua, as the handlers of the server: one for an event, with several behind it.

Promises that the first answer that is not nil holds, that it is told with the file and line of the function
that gave it, and that an error is contained like any handler's. A state that met a limit is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

from angarium.lua.state import Failure, Refusal, State
from angarium.lua.told import AUTHENTICATION, AUTHORIZATION, NOTHING, told
from angarium.lua.values import from_lua, text_to_lua
from angarium.mail.address import Address
from angarium.policy.config import Source
from angarium.policy.decision import ListenerDomain
from angarium.policy.hooks import ForeignError, Placed, Rejected, reject
from angarium.policy.views import Identity

POOL_SIZE = 4
"""Idle states that a worker keeps."""


class Function(NamedTuple):
    """One handler: where it stands, and whether it is what `listener_domains:setup` returned."""

    source: Source
    is_files: bool = False


class Pool:
    """The states of one worker: taken for a call each, made when none is idle."""

    def __init__(self, make: Callable[[], State], first: State | None) -> None:
        self._make = make
        self._idle = [] if first is None else [first]

    def take(self) -> State:
        """A state that nobody uses; raises Failure where the file does not run any more."""
        return self._idle.pop() if self._idle else self._make()

    def give_back(self, state: State) -> None:
        """The state may be used again."""
        if len(self._idle) < POOL_SIZE:
            self._idle.append(state)


class Chain:
    """The handlers of one event. `is_lone`: where all are silent, the files are not to answer either."""

    def __init__(self, event: str, functions: list[Function], pool: Pool, *, is_lone: bool) -> None:
        self._event = event
        self._functions = functions
        self._pool = pool
        self._is_lone = is_lone

    def handler(self) -> Callable[..., Any]:
        """The function that the server calls."""
        prepare, finish = _SHAPES.get(self._event, (_message, None))
        ask = self._ask

        def handle(*args: Any) -> Any:
            value, index = ask(prepare(*args))
            if index is None:
                answer = _REFUSES_ALL if self._is_lone else _SILENCE.get(self._event)
                return None if answer is None else Placed(answer, self._functions[0].source, NOTHING)
            if finish is None:
                return None
            source = self._functions[index].source
            try:
                answer = finish(value)
            except (TypeError, ValueError) as error:
                raise ForeignError(str(error), source, None) from None
            return Placed(answer, source, told(answer))

        return handle

    def _ask(self, args: tuple[Any, ...]) -> tuple[Any, int | None]:
        """Call, in a state of the pool."""
        try:
            state = self._pool.take()
        except Failure as failure:
            self._fail(failure)
        try:
            answer = state.call(self._event, *args)
        except Failure as failure:
            if not failure.is_broken:
                self._pool.give_back(state)
            self._fail(failure)
        except Refusal as refusal:
            self._pool.give_back(state)
            self._refuse(refusal)
        self._pool.give_back(state)
        return answer

    def _fail(self, failure: Failure) -> NoReturn:
        source = self._functions[min(failure.handler, len(self._functions) - 1)].source
        at = Source(failure.file, failure.line or 1) if failure.file is not None else None
        raise ForeignError(failure.text, source, at) from None

    def _refuse(self, refusal: Refusal) -> NoReturn:
        source = self._functions[refusal.handler].source
        code = refusal.code
        try:
            number = int(code) if isinstance(code, int | float) else -1
            reject(number, str(refusal.text or ""), disconnect=refusal.disconnects)
        except Rejected as rejected:
            rejected.source = source
            raise rejected from None
        except ValueError as error:
            raise ForeignError(str(error), source, None) from None


_REFUSES_ALL = ListenerDomain()
_SILENCE = {"smtp_server_auth_plain": False}
"""What it means that no handler answers, where that is not None."""


def _text(value: str | None) -> str | bytes | None:
    return None if value is None else text_to_lua(value)


def _domain(domain: str, listener: str, connection: Any) -> tuple[Any, ...]:
    return ("" if domain == "<>" else _text(domain), listener, connection)


def _queue(
    domain: str, tenant: str | None, campaign: str | None, routing: str | None, connection: Any
) -> tuple[Any, ...]:
    return (_text(domain), _text(tenant), _text(campaign), _text(routing), connection)


def _connection(connection: Any) -> tuple[Any, ...]:
    return (connection,)


def _ehlo(domain: str, connection: Any) -> tuple[Any, ...]:
    return (_text(domain), connection)


def _auth(authz: str, authn: str, password: str, connection: Any) -> tuple[Any, ...]:
    return (_text(authz), _text(authn), _text(password), connection)


def _path(address: Address | None, connection: Any) -> tuple[Any, ...]:
    if address is None:
        return ("", "", "", connection)
    return (_text(str(address)), _text(address.user), _text(address.domain), connection)


def _message(message: Any, connection: Any) -> tuple[Any, ...]:
    return (message, connection)


def _same(value: Any) -> Any:
    return value


def _domain_answer(value: Any) -> Any:
    """What a handler made, or None where it left the answer to the files."""
    return None if value == "files" else value


def _identity(value: Any) -> Any:
    """`true`, `false`, or a table of identities."""
    if isinstance(value, bool):
        return value
    told = from_lua(value)
    if not isinstance(told, dict) or not isinstance(told.get("identities"), list):
        raise TypeError("return true, false, or { identities = { { identity = '…', context = '…' } } }")
    if told.get("groups"):
        raise ValueError("groups are not available in Angarium: name identities in relay_from_authz")
    named = {one.get("context"): one.get("identity") for one in told["identities"]}
    first = next(iter(named.values()), None)
    if not first:
        raise ValueError("identities holds no identity")
    return Identity(named.get(AUTHENTICATION, first), named.get(AUTHORIZATION, first))


_SHAPES: dict[str, tuple[Callable[..., tuple[Any, ...]], Callable[[Any], Any] | None]] = {
    "get_listener_domain": (_domain, _domain_answer),
    "get_queue_config": (_queue, _same),
    "smtp_server_connection_accepted": (_connection, None),
    "smtp_server_ehlo": (_ehlo, None),
    "smtp_server_auth_plain": (_auth, _identity),
    "smtp_server_mail_from": (_path, None),
    "smtp_server_rcpt_to": (_path, None),
}
"""Event → how Lua gets its arguments, and what becomes of an answer. All others are events of messages."""
