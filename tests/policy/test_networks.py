"""Networks, and the answers that handlers give with them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.decision import ListenerDomain, LogMode
from angarium.policy.networks import NetworkError, NetworkSet, canonical_address, parse_network

networks = st.builds(
    lambda number, prefix: ip_network((number, prefix), strict=False),
    st.integers(0, 2**32 - 1) | st.integers(2**32, 2**128 - 1),
    st.integers(0, 32),
)


@given(st.lists(networks), st.ip_addresses())
def test_set_finds_what_a_loop_finds(given_networks: list[object], address: object) -> None:
    """The set holds an address if one of its networks does, and tells the narrowest."""
    asked = canonical_address(address)  # type: ignore[arg-type]
    wanted = [n for n in given_networks if asked in n]  # type: ignore[operator]
    narrowest = max((n.prefixlen for n in wanted), default=None)  # type: ignore[attr-defined]
    found = NetworkSet(given_networks).find(address)  # type: ignore[arg-type]
    assert (found.prefixlen if found else None) == narrowest
    assert (address in NetworkSet(given_networks)) == bool(wanted)  # type: ignore[arg-type]


def test_mapped_addresses_are_ipv4() -> None:
    """A peer of a dual-stack socket is in the IPv4 networks it is in, and `::/0` is IPv6 alone (W17)."""
    peer = ip_address("::ffff:10.1.2.3")
    assert peer in NetworkSet.parse(["10.0.0.0/8"])
    assert ip_address("10.1.2.3") in NetworkSet.parse(["::ffff:10.0.0.0/104"])
    assert peer not in NetworkSet.parse(["::/0"])


@pytest.mark.parametrize(
    ("text", "hint"), [("10.0.0.1/8", "10.0.0.0/8"), ("host", "192.0.2.0/24"), ("", "192.0.2.0/24")]
)
def test_what_is_no_network(text: str, hint: str) -> None:
    """The error says what to write."""
    with pytest.raises(NetworkError, match=hint):
        parse_network(text)


def test_sets_show_a_few_of_their_networks() -> None:
    """A long list does not fill a line of the log."""
    assert str(NetworkSet()) == "no network"
    assert repr(NetworkSet.parse(f"10.0.0.{n}" for n in range(6))).endswith("10.0.0.3/32, 2 more)")


def test_sets_are_values() -> None:
    """Order makes no difference to equality."""
    one, two = NetworkSet.parse(["10.0.0.1", "::1"]), NetworkSet.parse(["::1", "10.0.0.1"])
    assert one == two
    assert hash(one) == hash(two)
    assert [len(one), list(map(str, one))] == [2, ["10.0.0.1/32", "::1/128"]]


def test_listener_domain_is_off_by_default() -> None:
    """P2: everything is off by default."""
    answer = ListenerDomain()
    assert not answer.relay_to
    assert not answer.relay_from
    assert not answer.relay_from_authz
    assert (answer.log_oob, answer.log_arf) == (LogMode.IGNORE, LogMode.IGNORE)


def test_listener_domain_takes_what_the_files_take() -> None:
    """P11: booleans, modes by name, networks by text; log_fbl is log_arf; ttl is ignored."""
    answer = ListenerDomain(
        relay_to=True,
        relay_from=["10.0.0.0/8"],
        relay_from_authz=["ann"],
        log_oob="LogThenRelay",
        log_fbl=True,
        ttl=60,
    )
    assert ip_address("10.1.1.1") in answer.relay_from
    assert answer.relay_from_authz == {"ann"}
    assert (answer.log_oob, answer.log_arf) == (LogMode.LOG_THEN_RELAY, LogMode.LOG_THEN_DROP)
    assert answer == ListenerDomain(
        relay_to=True,
        relay_from=[ip_network("10.0.0.0/8")],
        relay_from_authz=("ann",),
        log_oob=LogMode.LOG_THEN_RELAY,
        log_arf=True,
    )
    assert hash(answer) != hash(ListenerDomain())
    assert "relay_to=True" in repr(answer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"relay_to": 1},
        {"relay_from": "10.0.0.0/8"},
        {"relay_from": ["10.0.0.1/8"]},
        {"relay_from": 5},
        {"relay_from_authz": "ann"},
        {"relay_from_authz": [""]},
        {"relay_from_authz": [1]},
        {"log_oob": "yes"},
        {"log_arf": []},
        {"log_arf": True, "log_fbl": True},
    ],
)
def test_listener_domain_refuses_what_it_does_not_know(wrong: dict[str, object]) -> None:
    """A wrong answer raises where the operator wrote it, and says what to write."""
    with pytest.raises((TypeError, ValueError)):
        ListenerDomain(**wrong)  # type: ignore[arg-type]


def test_listener_domain_does_not_change() -> None:
    """An answer is a value."""
    with pytest.raises(AttributeError):
        ListenerDomain().relay_to = True
