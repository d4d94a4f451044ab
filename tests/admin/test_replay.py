"""admin.replay: a candidate's answers to recorded sessions are those it would give, and what is unknown
is said.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.admin.records_made import of_decision, record
from tests.policy.whole_configurations import RECIPIENTS, configurations, context, loaded, sessions

from angarium.admin.replay import Apart, Outcome, Replay
from angarium.log.records import Response, encode_record
from angarium.policy.config import Configuration
from angarium.policy.fate import Report, fate
from angarium.policy.relay import decide

MAIN = (
    'hostname = "mx.example.net"\n[[listener]]\nname = "in"\nlisten = "10.9.9.9:25"\n'
    '[policy]\nlistener_domains = ["domains.toml"]\n'
)
ASKED: dict[str, Any] = {
    "label": "in",
    "local": "10.9.9.9",
    "peer": "198.51.100.7",
    "identity": None,
    "sender": "x.org",
}
ADDRESSES = [f"{local}@{domain}" for domain in RECIPIENTS for local in ("r", "r%x")] + ["Postmaster"]


def recorded(
    configuration: Configuration, recipient: str, report: Report | None = None, number: int = 1
) -> list[bytes]:
    asked = context(configuration, configuration.listeners[0], ASKED, recipient)
    return of_decision(configuration, asked, decide(configuration, asked), number, report)


def replayed(candidate: Configuration, lines: list[bytes]) -> Outcome:
    run = Replay(candidate)
    run.take(lines)
    return run.finish()


@settings(max_examples=40, deadline=None)
@given(configurations, configurations, st.integers(0, 40), st.sampled_from([None, "oob", "arf"]))
def test_replay_tells_the_candidates_own_answers(
    old: Configuration, new: Configuration, start: int, kind: Any
) -> None:
    """Whatever was recorded under one configuration, replay says exactly which answers another changes."""
    report = Report(kind) if kind else None
    listeners = {one.label: one for one in old.listeners}, {one.label: one for one in new.listeners}
    for number, asked in enumerate(islice(sessions(), start, None, 41)):
        for recipient in ADDRESSES[number % 5 :: 5]:
            questions = [
                context(side, by[asked["label"]], asked, recipient)
                for side, by in zip((old, new), listeners, strict=True)
            ]
            before, after = decide(old, questions[0]), decide(new, questions[1])
            lines = of_decision(old, questions[0], before, number, report)
            assert replayed(old, lines).changes == {}
            if report is not None and b"OOB" not in lines[-1] and b"Feedback" not in lines[-1]:
                continue  # which kind of report it was stands nowhere
            found = replayed(new, lines)
            assert bool(found.changes) == (_seen(before, report) != _seen(after, report)), (asked, recipient)


def _seen(decision: Any, report: Report | None) -> Any:
    if not decision.verdict.accepts:
        return decision.verdict
    result = fate(decision, report)
    return "refused after DATA" if result.reply is not None else result.disposition


def test_changes_are_grouped_by_rule_with_examples() -> None:
    """Records that change in the same way are one group: how many, which line decided, which would,
    examples.
    """
    old, new = loaded(MAIN, '["a.org"]\nrelay_to = true'), loaded(MAIN, '["a.org"]\nrelay_to = false')
    found = replayed(new, [line for n in range(5) for line in recorded(old, "r@a.org", number=n)])
    ((group, count),) = found.changes.items()
    assert (group.before, group.after, count) == ("queued", "refused at RCPT", 5)
    assert (group.was.line, group.would_be.line) == (2, 2)
    assert [one.recipient for one in found.examples[group]] == ["r@a.org"] * 3


def test_mail_to_postmaster_is_asked_as_it_was() -> None:
    """A record of postmaster's mail holds where it went; the candidate is asked about postmaster."""
    main = 'postmaster = "ops@inner.example"\n' + MAIN
    old = loaded(main, "")
    lines = recorded(old, "Postmaster")
    assert replayed(old, lines).changes == {}
    ((group, _),) = replayed(loaded(MAIN, ""), lines).changes.items()
    assert group.after == "refused at RCPT"


def test_what_cannot_be_compared_is_counted_apart() -> None:
    """Handlers' decisions, listeners that are gone, other refusals and our own notices are said to be
    apart.
    """
    old = loaded(MAIN, '["a.org"]\nrelay_to = true')
    gone = loaded(MAIN.replace('name = "in"\n', "").replace("10.9.9.9:25", "10.9.9.9:26"), "")
    assert replayed(gone, recorded(old, "r@a.org")).apart == {Apart.LISTENER: 1}
    (line,) = recorded(old, "r@a.org")
    by_code = line.replace(b'"recipients":', b'"handlers":[{"event":"get_listener_domain"}],"recipients":')
    assert replayed(old, [by_code]).apart == {Apart.CODE: 1}
    syntax = record("Rejection", 1, id="", response=Response(code=500), listener="in")
    own = record("Reception", 2, disposition="queued")
    found = replayed(old, [encode_record(syntax), encode_record(own), b'{"type":"Reception"', b"torn"])
    assert found.apart == {Apart.NO_DECISION: 1, Apart.OWN: 1, Apart.UNREADABLE: 1}
    assert found.compared == 0


def test_messages_that_would_be_looked_into_are_counted() -> None:
    """A queued message that the candidate would examine for reports is counted; its content is not known."""
    old = loaded(MAIN, '["a.org"]\nrelay_to = true')
    new = loaded(MAIN, '["a.org"]\nrelay_to = true\nlog_oob = true')
    found = replayed(new, recorded(old, "r@a.org"))
    assert (found.changes, found.looked_into) == ({}, 1)


def test_what_postmaster_made_of_a_transaction_is_asked_as_it_was() -> None:
    """Recipients that shared a transaction with <Postmaster> are put to the candidate beside it, though the
    record holds the address where that mail went.
    """
    main = 'postmaster = "ops@inner.example"\n' + MAIN
    here = loaded(main, '["a.org"]\nlog_oob = true')
    first = context(here, here.listeners[0], ASKED, "Postmaster")
    taken = decide(here, first)
    asked = msgspec.structs.replace(
        context(here, here.listeners[0], ASKED, "r@a.org"), transaction=taken.kind
    )
    other = decide(here, asked)
    told = [{"address": str(taken.recipient), "decided_by": msgspec.to_builtins(taken.decided_by)}]
    (line,) = of_decision(here, asked, other, 1)
    line = line.replace(b'"decided_by":', b'"recipients":' + msgspec.json.encode(told) + b',"decided_by":')
    found = replayed(here, [line])
    assert (other.reply.code, found.changes, found.compared) == (452, {}, 1)
