"""May this peer send this message to this recipient? Contract section 2, rule by rule."""

from __future__ import annotations

import pytest

from angarium.mail.address import Address
from angarium.policy.config import LineEndings, Source
from angarium.policy.context import recipient_question, sender_question
from angarium.policy.decision import (
    DecidedBy,
    Decision,
    HandlerAnswer,
    HandlerPlace,
    ListenerDomain,
    TransactionKind,
    Verdict,
)
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide
from tests.policy.listener_files import OUTSIDER, RELAY_HOST, Configuration, ask, question, tables

RULES = """
["relay.example"]
relay_to = true
["customer.example"]
relay_from = ["198.51.100.0/24", "2001:db8::/32"]
relay_from_authz = ["carol"]
["bounce.example"]
log_oob = true
["reports.example"]
log_oob = "LogThenRelay"
log_arf = "LogThenDrop"
invalid_line_endings = "Fix"
["both.example"]
relay_to = true
log_oob = true
["ignored.example"]
log_oob = "Ignore"
log_arf = false
"""
CUSTOMER = "198.51.100.7"
LOADED = tables(RULES)
PLACE = HandlerPlace("get_listener_domain", Source("policy.py", 7))


def summary(decision: Decision) -> tuple[str, int, str | None]:
    return decision.verdict.value, decision.reply.code, decision.right


@pytest.mark.parametrize(
    ("peer", "sender", "recipient", "expected"),
    [
        (OUTSIDER, "a@x.example", "b@x.example", ("refuse", 550, None)),
        (RELAY_HOST, "a@x.example", "b@x.example", ("relay", 250, "relay_hosts")),
        ("::ffff:10.0.0.1", "a@x.example", "b@x.example", ("relay", 250, "relay_hosts")),
        (OUTSIDER, "a@x.example", "b@relay.example", ("relay", 250, "relay_to")),
        (OUTSIDER, "a@relay.example", "b@x.example", ("refuse", 550, None)),
        (CUSTOMER, "a@customer.example", "b@x.example", ("relay", 250, "relay_from")),
        ("2001:db8::9", "a@customer.example", "b@x.example", ("relay", 250, "relay_from")),
        (CUSTOMER, "a@x.example", "b@x.example", ("refuse", 550, None)),
        (CUSTOMER, "a@x.example", "b@customer.example", ("refuse", 550, None)),
        (OUTSIDER, "a@customer.example", "b@x.example", ("refuse", 550, None)),
        (OUTSIDER, None, "b@bounce.example", ("report-only", 250, None)),
        (OUTSIDER, "a@x.example", "b@ignored.example", ("refuse", 550, None)),
        (OUTSIDER, "a@x.example", "b@both.example", ("relay", 250, "relay_to")),
        (RELAY_HOST, "a@x.example", "b@bounce.example", ("relay", 250, "relay_hosts")),
    ],
)
def test_rights(peer: str, sender: str | None, recipient: str, expected: tuple[str, int, str | None]) -> None:
    """A: relay_hosts. B: the sender's entry names the peer. C: the recipient's entry has relay_to."""
    assert summary(ask(LOADED, peer, sender, recipient)) == expected


def test_refusal_is_550_5_7_1() -> None:
    """P1: any other peer may not relay."""
    reply = ask(LOADED).reply
    assert str(reply) == "550 5.7.1 relaying from 192.0.2.66 to recipient.example is not permitted"


@pytest.mark.parametrize(
    ("identity", "right"), [("carol", "relay_from_authz"), ("Carol", None), (None, None)]
)
def test_identity(identity: str | None, right: str | None) -> None:
    """P5: an identity that the sender's entry names may relay anywhere with that sender domain."""
    assert ask(LOADED, sender="a@customer.example", identity=identity).right == right
    assert ask(LOADED, sender="a@x.example", identity=identity).right is None


