"""policy.open_relay: what makes a server one that anybody can use for anything, and what does not."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import collapse_addresses, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.config import ConfigError, Network
from angarium.policy.load import load
from angarium.policy.networks import NetworkSet, parse_network
from angarium.policy.open_relay import open_relays, outsiders, proxies_with_rights

Found = Callable[..., list[str]]

LISTENER = '[[listener]]\nname = "in"\nlisten = "0.0.0.0:25"\n'


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Found:
    """Writes a listener and its domains; returns what opens the relay, as the operator reads it."""
    monkeypatch.chdir(tmp_path)

    def found(domains: str = "", listener: str = LISTENER) -> list[str]:
        files = '\n[policy]\nlistener_domains = ["domains.toml"]\n'
        (tmp_path / "main.toml").write_text(f'postmaster = "ops@example.com"\n{listener}{files}')
        (tmp_path / "domains.toml").write_text(domains)
        problems = open_relays(load("main.toml"))
        assert all(problem.is_error for problem in problems)
        return [str(problem) for problem in problems]

    return found


def places(problems: list[str]) -> list[str]:
    return [problem.partition(": ")[0] for problem in problems]


@pytest.mark.parametrize(
    "domains",
    [
        "",
        '["example.com"]\nrelay_to = true',
        '["*.example.com"]\nrelay_to = true\nlog_oob = true',
        '["*.lan"]\nrelay_to = true\n["*.example"]\nrelay_to = true',
        '["*"]\nlog_oob = true\nlog_arf = true',
        '["example.com"]\nrelay_from = ["10.0.0.0/8", "198.51.100.0/24", "fc00::/7", "2001:db8::/32"]',
        '["example.com"]\nrelay_from_authz = ["ann"]',
        '["*"]\nrelay_to = false\n[listener.in."*"]\nrelay_to = false',
        '["[8.8.8.8]"]\nrelay_to = true',
    ],
)
def test_ordinary_files_are_closed(found: Found, domains: str) -> None:
    """Domains, networks and identities that are named open nothing to those that are not."""
    assert found(domains) == []


@pytest.mark.parametrize(
    ("domains", "line"),
    [
        ('["*"]\nrelay_to = true', 2),
        ('["*.com"]\nrelay_to = true', 2),
        ('["*.co.uk"]\nlog_oob = true\nrelay_to = true', 3),
        ('[listener.in."*"]\nrelay_to = true', 2),
        ('[listener."192.0.2.9"."*"]\nrelay_to = true', 2),
        ('["e.com"]\nrelay_from = ["0.0.0.0/0"]', 2),
        ('["e.com"]\nrelay_from = ["0.0.0.0/1"]', 2),
        ('["*.e.com"]\nrelay_from = ["128.0.0.0/2"]', 2),
        ('["*"]\nrelay_from = ["2000::/3"]', 2),
        ('["<>"]\nrelay_from = ["0.0.0.0/0"]', 2),
        ('["e.com"]\nrelay_from = [' + ", ".join(f'"{n}.0.0.0/8"' for n in range(64, 96)) + "]", 2),
    ],
)
def test_what_opens_a_relay_by_entries(found: Found, domains: str, line: int) -> None:
    """Everybody as recipient, or everybody as peer, is said with file and line and what to do."""
    (problem,) = found(domains)
    assert problem.startswith(f"domains.toml:{line}: open relay: ")
    assert 'allow = "the reason"' in problem


@pytest.mark.parametrize("network", ["0.0.0.0/0", "0.0.0.0/1", "64.0.0.0/3", "::/0", "2000::/3", "2a00::/12"])
def test_relay_hosts_that_are_everybody(found: Found, network: str) -> None:
    """A listener that believes a part of the Internet is open to it."""
    (problem,) = found(listener=f'{LISTENER}relay_hosts = ["127.0.0.1", "{network}"]')
    assert problem.startswith(f"main.toml:5: open relay: {network} in relay_hosts")


SCATTERED = ", ".join(f'"{n}.0.0.0/9"' for n in range(1, 224))


@pytest.mark.parametrize(
    "networks", [SCATTERED, ", ".join(f'"{n}.{m}.0.0/10"' for n in range(1, 120) for m in (0, 128))]
)
def test_many_networks_are_a_part_of_the_internet(found: Found, networks: str) -> None:
    """Networks that are narrow each count together: half of the Internet in 223 pieces is open."""
    (problem,) = found(listener=f"{LISTENER}relay_hosts = [{networks}]")
    assert problem.startswith("main.toml:5: open relay: relay_hosts holds ")
    assert " public addresses, far more than one's own machines" in problem
    assert places(found(listener=f"{LISTENER}proxy_hosts = [{networks}]")) == ["main.toml:5"]
    assert places(found(f'["e.com"]\nrelay_from = [{networks}]')) == ["domains.toml:2"]
    private = '"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "8.0.0.0/8"'
    assert found(listener=f"{LISTENER}relay_hosts = [{private}]") == []


def test_two_halves_are_the_whole(found: Found) -> None:
    """The Internet in two halves is the Internet."""
    assert places(found(listener=f'{LISTENER}relay_hosts = ["0.0.0.0/1", "128.0.0.0/1"]')) == ["main.toml:5"]


def test_overlay_that_opens(found: Found) -> None:
    """An overlay that gives its peers, or those of one local address, every right is found."""
    peer = '[listener.peer."0.0.0.0/0"]\nrelay_hosts = ["0.0.0.0/0"]\n'
    assert places(found(listener=LISTENER + peer)) == ["main.toml:6"]
    via = '[listener.via."192.0.2.9"]\nrelay_hosts = ["0.0.0.0/0"]\n'
    assert places(found(listener=LISTENER + via)) == ["main.toml:6"]
    trusted = '[listener.peer."8.8.8.0/24"]\nrelay_hosts = ["0.0.0.0/0"]\n'
    assert found(listener=LISTENER + trusted) == []


def test_everything_is_found_at_once(found: Found) -> None:
    """One open door does not hide another."""
    listener = f'{LISTENER}relay_hosts = ["0.0.0.0/0"]'
    problems = found('["*"]\nrelay_to = true\nrelay_from = ["0.0.0.0/0"]', listener)
    assert places(problems) == ["domains.toml:2", "domains.toml:3", "main.toml:5"]


def test_listener_that_closes(found: Found) -> None:
    """What a section takes back on one listener is open on the others alone, and they are named."""
    other = '[[listener]]\nname = "other"\nlisten = "0.0.0.0:26"\n'
    (problem,) = found('["*"]\nrelay_to = true\n[listener.in."*"]\nrelay_to = false', LISTENER + other)
    assert problem.endswith("(on other)")


@pytest.mark.parametrize(
    ("domains", "more"),
    [
        ('["*"]\nrelay_to = true\nallow = "a closed network"', ""),
        ('["e.com"]\nrelay_from = ["0.0.0.0/0"]\nallow = "a closed network"', ""),
        ('["*"]\nrelay_to = true', 'allow = "a closed network"'),
        ("", 'allow = "a closed network"\nrelay_hosts = ["0.0.0.0/0"]'),
    ],
)
def test_accepted_risk(found: Found, domains: str, more: str) -> None:
    """A reason in the entry or on the listener accepts the risk."""
    assert found(domains, LISTENER + more) == []


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('allow = ""', "main.toml:5: allow: "),
        ('[listener.peer."10.0.0.0/8"]\nallow = "why"', "main.toml:6: allow belongs to the listener itself"),
    ],
)
def test_reasons_are_given_where_they_count(found: Found, more: str, problem: str) -> None:
    """An empty reason is none, and an overlay is not the place for one."""
    with pytest.raises(ConfigError) as caught:
        found(listener=LISTENER + more)
    assert str(caught.value).startswith(problem)


networks = st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(
    lambda pair: parse_network(f"{ip_address(pair[0] >> (32 - pair[1]) << (32 - pair[1]))}/{pair[1]}")
)


@given(st.lists(networks, min_size=1, max_size=15))
def test_outsiders(written: list[Network]) -> None:
    """Somebody stands for the Internet, in nobody's network; each wide one has its outsider too."""
    peers = outsiders([written])
    assert {peer.version for peer in peers} == {4, 6}
    together = list(collapse_addresses(written))
    narrow = NetworkSet(network for network in together if network.prefixlen >= 8)
    assert not any(peer in narrow for peer in peers)
    for network in together:
        if network.prefixlen < 8 and network.network_address < ip_address("224.0.0.0"):
            assert any(peer in network for peer in peers)


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        ('proxy_hosts = ["127.0.0.1"]', ["proxy_hosts: 127.0.0.1/32"]),
        ('xclient_hosts = ["10.1.0.0/16"]\nrelay_hosts = ["10.1.2.3"]', ["xclient_hosts: 10.1.0.0/16"]),
        ('xclient_hosts = ["127.0.0.1"]\nrelay_hosts = ["10.0.0.0/8", "::/64"]', []),
    ],
)
def test_proxies_with_rights(tmp_path: Path, options: str, warned: list[str]) -> None:
    """A proxy that may relay is a warning: a client of whom it says nothing has its address."""
    (tmp_path / "main.toml").write_text(f'postmaster = "ops@example.com"\n{LISTENER}{options}\n')
    problems = list(proxies_with_rights(load(str(tmp_path / "main.toml"))))
    assert [problem.text.partition(" meets")[0] for problem in problems] == warned
    assert [problem.source.line for problem in problems] == [5] * len(warned)
