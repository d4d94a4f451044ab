"""How did mail leave the house? What records say of the connection, or of what stood in its place."""

from __future__ import annotations

import msgspec

from angarium.net.tls import TlsFacts


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """The same for all that goes over one connection."""

    protocol: str = "ESMTP"
    """`ESMTP`, `LMTP`, `Maildir`, `Handler`."""
    egress_pool: str = "none"
    egress_source: str | None = None
    source_address: str | None = None
    """Our end of the connection, `ip:port`."""
    tls: TlsFacts | None = None
    tls_fallback: str = ""
    """Why there was no TLS, where the next hop offered it and it was wanted."""
    provider: str | None = None
    takes_dsn: bool = False
    """Whether the next hop tells senders itself what becomes of their mail (RFC 3461)."""
