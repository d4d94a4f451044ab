"""What Python does for a policy file in Lua: each function answers `(True, values…)` or `(False, text)`.

A function here sees values that are converted already, and raises as any other; `hosted` turns that into the
pair that the prelude expects, so that no exception of Python's crosses Lua.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from functools import lru_cache, wraps
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import tomli

from angarium.lua.declared import POOL_SCHEMA, SOURCE_OPTIONS, checked_options, translated_path
from angarium.lua.patterns import Match, matcher
from angarium.lua.toml import dumps
from angarium.lua.values import from_lua, text_from_lua, to_lua
from angarium.mail.address import Address, AddressError, normalize_domain
from angarium.policy.config import QueueConfig
from angarium.policy.decision import ListenerDomain
from angarium.policy.networks import canonical_address, parse_address, parse_network
from angarium.policy.queues import QUEUE_SCHEMA
from angarium.policy.views import ConnectionMeta, Message

Answer = tuple[Any, ...]

_log = logging.getLogger("angarium.policy.lua")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_MAILBOX = re.compile(r"\s*(?:(?P<name>[^<>]*?)\s*<(?P<in>[^<>]*)>|(?P<bare>[^\s<>,;]+))")


def hosted(function: Callable[..., Any]) -> Callable[..., Answer]:
    """A function as the prelude calls it."""

    @wraps(function)
    def answer(*args: Any) -> Answer:
        try:
            return (True, function(*args))
        except (ValueError, TypeError, LookupError, OSError, ArithmeticError, RecursionError) as error:
            return (False, text_to_error(error))

    return answer


def text_to_error(error: Exception) -> bytes:
    """What went wrong, for Lua."""
    text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
    return text.encode("utf-8", "surrogateescape")


class Networks:
    """`kumo.cidr.make_map`: which of several networks holds an address? The narrowest."""

    def __init__(self) -> None:
        self._index: dict[IPv4Network | IPv6Network, int] = {}

    def add(self, text: str) -> int:
        """The number of a network."""
        return self._index.setdefault(parse_network(text), len(self._index) + 1)

    def find(self, text: str) -> int:
        """The number of the narrowest network that holds an address; 0: none does."""
        found = parse_address(text.strip("[]"))
        if found is None:
            return 0
        address = canonical_address(found)
        networks = [network for network in self._index if address in network]
        return self._index[max(networks, key=lambda one: one.prefixlen)] if networks else 0


def _get_meta(holder: ConnectionMeta | Message, name: str) -> Any:
    return holder.meta.get(name)


def _sender(message: Message) -> Address | None:
    return message.sender


def _parts(address: Address | None) -> tuple[str, str, str]:
    return ("", "", "") if address is None else (str(address), address.user, address.domain)


def _first_mailbox(message: Message, name: str) -> tuple[Any, ...]:
    """Address, local part, domain and display name of the first mailbox of a field."""
    value = message.headers.get(name)
    match = _MAILBOX.match(value) if value is not None else None
    if match is None:
        return (None,)
    try:
        address = Address.parse((match["in"] if match["bare"] is None else match["bare"]).strip())
    except AddressError:
        return (None,)
    return (*_parts(address), (match["name"] or "").strip().strip('"') or None)


def _set_sender(message: Message, text: str) -> None:
    message.sender = text or None


def _import_x_headers(message: Message, names: Any = None) -> None:
    """Copy header fields to metadata: `X-Tenant` becomes `x_tenant`."""
    wanted = None if names is None else {str(name).lower() for name in names}
    for name, value in message.headers.fields:
        key = name.lower()
        if key in wanted if wanted is not None else key.startswith("x-"):
            message.meta[key.replace("-", "_")] = value


def _remove_x_headers(message: Message, names: Any = None) -> None:
    wanted = None if names is None else {str(name).lower() for name in names}
    for name in {name.lower() for name, _ in message.headers.fields}:
        if name in wanted if wanted is not None else name.startswith("x-"):
            message.remove_header(name)


def _prepend_header(message: Message, name: str, value: str, _encode: bool = True) -> None:
    message.prepend_header(name, str(value))


@lru_cache(maxsize=512)
def _listener_domain(options: tuple[tuple[str, Any], ...]) -> ListenerDomain:
    return ListenerDomain(**{name: value for name, value in options if name != "ttl"})


def _make_listener_domain(options: dict[str, Any]) -> ListenerDomain:
    if not isinstance(options, dict):
        raise TypeError("make_listener_domain takes a table")
    unknown = options.keys() - _DOMAIN_KEYS
    if unknown:
        raise ValueError(f"unknown option {min(unknown)}: known here: {', '.join(sorted(_DOMAIN_KEYS))}")
    plain = {name: () if value == {} else value for name, value in options.items()}
    return _listener_domain(tuple((name, _frozen(value)) for name, value in sorted(plain.items())))


_DOMAIN_KEYS = frozenset(
    {"relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf", "log_fbl", "ttl"}
)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _make_queue_config(options: dict[str, Any]) -> QueueConfig:
    return QueueConfig(**checked_options(options, QUEUE_SCHEMA))


def _make_egress_source(options: dict[str, Any]) -> dict[str, Any]:
    checked_options(options, SOURCE_OPTIONS)
    return {"source": options}


def _make_egress_pool(options: dict[str, Any]) -> dict[str, Any]:
    checked_options(options, POOL_SCHEMA)
    return {"pool": options}


def _make_egress_path(options: dict[str, Any]) -> dict[str, Any]:
    return {"path": translated_path(options)}


def log(level: str, text: str, file: str | None, line: int | None) -> None:
    """`kumo.log_info` and its sisters."""
    place = f"{text_from_lua(file)}:{line}: " if file else ""
    _log.log(_LEVELS[level], "%s%s", place, text_from_lua(text))


def json_encode(value: Any, *, pretty: bool = False) -> str:
    """A value as JSON."""
    if pretty:
        return json.dumps(value, ensure_ascii=False, indent=2)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _toml_encode(value: Any) -> str:
    if not isinstance(value, dict):
        raise TypeError("TOML takes a table")
    return dumps(value)


CONVERTED: dict[str, Callable[..., Any]] = {
    "get_meta": _get_meta,
    "set_meta": lambda holder, name, value=None: _set_meta(holder, name, value),
    "set_sender": _set_sender,
    "set_recipients": lambda message, *texts: setattr(message, "recipients", texts),
    "recipient_count": lambda message: len(message.recipients),
    "get_data": lambda message: b"".join(bytes(part) for part in message.parts),
    "body": lambda message: message.body,
    "size": lambda message: message.size,
    "queue_name": lambda message: message.queue or message.meta.get("queue"),
    "first_header": lambda message, name: message.headers.get(name),
    "all_named_headers": lambda message, name: list(message.headers.get_all(name)),
    "all_headers": lambda message: [list(field) for field in message.headers.fields],
    "prepend_header": _prepend_header,
    "remove_header": lambda message, name: message.remove_header(name),
    "remove_x_headers": _remove_x_headers,
    "import_x_headers": _import_x_headers,
    "normal_domain": lambda name: normalize_domain(name) if name else "",
    "find_network": lambda networks, text: networks.find(str(text)),
    "add_network": lambda networks, text: networks.add(text),
    "json_parse": json.loads,
    "json_encode": json_encode,
    "json_encode_pretty": lambda value: json_encode(value, pretty=True),
    "toml_parse": tomli.loads,
    "toml_encode": _toml_encode,
    "toml_encode_pretty": _toml_encode,
}
"""Functions of plain values, which are converted both ways."""
OPAQUE: dict[str, Callable[..., Any]] = {
    "make_listener_domain": _make_listener_domain,
    "make_queue_config": _make_queue_config,
    "make_egress_source": _make_egress_source,
    "make_egress_pool": _make_egress_pool,
    "make_egress_path": _make_egress_path,
}
"""Functions of plain values whose answers Lua hands back as they are."""
PARTS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "sender": lambda message: _parts(_sender(message)),
    "recipient": lambda message, index: _parts(message.recipients[index - 1]),
    "address_header": _first_mailbox,
}
"""Functions that answer with the parts of an address."""


def _find_match(text: str, pattern: str, is_anchored: bool, start: int) -> tuple[Any, ...]:
    return _told(matcher(pattern, is_anchored).find(text.encode("latin-1"), start - 1))


def _find_plain(text: str, sought: str, start: int) -> tuple[Any, ...]:
    at = text.find(sought, start - 1)
    return (None,) if at < 0 else (at + 1, at + len(sought))


def _begin_matches(text: str, pattern: str, is_anchored: bool, start: int) -> tuple[Any, ...]:
    return (Opaque(matcher(pattern, is_anchored).all(text.encode("latin-1"), start - 1)),)


def _next_match(matches: Opaque) -> tuple[Any, ...]:
    return _told(next(matches.value, None))


def _told(match: Match | None) -> tuple[Any, ...]:
    """A match as Lua counts: first and last octet, then the captures."""
    return (None,) if match is None else (match.start + 1, match.end, *match.captures)


MATCHING: dict[str, Callable[..., tuple[Any, ...]]] = {
    "find_match": _find_match,
    "find_plain": _find_plain,
    "begin_matches": _begin_matches,
    "next_match": _next_match,
}
"""Functions of octets, each character of a text being one."""


def _set_meta(holder: ConnectionMeta | Message, name: str, value: Any) -> None:
    if value is None:
        holder.meta.pop(name, None)
    else:
        holder.meta[name] = value


class Opaque:
    """A value that Lua only carries."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def functions(runtime: Any) -> dict[str, Callable[..., Any]]:
    """The functions for one state."""
    made: dict[str, Callable[..., Any]] = {"networks": Networks, "log": log}
    made |= {name: _in_octets(function) for name, function in MATCHING.items()}
    for name, function in CONVERTED.items():
        made[name] = hosted(_converting(function, runtime))
    for name, function in OPAQUE.items():
        made[name] = hosted(_opaque(function))
    for name, parts in PARTS.items():
        made[name] = _spread(parts)
    return made


def _converting(function: Callable[..., Any], runtime: Any) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        return to_lua(runtime, function(*map(_argument, args)))

    return call


def _argument(value: Any) -> Any:
    return value if isinstance(value, ConnectionMeta | Message | Networks) else from_lua(value)


def _opaque(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda options: Opaque(function(from_lua(options)))


def _spread(function: Callable[..., tuple[Any, ...]]) -> Callable[..., Answer]:
    """A function whose answer is several values."""
    inner = hosted(lambda *args: function(*map(_argument, args)))

    def answer(*args: Any) -> Answer:
        is_right, parts = inner(*args)
        if not is_right:
            return (False, parts)
        return (True, *(to_lua(None, part) for part in parts))

    return answer


def _in_octets(function: Callable[..., tuple[Any, ...]]) -> Callable[..., Answer]:
    """A function of texts as Lua has them."""
    inner = hosted(function)

    def answer(*args: Any) -> Answer:
        is_right, parts = inner(*args)
        return (True, *parts) if is_right else (False, parts)

    return answer
