"""mail.ident: ids that begin with their time."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.ident import created_at, make_ident


@given(st.integers(0, 2**43), st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7(milliseconds, entropy):
    """It has RFC 9562's layout, tells its time, and keeps its randomness."""
    ident = make_ident(milliseconds / 1000, entropy)
    parsed = uuid.UUID(ident)
    assert parsed.hex == ident
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs(created_at(ident) - milliseconds / 1000) < 0.0011  # a millisecond, and what floats lose


def test_ids_sort_by_time():
    """Later ids are greater."""
    idents = [make_ident(second, bytes(10)) for second in (1, 2, 10, 1_700_000_000)]
    assert idents == sorted(idents)
