"""policy.provenance: every layer of an option in its order, with its line, and the one that wins."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.policy.config import Configuration
from angarium.policy.decision import LogMode
from angarium.policy.listeners import effective_options
from angarium.policy.provenance import ENTRY_OPTIONS, Origin, of_domain, of_listener, of_queue, shown
from angarium.policy.route import QueueName
from tests.policy.whole_configurations import LOCALS, PEERS, RECIPIENTS, configurations, loaded

MAIN = """hostname = "mx.example.net"
[policy]
listener_domains = ["domains.toml"]
[[listener]]
name = "in"
listen = "10.9.9.9:25"
relay_hosts = ["10.0.0.1"]
[listener.peer."192.0.2.0/24"]
relay_hosts = ["192.0.2.1"]
meta = { site = "two" }
"""
HERE = ip_address("10.9.9.9")


def the(origins: list[Origin], option: str) -> Origin:
    return next(origin for origin in origins if origin.option == option)


def told(origin: Origin) -> list[tuple[int | None, str]]:
    return [(layer.source.line if layer.source else None, layer.outcome) for layer in origin.layers]


def test_an_overlay_wins_over_its_listener() -> None:
    """Both lines are named, and the overlay's wins for its peers alone."""
    configuration = loaded(MAIN, "")
    (listener,) = configuration.listeners
    inside = of_listener(configuration, listener, ip_address("192.0.2.7"), HERE)
    assert told(the(inside, "relay_hosts")) == [(7, "overridden"), (9, "wins")]
    outside = of_listener(configuration, listener, ip_address("198.51.100.7"), HERE)
    assert told(the(outside, "relay_hosts")) == [(7, "wins")]
    assert told(the(outside, "hostname")) == [(1, "wins")]
    assert told(the(outside, "max_hops")) == [(None, "wins")]


def test_a_section_wins_over_the_global_entry_unless_held_back() -> None:
    """The section's line wins; what a guard holds back is named with its reason."""
    domains = '["a.org"]\nlog_oob = true\n[listener.in."*.org"]\nlog_oob = false\nrelay_to = true\n'
    origins = of_domain(configuration := loaded(MAIN, domains), "a.org", configuration.listeners[0], HERE)
    assert told(the(origins, "log_oob")) == [(2, "overridden"), (4, "wins")]
    held = the(origins, "relay_to")
    assert told(held) == [(5, "held back")]
    assert "never on" in (held.layers[0].why or "")


def test_an_entry_above_is_named_where_it_is_silent() -> None:
    """An option that a wildcard above would give is shown as answering for others."""
    domains = '["*.a.org"]\nrelay_to = true\n["b.a.org"]\nlog_oob = true\n'
    origins = of_domain(configuration := loaded(MAIN, domains), "b.a.org", configuration.listeners[0], HERE)
    assert told(the(origins, "relay_to")) == [(2, "answers for others")]


@settings(max_examples=40, deadline=None)
@given(configurations, st.sampled_from(RECIPIENTS), st.sampled_from(PEERS))
def test_what_is_shown_is_what_is_in_force(configuration: Configuration, domain: str, peer: str) -> None:
    """The value told for every option is the effective one, and exactly one layer wins where one is said."""
    for listener in configuration.listeners:
        for local in map(ip_address, LOCALS[listener.label]):
            options = effective_options(listener, ip_address(peer), local)
            for origin in of_listener(configuration, listener, ip_address(peer), local):
                assert origin.value == shown(getattr(options, origin.option))
                _one_wins(origin)
            entry = configuration.domains.lookup(domain, configuration.domains.scope(listener.label, local))
            for origin in of_domain(configuration, domain, listener, local):
                setting: Any = getattr(entry, origin.option) if entry is not None else None
                assert origin.value == ("not said: off" if setting is None else shown(setting.value))
                if setting is not None:
                    _one_wins(origin)


def _one_wins(origin: Origin) -> None:
    winners = [layer for layer in origin.layers if layer.outcome == "wins"]
    assert len(winners) == 1 or (origin.option == "meta" and winners)
    assert winners[-1].value == origin.value or origin.option == "meta"


def test_the_levels_of_a_queue_are_told_in_order(tmp_path: Any) -> None:
    """Built in, default, wildcard, tenant: each with its line, and the last that says something wins."""
    from angarium.policy.load import load

    (tmp_path / "main.toml").write_text(
        'hostname = "mx.example.net"\n[policy]\nqueues = ["queues.toml"]\n'
        '[[listener]]\nlisten = "10.9.9.9:25"\n'
    )
    (tmp_path / "queues.toml").write_text(
        "[queue.default]\nretry_interval = 60\n[queue.'*.a.org']\nretry_interval = 70\n"
        "[tenant.'T']\nretry_interval = 80\n"
    )
    configuration = load(tmp_path / "main.toml")
    origins = of_queue(configuration, QueueName("b.a.org", "T"))
    assert told(the(origins, "retry_interval")) == [
        (None, "overridden"),
        (2, "overridden"),
        (4, "overridden"),
        (6, "wins"),
    ]


def test_values_are_shown_as_they_are_written() -> None:
    """Booleans, modes and lists look as in the files."""
    assert [shown(value) for value in (True, LogMode.LOG_THEN_RELAY, frozenset({"b", "a"}), None)] == [
        "true",
        "LogThenRelay",
        "a, b",
        "none",
    ]
    assert "allow" in ENTRY_OPTIONS
