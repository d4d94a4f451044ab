"""policy.prove: the table says what decide says, for every cell, and finds what opens the relay."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.policy.config import Configuration
from angarium.policy.load import load
from angarium.policy.open_relay import open_relays
from angarium.policy.prove import Proof, Row, prove
from angarium.policy.space import View, stands
from tests.policy.whole_configurations import (
    LOCALS,
    RECIPIENTS,
    answer,
    configurations,
    key_for,
    loaded,
    sessions,
)

MAIN = 'hostname = "mx.example.net"\npostmaster = "ops@mx.example.net"\n'
LISTENER = '[[listener]]\nname = "in"\nlisten = "10.9.9.9:25"\n'
POLICY = '[policy]\nlistener_domains = ["domains.toml"]\n'
OWN = ("relay_hosts", "relay_from", "relay_from_authz")


def proof_of(domains: str, listener: str = LISTENER) -> Proof:
    return prove(loaded(MAIN + listener + POLICY, domains))


class Table:
    """A proof's rows, read as an operator reads them."""

    def __init__(self, configuration: Configuration) -> None:
        self.rows = prove(configuration).rows
        self.keys: dict[str, set[str]] = {}
        self.labels: dict[tuple[str, str], str] = {}
        for stand in stands(configuration):
            self.keys[stand.label] = set(View(configuration, stand.listener, stand.local).named()) - {"*"}
        for label, locals_ in LOCALS.items():
            for local in locals_:
                self.labels[label, local] = self._stand(label, local)

    def _stand(self, label: str, local: str) -> str:
        on = [name for name in self.keys if name.startswith(f"{label} on ")]
        held = [name for name in on if ip_address(local) in _network(name.rpartition(" ")[2])]
        return max(held, key=lambda name: _network(name.rpartition(" ")[2]).prefixlen, default=label)

    def says(self, asked: dict[str, Any], recipient: str) -> tuple[str, tuple[str, ...]]:
        """The answer and the reports that are looked for."""
        stand = self.labels[asked["label"], asked["local"]]
        peer = ip_address(asked["peer"])
        rows = [row for row in self.rows if stand in row.listeners and peer in row.peers]
        sender = asked["sender"]
        from_key = "<>" if sender is None else key_for(self.keys[stand], sender)
        righted = any(_gives(row, asked["identity"], from_key) for row in rows)
        local_part, _, domain = recipient.partition("@")
        to_key = key_for(self.keys[stand], domain) if domain else "<Postmaster>"
        (row,) = [row for row in rows if to_key in row.recipients and not row.routes]
        if "%" in local_part and not righted:
            routing = [row for row in rows if to_key in row.recipients and (row.routes or row.also_routes)]
            return (routing[0].answer, routing[0].reports) if routing else ("refuse", ())
        return (row.answer_with_right, row.reports_with_right) if righted else (row.answer, row.reports)


def _network(text: str) -> Any:
    return ip_network(text)


def _gives(row: Row, identity: str | None, sender: str) -> bool:
    if row.right not in OWN:
        return False
    return (not row.identities or identity in row.identities) and (not row.senders or sender in row.senders)


@settings(max_examples=60, deadline=None)
@given(configurations, st.integers(0, 10))
def test_the_table_equals_brute_force(configuration: Configuration, start: int) -> None:
    """For every listener, address, peer, identity, sender and recipient the rows say what decide says."""
    table = Table(configuration)
    addresses = [f"{local}@{domain}" for domain in RECIPIENTS for local in ("r", "r%x")] + ["Postmaster"]
    for number, asked in enumerate(islice(sessions(), start, None, 11)):
        for recipient in addresses[number % 3 :: 3]:
            decision = answer(configuration, asked, recipient)
            reports = tuple(f"log_{one.kind} {one.mode.value}" for one in decision.examinations)
            verdict = decision.verdict.value
            if verdict == "refuse" and "%" in recipient:
                reports = ()
            assert table.says(asked, recipient) == (verdict, reports), (asked, recipient)


