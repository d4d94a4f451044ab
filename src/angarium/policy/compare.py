"""Which answers change between two configurations?

Divides the questions by what either configuration tells apart, asks both through the real `decide`, the
sender's side apart from the recipient's, and folds the cells whose answer differs into rows. An answer is
the reply, what reports are looked for and where the mail goes; which line gives it is told, but is no
difference. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from angarium.mail.address import Address
from angarium.policy.config import Configuration, Listener, Network
from angarium.policy.decision import Decision, Verdict
from angarium.policy.match import NULL_PATH, Entry
from angarium.policy.networks import IPAddress, NetworkSet
from angarium.policy.prove import EVERYONE, HANDLER, Answer, Rule, classes
from angarium.policy.regions import EVERY_IPV4, EVERY_IPV6, Cover, Region
from angarium.policy.space import (
    ANY_DOMAIN,
    STRANGER,
    Stance,
    Stand,
    View,
    peer_networks,
    recipients,
    senders,
    stands,
)

WITHOUT_RIGHT = "without a right of their own"
WITH_RIGHT = "with a right of their own"
HAD_NONE = "that had no right of their own"
HAVE_NONE = "that have no right of their own any more"


class Outcome(msgspec.Struct, frozen=True):
    """An answer, and the line that gives it."""

    answer: Answer
    reports: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    goes_to: str | None = None
    """Where the mail goes, if not where it is addressed."""
    line_endings: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Mail from these to these, answered otherwise."""

    listeners: tuple[str, ...]
    peers: Region = EVERYONE
    who: str | None = None
    """Whose, if not of everyone that the row names: WITHOUT_RIGHT, WITH_RIGHT, HAD_NONE or HAVE_NONE."""
    identities: tuple[str, ...] = ()
    but_identities: tuple[str, ...] = ()
    """Where no identity is needed: those whose answer stays."""
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    """Keys, as in a proof's rows; empty: any."""
    but: tuple[str, ...] = ()
    """Where any other domain is among the recipients: the keys that keep their answer."""
    routes: bool = False
    before: Outcome
    after: Outcome


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What changes, and what cannot be compared."""

    changes: tuple[Change, ...]
    listeners: tuple[str, ...]
    """Those that both have."""
    gone: tuple[str, ...]
    """Listeners that are no more."""
    new: tuple[str, ...]
    by_code: bool
    """A handler decides in one of them: the changes are those where it returns None."""

    @property
    def is_same(self) -> bool:
        """Whether every question has the answer it had."""
        return not (self.changes or self.gone or self.new)


def compare(old: Configuration, new: Configuration) -> Comparison:
    """Every answer that differs between two configurations."""
    was = {listener.label: listener for listener in old.listeners}
    labels = {listener.label for listener in new.listeners}
    shared = [stand for stand in stands(new, old) if stand.listener.label in was]
    changes = [
        change for stand in shared for change in _Pair(old, new, was[stand.listener.label], stand).changes()
    ]
    return Comparison(
        changes=tuple(sorted(_by_listener(changes), key=_weight)),
        listeners=tuple(stand.label for stand in shared),
        gone=tuple(label for label in was if label not in labels),
        new=tuple(listener.label for listener in new.listeners if listener.label not in was),
        by_code=any(HANDLER in one.hooks.handlers for one in (old, new)),
    )


class _Group(NamedTuple):
    """What peers that are alike have before and after: the right of their address, and their stance."""

    had: bool
    has: bool
    old: Stance
    new: Stance


class _Block(NamedTuple):
    """Senders that gained or lost a right of their own."""

    gained: bool
    old: Stance
    new: Stance
    peers: Region
    identities: tuple[str, ...]
    but_identities: tuple[str, ...]
    rule: Rule
    senders: tuple[str, ...] = ()
    """Keys; empty: any."""
    who: str | None = None


class _Pair:
    """One stand, before and after."""

    def __init__(self, old: Configuration, new: Configuration, was: Listener, stand: Stand) -> None:
        self.label = stand.label
        self.old = View(old, was, stand.local)
        self.new = View(new, stand.listener, stand.local)
        self.views = (self.old, self.new)
        self.networks = (*peer_networks(was), *peer_networks(stand.listener))
        self.cover = Cover(self.networks)
        self.holders = NetworkSet((EVERY_IPV4, EVERY_IPV6, *self.networks))
        self.groups = {atom.network: self._group(atom.address) for atom in self.cover.atoms}

    def _group(self, peer: IPAddress) -> _Group:
        had, has = (view.by_address(peer).may_relay for view in self.views)
        return _Group(had, has, self.old.stance(peer), self.new.stance(peer))

    def changes(self) -> Iterator[Change]:
        blocks = list(self._blocks())
        for old, new in dict.fromkeys((group.old, group.new) for group in self.groups.values()):
            networks = [net for net, group in self.groups.items() if (group.old, group.new) == (old, new)]
            mine = [block for block in blocks if (block.old, block.new) == (old, new)]
            yield from _Recipients(self, old, new, self.cover.region(networks), mine).changes()

    # Who gained, who lost a right

    def _blocks(self) -> Iterator[_Block]:
        yield from self._by_address()
        found: dict[_Block, list[str]] = {}
        for members in classes(self.views, senders(self.views)).values():
            name = members[0][1]
            entries = [view.tables.lookup(name, view.scope) for view in self.views]
            if not self._is_same(name, entries):
                for block in self._class_blocks(name, entries):
                    found.setdefault(block, []).extend(key for key, _ in members)
        every = set(senders(self.views))
        for block, keys in found.items():
            yield block._replace(senders=() if set(keys) == every else tuple(keys))

    def _by_address(self) -> Iterator[_Block]:
        """Peers that relay_hosts names now or named before: no sender of theirs needs another right."""
        moved: dict[tuple[bool, Stance, Stance, Rule], list[Network]] = {}
        for atom in self.cover.atoms:
            group = self.groups[atom.network]
            if group.had is not group.has:
                decision = (self.new if group.has else self.old).by_address(atom.address)
                key = group.has, group.old, group.new, Rule.of(decision.decided_by)
                moved.setdefault(key, []).append(atom.network)
        for (gained, old, new, rule), networks in moved.items():
            region = self.cover.region(networks)
            yield _Block(gained, old, new, region, (), (), rule, (), HAD_NONE if gained else HAVE_NONE)

    def _is_same(self, name: str, entries: list[Entry | None]) -> bool:
        first, second = (_grants(entry) for entry in entries)
        if name == NULL_PATH and self.old.scope.identities.keys() != self.new.scope.identities.keys():
            return False
        return first == second

    def _class_blocks(self, name: str, entries: list[Entry | None]) -> Iterator[_Block]:
        named = [net for entry in entries if entry and entry.relay_from for net in entry.relay_from.value]
        cover = Cover((*self.networks, *named)) if named else self.cover
        held: dict[tuple[Any, ...], dict[str, list[Network]]] = {}
        identities = self._identities(name, entries)
        for atom in cover.atoms:
            network = self.holders.find(atom.address)
            group = self.groups[network] if network in self.groups else self._group(atom.address)
            if group.had or group.has:
                continue
            for identity in identities:
                moved = self._moved(atom.address, identity, name)
                if moved is not None:
                    by_identity = held.setdefault((moved[0], group.old, group.new, moved[1]), {})
                    by_identity.setdefault(identity or "", []).append(atom.network)
        for (gained, old, new, rule), by_identity in held.items():
            for region, names in _by_region(cover, by_identity).items():
                if "" in names:
                    but = tuple(one for one in identities if one is not None and one not in names)
                    yield _Block(gained, old, new, region, (), but, rule)
                else:
                    yield _Block(gained, old, new, region, tuple(names), (), rule)

    def _moved(self, peer: IPAddress, identity: str | None, name: str) -> tuple[bool, Rule] | None:
        """Whether a right of the sender's own came or went, and the line that gives or gave it."""
        had, has = (view.by_sender(peer, identity, name) for view in self.views)
        if had.may_relay is has.may_relay:
            return None
        return has.may_relay, Rule.of((has if has.may_relay else had).decided_by)

    def _identities(self, name: str, entries: list[Entry | None]) -> list[str | None]:
        named = dict.fromkeys(
            identity
            for entry in entries
            if entry is not None and entry.relay_from_authz is not None
            for identity in sorted(entry.relay_from_authz.value)
        )
        if name == NULL_PATH:
            named |= dict.fromkeys((*self.old.scope.identities, *self.new.scope.identities))
        return [None, STRANGER, *named]

    @property
    def keeps_rights(self) -> bool:
        """Whether some sender may have a right of its own both before and after."""
        had = any(group.had for group in self.groups.values()) or _has_grants(self.old)
        return had and (any(group.has for group in self.groups.values()) or _has_grants(self.new))


