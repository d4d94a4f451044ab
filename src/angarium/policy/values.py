"""What does a value in a configuration file mean?

One function for each kind of value: it takes what TOML or JSON gave and returns the checked value, or raises
BadValueError, whose text says what was expected and what to write. Nothing here knows files or lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from angarium.mail.address import Address, AddressError, normalize_domain
from angarium.policy.config import Network
from angarium.policy.networks import NetworkError, parse_network

Parser = Callable[[Any], Any]

_DURATION = re.compile(r"(?:\s*(?:[0-9]+(?:\.[0-9]+)?)\s*[a-zA-Z]+)+\s*")
_DURATION_PART = re.compile(r"([0-9.]+)\s*([a-zA-Z]+)")
_DAY = 86400.0
_SECONDS = {
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), _DAY),
    **dict.fromkeys(("w", "week", "weeks"), 7 * _DAY),
    **dict.fromkeys(("M", "month", "months"), 30.44 * _DAY),
    **dict.fromkeys(("y", "year", "years"), 365.25 * _DAY),
}
MAX_DURATION = 100 * 365.25 * _DAY

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-zA-Z]*)\s*")
_OCTETS = {"": 1, "b": 1}
_OCTETS |= {f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}
_OCTETS |= {f"{prefix}ib": 1024**power for power, prefix in enumerate("kmgt", 1)}


class BadValueError(ValueError):
    """The value is not what the option takes; `path` leads to the part of it that is wrong.

    `others` are the errors in further parts of the same value.
    """

    def __init__(self, text: str, *path: str | int) -> None:
        super().__init__(text)
        self.path = path
        self.others: tuple[BadValueError, ...] = ()

    @classmethod
    def of_all(cls, errors: Sequence[BadValueError]) -> BadValueError:
        """Several errors as one: the first, with the others."""
        errors[0].others = tuple(errors[1:])
        return errors[0]

    def each(self) -> tuple[BadValueError, ...]:
        """This one, and the others."""
        return self, *self.others


def shown(value: object) -> str:
    """The value as a message quotes it: one short line."""
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def duration(value: object) -> float:
    """Seconds above zero, from a number or a text such as `1m 30s`."""
    seconds = _seconds(value)
    if not 0 < seconds <= MAX_DURATION:
        raise BadValueError(
            f"{shown(value)} is out of range: write a duration above zero, such as '10s' or '7 days'"
        )
    return seconds


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if abs(value) <= MAX_DURATION else -1.0
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise BadValueError(
            f"{shown(value)} is not a duration: write seconds, or '10s', '5m', '1m 30s', '7 days'"
        )
    total = 0.0
    for number, unit in _DURATION_PART.findall(value):
        scale = _SECONDS.get(unit) or _SECONDS.get(unit.lower())
        if scale is None:
            raise BadValueError(f"{unit!r} is not a unit of time: write ms, s, m, h, days or weeks")
        total += float(number) * scale
    return total


def spelled(seconds: float) -> str:
    """A duration as people write it: `20m`, `7 days`, `1m 30s`, `0.5s`."""
    parts = []
    for unit, scale in ((" days", 86400), ("h", 3600), ("m", 60)):
        count, seconds = divmod(seconds, scale)
        if count:
            parts.append("1 day" if (unit, count) == (" days", 1) else f"{count:g}{unit}")
    if seconds or not parts:
        parts.append(f"{seconds:g}s")
    return " ".join(parts)


def duration_or_none(value: object) -> float:
    """Seconds, as `duration` reads them; 0 is allowed too."""
    return 0.0 if value in (0, "0") and not isinstance(value, bool) else duration(value)


def size(value: object) -> int:
    """Octets above zero, from a number or a text such as `20 MiB`."""
    if isinstance(value, int) and not isinstance(value, bool):
        octets = value
    else:
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        scale = None if match is None else _OCTETS.get(match[2].lower())
        if match is None or scale is None:
            raise BadValueError(f"{shown(value)} is not a size: write octets, or '64 KiB', '20 MiB', '1 GB'")
        octets = int(float(match[1]) * scale)
    if not 0 < octets < 2**63:
        raise BadValueError(f"{shown(value)} is out of range: write a size above zero")
    return octets


def whole_number(lowest: int, highest: int = 2**31) -> Parser:
    """A parser of whole numbers between two bounds, both included."""

    def parse(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadValueError(f"{shown(value)} is not a whole number")
        if not lowest <= value <= highest:
            raise BadValueError(f"{value} is out of range: write {lowest} to {highest}")
        return value

    return parse


def boolean(value: object) -> bool:
    """`true` or `false`."""
    if not isinstance(value, bool):
        raise BadValueError(f"{shown(value)} is neither true nor false")
    return value


def text(value: object) -> str:
    """One line of printable text, not empty."""
    if not isinstance(value, str):
        raise BadValueError(f"{shown(value)} is not a text: write it in quotes")
    if not value or not value.isprintable():
        raise BadValueError(f"{shown(value)} is not one line of text")
    return value


def list_of(parse: Parser) -> Parser:
    """A parser of arrays whose items are read by `parse`."""

    def parse_items(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise BadValueError(f"{shown(value)} is not an array: write it in brackets, [{shown(value)}]")
        items: list[Any] = []
        errors: list[BadValueError] = []
        for index, item in enumerate(value):
            try:
                items.append(inside(parse, index, item))
            except BadValueError as error:
                errors += error.each()
        if errors:
            raise BadValueError.of_all(errors)
        return tuple(items)

    return parse_items


def one_or_more(parse: Parser) -> Parser:
    """A parser of one value, or of an array of them."""

    def parse_one_or_more(value: object) -> tuple[Any, ...]:
        return list_of(parse)(value) if isinstance(value, list | tuple) else (parse(value),)

    return parse_one_or_more


def inside(parse: Parser, key: str | int, part: object) -> Any:
    """Parse a part of a value; what is wrong with it is wrong at its key."""
    try:
        return parse(part)
    except BadValueError as error:
        errors = [BadValueError(str(one), key, *one.path) for one in error.each()]
        raise BadValueError.of_all(errors) from None


def one_of(*words: str) -> Parser:
    """A parser of a word out of a few."""

    def parse(value: object) -> str:
        if value not in words:
            raise BadValueError(f"{shown(value)} is not known here: write {' or '.join(map(repr, words))}")
        return str(value)

    return parse


def network(value: object) -> Network:
    """An address or a network in CIDR form."""
    try:
        return parse_network(text(value))
    except NetworkError as error:
        raise BadValueError(str(error)) from None


def domain(value: object) -> str:
    """A domain in normal form."""
    name = text(value)
    try:
        normal = normalize_domain(name)
    except AddressError:
        raise BadValueError(f"{name!r} is not a domain name: write one such as 'mx.example.com'") from None
    if normal.startswith("["):
        raise BadValueError(f"{name!r} is an address literal: write a domain name")
    return normal


def mailbox(value: object) -> Address:
    """A mail address."""
    try:
        return Address.parse(text(value))
    except AddressError:
        raise BadValueError(f"{shown(value)} is not an address: write user@example.com") from None


def socket_address(value: object, default_port: int | None = None) -> tuple[str, int]:
    """An IP address and a port, from `10.0.0.1:25` or `[2001:db8::1]:25`."""
    host, port = _split_port(text(value), default_port)
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise BadValueError(
            f"{value!r} is not an IP address and port: write '0.0.0.0:25' or '[::]:25'"
        ) from None
    if address.version == 6 and host[0] != "[" and default_port is None:
        raise BadValueError(f"{value!r} is not an IP address and port: write '[{address}]:25'")
    return str(address), port


def listen(value: object) -> str:
    """What a listener is bound to, as it was written."""
    socket_address(value)
    return str(value)


def _split_port(written: str, default_port: int | None) -> tuple[str, int]:
    host, colon, port = written.rpartition(":")
    if default_port is not None and (not colon or (host.count(":") and not host.endswith("]"))):
        return written, default_port
    if not (port.isascii() and port.isdigit() and host):
        raise BadValueError(f"{written!r} has no port: write '{written.rstrip(':')}:25'")
    if len(port) > 5 or int(port) > 65535:
        raise BadValueError(f"{written!r} has a port above 65535: write '{host}:25'")
    return host, int(port)


def nameserver(value: object) -> tuple[str, int]:
    """The address of a name server; its port is 53 unless written."""
    return socket_address(value, default_port=53)


def json_table(value: object) -> Mapping[str, Any]:
    """A table of values that JSON can say."""
    if not isinstance(value, Mapping):
        raise BadValueError(f'{shown(value)} is not a table: write {{ key = "value" }}')
    for key, part in value.items():
        _check_json(part, key)
    return dict(value)


def _check_json(value: object, *path: str | int) -> None:
    if isinstance(value, Mapping):
        for key, part in value.items():
            _check_json(part, *path, key)
    elif isinstance(value, list):
        for index, part in enumerate(value):
            _check_json(part, *path, index)
    elif not isinstance(value, str | int | float | bool | None):
        raise BadValueError(f"{shown(value)} has no form in JSON: write it as a text", *path)
