"""Mailboxes and domains (RFC 5321 section 4.1.2, RFC 6531 section 3.3, RFC 5890).

Answers "is this an address, and which domain is it?". Domains come out in one normal form: lower-case
A-labels (UTS 46, non-transitional) without a final dot, or an address literal in brackets, so that equal
domains are equal strings everywhere. Raises AddressError for everything else, and nothing but AddressError.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import idna

MAX_DOMAIN = 255  # octets: RFC 5321 section 4.5.3.1.2
MAX_PATH = 256
"""Octets, brackets included (RFC 5321 section 4.5.3.1.3). Within it a local part may be longer than the 64
octets that everybody takes (section 4.5.3.1.1), as those of VERP and SRS are.
"""

# UTF8-non-ascii of RFC 6531 section 3.3, without what reads as something else: control characters, line and
# paragraph separators, overrides of direction, lone surrogates.
_BEYOND = r"\u00a0-\u2027\u202f-\ud7ff\ue000-\U0010ffff"
_ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~\-{_BEYOND}]"  # RFC 5322 section 3.2.3
_DOT_STRING = rf"{_ATEXT}+(?:\.{_ATEXT}+)*"
# RFC 5321: Quoted-string = DQUOTE *(qtextSMTP / quoted-pairSMTP) DQUOTE
_QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_BEYOND}]|\\[ -~])*"'
_LOCAL_PART = rf"(?:{_DOT_STRING}|{_QUOTED_STRING})"
# sub-domain of RFC 5321, with U-labels, and with underscores, which real hosts have.
_LABEL = rf"[A-Za-z0-9{_BEYOND}](?:[A-Za-z0-9_\-{_BEYOND}]*[A-Za-z0-9{_BEYOND}])?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[!-Z^-~]+\]"

_MAILBOX = re.compile(rf"(?P<local>{_LOCAL_PART})@(?P<domain>{_DOMAIN}|{_LITERAL})")
_DOMAIN_RE = re.compile(_DOMAIN)
_QUOTED_PAIR = re.compile(r"\\(.)")
_DOT_STRING_RE = re.compile(_DOT_STRING)


class AddressError(ValueError):
    """The text is not an address, or not a domain."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox: `local_part` as it was written (quotes included), `domain` in normal form.

    The bare `<Postmaster>` of RFC 5321 section 4.5.1 has the domain "". Two addresses are equal if their
    local parts mean the same (`"a"@x` is `a@x`) and their domains are equal.
    """

    local_part: str = field(compare=False)
    domain: str
    user: str = field(init=False, repr=False)
    """The local part's meaning, without quotes and quoted pairs."""
    text: str = field(init=False, repr=False, compare=False)
    """As it is written: `user@example.com`, the same as `str` of it."""

    def __post_init__(self) -> None:
        """Work out once what the local part means, and how it is all written."""
        text = self.local_part
        if text.startswith('"'):
            text = _QUOTED_PAIR.sub(r"\1", text[1:-1])
        object.__setattr__(self, "user", text)
        written = f"{self.local_part}@{self.domain}" if self.domain else self.local_part
        object.__setattr__(self, "text", written)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `user@example.com` (no brackets); raises AddressError."""
        return parse_mailbox(text)

    @property
    def is_ascii(self) -> bool:
        """Whether it can be sent without SMTPUTF8 (the domain always can: it is A-labels)."""
        return self.local_part.isascii()

    @property
    def is_literal(self) -> bool:
        """Whether the domain is an address literal (RFC 5321 section 4.1.3)."""
        return self.domain.startswith("[")

    @property
    def routes(self) -> bool:
        """Whether the local part asks for another host: `user%host`, `host!user`, `"user@host"`."""
        return not {"%", "!", "@"}.isdisjoint(self.user)

    @classmethod
    def make(cls, user: str, domain: str) -> Address:
        """Make an address from a local part's meaning, quoting it where needed; raises AddressError."""
        if _DOT_STRING_RE.fullmatch(user):
            return parse_mailbox(f"{user}@{domain}")
        escaped = user.replace("\\", "\\\\").replace('"', '\\"')
        return parse_mailbox(f'"{escaped}"@{domain}')


@lru_cache(maxsize=8192)
def parse_mailbox(text: str) -> Address:
    """Read a Mailbox (RFC 5321 section 4.1.2), without brackets; raises AddressError."""
    match = _MAILBOX.fullmatch(text)
    if match is None:
        raise AddressError(f"not an address: {text[:80]!r}")
    local_part = match["local"]
    domain = normalize_domain(match["domain"])
    if len(local_part.encode()) + len(domain) > MAX_PATH - len("<@>"):
        raise AddressError("path longer than 256 octets")
    return Address(local_part, domain)


@lru_cache(maxsize=8192)
def normalize_domain(text: str) -> str:
    """Return the normal form of a domain or address literal; raises AddressError.

    A single final dot is dropped; `[IPv6:…]` literals are written in the canonical form of RFC 5952.
    """
    if text.startswith("["):
        return _normalize_literal(text)
    name = text.removesuffix(".")
    if not name.isascii() or "xn--" in name.lower():
        name = _to_a_labels(name)
    name = name.lower()
    if _DOMAIN_RE.fullmatch(name) is None:
        raise AddressError(f"not a domain: {text[:80]!r}")
    if len(name) > MAX_DOMAIN or any(len(label) > 63 for label in name.split(".")):
        raise AddressError(f"domain or label too long: {text[:80]!r}")
    return name


def _to_a_labels(name: str) -> str:
    if len(name) > MAX_DOMAIN:  # before work that grows with the square of the length
        raise AddressError(f"domain too long: {name[:80]!r}")
    try:
        return idna.encode(name, uts46=True, transitional=False, std3_rules=False).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressError(f"not an internationalised domain: {name[:80]!r}") from error


def _normalize_literal(text: str) -> str:
    if not text.endswith("]"):
        raise AddressError(f"not an address literal: {text[:80]!r}")
    inner = text[1:-1]
    try:
        if inner[:5].lower() == "ipv6:":
            if "%" in inner:
                raise AddressError(f"not an address literal: {text[:80]!r}")
            return f"[IPv6:{IPv6Address(inner[5:])}]"
        return f"[{IPv4Address(inner)}]"
    except ValueError as error:
        raise AddressError(f"not an address literal: {text[:80]!r}") from error


def is_numeric(domain: str) -> bool:
    """Whether a domain ends like an address without brackets, as no name does (RFC 1123 section 2.1)."""
    return domain.rpartition(".")[2].isdigit()


def literal_address(domain: str) -> IPv4Address | IPv6Address | None:
    """The address in a normalised literal domain, or None where the domain is a name."""
    if not domain.startswith("["):
        return None
    inner = domain[1:-1]
    return IPv6Address(inner[5:]) if inner.startswith("IPv6:") else IPv4Address(inner)