class _Recipients:
    """The recipient's side, for peers of one stance before and one after."""

    def __init__(self, pair: _Pair, old: Stance, new: Stance, region: Region, blocks: list[_Block]) -> None:
        self.pair = pair
        self.old = old
        self.new = new
        self.region = region
        self.blocks = blocks
        self.every = recipients(pair.views)

    def changes(self) -> Iterator[Change]:
        rows: dict[tuple[str, bool, Outcome, Outcome], dict[str, tuple[Outcome, Outcome]]] = {}
        for members in classes(self.pair.views, self.every).values():
            for whom, routes, before, after in self._class(members[0][1]):
                row = rows.setdefault((whom, routes, _plain(before), _plain(after)), {})
                for key, address in members:
                    row[key] = self._own_rules(address, whom, before, after)
        for (whom, routes, before, after), found in rows.items():
            base = self._change(whom, before, after, found, routes=routes)
            if whom not in _MOVED:
                yield base
            for block in self.blocks:
                if whom == _MOVED[not block.gained]:
                    yield _of_block(base, block)

    def _class(self, address: Address) -> Iterator[tuple[str, bool, Outcome, Outcome]]:
        """Which of the senders see a change with this recipient."""
        plain: dict[str, tuple[Outcome, Outcome]] = {}
        for routes in (False, True):
            asked = Address(f"{address.local_part}%elsewhere", address.domain) if routes else address
            for whom, *pair in self._asked(asked):
                before, after = _without_details(*pair) if whom in _MOVED else pair
                if routes and whom in plain and _same(plain[whom], (before, after)):
                    continue
                if not routes:
                    plain[whom] = before, after
                yield whom, routes, before, after

    def _asked(self, address: Address) -> Iterator[tuple[str, Outcome, Outcome]]:
        stranger = [_outcome(self._ask(view, address, righted=False)) for view in self.pair.views]
        righted = [_outcome(self._ask(view, address, righted=True)) for view in self.pair.views]
        asked = [(WITHOUT_RIGHT, stranger[0], stranger[1])]
        if self.pair.keeps_rights:
            asked.append((WITH_RIGHT, righted[0], righted[1]))
        if any(block.gained for block in self.blocks):
            asked.append((_GAINED, stranger[0], righted[1]))
        if not all(block.gained for block in self.blocks):
            asked.append((_LOST, righted[0], stranger[1]))
        return (row for row in asked if not _equal(row[1], row[2]))

    def _ask(self, view: View, address: Address, *, righted: bool) -> Decision:
        return view.to(address, self.old if view is self.pair.old else self.new, righted=righted)

    def _own_rules(
        self, address: Address, whom: str, before: Outcome, after: Outcome
    ) -> tuple[Outcome, Outcome]:
        """The lines that answer for this very domain, in place of its class's."""
        if whom in _MOVED:
            return before, after
        righted = whom == WITH_RIGHT
        own = [_rule(self._ask(view, address, righted=righted), righted=righted) for view in self.pair.views]
        return (
            msgspec.structs.replace(before, rules=(own[0],)),
            msgspec.structs.replace(after, rules=(own[1],)),
        )

    def _change(
        self,
        whom: str,
        before: Outcome,
        after: Outcome,
        found: dict[str, tuple[Outcome, Outcome]],
        *,
        routes: bool,
    ) -> Change:
        keys = tuple(found)
        but = tuple(key for key in self.every if key not in found) if ANY_DOMAIN in found else ()
        rules = [
            tuple(dict.fromkeys(rule for pair in found.values() for rule in pair[n].rules)) for n in (0, 1)
        ]
        return Change(
            listeners=(self.pair.label,),
            peers=self.region,
            who=whom,
            recipients=() if len(keys) == len(self.every) else keys,
            but=but,
            routes=routes,
            before=msgspec.structs.replace(before, rules=rules[0]),
            after=msgspec.structs.replace(after, rules=rules[1]),
        )


