"""`config why SITE`: every layer of a shaping value, with its line, and the one that wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.load import load
from angarium.policy.provenance import Origin, Site, of_site, parse_site, shown
from angarium.policy.throttle import Rate
from angarium.policy.values import duration
from tests.cli.house import MAIN, QUEUES, angarium, write

SHAPING = """\
[default]
connection_limit = 10
[provider."big"]
match = ["*.mx.big.example"]
connection_limit = 20
max_message_rate = "200/s"
[domain."example.com"]
max_message_rate = "10/min"
[domain."*.wild.example"]
connection_limit = 3
[domain."[10.0.0.9]"]
connection_limit = 4
"""
BIG = ("a.mx.big.example", "b.mx.big.example")
WITH_SHAPING = MAIN + 'shaping = ["shaping.toml"]\n'
OWN_LIMIT = QUEUES + "connection_limit = 2\n"


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A configuration with a shaping file, and a queue with a limit of its own."""
    return write(tmp_path, WITH_SHAPING, shaping=SHAPING, queues=OWN_LIMIT)


def told(origins: list[Origin], option: str) -> list[tuple[str, int | None, str]]:
    (origin,) = (one for one in origins if one.option == option)
    return [
        (layer.name, layer.source.line if layer.source else None, layer.outcome) for layer in origin.layers
    ]


def test_layers_in_their_order(main: Path) -> None:
    """Default, provider, domain and queue are laid over each other, and the last wins."""
    configuration = load(main)
    config = configuration.queues.lookup("example.com", None, None, None)
    origins = of_site(configuration, Site(BIG, "example.com"), config)
    assert told(origins, "connection_limit") == [
        ("default", None, "overridden"),
        ("[default]", 2, "overridden"),
        ('provider "big"', 5, "overridden"),
        ("queue", 3, "wins"),
    ]
    assert told(origins, "max_message_rate")[1:] == [
        ('provider "big"', 6, "overridden"),
        ('domain "example.com"', 8, "wins"),
    ]


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("mx1.a.org,mx2.a.org", Site(("mx1.a.org", "mx2.a.org"))),
        ("out1->mx.a.org:2525;domain=a.org;tls=required", Site(("mx.a.org",), "a.org", {"tls": "required"})),
        ("[10.0.0.1]:24@lmtp", Site(("[10.0.0.1]",))),
        ("mx.a.org;domain=*.a.org", Site(("mx.a.org",), "*.a.org")),
    ],
)
def test_names_of_sites(name: str, site: Site) -> None:
    """A site is asked about by the name that delivery gives it."""
    assert parse_site(name) == site


@given(
    hosts=st.sampled_from([(), BIG, (*BIG, "mx.other.example"), ("mx.other.example",)]),
    domain=st.sampled_from(["example.com", "a.wild.example", "none.org", "[10.0.0.1]"]),
)
def test_the_winner_is_what_delivery_uses(
    tmp_path_factory: pytest.TempPathFactory, hosts: tuple[str, ...], domain: str
) -> None:
    """Each option's value is the one that the shaping files give to delivery."""
    configuration = load(
        write(tmp_path_factory.mktemp("site"), WITH_SHAPING, shaping=SHAPING, queues=OWN_LIMIT)
    )
    config = configuration.queues.lookup(domain, None, None, None)
    options = configuration.shaping.options(domain, hosts, config)
    for origin in of_site(configuration, Site(hosts, domain), config):
        assert origin.value == shown(getattr(options, origin.option))


def test_as_a_command(main: Path) -> None:
    """A site and a domain with its MX hosts can be asked about, one option at a time."""
    site = angarium("config", "why", "a.mx.big.example;domain=*.wild.example", "connection_limit", "-c", main)
    assert site.returncode == 0, site.stderr
    assert 'shaping.toml:10  domain "*.wild.example": 3' in site.stdout
    mx = [part for host in BIG for part in ("--mx", host)]
    done = angarium("config", "why", "none.org", "max_message_rate", "-c", main, "--json", *mx)
    *_, origins = json.loads(done.stdout).values()
    assert origins[0]["layers"][-1]["name"] == 'provider "big"'


def test_a_literal_host_has_its_own_entry(main: Path) -> None:
    """A site that is one address takes the layer of that address, as its whole name says."""
    done = angarium("config", "why", "[10.0.0.9]:4646", "-c", main)
    assert "site [10.0.0.9]:4646;domain=[10.0.0.9]" in done.stdout
    assert 'shaping.toml:12  domain "[10.0.0.9]": 4' in done.stdout


@pytest.mark.parametrize("key", ["<>", "*.up.example", "*"])
def test_every_key_can_be_asked_about(main: Path, key: str) -> None:
    """The null reverse-path, wildcards and "*" are asked about as the file writes them."""
    file = main.with_name("domains.toml")
    file.write_text(f'["{key}"]\nrelay_from = ["10.9.0.0/16"]\n')
    done = angarium("config", "why", key, "relay_from", "-c", main)
    assert done.returncode == 0, done.stderr
    assert f'domains.toml:2  entry "{key}": 10.9.0.0/16' in done.stdout


def test_values_are_written_as_in_files() -> None:
    """Durations and rates come out in the spelling that files take."""
    for seconds, text in ((300.0, "5m"), (604800.0, "7 days"), (86490.0, "1 day 1m 30s"), (0.5, "0.5s")):
        assert shown(seconds) == text
        assert duration(text) == seconds
    for text in ("1/10s", "200/s", "10/min,max_burst=7"):
        assert shown(Rate.parse(text)) == text
