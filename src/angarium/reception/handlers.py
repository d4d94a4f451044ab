"""The operator's handlers as one session calls them: each failure costs one command, each answer is
remembered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec.structs

from angarium.mail.status import Reply
from angarium.policy.context import Context, recipient_question, sender_question
from angarium.policy.decision import HandlerAnswer, HandlerPlace, ListenerDomain
from angarium.policy.hooks import HandlerCall, HandlerFailed, Rejected
from angarium.policy.views import ConnectionMeta, Meta, Tls
from angarium.reception.calls import Calls

if TYPE_CHECKING:
    from angarium.reception.door import Whereabouts
    from angarium.reception.session import Session


class Handlers:
    """What one session asks of the operator's code, and what it tells it of itself."""

    def __init__(self, session: Session) -> None:
        where, options = session.whereabouts, session.options
        self._door = session.door
        self._accepted_at = str(where.accepted_local)
        self.calls = Calls()
        """What handlers answered that still holds, for the records."""
        self.connection = ConnectionMeta(
            session_id=session.ident,
            peer=where.peer,
            local=where.local,
            listener=session.door.listener(where.listener).label,
            hostname=options.hostname,
            meta=Meta(
                {
                    "reception_protocol": "ESMTP",
                    "received_from": str(where.peer),
                    "received_via": str(where.local),
                    "hostname": options.hostname,
                    **_origin(where),
                    **options.meta,
                }
            ),
        )
        self._before_dialogue = self.connection.meta
        self.refusal: tuple[Reply, HandlerPlace] | None = None
        """What was refused last, by a `reject` or a failure, and where."""
        self._places: dict[str, HandlerPlace] = {}
        """Event → the handler that was called for it last."""

    def begin_dialogue(self) -> None:
        """The client speaks from now on: what handlers have noted until here survives `forget`."""
        self._before_dialogue = Meta(self.connection.meta.items())
        self.calls.begin_command()

    def forget(self) -> None:
        """Forget what the client said (RFC 3207 section 4.2)."""
        self.connection = replace(
            self.connection,
            ehlo_domain=None,
            tls=None,
            authn_id=None,
            authz_id=None,
            meta=Meta(self._before_dialogue.items()),
        )
        self.calls.forget()

    def learn_tls(self, facts: Tls) -> None:
        """The session is encrypted."""
        self.learn(tls=facts)
        meta = self.connection.meta
        meta["tls_cipher"], meta["tls_protocol_version"] = facts.cipher, facts.version
        if facts.peer_subject:
            meta["tls_peer_subject_name"] = list(facts.peer_subject)

    def learn(self, **facts: Any) -> None:
        """Keep what the session has learnt: `ehlo_domain`, `tls`, `authn_id`, `authz_id`."""
        self.connection = replace(self.connection, **facts)
        self.connection.meta.update({key: value for key, value in facts.items() if isinstance(value, str)})

    def take_listener(self, label: str) -> None:
        """A reload may have given the listener another name."""
        self.connection = replace(self.connection, listener=label)

    def handles(self, event: str) -> bool:
        """Whether the operator wrote a handler for the event."""
        return self._door.hooks.handles(event)

    async def notify(self, event: str, *args: object) -> Reply | None:
        """Tell the operator's handler, if there is one; returns its refusal, or None."""
        if not self._door.hooks.handles(event):
            return None
        answer = await self.ask(event, *args)
        return answer if isinstance(answer, Reply) else None

    async def ask(self, event: str, *args: object) -> Any:
        """The handler's answer, or the Reply that its refusal or failure costs."""
        try:
            answer, call = await self._door.hooks.call(event, *args, self.connection)
        except Rejected as rejected:
            if rejected.call is not None:
                self._refuse(rejected.reply, rejected.call)
            return rejected.reply
        except HandlerFailed as failed:
            self._refuse(failed.reply, failed.call)
            return failed.reply
        self._remember(call)
        return answer

    async def answer_for(self, context: Context) -> Context | Reply:
        """Ask `get_listener_domain` what the decision needs: at most once a domain (contract, section 7)."""
        answers: dict[str, HandlerAnswer | None] = {}
        for domain in (sender_question(context), recipient_question(context)):
            if domain is None or domain in answers:
                continue
            answer = await self.ask("get_listener_domain", domain, self._accepted_at)
            if isinstance(answer, Reply):
                return answer
            answers[domain] = self._answer(answer)
        return _with_answers(context, answers)

    def _answer(self, answer: ListenerDomain | None) -> HandlerAnswer | None:
        return None if answer is None else HandlerAnswer(answer, self.place("get_listener_domain"))

    def place(self, event: str) -> HandlerPlace:
        """Where the handler of an event that was called for it last stands."""
        return self._places[event]

    def _refuse(self, answer: Reply, call: HandlerCall) -> None:
        self._remember(call)
        self.refusal = answer, self._places[call.event]

    def _remember(self, call: HandlerCall) -> None:
        self._places[call.event] = call.place
        self.calls.add(call)


def _origin(where: Whereabouts) -> dict[str, str]:
    """The ends of the TCP connection, where the session has others."""
    if where.accepted is None:
        return {}
    peer, local = where.accepted
    return {"orig_received_from": str(peer), "orig_received_via": str(local)}


def _with_answers(context: Context, answers: dict[str, HandlerAnswer | None]) -> Context:
    sender, recipient = sender_question(context), recipient_question(context)
    return msgspec.structs.replace(
        context,
        sender_answer=answers.get(sender) if sender is not None else None,
        recipient_answer=answers.get(recipient) if recipient is not None else None,
    )
