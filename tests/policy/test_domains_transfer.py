"""How tables travel from the process that reads to the one that serves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy import transfer
from angarium.policy.domain_transfer import DomainReceiver, domains_to_chunks
from angarium.policy.match import PolicyTables
from angarium.policy.transfer import TransferError
from tests.policy.listener_files import IN, a_listener, load, lookup, tables
from tests.policy.test_match_property import NAMES, Level, entries, written


def received(chunks: list[bytes]) -> PolicyTables:
    receiver = DomainReceiver()
    for chunk in chunks:
        receiver.take(chunk)
    return receiver.finish()


@given(entries, entries, entries)
def test_tables_answer_the_same_after_the_journey(first: Level, second: Level, section: Level) -> None:
    """Every answer, with its lines and sections, is the one that was read."""
    loaded, problems = load(written(first) + written(section, "listener.in."), written(second))
    assert problems == []
    arrived = received(list(domains_to_chunks(loaded)))
    for name in (*NAMES, "x.org", "[10.0.0.1]"):
        assert lookup(arrived, name) == lookup(loaded, name)


def test_scopes_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sections, addresses and identities arrive, in as many chunks as it takes."""
    monkeypatch.setattr(transfer, "CHUNK", 1)
    text = """
    ["*.a.example"]
    relay_from_authz = ["ann", "al"]
    [listener.in."c.example"]
    relay_from_authz = ["cat"]
    [listener."10.1.1.1"."*"]
    relay_to = true
    """
    listeners = (a_listener("0.0.0.0:25", "in"), a_listener("10.9.9.9:26", "other"))
    loaded = tables(text, listeners=listeners)
    arrived = received(list(domains_to_chunks(loaded)))
    for listener in ("in", "other", "none"):
        assert arrived.scope(listener).identities == loaded.scope(listener).identities
    assert lookup(arrived, "x.org", local="10.1.1.1") == lookup(loaded, "x.org", local="10.1.1.1")
    assert lookup(arrived, "x.org", local="10.1.1.2") is None


@pytest.mark.parametrize("lost", [0, 1, 2, -1])
def test_a_chunk_that_is_lost_is_missed(lost: int) -> None:
    """Tables that did not arrive whole are never used."""
    chunks = list(domains_to_chunks(tables('["e.com"]\nrelay_to = true', listeners=(IN,))))
    del chunks[lost]
    with pytest.raises(TransferError):
        received(chunks)


@given(st.binary(max_size=40))
def test_garbage_is_refused(octets: bytes) -> None:
    """Octets that are no chunk raise TransferError and nothing else."""
    with pytest.raises(TransferError):
        received([octets])