class TestNullPath:
    """Contract 2.7."""

    def test_default_and_entries_say_nothing_of_it(self) -> None:
        """No entry but `"<>"` speaks of the null reverse-path."""
        text = '["*"]\nrelay_from = ["0.0.0.0/0"]\n["relay.example"]\nrelay_from = ["0.0.0.0/0"]'
        assert ask(text, sender=None).verdict is Verdict.REFUSE

    def test_own_entry(self) -> None:
        """`"<>"` grants it to peers and identities."""
        text = '["<>"]\nrelay_from = ["198.51.100.0/24"]\nrelay_from_authz = ["ann"]'
        assert ask(text, CUSTOMER, None).right == "relay_from"
        assert ask(text, OUTSIDER, None, identity="ann").right == "relay_from_authz"
        assert ask(text, OUTSIDER, None, identity="bob").right is None

    def test_identity_of_any_entry(self) -> None:
        """An identity that any entry names may send its own bounces, and the decision names that entry."""
        decision = ask(LOADED, sender=None, identity="carol")
        assert decision.right == "relay_from_authz"
        assert (decision.decided_by.key, decision.decided_by.line) == ("customer.example", 6)

    def test_identity_that_a_section_takes_out(self) -> None:
        """Only entries in force on this listener count."""
        text = '["c.example"]\nrelay_from_authz = ["carol"]\n[listener.in."c.example"]\nrelay_from_authz = []'
        assert ask(text, sender=None, identity="carol").right is None
        assert ask(text, sender=None, identity="carol", listener="other").right == "relay_from_authz"

    def test_code_answers_alone(self) -> None:
        """A handler's answer for `<>` is the whole answer."""
        answer = HandlerAnswer(ListenerDomain(relay_from_authz=["dora"]), PLACE)
        assert ask(LOADED, sender=None, identity="carol", sender_answer=answer).right is None
        assert ask(LOADED, sender=None, identity="dora", sender_answer=answer).decided_by.kind == "handler"


class TestModes:
    """Contract 2.3."""

    def test_default_examines_only_what_has_no_right(self) -> None:
        """A customer's outgoing bounce is not ours to discard, whatever `"*"` logs."""
        text = '["*"]\nlog_oob = true\nlog_arf = true'
        assert [e.kind for e in ask(text).examinations] == ["oob", "arf"]
        decision = ask(text, RELAY_HOST)
        assert (decision.verdict, decision.examinations) == (Verdict.RELAY, ())
        assert decision.checks[-1].concluded.startswith('"*" has only recipients without a right examined')

    @pytest.mark.parametrize("key", ["recipient.example", "*.example"])
    def test_entries_examine_what_has_a_right_too(self, key: str) -> None:
        """An exact or wildcard entry has mail examined that a peer's right lets pass."""
        decision = ask(f'["{key}"]\nlog_oob = true', RELAY_HOST)
        assert (decision.verdict, [e.kind for e in decision.examinations]) == (Verdict.RELAY, ["oob"])

    def test_default_is_told_option_by_option(self) -> None:
        """What counts is where the log option comes from, not the other options of the answer."""
        text = '["*"]\nlog_oob = true\n[listener.in."recipient.example"]\nrelay_to = true'
        assert ask(text).examinations == ()

    def test_line_endings_of_a_domain_that_only_logs(self) -> None:
        """Only where nothing is relayed does the entry's wish about bare line ends count."""
        assert ask(LOADED, recipient="b@reports.example").invalid_line_endings is LineEndings.FIX
        assert ask(LOADED, RELAY_HOST, recipient="b@reports.example").invalid_line_endings is None
        assert ask(LOADED, recipient="b@bounce.example").invalid_line_endings is None


class TestOneReplyOneFate:
    """Contract 2.5."""

    @pytest.mark.parametrize(
        ("first", "second", "code"),
        [
            ("b@relay.example", "b@both.example", 250),
            ("b@relay.example", "b@bounce.example", 452),
            ("b@bounce.example", "b@relay.example", 452),
            ("b@bounce.example", "c@bounce.example", 250),
            ("b@bounce.example", "b@reports.example", 452),
            ("b@bounce.example", "b@x.example", 550),
        ],
    )
    def test_kinds_that_share(self, first: str, second: str, code: int) -> None:
        """All may be relayed, or none may and the same reports are looked for."""
        kind = ask(LOADED, recipient=first).kind
        reply = ask(LOADED, recipient=second, transaction=kind).reply
        assert reply.code == code
        if code == 452:
            assert str(reply.enhanced) == "4.5.3"

    def test_kinds_are_told_apart(self) -> None:
        """Each set of reports is a kind of its own; a refused recipient has none."""
        assert ask(LOADED, recipient="b@bounce.example").kind is TransactionKind.OOB
        assert ask(LOADED, recipient="b@reports.example").kind is TransactionKind.OOB_AND_ARF
        assert ask('["*"]\nlog_arf = true').kind is TransactionKind.ARF
        assert ask(LOADED).kind is None


