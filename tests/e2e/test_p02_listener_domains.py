"""P2 to P4 and P7 to P9: what listener_domains files grant, and to whom."""

import pytest

from tests.e2e.mails import ARF, DSN

SENDER = "a@customer.example"

DOMAINS = """
["relayed.example"]
relay_to = true

["sender.example"]
relay_from = ["127.0.0.2", "192.0.2.0/24"]

["*.wild.example"]
relay_to = true

["off.wild.example"]
relay_to = false
"""


@pytest.mark.parametrize(
    ("sender", "recipient", "source", "relays"),
    [
        (SENDER, "b@unlisted.example", "127.0.0.2", False),  # all are off by default
        (SENDER, "b@relayed.example", "127.0.0.2", True),
        (SENDER, "b@RELAYED.Example", "127.0.0.2", True),
        (SENDER, "b@sub.relayed.example", "127.0.0.2", False),
        ("a@relayed.example", "b@unlisted.example", "127.0.0.2", False),
        ("a@sender.example", "b@unlisted.example", "127.0.0.2", True),
        ("a@sender.example", "b@unlisted.example", "127.0.0.3", False),
        (SENDER, "b@sender.example", "127.0.0.2", False),
        (SENDER, "b@x.wild.example", "127.0.0.2", True),
        (SENDER, "b@y.x.wild.example", "127.0.0.2", True),
        (SENDER, "b@wild.example", "127.0.0.2", False),
        (SENDER, "b@off.wild.example", "127.0.0.2", False),
        (SENDER, "b@x.off.wild.example", "127.0.0.2", True),
    ],
)
def test_who_may_relay(serve, sender, recipient, source, relays):
    """`relay_to` counts for the recipient's domain, `relay_from` for the sender's; wildcards as P7 says."""

    async def test(house):
        client = await house.connect(source)
        [answer] = await client.begin(sender, recipient)
        assert answer.startswith("250" if relays else "550 5.7.1"), answer
        if relays:
            assert (await client.content()).startswith("250")
            await house.arrived()

    serve(test, domains=DOMAINS)


def test_a_default_for_every_other_domain(serve):
    """`["*"]` answers for every domain without an entry, and never for an address literal."""

    async def test(house):
        client = await house.stranger()
        answers = await client.begin(SENDER, "b@anything.example", "b@own.example", "b@[192.0.2.1]")
        assert [answer[:3] for answer in answers] == ["250", "550", "550"]

    serve(test, domains='["*"]\nrelay_to = true\n["own.example"]\nlog_oob = false\n')


def test_records_name_the_line_that_decided(serve):
    """`decided_by` has file, line and key of the rule, and the configuration's hash, also in a Rejection."""

    async def test(house):
        client = await house.stranger()
        await client.send(SENDER, "b@relayed.example")
        await client.begin(SENDER, "b@off.wild.example")
        reception, rejection = house.records("Reception", "Rejection")
        decided = reception["decided_by"]
        assert (decided["kind"], decided["line"], decided["key"]) == ("rule", 3, "relayed.example")
        assert decided["file"].endswith("domains.toml")
        assert decided["config"] == house.configuration.hash
        assert reception["recipients"] == [
            {
                "address": "b@relayed.example",
                "decided_by": decided,
                "reply": "250 2.1.5 recipient accepted",
            }
        ]
        assert (rejection["decided_by"]["line"], rejection["decided_by"]["key"]) == (12, "off.wild.example")

    serve(test, domains=DOMAINS)


def test_a_json_file(serve):
    """Several files are merged, JSON among them; the later wins option by option."""

    async def test(house):
        client = await house.stranger()
        answers = await client.begin(SENDER, "b@one.example", "b@two.example")
        assert [answer[:3] for answer in answers] == ["250", "250"]

    def serve_both(folder):
        (folder / "more.json").write_text('{"two.example": {"relay_to": true}}')

    serve(
        test,
        domains='["one.example"]\nrelay_to = true\n["two.example"]\nrelay_to = false\n',
        domain_files=["domains.toml", "more.json"],
        prepare=serve_both,
    )


# Contract 2.2, the table: global, section, asked, answer
MERGED = [
    ('"*.e.com"', "relay_to = true\nlog_oob = true", '"*.e.com"', "log_oob = false", "a.e.com", "relay_to"),
    ('"www.e.com"', "relay_to = false", '"*.e.com"', "relay_to = true", "www.e.com", ""),
    ('"www.e.com"', "relay_to = false", '"*"', "relay_to = true", "www.e.com", ""),
    ('"other.com"', "relay_to = false", '"*"', "relay_to = true", "x.org", "relay_to"),
    ('"e.com"', "relay_to = true", '"e.com"', "relay_to = false", "e.com", ""),
    ('"e.com"', "relay_to = true", '"e.com"', "log_arf = true", "e.com", "relay_to log_arf"),
    ('"b.e.com"', "log_oob = true", '"*.e.com"', "log_oob = false", "b.e.com", ""),
    ('"b.e.com"', "log_oob = true", '"*.e.com"', "log_arf = true", "b.e.com", "log_oob"),
]


@pytest.mark.parametrize(("key", "options", "section_key", "section", "asked", "answer"), MERGED)
def test_sections_are_laid_over_the_global_answer(serve, key, options, section_key, section, asked, answer):
    """The rows of the contract's merge table, and the other listener untouched."""

    async def test(house):
        client = await house.stranger()
        [said] = await client.begin(SENDER, f"b@{asked}")
        if "relay_to" in answer:
            assert said == "250 2.1.5 recipient accepted"
        elif answer:
            assert said == "250 2.1.5 recipient accepted, for reports only"
        else:
            assert said.startswith("550 5.7.1")
        decision = await _examined(house, client, asked)
        assert decision == {kind for kind in ("log_oob", "log_arf") if kind in answer}
        other = await house.stranger(listener=1)
        [said] = await other.begin(SENDER, f"b@{asked}")
        assert said.startswith("250" if "true" in options and asked != "x.org" else "550"), said

    serve(
        test,
        listeners=[("127.0.0.1", 'name = "first"'), ("127.0.0.1", 'name = "second"')],
        domains=f"[{key}]\n{options}\n[listener.first.{section_key}]\n{section}\n",
    )


async def _examined(house, client, domain):
    """Which kinds of report are taken and logged for a domain."""
    found = set()
    for option, content, kind in (("log_oob", DSN, "OOB"), ("log_arf", ARF, "Feedback")):
        await client.say("RSET")
        before = len(house.records(kind))
        [answer] = await client.begin("", f"b@{domain}")
        if answer.startswith("250"):
            await client.content(content)
        if len(house.records(kind)) > before:
            found.add(option)
    return found
