"""What listener_domains files may say, and what is answered to what they may not."""

from __future__ import annotations

import json

import pytest

from angarium.mail.address import AddressError
from angarium.policy.domains import parse_key
from tests.policy.listener_files import IN, a_listener, load, lookup, options, tables


def problems_of(*texts: str, **more: object) -> list[str]:
    return [str(problem) for problem in load(*texts, **more)[1]]  # type: ignore[arg-type]


def test_json_says_the_same_as_toml() -> None:
    """A JSON file has the shape of a TOML file, and its lines are known too."""
    data = {"e.com": {"relay_to": True}, "listener": {"in": {"e.com": {"log_oob": "LogThenRelay"}}}}
    loaded, problems = load(json.dumps(data, indent=1), suffix="json")
    assert problems == []
    entry = lookup(loaded, "e.com")
    assert options(entry) == {"relay_to": True, "log_oob": "LogThenRelay"}
    assert entry is not None
    assert entry.relay_to is not None
    assert str(entry.relay_to.source) == "a.json:3"


def test_later_file_wins_option_by_option() -> None:
    """Entries of one key in several files are merged, and each option keeps the file it came from."""
    loaded = tables(
        '["e.com"]\nrelay_to = true\nlog_oob = true', '["E.com"]\nlog_oob = false\nlog_arf = true'
    )
    entry = lookup(loaded, "e.com")
    assert options(entry) == {"relay_to": True, "log_arf": "LogThenDrop"}
    assert entry is not None
    assert entry.log_oob is not None
    assert str(entry.log_oob.source) == "b.toml:2"


def test_lists_of_a_later_file_replace() -> None:
    """A list is one value: the later file's replaces it."""
    loaded = tables('["e.com"]\nrelay_from = ["10.0.0.1"]', '["e.com"]\nrelay_from = ["10.0.0.2"]')
    assert options(lookup(loaded, "e.com")) == {"relay_from": ["10.0.0.2/32"]}


def test_sections_of_one_name_merge_across_files() -> None:
    """A listener section may go on in a later file."""
    loaded = tables('[listener.in."e.com"]\nrelay_to = true', '[listener.in."e.com"]\nlog_oob = true')
    assert options(lookup(loaded, "e.com")) == {"relay_to": True, "log_oob": "LogThenDrop"}


def test_log_fbl_is_log_arf() -> None:
    """`log_fbl` is a second spelling."""
    assert options(lookup(tables('["e.com"]\nlog_fbl = true'), "e.com")) == {"log_arf": "LogThenDrop"}


@pytest.mark.parametrize("value", ['"Ignore"', '"LogThenDrop"', '"LogThenRelay"'])
def test_modes_have_names(value: str) -> None:
    """The log options take the reference's three names."""
    entry = lookup(tables(f'["e.com"]\nlog_oob = {value}'), "e.com")
    assert entry is not None
    assert entry.log_oob is not None
    assert entry.log_oob.value.value == value.strip('"')


