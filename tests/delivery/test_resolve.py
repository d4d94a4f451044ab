"""delivery.resolve: from a next hop to hosts, or to the reply that says why there are none."""

import asyncio
from ipaddress import ip_network

import pytest

from angarium.delivery.outcome import LOOP, NO_ROUTE, NULL_MX, PROHIBITED, Kind
from angarium.delivery.resolve import MAX_ADDRESSES, MAX_HOSTS, Host, NoRoute, Own, Plan, Rules, resolve
from angarium.net.local import is_local_address
from angarium.policy.route import next_hop
from angarium.testing.dns import StaticResolver

ZONE = {
    "example.com": {"MX": ["20 b.example.com.", "10 a.example.com."]},
    "twin.example": {"MX": ["5 b.example.com.", "7 A.example.com."]},
    "a.example.com": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "b.example.com": {"A": ["192.0.2.2"]},
    "host.example.com": {"A": ["192.0.2.3"]},
    "null.example": {"MX": ["0 ."]},
    "almost-null.example": {"MX": ["0 .", "10 a.example.com."]},
    "address.example": {"MX": ["10 192.0.2.9."]},
    "half.example": {"MX": ["10 gone.example.", "20 b.example.com."]},
    "dead.example": {"MX": ["10 gone.example."]},
    "unknown.example": {"MX": ["10 broken.example.", "20 gone.example."]},
    "broken.example": "SERVFAIL",
    "loopback.example": {"MX": ["10 a.example.com.", "20 local.example."]},
    "local.example": {"A": ["127.0.0.1"]},
    "mapped.example": {"AAAA": ["::ffff:127.0.0.1"]},
    "metadata.example": {"A": ["169.254.169.254"]},
    "ours.example": {
        "MX": ["10 a.example.com.", "20 we.example.", "20 b.example.com.", "30 host.example.com."]
    },
    "we.example": {"A": ["198.51.100.1"]},
    "equal.example": {"MX": [f"10 h{n}.example." for n in range(4)]},
    "many.example": {"MX": [f"{n} h{n}.example." for n in range(30)]},
    **{f"h{n}.example": {"A": [f"192.0.2.{100 + n}"]} for n in range(30)},
    "wide.example": {"A": [f"192.0.2.{n}" for n in range(1, 9)], "AAAA": ["2001:db8::9"]},
}


def find(domain, routing_domain=None, **rules):
    """Resolve with a shuffle that reverses."""
    made = Rules(is_local=rules.pop("is_local", lambda _: False), shuffle=list.reverse, **rules)
    return asyncio.run(resolve(next_hop(domain, routing_domain), StaticResolver(ZONE), made))


def names(plan):
    return [host.name for host in plan.hosts]


def test_mx_hosts_by_preference():
    """The most preferred host comes first, each with its addresses, IPv4 before IPv6."""
    hosts = (Host("a.example.com", ("192.0.2.1", "2001:db8::1")), Host("b.example.com", ("192.0.2.2",)))
    assert find("example.com") == Plan("a.example.com,b.example.com", hosts)


def test_equals_are_shuffled():
    """Hosts of one preference are put into the order that the entropy gives."""
    assert names(find("equal.example")) == ["h3.example", "h2.example", "h1.example", "h0.example"]


def test_same_hosts_same_site():
    """Domains with the same MX hosts share a site, whatever their preferences."""
    assert find("example.com").site == find("twin.example").site


def test_without_mx_the_name_is_the_host():
    """A domain without MX records is its own host; so is a name with a port, which is not asked for MX."""
    assert find("host.example.com") == Plan("host.example.com", (Host("host.example.com", ("192.0.2.3",)),))
    plan = find("x.example", "host.example.com:2525")
    assert plan == Plan("host.example.com:2525", (Host("host.example.com", ("192.0.2.3",), 2525),))


