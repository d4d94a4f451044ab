"""Who is the client behind a proxy? The PROXY header before a session, and XCLIENT in it.

Only the peers that the operator lists are believed. What a header or XCLIENT says replaces the session's
ends; the listener, and with it its sections, stay those that accepted the TCP connection.
"""

from __future__ import annotations

from ipaddress import ip_address

from angarium.mail.status import reply
from angarium.net.connection import Connection
from angarium.policy.config import ListenerOptions
from angarium.policy.networks import IPAddress, NetworkSet, canonical_address
from angarium.policy.views import Endpoint
from angarium.reception.door import Whereabouts
from angarium.wire import events
from angarium.wire.commands import NOBODY
from angarium.wire.proxy import ProxyHeader, ProxyReader

NOT_BELIEVED = reply(421, "4.7.0 a PROXY header is not accepted from you")
BROKEN_HEADER = reply(421, "4.7.0 a PROXY header is needed, and this is none")


def speaks_for_others(options: ListenerOptions, peer: IPAddress) -> bool:
    """Whether this peer's connections begin with a PROXY header."""
    return options.require_proxy_protocol or peer in NetworkSet(options.proxy_hosts)


def may_use_xclient(options: ListenerOptions, peer: IPAddress) -> bool:
    """Whether this peer may say XCLIENT."""
    return options.allow_xclient or peer in NetworkSet(options.xclient_hosts)


async def read_header(stream: Connection, limit: float) -> ProxyHeader | None:
    """Read the PROXY header and put back what follows; None where none came.

    Raises ProxyError or ConnectionTrouble.
    """
    reader = ProxyReader()
    while True:
        data = await stream.receive(limit)
        if not data:
            return None
        reader.receive_data(data)
        header = reader.next_header()
        if header is not None:
            stream.put_back(reader.rest)
            return header


def behind(where: Whereabouts, header: ProxyHeader) -> Whereabouts:
    """The ends that a header tells; as they were where it does not know."""
    ends = header.endpoints
    if ends is None:
        return where
    peer = _endpoint(ends.source, ends.source_port, where.peer)
    local = _endpoint(ends.destination, ends.destination_port, where.local)
    return where.moved(peer, local)


def told(where: Whereabouts, said: events.Xclient) -> Whereabouts:
    """The ends that XCLIENT tells; what it leaves out stays. A client that it does not know is nobody."""
    peer = _endpoint(said.address, said.port, where.peer)
    if said.address == NOBODY:
        peer = Endpoint(ip_address(NOBODY), peer.port)
    local = _endpoint(said.destination_address, said.destination_port, where.local)
    return where.moved(peer, local)


def _endpoint(address: str | None, port: int | None, known: Endpoint) -> Endpoint:
    ip = known.ip if address is None else canonical_address(ip_address(address))
    return Endpoint(known.ip if ip.is_unspecified else ip, known.port if port is None else port)
