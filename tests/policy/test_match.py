"""Which entry answers for a domain."""

from __future__ import annotations

import pytest

from tests.policy.listener_files import IN, a_listener, lookup, options, tables

RELAY = {"relay_to": True}
OOB = {"log_oob": "LogThenDrop"}
ARF = {"log_arf": "LogThenDrop"}


@pytest.mark.parametrize(
    ("everywhere", "section", "asked", "answer"),
    [
        ('["*.e.com"]\nrelay_to = true\nlog_oob = true', '"*.e.com"]\nlog_oob = false', "a.e.com", RELAY),
        ('["www.e.com"]\nrelay_to = false\nlog_oob = false', '"*.e.com"]\nrelay_to = true', "www.e.com", {}),
        ('["www.e.com"]\nrelay_to = false\nlog_oob = false', '"*"]\nrelay_to = true', "www.e.com", {}),
        ("", '"*"]\nrelay_to = true', "x.org", RELAY),
        ('["e.com"]\nrelay_to = true', '"e.com"]\nrelay_to = false', "e.com", {}),
        ('["e.com"]\nrelay_to = true', '"e.com"]\nlog_arf = true', "e.com", RELAY | ARF),
        ('["b.e.com"]\nlog_oob = true', '"*.e.com"]\nlog_oob = false', "b.e.com", {}),
        ('["b.e.com"]\nlog_oob = true', '"*.e.com"]\nlog_arf = true', "b.e.com", OOB),
    ],
)
def test_table_of_the_contract(everywhere: str, section: str, asked: str, answer: dict[str, object]) -> None:
    """A listener's section is laid over the global answer option by option, with two guards."""
    loaded = tables(f"{everywhere}\n[listener.in.{section}\n")
    assert options(lookup(loaded, asked)) == answer


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("example.com", None),
        ("a.example.com", "*.example.com"),
        ("b.a.example.com", "*.example.com"),
        ("www.example.com", "www.example.com"),
        ("x.www.example.com", "*.example.com"),
        ("deep.sub.example.com", "*.sub.example.com"),
        ("sub.example.com", "*.example.com"),
        ("xexample.com", None),
        ("com", None),
    ],
)
def test_longest_wildcard_answers_past_unlisted_names(asked: str, key: str | None) -> None:
    """An exact key wins, else the longest wildcard above, though names between are listed (W5)."""
    text = '["*.example.com"]\nrelay_to = true\n["www.example.com"]\n["*.sub.example.com"]\nlog_oob = true\n'
    entry = lookup(tables(text), asked)
    assert (entry and entry.found[0].key) == key


def test_default_answers_where_nothing_else_does() -> None:
    """`"*"` answers for names without an entry, and what comes from it says so."""
    entry = lookup(tables('["*"]\nlog_oob = true\n["e.com"]\nrelay_to = true'), "x.org")
    assert entry is not None
    assert entry.log_oob is not None
    assert entry.log_oob.kind.value == '"*"'


def test_entry_inherits_nothing() -> None:
    """The entry found is the whole answer: what `"*"` and wildcards say is not added."""
    text = '["*"]\nlog_oob = true\n["*.e.com"]\nlog_arf = true\n["a.e.com"]\nrelay_to = true'
    assert options(lookup(tables(text), "a.e.com")) == RELAY


@pytest.mark.parametrize("domain", ["[10.0.0.1]", "[IPv6:2001:db8::1]", "<>", ""])
def test_default_never_answers_for_literals_nor_the_null_path(domain: str) -> None:
    """Only an address literal's own key answers for it, and only `"<>"` for the null reverse-path."""
    text = '["*"]\nrelay_to = true\n[listener.in."*"]\nlog_oob = true\n'
    assert lookup(tables(text), domain) is None


def test_literals_compare_as_addresses() -> None:
    """A literal's key may be spelt as any text of its address."""
    loaded = tables('["[IPv6:2001:DB8:0:0::1]"]\nrelay_to = true')
    assert options(lookup(loaded, "[IPv6:2001:db8::1]")) == RELAY


@pytest.mark.parametrize("key", ["BÜCHER.Example", "bücher.example.", "XN--BCHER-KVA.example"])
def test_keys_are_normalised(key: str) -> None:
    """Case, U-labels and a final dot make no difference (W8)."""
    loaded = tables(f'["{key}"]\nrelay_to = true')
    assert options(lookup(loaded, "xn--bcher-kva.example")) == RELAY


