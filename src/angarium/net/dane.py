"""Is this the certificate that the DNS promised? TLSA records held against a chain (RFC 6698, RFC 7672).

Usable for mail are DANE-EE(3), which names the host's own certificate or key, and DANE-TA(2), which names an
authority that has to be in the chain that the host sends. Others are no use to mail (RFC 7672 section 3.1.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import BasicConstraints, SubjectAlternativeName
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

DANE_TA, DANE_EE = 2, 3
# An authority of one's own need not follow the web's rules; it must be one, and the name must be there.
_POLICY = PolicyBuilder().extension_policies(
    ca_policy=ExtensionPolicy.permit_all().require_present(BasicConstraints, Criticality.AGNOSTIC, None),
    ee_policy=ExtensionPolicy.permit_all().require_present(
        SubjectAlternativeName, Criticality.AGNOSTIC, None
    ),
)
_DIGESTS: dict[int, hashes.HashAlgorithm] = {1: hashes.SHA256(), 2: hashes.SHA512()}
_SIZES = {matching: digest.digest_size for matching, digest in _DIGESTS.items()}


class Tlsa(NamedTuple):
    """One TLSA record."""

    usage: int
    selector: int
    """0: the whole certificate; 1: its public key."""
    matching: int
    """0: as it is; 1: its SHA-256; 2: its SHA-512."""
    data: bytes

    @classmethod
    def parse(cls, text: str) -> Tlsa:
        """Read a record as a zone file writes it, also as one of an unknown type (RFC 3597 section 5); what
        makes no sense is a record of no use.
        """
        try:
            if text.startswith("\\#"):
                usage, selector, matching, *octets = bytes.fromhex("".join(text.split()[2:]))
                return cls(usage, selector, matching, bytes(octets))
            first, second, third, *data = text.split()
            return cls(int(first), int(second), int(third), bytes.fromhex("".join(data)))
        except ValueError:
            return cls(255, 0, 0, b"")


def usable(record: Tlsa) -> bool:
    """Whether mail can make use of a record: one that is malformed is as if of an unknown kind."""
    if record.usage not in (DANE_TA, DANE_EE) or record.selector not in (0, 1):
        return False
    size = len(record.data)
    return size > 0 if record.matching == 0 else size == _SIZES.get(record.matching)


def is_promised(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str]) -> bool:
    """Whether a chain (DER, the host's own certificate first) is what one of the usable records says.

    DANE-EE asks for neither names nor dates (RFC 7672 section 3.1.1); DANE-TA for one of the names, and both.
    """
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain]
    except ValueError:
        return False
    return any(_holds(record, certificates, names) for record in records)


def _holds(record: Tlsa, chain: list[x509.Certificate], names: Sequence[str]) -> bool:
    if record.usage == DANE_EE:
        return bool(chain) and _is(record, chain[0])
    anchors = [each for each in chain[1:] if _is(record, each)]
    return bool(anchors) and any(_leads_to(anchors, chain, name) for name in names)


def _is(record: Tlsa, certificate: x509.Certificate) -> bool:
    octets = (
        certificate.public_bytes(serialization.Encoding.DER)
        if record.selector == 0
        else certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    if record.matching:
        digest = hashes.Hash(_DIGESTS[record.matching])
        digest.update(octets)
        octets = digest.finalize()
    return octets == record.data


def _leads_to(anchors: list[x509.Certificate], chain: list[x509.Certificate], name: str) -> bool:
    try:
        verifier = _POLICY.store(Store(anchors)).build_server_verifier(x509.DNSName(name))
        verifier.verify(chain[0], chain[1:])
    except (VerificationError, ValueError):
        return False
    return True
