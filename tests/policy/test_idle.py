"""policy.idle: what stands in the files and changes nothing is named, with its line, and nothing else is."""

from __future__ import annotations

import pytest

from angarium.policy.idle import idle
from tests.policy.whole_configurations import loaded

LISTENER = '[[listener]]\nname = "in"\nlisten = "10.9.9.9:25"\n'
POLICY = '[policy]\nlistener_domains = ["domains.toml"]\n'


def notes(domains: str, listener: str = LISTENER) -> list[tuple[int, str]]:
    """Line and text of what was found, but for missing routes, which every domain here has."""
    found = idle(loaded(listener + POLICY, domains))
    return [(note.source.line, note.text) for note in found if "routes it" not in note.text]


@pytest.mark.parametrize(
    ("domains", "line", "says"),
    [
        ('["*.a.org"]\nrelay_to = true\n["b.a.org"]\nrelay_to = true', 3, "changes nothing"),
        ('["a.org"]\nrelay_to = true\n[listener.in."a.org"]\nrelay_to = true', 3, "changes nothing"),
        ('["a.org"]\nrelay_to = true\n[listener.in."*"]\nlog_oob = false', 3, "changes nothing"),
        (f'["*.{".".join(["x" * 63] * 3)}.{"y" * 62}"]\nrelay_to = true', 1, "can never match"),
    ],
)
def test_entries_that_change_nothing_are_named(domains: str, line: int, says: str) -> None:
    """Entries that repeat what holds anyway, or that no name is short enough for."""
    ((found, text),) = notes(domains)
    assert found == line
    assert says in text


@pytest.mark.parametrize(
    "domains",
    [
        '["*.a.org"]\nrelay_to = true\n["b.a.org"]\nrelay_to = false',
        '["*"]\nlog_oob = true\n["a.org"]\nlog_oob = true',
        '["a.org"]\nrelay_to = true\n[listener.in."a.org"]\nrelay_to = false',
        '["b.a.org"]\nlog_oob = true\n[listener.in."*.a.org"]\nlog_oob = false',
        '[listener.in."*"]\nrelay_to = true\nallow = "a lab"',
    ],
)
def test_entries_that_change_something_are_not_named(domains: str) -> None:
    """Entries that take names out of wildcards, sections that turn options off, and `"*"` all count."""
    assert notes(domains) == []


def test_overlays_that_cannot_match_are_named() -> None:
    """An overlay inside one for other peers, and `via` an address that the listener does not have."""
    listener = (
        f'{LISTENER}[listener.peer."10.0.0.0/8".peer."192.168.0.0/16"]\nmax_hops = 5\n'
        '[listener.via."10.1.1.1"]\nmax_hops = 5\n'
    )
    assert [line for line, _ in notes("", listener)] == [5, 7]


def test_domains_without_a_route_are_named() -> None:
    """Mail that is accepted for a domain whose MX is this host needs a next hop."""
    (note,) = idle(loaded(LISTENER + POLICY, '["a.org"]\nrelay_to = true'))
    assert "no queues file routes it" in note.text


def test_rights_that_can_never_matter_are_named() -> None:
    """Peers in relay_from that relay_hosts has on every listener gain nothing by it; on one alone they do."""
    hosts = LISTENER + 'relay_hosts = ["10.0.0.0/8"]\n'
    entry = '["a.org"]\nrelay_from = ["10.1.0.0/16"]'
    ((line, text),) = notes(entry, hosts)
    assert (line, "adds nothing" in text) == (2, True)
    other = '[[listener]]\nname = "out"\nlisten = "10.9.9.9:587"\n'
    overlay = '[listener.peer."10.1.2.0/24"]\nrelay_hosts = []\n'
    wider = entry.replace("10.1.0.0/16", "10.0.0.0/7")
    assert [notes(entry, hosts + other), notes(entry, hosts + overlay), notes(wider, hosts)] == [[], [], []]


@pytest.mark.parametrize(("key", "named"), [("com", 1), ("co.uk", 1), ("intranet", 0), ("a.com", 0)])
def test_bare_top_level_domains_are_named(key: str, named: int) -> None:
    """A key that is a top-level domain answers for nobody's addresses, and is said to."""
    assert len(notes(f'["{key}"]\nrelay_to = true')) == named
