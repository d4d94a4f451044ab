"""What is answered to each command? One function for each event of the receiver.

A function returns the reply, or None where it has given it already. ANSWERS says which function answers what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from angarium.mail.address import Address
from angarium.mail.status import Reply, reply
from angarium.net.dns import DnsError
from angarium.policy.config import LineEndings, ListenerOptions
from angarium.reception.arrival import greeting
from angarium.reception.authentication import Exchange
from angarium.reception.custody import take_content
from angarium.reception.decided import NULL_MX_SENDER, TLS_FIRST
from angarium.reception.guard import NO_ROOM, TOO_MANY_RECIPIENTS
from angarium.reception.proxies import told
from angarium.reception.transaction import Transaction
from angarium.wire import events
from angarium.wire.receiver import Limits

if TYPE_CHECKING:
    from angarium.reception.session import Session

_BEGIN_TLS = reply(220, "2.0.0 ready for TLS")
_OK = reply(250, "2.0.0 OK")
_SENDER_OK = reply(250, "2.1.0 sender accepted")
_GO_AHEAD = Reply(354, None, "send the message; end with CRLF.CRLF")
_BYE = reply(221, "2.0.0 goodbye")
_HELP = reply(214, "2.0.0 see RFC 5321")
_NO_LISTS = reply(502, "5.5.1 lists are not told")
_NOT_SAID = reply(252, "2.1.5 mailboxes are not told; send mail and see")


def limits_of(options: ListenerOptions, *, fix: bool = False) -> Limits:
    """How much of anything the receiver takes; `fix` mends bare line ends whatever the options say."""
    return Limits(
        message_size=options.max_message_size,
        line_length=options.line_length_hard_limit,
        fix_line_endings=fix or options.invalid_line_endings is LineEndings.FIX,
    )


async def _ehlo(session: Session, event: events.Ehlo) -> Reply | None:
    refusal = await _hello(session, event.domain)
    if refusal is None:
        session.is_extended = True
        session.receiver.send_ehlo(session.options.hostname)
    return refusal


async def _helo(session: Session, event: events.Helo) -> Reply:
    refusal = await _hello(session, event.domain)
    if refusal is None:
        session.is_extended = False
    return refusal or Reply(250, None, session.options.hostname)


async def _hello(session: Session, domain: str) -> Reply | None:
    refusal = await session.handlers.notify("smtp_server_ehlo", domain)
    if refusal is None:
        session.helo = domain
        session.handlers.learn(ehlo_domain=domain)
    return refusal


async def _starttls(session: Session, event: events.StartTls) -> Reply:
    return _BEGIN_TLS


async def _auth(session: Session, event: events.Auth) -> Reply:
    session.guard.before_auth()
    session.exchange = Exchange(session, event.mechanism)
    return await session.exchange.step(event.initial)


async def _auth_response(session: Session, event: events.AuthResponse) -> Reply:
    assert session.exchange is not None
    return await session.exchange.step(event.data)


async def _xclient(session: Session, event: events.Xclient) -> None:
    """Begin anew with the client that a proxy tells: a greeting is the answer."""
    session.move(told(session.whereabouts, event))
    session.guard.enter()
    session.receiver.restart(session.offer())
    session.receiver.send_greeting(await greeting(session))


async def _mail(session: Session, event: events.Mail) -> Reply:
    session.guard.count_message()
    if session.options.tls == "required" and not session.is_encrypted:
        return TLS_FIRST
    refusal = await _refuse_unanswerable(session, event.sender)
    refusal = refusal or await session.handlers.notify("smtp_server_mail_from", event.sender)
    if refusal is None:
        session.transaction = Transaction(event.sender, event.parameters)
    return refusal or _SENDER_OK


async def _refuse_unanswerable(session: Session, sender: Address | None) -> Reply | None:
    """Refuse a sender whose domain takes no mail (RFC 7505 section 4.2); trouble with DNS refuses nobody."""
    if sender is None or not session.options.reject_null_mx_senders or session.is_trusted:
        return None
    try:
        hosts = await session.door.resolver.mx(sender.domain)
    except DnsError:
        return None
    return NULL_MX_SENDER if [host.name for host in hosts] == [""] else None


async def _rcpt(session: Session, event: events.Rcpt) -> Reply:
    assert session.transaction is not None
    if len(session.transaction.accepted) >= session.options.max_recipients_per_message:
        return TOO_MANY_RECIPIENTS
    return await session.transaction.add_recipient(session, event)


async def _data(session: Session, event: events.Data) -> Reply:
    assert session.transaction is not None
    if not session.guard.has_room:
        return NO_ROOM
    _limit_content(session)
    return _GO_AHEAD


async def _chunk(session: Session, event: events.Chunk) -> Reply:
    if not session.guard.has_room:
        return NO_ROOM
    _limit_content(session)
    return reply(250, f"2.0.0 {event.size} octets received")


def _limit_content(session: Session) -> None:
    """A domain that only logs may have bare line ends mended, whatever the listener does."""
    assert session.transaction is not None
    if session.transaction.fixes_line_endings:
        session.receiver.limits = limits_of(session.options, fix=True)


async def _content(session: Session, event: events.Content) -> Reply:
    assert session.transaction is not None
    return await take_content(session, session.transaction, event.data)


async def _rset(session: Session, event: events.Rset) -> Reply:
    return _OK


async def _noop(session: Session, event: events.Noop) -> Reply:
    return _OK


async def _quit(session: Session, event: events.Quit) -> Reply:
    return _BYE


async def _vrfy(session: Session, event: events.Vrfy) -> Reply:
    return _NOT_SAID


async def _expn(session: Session, event: events.Expn) -> Reply:
    return _NO_LISTS


async def _help(session: Session, event: events.Help) -> Reply:
    return _HELP


async def _refused(session: Session, event: events.Refused) -> Reply:
    return event.reply


ANSWERS: dict[type[Any], Callable[[Session, Any], Awaitable[Reply | None]]] = {
    events.Ehlo: _ehlo,
    events.Helo: _helo,
    events.StartTls: _starttls,
    events.Auth: _auth,
    events.AuthResponse: _auth_response,
    events.Xclient: _xclient,
    events.Mail: _mail,
    events.Rcpt: _rcpt,
    events.Data: _data,
    events.Chunk: _chunk,
    events.Content: _content,
    events.Rset: _rset,
    events.Noop: _noop,
    events.Quit: _quit,
    events.Vrfy: _vrfy,
    events.Expn: _expn,
    events.Help: _help,
    events.Refused: _refused,
}
"""Event → who answers it."""
