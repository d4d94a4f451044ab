"""The decision equals a slow transcription of contract section 2, for whatever files and sessions."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.mail.address import Address
from angarium.policy.decision import Decision, TransactionKind, Verdict
from angarium.policy.fate import Report, fate
from angarium.policy.match import PolicyTables
from angarium.policy.relay import decide
from tests.policy.listener_files import OUTSIDER, RELAY_HOST, Configuration, load, question

DOMAINS = ["a.example", "b.a.example", "c.org", "[192.0.2.1]", "[127.0.0.1]"]
KEYS = ["*", "*.example", "*.a.example", *DOMAINS]
PEERS = [OUTSIDER, RELAY_HOST, "198.51.100.7"]
NETWORKS = ["198.51.100.0/24", "192.0.2.66", "203.0.113.0/24"]
MODES = ["Ignore", "LogThenDrop", "LogThenRelay"]
Files = dict[str, dict[str, Any]]

sources = {
    "relay_from": st.lists(st.sampled_from(NETWORKS), max_size=2),
    "relay_from_authz": st.lists(st.sampled_from(["ann", "bob"]), max_size=2),
}
option_sets = st.fixed_dictionaries(
    {},
    optional={"relay_to": st.booleans(), "log_oob": st.sampled_from(MODES), "log_arf": st.sampled_from(MODES)}
    | sources,
)
files = st.builds(
    lambda entries, null: entries | ({"<>": null} if null is not None else {}),
    st.dictionaries(st.sampled_from(KEYS), option_sets, max_size=5),
    st.none() | st.fixed_dictionaries({}, optional=sources),
)
senders = st.none() | st.sampled_from(DOMAINS[:3]).map(lambda domain: f"s@{domain}")
recipients = st.builds(
    lambda local, domain: f"{local}@{domain}",
    st.sampled_from(["r", "r%x"]),
    st.sampled_from([*DOMAINS, "z.net"]),
)
sessions = st.fixed_dictionaries(
    {
        "peer": st.sampled_from(PEERS),
        "sender": senders,
        "recipient": recipients,
        "identity": st.sampled_from([None, "ann", "bob", "eve"]),
        "allow_sender_routing": st.booleans(),
    }
)


def loaded(entries: Files) -> PolicyTables:
    lines = []
    for key, values in entries.items():
        lines.append(f'["{key}"]')
        for option, value in values.items():
            plain = str(value).lower() if isinstance(value, bool) else repr(value)
            lines.append(f"{option} = {plain}")
    found, problems = load("\n".join(lines))
    assert problems == []
    return found


def find(entries: Files, name: str) -> tuple[str, dict[str, Any]]:
    """Contract 2.1, in its own words."""
    if name in entries:
        return "exact", entries[name]
    if name.startswith(("[", "<")):
        return "none", {}
    above = [key for key in entries if key.startswith("*.") and name.endswith(key[1:])]
    if above:
        return "wildcard", entries[max(above, key=len)]
    return ("default", entries["*"]) if "*" in entries else ("none", {})


def right_b(entries: Files, asked: dict[str, Any]) -> bool:
    sender = asked["sender"]
    _, entry = find(entries, "<>" if sender is None else sender.partition("@")[2])
    peer, identity = ip_address(asked["peer"]), asked["identity"]
    if any(peer in ip_network(network) for network in entry.get("relay_from", [])):
        return True
    if identity in entry.get("relay_from_authz", []):
        return True
    return sender is None and any(
        identity in values.get("relay_from_authz", []) for values in entries.values()
    )


def slow(entries: Files, asked: dict[str, Any]) -> tuple[str, frozenset[str]]:
    """(verdict, reports that are looked for), as contract section 2 reads."""
    kind, entry = find(entries, asked["recipient"].partition("@")[2])
    own = asked["peer"] == RELAY_HOST or right_b(entries, asked)
    may_relay = own or entry.get("relay_to", False)
    if "%" in asked["recipient"] and not own and not asked["allow_sender_routing"]:
        return "refuse", frozenset()
    if asked["recipient"].endswith("@[127.0.0.1]") and not entry.get("relay_to", False):
        may_relay = False
    looked_for = {option for option in ("log_oob", "log_arf") if entry.get(option, "Ignore") != "Ignore"}
    if kind == "default" and may_relay:
        looked_for = set()
    if may_relay:
        return "relay", frozenset(looked_for)
    return ("report-only" if looked_for else "refuse"), frozenset(looked_for)


def answer(tables: PolicyTables, asked: dict[str, Any], **more: Any) -> Decision:
    return decide(Configuration(tables), question(**asked, **more))


@settings(max_examples=300)
@given(files, sessions)
def test_decide_equals_the_slow_one(entries: Files, asked: dict[str, Any]) -> None:
    """Verdict and examinations are what the contract's words give."""
    decision = answer(loaded(entries), asked)
    looked_for = frozenset(f"log_{examination.kind}" for examination in decision.examinations)
    assert (decision.verdict.value, looked_for) == slow(entries, asked)
    assert decision.may_relay == (decision.verdict is Verdict.RELAY)
    assert decision.verdict.accepts == (decision.reply.code == 250)


