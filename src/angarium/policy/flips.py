"""What is the smallest change of the files that would turn this decision round?

Makes each change that could matter on values, asks the real `decide` again, and tells only those after which
the verdict is another: as file, line and text. Pure. What a handler decided, and a recipient that only has to
go in a transaction of its own, no line of a file can turn round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from angarium.policy.config import Configuration, Listener, Network, Source
from angarium.policy.context import Context, effective_recipient, sender_domain
from angarium.policy.decision import Decision, LogMode, Verdict
from angarium.policy.edits import Change, CountLines, Edit, Step, World, as_text
from angarium.policy.match import Entry, Raw, Scope, Setting
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import OPTION_OF

MAX_STEPS = 8
"""Rights that are taken away together at most."""


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """A change that turns the verdict into another; `also` is what must be changed together with it."""

    action: str
    file: str
    line: int
    text: str
    verdict: str
    also: tuple[Change, ...] = ()


def flips(configuration: Configuration, context: Context, count_lines: CountLines) -> list[Flip]:
    """The changes that turn the decision about this question round, each verified; easiest first."""
    world = World(configuration.domains, configuration.hash, context)
    return list(_Flipping(configuration, world, count_lines).flips())


class _Flipping:
    def __init__(self, configuration: Configuration, world: World, count_lines: CountLines) -> None:
        self._configuration = configuration
        self._world = world
        self._count_lines = count_lines
        self._decision = world.decide()

    def flips(self) -> Iterator[Flip]:
        verdict = self._decision.verdict
        if verdict is Verdict.RELAY:
            yield from self._taking_away()
        elif verdict is not Verdict.DEFER:
            for step in self._grants():
                yield from self._if_turned([step])
            if verdict is Verdict.REPORT_ONLY:
                yield from self._if_turned(self._ignoring())

    def _if_turned(self, steps: list[Step]) -> Iterator[Flip]:
        if not steps:
            return
        after = steps[-1][1].decide().verdict
        if after is not self._decision.verdict:
            first, *rest = (change for change, _ in steps)
            yield Flip(**msgspec.structs.asdict(first), verdict=after.value, also=tuple(rest))

    # What would let it through

    def _grants(self) -> Iterator[Step]:
        world, context = self._world, self._world.context
        recipient, sender = effective_recipient(context).domain, sender_domain(context)
        yield from self._set(world, recipient, "relay_to", True)
        yield from self._relay_hosts(world, [*context.relay_hosts, str(context.peer)])
        entry = self._entry(world, sender)
        peers = _texts(entry.relay_from if entry else None)
        yield from self._set(world, sender, "relay_from", (*peers, str(context.peer)))
        if context.identity is not None:
            names = _texts(entry.relay_from_authz if entry else None)
            yield from self._set(world, sender, "relay_from_authz", (*names, context.identity))
        if effective_recipient(context).routes:
            yield from self._allow_routing(world)

    def _allow_routing(self, world: World) -> Iterator[Step]:
        changed = msgspec.structs.replace(world.context, allow_sender_routing=True)
        listener = self._listener()
        if listener is not None:
            change = _add_below(listener, "allow_sender_routing = true")
            yield change, world._replace(context=changed)

    # What would stop it

    def _taking_away(self) -> Iterator[Flip]:
        """Take right after right away, until none is left."""
        steps: list[Step] = []
        world, decision = self._world, self._decision
        for _ in range(MAX_STEPS):
            step = next(self._without(world, decision), None)
            if step is None:
                break
            _append(steps, step)
            world = step[1]
            decision = world.decide()
        yield from self._if_turned(steps)

    def _without(self, world: World, decision: Decision) -> Iterator[Step]:
        """The change that takes away the right by which it is relayed."""
        context = world.context
        if decision.right == "relay_to":
            yield from self._set(world, effective_recipient(context).domain, "relay_to", False)
        elif decision.right == "relay_hosts":
            yield from self._relay_hosts(world, _without_peer(context.relay_hosts, context))
        elif decision.right == "postmaster" and context.postmaster_source is not None:
            source = context.postmaster_source
            change = Change("remove", source.file, source.line, f'postmaster = "{context.postmaster}"')
            yield change, world._replace(context=msgspec.structs.replace(context, postmaster=None))
        elif decision.right in ("relay_from", "relay_from_authz"):
            yield from self._without_sender(world, decision.right)

    def _without_sender(self, world: World, option: str) -> Iterator[Step]:
        context = world.context
        domain = sender_domain(context)
        setting = self._setting(world, domain, option)
        if option == "relay_from" and setting is not None:
            yield from self._set(
                world, domain, option, tuple(map(str, _without_peer(setting.value, context)))
            )
            return
        if setting is None or context.identity not in setting.value:  # for its bounces any entry will do
            domain = self._scope(world).identities.get(context.identity or "", "?")
            setting = self._setting(world, domain, option)
        if setting is not None and "?" not in domain:
            left = tuple(name for name in _texts(setting) if name != context.identity)
            yield from self._set(world, domain, option, left)

    def _setting(self, world: World, domain: str, option: str) -> Setting[Any] | None:
        entry = self._entry(world, domain)
        return getattr(entry, option) if entry is not None else None

    def _ignoring(self) -> list[Step]:
        """No kind of report is looked for any more."""
        steps: list[Step] = []
        world = self._world
        for examination in self._decision.examinations:
            domain = effective_recipient(world.context).domain
            off = LogMode.IGNORE.value
            for step in self._set(world, domain, OPTION_OF[examination.kind], off):
                _append(steps, step)
                world = step[1]
        return steps

    # Changes of the main file

    def _listener(self) -> Listener | None:
        label = self._world.context.listener
        return next((one for one in self._configuration.listeners if one.label == label), None)

    def _relay_hosts(self, world: World, networks: Iterable[Network | str]) -> Iterator[Step]:
        texts = tuple(dict.fromkeys(_short(str(network)) for network in networks))
        text = f"relay_hosts = {as_text(texts)}"
        source, listener = world.context.relay_hosts_source, self._listener()
        if source is not None:
            change = Change("replace", source.file, source.line, text)
        elif listener is not None:
            change = _add_below(listener, text)
        else:
            return
        changed = msgspec.structs.replace(world.context, relay_hosts=NetworkSet.parse(texts))
        yield change, world._replace(context=changed)

    # Changes of listener_domains

    def _entry(self, world: World, domain: str) -> Entry | None:
        return world.domains.lookup(domain, self._scope(world))

    def _scope(self, world: World) -> Scope:
        return world.domains.scope(world.context.listener, world.context.local)

    def _set(self, world: World, domain: str, option: str, raw: Raw) -> Iterator[Step]:
        """Set an option for one domain on this listener, where that takes the least."""
        edit = Edit(world, domain, option, raw, self._count_lines)
        yield from edit.steps(self._entry(world, domain))


def _append(steps: list[Step], step: Step) -> None:
    """Add a step; one that changes what an earlier one has added becomes part of it."""
    change, world = step
    for number, (earlier, _) in enumerate(steps):
        lines = earlier.text.splitlines()
        place = change.line - earlier.line
        if earlier.action == "add" and earlier.file == change.file and 0 <= place <= len(lines):
            lines[place : place + (change.action != "add")] = change.text.splitlines()
            joined = msgspec.structs.replace(earlier, text="\n".join(lines))
            del steps[number]
            steps.append((joined, world))
            return
    steps.append(step)


def _texts(setting: Setting[Any] | None) -> tuple[str, ...]:
    if setting is None:
        return ()
    value = setting.value
    return tuple(_short(str(each)) for each in (sorted(value) if isinstance(value, frozenset) else value))


def _without_peer(networks: NetworkSet, context: Context) -> list[Network]:
    return [network for network in networks if context.peer not in NetworkSet([network])]


def _short(network: str) -> str:
    """One address without its prefix length, as people write it."""
    return network.removesuffix("/128") if ":" in network else network.removesuffix("/32")


def _add_below(listener: Listener, text: str) -> Change:
    """A line for a listener's own table, directly below one of its lines."""
    source = listener.sources.get("listen") or Source("", 0)
    return Change("add", source.file, source.line + 1, text)