_GAINED, _LOST = "gained", "lost"
_MOVED = (_GAINED, _LOST)
"""Whom rows are about before they are told for each block of senders."""


def _of_block(change: Change, block: _Block) -> Change:
    """A change for those who gained or lost a right, told for one block of them."""
    before, after, rule = change.before, change.after, (block.rule,)
    return msgspec.structs.replace(
        change,
        peers=block.peers,
        who=block.who,
        identities=block.identities,
        but_identities=block.but_identities,
        senders=block.senders,
        before=before if block.gained else msgspec.structs.replace(before, rules=rule),
        after=msgspec.structs.replace(after, rules=rule) if block.gained else after,
    )


_ANSWERS: dict[Verdict, Answer] = {
    Verdict.RELAY: "relay",
    Verdict.REPORT_ONLY: "report-only",
    Verdict.REFUSE: "refuse",
}


def _outcome(decision: Decision) -> Outcome:
    goes_to = str(decision.recipient) if decision.right == "postmaster" else None
    endings = decision.invalid_line_endings
    return Outcome(
        _ANSWERS[decision.verdict],
        tuple(f"log_{one.kind} {one.mode.value}" for one in decision.examinations),
        (Rule.of(decision.decided_by),),
        goes_to,
        endings.value if endings is not None else None,
    )


