"""How well must the connection to a host be encrypted? What `tls` asks for, host by host.

Answers with a Demand for each host of a plan (RFC 7672, RFC 8461). Promises: `opportunistic` never stands
between mail and its host; where a domain has an MTA-STS policy that enforces, or a host has TLSA records that
DNSSEC vouches for,
a host that cannot meet them gets no mail. Refuses to guess: a host whose TLSA records cannot be looked up is
left out, and the mail is tried later.
"""

from __future__ import annotations

import msgspec

from angarium.delivery.outcome import Kind
from angarium.delivery.plan import Demand, Host, NoRoute, Plan
from angarium.mail.status import reply
from angarium.net.dane import Tlsa, usable
from angarium.net.dns import DnsError, DnsTrouble, Resolver
from angarium.net.mta_sts import Policies

NONE = Demand("none")
OFFERED = Demand("offered")


async def secure(
    plan: Plan, mode: str, domain: str | None, resolver: Resolver, policies: Policies
) -> Plan | NoRoute:
    """The plan with a demand for each host, without hosts that must not be used.

    `domain` is the one whose MX hosts these are; None where the operator named the host.
    """
    if mode == "dane":
        return await _by_dane(plan, domain, resolver)
    if mode == "mta-sts":
        return await _by_policy(plan, domain, policies)
    demand = {"none": NONE, "opportunistic": OFFERED}.get(mode)
    return _with(plan, demand or Demand("required", verify=True, why="tls = 'required'"))


def _with(plan: Plan, demand: Demand) -> Plan:
    hosts = tuple(msgspec.structs.replace(host, demand=demand) for host in plan.hosts)
    return msgspec.structs.replace(plan, hosts=hosts)


async def _by_policy(plan: Plan, domain: str | None, policies: Policies) -> Plan | NoRoute:
    policy = None if domain is None else await policies.policy(domain)
    if policy is None or policy.mode != "enforce":
        return _with(plan, OFFERED)
    why = f"the MTA-STS policy of {domain}"
    hosts = tuple(host for host in plan.hosts if policy.allows(host.name))
    if not hosts:
        return NoRoute(Kind.TRANSIENT, reply(451, f"4.7.5 {why} names none of its MX hosts"))
    kept = msgspec.structs.replace(plan, hosts=hosts, vouched=f"mta-sts={domain}")
    return _with(kept, Demand("required", verify=True, why=why))


async def _by_dane(plan: Plan, domain: str | None, resolver: Resolver) -> Plan | NoRoute:
    if domain is not None and not await _is_secure(domain, "MX", resolver):
        return _with(plan, OFFERED)
    hosts = [await _dane_host(host, resolver) for host in plan.hosts]
    usable_hosts = tuple(host for host in hosts if host is not None)
    if not usable_hosts:
        return NoRoute(Kind.TRANSIENT, reply(451, "4.7.5 TLSA records cannot be looked up"))
    is_vouched = any(host.demand is not OFFERED for host in usable_hosts)
    return msgspec.structs.replace(plan, hosts=usable_hosts, vouched="dane" if is_vouched else "")


async def _dane_host(host: Host, resolver: Resolver) -> Host | None:
    """The host with what its TLSA records ask for; None where nobody can say (RFC 7672 section 2.1)."""
    demand = OFFERED
    if not host.name.startswith("[") and await _has_secure_address(host.name, resolver):
        try:
            found = await resolver.lookup(f"_{host.port}._tcp.{host.name}", "TLSA")
        except DnsTrouble:
            return None
        except DnsError:
            found = None
        if found is not None and found.is_secure:
            demand = _of_records(host.name, tuple(map(Tlsa.parse, found.records)))
    return msgspec.structs.replace(host, demand=demand)


def _of_records(host: str, records: tuple[Tlsa, ...]) -> Demand:
    """Records that nobody can use still say that there is TLS (RFC 7672 section 2.2)."""
    return Demand("required", tlsa=tuple(filter(usable, records)), why=f"the TLSA records of {host}")


async def _has_secure_address(name: str, resolver: Resolver) -> bool:
    return await _is_secure(name, "A", resolver) or await _is_secure(name, "AAAA", resolver)


async def _is_secure(name: str, kind: str, resolver: Resolver) -> bool:
    """Whether DNSSEC vouches for an answer; a domain without MX records is its own host."""
    try:
        return (await resolver.lookup(name, kind)).is_secure
    except DnsError:
        return False
