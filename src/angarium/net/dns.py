"""Names become hosts and addresses (RFC 1035, RFC 2308, RFC 5321 section 5.1).

Answers two questions: which MX hosts has a domain, and which addresses has a host. Promises: answers are
kept for their TTL, negative ones and failures too, in a bounded cache; the same question asked twice at a
time goes out once; every failure is one of three errors of ours. `DnsResolver` asks name servers;
`StaticResolver` reads a zone written as a dict, for tests.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Generic, NamedTuple, Protocol, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TLSA
import dns.resolver
import dns.wire
import msgspec

MAX_CACHED = 10_000
"""Answers kept; the ones longest unused leave first."""
MAX_TTL = 86_400.0
MAX_NEGATIVE_TTL = 300.0
TROUBLE_TTL = 5.0
"""Seconds for which a failure to resolve is remembered (RFC 9520 section 3.2: 1 s to 5 min)."""
MAX_ALIASES = 8

Zone = Mapping[str, Mapping[str, Sequence[str]] | str]
"""Name → type → records as a zone file writes them (`{"MX": ["10 mx.example.com."]}`); or a response code,
like `SERVFAIL`, for every question about the name."""


class DnsError(Exception):
    """A name that gave no answer; the text says why. Use one of its three kinds."""


class NoSuchDomain(DnsError):  # noqa: N818 - what happened, in the words of DNS
    """The name does not exist (NXDOMAIN)."""


class NoAnswer(DnsError):  # noqa: N818 - what happened, in the words of DNS
    """The name exists, but has no record of that type."""


class DnsTrouble(DnsError):  # noqa: N818 - what happened, in the words of DNS
    """Nobody could say: time-outs, SERVFAIL, lame servers. Another time may be better."""


class MxHost(msgspec.Struct, frozen=True, order=True):
    """One MX record. `name` is lower-case without final dot; "" is the null MX (RFC 7505)."""

    preference: int
    name: str


class Found(NamedTuple):
    """Records of one name and type."""

    records: tuple[str, ...]
    is_secure: bool = False
    """The name server vouches for them by DNSSEC (the AD bit, RFC 4035 section 3.2.3)."""


class Resolver(Protocol):
    """Who turns names into hosts. Names are A-labels; any other failure than DnsError is a fault of ours."""

    async def mx(self, name: str) -> tuple[MxHost, ...]:
        """The MX hosts of a domain, at least one, by preference; raises DnsError."""

    async def addresses(self, name: str) -> tuple[str, ...]:
        """The IPv4 and then the IPv6 addresses of a host, at least one; raises DnsError."""

    async def lookup(self, name: str, kind: str) -> Found:
        """The records of a type, at least one, as zone files write them; raises DnsError."""


T = TypeVar("T")
Answer = Found | DnsError
"""Records in presentation form, or why there are none."""


_read_well_formed = dns.rdtypes.ANY.TLSA.TLSA.from_wire_parser


def _read_tlsa(
    kind: dns.rdataclass.RdataClass,
    rdtype: dns.rdatatype.RdataType,
    parser: dns.wire.Parser,
    origin: dns.name.Name | None = None,
) -> dns.rdata.Rdata:
    """One TLSA record; of a malformed one its octets (RFC 3597), since it must not spoil those beside it."""
    begin = parser.current
    try:
        return _read_well_formed(kind, rdtype, parser, origin)
    except (ValueError, dns.exception.FormError):
        parser.seek(begin)
        return dns.rdata.GenericRdata(kind, rdtype, parser.get_remaining())


# dnspython throws away a whole answer for one such record, and has no other place where to say so.
dns.rdtypes.ANY.TLSA.TLSA.from_wire_parser = staticmethod(_read_tlsa)  # type: ignore[assignment,method-assign]


class _Cache(Generic[T]):
    """Values that expire; bounded; the longest unused leaves first."""

    def __init__(self, clock: Callable[[], float], limit: int) -> None:
        self._clock = clock
        self._limit = limit
        self._entries: OrderedDict[tuple[str, str], tuple[float, T]] = OrderedDict()

    def get(self, key: tuple[str, str]) -> T | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: tuple[str, str], value: T, ttl: float) -> None:
        self._entries[key] = (self._clock() + ttl, value)
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


class DnsResolver:
    """Asks name servers: those given as `ip`, `ip:port` or `[ip6]:port`, else the system's.

    `limit` is the time in seconds for one question, retries included; `clock` must not jump.
    Raises ValueError for a name server that is no address.
    """

    def __init__(
        self,
        nameservers: Sequence[str] = (),
        *,
        limit: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._dns = dns.asyncresolver.Resolver(configure=not nameservers)
        if nameservers:
            self._dns.nameservers = [_nameserver(text) for text in nameservers]
        self._dns.lifetime = limit
        self._dns.set_flags(dns.flags.RD | dns.flags.AD)  # AD: tell us what you know (RFC 6840 section 5.7)
        self._dns.timeout = limit / 4
        self._cache: _Cache[Answer] = _Cache(clock, max_cached)
        self._asking: dict[tuple[str, str], asyncio.Task[Answer]] = {}

    async def mx(self, name: str) -> tuple[MxHost, ...]:
        """See Resolver."""
        return _mx_hosts(await self.lookup(name, "MX"))

    async def lookup(self, name: str, kind: str) -> Found:
        """See Resolver."""
        return _unwrap(await self._ask(name, kind))

    async def addresses(self, name: str) -> tuple[str, ...]:
        """See Resolver."""
        return _addresses(*await asyncio.gather(self._ask(name, "A"), self._ask(name, "AAAA")))

    async def _ask(self, name: str, kind: str) -> Answer:
        """From the cache, or from whoever asks the same now, or from a name server."""
        key = (name, kind)
        answer = self._cache.get(key)
        if answer is not None:
            return answer
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._query(key))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)  # one who gives up takes nothing from the others

    async def _query(self, key: tuple[str, str]) -> Answer:
        answer, ttl = await self._query_servers(*key)
        self._cache.put(key, answer, ttl)
        return answer

    async def _query_servers(self, name: str, kind: str) -> tuple[Answer, float]:
        try:
            found = await self._dns.resolve(name, kind, search=False, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN as error:
            return NoSuchDomain(f"{name}: no such domain"), _negative_ttl(error)
        except dns.resolver.LifetimeTimeout as error:
            seconds = float(error.kwargs.get("timeout", 0.0))
            return DnsTrouble(f"{name} {kind}: no name server answered within {seconds:.1f} s"), TROUBLE_TTL
        except (dns.exception.DNSException, OSError) as error:
            return DnsTrouble(f"{name} {kind}: {error}"), TROUBLE_TTL
        ttl = float(found.chaining_result.minimum_ttl)
        if found.rrset is None:
            return NoAnswer(f"{name}: no {kind} record"), min(ttl, MAX_NEGATIVE_TTL)
        is_secure = bool(found.response.flags & dns.flags.AD)
        return Found(tuple(rdata.to_text() for rdata in found.rrset), is_secure), min(ttl, MAX_TTL)


def _nameserver(text: str) -> dns.nameserver.Do53Nameserver:
    """Read `ip`, `ip:port`, `ip6` or `[ip6]:port`; raises ValueError."""
    host, port = text, 53
    if text.startswith("[") or text.count(":") == 1:
        host, _, digits = text.rpartition(":")
        host, port = host.strip("[]"), int(digits)
    return dns.nameserver.Do53Nameserver(str(ip_address(host)), port)


def _negative_ttl(error: dns.resolver.NXDOMAIN) -> float:
    """RFC 2308 section 5: the SOA record says for how long a name does not exist."""
    responses = error.kwargs.get("responses", {})
    ttls = [response.resolve_chaining().minimum_ttl for response in responses.values()]
    return min([*map(float, ttls), MAX_NEGATIVE_TTL])


class StaticResolver:
    """Answers from a zone in a dict. The zone may be changed while it is in use: nothing is cached."""

    def __init__(self, zone: Zone, *, is_secure: bool = False) -> None:
        self._zone = zone
        self._is_secure = is_secure

    async def mx(self, name: str) -> tuple[MxHost, ...]:
        """See Resolver."""
        return _mx_hosts(await self.lookup(name, "MX"))

    async def lookup(self, name: str, kind: str) -> Found:
        """See Resolver."""
        return _unwrap(self._find(name, kind))

    async def addresses(self, name: str) -> tuple[str, ...]:
        """See Resolver."""
        return _addresses(self._find(name, "A"), self._find(name, "AAAA"))

    def _find(self, name: str, kind: str) -> Answer:
        for _ in range(MAX_ALIASES):
            records = self._zone.get(name)
            if records is None:
                return NoSuchDomain(f"{name}: no such domain")
            if isinstance(records, str):
                return DnsTrouble(f"{name} {kind}: {records}")
            if "CNAME" not in records:
                found = Found(tuple(records.get(kind, ())), self._is_secure)
                return found if found.records else NoAnswer(f"{name}: no {kind} record")
            name = records["CNAME"][0].lower().removesuffix(".")
        return DnsTrouble(f"{name}: too many aliases")


def _unwrap(answer: Answer) -> Found:
    if isinstance(answer, DnsError):
        raise answer.with_traceback(None)
    return answer


def _mx_hosts(found: Found) -> tuple[MxHost, ...]:
    pairs = (record.lower().split(None, 1) for record in found.records)
    return tuple(sorted(MxHost(int(preference), host.removesuffix(".")) for preference, host in pairs))


def _addresses(*answers: Answer) -> tuple[str, ...]:
    """All that was found; else the trouble, if there was any; else why there is nothing."""
    found = tuple(
        address.lower()
        for answer in answers
        if not isinstance(answer, DnsError)
        for address in answer.records
    )
    if found:
        return found
    errors = sorted(
        (a for a in answers if isinstance(a, DnsError)), key=lambda e: not isinstance(e, DnsTrouble)
    )
    raise errors[0].with_traceback(None)
