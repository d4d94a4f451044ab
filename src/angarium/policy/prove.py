"""Who may relay where? A proof over every question that can be asked of a configuration.

Takes the cells of `policy.space` and puts them to the real `decide`: the sender's side (address, sender
domain, identity) apart from the recipient's, since a recipient may be relayed if either side gives a right.
Domains whose effective entries are equal are one class. The answers are folded into a few rows, each with
the lines that make it.

Promises that no cell is left out. Says of what an operator's handler decides only that it does: code cannot
be looked through from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from angarium.mail.address import Address
from angarium.policy.config import Configuration, Listener, Network
from angarium.policy.decision import DecidedBy, Decision, Verdict
from angarium.policy.match import NULL_PATH, Entry, Found, Setting
from angarium.policy.networks import IPAddress, NetworkSet
from angarium.policy.open_relay import believed, is_public_suffix, outsiders, peer_lists
from angarium.policy.regions import EVERY_IPV4, EVERY_IPV6, Cover, Region
from angarium.policy.space import (
    ANY_DOMAIN,
    STRANGER,
    ClassKey,
    Stance,
    Stand,
    View,
    overlays,
    peer_networks,
    recipients,
    senders,
    stands,
)

Answer = Literal["relay", "report-only", "refuse", "code"]
EVERYONE = Region((EVERY_IPV4, EVERY_IPV6))
HANDLER = "get_listener_domain"


class Rule(msgspec.Struct, frozen=True, order=True):
    """The line that makes a row; without a file, what holds by default."""

    file: str | None = None
    line: int | None = None
    section: str | None = None
    key: str | None = None
    handler: str | None = None

    def __str__(self) -> str:
        return "default" if self.file is None else f"{self.file}:{self.line}"

    @classmethod
    def of(cls, decided: DecidedBy) -> Rule:
        """Who decided, without the configuration's hash."""
        return cls(decided.file, decided.line, decided.section, decided.key, decided.handler)

    @classmethod
    def at(cls, place: Setting[Any] | Found) -> Rule:
        """The line of an option or an entry."""
        return cls(place.source.file, place.source.line, place.section, place.key, place.handler)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row: these peers, with these identities and senders, may send to these recipients."""

    listeners: tuple[str, ...]
    peers: Region = EVERYONE
    identities: tuple[str, ...] = ()
    """Empty: any, or none."""
    senders: tuple[str, ...] = ()
    """Keys, `*` for any other domain, `<>` for the null reverse-path; empty: any."""
    recipients: tuple[str, ...] = ()
    """Keys, `*`, `[*]` for any other literal, `[prohibited]`, `<Postmaster>`; empty: any."""
    routes: bool = False
    """It is about local parts that ask for another host (`user%host`)."""
    also_routes: bool = False
    """It is about those too, which are answered as the others are."""
    answer: Answer
    answer_with_right: Answer = "relay"
    """The answer to senders with a right of their own: not "relay" where mail never goes
    (`prohibited_hosts`).
    """
    right: str | None = None
    reports: tuple[str, ...] = ()
    """What is looked for in messages, as `log_oob LogThenDrop`."""
    reports_with_right: tuple[str, ...] = ()
    """The same for messages of senders with a right of their own."""
    rules: tuple[Rule, ...] = ()
    offends: str | None = None
    """Why it makes the server an open relay."""
    accepted: str | None = None
    """The operator's reason to accept that."""

    @property
    def is_offence(self) -> bool:
        """Whether it opens the relay and nobody accepted that."""
        return self.offends is not None and self.accepted is None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The table, and how much it stands for."""

    rows: tuple[Row, ...]
    cells: int
    """Questions told apart."""
    classes: int
    """Questions asked."""

    @property
    def by_code(self) -> bool:
        """Whether a handler decides, where it does not leave the answer to the files."""
        return any(row.answer == "code" for row in self.rows)

    @property
    def offences(self) -> tuple[Row, ...]:
        """The rows that open the relay."""
        return tuple(row for row in self.rows if row.is_offence)


def prove(configuration: Configuration) -> Proof:
    """Every answer that the configuration's files can give, as a table."""
    return _Proving(configuration).proof()


class _Line(msgspec.Struct, frozen=True):
    """What rows that differ only in their domains have in common, before they are folded."""

    row: Row
    domain: str | None = None
    rule: Rule | None = None


