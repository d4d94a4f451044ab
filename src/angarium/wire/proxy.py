"""The PROXY protocol's header, versions 1 and 2: what a balancer says of the connection that it carries.

Answers "who is the client, and whom did it call?" of the octets before everything else, however they are cut.
Promises: at most MAX_HEADER octets are kept; what follows the header is left alone in `rest`. Refuses
(ProxyError) every header that is not exactly well formed, datagrams and Unix sockets: whoever is trusted to
send headers must send good ones. Whether the peer may send one at all is the listener's to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

MAX_V1 = 107  # octets, CRLF included
MAX_HEADER = (
    4096  # octets; version 2 allows 65,551, of which all but 52 are attributes that nobody reads here
)

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V1_PREFIX = b"PROXY "
_PORT = r"(0|[1-9][0-9]{0,4})"
_V1 = re.compile(rf"PROXY (TCP4|TCP6) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) {_PORT} {_PORT}")
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED = 0x00
_FAMILIES: dict[int, tuple[type[IPv4Address | IPv6Address], int]] = {
    0x11: (IPv4Address, 4),
    0x21: (IPv6Address, 16),
}


def begins_header(data: bytes) -> bool | None:
    """Whether what a client said first is a header, which no SMTP client says; None: too little to tell."""
    if data.startswith((_SIGNATURE, _V1_PREFIX)):
        return True
    return None if _SIGNATURE.startswith(data) or _V1_PREFIX.startswith(data) else False


class ProxyError(Exception):
    """The octets are no PROXY header."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses (in their canonical text) and ports of both ends of the connection that is carried."""

    source: str
    source_port: int
    destination: str
    destination_port: int


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A header; no endpoints where it speaks of the balancer's own connection, or does not know."""

    endpoints: Endpoints | None


class ProxyReader:
    """Reads one header off the beginning of a connection."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take in octets; they are copied."""
        self._data += data

    @property
    def rest(self) -> bytes:
        """The octets that are not part of a header: once it was read, those behind it."""
        return bytes(self._data)

    def next_header(self) -> ProxyHeader | None:
        """The header, or None while it is incomplete; raises ProxyError."""
        for prefix, read in ((_SIGNATURE, self._read_v2), (_V1_PREFIX, self._read_v1)):
            beginning = bytes(self._data[: len(prefix)])
            if beginning == prefix:
                return read()
            if prefix.startswith(beginning):
                return None
        raise ProxyError("no PROXY header")

    def _read_v1(self) -> ProxyHeader | None:
        end = self._data.find(b"\r\n", 0, MAX_V1)
        if end < 0:
            if len(self._data) >= MAX_V1:
                raise ProxyError("a PROXY header without its end")
            return None
        line = self._take(end + 2)[:end]
        try:
            return _understand_v1(line.decode("ascii"))
        except ValueError as error:
            raise ProxyError(f"not a PROXY header: {line!r}") from error

    def _read_v2(self) -> ProxyHeader | None:
        fixed = bytes(self._data[12:16])
        if len(fixed) < 4:
            return None
        length = 16 + int.from_bytes(fixed[2:])
        if length > MAX_HEADER:
            raise ProxyError(f"a PROXY header of {length} octets")
        if len(self._data) < length:
            return None
        return _understand_v2(fixed[0], fixed[1], self._take(length)[16:])

    def _take(self, size: int) -> bytes:
        taken = bytes(self._data[:size])
        del self._data[:size]
        return taken


def _understand_v1(line: str) -> ProxyHeader:
    """Read a line of version 1 without its CRLF; raises ValueError."""
    if line == "PROXY UNKNOWN" or line.startswith("PROXY UNKNOWN "):
        return ProxyHeader(None)
    match = _V1.fullmatch(line)
    if match is None:
        raise ValueError(line)
    address = IPv4Address if match[1] == "TCP4" else IPv6Address
    source_port, destination_port = int(match[4]), int(match[5])
    if max(source_port, destination_port) > 65535:
        raise ValueError(line)
    endpoints = Endpoints(str(address(match[2])), source_port, str(address(match[3])), destination_port)
    return ProxyHeader(endpoints)


def _understand_v2(command: int, family: int, body: bytes) -> ProxyHeader:
    if command == _LOCAL or (command == _PROXY and family == _UNSPECIFIED):
        return ProxyHeader(None)
    if command != _PROXY or family not in _FAMILIES:
        raise ProxyError(f"a PROXY header for something else: {command:#x} {family:#x}")
    address, size = _FAMILIES[family]
    if len(body) < 2 * size + 4:
        raise ProxyError("a PROXY header without its addresses")
    source, destination, ports = body[:size], body[size : 2 * size], body[2 * size : 2 * size + 4]
    endpoints = Endpoints(
        str(address(source)),
        int.from_bytes(ports[:2]),
        str(address(destination)),
        int.from_bytes(ports[2:]),
    )
    return ProxyHeader(endpoints)
