"""How a session begins: who is there, is it encrypted, and what greeting does it get?

A PROXY header comes before everything, implicit TLS before the greeting. STARTTLS and XCLIENT come back here,
since they begin the session anew: nothing that the client said before is known afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from angarium.mail.status import Reply, reply
from angarium.net.connection import ConnectionTrouble, TimedOut
from angarium.policy.views import Tls
from angarium.reception.proxies import BROKEN_HEADER, behind, read_header, speaks_for_others
from angarium.reception.rejection import record_refusal
from angarium.wire.proxy import ProxyError

if TYPE_CHECKING:
    from angarium.reception.session import Session

SPOKE_FIRST = reply(554, "5.5.1 you spoke before the greeting")
GONE = reply(421, "4.4.2 you left before the greeting")


async def arrive(session: Session) -> bool:
    """Learn who is there, and encrypt where the listener wants it; False: nobody is served."""
    if speaks_for_others(session.options, session.whereabouts.peer.ip):
        try:
            header = await read_header(session.stream, session.options.client_timeout)
        except ProxyError:
            session.refuse(BROKEN_HEADER)
            return False
        if header is None:
            return False
        session.move(behind(session.whereabouts, header))
    session.guard.enter()
    if session.options.tls == "implicit":
        await encrypt(session, implicit=True)
    return True


async def greeting(session: Session) -> Reply:
    """The 220, or why there is none."""
    hostname = session.options.hostname
    answer = session.door.why_closed(hostname) or await _hear_early_talkers(session)
    answer = answer or await session.handlers.notify("smtp_server_connection_accepted")
    answer = answer or Reply(220, None, f"{hostname} {session.options.banner}")
    if answer.code != 220:
        record_refusal(session, answer, None)
    session.handlers.begin_dialogue()
    return answer


async def _hear_early_talkers(session: Session) -> Reply | None:
    """Whoever speaks before the greeting speaks no SMTP (RFC 5321 section 4.3.1)."""
    if not session.options.greeting_delay or session.is_trusted or session.has_spoken:
        return None
    try:
        data = await session.stream.receive(session.options.greeting_delay)
    except TimedOut:
        return None
    return SPOKE_FIRST if data else GONE


async def encrypt(session: Session, *, implicit: bool = False) -> None:
    """Shake hands; nothing that the client said before is known afterwards (RFC 3207 section 4.2)."""
    context = session.door.keyring.context(session.options)
    assert context is not None
    try:
        facts = await session.stream.start_tls(
            context, session.options.tls_handshake_timeout, implicit=implicit
        )
    except ConnectionTrouble as trouble:
        limit = "tls_handshake_timeout" if isinstance(trouble, TimedOut) else None
        record_refusal(session, reply(454, f"4.7.0 {trouble}"), None, limit)
        session.receiver.close()
        raise
    session.is_encrypted = True
    if not implicit:
        session.forget()
        session.receiver.restart(session.offer())
    session.handlers.learn_tls(Tls(*facts))
    session.receiver.extensions = session.offer()
