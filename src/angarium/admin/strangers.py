"""Does the operator's own code let strangers relay?

What files say is proved; code can only be asked. So strangers are made up, from each part of the Internet
and with senders and recipients that nobody has, and each plays a session (`admin.rehearsal`) with every
handler in it. One that is let in by `get_listener_domain` shows that the relay is open; that none is proves
nothing about other names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import islice
from typing import NamedTuple

from angarium.admin.rehearsal import Answer, NoResolver, Play, rehearse
from angarium.policy.config import Configuration, Listener
from angarium.policy.decision import Verdict
from angarium.policy.listeners import effective_options
from angarium.policy.match import NULL_PATH
from angarium.policy.networks import IPAddress, parse_network
from angarium.policy.open_relay import believed, outsiders, peer_lists
from angarium.policy.prove import EVERYONE, HANDLER, Row, Rule
from angarium.policy.regions import Region
from angarium.policy.views import Endpoint
from angarium.reception.door import Whereabouts

NAMES = tuple(
    f"prove-7c1e9a40d2.{suffix}" for suffix in ("com", "net", "org", "example", "de", "co.uk", "a.b.c.info")
)
"""Domains that nobody has, and no list has either."""
MAX_OWN = 5
"""Sender domains of the files that a stranger pretends to be of."""
MAX_FAILURES = 3
"""Handlers that fail so often are asked no more: each may have waited for a directory that is away."""

_QUARTERS = tuple(
    (parse_network(text),) for text in ("0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/2")
)


@dataclass(slots=True)
class Asked:
    """What strangers were answered."""

    sessions: int = 0
    failures: list[str] = field(default_factory=list)
    """Handlers that failed, which lets nobody in, and says nothing."""
    rows: list[Row] = field(default_factory=list)
    """How strangers were let in by code, each an offence."""


class _Way(NamedTuple):
    """By which right a stranger was let in, and where it is given."""

    right: str
    rule: Rule


@dataclass(slots=True, frozen=True)
class _Stranger:
    listener: Listener
    peer: IPAddress
    sender: str
    recipient: str

    @property
    def play(self) -> Play:
        local = ip_address(self.listener.host)
        where = Whereabouts(self.listener, Endpoint(self.peer, 40_000), Endpoint(local, self.listener.port))
        return Play(where=where, sender=self.sender, recipients=[self.recipient], is_encrypted=True)


async def ask_strangers(configuration: Configuration) -> Asked:
    """Let strangers try each listener that has no reason to be open. Runs handlers, side effects and all."""
    asked = Asked()
    let_in: dict[_Way, list[_Stranger]] = {}
    for stranger in _strangers(configuration):
        outcome = await rehearse(configuration, stranger.play, NoResolver())
        asked.sessions += 1
        for answer in outcome.answers:
            if (way := _way(answer)) is not None:
                let_in.setdefault(way, []).append(stranger)
            failed = (call for call in answer.calls if call.answer.startswith("failed"))
            asked.failures += [
                f"{call.file}:{call.line}: {call.event} {call.answer}" for call in islice(failed, 1)
            ]
        if len(asked.failures) >= MAX_FAILURES:
            break
    asked.rows = [_row(way, strangers) for way, strangers in let_in.items()]
    return asked


def _strangers(configuration: Configuration) -> Iterator[_Stranger]:
    peers = outsiders([*peer_lists(configuration), *_QUARTERS])
    own = islice((key for key, _ in configuration.domains.top.items() if key[0] not in "*[<"), MAX_OWN)
    senders = ["", *(f"someone@{name}" for name in (NAMES[0], configuration.hostname, *own))]
    for listener in configuration.listeners:
        if listener.allow is None:
            reach = list(_reach(listener, peers))
            for peer in _one_a_version(reach):
                for name in NAMES:
                    yield _Stranger(listener, peer, f"someone@{NAMES[0]}", f"someone@{name}")
            for peer in reach:
                for sender in senders:
                    yield _Stranger(listener, peer, sender, f"someone@{NAMES[1]}")


def _reach(listener: Listener, peers: Iterable[IPAddress]) -> Iterator[IPAddress]:
    """The outsiders who can connect and speak for themselves."""
    local = ip_address(listener.host)
    for peer in dict.fromkeys(peers):
        comes = peer.version == local.version or (local.version == 6 and local.is_unspecified)
        if comes and not believed(effective_options(listener, peer, local), peer):
            yield peer


def _one_a_version(peers: Iterable[IPAddress]) -> Iterable[IPAddress]:
    return {peer.version: peer for peer in peers}.values()


def _way(answer: Answer) -> _Way | None:
    """How the handler let a stranger in, if it did."""
    decision = answer.decision
    if decision is None or decision.verdict is not Verdict.RELAY or answer.reply.is_refusal:
        return None
    decided = decision.decided_by
    if decided.handler != HANDLER:
        return None
    return _Way(decision.right or "", Rule(decided.file, decided.line, handler=HANDLER))


def _row(way: _Way, strangers: Sequence[_Stranger]) -> Row:
    """All who were let in alike."""
    by_recipient = way.right == "relay_to"
    addresses = [stranger.recipient if by_recipient else stranger.sender for stranger in strangers]
    domains = tuple(dict.fromkeys(address.rpartition("@")[2] or NULL_PATH for address in addresses))
    said = f"mail to {domains[0]}" if by_recipient else f"mail from {domains[0]} to anywhere"
    peers = dict.fromkeys(ip_network(stranger.peer) for stranger in strangers)
    return Row(
        listeners=tuple(dict.fromkeys(stranger.listener.label for stranger in strangers)),
        peers=EVERYONE if by_recipient else Region(tuple(peers)),
        senders=() if by_recipient else domains,
        recipients=domains if by_recipient else (),
        answer="relay",
        right=way.right,
        rules=(way.rule,),
        offends=f"{HANDLER} lets strangers relay {said}",
    )
