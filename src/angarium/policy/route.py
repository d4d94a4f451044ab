"""Where does a message go next? From queue names and routing domains to a next hop, without asking anybody.

A queue name is `campaign:tenant@domain!routing_domain`, all but the domain optional. The routing domain,
else the domain, says the next hop: a name (its MX hosts), `name:port` (that host, no MX), or an address
literal with or without a port. What strangers may write into tenant and campaign is escaped, so that nobody
forges another queue's name. Raises RouteError for what is no routing domain, and nothing but RouteError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple
from urllib.parse import unquote

from angarium.mail.address import AddressError, is_numeric, literal_address, normalize_domain

_PORT = r":(?P<port>[0-9]{1,5})"
_LITERAL_FORMS = (
    re.compile(rf"\[(?P<host>[0-9.]+){_PORT}\]"),  # [10.0.0.1:2525]
    re.compile(rf"\[(?P<host>[^\[\]]+)\](?:{_PORT})?"),  # [10.0.0.1], [10.0.0.1]:2525, [IPv6:::1]:2525
)
_NAME_AND_PORT = re.compile(rf"(?P<host>[^:\[\]]+){_PORT}")


class RouteError(ValueError):
    """The text is no routing domain; the message says what to write instead."""


@dataclass(frozen=True, slots=True)
class NextHop:
    """One next hop, in one spelling: a literal's `address`, else a `name`."""

    name: str
    """A domain in normal form, or the text of the address."""
    address: IPv4Address | IPv6Address | None = None
    port: int | None = None
    is_trusted: bool = False
    """The operator wrote it: an address it names may be loopback (see `prohibited_hosts`)."""

    @property
    def uses_mx(self) -> bool:
        """Whether the name stands for its MX hosts (RFC 5321 section 5.1); a port makes it a host."""
        return self.address is None and self.port is None

    @property
    def domain(self) -> str:
        """The name, or the literal in brackets, without the port."""
        return self.name if self.address is None else f"[{self.name}]"

    def __str__(self) -> str:
        host = self.domain
        return host if self.port is None else f"{host}:{self.port}"


class QueueName(NamedTuple):
    """The parts of a queue's name; equal names are equal strings."""

    domain: str
    tenant: str | None = None
    campaign: str | None = None
    routing_domain: str | None = None

    def __str__(self) -> str:
        name = self.domain
        if self[1:] == (None, None, None):
            return name
        if self.campaign is not None:
            name = f"{_escape(self.campaign)}:{_escape(self.tenant or '')}@{name}"
        elif self.tenant is not None:
            name = f"{_escape(self.tenant)}@{name}"
        return name if self.routing_domain is None else f"{name}!{_escape(self.routing_domain, keep=':@')}"


def parse_queue_name(text: str) -> QueueName:
    """Read what `str` writes. An empty part counts as absent."""
    head, _, routing_domain = text.partition("!")
    owner, _, domain = head.rpartition("@")
    campaign, _, tenant = owner.rpartition(":")
    parts = (unquote(part) or None for part in (tenant, campaign, routing_domain))
    return QueueName(domain, *parts)


def next_hop(domain: str, routing_domain: str | None = None) -> NextHop:
    """The next hop of a queue: the operator's routing domain, else its domain; raises RouteError."""
    if routing_domain is not None:
        return parse_next_hop(routing_domain, is_trusted=True)
    return _portless(domain, is_trusted=False)


def parse_next_hop(text: str, *, is_trusted: bool) -> NextHop:
    """Read a routing domain; raises RouteError.

    Forms: `name`, `name:port`, `[10.0.0.1]`, `[10.0.0.1]:port`, `[10.0.0.1:port]`, `[IPv6:::1]`,
    `[IPv6:::1]:port`, and IPv6 without its tag.
    """
    for form in (*_LITERAL_FORMS, _NAME_AND_PORT):
        match = form.fullmatch(text)
        if match is not None:
            host = match["host"] if form is _NAME_AND_PORT else _tagged(match["host"])
            return _with_port(_portless(host, is_trusted=is_trusted), match["port"])
    return _portless(text, is_trusted=is_trusted)


def _tagged(inner: str) -> str:
    return (
        f"[IPv6:{inner}]" if inner.count(":") > 1 and not inner.lower().startswith("ipv6:") else f"[{inner}]"
    )


def _portless(text: str, *, is_trusted: bool) -> NextHop:
    try:
        name = normalize_domain(text)
    except AddressError:
        shown = text if text.isprintable() else repr(text)
        raise RouteError(
            f"{shown[:80]} is no routing domain: write a name, name:port, '[10.0.0.1]' or '[10.0.0.1]:2525'"
        ) from None
    address = literal_address(name)
    if address is None and is_numeric(name):
        raise RouteError(f"{text[:80]} looks like an address: write '[{text[:80]}]'")
    return NextHop(name if address is None else str(address), address, None, is_trusted)


def _with_port(hop: NextHop, port: str | None) -> NextHop:
    if port is None:
        return hop
    if not 1 <= int(port) <= 65535:
        raise RouteError(f"{port} is no port: write 1 to 65535")
    return NextHop(hop.name, hop.address, int(port), hop.is_trusted)


def _escape(text: str, keep: str = "") -> str:
    if text.isalnum():
        return text
    return "".join(c if _is_plain(c) or c in keep else _percent(c) for c in text)


def _is_plain(character: str) -> bool:
    return character.isprintable() and character not in "@:!%"


def _percent(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "replace"))
