"""What would a candidate configuration have answered, to the sessions of the past?

Reads Reception and Rejection records, which hold every input of the decision, and puts the same questions
to the real `decide` under another configuration. Counts what would change, by rule, with examples.

Refuses to guess: where an operator's handler had a say, where the listener is no more, or where the content
would have to be seen again, records are counted apart and said to be so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import ip_address

import msgspec

from angarium.admin.past import Entry, read_entry
from angarium.mail.address import Address, AddressError
from angarium.policy.config import Configuration, Listener
from angarium.policy.context import Context
from angarium.policy.decision import DecidedBy, Decision, ReportKind, TransactionKind, Verdict
from angarium.policy.fate import Report, fate
from angarium.policy.listeners import effective_options
from angarium.policy.networks import IPAddress, NetworkSet
from angarium.policy.prove import HANDLER, Rule
from angarium.policy.relay import decide

EXAMPLES = 3
"""Sessions that are told of each change."""
MAX_PENDING = 4096
"""Receptions of reports that wait for the record which says what kind of report it was."""
_DECIDING = frozenset({HANDLER, "smtp_server_data", "smtp_server_message_received"})
_KINDS: dict[str, ReportKind] = {"OOB": "oob", "Feedback": "arf"}


class Apart(Enum):
    """Why a record is not compared."""

    CODE = "a handler had a say: code is not called again"
    LISTENER = "its listener is no more"
    NO_DECISION = "refused for something else than relaying"
    UNREADABLE = "the record lacks an input of the decision"
    OWN = "made by this server itself"


class Example(msgspec.Struct, frozen=True):
    """One session to which a change would have happened."""

    event_time: str
    session_id: str
    id: str
    peer: str
    sender: str
    recipient: str


class Group(msgspec.Struct, frozen=True):
    """What changes in the same way, by the same rules."""

    before: str
    after: str
    was: Rule
    would_be: Rule


class Outcome(msgspec.Struct, kw_only=True):
    """What a replay found."""

    records: int = 0
    compared: int = 0
    looked_into: int = 0
    """Messages, queued then, that the candidate looks into for reports; taken for no reports."""
    changes: dict[Group, int]
    examples: dict[Group, list[Example]]
    apart: Counter[Apart]

    @property
    def changed(self) -> int:
        """How many records would differ."""
        return sum(self.changes.values())


class Replay:
    """One run of records through a candidate configuration."""

    def __init__(self, candidate: Configuration) -> None:
        self._candidate = candidate
        self._by_code = HANDLER in candidate.hooks.handlers
        self._listeners = {one.label: one for one in candidate.listeners}
        self._by_listen = {one.listen: one for one in candidate.listeners}
        self._pending: dict[str, Entry] = {}
        self.outcome = Outcome(changes={}, examples={}, apart=Counter())

    def take(self, lines: Iterable[bytes]) -> None:
        """Take records as lines of JSON; lines that are none are passed over."""
        for line in lines:
            try:
                entry = read_entry(line, with_reports=True)
            except msgspec.MsgspecError:
                self.outcome.apart[Apart.UNREADABLE] += 1
                continue
            if entry is not None:
                self._take(entry)

    def finish(self) -> Outcome:
        """Judge what still waits for its report; returns everything found."""
        for entry in self._pending.values():
            self._judge(entry, None)
        self._pending.clear()
        return self.outcome

    def _take(self, entry: Entry) -> None:
        if entry.type in _KINDS:
            waiting = self._pending.pop(entry.id, None)
            if waiting is not None:
                self._judge(waiting, _KINDS[entry.type])
            return
        self.outcome.records += 1
        if entry.disposition in ("logged", "logged+queued"):
            if len(self._pending) >= MAX_PENDING:
                self._judge(self._pending.pop(next(iter(self._pending))), None)
            self._pending[entry.id] = entry
        else:
            self._judge(entry, None)

    def _judge(self, entry: Entry, kind: ReportKind | None) -> None:
        apart = self._why_apart(entry)
        if apart is None:
            try:
                self._compare(entry, kind)
            except (AddressError, ValueError, LookupError):
                apart = Apart.UNREADABLE
        if apart is not None:
            self.outcome.apart[apart] += 1

    def _why_apart(self, entry: Entry) -> Apart | None:
        if entry.type == "Reception" and not entry.listener:
            return Apart.OWN
        if entry.type == "Rejection" and not entry.is_decision:
            return Apart.NO_DECISION
        if self._by_code or any(call.event in _DECIDING for call in entry.handlers):
            return Apart.CODE
        if entry.decided_by is not None and entry.decided_by.kind == "handler":
            return Apart.CODE
        return None if self._listener(entry) is not None else Apart.LISTENER

    def _listener(self, entry: Entry) -> Listener | None:
        return self._listeners.get(entry.listener) or self._by_listen.get(entry.local_address)

    # One record

    def _compare(self, entry: Entry, kind: ReportKind | None) -> None:
        before = _recorded(entry)
        if entry.type == "Rejection" and entry.refused is None:
            after, decided = self._after_data(entry)
        else:
            after, decided = self._message(entry, kind)
        self.outcome.compared += 1
        if after != before:
            self._note(entry, before, after, decided)

    def _message(self, entry: Entry, kind: ReportKind | None) -> tuple[str, DecidedBy]:
        transaction = None
        if entry.type == "Rejection" and entry.recipients:
            transaction = self._kind_of(entry)
        decision = self._ask(entry, entry.asked, transaction)
        if entry.type == "Rejection":
            return _SAID[decision.verdict], decision.decided_by
        return self._fate(entry, decision, kind)

    def _fate(self, entry: Entry, decision: Decision, kind: ReportKind | None) -> tuple[str, DecidedBy]:
        if not decision.verdict.accepts:
            return _SAID[decision.verdict], decision.decided_by
        if kind is None and str(entry.disposition).startswith("logged") and decision.examinations:
            return str(entry.disposition), decision.decided_by  # of which kind it was is not recorded
        if kind is None and decision.may_relay and decision.examinations:
            self.outcome.looked_into += 1
        report = Report(kind, by_shape=entry.why == "shape") if kind is not None else None
        result = fate(decision, report)
        if result.reply is not None:
            return "refused after DATA", result.decided_by
        return str(result.disposition), result.decided_by

    def _after_data(self, entry: Entry) -> tuple[str, DecidedBy]:
        """What becomes of content that was refused because nothing in it was looked for."""
        decision = self._ask(entry, entry.asked, None)
        if decision.verdict is not Verdict.REPORT_ONLY:
            return _SAID[decision.verdict], decision.decided_by
        return "refused after DATA", decision.decided_by

    def _kind_of(self, entry: Entry) -> TransactionKind | None:
        """What the recipients accepted before make of the transaction, under the candidate."""
        for told in entry.recipients:
            kind = self._ask(entry, told.asked, None).kind
            if kind is not None:
                return kind
        return None

    def _ask(self, entry: Entry, recipient: str, transaction: TransactionKind | None) -> Decision:
        listener = self._listener(entry)
        assert listener is not None
        peer, local = _address(entry.peer), _endpoint(entry.local_address)
        options = effective_options(listener, peer, local)
        candidate = self._candidate
        context = Context(
            listener=listener.label,
            local=local,
            peer=peer,
            relay_hosts=_network_set(options.relay_hosts),
            relay_hosts_source=options.sources.get("relay_hosts"),
            identity=entry.authz_id,
            sender=_mailbox(entry.sender) if entry.sender else None,
            recipient=_mailbox(recipient),
            hostnames=(options.hostname, candidate.hostname),
            postmaster=candidate.postmaster,
            postmaster_source=candidate.sources.get("postmaster"),
            allow_sender_routing=options.allow_sender_routing,
            transaction=transaction,
        )
        return decide(candidate, context)

    def _note(self, entry: Entry, before: str, after: str, decided: DecidedBy) -> None:
        was = _recorded_rule(entry)
        group = Group(before, after, was, Rule.of(decided))
        self.outcome.changes[group] = self.outcome.changes.get(group, 0) + 1
        examples = self.outcome.examples.setdefault(group, [])
        if len(examples) < EXAMPLES:
            asked = (entry.peer, entry.sender or "<>", entry.asked)
            examples.append(Example(entry.event_time, entry.session_id, entry.id, *asked))


_SAID = {
    Verdict.RELAY: "queued",
    Verdict.REPORT_ONLY: "accepted for reports only",
    Verdict.REFUSE: "refused at RCPT",
    Verdict.DEFER: "deferred at RCPT",
}


def _recorded(entry: Entry) -> str:
    """What was answered then, in the words of `_SAID` and of dispositions."""
    if entry.type == "Reception":
        return str(entry.disposition)
    if entry.refused is None:
        return "refused after DATA"
    return "deferred at RCPT" if entry.response.code == 452 else "refused at RCPT"


def _recorded_rule(entry: Entry) -> Rule:
    decided = entry.decided_by
    return Rule() if decided is None else Rule.of(decided)


_network_set = lru_cache(maxsize=256)(NetworkSet)


@lru_cache(maxsize=65536)
def _address(text: str) -> IPAddress:
    return ip_address(text)


@lru_cache(maxsize=4096)
def _endpoint(text: str) -> IPAddress:
    """The address of `10.0.0.1:25` or `[2001:db8::1]:25`."""
    return ip_address(text.rpartition(":")[0].strip("[]"))


@lru_cache(maxsize=65536)
def _mailbox(text: str) -> Address:
    return Address(text, "") if "@" not in text else Address.parse(text)