class _Proving:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.outsiders = outsiders(peer_lists(configuration))
        self.classes = 0

    def proof(self) -> Proof:
        each = [
            (stand, View(self.configuration, stand.listener, stand.local))
            for stand in stands(self.configuration)
        ]
        lines = [line for stand, view in each for line in self._by_address(stand, view)]
        lines += [line for stand, view in each for line in self._by_proxy(stand, view)]
        lines += self._by_code(each)
        by_scope: dict[int, list[tuple[Stand, View]]] = {}
        for stand, view in each:
            by_scope.setdefault(id(view.scope.section), []).append((stand, view))
        for sharing in by_scope.values():
            lines += self._by_sender(sharing)
        rights = list(_fold(lines))
        asked: dict[tuple[int, Stance], list[tuple[Stand, View, Region]]] = {}
        for stand, view in each:
            for stance, region in _stances(view).items():
                asked.setdefault((id(view.scope.section), stance), []).append((stand, view, region))
        answers = [
            line for (_, stance), sharing in asked.items() for line in self._by_recipient(stance, sharing)
        ]
        rows = (*rights, *sorted(_fold(answers), key=lambda row: _ORDER[row.answer]))
        return Proof(rows=rows, cells=_count_cells(self.configuration, each), classes=self.classes)

    # The sender's side

    def _by_address(self, stand: Stand, view: View) -> Iterator[_Line]:
        """Rows for the peers that relay_hosts names."""
        cover = Cover(peer_networks(stand.listener))
        held: dict[Rule, list[Any]] = {}
        for atom in cover.atoms:
            decision = self._count(view.by_address(atom.address))
            if decision.may_relay:
                held.setdefault(Rule.of(decision.decided_by), []).append(atom.network)
        for rule, networks in held.items():
            region = cover.region(networks)
            offends = "relay_hosts names a part of the Internet" if self._is_open(region) else None
            accepted = stand.listener.allow if offends else None
            yield _Line(
                Row(
                    listeners=(stand.label,),
                    peers=region,
                    answer="relay",
                    right="relay_hosts",
                    rules=(rule,),
                    offends=offends,
                    accepted=accepted,
                )
            )

    def _by_proxy(self, stand: Stand, view: View) -> Iterator[_Line]:
        """Rows for those who may say that they are somebody else, where that is everybody."""
        cover = Cover((*peer_networks(stand.listener), *_proxies(stand.listener)))
        held: dict[tuple[str, Rule], list[Any]] = {}
        for atom in cover.atoms:
            options = view.options(atom.address)
            for option in believed(options, atom.address):
                source = options.sources.get(option)
                rule = Rule(source.file, source.line, key=option) if source is not None else Rule()
                held.setdefault((option, rule), []).append(atom.network)
        for (option, rule), networks in held.items():
            region = cover.region(networks)
            if self._is_open(region):
                yield _Line(
                    Row(
                        listeners=(stand.label,),
                        peers=region,
                        answer="relay",
                        right=option,
                        rules=(rule,),
                        offends=f"{option} believes a part of the Internet: anyone may pass for another",
                        accepted=stand.listener.allow,
                    )
                )

    def _is_open(self, region: Region) -> bool:
        inside, outside = NetworkSet(region.networks), NetworkSet(region.but)
        return any(_is_in(peer, inside, outside) for peer in self.outsiders)

    def _by_code(self, each: Sequence[tuple[Stand, View]]) -> Iterator[_Line]:
        handler = self.configuration.hooks.handlers.get(HANDLER)
        if handler is not None:
            rule = Rule(handler.source.file, handler.source.line, handler=HANDLER)
            labels = tuple(stand.label for stand, _ in each)
            yield _Line(Row(listeners=labels, answer="code", rules=(rule,)))

    def _by_sender(self, sharing: Sequence[tuple[Stand, View]]) -> Iterator[_Line]:
        """Rows for the sender domains, the same on every stand with these sections."""
        view = sharing[0][1]
        labels = tuple(stand.label for stand, _ in sharing)
        for members in classes([view], senders([view])).values():
            for row in self._sender_class(view, members[0][1], labels):
                for key, name in members:
                    entry = view.tables.lookup(name, view.scope)
                    setting = getattr(entry, row.right or "", None) if entry is not None else None
                    rule = row.rules[0] if setting is None or key == NULL_PATH else Rule.at(setting)
                    accepted = _allowed(entry) if row.offends else None
                    yield _Line(msgspec.structs.replace(row, rules=(), accepted=accepted), key, rule)

    def _sender_class(self, view: View, name: str, labels: tuple[str, ...]) -> Iterator[Row]:
        """What senders of a class may do: by their network, or by their identity."""
        entry = view.tables.lookup(name, view.scope)
        cover = Cover(entry.relay_from.value if entry is not None and entry.relay_from is not None else ())
        held: dict[tuple[str, Rule, Region], list[str]] = {}
        for identity in _identities(view, name, entry):
            found: dict[tuple[str, Rule], list[Any]] = {}
            for atom in cover.atoms:
                decision = self._count(view.by_sender(atom.address, identity, name))
                if decision.right is not None:
                    found.setdefault((decision.right, Rule.of(decision.decided_by)), []).append(atom.network)
            for (right, rule), networks in found.items():
                by_network = right == "relay_from"
                region = cover.region(networks) if by_network else EVERYONE
                held.setdefault((right, rule, region), []).append(identity or "")
        for (right, rule, region), identities in held.items():
            anyone = "" in identities
            offends = anyone and self._is_open(region)
            yield Row(
                listeners=labels,
                peers=region,
                identities=() if anyone else tuple(identities),
                answer="relay",
                right=right,
                rules=(rule,),
                offends="relay_from names a part of the Internet, and anyone can write that sender"
                if offends
                else None,
            )

    # The recipient's side

    def _by_recipient(self, stance: Stance, sharing: Sequence[tuple[Stand, View, Region]]) -> Iterator[_Line]:
        view = sharing[0][1]
        labels: dict[Region, list[str]] = {}
        for stand, _, region in sharing:
            labels.setdefault(region, []).append(stand.label)
        for members in classes([view], recipients([view])).values():
            for row in self._recipient_class(view, members[0][1], stance):
                for region, names in labels.items():
                    shared = msgspec.structs.replace(row, listeners=tuple(names), peers=region)
                    yield from self._members(view, shared, members)

    def _members(self, view: View, row: Row, members: Sequence[tuple[str, Address]]) -> Iterator[_Line]:
        for key, address in members:
            entry = view.tables.lookup(address.domain, view.scope)
            setting = _setting(entry, row)
            rule = row.rules[0] if setting is None else Rule.at(setting)
            offends = _offence(key) if row.right == "relay_to" else None
            accepted = _allowed(entry) if offends else None
            yield _Line(msgspec.structs.replace(row, rules=(), offends=offends, accepted=accepted), key, rule)

    def _recipient_class(self, view: View, address: Address, stance: Stance) -> Iterator[Row]:
        plain = self._recipient_row(view, address, stance)
        if address.local_part.lower() == "postmaster":
            yield plain
            return
        asked = Address(f"{address.local_part}%elsewhere", address.domain)
        routing = self._recipient_row(view, asked, stance)
        if routing.answer == "refuse":
            yield plain  # what a right of its own gives, it gives to every local part
        elif routing == plain:
            yield msgspec.structs.replace(plain, also_routes=True)
        else:
            yield from (plain, msgspec.structs.replace(routing, routes=True))

    def _recipient_row(self, view: View, asked: Address, stance: Stance) -> Row:
        stranger = self._count(view.to(asked, stance, righted=False))
        righted = self._count(view.to(asked, stance, righted=True))
        return Row(
            listeners=(),
            answer=_ANSWERS[stranger.verdict],
            answer_with_right=_ANSWERS[righted.verdict],
            right=stranger.right,
            reports=_reports(stranger),
            reports_with_right=_reports(righted),
            rules=(Rule.of(stranger.decided_by),),
        )

    def _count(self, decision: Decision) -> Decision:
        self.classes += 1
        return decision