def test_section_of_another_listener_says_nothing() -> None:
    """A section is in force for its listener alone."""
    other = a_listener("10.9.9.9:26", "out")
    loaded = tables('[listener.out."e.com"]\nrelay_to = true', listeners=(IN, other))
    assert lookup(loaded, "e.com") is None
    assert options(lookup(loaded, "e.com", "out")) == RELAY


@pytest.mark.parametrize("name", ["in", "10.9.9.9:25", "10.9.9.9"])
def test_section_names_its_listener_in_many_ways(name: str) -> None:
    """By name, by listen text, by address."""
    loaded = tables(f'[listener."{name}"."e.com"]\nrelay_to = true')
    assert options(lookup(loaded, "e.com")) == RELAY


def test_section_of_a_name_and_of_an_address_are_merged() -> None:
    """All sections that name one listener are in force together."""
    text = '[listener.in."e.com"]\nrelay_to = true\n[listener."10.9.9.9"."e.com"]\nlog_oob = true'
    assert options(lookup(tables(text), "e.com")) == RELAY | OOB


@pytest.mark.parametrize("name", ["10.1.1.1:25", "10.1.1.1"])
def test_section_of_one_address_of_a_listener_on_all(name: str) -> None:
    """Where a listener accepts on every address, a section may name one of them."""
    anywhere = a_listener("[::]:25", "in")
    loaded = tables(f'[listener."{name}"."e.com"]\nrelay_to = true', listeners=(anywhere,))
    assert options(lookup(loaded, "e.com", local="::ffff:10.1.1.1")) == RELAY
    assert options(lookup(loaded, "e.com", local="10.1.1.2")) == {}


def test_section_called_star_is_the_top_level() -> None:
    """`[listener."*"."x"]` is an entry for every listener, with no guard."""
    loaded = tables('[listener."*"."e.com"]\nrelay_to = true\n')
    entry = lookup(loaded, "e.com", "any")
    assert entry is not None
    assert entry.found[0].section is None


def test_each_option_knows_its_line_key_and_section() -> None:
    """The answer says for each option where it was written."""
    text = '["*.e.com"]\nlog_arf = true\n\n[listener.in."a.e.com"]\nrelay_to = true\n'
    entry = lookup(tables(text), "a.e.com")
    assert entry is not None
    assert entry.relay_to is not None
    assert (str(entry.relay_to.source), entry.relay_to.key, entry.relay_to.section) == (
        "a.toml:5",
        "a.e.com",
        "in",
    )
    assert entry.log_arf is not None
    assert (str(entry.log_arf.source), entry.log_arf.key, entry.log_arf.section) == (
        "a.toml:2",
        "*.e.com",
        None,
    )


def test_what_a_guard_held_back_is_told() -> None:
    """The answer keeps what a section may not say, with the reason."""
    entry = lookup(tables('["a.e.com"]\n[listener.in."*.e.com"]\nrelay_to = true\n'), "a.e.com")
    assert entry is not None
    assert [(ignored.option, str(ignored.setting.source)) for ignored in entry.ignored] == [
        ("relay_to", "a.toml:3")
    ]
    assert "never on" in entry.ignored[0].why


def test_identities_of_a_listener() -> None:
    """Whom any entry in force on a listener names is known, less those whom its sections take out."""
    text = """
    ["a.example"]
    relay_from_authz = ["ann", "both"]
    ["*.b.example"]
    relay_from_authz = ["bob", "both"]
    [listener.in."a.example"]
    relay_from_authz = []
    [listener.in."c.example"]
    relay_from_authz = ["cat"]
    """
    loaded = tables(text)
    assert set(loaded.scope("in").identities) == {"bob", "both", "cat"}
    assert set(loaded.scope("other").identities) == {"ann", "bob", "both"}


def test_values_of_many_shapes_stay_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that were read are kept only so long as there are few, and answers do not depend on it."""
    monkeypatch.setattr("angarium.policy.match._MAX_VALUES", 2)
    text = "".join(f'["d{number}.example"]\nrelay_from = ["10.0.0.{number}"]\n' for number in range(9))
    loaded = tables(text)
    for number in range(9):
        assert options(lookup(loaded, f"d{number}.example")) == {"relay_from": [f"10.0.0.{number}/32"]}
