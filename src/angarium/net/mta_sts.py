"""Which hosts may take a domain's mail, and must they have TLS? MTA-STS policies (RFC 8461).

Promises: a policy is fetched over HTTPS from the address that DNS names, with a certificate that is valid for
`mta-sts.DOMAIN`, without following redirects, within limits of time and size; it is kept for its `max_age`,
so that whoever blocks DNS or HTTPS later changes nothing; it is fetched anew when the id in DNS changes.
Policies live in memory: a restart forgets them.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

import msgspec

from angarium.net.connection import Connection, ConnectionTrouble, connect
from angarium.net.dns import DnsError, Resolver
from angarium.net.tls import client_context

log = logging.getLogger(__name__)

MAX_POLICY = 64 * 1024
"""Octets (RFC 8461 section 3.3)."""
FETCH_TIME = 60.0
"""Seconds for the whole of it (RFC 8461 section 3.3)."""
MAX_ADDRESSES = 4
"""Of the host that has a policy, tried one after the other."""
MAX_AGE = 31_557_600.0
"""Seconds (RFC 8461 section 3.2)."""
RETRY_TIME = 300.0
"""Seconds until a policy that could not be fetched, or a domain without one, is asked for again."""
MAX_POLICIES = 10_000
MODES = ("enforce", "testing", "none")
_ID = re.compile(r"v=stsv1\s*;(?:.*;)?\s*id=([a-z0-9]{1,32})\s*(?:;.*)?", re.IGNORECASE | re.DOTALL)


class Policy(msgspec.Struct, frozen=True):
    """What a domain asks of those who send it mail."""

    mode: str
    mx: tuple[str, ...]
    max_age: float

    def allows(self, host: str) -> bool:
        """Whether the policy names this MX host; `*.` stands for one label (RFC 8461 section 4.1)."""
        return host in self.mx or f"*.{host.partition('.')[2]}" in self.mx


class BadPolicy(ValueError):  # noqa: N818 - what was found
    """The text is no policy."""


def parse_policy(text: str) -> Policy:
    """Read a policy file (RFC 8461 section 3.2); raises BadPolicy. Unknown keys are passed over."""
    pairs = [
        (key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in text.splitlines())
    ]
    fields = dict(reversed(pairs))
    mx = tuple(value.lower().removesuffix(".") for key, value in pairs if key == "mx")
    mode, age = fields.get("mode", ""), fields.get("max_age", "")
    if fields.get("version") != "STSv1" or mode not in MODES or not re.fullmatch("[0-9]{1,10}", age):
        raise BadPolicy("not an MTA-STS policy")
    if mode != "none" and not mx:
        raise BadPolicy("the policy names no MX hosts")
    return Policy(mode, mx, min(float(age), MAX_AGE))


class _Kept(msgspec.Struct):
    policy: Policy | None = None
    ident: str = ""
    until: float = 0.0
    """When the policy is over."""
    ask_at: float = 0.0
    """When DNS is asked again."""


class Policies:
    """The policies of domains, kept. `clock` must not jump."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        ca: str | None = None,
        port: int = 443,
        connect: Callable[..., Coroutine[Any, Any, Connection]] = connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._ca = ca
        self._port = port
        self._connect = connect
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Policy | None]] = {}

    async def policy(self, domain: str) -> Policy | None:
        """The policy of a domain; None where it has none that we could ever read."""
        kept = self._kept.get(domain)
        if kept is not None and self._clock() < kept.ask_at:
            return kept.policy
        task = self._asking.get(domain)
        if task is None:
            task = self._asking[domain] = asyncio.create_task(self._renew(domain))
            task.add_done_callback(lambda _: self._asking.pop(domain, None))
        return await asyncio.shield(task)

    async def _renew(self, domain: str) -> Policy | None:
        kept = self._kept.pop(domain, None) or _Kept()
        self._kept[domain] = kept
        if len(self._kept) > MAX_POLICIES:
            self._kept.popitem(last=False)
        kept.ask_at = self._clock() + RETRY_TIME
        if self._clock() >= kept.until:
            kept.policy, kept.ident = None, ""
        ident = await self._ident(domain)
        if ident is not None and (kept.policy is None or ident != kept.ident):
            await self._fetch_into(kept, domain, ident)
        return kept.policy

    async def _ident(self, domain: str) -> str | None:
        """The id that DNS has; None where there is not exactly one (RFC 8461 section 3.1)."""
        try:
            found = await self._resolver.lookup(f"_mta-sts.{domain}", "TXT")
        except DnsError:
            return None
        records = [record for record in map(_txt, found.records) if record.lower().startswith("v=stsv1")]
        match = _ID.fullmatch(records[0]) if len(records) == 1 else None
        return None if match is None else match[1]

    async def _fetch_into(self, kept: _Kept, domain: str, ident: str) -> None:
        """Take the policy over; where it cannot be had, what is known stays (RFC 8461 section 5.1)."""
        try:
            async with asyncio.timeout(FETCH_TIME):
                policy = await self._fetch(f"mta-sts.{domain}")
        except (ConnectionTrouble, DnsError, BadPolicy, TimeoutError) as error:
            log.warning("the MTA-STS policy of %s cannot be had: %s", domain, error or "too slow")
            return
        kept.policy, kept.ident = policy, ident
        kept.until = self._clock() + policy.max_age

    async def _fetch(self, host: str) -> Policy:
        """From one of its addresses: who cannot be had leaves the next its share of the time."""
        addresses = (await self._resolver.addresses(host))[:MAX_ADDRESSES]
        troubles: list[Exception] = []
        for address in addresses:
            try:
                async with asyncio.timeout(FETCH_TIME / len(addresses)):
                    return await self._fetch_from(address, host)
            except (ConnectionTrouble, TimeoutError) as error:
                troubles.append(error)
        raise troubles[0]

    async def _fetch_from(self, address: str, host: str) -> Policy:
        connection = await self._connect(address, self._port, limit=FETCH_TIME / 2)
        try:
            context = client_context(verify=True, ca=self._ca)
            return parse_policy(await _get(connection, context, host))
        finally:
            connection.abort()


async def _get(connection: Connection, context: ssl.SSLContext, host: str) -> str:
    """The body of the well-known file; raises ConnectionTrouble, BadPolicy."""
    await connection.start_tls(context, FETCH_TIME, server_name=host, server=False)
    request = (
        f"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: {host}\r\n"
        "Accept: text/plain\r\nUser-Agent: Angarium\r\nConnection: close\r\n\r\n"
    )
    connection.write(request.encode("ascii"))
    octets = b""
    while data := await connection.receive(FETCH_TIME):
        octets += data
        if len(octets) > 2 * MAX_POLICY:
            raise BadPolicy("the answer is too long")
    return _body(octets)


class _Answer:
    """What the standard library's parser wants for a socket."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._octets)


def _body(octets: bytes) -> str:
    response = HTTPResponse(cast("Any", _Answer(octets)))
    try:
        response.begin()
        body = response.read()
    except (HTTPException, ValueError) as error:
        raise BadPolicy(f"not an answer: {error!r}") from None
    kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
    if response.status != 200 or kind != "text/plain" or len(body) > MAX_POLICY:
        raise BadPolicy(f"the answer is {response.status} {kind}, {len(body)} octets")
    return body.decode("utf-8", "replace")


def _txt(record: str) -> str:
    """The text of a TXT record as zone files write it, its strings joined."""
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', record)) or record
