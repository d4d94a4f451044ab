"""What would the server answer to this client, why, and what would change that?

Plays the session (`admin.rehearsal`) and tells of each recipient: the verdict, the reply, every check with
file and line, the route, and the smallest changes of the files that would turn the verdict round. The values
come out as JSON says them; `cli.explain` writes them for people.
"""

from __future__ import annotations

import base64
import binascii
import logging
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec

from angarium.admin.changes import as_written, change_as_written
from angarium.admin.rehearsal import NAME, Answer, NoResolver, Outcome, Play, rehearse
from angarium.delivery.plan import NoRoute
from angarium.delivery.resolve import PROHIBITED_HOSTS, Own, Rules, resolve
from angarium.mail.address import Address, AddressError
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.status import Reply
from angarium.net.dns import Resolver
from angarium.net.local import is_local_address
from angarium.policy.bindings import parse_socket
from angarium.policy.config import Configuration, Listener, QueueConfig, Source
from angarium.policy.decision import Check, DecidedBy
from angarium.policy.flips import Flip, flips
from angarium.policy.hooks import HandlerCall, Hooks
from angarium.policy.networks import IPAddress, canonical_address, parse_address
from angarium.policy.route import QueueName, RouteError, next_hop
from angarium.policy.views import Endpoint
from angarium.queue.intake import Arrival, queue_name
from angarium.reception.door import Whereabouts

PEER_PORT = 40_000
QUEUE_OPTIONS = ("retry_interval", "max_retry_interval", "max_age", "connection_limit",
                 "max_deliveries_per_connection", "smtp_port")  # fmt: skip
"""What is told of a queue, besides where it leads."""

log = logging.getLogger(__name__)