class TestHandlers:
    """Contract 2.6 and 2.14: code's answers are inputs of the decision."""

    def test_answer_replaces_the_files(self) -> None:
        """A handler's answer is the whole answer, not merged with the files."""
        answer = HandlerAnswer(ListenerDomain(log_arf=True), PLACE)
        decision = ask(LOADED, recipient="b@both.example", recipient_answer=answer)
        assert (decision.verdict, [e.kind for e in decision.examinations]) == (Verdict.REPORT_ONLY, ["arf"])
        expected = DecidedBy("handler", "policy.py", 7, None, "both.example", "get_listener_domain", "c0ffee")
        assert decision.decided_by == expected

    def test_answer_that_grants_nothing_refuses(self) -> None:
        """A refusal by code names the code."""
        answer = HandlerAnswer(ListenerDomain(), PLACE)
        decision = ask(LOADED, recipient="b@relay.example", recipient_answer=answer)
        assert (decision.verdict, decision.decided_by.kind) == (Verdict.REFUSE, "handler")

    def test_answer_for_the_sender(self) -> None:
        """Code may grant right B."""
        answer = HandlerAnswer(ListenerDomain(relay_from=["192.0.2.0/24"]), PLACE)
        assert ask(LOADED, sender_answer=answer).right == "relay_from"

    @pytest.mark.parametrize("recipient", ["b@x.example", "a%b@x.example", "b@[127.0.0.1]"])
    def test_recipient_that_a_handler_wrote(self, recipient: str) -> None:
        """A recipient that the operator's handler wrote is allowed by that handler."""
        decision = ask(LOADED, recipient=recipient, written_by=PLACE)
        assert (decision.verdict, decision.right) == (Verdict.RELAY, "handler")
        assert (decision.decided_by.file, decision.decided_by.line) == ("policy.py", 7)

    def test_questions(self) -> None:
        """A handler is asked of the sender if A does not hold, of the recipient always."""
        assert sender_question(question()) == "sender.example"
        assert sender_question(question(sender=None)) == "<>"
        assert sender_question(question(RELAY_HOST)) is None
        assert sender_question(question(written_by=PLACE)) is None
        assert recipient_question(question(RELAY_HOST)) == "recipient.example"

    def test_no_question_about_postmaster(self) -> None:
        """Mail to postmaster is accepted whatever code says."""
        asked = question(recipient="Postmaster", postmaster=Address.parse("ops@ops.example"))
        assert (sender_question(asked), recipient_question(asked)) == (None, None)
        assert recipient_question(question(recipient="Postmaster")) == "mx.example.net"


class TestPostmaster:
    """Contract 2.10."""

    OPS = Address.parse("ops@ops.example")
    SOURCE = Source("angarium.toml", 2)

    @pytest.mark.parametrize(
        "recipient", ["Postmaster", "POSTMASTER@mx.example.net", '"postmaster"@mx.example.net']
    )
    def test_accepted_from_anyone(self, recipient: str) -> None:
        """`<Postmaster>` and postmaster at our names go to the address that the option names."""
        decision = ask(LOADED, recipient=recipient, postmaster=self.OPS, postmaster_source=self.SOURCE)
        assert (decision.verdict, str(decision.recipient)) == (Verdict.RELAY, "ops@ops.example")
        assert (decision.decided_by.kind, decision.decided_by.line) == ("rule", 2)

    @pytest.mark.parametrize("recipient", ["postmaster@x.example", "postmasters@mx.example.net"])
    def test_others_are_not(self, recipient: str) -> None:
        """Postmaster of other domains, and other people at ours, follow the ordinary rule."""
        assert ask(LOADED, recipient=recipient, postmaster=self.OPS).verdict is Verdict.REFUSE

    def test_without_the_option(self) -> None:
        """Without the option the ordinary rule holds, for postmaster at our own name."""
        assert ask(LOADED, recipient="Postmaster").verdict is Verdict.REFUSE
        decision = ask('["mx.example.net"]\nrelay_to = true', recipient="Postmaster")
        assert (decision.verdict, str(decision.recipient)) == (Verdict.RELAY, "Postmaster@mx.example.net")


