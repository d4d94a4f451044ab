"""Are these files certificates with their keys, and for which names?

Reads the PEM files that an option names and checks that each key belongs to its certificate, so that a broken
renewal is a broken change like any other. Notes as a problem what could not serve, and as a warning a key
that everybody may read. Keeps no key: whoever serves reads it from its file.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from angarium.policy.config import Certificate, ConfigError
from angarium.policy.source import Key, read_octets, shown_path
from angarium.policy.tables import Reader
from angarium.policy.values import BadValueError


class _Files(msgspec.Struct):
    """What was read for one certificate."""

    chain: bytes
    key: bytes


def read_certificates(
    reader: Reader, certificates: Sequence[str], keys: Sequence[str], *path: Key
) -> tuple[Certificate, ...]:
    """Read certificates with their keys, noting what is wrong; without `keys` they are in the same files."""
    if keys and len(keys) != len(certificates):
        reader.problem("tls_private_key: write one key for each tls_certificate, in their order", *path)
        return ()
    folder = reader.document.path.parent
    read = []
    for name, key_name in zip(certificates, keys or certificates, strict=True):
        try:
            read.append(_read(reader, folder / name, folder / key_name, *path))
        except BadValueError as error:
            reader.problem(f"tls_certificate: {error}", *path)
    return tuple(read)


def read_authorities(reader: Reader, name: str, *path: Key) -> str | None:
    """Check a file of certificates of authorities; returns its path."""
    file = reader.document.path.parent / name
    try:
        octets = _octets(reader, file)
        if not x509.load_pem_x509_certificates(octets):
            raise ValueError
    except (BadValueError, ValueError) as error:
        reader.problem(f"tls_client_ca: {error or file.name} holds no certificate in PEM form", *path)
        return None
    return str(file)


def _read(reader: Reader, certificate: Path, key: Path, *path: Key) -> Certificate:
    files = _Files(_octets(reader, certificate), _octets(reader, key))
    try:
        leaf = x509.load_pem_x509_certificates(files.chain)[0]
    except (ValueError, IndexError):
        raise BadValueError(f"{shown_path(certificate)} holds no certificate in PEM form") from None
    _check_key(leaf, files.key, key, certificate)
    if leaf.not_valid_after_utc < datetime.now(UTC):
        text = f"{shown_path(certificate)} ended at {leaf.not_valid_after_utc:%Y-%m-%d}: renew it"
        reader.problem(text, *path, is_error=False)
    if key.stat().st_mode & stat.S_IROTH:
        shown = shown_path(key)
        reader.problem(f"{shown} can be read by every user: chmod o-r {shown}", *path, is_error=False)
    digest = hashlib.sha256(files.chain + files.key).hexdigest()
    return Certificate(str(certificate), str(key), _names(leaf), digest)


def _check_key(leaf: x509.Certificate, octets: bytes, key: Path, certificate: Path) -> None:
    try:
        private = load_pem_private_key(octets, password=None)
    except TypeError:
        raise BadValueError(
            f"{key} is encrypted: store it without a password, readable to us alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadValueError(f"{shown_path(key)} holds no private key in PEM form") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise BadValueError(f"{shown_path(key)} is not the key of {shown_path(certificate)}")


def _octets(reader: Reader, path: Path) -> bytes:
    try:
        octets = read_octets(path)
    except ConfigError as error:
        raise BadValueError(error.problems[0].text) from None
    reader.attached[path.absolute()] = hashlib.sha256(octets).digest()
    return octets


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names that a certificate is for; its common name where it has no others."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