class QuestionError(Exception):
    """A question that makes no sense; the text says what to ask instead."""


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A session that is only thought of."""

    peer: str
    sender: str
    """`""` and `<>` are the null reverse-path."""
    recipients: list[str]
    listener: str | None = None
    """Name, listen text, `ip:port` or `ip`; None: the only one there is."""
    identity: str | None = None
    tls: bool = False
    message: str | None = None
    """Content in base64."""
    resolve: bool = False
    handlers: bool = True
    helo: str | None = None
    """What it calls itself; None: a name of no meaning."""


async def explain(
    configuration: Configuration, question: Question, resolver: Resolver | None
) -> list[dict[str, Any]]:
    """One row for each recipient, in their order; raises QuestionError."""
    not_asked = [] if question.handlers else _asked_in_sessions(configuration.hooks)
    if not question.handlers:
        configuration = msgspec.structs.replace(configuration, hooks=Hooks())
    play = _play(configuration, question)
    used = resolver if question.resolve and resolver is not None else NoResolver()
    outcome = await rehearse(configuration, play, used)
    if not outcome.answers:
        raise QuestionError("the session ends before a recipient is named: is the peer one of your proxies?")
    telling = _Telling(configuration, outcome, used if question.resolve else None)
    return [await telling.row(answer) | {"not_asked": not_asked} for answer in outcome.answers]


def _asked_in_sessions(hooks: Hooks) -> list[dict[str, Any]]:
    """The handlers that a session would ask."""
    return [
        {"event": event, "file": handler.source.file, "line": handler.source.line}
        for event, handler in hooks.handlers.items()
        if event.startswith(("smtp_server_", "get_"))
    ]


# The question


def _play(configuration: Configuration, question: Question) -> Play:
    peer = parse_address(question.peer.strip("[]"))
    if peer is None:
        raise QuestionError(f"{question.peer!r} is not an address: write --peer 192.0.2.7")
    if not question.recipients:
        raise QuestionError("name a recipient: --rcpt user@example.com")
    return Play(
        where=_whereabouts(configuration, question.listener, canonical_address(peer)),
        sender="" if question.sender in ("", "<>") else _path(question.sender),
        recipients=[_path(text) for text in question.recipients],
        identity=question.identity,
        is_encrypted=question.tls,
        content=None if question.message is None else _content(question.message),
        helo=question.helo or NAME,
    )


def _path(text: str) -> str:
    """What stands between the brackets of a command; what is wrong with it, the server says itself."""
    path = text.removeprefix("<").removesuffix(">")
    try:
        return str(Address.parse(path))
    except AddressError:
        if path and path.isprintable():
            return path
    raise QuestionError(f"{text!r} is nothing that a command can hold: write user@example.com")


def _content(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise QuestionError("message is content in base64") from None
    return content if b"\r\n" in content else content.replace(b"\n", b"\r\n")


def _whereabouts(configuration: Configuration, text: str | None, peer: IPAddress) -> Whereabouts:
    listener, local = find_listener(configuration.listeners, text)
    return Whereabouts(listener, Endpoint(peer, PEER_PORT), Endpoint(local, listener.port))


def find_listener(listeners: tuple[Listener, ...], text: str | None) -> tuple[Listener, IPAddress]:
    """The listener that a text means, and the local address of a session on it; raises QuestionError."""
    if text is None and len(listeners) == 1:
        return listeners[0], ip_address(listeners[0].host)
    for listener in listeners:
        if text in (listener.name, listener.listen):
            return listener, ip_address(listener.host)
    named = parse_socket(text) if text is not None else None
    if named is not None:
        for exact in (True, False):
            for listener in listeners:
                address = ip_address(listener.host)
                takes = address == named.address if exact else address.is_unspecified
                if takes and named.port in (None, listener.port):
                    return listener, named.address
    known = ", ".join(listener.label for listener in listeners)
    said = "say which listener" if text is None else f"no listener is called {text!r} or listens there"
    raise QuestionError(f"{said}: --listener {known}")


# The answer


class _Telling:
    """Says what came of a rehearsal."""

    def __init__(self, configuration: Configuration, outcome: Outcome, resolver: Resolver | None) -> None:
        self._configuration = configuration
        self._outcome = outcome
        self._resolver = resolver

    async def row(self, answer: Answer) -> dict[str, Any]:
        """What is told about one recipient."""
        decision = answer.decision
        is_decided = decision is not None and answer.reply.code == decision.reply.code
        accepted = _is_accepted(answer)
        row: dict[str, Any] = {
            "recipient": answer.recipient,
            "verdict": _verdict(answer),
            "reply": _reply(answer.reply),
            "decided_by": _decided_by(self._decided_by(answer)),
            "checks": [_check(check) for check in (decision.checks if decision is not None else ())],
            "handlers": [_call(call) for call in answer.calls],
            "route": await self._route(answer) if accepted else None,
            "flips": self._flips(answer) if is_decided else [],
            "config": self._configuration.hash,
        }
        if self._outcome.final is not None and accepted:
            row |= self._final(answer, self._outcome.final)
            row["handlers"] += [_call(call) for call in self._outcome.final_calls]
        return row

    def _final(self, answer: Answer, final: Reply) -> dict[str, Any]:
        """What its content came to: the reply, who refused or discarded it, its fate and its records."""
        arrival = self._arrived(answer)
        records = arrival.records if arrival is not None else []
        reception = next((record for record in records if record.type == "Reception"), None)
        fate = reception.disposition or None if reception is not None else None
        decided = self._outcome.final_refused_by
        if reception is not None and fate == "discarded":
            decided = reception.decided_by or None
        return {
            "final_reply": _reply(final),
            "final_decided_by": _maybe_decided_by(decided),
            "disposition": fate,
            "records": [record.type for record in records],
        }

    def _arrived(self, answer: Answer) -> Arrival | None:
        """The message that came of it: to its recipient, or in its place where a handler wrote another."""
        arrivals = self._outcome.arrivals
        decided = answer.decision
        for arrival in arrivals:
            if decided is not None and arrival.envelope.recipients[0].address == decided.recipient:
                return arrival
        taken = [one for one in self._outcome.answers if _is_accepted(one)]
        if len(taken) != len(arrivals):
            return None
        return next(arrival for one, arrival in zip(taken, arrivals, strict=True) if one is answer)

    def _decided_by(self, answer: Answer) -> DecidedBy:
        """Who decided: the decision, or the handler or limit that refused, or what always holds."""
        decision = answer.decision
        if answer.refused_by is not None:
            return answer.refused_by
        if decision is not None and answer.reply.code == decision.reply.code:
            return decision.decided_by
        return DecidedBy("default", config=self._configuration.hash)

    def _flips(self, answer: Answer) -> list[dict[str, Any]]:
        if answer.context is None:
            return []
        found = flips(self._configuration, answer.context, count_lines)
        return [msgspec.to_builtins(flip) for flip in map(_as_written, found) if flip is not None]

    # Where it would go

    async def _route(self, answer: Answer) -> dict[str, Any] | None:
        if _verdict(answer) != "relay" or answer.decision is None:
            return None
        arrival = self._arrived(answer)
        if self._outcome.final is not None and (arrival is None or not arrival.is_queued):
            return None
        arrival = arrival or self._beginning(answer.decision.recipient)
        name = queue_name(arrival)
        config = arrival.queue_config or await self._queue_config(name)
        return await self._told(name, config)

    def _beginning(self, recipient: Address) -> Arrival:
        """The message as it would begin, of whose content nothing was said."""
        meta = dict(self._outcome.session.handlers.connection.meta)
        envelope = Envelope(None, (Recipient(recipient),))
        return Arrival(ident="", envelope=envelope, prefix=b"", content=[], meta=meta)

    async def _queue_config(self, name: QueueName) -> QueueConfig:
        handlers = self._outcome.session.handlers
        if handlers.handles("get_queue_config"):
            answer = await handlers.ask("get_queue_config", *name)
            if isinstance(answer, QueueConfig):
                return answer
        return self._configuration.queues.lookup(name.domain, name.tenant, name.campaign, name.routing_domain)

    async def _told(self, name: QueueName, config: QueueConfig) -> dict[str, Any]:
        routing_domain = name.routing_domain or config.routing_domain
        route: dict[str, Any] = {
            "queue": str(name),
            "routing_domain": routing_domain,
            "next_hop": None,
            "source": _source(config.sources.get("routing_domain")),
            "options": {
                option: {"value": getattr(config, option), "source": _source(config.sources.get(option))}
                for option in QUEUE_OPTIONS
            },
        }
        try:
            hop = next_hop(name.domain, routing_domain)
        except RouteError as error:
            return route | {"problem": str(error)}
        port = hop.port or config.smtp_port
        route["next_hop"] = {
            "name": hop.name,
            "address": None if hop.address is None else str(hop.address),
            "port": port,
            "uses_mx": hop.uses_mx,
        }
        if self._resolver is not None:
            found = await resolve(hop, self._resolver, self._rules(config))
            route |= _hosts(found)
        return route

    def _rules(self, config: QueueConfig) -> Rules:
        listeners = self._configuration.listeners
        names = {self._configuration.hostname, *(listener.options.hostname for listener in listeners)}
        prohibited = PROHIBITED_HOSTS if config.prohibited_hosts is None else config.prohibited_hosts
        own = Own(frozenset(names), tuple((listener.host, listener.port) for listener in listeners))
        return Rules(
            prohibited=prohibited,
            own=own,
            is_local=is_local_address,
            shuffle=lambda hosts: hosts.sort(),
            port=config.smtp_port,
        )


def _hosts(found: Any) -> dict[str, Any]:
    if isinstance(found, NoRoute):
        return {"hosts": [], "problem": str(found.reply)}
    return {"hosts": [msgspec.to_builtins(host) for host in found.hosts]}


def _is_accepted(answer: Answer) -> bool:
    """Whether RCPT was answered with the decision's own yes."""
    decision = answer.decision
    return decision is not None and decision.verdict.accepts and answer.reply.code == decision.reply.code


