"""Whom does an operator mean? What was asked for, in the spelling that the queue has.

Domains and addresses are written in many ways and mean the same; what is none is refused, since an order
about nobody looks as if it did something. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from angarium.admin.control import RequestError
from angarium.mail.address import AddressError, normalize_domain
from angarium.policy.route import RouteError, parse_next_hop, parse_queue_name
from angarium.queue.order import Selector

MAX_SECONDS = 10 * 366 * 86400.0
"""For how long an order may stand, if it is not to stand until it is cancelled."""
MAX_NAME = 100


def normal(selector: Selector) -> Selector:
    """The selector as the queue spells it; raises RequestError for what nobody can be."""
    rules: dict[str, Callable[[str], str]] = {
        "domain": _domain,
        "queue": queue_name,
        "sender": _address,
        "recipient": _address,
    }
    given = {name: getattr(selector, name) for name in rules if getattr(selector, name) is not None}
    return msgspec.structs.replace(selector, **{name: rules[name](text) for name, text in given.items()})


def queue_name(text: str) -> str:
    """A queue's name as it is written; raises RequestError."""
    try:
        name = parse_queue_name(text)
        domain = normalize_domain(name.domain) if name.domain else ""
        if name.routing_domain is not None:
            routing_domain(name.routing_domain)
    except (RouteError, AddressError) as error:
        raise RequestError(str(error)) from None
    return str(name._replace(domain=domain))


def routing_domain(text: str) -> str:
    """A routing domain that leads somewhere; raises RequestError."""
    try:
        parse_next_hop(text, is_trusted=True)
    except RouteError as error:
        raise RequestError(str(error)) from None
    return text


def order_name(text: str) -> str:
    """The name of an order; raises RequestError for what no command line could name."""
    if not (text.isprintable() and 0 < len(text) <= MAX_NAME):
        raise RequestError(f"{text[:20]!r} is no name: write up to {MAX_NAME} characters that can be printed")
    return text


def seconds(number: float) -> float:
    """A time that an order may stand; raises RequestError."""
    if not 0 < number <= MAX_SECONDS:
        raise RequestError(f"an order stands for a time above zero, ten years at most: not {number:g} s")
    return number


def _domain(text: str) -> str:
    prefix = "*." if text.startswith("*.") else ""
    try:
        return prefix + normalize_domain(text.removeprefix(prefix))
    except AddressError as error:
        raise RequestError(f"{error}: write 'example.com' or '*.example.com'") from None


def _address(text: str) -> str:
    local_part, at, domain = text.rpartition("@")
    if not at:
        return text
    try:
        return f"{local_part}@{normalize_domain(domain)}"
    except AddressError as error:
        raise RequestError(f"{error}: write 'ann@example.com', '@example.com' or '<>'") from None
