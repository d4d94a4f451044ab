"""policy.route: queue names and next hops."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.route import NextHop, QueueName, RouteError, next_hop, parse_next_hop, parse_queue_name


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("[10.0.0.1]", "10.0.0.1", None),
        ("[10.0.0.1]:2525", "10.0.0.1", 2525),
        ("[10.0.0.1:2525]", "10.0.0.1", 2525),
        ("[IPv6:::1]", "::1", None),
        ("[ipv6:2001:DB8:0::1]:25", "2001:db8::1", 25),
        ("[::1]", "::1", None),
        ("[::1]:2525", "::1", 2525),
    ],
)
def test_literals(text: str, host: str, port: int | None) -> None:
    """An address literal is that address alone, whatever its spelling; what is shown can be read again."""
    hop = parse_next_hop(text, is_trusted=True)
    assert hop == NextHop(host, ip_address(host), port, is_trusted=True)
    assert not hop.uses_mx
    assert parse_next_hop(str(hop), is_trusted=True) == hop


def test_names() -> None:
    """A bare name stands for its MX hosts, in normal form; a name with a port for itself."""
    assert parse_next_hop("Bücher.Example.", is_trusted=True) == NextHop(
        "xn--bcher-kva.example", is_trusted=True
    )
    assert parse_next_hop("mx.example.com", is_trusted=True).uses_mx
    hop = parse_next_hop("localhost:2525", is_trusted=True)
    assert (hop.name, hop.port, hop.uses_mx, str(hop)) == ("localhost", 2525, False, "localhost:2525")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no routing domain"),
        ("a b", "no routing domain"),
        ("[10.0.0.1:25]:26", "no routing domain"),
        ("[10.0.0.1]:0", "no port"),
        ("mx.example.com:70000", "no port"),
        ("10.0.0.1", r"write '\[10.0.0.1\]'"),
        ("[10.0.0.256]", "no routing domain"),
        ("[fe80::1%eth0]", "no routing domain"),
        ("::1", "no routing domain"),
        ("x\r\ny", "no routing domain"),
        ("mx.example.com:٢٥", "no routing domain"),
    ],
)
def test_what_is_no_routing_domain(text: str, why: str) -> None:
    """Anything else is refused with what to write instead."""
    with pytest.raises(RouteError, match=why):
        parse_next_hop(text, is_trusted=True)


def test_who_wrote_it() -> None:
    """A routing domain is the operator's word; a domain that a client wrote is not."""
    assert next_hop("[127.0.0.1]") == NextHop("127.0.0.1", ip_address("127.0.0.1"), None, is_trusted=False)
    assert next_hop("example.com", "[127.0.0.1]").is_trusted
    assert not next_hop("example.com").is_trusted
    with pytest.raises(RouteError):
        next_hop("example.com:25")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (QueueName("example.com"), "example.com"),
        (QueueName("example.com", "t"), "t@example.com"),
        (QueueName("example.com", "t", "c"), "c:t@example.com"),
        (QueueName("example.com", None, "c"), "c:@example.com"),
        (QueueName("[IPv6:::1]", None, None, "[IPv6:::2]:25"), "[IPv6:::1]![IPv6:::2]:25"),
        (QueueName("example.com", "a@b:c!d%e\r\n", None, "x"), "a%40b%3Ac%21d%25e%0D%0A@example.com!x"),
    ],
)
def test_queue_names(name: QueueName, text: str) -> None:
    """A name's text tells its parts, and reads back."""
    assert str(name) == text
    assert parse_queue_name(text) == name


PART = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(PART, PART, PART)
def test_no_part_forges_another(tenant: str | None, campaign: str | None, routing: str | None) -> None:
    """Whatever stands in tenant, campaign or routing domain, the name reads back as it was."""
    name = QueueName("example.com", tenant, campaign, routing)
    assert parse_queue_name(str(name)) == name
    assert str(name).isprintable()
