"""What is the same for all mail of a session: said in its records, in Received fields, and in each question.

Made once, and anew when the session has learnt something or a reload has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from angarium.log.records import PeerAddress, Record, Response
from angarium.mail.address import Address
from angarium.mail.trace import Hop
from angarium.policy.context import Context

if TYPE_CHECKING:
    from angarium.reception.session import Session

ACCEPTED = Response(code=250)
_NOBODY = Address("", "")


class Told:
    """What is said of a session as it stands, and under one configuration."""

    __slots__ = ("configuration", "connection", "context", "hops", "record")

    def __init__(self, session: Session) -> None:
        self.connection = session.handlers.connection
        self.configuration = session.door.configuration
        self.record = _record(session)
        """A Reception about nothing yet."""
        self.context = _context(session)
        """A question about nobody yet."""
        self.hops = {smtputf8: _hop(session, smtputf8=smtputf8) for smtputf8 in (False, True)}
        """What Received says, of messages with SMTPUTF8 and without."""


def told_of(session: Session) -> Told:
    """What is said of the session now."""
    told = session.told
    if (
        told is None
        or told.connection is not session.handlers.connection
        or told.configuration is not session.door.configuration
    ):
        told = session.told = Told(session)
    return told


def _record(session: Session) -> Record:
    where, connection = session.whereabouts, session.handlers.connection
    tls = connection.tls
    return Record(
        type="Reception",
        id="",
        response=ACCEPTED,
        timestamp=0,
        event_time="",
        created=0,
        created_time="",
        session_id=session.ident,
        listener=connection.listener,
        local_address=str(where.local),
        peer_address=PeerAddress(name=session.helo, addr=where.peer_address),
        helo=session.helo,
        authn_id=connection.authn_id or UNSET,
        authz_id=connection.authz_id or UNSET,
        tls_cipher=tls.cipher if tls else UNSET,
        tls_protocol_version=tls.version if tls else UNSET,
        tls_peer_subject_name=list(tls.peer_subject) if tls and tls.peer_subject else UNSET,
        reception_protocol="ESMTP",
        nodeid=session.options.hostname,
    )


def _context(session: Session) -> Context:
    configuration, options, where = session.door.configuration, session.options, session.whereabouts
    return Context(
        listener=session.handlers.connection.listener,
        local=where.accepted_local.ip,
        peer=where.peer.ip,
        relay_hosts=session.relay_hosts,
        relay_hosts_source=options.sources.get("relay_hosts"),
        identity=session.handlers.connection.authz_id,
        sender=None,
        recipient=_NOBODY,
        hostnames=(options.hostname, configuration.hostname),
        postmaster=configuration.postmaster,
        postmaster_source=configuration.sources.get("postmaster"),
        allow_sender_routing=options.allow_sender_routing,
    )


def _hop(session: Session, *, smtputf8: bool) -> Hop:
    return Hop(
        helo=session.helo,
        peer_address=session.whereabouts.peer_address,
        hostname=session.options.hostname,
        local_address=session.whereabouts.local_address,
        protocol=session.protocol(smtputf8=smtputf8),
        tls=session.tls_text,
    )
