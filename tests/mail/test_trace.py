"""References of ours are found again, and nobody else can make them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.address import Address
from angarium.mail.trace import (
    MAX_AGE,
    TRACE_FIELD,
    Key,
    KeyFileError,
    read_keys,
    read_reverse_path,
    read_supplemental,
    signed_reverse_path,
    signing_key,
    supplemental_field,
)

NOW = 1_712_000_000.0
OLD, NEW = Key("a1", b"o" * 32), Key("b2", b"n" * 32)
KEYS = {key.ident: key for key in (OLD, NEW)}
DATA = {"id": "0" * 32, "recipient": "rcpt@example.net", "meta": {"campaign": "Grüße"}}
IDENT = "0123456789abcdef" * 2


def value_of(field: bytes) -> str:
    return field.decode().partition(":")[2]


def test_a_reference_is_read_again() -> None:
    """What was signed comes back verified, whichever key of the file signed it."""
    for key in (OLD, NEW):
        found = read_supplemental(value_of(supplemental_field(DATA, key, NOW)), KEYS, NOW + 86_400)
        assert found is not None
        assert (found.data, found.key_id, found.made, found.verified) == (DATA, key.ident, NOW, True)


def test_the_field_is_folded_and_bare() -> None:
    """Long data is folded; the field is ASCII and ends with CRLF."""
    field = supplemental_field({**DATA, "long": "x" * 2000}, NEW, NOW)
    assert field.startswith(TRACE_FIELD.encode() + b": v=1;k=b2;")
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) < 100


def test_folds_may_change_on_the_way() -> None:
    """Hosts that fold the field anew do no harm."""
    value = value_of(supplemental_field(DATA, NEW, NOW)).replace("\r\n\t", " \n   ")
    found = read_supplemental(value, KEYS, NOW)
    assert found is not None
    assert found.verified


def test_a_forged_reference_is_not_verified() -> None:
    """Any change of the data, the time or the signature shows; an unknown key leaves the question open."""
    value = value_of(supplemental_field(DATA, NEW, NOW))
    later = value.replace(f"t={int(NOW)}", f"t={int(NOW) + 1}")
    other = value_of(supplemental_field(DATA, Key("b2", b"x" * 32), NOW))
    for text in (later, other):
        found = read_supplemental(text, KEYS, NOW)
        assert found is not None
        assert found.verified is False
    unknown = read_supplemental(value, {"a1": OLD}, NOW)
    assert unknown is not None
    assert unknown.verified is None


@pytest.mark.parametrize("passed", [MAX_AGE + 1, -100_000.0])
def test_references_expire(passed: float) -> None:
    """Too old, or from the future: not verified."""
    found = read_supplemental(value_of(supplemental_field(DATA, NEW, NOW)), KEYS, NOW + passed)
    assert found is not None
    assert found.verified is False


@given(st.text(max_size=200))
def test_other_values_are_none(text: str) -> None:
    """What is no reference of ours is nothing, and does no harm."""
    assert read_supplemental(text, KEYS, NOW) is None


@pytest.mark.parametrize("data", ["AAAA", "", base64.urlsafe_b64encode(b"[1]").decode(), "W" * 9000])
def test_data_that_is_no_object_is_altered(data: str) -> None:
    """Data of another form is nothing; under the name of a key of ours somebody has altered it."""
    for key, verified in (("b2", False), ("zz", None)):
        found = read_supplemental(f"v=1;k={key};t=1;s={'A' * 43};d={data.rstrip('=')}", KEYS, NOW)
        assert (found.verified if found else None) is verified
        assert found is None or found.data == {}


def test_what_names_a_key_of_ours_and_does_not_read_is_altered() -> None:
    """A reference that was cut or mangled on the way is not verified; one of nobody's key is nothing."""
    value = value_of(supplemental_field(DATA, NEW, NOW))
    path = signed_reverse_path(IDENT, "example.com", NEW, NOW)
    for cut in (value[:60], value + "!", value.replace("s=", "s=x")):
        found = read_supplemental(cut, KEYS, NOW)
        assert found is not None
        assert (found.verified, found.data) == (False, {})
        assert read_supplemental(cut, {"a1": OLD}, NOW) is None
    for local_part in (path.local_part[:-1], path.local_part.replace("0123", "012z")):
        altered = read_reverse_path(Address(local_part, "example.com"), KEYS, NOW)
        assert altered is not None
        assert altered.verified is False
        assert read_reverse_path(Address(local_part, "example.com"), {}, NOW) is None


def test_a_reverse_path_names_its_message() -> None:
    """A bounce to a signed reverse-path tells which message bounced, whatever case it comes back in."""
    path = signed_reverse_path(IDENT, "example.com", NEW, NOW)
    assert len(path.local_part) <= 64
    for address in (path, Address(path.local_part.upper(), path.domain)):
        found = read_reverse_path(address, KEYS, NOW + 5 * 86_400)
        assert found is not None
        assert (found.data, found.verified) == ({"id": IDENT}, True)


def test_a_forged_reverse_path_is_not_verified() -> None:
    """Another message, another domain, another key, another month: not verified."""
    path = signed_reverse_path(IDENT, "example.com", NEW, NOW)
    forged = (
        (Address(path.local_part.replace("0123", "0124"), path.domain), NOW),
        (Address(path.local_part, "example.org"), NOW),
        (signed_reverse_path(IDENT, "example.com", Key("b2", b"x" * 32), NOW), NOW),
        (path, NOW + MAX_AGE + 2 * 86_400),
    )
    for address, now in forged:
        found = read_reverse_path(address, KEYS, now)
        assert found is not None
        assert found.verified is False


def test_ordinary_addresses_are_none() -> None:
    """An address that is no signed reverse-path is nothing; a message id of another form is refused."""
    assert read_reverse_path(Address.parse("bounce+a@example.com"), KEYS, NOW) is None
    with pytest.raises(ValueError, match="id of a message"):
        signed_reverse_path("short", "example.com", NEW, NOW)


def test_key_files() -> None:
    """A line a key, the first one signs; a broken line is named without its secret."""
    secret = base64.b64encode(b"s" * 32).decode()
    keys = read_keys(f"# keys\nb2 {secret}\n\na1 {secret}\n")
    assert list(keys.values()) == [Key("b2", b"s" * 32), Key("a1", b"s" * 32)]
    assert signing_key(keys) == keys["b2"]
    assert signing_key({}) is None
    for line in ("b2", f"B2 {secret}", "b2 c2hvcnQ=", "b2 !!!", "a b c", f"# x\nb2 {secret}\nb2 {secret}"):
        with pytest.raises(KeyFileError, match=r"^line [13]: ") as error:
            read_keys(line)
        assert "c2hvcnQ" not in str(error.value)


def test_keys_keep_their_secret() -> None:
    """A key's representation does not hold its secret."""
    assert "nnn" not in repr(NEW)