PROBLEMS = [
    (
        '["e.com"]\nrelay_to = true\n["E.COM."]',
        ['a.toml:3: "e.com" stands here and on line 1: make them one entry'],
    ),
    (
        '["e.com"]\n[listener."*"."e.com"]\nrelay_to = true',
        ['a.toml:2: "e.com" stands here and on line 1: make them one entry'],
    ),
    ('["e.com"]\nrelay_too = true', ['a.toml:2: unknown option "relay_too": did you mean "relay_to"?']),
    ('["e.com"]\nrelay_to = "yes"', ['a.toml:2: relay_to is true or false, not "yes"']),
    ('["e.com"]\nrelay_to = 1', ["a.toml:2: relay_to is true or false, not 1"]),
    (
        '["e.com"]\nlog_oob = "drop"',
        ['a.toml:2: log_oob is true, false or one of "Ignore", "LogThenDrop", "LogThenRelay", not "drop"'],
    ),
    (
        '["e.com"]\nlog_arf = true\nlog_fbl = true',
        ["a.toml:3: log_fbl is log_arf, which stands on line 2: say one of them"],
    ),
    (
        '["e.com"]\nrelay_from = [\n "10.0.0.0/8",\n "10.1.2.3/24"]',
        ["a.toml:4: relay_from: '10.1.2.3/24' has host bits set: write '10.1.2.0/24', or one address alone"],
    ),
    (
        '["e.com"]\nrelay_from = ["e.com"]',
        ["a.toml:2: relay_from: 'e.com' is not an address or network: write 192.0.2.0/24 or 2001:db8::1"],
    ),
    (
        '["e.com"]\nrelay_from = "10.0.0.1"',
        ['a.toml:2: relay_from is a list of networks: write relay_from = ["10.0.0.1"]'],
    ),
    (
        '["e.com"]\nrelay_from_authz = [1]',
        ["a.toml:2: relay_from_authz is a list of identities, as strings; 1 is none"],
    ),
    ('["e.com"]\nrelay_from_authz = [""]', ["a.toml:2: relay_from_authz holds an empty identity: remove it"]),
    (
        '["e.com"]\ninvalid_line_endings = "Allow"',
        ['a.toml:2: invalid_line_endings = "Allow" would let senders smuggle mail: write "Fix" or "Deny"'],
    ),
    ('["e.com"]\ninvalid_line_endings = 1', ['a.toml:2: invalid_line_endings is "Deny" or "Fix", not 1']),
    ('["e.com"]\nallow = ""', ['a.toml:2: allow says why a risk is accepted: write allow = "the reason"']),
    (
        '["e.com"]\nttl = 60',
        ["a.toml:2: warning: ttl is ignored: files are read again when they change; remove it"],
    ),
    (
        '["<>"]\nrelay_to = true',
        ['a.toml:2: "<>" takes relay_from and relay_from_authz alone: remove relay_to'],
    ),
    ("relay_to = true", ['a.toml:1: relay_to stands outside any entry: write ["DOMAIN"] above it']),
    ("x = 1", ['a.toml:1: "x" is not an entry, which is a table of options: write ["DOMAIN"]']),
    (
        "[example.com]\nrelay_to = true",
        ['a.toml:1: "example" holds a table "com": quote the whole domain: ["example.com"]'],
    ),
    ("listener = 1", ['a.toml:1: "listener" is a table of domains: write [listener."ADDRESS"."DOMAIN"]']),
    (
        "[listener.in]\nrelay_to = true",
        ['a.toml:2: relay_to stands outside any entry: write [listener."in"."DOMAIN"] above it'],
    ),
    ("[listener]\nin = 1", ['a.toml:2: "in" is a table of domains: write [listener."in"."DOMAIN"]']),
    ('["a.*.com"]', ['a.toml:1: "a.*.com": * stands only for the leftmost labels: write "*.com"']),
    ('["10.0.0.1"]', ['a.toml:1: "10.0.0.1" is no domain: write the address literal "[10.0.0.1]"']),
    (
        '["2001:db8::1"]',
        ['a.toml:1: "2001:db8::1" is no domain: write the address literal "[IPv6:2001:db8::1]"'],
    ),
    (
        '["*.[10.0.0.1]"]',
        ['a.toml:1: "*.[10.0.0.1]": nothing is below an address literal: write "[10.0.0.1]"'],
    ),
    ('["bob@e.com"]', ['a.toml:1: "bob@e.com" is an address: entries are for domains: write "e.com"']),
    ('[".e.com"]', ['a.toml:1: ".e.com" is no domain: write "*.e.com" for every name below it']),
    ('[""]', ['a.toml:1: an empty key is no domain: the null reverse-path is "<>"']),
    ('["e com"]', ["a.toml:1: not a domain: 'e com': write a domain, *.domain, an [address], * or <>"]),
    (
        '[listener.inn."e.com"]\nrelay_to = true',
        ['a.toml:1: no listener is called "inn" or listens there: did you mean "in"?'],
    ),
    (
        '[listener."10.9.9.8:25"."e.com"]\nrelay_to = true',
        ['a.toml:1: no listener is called "10.9.9.8:25" or listens there: did you mean "10.9.9.9:25"?'],
    ),
    (
        '[listener.in."x"]\nrelay_to = true\n[listener."10.9.9.9"."x"]\nrelay_to = false',
        ['a.toml:4: relay_to of "x" stands in two sections of one listener, also at a.toml:2: say it once'],
    ),
]


