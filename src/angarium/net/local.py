"""Is an address this machine's own? The kernel knows (containers, interfaces come and go)."""

from __future__ import annotations

import socket

_DISCARD = 9
"""Any port will do: nothing is sent."""


def is_local_address(address: str) -> bool:
    """Whether a socket of this machine can have this IPv4 or IPv6 address. Costs two calls, sends nothing.

    A broadcast address of a network is nobody's own, though a socket can be bound to it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
            sock.connect((address, _DISCARD))  # of a datagram: the kernel forbids it for broadcasts
    except OSError:
        return False
    return True
