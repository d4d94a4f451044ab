"""Who is the client? One AUTH exchange (RFC 4954): the mechanism's machine, and who checks its claims.

PLAIN and LOGIN ask the operator's handler, or the users of the configuration where there is none;
SCRAM-SHA-256 asks the users, OAUTHBEARER its handler. Promises that a name that nobody has costs what a wrong
password costs, that a failure is answered late without holding up anybody else, and that no secret is kept,
logged or shown. Refuses to let anybody act for another identity unless the handler says so (contract 2.9).
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from angarium.mail.status import Reply, reply
from angarium.policy.users import prepared_name
from angarium.policy.views import Identity
from angarium.wire import sasl

if TYPE_CHECKING:
    from angarium.reception.session import Session

FAILED = reply(535, "5.7.8 authentication failed")
_DONE = reply(235, "2.7.0 authenticated")
_NONCE_OCTETS = 18


def offered_mechanisms(session: Session) -> tuple[str, ...]:
    """The mechanisms that somebody here can check."""
    has_users = bool(len(session.door.configuration.users))
    plain = has_users or session.handlers.handles("smtp_server_auth_plain")
    oauth = session.handlers.handles("smtp_server_auth_oauthbearer")
    return (
        *(("PLAIN", "LOGIN") if plain else ()),
        *(("SCRAM-SHA-256",) if has_users else ()),
        *(("OAUTHBEARER",) if oauth else ()),
    )


class Exchange:
    """One exchange, from AUTH to its final reply."""

    def __init__(self, session: Session, mechanism: str) -> None:
        self._session = session
        self._machine = _MACHINES[mechanism]()

    async def step(self, response: bytes | None) -> Reply:
        """Take the client's response; returns a 334 to go on, or the final reply."""
        step = self._machine.step(response)
        if isinstance(step, sasl.KeysWanted):
            step = self._give_keys(step)
        elif isinstance(step, sasl.Authenticated):
            step = _as_user(step.authz, step.authn)
        elif isinstance(step, sasl.Password):
            step = await self._check_password(step)
        elif isinstance(step, sasl.Token):
            step = await self._check_token(step)
        if isinstance(step, sasl.Challenge):
            return Reply(334, None, base64.b64encode(step.data).decode())
        if isinstance(step, sasl.Authenticated):
            self._session.handlers.learn(authn_id=step.authn, authz_id=step.authz)
            return _DONE
        assert isinstance(step, sasl.Failed)
        return await self._delayed(step.reply)

    async def _delayed(self, answer: Reply) -> Reply:
        """Make guessing slow; this session alone waits."""
        if answer.is_permanent and self._session.options.auth_failure_delay:
            await asyncio.sleep(self._session.options.auth_failure_delay)
        return answer

    def _give_keys(self, wanted: sasl.KeysWanted) -> sasl.Step:
        assert isinstance(self._machine, sasl.ScramServer)
        keys, known = self._session.door.configuration.users.keys(wanted.authn)
        return self._machine.give_keys(keys, known=known)

    async def _check_password(self, claim: sasl.Password) -> sasl.Step:
        if self._session.handlers.handles("smtp_server_auth_plain"):
            answer = await self._session.handlers.ask(
                "smtp_server_auth_plain", claim.authz, claim.authn, claim.password
            )
            if isinstance(answer, Identity | Reply):
                return _step(answer)
            return _as_themselves(claim.authz, claim.authn) if answer is True else sasl.Failed(FAILED)
        keys, known = self._session.door.configuration.users.keys(claim.authn)
        matches = await asyncio.to_thread(keys.matches, claim.password)
        return _as_user(claim.authz, claim.authn) if matches and known else sasl.Failed(FAILED)

    async def _check_token(self, claim: sasl.Token) -> sasl.Step:
        answer = await self._session.handlers.ask("smtp_server_auth_oauthbearer", claim.authz, claim.token)
        if isinstance(answer, Reply):
            return sasl.Failed(answer)
        if isinstance(answer, Identity) and claim.authz in (None, answer.authz_id):
            return _step(answer)
        assert isinstance(self._machine, sasl.OAuthBearerServer)
        return self._machine.refuse()


def _as_themselves(authz: str, authn: str) -> sasl.Step:
    """Let whoever proved to be `authn` in, but act for nobody else: only a handler may allow that."""
    return sasl.Authenticated(authz, authn) if authz == authn else sasl.Failed(FAILED)


def _as_user(authz: str, authn: str) -> sasl.Step:
    """Let in whoever the users files know, by the name that they have there (RFC 4616 section 2)."""
    return _as_themselves(prepared_name(authz), prepared_name(authn))


def _step(answer: Identity | Reply) -> sasl.Step:
    if isinstance(answer, Reply):
        return sasl.Failed(answer)
    return sasl.Authenticated(answer.authz_id, answer.authn_id)


def _scram() -> sasl.ScramServer:
    return sasl.ScramServer(secrets.token_urlsafe(_NONCE_OCTETS))


_MACHINES: dict[str, Callable[[], sasl.ServerMechanism]] = {
    "PLAIN": sasl.PlainServer,
    "LOGIN": sasl.LoginServer,
    "SCRAM-SHA-256": _scram,
    "OAUTHBEARER": sasl.OAuthBearerServer,
}
