"""TLS without sockets: contexts from files, certificates of our own making, and the layer on a connection.

Answers "how is this stream encrypted, and who is at the other end?". Promises TLS 1.2 or later, no
renegotiation, no compression; that a context offers every certificate it was given and picks by the name
that the client asks for (RFC 6066 section 3); that all trouble of the library becomes a TlsError; and that a
connection costs no more than what OpenSSL keeps for it, since the loop's own TLS would keep 256 KiB for each.
"""

from __future__ import annotations

import _ssl
import fcntl
import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SELF_SIGNED_DAYS = 3650
RENEW_DAYS = 30
"""A certificate of our own making is made anew this long before it ends."""
_READ_SIZE = 64 * 1024


class TlsError(Exception):
    """Something is wrong with a certificate, a key or a handshake; the text says what."""


class TlsFacts(NamedTuple):
    """How a connection is encrypted, as records say it."""

    version: str
    """`TLSv1.3`."""
    cipher: str
    """`TLS_AES_256_GCM_SHA384`."""
    peer_subject: tuple[str, ...] = ()
    """`CN=client.example` and so on, of a certificate that was verified."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its private key, in PEM files, and the names that it serves."""

    certificate: str
    private_key: str
    names: tuple[str, ...] = ()
    """Lower-case DNS names, perhaps with `*.` before them."""


def server_context(
    pairs: Sequence[KeyPair], client_ca: str | None = None, *, requires_client: bool = False
) -> ssl.SSLContext:
    """A context that serves these certificates, the first where no other has the name asked for.

    With `client_ca` it asks clients for a certificate of one of these authorities, and with `requires_client`
    insists. Raises TlsError.
    """
    contexts = [_context(pair, client_ca, requires_client=requires_client) for pair in pairs]
    if len(contexts) > 1:
        by_name = {
            name: context
            for pair, context in reversed(list(zip(pairs, contexts, strict=True)))
            for name in pair.names
        }
        contexts[0].sni_callback = lambda stream, name, _: _choose(by_name, stream, name)
    return contexts[0]


def _context(pair: KeyPair, client_ca: str | None, *, requires_client: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        # An empty password, since OpenSSL would ask on the terminal for that of an encrypted key.
        context.load_cert_chain(pair.certificate, pair.private_key, password=lambda: b"")
    except (OSError, ssl.SSLError, ValueError) as error:
        raise TlsError(f"cannot use {pair.certificate} with {pair.private_key}: {_reason(error)}") from None
    if client_ca is not None:
        _ask_clients(context, client_ca, requires_client=requires_client)
    return context


def _ask_clients(context: ssl.SSLContext, client_ca: str, *, requires_client: bool) -> None:
    try:
        context.load_verify_locations(client_ca)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"cannot use {client_ca}: {_reason(error)}") from None
    context.verify_mode = ssl.CERT_REQUIRED if requires_client else ssl.CERT_OPTIONAL


def _choose(by_name: dict[str, ssl.SSLContext], stream: ssl.SSLObject, name: str | None) -> None:
    wanted = (name or "").lower()
    context = by_name.get(wanted) or by_name.get("*." + wanted.partition(".")[2])
    if context is not None:
        stream.context = context


@lru_cache(maxsize=64)
def client_context(*, verify: bool, ca: str | None = None) -> ssl.SSLContext:
    """A context for connections of ours: one that believes nobody, or whoever the system or `ca` believes.

    Raises TlsError for a `ca` that cannot be used. It is made once; `client_context.cache_clear` forgets it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(f"cannot use {ca}: {_reason(error)}") from None
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not believed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)


class Layer:
    """TLS over octets that somebody else carries: the server's side, or the client's with a `server_name`."""

    __slots__ = ("_incoming", "_outgoing", "_stream", "is_over", "is_ready")

    def __init__(self, context: ssl.SSLContext, server_name: str | None = None, *, server: bool) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._stream = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server, server_hostname=server_name
        )
        self.is_ready = False
        """Whether the handshake is done."""
        self.is_over = False
        """Whether the other side has said that nothing more comes."""

    def receive(self, octets: bytes | memoryview = b"") -> bytes:
        """Take in what came from the wire; returns the plain text in it, if any. Raises TlsError."""
        self._incoming.write(octets)
        try:
            if not self.is_ready:
                self._stream.do_handshake()
                self.is_ready = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsError(_reason(error)) from None

    def _read(self) -> bytes:
        pieces: list[bytes] = []
        with suppress(ssl.SSLWantReadError):
            while piece := self._stream.read(_READ_SIZE):
                pieces.append(piece)
            self.is_over = True
        return b"".join(pieces)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt plain text for `output`. Raises TlsError."""
        view = memoryview(data)
        try:
            while view:
                view = view[self._stream.write(view) :]
        except ssl.SSLError as error:
            raise TlsError(_reason(error)) from None

    def output(self) -> bytes:
        """What has to go out on the wire now."""
        return self._outgoing.read()

    def end(self) -> None:
        """Say that nothing more comes (RFC 8446 section 6.1)."""
        with suppress(ssl.SSLError):
            self._stream.unwrap()

    def chain(self) -> list[bytes]:
        """The certificates that the other side sent, as DER, its own first; verified or not."""
        stream = self._stream
        if hasattr(stream, "get_unverified_chain"):  # Python 3.13
            return list(stream.get_unverified_chain())
        found = stream._sslobj.get_unverified_chain() or ()  # type: ignore[attr-defined] # noqa: SLF001
        return [each.public_bytes(_ssl.ENCODING_DER) for each in found]

    def facts(self) -> TlsFacts:
        """How the connection is encrypted, once the handshake is done."""
        cipher = self._stream.cipher()
        certificate = self._stream.getpeercert() or {}
        return TlsFacts(
            self._stream.version() or "",
            cipher[0] if cipher else "",
            _subject(certificate.get("subject", ())),
        )


_SHORT = {
    "commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C",
    "localityName": "L", "stateOrProvinceName": "ST",
}  # fmt: skip


def _subject(subject: object) -> tuple[str, ...]:
    """A subject as the library gives it, as `CN=name` and so on; control characters become question marks."""
    pairs = [pair for part in subject for pair in part] if isinstance(subject, tuple) else []
    return tuple(
        "".join(c if c.isprintable() else "?" for c in f"{_SHORT.get(name, name)}={value}")
        for name, value in pairs
    )


def self_signed(folder: Path, hostname: str, now: datetime | None = None) -> tuple[KeyPair, bool]:
    """The certificate of our own making for a host name, and whether it was made just now. Raises TlsError.

    It encrypts, and proves nothing. Key and certificate stand in one file that only its owner reads.
    """
    now = now or datetime.now(UTC)
    path = folder / f"{hostname}.pem"
    pair = KeyPair(str(path), str(path), (hostname,))
    try:
        if _is_usable(path, now):
            return pair, False
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(folder):
            if _is_usable(path, now):  # another worker has made it meanwhile
                return pair, False
            _write_private(path, _make(hostname, now))
    except OSError as error:
        raise TlsError(f"cannot keep a certificate in {folder}: {error.strerror or error}") from None
    return pair, True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_usable(path: Path, now: datetime) -> bool:
    with suppress(FileNotFoundError, ValueError):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        return certificate.not_valid_after_utc - now > timedelta(days=RENEW_DAYS)
    return False


def _make(hostname: str, now: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _write_private(path: Path, octets: bytes) -> None:
    """Write a file that only its owner ever could read, whole or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(octets)
    draft.replace(path)