def _verdict(answer: Answer) -> str:
    """The decision's verdict, unless a handler or a limit answered otherwise."""
    if answer.decision is not None and answer.reply.code == answer.decision.reply.code:
        return answer.decision.verdict.value
    return "defer" if answer.reply.is_transient else "refuse"


def _as_written(flip: Flip) -> Flip | None:
    """A flip in the language of the file that it changes."""
    also = [change_as_written(change, _lines(change.file)) for change in flip.also]
    if None in also:
        return None
    whole = msgspec.structs.replace(flip, also=tuple(change for change in also if change is not None))
    return as_written(whole, _lines(flip.file))


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def count_lines(file: str) -> int:
    """How many lines a file has; 0 for one that cannot be read now."""
    try:
        return len(Path(file).read_bytes().splitlines())
    except OSError:
        return 0


# As JSON says it


def _reply(answer: Reply) -> dict[str, Any]:
    enhanced = None if answer.enhanced is None else str(answer.enhanced)
    return {"code": answer.code, "enhanced_code": enhanced, "text": answer.text}


def _decided_by(decided: DecidedBy) -> dict[str, Any]:
    return dict(msgspec.to_builtins(decided))


def _maybe_decided_by(decided: DecidedBy | None) -> dict[str, Any] | None:
    return None if decided is None else _decided_by(decided)


def _check(check: Check) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.structs.asdict(check)
    source: Source | None = told.pop("source")
    place = (None, None) if source is None else (source.file, source.line)
    return told | dict(zip(("file", "line"), place, strict=True))


def _source(source: Source | None) -> str | None:
    return None if source is None else str(source)


def _call(call: HandlerCall) -> dict[str, Any]:
    return dict(msgspec.to_builtins(call))