@pytest.mark.parametrize(
    ("route", "site", "address", "port"),
    [
        ("[127.0.0.1]", "[127.0.0.1]", "127.0.0.1", 25),
        ("[127.0.0.1]:2525", "[127.0.0.1]:2525", "127.0.0.1", 2525),
        ("[IPv6:::1]:2525", "[::1]:2525", "::1", 2525),
    ],
)
def test_the_operators_literals_may_be_loopback(route, site, address, port):
    """A literal in the operator's files is taken as it is, without DNS."""
    plan = find("example.com", route)
    assert (plan.site, plan.hosts[0].addresses, plan.hosts[0].port) == (site, (address,), port)


@pytest.mark.parametrize(
    "domain",
    ["[127.0.0.1]", "[IPv6:::1]", "[0.0.0.0]", "[169.254.1.1]", "[IPv6:fe80::1]", "[IPv6:::ffff:127.0.0.1]",
     "[IPv6:64:ff9b::7f00:1]", "[IPv6:2002:7f00:1::]", "[IPv6:::127.0.0.1]",
     "local.example", "mapped.example", "metadata.example", "loopback.example"],
)  # fmt: skip
def test_prohibited_addresses(domain):
    """What a client wrote or DNS returned may not be loopback, link-local or unspecified."""
    assert find(domain) == NoRoute(Kind.PERMANENT, PROHIBITED)


def test_an_operators_name_is_still_an_answer_of_dns():
    """A trusted name that resolves to loopback is prohibited, until the operator's list says otherwise."""
    assert find("x.example", "local.example:25") == NoRoute(Kind.PERMANENT, PROHIBITED)
    assert find("x.example", "local.example:25", prohibited=()).hosts[0].addresses == ("127.0.0.1",)
    assert find("example.com", prohibited=(ip_network("192.0.2.0/24"),)).reply == PROHIBITED


@pytest.mark.parametrize(
    ("domain", "kind", "answer"),
    [
        ("null.example", Kind.PERMANENT, NULL_MX),
        ("nowhere.example", Kind.TRANSIENT, NO_ROUTE),
        ("dead.example", Kind.TRANSIENT, NO_ROUTE),
        ("address.example", Kind.TRANSIENT, NO_ROUTE),
    ],
)
def test_nowhere_to_go(domain, kind, answer):
    """A null MX bounces; what does not resolve may resolve later."""
    assert find(domain) == NoRoute(kind, answer)


@pytest.mark.parametrize("domain", ["broken.example", "unknown.example"])
def test_trouble_with_dns_is_told_apart(domain):
    """Where DNS failed, the reply says so."""
    result = find(domain)
    assert (result.kind, result.reply.code, str(result.reply.enhanced)) == (Kind.TRANSIENT, 451, "4.4.3")


def test_hosts_that_do_not_resolve_are_left_out():
    """One dead MX host does not take the others with it; a null MX among others is none."""
    assert names(find("half.example")) == ["b.example.com"]
    assert names(find("almost-null.example")) == ["a.example.com"]


@pytest.mark.parametrize(
    "own", [Own(names=frozenset({"we.example"})), Own(listeners=(("198.51.100.1", 25),))]
)
def test_only_hosts_more_preferred_than_ourselves(own):
    """Where we are an MX host, those equal or less preferred are dropped (RFC 5321 section 5.1)."""
    assert names(find("ours.example", own=own)) == ["a.example.com"]
    assert find("we.example", own=own) == NoRoute(Kind.PERMANENT, LOOP)


def test_never_our_own_listeners():
    """A route to one of our own listeners is a loop, also where it listens on every address."""
    everywhere = Own(listeners=(("0.0.0.0", 2525),))
    loop = NoRoute(Kind.PERMANENT, LOOP)
    assert find("x.example", "[127.0.0.1]:2525", own=Own(listeners=(("127.0.0.1", 2525),))) == loop
    assert find("x.example", "[127.0.0.1]:2525", own=everywhere, is_local=is_local_address) == loop
    assert find("x.example", "[192.0.2.1]:2525", own=everywhere, is_local=is_local_address).hosts
    assert find("x.example", "[127.0.0.1]:2526", own=everywhere, is_local=is_local_address).hosts


def test_plans_are_bounded():
    """Of very many hosts or addresses, some are enough."""
    assert len(find("many.example").hosts) == MAX_HOSTS
    assert len(find("wide.example").hosts[0].addresses) == MAX_ADDRESSES
