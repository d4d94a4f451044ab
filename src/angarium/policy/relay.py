"""May this peer send this message to this recipient?

`decide` is the one function that answers: the server, `explain`, `prove`, `replay` and the operator's tests
all call it. It is pure: files and what handlers answered come in as values, and a Decision with every check
comes out. Rights (contract 2): A, the peer is in relay_hosts; B, the sender's entry names the peer or the
session's identity; C, the recipient's entry has relay_to. Without a right a recipient may still be examined
for reports.

Refuses what no rule grants. Nothing that a client writes can give it a right, and reports never gain one.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec

from angarium.mail.address import literal_address
from angarium.mail.status import EnhancedStatus, Reply, reply
from angarium.policy.context import (
    Configuration,
    Context,
    effective_recipient,
    is_postmaster,
    sender_domain,
)
from angarium.policy.decision import (
    DecidedBy,
    Decision,
    Examination,
    HandlerAnswer,
    HandlerPlace,
    ReportKind,
    Verdict,
    transaction_kind,
)
from angarium.policy.match import Entry, KeyKind, Setting, entry_of_answer
from angarium.policy.trail import Trail

ACCEPTED = reply(250, "2.1.5 recipient accepted")
ACCEPTED_FOR_REPORTS = reply(250, "2.1.5 recipient accepted, for reports only")
ROUTING_REFUSED = reply(550, "5.7.1 an address that asks for another host is not accepted here")
NO_SUCH_RECIPIENT = reply(550, "5.1.1 there is no such recipient here")
OTHER_FATE = reply(452, "4.5.3 this recipient's mail has another fate: send it in a transaction of its own")
_NOT_PERMITTED = EnhancedStatus(5, 7, 1)

OPTION_OF: dict[ReportKind, str] = {"oob": "log_oob", "arf": "log_arf"}


def decide(configuration: Configuration, context: Context) -> Decision:
    """Decide about one recipient. Pure."""
    return _Case(configuration, context).decide()


class _Right(msgspec.Struct, frozen=True):
    rule: str
    decided_by: DecidedBy


class _Case:
    """One question on its way through the rules, gathering checks."""

    def __init__(self, configuration: Configuration, context: Context) -> None:
        self.context = context
        self.tables = configuration.domains
        self.scope = self.tables.scope(context.listener, context.local)
        self.trail = Trail(configuration.hash)
        self.peer = str(context.peer)
        self.recipient = effective_recipient(context)
        self.sender_entry: Entry | None = None
        self.unknown: Setting[str] | None = None
        """The list that does not hold the recipient."""

    def decide(self) -> Decision:
        if is_postmaster(self.context):
            return self._postmaster()
        own = self._own_right()
        entry = self._entry(self.recipient.domain, self.context.recipient_answer)
        right_by_entry = self._relay_to(entry)
        if own is None and self._routes():
            return self._refuse(ROUTING_REFUSED, self.trail.default("allow_sender_routing"))
        prohibited = own is not None and right_by_entry is None and self._is_prohibited()
        right = right_by_entry if prohibited else own or right_by_entry
        examinations = self._examinations(entry, right)
        if right is None and not examinations and self.unknown is not None:
            return self._refuse(NO_SUCH_RECIPIENT, self.trail.by(self.unknown))
        if right is None and not examinations:
            return self._refuse_relaying(self._who_refused(entry, prohibited), entry)
        return self._accept(right, examinations, entry)

    # The answers

    def _accept(
        self, right: _Right | None, examinations: tuple[Examination, ...], entry: Entry | None
    ) -> Decision:
        kind = transaction_kind(right is not None, examinations)
        if self.context.transaction not in (None, kind):
            return self._defer(right, examinations)
        line_endings = entry.invalid_line_endings if entry is not None and right is None else None
        return Decision(
            verdict=Verdict.RELAY if right else Verdict.REPORT_ONLY,
            reply=ACCEPTED if right else ACCEPTED_FOR_REPORTS,
            decided_by=right.decided_by if right else examinations[0].decided_by,
            checks=tuple(self.trail.checks),
            recipient=self.recipient,
            right=right.rule if right else None,
            examinations=examinations,
            invalid_line_endings=line_endings.value if line_endings else None,
        )

    def _defer(self, right: _Right | None, examinations: tuple[Examination, ...]) -> Decision:
        assert self.context.transaction is not None
        kind = transaction_kind(right is not None, examinations)
        assert kind is not None
        read = f"transaction {self.context.transaction.value}, this recipient {kind.value}"
        self.trail.check("one-reply-one-fate", True, read, "cannot share it: one reply is one fate")
        return Decision(
            verdict=Verdict.DEFER,
            reply=OTHER_FATE,
            decided_by=self.trail.default("one-reply-one-fate"),
            checks=tuple(self.trail.checks),
            recipient=self.recipient,
            right=right.rule if right else None,
            examinations=examinations,
        )

    def _refuse(self, answer: Reply, decided_by: DecidedBy) -> Decision:
        return Decision(
            verdict=Verdict.REFUSE,
            reply=answer,
            decided_by=decided_by,
            checks=tuple(self.trail.checks),
            recipient=self.recipient,
        )

    def _refuse_relaying(self, decided_by: DecidedBy, entry: Entry | None) -> Decision:
        self._hints(entry)
        if decided_by.key == "prohibited_hosts":
            text = f"no mail goes to {self.recipient.domain}: it is one of prohibited_hosts"
        else:
            text = f"relaying from {self.peer} to {self.recipient.domain} is not permitted"
        return self._refuse(Reply(550, _NOT_PERMITTED, text), decided_by)

    def _who_refused(self, entry: Entry | None, prohibited: bool) -> DecidedBy:
        if entry is None or prohibited:
            return self.trail.default("prohibited_hosts" if prohibited else None)
        return self.trail.by(entry.relay_to or entry.found[0])

    def _postmaster(self) -> Decision:
        context = self.context
        assert context.postmaster is not None
        source = context.postmaster_source
        read, concluded = (
            f"recipient {context.recipient}",
            f"accepted from anyone, goes to {context.postmaster}",
        )
        self.trail.check("postmaster", True, read, concluded, source)
        self.recipient = context.postmaster
        return self._accept(_Right("postmaster", self.trail.rule(source, "postmaster")), (), None)

    # Rights A and B, and that of a handler

    def _own_right(self) -> _Right | None:
        """The peer's or the operator's code's right to send to this recipient, whatever its entry says."""
        if (writer := self.context.written_by) is not None:
            return self._written(writer)
        return self._relay_hosts() or self._sender()

    def _written(self, writer: HandlerPlace) -> _Right:
        read = f"recipient {self.recipient} was written by {writer.handler}"
        concluded = "allowed by the operator's code"
        self.trail.check("handler", True, read, concluded, writer.source, handler=writer.handler)
        return _Right("handler", self.trail.code(writer))

    def _relay_hosts(self) -> _Right | None:
        """A: the peer may relay anywhere."""
        context = self.context
        network = context.relay_hosts.find(context.peer)
        source = context.relay_hosts_source
        if network is None:
            read = f"peer {self.peer}, relay_hosts {context.relay_hosts}"
            self.trail.check(
                "relay_hosts", False, read, "the peer is in none of them", source, key="relay_hosts"
            )
            return None
        read = f"peer {self.peer} is in {network}"
        self.trail.check("relay_hosts", True, read, "may relay anywhere", source, key="relay_hosts")
        return _Right("relay_hosts", self.trail.rule(source, "relay_hosts"))

    def _sender(self) -> _Right | None:
        """B: the sender's entry names the peer or the identity."""
        domain = sender_domain(self.context)
        answer = self.context.sender_answer
        entry = self.sender_entry = self._entry(domain, answer)
        if entry is None:
            self.trail.check("relay_from", False, f"sender domain {domain}", "no entry answers for it")
            right = None
        else:
            right = self._relay_from(entry) or self._relay_from_authz(entry)
        if right is None and self.context.sender is None and answer is None:
            right = self._identity_of_any_entry()
        return right

    def _relay_from(self, entry: Entry) -> _Right | None:
        setting = entry.relay_from
        if setting is None:
            self._silent("relay_from", "sender", entry)
            return None
        network = setting.value.find(self.context.peer)
        if network is None:
            read = f"peer {self.peer}, relay_from {setting.value}"
            self.trail.at("relay_from", False, read, "the peer is in none of them", setting)
            return None
        read = f"sender domain {entry.domain}, peer {self.peer} is in {network}"
        return self._right("relay_from", read, "may relay anywhere with this sender domain", setting)

    def _relay_from_authz(self, entry: Entry) -> _Right | None:
        setting, identity = entry.relay_from_authz, self.context.identity
        if setting is None:
            return None
        if identity is None:
            read = f"sender domain {entry.domain}, no identity"
            concluded = "the session is not authenticated"
            self.trail.at("relay_from_authz", False, read, concluded, setting)
            return None
        read = f"sender domain {entry.domain}, identity {identity}"
        if identity in setting.value:
            concluded = "may relay anywhere with this sender domain"
            return self._right("relay_from_authz", read, concluded, setting)
        self.trail.at("relay_from_authz", False, read, "the identity is not named", setting)
        return None

    def _identity_of_any_entry(self) -> _Right | None:
        """Contract 2.7: whom any entry here names may send bounces."""
        identity = self.context.identity
        name = self.scope.identities.get(identity) if identity is not None else None
        entry = self.tables.lookup(name, self.scope) if name is not None else None
        if entry is None or entry.relay_from_authz is None:
            return None
        read = f"null reverse-path, identity {identity}"
        concluded = "may send with the null reverse-path, since an entry names it"
        return self._right("relay_from_authz", read, concluded, entry.relay_from_authz)

    # Right C, and what limits a right

    def _relay_to(self, entry: Entry | None) -> _Right | None:
        if entry is None:
            self.trail.check(
                "relay_to", False, f"recipient domain {self.recipient.domain}", "no entry answers for it"
            )
            return None
        setting = entry.relay_to
        if setting is None:
            self._silent("relay_to", "recipient", entry)
            return None
        read = f"recipient domain {entry.domain}, relay_to = {'true' if setting.value else 'false'}"
        if not setting.value:
            self.trail.at("relay_to", False, read, "mail to it is not relayed for strangers", setting)
            return None
        if entry.recipients is not None and not self._exists(entry.recipients):
            return None
        return self._right("relay_to", read, "mail to it is accepted from anyone", setting)

    def _exists(self, setting: Setting[str]) -> bool:
        """Whether the list of who exists at the domain holds the recipient."""
        known = self.tables.recipients.get(setting.value)
        holds = known is not None and self.recipient in known
        read = f"recipient {self.recipient}, recipients {PurePath(setting.value).name}"
        concluded = "it is on the list" if holds else "nobody is called so there"
        self.trail.at("recipients", holds, read, concluded, setting)
        if not holds:
            self.unknown = setting
        return holds

    def _routes(self) -> bool:
        if not self.recipient.routes:
            return False
        read = f"local part {self.recipient.local_part} asks for another host"
        allowed = self.context.allow_sender_routing
        concluded = (
            "allowed by allow_sender_routing" if allowed else "only for peers with a right of their own"
        )
        self.trail.check("sender-routing", not allowed, read, concluded, key="allow_sender_routing")
        return not allowed

    def _is_prohibited(self) -> bool:
        """Whether the recipient is a literal, written by a client, of a host that mail never goes to."""
        address = literal_address(self.recipient.domain)
        if address is None or self.context.written_by is not None:
            return False
        network = self.context.prohibited_hosts.find(address)
        if network is not None:
            read = f"address literal {self.recipient.domain} is in {network}"
            self.trail.check(
                "prohibited_hosts", True, read, "goes there only if an entry of its own has relay_to"
            )
        return network is not None

    # Reports

    def _examinations(self, entry: Entry | None, right: _Right | None) -> tuple[Examination, ...]:
        if entry is None or (entry.log_oob is None and entry.log_arf is None):
            return ()
        oob = self._examination("oob", entry.log_oob, right)
        arf = self._examination("arf", entry.log_arf, right)
        return tuple(examination for examination in (oob, arf) if examination is not None)

    def _examination(
        self, kind: ReportKind, setting: Setting[Any] | None, right: _Right | None
    ) -> Examination | None:
        if setting is None:
            return None
        option, mode = OPTION_OF[kind], setting.value
        read = f"recipient domain {self.recipient.domain}, {option} = {mode.value}"
        if not mode.logs:
            self.trail.at(option, False, read, "not examined", setting)
            return None
        if right is not None and setting.kind is KeyKind.DEFAULT:
            concluded = '"*" has only recipients without a right examined; this one may be relayed'
            self.trail.at(option, False, read, concluded, setting)
            return None
        self.trail.at(option, True, read, "a report is processed, logged and then judged", setting)
        return Examination(kind, mode, self.trail.by(setting))

    # Why related rules did not apply

    def _hints(self, entry: Entry | None) -> None:
        sender = self.sender_entry
        if entry is not None:
            self._shadowed(entry, "relay_to")
            if entry.relay_from is not None or entry.relay_from_authz is not None:
                self._other_side(entry.relay_from or entry.relay_from_authz, "relay_from", "sender")
        if sender is not None:
            self._shadowed(sender, "relay_from")
            self._shadowed(sender, "relay_from_authz")
            if sender.relay_to is not None and sender.relay_to.value:
                self._other_side(sender.relay_to, "relay_to", "recipient")

    def _other_side(self, setting: Setting[Any] | None, option: str, side: str) -> None:
        assert setting is not None
        self.trail.at(
            option, False, f'"{setting.key}" has it', f"it counts for the {side}'s domain only", setting
        )

    def _shadowed(self, entry: Entry, option: str) -> None:
        """Say which entry or section would have given the option, had another not answered first."""
        for ignored in entry.ignored:
            if ignored.option == option:
                read = f'section "{ignored.setting.section}" says {option} of "{ignored.setting.key}"'
                self.trail.at(option, False, read, ignored.why, ignored.setting)
        if getattr(entry, option) is not None or entry.found[0].kind is KeyKind.HANDLER:
            return
        above = self.tables.lookup_above(entry.domain)
        setting = getattr(above, option) if above is not None else None
        if setting is not None:
            read = f'"{setting.key}" says {option}'
            concluded = f'"{entry.found[0].key}" answers for {entry.domain} and inherits nothing'
            self.trail.at(option, False, read, concluded, setting)

    # Tools

    def _entry(self, domain: str, answer: HandlerAnswer | None) -> Entry | None:
        if answer is not None:
            return entry_of_answer(domain, answer)
        return self.tables.lookup(domain, self.scope)

    def _silent(self, option: str, side: str, entry: Entry) -> None:
        found = entry.found[0]
        read = f'{side} domain {entry.domain}, entry "{found.key}"'
        self.trail.at(option, False, read, f"it says nothing about {option}", found)

    def _right(self, rule: str, read: str, concluded: str, setting: Setting[Any]) -> _Right:
        self.trail.at(rule, True, read, concluded, setting)
        return _Right(rule, self.trail.by(setting))
