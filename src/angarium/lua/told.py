"""How is an answer of a handler told to the operator? As the policy file could have written it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from angarium.policy.config import Protocol, QueueConfig
from angarium.policy.decision import ListenerDomain
from angarium.policy.provenance import shown
from angarium.policy.throttle import Rate
from angarium.policy.views import Identity

NOTHING = "nothing"
AUTHORIZATION, AUTHENTICATION = "SmtpAuthPlainAuthorization", "SmtpAuthPlainAuthentication"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r"}


def told(answer: object) -> str:
    """An answer as Lua."""
    if isinstance(answer, ListenerDomain):
        return f"kumo.make_listener_domain {_lua(answer.given())}"
    if isinstance(answer, QueueConfig):
        return f"kumo.make_queue_config {_lua(_given(answer))}"
    if isinstance(answer, Identity):
        names = {AUTHENTICATION: answer.authn_id, AUTHORIZATION: answer.authz_id}
        return _lua({"identities": [{"identity": name, "context": what} for what, name in names.items()]})
    return NOTHING if answer is None else _lua(answer)


def _given(config: QueueConfig) -> dict[str, Any]:
    """The options of a queue that are not as they are by default, as they are written."""
    usual = QueueConfig()
    names = (name for name in config.__struct_fields__ if name != "sources")
    given = {name: getattr(config, name) for name in names if getattr(config, name) != getattr(usual, name)}
    return {name: shown(value) if isinstance(value, float | Rate) else value for name, value in given.items()}


def _protocol(protocol: Protocol) -> dict[str, Any]:
    usual, facts = Protocol(), msgspec.structs.asdict(protocol)
    facts.pop("kind")
    return {protocol.kind: {name: value for name, value in facts.items() if value != getattr(usual, name)}}


def _lua(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "nil", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Protocol):
        value = _protocol(value)
    if isinstance(value, Mapping):
        return _table(f"{_key(str(name))} = {_lua(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return _table(map(_lua, value))
    return _text(str(value))


def _table(items: Iterable[str]) -> str:
    written = ", ".join(items)
    return f"{{ {written} }}" if written else "{}"


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else f"[{_text(name)}]"


def _text(text: str) -> str:
    return "'" + "".join(_ESCAPES.get(letter, letter) for letter in text) + "'"