class TestSenderRouting:
    """Contract 2.11."""

    @pytest.mark.parametrize("local", ["user%host", "host!user", '"user@host"'])
    def test_refused_from_strangers(self, local: str) -> None:
        """A local part that asks for another host is refused, whatever the domain's entry says."""
        for domain in ("relay.example", "bounce.example"):
            decision = ask(LOADED, recipient=f"{local}@{domain}")
            assert (decision.verdict, str(decision.reply)[:9]) == (Verdict.REFUSE, "550 5.7.1")
            assert decision.checks[-1].rule == "sender-routing"

    def test_allowed_with_a_right_of_ones_own_or_by_option(self) -> None:
        """Peers with right A or B may route; allow_sender_routing lets everyone."""
        recipient = "user%host@relay.example"
        assert ask(LOADED, RELAY_HOST, recipient=recipient).verdict is Verdict.RELAY
        assert ask(LOADED, CUSTOMER, "a@customer.example", recipient).verdict is Verdict.RELAY
        assert ask(LOADED, recipient=recipient, allow_sender_routing=True).verdict is Verdict.RELAY

    @pytest.mark.parametrize(
        "literal",
        [
            "[127.0.0.1]",
            "[IPv6:::1]",
            "[169.254.1.1]",
            "[0.0.0.0]",
            "[IPv6:::]",
            "[IPv6:fe80::1]",
            "[IPv6:::ffff:127.0.0.1]",
            "[IPv6:64:ff9b::7f00:1]",
            "[IPv6:2002:a9fe:a9fe::1]",
            "[IPv6:::127.0.0.1]",
        ],
    )
    def test_prohibited_literals(self, literal: str) -> None:
        """A client's literal never leads to loopback, link-local or unspecified, even with right A."""
        decision = ask(LOADED, RELAY_HOST, recipient=f"b@{literal}")
        assert (decision.verdict, decision.reply.code) == (Verdict.REFUSE, 550)
        assert decision.decided_by.key == "prohibited_hosts"
        assert "it is one of prohibited_hosts" in decision.reply.text

    def test_literals_elsewhere(self) -> None:
        """Other literals follow the ordinary rule."""
        assert ask(LOADED, RELAY_HOST, recipient="b@[192.0.2.9]").verdict is Verdict.RELAY
        assert ask(LOADED, recipient="b@[192.0.2.9]").verdict is Verdict.REFUSE

    def test_literal_in_the_operators_file(self) -> None:
        """A literal that an entry of its own accepts is the operator's word."""
        text = '["[127.0.0.1]"]\nrelay_to = true'
        for peer in (OUTSIDER, RELAY_HOST):
            assert ask(text, peer, recipient="b@[127.0.0.1]").verdict is Verdict.RELAY

    def test_prohibited_literal_that_only_logs(self) -> None:
        """A literal whose entry only logs is examined, never relayed there."""
        text = '["[127.0.0.1]"]\nlog_oob = true'
        assert ask(text, RELAY_HOST, recipient="b@[127.0.0.1]").verdict is Verdict.REPORT_ONLY

    def test_other_hosts_may_be_prohibited(self) -> None:
        """The list of prohibited hosts is the operator's."""
        hosts = NetworkSet.parse(["192.0.2.0/24"])
        decision = ask(LOADED, RELAY_HOST, recipient="b@[192.0.2.9]", prohibited_hosts=hosts)
        assert decision.verdict is Verdict.REFUSE


