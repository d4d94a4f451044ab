"""policy.flips: the changes that turn a decision round do so, when somebody makes them in the files."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.address import Address
from angarium.policy.config import Configuration
from angarium.policy.context import Context
from angarium.policy.decision import Decision
from angarium.policy.edits import Change
from angarium.policy.flips import Flip, flips
from angarium.policy.listeners import effective_options
from angarium.policy.load import load
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide

MAIN = """\
postmaster = "ops@example.com"
hostname = "mx.example.net"
[[listener]]
name = "in"
listen = "127.0.0.1:25"
relay_hosts = ["10.0.0.1", "10.1.0.0/16"]
[policy]
listener_domains = ["domains.toml"]
"""
NAMES = ("e.com", "a.e.com", "b.a.e.com", "x.org")
KEYS = ("*", "*.e.com", "*.a.e.com", *NAMES)
OPTIONS = (
    "relay_to = true",
    "relay_to = false",
    'relay_from = ["192.0.2.7"]',
    'relay_from = ["192.0.2.0/24", "10.2.0.0/16"]',
    'relay_from_authz = ["ann", "al"]',
    "log_oob = true",
    "log_arf = false",
)


def question(
    configuration: Configuration, peer: str, sender: str, recipient: str, who: str | None
) -> Context:
    listener = configuration.listeners[0]
    options = effective_options(listener, ip_address(peer), ip_address("127.0.0.1"))
    return Context(
        listener=listener.label,
        local=ip_address("127.0.0.1"),
        peer=ip_address(peer),
        relay_hosts=NetworkSet(options.relay_hosts),
        relay_hosts_source=options.sources.get("relay_hosts"),
        identity=who,
        sender=Address.parse(sender) if sender else None,
        recipient=Address.parse(recipient),
        hostnames=(options.hostname,),
        postmaster=configuration.postmaster,
        postmaster_source=configuration.sources.get("postmaster"),
        allow_sender_routing=options.allow_sender_routing,
    )


Asked = tuple[str, str, str, str | None]


def make(folder: Path, domains: str, main: str = MAIN) -> Configuration:
    (folder / "main.toml").write_text(main)
    (folder / "domains.toml").write_text(domains)
    return load(folder / "main.toml")


def found(configuration: Configuration, asked: Asked) -> tuple[Decision, list[Flip]]:
    context = question(configuration, *asked)
    count = lambda file: len(Path(file).read_text().splitlines())  # noqa: E731
    return decide(configuration, context), flips(configuration, context, count)


def make_changes(flip: Flip) -> None:
    """Do what a flip says, as a person would; later lines first, so that numbers stay right."""
    first = Change(flip.action, flip.file, flip.line, flip.text)
    for change in sorted([first, *flip.also], key=lambda change: -change.line):
        path = Path(change.file)
        lines = path.read_text().splitlines()
        replaced = 0 if change.action == "add" else 1
        new = [] if change.action == "remove" else change.text.splitlines()
        lines[change.line - 1 : change.line - 1 + replaced] = new
        path.write_text("\n".join(lines) + "\n")


def entries(level: dict[str, list[str]], section: str = "") -> str:
    return "".join(
        f'[{section}"{key}"]\n' + "".join(f"{o}\n" for o in options) for key, options in level.items()
    )


def one_of_each(options: list[str]) -> list[str]:
    """At most one line for each option."""
    return list({option.partition(" ")[0]: option for option in options}.values())


levels = st.dictionaries(
    st.sampled_from(KEYS), st.lists(st.sampled_from(OPTIONS), max_size=3).map(one_of_each), max_size=4
)
peers = st.sampled_from(["192.0.2.7", "10.0.0.1", "10.2.0.1", "203.0.113.5"])
senders = st.sampled_from(["", *(f"s@{name}" for name in NAMES)])
recipients = st.sampled_from([*(f"r@{name}" for name in NAMES), "a%b@e.com", "postmaster@mx.example.net"])
identities = st.sampled_from([None, "ann", "bob"])


@given(levels, levels, st.tuples(peers, senders, recipients, identities))
def test_every_flip_flips(top: dict[str, list[str]], section: dict[str, list[str]], asked: Asked) -> None:
    """After the change that a flip tells is made in the file, the verdict is the one that it tells."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        text = entries(top) + entries(section, "listener.in.")
        decision, all_flips = found(make(folder, text), asked)
        for flip in all_flips:
            make(folder, text)
            make_changes(flip)
            changed = load(folder / "main.toml")
            verdict = decide(changed, question(changed, *asked)).verdict.value
            assert verdict == flip.verdict != decision.verdict.value, flip


def texts(tmp_path: Path, domains: str, asked: Asked, main: str = MAIN) -> list[str]:
    _, all_flips = found(make(tmp_path, domains, main), asked)
    changes = [(flip.verdict, flip.action, flip.file, flip.line, flip.text) for flip in all_flips]
    return [f"{v}: {a} {Path(f).name}:{n} {t}" for v, a, f, n, t in changes]


STRANGER: Asked = ("192.0.2.7", "s@x.org", "r@e.com", None)