@pytest.mark.parametrize(
    ("domains", "listener", "where"),
    [
        ('["*"]\nrelay_to = true', LISTENER, "domains.toml:2"),
        ('["*.com"]\nrelay_to = true', LISTENER, "domains.toml:2"),
        ('["a.org"]\nrelay_from = ["0.0.0.0/0"]', LISTENER, "domains.toml:2"),
        ('["<>"]\nrelay_from = ["::/0"]', LISTENER, "domains.toml:2"),
        ('[listener.in."*"]\nrelay_to = true', LISTENER, "domains.toml:2"),
        ("", LISTENER + 'relay_hosts = ["0.0.0.0/1", "128.0.0.0/1"]\n', "main.toml:6"),
        ("", LISTENER + '[listener.peer."8.0.0.0/7"]\nrelay_hosts = ["8.0.0.0/7"]\n', "main.toml:7"),
        ("", LISTENER + 'xclient_hosts = ["0.0.0.0/1", "128.0.0.0/1"]\n', "main.toml:6"),
        ("", LISTENER + '[listener.peer."128.0.0.0/1"]\nallow_xclient = true\n', "main.toml:7"),
    ],
)
def test_open_relays_offend(domains: str, listener: str, where: str) -> None:
    """What lets outsiders send to domains that nobody named is an offending row, with its line."""
    (row,) = proof_of(domains, listener).offences
    assert str(row.rules[0]).endswith(where)


@pytest.mark.parametrize(
    ("domains", "listener"),
    [
        ('["*"]\nrelay_to = true\nallow = "a lab"', LISTENER),
        ('["a.org"]\nrelay_from = ["0.0.0.0/0"]\nallow = "a lab"', LISTENER),
        ("", LISTENER + 'relay_hosts = ["0.0.0.0/0"]\nallow = "a lab"\n'),
    ],
)
def test_accepted_risks_do_not_offend(domains: str, listener: str) -> None:
    """`allow` in the entry or the listener accepts the risk, and the row says with which reason."""
    proof = proof_of(domains, listener)
    assert proof.offences == ()
    assert [row.accepted for row in proof.rows if row.offends] == ["a lab"]


@settings(max_examples=60, deadline=None)
@given(configurations)
def test_prove_and_run_agree_about_open_relays(configuration: Configuration) -> None:
    """What `run` refuses to serve is exactly what `prove` calls open."""
    assert bool(prove(configuration).offences) == bool(open_relays(configuration))


def test_ordinary_configurations_do_not_offend() -> None:
    """Named domains, networks and identities open nothing."""
    domains = (
        '["a.org"]\nrelay_to = true\n["b.org"]\nrelay_from = ["198.51.100.0/24"]\n'
        '["c.org"]\nrelay_from_authz = ["ann"]\n["*"]\nlog_oob = true\n'
    )
    assert proof_of(domains).offences == ()


def test_equal_entries_make_one_row() -> None:
    """A thousand domains with the same options are one row that knows every domain and line."""
    domains = "".join(f'["d{n}.org"]\nrelay_to = true\n' for n in range(1000))
    (row,) = [row for row in proof_of(domains).rows if row.right == "relay_to"]
    assert len(row.recipients) == 1000
    assert [rule.line for rule in row.rules] == list(range(2, 2002, 2))


def test_handlers_are_said(tmp_path: Path) -> None:
    """What get_listener_domain decides is a row of its own: decided by code, with the handler's line."""
    (tmp_path / "main.toml").write_text(MAIN + LISTENER)
    (tmp_path / "policy.py").write_text(
        "from angarium import Policy\n"
        f"policy = Policy.load({str(tmp_path / 'main.toml')!r})\n\n"
        "@policy.on\ndef get_listener_domain(domain, listener, conn_meta):\n    return None\n"
    )
    (row,) = [row for row in prove(load(tmp_path / "policy.py")).rows if row.answer == "code"]
    assert row.rules[0].handler == "get_listener_domain"
    assert row.rules[0].line == 4


def test_local_parts_that_route_are_told_beside_the_others() -> None:
    """Where sender routing is allowed, user%host is a row of its own only where its answer is another one."""
    proof = proof_of('["a.org"]\nrelay_to = true', LISTENER + "allow_sender_routing = true\n")
    assert not [row for row in proof.rows if row.routes]
    (row,) = [row for row in proof.rows if "a.org" in row.recipients]
    assert (row.answer, row.also_routes) == ("relay", True)