def _rule(decision: Decision, *, righted: bool) -> Rule:
    """The line that counts: for senders with a right it is not the one that gives the right."""
    examined = decision.examinations
    return Rule.of(examined[0].decided_by if righted and examined else decision.decided_by)


def _without_details(before: Outcome, after: Outcome) -> tuple[Outcome, Outcome]:
    """What counts where a right came or went: whether mail is relayed, before all else."""
    if before.answer == after.answer:
        return before, after
    return Outcome(before.answer, rules=before.rules), Outcome(after.answer, rules=after.rules)


def _plain(outcome: Outcome) -> Outcome:
    """The answer without its lines."""
    return msgspec.structs.replace(outcome, rules=())


def _equal(first: Outcome, second: Outcome) -> bool:
    return _plain(first) == _plain(second)


def _same(first: tuple[Outcome, Outcome], second: tuple[Outcome, Outcome]) -> bool:
    return all(_equal(one, other) for one, other in zip(first, second, strict=True))


def _grants(entry: Entry | None) -> tuple[Any, Any]:
    if entry is None:
        return None, None
    by_network = entry.relay_from.value if entry.relay_from else None
    return by_network or None, (entry.relay_from_authz.value if entry.relay_from_authz else None) or None


def _has_grants(view: View) -> bool:
    return any(
        option in ("relay_from", "relay_from_authz") and raw
        for shape in view.tables.shapes
        for option, raw, _ in shape.options
    )


def _by_region(cover: Cover, by_identity: dict[str, list[Network]]) -> dict[Region, list[str]]:
    found: dict[Region, list[str]] = {}
    for identity, networks in by_identity.items():
        found.setdefault(cover.region(networks), []).append(identity)
    return found


def _weight(change: Change) -> tuple[bool, bool]:
    """What is answered otherwise comes before what is only examined otherwise, the usual before the odd."""
    return change.routes, change.before.answer == change.after.answer


def _by_listener(changes: Iterable[Change]) -> list[Change]:
    """Changes that differ only in their listeners become one; so do equal ones with and without a right."""
    labels: dict[Change, dict[str, None]] = {}
    for change in changes:
        key = msgspec.structs.replace(change, listeners=())
        labels.setdefault(key, {}).update(dict.fromkeys(change.listeners))
    merged = [msgspec.structs.replace(change, listeners=tuple(names)) for change, names in labels.items()]
    return _with_and_without(merged)


def _with_and_without(changes: list[Change]) -> list[Change]:
    kept: dict[tuple[Any, ...], Change] = {}
    for change in changes:
        key: tuple[Any, ...] = (change,)
        if change.who in (WITHOUT_RIGHT, WITH_RIGHT):
            key = (change.listeners, change.peers, change.recipients, change.routes)
            key += (_plain(change.before), _plain(change.after))
        if key in kept and kept[key].who != change.who:
            kept[key] = msgspec.structs.replace(kept[key], who=None)
        else:
            kept[key] = change
    return list(kept.values())