_ANSWERS: dict[Verdict, Answer] = {
    Verdict.RELAY: "relay",
    Verdict.REPORT_ONLY: "report-only",
    Verdict.REFUSE: "refuse",
}
_ORDER = {"code": 0, "relay": 1, "report-only": 2, "refuse": 3}


def classes(views: Sequence[View], named: Mapping[str, Any]) -> dict[ClassKey, list[tuple[str, Any]]]:
    """The classes of domains that must have the same answers, with their members."""
    found: dict[ClassKey, list[tuple[str, Any]]] = {}
    for key, name in named.items():
        if isinstance(name, str):
            of_name = (name == NULL_PATH, *(part for view in views for part in view.class_of(name)))
        else:
            special = key if key[:1] in "[<" or name.local_part.lower() == "postmaster" else None
            of_name = (special, *(part for view in views for part in view.class_of(name.domain)))
        found.setdefault(of_name, []).append((key, name))
    return found


def _identities(view: View, name: str, entry: Entry | None) -> list[str | None]:
    """No identity, one that nothing names, and those that this sender's answer can depend on."""
    named: Iterable[str] = ()
    if entry is not None and entry.relay_from_authz is not None:
        named = sorted(entry.relay_from_authz.value)
    if name == NULL_PATH:
        named = dict.fromkeys((*named, *view.scope.identities))
    return [None, STRANGER, *named]


