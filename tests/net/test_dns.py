"""net.dns against a real name server, and against a dict."""

import asyncio

import pytest

from angarium.net.dns import DnsError, DnsResolver, DnsTrouble, MxHost, NoAnswer, NoSuchDomain, StaticResolver
from angarium.testing.dns import DnsServer

ZONE = {
    "example.com": {"MX": ["20 Backup.example.com.", "10 mx.example.com."], "A": ["192.0.2.9"]},
    "mx.example.com": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"]},
    "v6.example.com": {"AAAA": ["2001:db8::6"]},
    "null.example.com": {"MX": ["0 ."]},
    "alias.example.com": {"CNAME": ["example.com."]},
    "empty.example.com": {"TXT": ["nothing"]},
    "ring.example.com": {"CNAME": ["ring.example.com."]},
    "broken.example.com": "SERVFAIL",
    "many.example.com": {"A": [f"192.0.2.{n}" for n in range(1, 60)]},
}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def ask(kind, name, zone=ZONE):
    """What a DnsResolver answers and what a StaticResolver answers, errors as their types."""

    async def both():
        async with DnsServer(zone) as server:
            return [
                await outcome(getattr(resolver, kind)(name))
                for resolver in (DnsResolver([server.endpoint], limit=4), StaticResolver(zone))
            ]

    return asyncio.run(both())


async def outcome(question):
    try:
        return await question
    except DnsError as error:
        return type(error)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("mx", "example.com", (MxHost(10, "mx.example.com"), MxHost(20, "backup.example.com"))),
        ("mx", "alias.example.com", (MxHost(10, "mx.example.com"), MxHost(20, "backup.example.com"))),
        ("mx", "null.example.com", (MxHost(0, ""),)),
        ("mx", "mx.example.com", NoAnswer),
        ("mx", "nowhere.example.com", NoSuchDomain),
        ("mx", "broken.example.com", DnsTrouble),
        ("mx", "ring.example.com", DnsTrouble),
        ("addresses", "mx.example.com", ("192.0.2.1", "192.0.2.2", "2001:db8::1")),
        ("addresses", "v6.example.com", ("2001:db8::6",)),
        ("addresses", "empty.example.com", NoAnswer),
        ("addresses", "nowhere.example.com", NoSuchDomain),
        ("addresses", "broken.example.com", DnsTrouble),
    ],
)
def test_answers(kind, name, expected):
    """The name server's resolver and the dict's give the same answers and the same kinds of error."""
    assert [_in_order(answer) for answer in ask(kind, name)] == [expected, expected]


def _in_order(answer):
    """Equally preferred hosts, and addresses, come in any order."""
    return tuple(sorted(answer)) if isinstance(answer, tuple) else answer


def test_a_big_answer_comes_over_tcp():
    """An answer too long for a datagram is asked for again over TCP."""

    async def main():
        async with DnsServer(ZONE) as server:
            found = await DnsResolver([server.endpoint], limit=4).addresses("many.example.com")
            return len(found), server.over_tcp

    assert asyncio.run(main()) == (59, 1)


def test_answers_are_kept_for_their_ttl():
    """A second question is answered from memory until the TTL is over."""

    async def main():
        clock = Clock()
        async with DnsServer(ZONE, ttl=60) as server:
            resolver = DnsResolver([server.endpoint], limit=4, clock=clock)
            counts = []
            for clock.now in (0, 59, 61):
                await resolver.mx("example.com")
                counts.append(server.asked["example.com", "MX"])
            return counts

    assert asyncio.run(main()) == [1, 1, 2]


@pytest.mark.parametrize(
    ("name", "error"),
    [("nowhere.example.com", NoSuchDomain), ("mx.example.com", NoAnswer), ("broken.example.com", DnsTrouble)],
)
def test_failures_are_kept_too(name, error):
    """What does not exist, and what could not be resolved, is not asked for again at once."""

    async def main():
        clock = Clock()
        async with DnsServer(ZONE, ttl=60) as server:
            resolver = DnsResolver([server.endpoint], limit=0.5, clock=clock)
            answers = [await outcome(resolver.mx(name))]
            asked = server.asked[name, "MX"]
            answers.append(await outcome(resolver.mx(name)))
            again = server.asked[name, "MX"]
            clock.now = 61
            await outcome(resolver.mx(name))
            return answers, again - asked, server.asked[name, "MX"] > again

    assert asyncio.run(main()) == ([error, error], 0, True)


def test_the_same_question_goes_out_once():
    """Many who ask at once share one question, and one who gives up takes nothing from the others."""

    async def main():
        async with DnsServer(ZONE) as server:
            resolver = DnsResolver([server.endpoint], limit=4)
            tasks = [asyncio.create_task(resolver.mx("example.com")) for _ in range(20)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            return len(set(answers[1:])), server.asked["example.com", "MX"]

    assert asyncio.run(main()) == (1, 1)


def test_the_cache_is_bounded():
    """The answer longest unused leaves first."""

    async def main():
        async with DnsServer(ZONE) as server:
            resolver = DnsResolver([server.endpoint], limit=4, max_cached=2)
            for name in (
                "example.com",
                "null.example.com",
                "example.com",
                "alias.example.com",
                "example.com",
            ):
                await resolver.mx(name)
            await resolver.mx("null.example.com")
            return server.asked["example.com", "MX"], server.asked["null.example.com", "MX"]

    assert asyncio.run(main()) == (1, 2)


def test_a_silent_server_costs_a_bounded_time():
    """Where no name server answers, the question ends in DnsTrouble when its time is over."""

    async def main():
        async with DnsServer({"example.com": "SILENCE"}) as server:
            return await outcome(DnsResolver([server.endpoint], limit=0.2).addresses("example.com"))

    assert asyncio.run(main()) is DnsTrouble


@pytest.mark.parametrize("text", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"])
def test_forms_of_a_nameserver(text):
    """Name servers are written with and without a port, IPv4 and IPv6."""
    assert DnsResolver([text])


@pytest.mark.parametrize("text", ["ns.example.com", "192.0.2.1:x"])
def test_a_nameserver_is_an_address(text):
    """A name server that is no address is refused when the resolver is made."""
    with pytest.raises(ValueError, match=r"address|literal"):
        DnsResolver([text])
