"""policy.compare: a difference is told for every question whose answer changes, and for no other."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import islice
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from angarium.policy.compare import (
    HAD_NONE,
    HAVE_NONE,
    WITH_RIGHT,
    WITHOUT_RIGHT,
    Change,
    Comparison,
    compare,
)
from angarium.policy.config import Configuration
from angarium.policy.decision import Decision
from angarium.policy.prove import prove
from angarium.policy.space import View, stands
from tests.policy.whole_configurations import (
    RECIPIENTS,
    answer,
    configurations,
    key_for,
    loaded,
    sessions,
)

RIGHTS = {
    WITHOUT_RIGHT: (False, False),
    WITH_RIGHT: (True, True),
    HAD_NONE: (False, True),
    HAVE_NONE: (True, False),
}
"""Rights before and after of the senders that a row is about."""
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking, which would take minutes here."""
MAIN = (
    'hostname = "mx.example.net"\n[[listener]]\nname = "in"\nlisten = "10.9.9.9:25"\n'
    '[policy]\nlistener_domains = ["domains.toml"]\n'
)


def compared(old: str, new: str, more: str = "") -> Comparison:
    return compare(loaded(MAIN, old), loaded(MAIN.replace("[policy]", f"{more}[policy]"), new))


class Sides:
    """Two configurations, and what their comparison says of one question."""

    def __init__(self, old: Configuration, new: Configuration) -> None:
        self.old, self.new = old, new
        self.found = compare(old, new)
        self.keys: dict[str, set[str]] = {}
        before = {listener.label: listener for listener in old.listeners}
        for stand in stands(new, old):
            views = (
                View(old, before[stand.listener.label], stand.local),
                View(new, stand.listener, stand.local),
            )
            self.keys[stand.label] = {key for view in views for key in view.named()} - {"*"}

    def stand(self, label: str, local: str) -> str:
        on = {name: ip_network(name.rpartition(" ")[2]) for name in self.keys if f"{label} on " in name}
        held = [name for name, network in on.items() if ip_address(local) in network]
        return max(held, key=lambda name: on[name].prefixlen, default=label)

    def says_change(self, asked: dict[str, Any], recipient: str) -> bool:
        stand = self.stand(asked["label"], asked["local"])
        changes = [one for one in self.found.changes if stand in one.listeners]
        return any(self._covers(change, asked, recipient, self.keys[stand]) for change in changes)

    def _covers(self, change: Change, asked: dict[str, Any], recipient: str, keys: set[str]) -> bool:
        if ip_address(asked["peer"]) not in change.peers:
            return False
        local_part, _, domain = recipient.partition("@")
        key = key_for(keys, domain) if domain else "<Postmaster>"
        if change.recipients and key not in change.recipients:
            return False
        if change.routes and "%" not in local_part:
            return False
        sender = "<>" if asked["sender"] is None else key_for(keys, asked["sender"])
        if change.who is not None:
            return self.rights(asked) == RIGHTS[change.who]
        if change.senders and sender not in change.senders:
            return False
        if asked["identity"] in change.but_identities:
            return False
        return not change.identities or asked["identity"] in change.identities

    def rights(self, asked: dict[str, Any]) -> tuple[bool, bool]:
        """Whether the sender has a right of its own, before and after: asked with a literal nobody names."""
        both = (answer(side, asked, "r@[203.0.113.200]").may_relay for side in (self.old, self.new))
        return next(both), next(both)


def seen(decision: Decision) -> tuple[Any, ...]:
    reports = tuple((one.kind, one.mode) for one in decision.examinations)
    return decision.verdict, reports, decision.invalid_line_endings, str(decision.recipient)


@settings(max_examples=40, deadline=None, phases=QUICK)
@given(configurations, configurations, st.integers(0, 10))
def test_a_difference_is_told_exactly_where_there_is_one(
    old: Configuration, new: Configuration, start: int
) -> None:
    """Every question whose answer changes is in a row, and no question whose answer stays is."""
    sides = Sides(old, new)
    addresses = [f"{local}@{domain}" for domain in RECIPIENTS for local in ("r", "r%x")] + ["Postmaster"]
    for number, asked in enumerate(islice(sessions(), start, None, 11)):
        for recipient in addresses[number % 5 :: 5]:
            differs = seen(answer(old, asked, recipient)) != seen(answer(new, asked, recipient))
            told = sides.says_change(asked, recipient)
            assert told is differs or ("%" in recipient and differs <= told), (asked, recipient)


@settings(max_examples=25, deadline=None)
@given(configurations)
def test_a_configuration_equals_itself(configuration: Configuration) -> None:
    """Nothing changes from a configuration to the same one."""
    assert compare(configuration, configuration).is_same


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["a.org"]\nrelay_to = true', '# moved\n\n["a.org"]\nrelay_to = true'),
        ('["a.org"]\nrelay_from = ["10.0.0.0/9", "10.128.0.0/9"]', '["a.org"]\nrelay_from = ["10.0.0.0/8"]'),
        ("", '["a.org"]\nrelay_to = false'),
        ('["*.a.org"]\nrelay_to = true', '["*.a.org"]\nrelay_to = true\n["b.a.org"]\nrelay_to = true'),
    ],
)
def test_other_words_for_the_same_are_no_change(old: str, new: str) -> None:
    """Lines that move, networks that are cut otherwise and entries that say nothing new change nothing."""
    assert compared(old, new).is_same


def test_a_gain_names_the_line_that_gives_it() -> None:
    """A sender's new network is one row: whose mail, what was refused before, and which line relays it
    now.
    """
    (change, *_) = compared("", '["a.org"]\nrelay_from = ["198.51.100.0/24"]').changes
    assert str(change.peers) == "198.51.100.0/24"
    assert change.senders == ("a.org",)
    assert (change.before.answer, change.after.answer) == ("refuse", "relay")
    assert str(change.after.rules[0]).endswith("domains.toml:2")


def test_many_equal_changes_are_one_row() -> None:
    """A thousand new domains are one row."""
    domains = "".join(f'["d{n}.org"]\nrelay_to = true\n' for n in range(1000))
    (change,) = compared("", domains).changes
    assert len(change.recipients) == 1000


def test_listeners_that_come_and_go_are_said() -> None:
    """A listener that only one configuration has is named, not compared."""
    found = compared("", "", more='[[listener]]\nname = "more"\nlisten = "10.9.9.9:26"\n')
    assert (found.new, found.gone, found.changes) == (("more",), (), ())
    assert not found.is_same
    assert prove(loaded(MAIN, "")).rows