@given(files, sessions)
def test_no_outsider_relays_without_an_entry(entries: Files, asked: dict[str, Any]) -> None:
    """A stranger without an identity, whom no entry names, may send only where an entry has relay_to."""
    quiet = {
        key: {option: value for option, value in values.items() if option in ("log_oob", "log_arf")}
        for key, values in entries.items()
    }
    decision = answer(loaded(quiet), {**asked, "peer": OUTSIDER, "identity": None})
    assert not decision.may_relay
    assert decision.verdict in (Verdict.REFUSE, Verdict.REPORT_ONLY)


@given(files, sessions, st.lists(recipients, min_size=1, max_size=5), st.sampled_from([None, "oob", "arf"]))
def test_one_reply_one_fate(entries: Files, asked: dict[str, Any], asked_for: list[str], report: Any) -> None:
    """Whatever recipients a transaction gathers, end of data has one reply for all that were accepted."""
    tables, accepted = loaded(entries), []
    kind: TransactionKind | None = None
    for recipient in asked_for:
        decision = answer(tables, {**asked, "recipient": recipient}, transaction=kind)
        if decision.verdict.accepts:
            accepted.append(decision)
            kind = kind or decision.kind
    for found in (None if report is None else Report(report), Report("oob", error="broken")):
        fates = [fate(decision, found) for decision in accepted]
        assert len({result.reply is None for result in fates}) <= 1
        assert all(result.disposition is not None for result in fates if result.reply is None)


@given(files, sessions, st.sampled_from(["oob", "arf"]), st.booleans(), st.none() | st.just("broken"))
def test_report_gains_no_right(
    entries: Files, asked: dict[str, Any], kind: Any, by_shape: bool, error: str | None
) -> None:
    """What may not be relayed is never queued, and what is discarded was logged."""
    decision = answer(loaded(entries), asked)
    if not decision.verdict.accepts:
        return
    result = fate(decision, Report(kind, by_shape, error))
    assert decision.may_relay or not result.queue
    assert result.reply is not None or result.queue or result.disposition == "logged"
    assert not (by_shape and decision.may_relay) or result.queue


@given(files, sessions)
def test_every_check_and_decision_names_its_line(entries: Files, asked: dict[str, Any]) -> None:
    """A decision by rule has a line in the file, and so has every check that read an entry."""
    decision = answer(loaded(entries), asked)
    assert decision.decided_by.kind in ("rule", "default")
    assert (decision.decided_by.kind == "rule") == (decision.decided_by.line is not None)
    assert all(check.source is not None for check in decision.checks if check.key in entries)
    assert isinstance(decision.recipient, Address)
