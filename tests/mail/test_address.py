"""Addresses and domains: what is one, and what it means."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.address import Address, AddressError, literal_address, normalize_domain, parse_mailbox

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
ISEMAIL = CORPORA / "smtp" / "isemail" / "test" / "tests.xml"

# What the collection calls valid, valid for SMTP, or valid without a DNS record is an address to RFC 5321.
GOOD = {"ISEMAIL_VALID_CATEGORY", "ISEMAIL_RFC5321", "ISEMAIL_DNSWARN"}
# RFC 5952 section 4.2.2 would not write it so, but RFC 4291 reads it; 64 octets of a local part are what
# everybody takes (RFC 5321 section 4.5.3.1.1), not all that there may be.
READABLE = {"ISEMAIL_RFC5321_IPV6DEPRECATED", "ISEMAIL_RFC5322_LOCAL_TOOLONG"}


def isemail() -> list[tuple[str, str, bool]]:
    """Each address of the collection, its diagnosis, and whether it is good; symbols stand for controls."""
    if not ISEMAIL.exists():
        return []
    cases = []
    for test in ET.parse(ISEMAIL).getroot().iter("test"):
        text, diagnosis = test.findtext("address") or "", test.findtext("diagnosis") or ""
        text = "".join(chr(ord(c) - 0x2400) if 0x2400 <= ord(c) <= 0x2421 else c for c in text)
        cases.append((text, diagnosis, test.findtext("category") in GOOD or diagnosis in READABLE))
    return cases


@pytest.mark.corpora
@pytest.mark.skipif(not ISEMAIL.exists(), reason="the shared corpora are not here")
def test_isemail() -> None:
    """Every address of the collection is an address exactly if RFC 5321 says so."""
    cases = isemail()
    assert len(cases) > 150
    wrong = [(text, diagnosis) for text, diagnosis, good in cases if is_address(text) != good]
    assert wrong == []


def is_address(text: str) -> bool:
    try:
        parse_mailbox(text)
    except AddressError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("User@Example.COM", "User@example.com"),
        ("é@Bücher.example", "é@xn--bcher-kva.example"),
        ("a@faß.example", "a@xn--fa-hia.example"),
        ("a@_dmarc", None),
        ("a@under_score.example", "a@under_score.example"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
        ("a@[ipv6:2001:DB8:0::1]", "a@[IPv6:2001:db8::1]"),
        ("a@[IPv6:fe80::1%eth0]", None),
        ("a@[x:y]", None),
        ("a@b:25", None),
        ("a@b.", None),
        ("a@xn---", None),
        ("a\u0085b@c", None),
        ("a\u2028b@c", None),
        ("a\u202eb@c", None),
        ("\ud800@c", None),
        ("a@\ud800", None),
        ("bounces+" + "a" * 242 + "@c.d", "bounces+" + "a" * 242 + "@c.d"),
        ("bounces+" + "a" * 243 + "@c.d", None),
        ("é" * 127 + "@c", None),
        ("a" * 180 + "@" + "ü." * 10 + "example", None),
        ("a@" + "é" * 200, None),
    ],
)
def test_parse(text: str, written: str | None) -> None:
    """An address is written back with its domain in normal form, and everything else is refused."""
    if written is None:
        with pytest.raises(AddressError):
            Address.parse(text)
    else:
        assert str(Address.parse(text)) == written


def test_equality() -> None:
    """Quoted and unquoted spellings of a local part are one address, and keep their spelling."""
    assert Address.parse('"a"@x.example') == Address.parse("a@X.example")
    assert hash(Address.parse('"\\a"@x')) == hash(Address.parse("a@x"))
    assert str(Address.parse('"a"@x')) == '"a"@x'
    assert Address.parse("a@x") != Address.parse("A@x")
    assert str(Address("postmaster", "")) == "postmaster"


@pytest.mark.parametrize(
    ("text", "routes"),
    [("a@b", False), ("a%b@c", True), ("a!b@c", True), ('"a@b"@c', True), ("a+b@c", False)],
)
def test_routes(text: str, routes: bool) -> None:
    """Local parts that ask for another host are known, quoted ones too."""
    assert Address.parse(text).routes is routes


def test_properties() -> None:
    """What needs SMTPUTF8, and what is an address literal."""
    assert Address.parse("a@é.example").is_ascii
    assert not Address.parse("é@a").is_ascii
    assert Address.parse("a@[192.0.2.1]").is_literal
    assert literal_address("[192.0.2.1]") == ip_address("192.0.2.1")
    assert literal_address("[IPv6:2001:db8::1]") == ip_address("2001:db8::1")
    assert literal_address("example.com") is None


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30))
def test_make(user: str) -> None:
    """Any printable local part can be made, and means what it was made of."""
    assert Address.make(user, "x.example").user == user


@given(st.text(max_size=80))
def test_total(text: str) -> None:
    """Any text is an address or an AddressError, and what is an address reads back as itself."""
    for attempt in (text, f"{text}@x.example", f"a@{text}"):
        try:
            address = Address.parse(attempt)
        except AddressError:
            continue
        assert Address.parse(str(address)) == address


@given(st.text(st.sampled_from("aZ9-_.é\u00adßⅣ xn"), max_size=30))
def test_normal_form(text: str) -> None:
    """The normal form of a domain is its own normal form."""
    try:
        name = normalize_domain(text)
    except AddressError:
        return
    assert normalize_domain(name) == name
    assert name.isascii()


@pytest.mark.parametrize(
    ("text", "name"), [("Example.COM.", "example.com"), ("xn--BCHER-KVA.example", "xn--bcher-kva.example")]
)
def test_domains(text: str, name: str) -> None:
    """One final dot is dropped, and A-labels are written in lower case."""
    assert normalize_domain(text) == name


@pytest.mark.parametrize(
    "text", ["", ".", "a..b", "-a", "a" * 64, "a." * 128 + "a", "[", "[1.2.3.4", "[::1]", "a b", "é" * 300]
)
def test_no_domains(text: str) -> None:
    """What is no domain is an AddressError."""
    with pytest.raises(AddressError):
        normalize_domain(text)
