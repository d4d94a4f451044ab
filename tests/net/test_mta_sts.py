"""net.mta_sts: policies as domains publish them, fetched from a real HTTPS server on loopback."""

import asyncio
import ssl

import pytest
import trustme

from angarium.net.mta_sts import BadPolicy, Policies, Policy, parse_policy
from angarium.testing.clock import VirtualClock
from angarium.testing.dns import StaticResolver

POLICY = (
    "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmx: *.mail.example.com\r\nmax_age: 86400\r\n"
)


def test_a_policy():
    """A policy says which hosts may take mail, for how long; `*.` stands for one label."""
    policy = parse_policy(POLICY + "future: thing\r\n")
    assert policy == Policy("enforce", ("mx.example.com", "*.mail.example.com"), 86400.0)
    hosts = (
        "mx.example.com",
        "a.mail.example.com",
        "a.b.mail.example.com",
        "mail.example.com",
        "mx.other.example",
    )
    assert [policy.allows(host) for host in hosts] == [True, True, False, False, False]
    assert (
        parse_policy(
            "version: STSv1\nmode: none\nmax_age: 99999999999".replace("99999999999", "99999999")
        ).max_age
        == 31557600.0
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        POLICY.replace("STSv1", "STSv2"),
        POLICY.replace("enforce", "maybe"),
        POLICY.replace("86400", "long"),
        "version: STSv1\nmode: enforce\nmax_age: 1",
    ],
)
def test_what_is_no_policy(text):
    """What is not understood is no policy."""
    with pytest.raises(BadPolicy):
        parse_policy(text)


class Web:
    """An HTTPS server that gives each request the next answer."""

    def __init__(self, authority, name="mta-sts.example.com"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(self.context)
        self.requests = []
        self.body = POLICY
        self.head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def serve(self, reader, writer):
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")[0])
            if self.body is not None:
                writer.write((self.head + self.body).encode())
            else:
                await reader.read()
        finally:
            writer.close()


ZONE = {"mta-sts.example.com": {"A": ["127.0.0.1"]}, "_mta-sts.example.com": {"TXT": ['"v=STSv1; id=2026;"']}}


@pytest.fixture
def fetch(tmp_path):
    """Run `test(policies, web, zone, clock)` in a time that jumps."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    def runner(test, **web):
        clock = VirtualClock()

        async def main():
            zone = {name: dict(records) for name, records in ZONE.items()}
            async with Web(authority, **web) as server:
                policies = Policies(
                    StaticResolver(zone),
                    ca=str(tmp_path / "ca.pem"),
                    port=server.port,
                    clock=asyncio.get_running_loop().time,
                )
                return await test(policies, server, zone)

        return clock.run(main())

    return runner


def test_a_policy_is_fetched_once(fetch):
    """It is fetched over HTTPS, and kept while its id stays; a new id brings the new one."""

    async def test(policies, web, zone):
        first = await asyncio.gather(*(policies.policy("example.com") for _ in range(3)))
        await asyncio.sleep(1000)
        first.append(await policies.policy("example.com"))
        web.body = POLICY.replace("enforce", "testing")
        zone["_mta-sts.example.com"] = {"TXT": ['"v=STSv1;" " id=2027"']}
        await asyncio.sleep(1000)
        return first, await policies.policy("example.com"), web.requests

    first, second, requests = fetch(test)
    assert ([policy.mode for policy in first], second.mode) == (["enforce"] * 4, "testing")
    assert requests == ["GET /.well-known/mta-sts.txt HTTP/1.1"] * 2


@pytest.mark.parametrize("first", ["127.0.0.2", "127.0.0.3"], ids=["refuses", "hangs"])
def test_a_policy_comes_from_any_address_of_its_host(fetch, first):
    """An address that refuses, or says nothing, hides no policy that another one has."""

    class Silent(asyncio.Protocol):
        def connection_lost(self, exc):
            gone.set()

    gone = asyncio.Event()

    async def test(policies, web, zone):
        zone["mta-sts.example.com"] = {"A": [first, "127.0.0.1"]}
        async with await asyncio.get_running_loop().create_server(Silent, "127.0.0.3", web.port):
            policy = await policies.policy("example.com")
            if first == "127.0.0.3":
                await gone.wait()
            return policy

    assert fetch(test).mode == "enforce"


def test_a_known_policy_outlives_trouble(fetch):
    """Who blocks DNS or HTTPS later changes nothing until the policy is over."""

    async def test(policies, web, zone):
        known = [await policies.policy("example.com")]
        zone["_mta-sts.example.com"] = "SERVFAIL"
        await asyncio.sleep(80_000)
        known.append(await policies.policy("example.com"))
        await asyncio.sleep(10_000)
        return [*known, await policies.policy("example.com")]

    known = fetch(test)
    assert [policy is not None for policy in known] == [True, True, False]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("HTTP/1.1 301 Moved\r\nLocation: https://evil.example/\r\nContent-Type: text/plain\r\n\r\n", POLICY),
        ("HTTP/1.1 404 No\r\nContent-Type: text/plain\r\n\r\n", POLICY),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", POLICY),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "x" * 200_000),
        ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9999\r\n\r\n", POLICY),
        ("garbage\r\n\r\n", POLICY),
        ("", None),
    ],
)
def test_what_is_not_taken(fetch, head, body):
    """Redirects, other types, too much, garbage and silence give no policy; it is asked for again later."""

    async def test(policies, web, _):
        web.head, web.body = head, body
        before = await policies.policy("example.com")
        web.head, web.body = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", POLICY
        await asyncio.sleep(400)
        return before, await policies.policy("example.com")

    before, after = fetch(test)
    assert (before, after.mode) == (None, "enforce")


def test_the_certificate_counts(fetch):
    """A certificate for another name gives no policy."""

    async def test(policies, web, _):
        return await policies.policy("example.com"), web.requests

    assert fetch(test, name="elsewhere.example") == (None, [])


@pytest.mark.parametrize(
    "records", [['"v=STSv1; id=1"', '"v=STSv1; id=2"'], ['"v=spf1 -all"'], ['"v=STSv1"']]
)
def test_dns_says_one_id(fetch, records):
    """Without exactly one record with an id there is no policy, and nobody is asked for it."""

    async def test(policies, web, zone):
        zone["_mta-sts.example.com"] = {"TXT": records}
        return await policies.policy("example.com"), web.requests

    assert fetch(test) == (None, [])