class TestWhoDecided:
    """Contract 2.14."""

    @pytest.mark.parametrize(
        ("peer", "sender", "recipient", "expected"),
        [
            (OUTSIDER, "a@x.example", "b@relay.example", ("rule", "relay.example", 3)),
            (CUSTOMER, "a@customer.example", "b@x.example", ("rule", "customer.example", 5)),
            (OUTSIDER, "a@x.example", "b@bounce.example", ("rule", "bounce.example", 8)),
            (OUTSIDER, "a@x.example", "b@ignored.example", ("rule", "ignored.example", 16)),
            (OUTSIDER, "a@x.example", "b@x.example", ("default", None, None)),
            (RELAY_HOST, "a@x.example", "b@x.example", ("default", "relay_hosts", None)),
        ],
    )
    def test_line(
        self, peer: str, sender: str, recipient: str, expected: tuple[str, str | None, int | None]
    ) -> None:
        """Every answer names the line that it comes from, and the configuration."""
        by = ask(LOADED, peer, sender, recipient).decided_by
        assert (by.kind, by.key, by.line, by.config) == (*expected, "c0ffee")

    def test_relay_hosts_of_the_listener(self) -> None:
        """Where relay_hosts was written, its line decides."""
        source = Source("angarium.toml", 4)
        by = ask(LOADED, RELAY_HOST, relay_hosts_source=source).decided_by
        assert (by.kind, by.file, by.line) == ("rule", "angarium.toml", 4)

    def test_section(self) -> None:
        """A listener section is named as the operator named it."""
        by = ask('[listener."10.9.9.9"."recipient.example"]\nrelay_to = true').decided_by
        assert (by.section, by.key, by.line) == ("10.9.9.9", "recipient.example", 2)


class TestChecks:
    """Each check says the rule, what it read and what it concluded, and why related rules did not apply."""

    def said(self, decision: Decision) -> list[tuple[str, str]]:
        return [(check.rule, check.concluded) for check in decision.checks if not check.holds]

    def test_refusal_tells_every_right(self) -> None:
        """A refusal tells why each right does not hold."""
        assert self.said(ask(LOADED, sender="a@customer.example")) == [
            ("relay_hosts", "the peer is in none of them"),
            ("relay_from", "the peer is in none of them"),
            ("relay_from_authz", "the session is not authenticated"),
            ("relay_to", "no entry answers for it"),
        ]

    def test_options_on_the_wrong_side(self) -> None:
        """relay_to of the sender and relay_from of the recipient are pointed out."""
        decision = ask(LOADED, CUSTOMER, "a@relay.example", "b@customer.example")
        assert ("relay_from", "it counts for the sender's domain only") in self.said(decision)
        assert ("relay_to", "it counts for the recipient's domain only") in self.said(decision)

    def test_entry_above_that_did_not_answer(self) -> None:
        """What a wildcard above would have said is told, and that it is not inherited."""
        text = '["*.example"]\nrelay_to = true\n["recipient.example"]\nlog_oob = false'
        assert (
            "relay_to",
            '"recipient.example" answers for recipient.example and inherits nothing',
        ) in self.said(ask(text))

    def test_section_that_a_guard_held_back(self) -> None:
        """A section's word that does not count is told with its reason."""
        text = '["recipient.example"]\nrelay_to = false\n[listener.in."*.example"]\nrelay_to = true'
        reasons = [check.concluded for check in ask(text).checks]
        assert any("never on" in reason for reason in reasons)

    def test_checks_name_their_place(self) -> None:
        """A check that read an option names its line."""
        check = ask(LOADED, CUSTOMER, "a@customer.example").checks[-2]
        assert (check.rule, str(check.source), check.holds) == ("relay_from", "a.toml:5", True)
        assert check.read == "sender domain customer.example, peer 198.51.100.7 is in 198.51.100.0/24"


def test_decide_is_pure() -> None:
    """The same question under the same configuration has the same answer, checks and all."""
    asked, configuration = question(CUSTOMER, "a@customer.example"), Configuration(LOADED)
    assert decide(configuration, asked) == decide(configuration, asked)
