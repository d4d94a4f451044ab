"""Is an address this machine's own? The kernel knows (containers, interfaces come and go)."""

from __future__ import annotations

import socket


def is_local_address(address: str) -> bool:
    """Whether a socket of this machine can have this IPv4 or IPv6 address. Costs one bind, sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True
