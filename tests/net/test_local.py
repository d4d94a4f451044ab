"""net.local: which addresses are this machine's own."""

import pytest

from angarium.net.local import is_local_address


@pytest.mark.parametrize(
    ("address", "is_own"),
    [
        ("127.0.0.1", True),
        ("127.0.0.77", True),
        ("0.0.0.0", True),
        ("192.0.2.77", False),
        ("2001:db8::77", False),
        ("127.255.255.255", False),
        ("255.255.255.255", False),
    ],
)
def test_what_is_this_machines_own(address, is_own):
    """Addresses of interfaces, and all of them together; no stranger's, and no broadcast address."""
    assert is_local_address(address) is is_own