def _proxies(listener: Listener) -> Iterator[Network]:
    """Every network whose clients are believed to speak for others."""
    for option in ("xclient_hosts", "proxy_hosts"):
        yield from getattr(listener.options, option)
        for overlay in overlays(listener.peer, listener.via):
            yield from overlay.options.get(option, ())


def _is_in(peer: IPAddress, inside: NetworkSet, outside: NetworkSet) -> bool:
    network, hole = inside.find(peer), outside.find(peer)
    return network is not None and (hole is None or hole.prefixlen < network.prefixlen)


def _stances(view: View) -> dict[Stance, Region]:
    """Which peers have which stance."""
    cover = Cover(peer_networks(view.listener))
    held: dict[Stance, list[Any]] = {}
    for atom in cover.atoms:
        held.setdefault(view.stance(atom.address), []).append(atom.network)
    return {stance: cover.region(networks) for stance, networks in held.items()}


def _reports(decision: Decision) -> tuple[str, ...]:
    return tuple(f"log_{one.kind} {one.mode.value}" for one in decision.examinations)


def _setting(entry: Entry | None, row: Row) -> Setting[Any] | Found | None:
    """Where the entry says what the row says; None where no entry does."""
    if entry is None or row.right == "postmaster":
        return None
    if row.right is not None:
        return getattr(entry, row.right, None)
    if row.reports:
        return getattr(entry, row.reports[0].partition(" ")[0], None)
    return entry.relay_to or entry.found[0]


def _allowed(entry: Entry | None) -> str | None:
    return entry.allow.value if entry is not None and entry.allow is not None else None


def _offence(key: str) -> str | None:
    if key == ANY_DOMAIN:
        return "anyone may send to any domain"
    if key.startswith("*.") and is_public_suffix(key[2:]):
        return f"{key} is far more than one's own domains"
    return None


def _count_cells(configuration: Configuration, each: Sequence[tuple[Stand, View]]) -> int:
    """How many questions there are: peers, identities, senders and recipients told apart, on every stand."""
    lists = [network for networks in peer_lists(configuration) for network in networks]
    peers = len(Cover(lists).atoms)
    return sum(
        peers * (len(view.scope.identities) + 2) * len(senders([view])) * 2 * len(recipients([view]))
        for _, view in each
    )


def _fold(lines: Iterable[_Line]) -> Iterator[Row]:
    """Rows that differ only in their domains become one; then those that differ only in their listeners."""
    rows: dict[Row, tuple[dict[str, None], dict[Rule, None]]] = {}
    for line in lines:
        domains, rules = rows.setdefault(line.row, ({}, {}))
        if line.domain is not None:
            domains[line.domain] = None
        if line.rule is not None:
            rules[line.rule] = None
    filled = [
        _filled(row, tuple(domains), tuple(rules)) if domains else row
        for row, (domains, rules) in rows.items()
    ]
    listeners: dict[Row, dict[str, None]] = {}
    for row in filled:
        key = msgspec.structs.replace(row, listeners=())
        listeners.setdefault(key, {}).update(dict.fromkeys(row.listeners))
    for row, labels in listeners.items():
        yield msgspec.structs.replace(row, listeners=tuple(labels))


def _filled(row: Row, domains: tuple[str, ...], rules: tuple[Rule, ...]) -> Row:
    if row.right in ("relay_from", "relay_from_authz"):
        return msgspec.structs.replace(row, senders=domains, rules=rules)
    return msgspec.structs.replace(row, recipients=domains, rules=rules)


def places(rules: Sequence[Rule]) -> str:
    """The lines of a row, in a few words: `a.toml:3`, or `a.toml:3 … 19 (5 lines)`."""
    files: dict[str, list[int]] = {}
    for rule in rules:
        if rule.file is not None:
            files.setdefault(rule.file, []).append(rule.line or 1)
    texts = [_lines(file, sorted(set(lines))) for file, lines in files.items()]
    if any(rule.file is None for rule in rules):
        texts.append("default")
    return ", ".join(texts)


def _lines(file: str, lines: list[int]) -> str:
    if len(lines) <= 3:
        return f"{file}:{','.join(map(str, lines))}"
    return f"{file}:{lines[0]}…{lines[-1]} ({len(lines)} lines)"
