"""Which certificates does a listener show? Contexts for TLS, made once for each set of files.

A renewed file has another digest, so that new sessions get a new context while old ones go on with theirs.
Where no certificate is configured one of our own making is shown; it stands beside the spool.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from pathlib import Path

from angarium.net.tls import KeyPair, self_signed, server_context
from angarium.policy.config import ListenerOptions

log = logging.getLogger(__name__)

_Key = tuple[object, ...]


class Keyring:
    """The TLS contexts in use. `folder` is where certificates of our own making are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._contexts: dict[_Key, ssl.SSLContext] = {}

    def prepare(self, several: Iterable[ListenerOptions]) -> None:
        """Make what these listeners show, and forget what nobody shows any longer. Raises TlsError."""
        old, self._contexts = self._contexts, {}
        for options in several:
            key = _key(options)
            if key in old:
                self._contexts[key] = old[key]
            self.context(options)

    def context(self, options: ListenerOptions) -> ssl.SSLContext | None:
        """The context for sessions with these options; None: no TLS. Raises TlsError."""
        if options.tls == "off":
            return None
        key = _key(options)
        if key not in self._contexts:
            self._contexts[key] = self._make(options)
        return self._contexts[key]

    def _make(self, options: ListenerOptions) -> ssl.SSLContext:
        pairs = [KeyPair(one.certificate, one.private_key, one.names) for one in options.certificates]
        requires_client = options.tls_client_certificate == "required"
        return server_context(
            pairs or [self._own(options.hostname)], options.tls_client_ca, requires_client=requires_client
        )

    def _own(self, hostname: str) -> KeyPair:
        pair, is_new = self_signed(self._folder, hostname)
        if is_new:
            log.warning(
                "%s has no tls_certificate: made a self-signed one, %s; it encrypts, and proves nothing",
                hostname,
                Path(pair.certificate).resolve(),
            )
        return pair


def _key(options: ListenerOptions) -> _Key:
    name = None if options.certificates else options.hostname
    return options.certificates, name, options.tls_client_ca, options.tls_client_certificate
