"""A real name server on loopback that serves a zone written as a dict, over UDP and TCP.

For tests of what resolves names: `async with DnsServer({"example.com": {"A": ["192.0.2.1"]}}) as server`,
then ask `server.endpoint`. Promises: counts what it was asked; a name that the zone lacks does not exist; a
name whose value is a response code (`"SERVFAIL"`) gets it; `"SILENCE"` gets no answer. Refuses nothing.
"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from angarium.net.dns import MAX_ALIASES, StaticResolver, Zone

__all__ = ["DnsServer", "StaticResolver", "Zone"]

_UDP_SIZE = 512  # octets: RFC 1035 section 4.2.1
_SOA = ["ns. hostmaster. 1 3600 600 86400 {ttl}"]


class DnsServer:
    """Serves `zone` until the block ends; it may be changed meanwhile. `ttl` is that of every record."""

    def __init__(self, zone: Zone, *, ttl: int = 300, is_secure: bool = False) -> None:
        self.zone = zone
        self.is_secure = is_secure
        """Whether it says that DNSSEC vouches for its answers; it does not sign them."""
        self.ttl = ttl
        self.asked: Counter[tuple[str, str]] = Counter()
        """How often each (name, type) was asked for."""
        self.over_tcp = 0
        """How many questions came over TCP."""
        self.port = 0

    @property
    def endpoint(self) -> str:
        """`ip:port`, as the option `nameservers` takes it."""
        return f"127.0.0.1:{self.port}"

    async def __aenter__(self) -> DnsServer:
        self._tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
        self.port = self._tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), ("127.0.0.1", self.port))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    def answer(self, wire: bytes, size: int) -> bytes | None:
        """The response to a question, cut down to `size` octets; None where the zone says SILENCE."""
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.asked[name, dns.rdatatype.to_text(question.rdtype)] += 1
        if self.zone.get(name) == "SILENCE":
            return None
        response = dns.message.make_response(query, recursion_available=True)
        if self.is_secure:
            response.flags |= dns.flags.AD
        self._fill(response, name, question.rdtype)
        octets = response.to_wire()
        return octets if len(octets) <= size else _truncated(query)

    def _fill(self, response: dns.message.Message, name: str, rdtype: dns.rdatatype.RdataType) -> None:
        for _ in range(MAX_ALIASES):
            records = self.zone.get(name)
            if records is None or isinstance(records, str):
                response.set_rcode(dns.rcode.from_text(records or "NXDOMAIN"))
                break
            kind = "CNAME" if "CNAME" in records else dns.rdatatype.to_text(rdtype)
            if kind not in records:
                break
            response.answer.append(self._records(name, kind, list(records[kind])))
            if kind != "CNAME":
                return
            name = records["CNAME"][0].removesuffix(".")
        response.authority.append(self._records(name, "SOA", [_SOA[0].format(ttl=self.ttl)]))

    def _records(self, name: str, kind: str, texts: list[str]) -> dns.rrset.RRset:
        origin = dns.name.from_text(name)
        return dns.rrset.from_text_list(origin, self.ttl, "IN", kind, texts, relativize=False)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            octets = self.answer(await reader.readexactly(length), 65_535)
            self.over_tcp += 1
            if octets is not None:
                writer.write(struct.pack("!H", len(octets)) + octets)
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        octets = self._server.answer(data, _UDP_SIZE)
        if octets is not None:
            self._transport.sendto(octets, addr)


def _truncated(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.TC
    return response.to_wire()