@pytest.mark.parametrize(
    ("domains", "asked", "expected"),
    [
        ("", STRANGER, 'relay: add domains.toml:1 ["e.com"]\nrelay_to = true'),
        ("", STRANGER, 'relay: replace main.toml:6 relay_hosts = ["10.0.0.1", "10.1.0.0/16", "192.0.2.7"]'),
        ("", STRANGER, 'relay: add domains.toml:1 ["x.org"]\nrelay_from = ["192.0.2.7"]'),
        ('["e.com"]\n# why\nrelay_to = false', STRANGER, "relay: replace domains.toml:3 relay_to = true"),
        ('["e.com"]\nlog_arf = false', STRANGER, "relay: add domains.toml:2 relay_to = true"),
        (
            '"e.com" = { relay_to = true }',
            STRANGER,
            'refuse: replace domains.toml:1 "e.com" = { relay_to = false }',
        ),
        (
            '["*.com"]\nrelay_to = true\nlog_oob = true',
            STRANGER,
            'report-only: add domains.toml:4 ["e.com"]\nrelay_to = false\nlog_oob = true',
        ),
        ('["x.org"]\nrelay_from = ["192.0.2.7"]', STRANGER, "refuse: replace domains.toml:2 relay_from = []"),
        (
            '["x.org"]\nrelay_from_authz = ["al", "ann"]',
            ("192.0.2.7", "s@x.org", "r@e.com", "ann"),
            'refuse: replace domains.toml:2 relay_from_authz = ["al"]',
        ),
        ("", ("10.0.0.1", *STRANGER[1:]), 'refuse: replace main.toml:6 relay_hosts = ["10.1.0.0/16"]'),
        (
            '["e.com"]\nrelay_to = true',
            ("192.0.2.7", "s@x.org", "a%b@e.com", None),
            "relay: add main.toml:6 allow_sender_routing = true",
        ),
        (
            "",
            ("192.0.2.7", "s@x.org", "postmaster@mx.example.net", None),
            'refuse: remove main.toml:1 postmaster = "ops@example.com"',
        ),
        ('["e.com"]\nlog_oob = true', STRANGER, "refuse: replace domains.toml:2 log_oob = false"),
        (
            '["e.com"]\nrelay_to = true\n[listener.in."e.com"]\nrelay_to = false',
            STRANGER,
            "relay: replace domains.toml:4 relay_to = true",
        ),
        (
            '["x.org"]\nrelay_from_authz = ["ann"]',
            ("192.0.2.7", "", "r@e.com", "ann"),
            "refuse: replace domains.toml:2 relay_from_authz = []",
        ),
    ],
)
def test_what_is_told(tmp_path: Path, domains: str, asked: Asked, expected: str) -> None:
    """Each kind of change is told as file, line and text."""
    assert expected in texts(tmp_path, domains, asked)


def test_bounces_of_an_identity_that_several_entries_name(tmp_path: Path) -> None:
    """Whom two entries name may send with the null reverse-path until both name it no more."""
    domains = '["x.org"]\nrelay_from_authz = ["ann"]\n["z.org"]\nrelay_from_authz = ["al", "ann"]\n'
    _, (flip,) = found(make(tmp_path, domains), ("192.0.2.7", "", "r@e.com", "ann"))
    assert [(flip.line, flip.text)] + [(other.line, other.text) for other in flip.also] == [
        (2, "relay_from_authz = []"),
        (4, 'relay_from_authz = ["al"]'),
    ]


def test_domains_that_no_file_can_name(tmp_path: Path) -> None:
    """A domain of digits, which files read as an address, gets no entry as advice."""
    told = texts(tmp_path, "", ("192.0.2.7", "s@x.org", "r@127.0.0.1", None))
    assert told
    assert not [text for text in told if '["127.0.0.1"]' in text]


def test_rights_that_stand_together(tmp_path: Path) -> None:
    """Where two rules let it through, both have to go, and are told together."""
    configuration = make(tmp_path, '["e.com"]\nrelay_to = true\n')
    decision, (flip,) = found(configuration, ("10.0.0.1", "s@x.org", "r@e.com", None))
    assert decision.right == "relay_hosts"
    assert (Path(flip.file).name, [Path(other.file).name for other in flip.also]) == (
        "main.toml",
        ["domains.toml"],
    )


def test_default_relay_hosts(tmp_path: Path) -> None:
    """Where relay_hosts is not written, the change writes it into the listener's table."""
    main = MAIN.replace('relay_hosts = ["10.0.0.1", "10.1.0.0/16"]\n', "")
    expected = 'relay: add main.toml:6 relay_hosts = ["127.0.0.1", "::1", "192.0.2.7"]'
    assert expected in texts(tmp_path, "", STRANGER, main)


def test_no_files_of_domains(tmp_path: Path) -> None:
    """Without listener_domains there is nowhere to write an entry."""
    main = MAIN.partition("[policy]")[0]
    assert [text.split()[2].partition(":")[0] for text in texts(tmp_path, "", STRANGER, main)] == [
        "main.toml"
    ]


def test_an_entry_in_two_files(tmp_path: Path) -> None:
    """The change names the file in which the option stands, and its line there."""
    main = MAIN.replace('["domains.toml"]', '["domains.toml", "more.toml"]')
    (tmp_path / "more.toml").write_text('["e.com"]\nlog_arf = true\n')
    configuration = make(tmp_path, '# A comment.\n\n["e.com"]\nrelay_to = true\n', main)
    _, all_flips = found(configuration, STRANGER)
    assert [
        (Path(flip.file).name, flip.line, flip.text) for flip in all_flips if flip.action == "replace"
    ] == [("domains.toml", 4, "relay_to = false")]