@pytest.mark.parametrize(("text", "expected"), PROBLEMS)
def test_problem_names_its_line_and_what_to_do(text: str, expected: list[str]) -> None:
    """Every problem says file, line, what is wrong, and what to write instead."""
    assert problems_of(text) == expected


def test_all_problems_of_all_files_are_told() -> None:
    """One problem hides no other, in its own file or in the next."""
    found = problems_of('["e.com"]\nx = 1\ny = 2', '["f.com"]\nz = 3')
    assert [problem.partition(": ")[0] for problem in found] == ["a.toml:2", "a.toml:3", "b.toml:2"]


@pytest.mark.parametrize("name", ["10.1.1.1:26", "2001:db8::1", "hostname", "10.1.1.1:x"])
def test_section_that_a_listener_on_all_addresses_cannot_match(name: str) -> None:
    """A listener on every IPv4 address accepts on its own port alone, and never on IPv6."""
    anywhere = a_listener("0.0.0.0:25")
    found = problems_of(f'[listener."{name}"."e.com"]\nrelay_to = true', listeners=(anywhere,))
    assert len(found) == 1
    assert f'no listener is called "{name}"' in found[0]


def test_conflict_of_sections_on_one_address_is_told_once() -> None:
    """Sections that meet on some address only are a conflict there, told once."""
    text = """
[listener.in."e.com"]
relay_to = true
[listener."10.1.1.1"."e.com"]
relay_to = false
[listener."10.2.2.2"."e.com"]
log_oob = true
"""
    found = problems_of(text, listeners=(a_listener("0.0.0.0:25", "in"), a_listener("[::]:26", "other")))
    assert [problem.partition(": ")[0] for problem in found] == ["a.toml:5"]


def test_null_path_takes_who_may_use_it() -> None:
    """The entry of the null reverse-path holds relay_from and relay_from_authz."""
    loaded = tables('["<>"]\nrelay_from = ["10.0.0.0/8"]\nrelay_from_authz = ["ann"]')
    assert options(lookup(loaded, "<>")) == {"relay_from": ["10.0.0.0/8"], "relay_from_authz": ["ann"]}


def test_mapped_networks_are_ipv4() -> None:
    """An IPv4-mapped network is the IPv4 network it stands for."""
    loaded = tables('["e.com"]\nrelay_from = ["::ffff:10.0.0.0/104"]')
    assert options(lookup(loaded, "e.com")) == {"relay_from": ["10.0.0.0/8"]}


@pytest.mark.parametrize(
    "text", ["*.*", "**", "*.", "[1.2.3]", "a..b", "-a.com", "x" * 64, "*.[10.0.0.1]", "xn--a"]
)
def test_keys_that_are_no_domains(text: str) -> None:
    """A key is a domain, a wildcard, a literal, `*` or `<>`, and nothing else."""
    with pytest.raises(AddressError):
        parse_key(text)


def test_no_listener_no_section() -> None:
    """Sections need a listener to be in force on."""
    found = problems_of('[listener.in."e.com"]\nrelay_to = true', listeners=())
    assert found == ['a.toml:1: no listener is called "in" or listens there']


def test_reason_of_an_accepted_risk_is_kept() -> None:
    """`allow` is kept with its line, for those who prove the configuration."""
    entry = lookup(tables('["*"]\nrelay_to = true\nallow = "a test network"', listeners=(IN,)), "x.org")
    assert entry is not None
    assert entry.allow is not None
    assert (entry.allow.value, str(entry.allow.source)) == ("a test network", "a.toml:3")
