"""What is allowed in listener_domains files and probably not meant."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from angarium.policy.advice import MAX_ALIKE, advise
from angarium.policy.config import Listener, Overlay, Source
from angarium.policy.load import load as load_configuration
from angarium.policy.networks import parse_network
from tests.policy.listener_files import IN, a_listener, tables


def advice(text: str, *, routed: bool = True, listeners: tuple[Listener, ...] = (IN,)) -> list[str]:
    loaded = tables(text, listeners=listeners)
    problems = advise(loaded, listeners, lambda key: routed)
    assert not any(problem.is_error for problem in problems)
    return [str(problem) for problem in problems]


def test_nothing_to_say_about_a_plain_file() -> None:
    """Entries that say what they mean get no warning."""
    assert (
        advice(
            '["*.e.com"]\nrelay_to = true\n["www.e.com"]\nrelay_to = false\n["[10.0.0.1]"]\nrelay_to = true'
        )
        == []
    )


LONG = ", ".join(f'"{n}.0.0.0/8"' for n in (8, 20, 30))


def test_lists_of_many_public_addresses() -> None:
    """More public addresses than one network may have are said; one network, or a reason, is not."""
    (warning,) = advice(f'["e.com"]\nrelay_to = true\nrelay_from = [{LONG}]')
    assert warning.startswith('a.toml:3: warning: relay_from of "e.com" holds 50,331,648 public addresses, ')
    assert advice('["e.com"]\nrelay_from = ["8.0.0.0/8", "10.0.0.0/8", "fc00::/7", "2a00::/17"]') == []
    assert advice(f'["e.com"]\nallow = "partners"\nrelay_from = [{LONG}]') == []


@pytest.mark.parametrize("table", ["", "[listener.peer.'10.0.0.0/8']\n"])
@pytest.mark.parametrize("option", ["relay_hosts", "xclient_hosts", "proxy_hosts"])
def test_lists_of_many_peers(tmp_path: Path, option: str, table: str) -> None:
    """So are the peers that a listener or an overlay believes."""
    main = tmp_path / "main.toml"
    main.write_text(
        f'postmaster = "ops@example.com"\n[[listener]]\nlisten = "0.0.0.0:25"\n{table}{option} = [{LONG}]\n'
    )
    (problem,) = load_configuration(str(main)).problems
    assert (problem.source.line, problem.is_error) == (5 if table else 4, False)
    assert problem.text.startswith(f"{option} holds 50,331,648 public addresses, ")


def test_entry_silent_under_a_wildcard() -> None:
    """An entry that is silent on what a wildcard above it turns on inherits nothing, and that is said."""
    (warning,) = advice('["*.e.com"]\nrelay_to = true\n["www.e.com"]\nlog_oob = true')
    assert warning.startswith('a.toml:3: warning: "www.e.com" inherits nothing and is silent on relay_to')
    assert '"*.e.com" turns on (a.toml:2)' in warning


def test_all_that_an_entry_is_silent_on_is_one_line() -> None:
    """An entry that leaves out several options of the wildcard above it is one warning, which names them."""
    (warning,) = advice('["*.e.com"]\nrelay_to = true\nlog_oob = true\n["www.e.com"]\nlog_arf = true')
    assert "silent on relay_to, log_oob, which" in warning
    assert warning.endswith("write relay_to = ... and log_oob = ... here too")


def test_wildcard_silent_under_the_default() -> None:
    """A wildcard inherits nothing from `"*"` either."""
    (warning,) = advice('["*"]\nlog_oob = true\n["*.e.com"]\nlog_arf = true')
    assert warning.startswith('a.toml:3: warning: "*.e.com" inherits nothing and is silent on log_oob')


def test_domain_accepted_without_a_route() -> None:
    """A domain whose mail is accepted needs a next hop, since its MX is this host; a literal is its own."""
    (warning,) = advice('["e.com"]\nrelay_to = true\n["[10.0.0.1]"]\nrelay_to = true', routed=False)
    assert warning.startswith("a.toml:2: warning: relay_to accepts mail for")
    assert "write [queue.'e.com'] routing_domain = '[ADDRESS]'" in warning


def test_route_of_a_section_is_asked_too() -> None:
    """What a listener section accepts needs a route as well."""
    (warning,) = advice('[listener.in."e.com"]\nrelay_to = true', routed=False)
    assert warning.startswith("a.toml:2: warning: relay_to accepts mail for")


def test_default_that_relays_and_logs() -> None:
    """`"*"` examines only what may not be relayed, which is nothing where it relays all."""
    warnings = advice('["*"]\nrelay_to = true\nlog_oob = true\nallow = "a closed network"')
    assert [warning.partition(" warning")[0] for warning in warnings] == ["a.toml:3:"]


def overlay(network: str, *peer: Overlay, via: tuple[Overlay, ...] = ()) -> Overlay:
    source = Source("main.toml", int(network.split(".", maxsplit=1)[0].split(":", maxsplit=1)[0]))
    return Overlay(parse_network(network), {}, peer, via, {"banner": source})


def test_overlays_that_no_session_can_match() -> None:
    """An overlay for a peer outside the one that holds it, or for an address nobody connects to, is told."""
    inner = overlay("11.0.0.0/8", overlay("11.1.0.0/16"), via=(overlay("12.0.0.0/8"),))
    listener = msgspec.structs.replace(
        IN,
        peer=(overlay("10.0.0.0/8", inner, overlay("10.1.0.0/16")), overlay("2001::/32")),
        via=(overlay("10.9.0.0/16"), overlay("13.0.0.0/8")),
    )
    warnings = advice("", listeners=(listener,))
    assert [warning.partition(": ")[0].partition(":")[2] for warning in warnings] == [
        "11",
        "12",
        "13",
        "2001",
    ]
    assert "peer 11.0.0.0/8 can never match: only addresses in 10.0.0.0/8 come here" in warnings[0]


def test_overlays_on_every_address() -> None:
    """A listener on every address may be reached by any."""
    listener = msgspec.structs.replace(
        a_listener("[::]:25"),
        peer=(overlay("10.0.0.0/8"), overlay("2001::/32")),
        via=(overlay("12.0.0.0/8"),),
    )
    assert advice("", listeners=(listener,)) == []


def test_line_endings_where_mail_is_relayed() -> None:
    """The option is for domains that only log, and elsewhere has no effect."""
    (warning,) = advice('["e.com"]\nrelay_to = true\ninvalid_line_endings = "Fix"')
    assert warning.startswith("a.toml:3: warning: invalid_line_endings has no effect where mail is relayed")


def test_many_alike_are_summed_up() -> None:
    """One line of a large file does not bury the other warnings under a thousand like it."""
    many = "".join(f'["d{number}.com"]\nrelay_to = true\n' for number in range(100))
    warnings = advice(f'["*"]\nlog_oob = true\n{many}')
    assert len(warnings) == MAX_ALIKE + 1
    assert warnings[-1].startswith(f"a.toml:201: warning: {100 - MAX_ALIKE} more entries like those above")


def test_section_shared_by_addresses_is_told_once() -> None:
    """A section in force on several addresses is looked at once."""
    anywhere = a_listener("0.0.0.0:25", "in")
    text = '[listener.in."e.com"]\nrelay_to = true\n[listener."10.1.1.1"."f.com"]\nlog_oob = true'
    assert len(advice(text, routed=False, listeners=(anywhere,))) == 1


def test_loading_asks_the_queues_files(tmp_path: Path) -> None:
    """A configuration's own queues say whether a domain that it accepts has a route."""
    (tmp_path / "angarium.toml").write_text(
        'postmaster = "ops@e.com"\n[[listener]]\nlisten = "127.0.0.1:2525"\n'
        '[policy]\nlistener_domains = ["domains.toml"]\nqueues = ["queues.toml"]\n'
    )
    (tmp_path / "domains.toml").write_text('["e.com"]\nrelay_to = true\n["*.f.com"]\nrelay_to = true\n')
    (tmp_path / "queues.toml").write_text("[queue.'e.com']\nrouting_domain = '[10.0.0.1]'\n")
    (problem,) = load_configuration(tmp_path / "angarium.toml").problems
    assert problem.source.line == 4
    assert "write [queue.'*.f.com'] routing_domain" in problem.text
