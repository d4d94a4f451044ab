"""policy.queues: the options of a queue, from its files."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from angarium.policy.config import Problem, QueueConfig
from angarium.policy.queues import QueueTable, load_queues
from angarium.policy.source import parse_document


def load(*texts: str) -> tuple[QueueTable, list[Problem]]:
    return load_queues(parse_document(text.encode(), Path(f"/q{i}.toml")) for i, text in enumerate(texts, 1))


def table_of(*texts: str) -> QueueTable:
    table, problems = load(*texts)
    assert [str(problem) for problem in problems] == []
    return table


LEVELS = """\
[queue.default]
retry_interval = "10m"
max_age = "1 day"
[queue.'*.example.com']
retry_interval = 60
[queue.'Example.COM.']
routing_domain = '[10.0.0.1]:2525'
prohibited_hosts = []
[queue.'*.b.example.com']
smtp_port = 2525
[queue.'example.com'.'t']
max_age = 3
connection_limit = 3
[queue.'example.com'.'t'.'c']
connection_limit = 4
[tenant.'t']
max_age = 2
max_retry_interval = 2
max_deliveries_per_connection = 1
"""


def test_levels() -> None:
    """Default, domain, tenant, tenant of the domain, campaign: later wins, option by option."""
    table = table_of(LEVELS.replace("Example.COM.", "example.com"))
    assert table.lookup("other.org").retry_interval == 600
    domain = table.lookup("example.com")
    assert (domain.retry_interval, domain.max_age, domain.routing_domain) == (600, 86400, "[10.0.0.1]:2525")
    assert domain.prohibited_hosts == ()
    tenant = table.lookup("other.org", "t")
    assert (tenant.max_age, tenant.max_retry_interval, tenant.connection_limit) == (2, 2, None)
    both = table.lookup("example.com", "t", "unknown")
    assert (both.max_age, both.connection_limit, both.routing_domain) == (3, 3, "[10.0.0.1]:2525")
    assert table.lookup("example.com", "t", "c").connection_limit == 4
    assert table.lookup("example.com", "unknown", "c") == domain


def test_wildcards() -> None:
    """A name without an entry takes the longest wildcard above it, past names that are not listed."""
    table = table_of(LEVELS.replace("Example.COM.", "example.com"))
    assert table.lookup("a.example.com").retry_interval == 60
    assert table.lookup("a.b.example.com").smtp_port == 2525
    assert table.lookup("a.b.example.com").retry_interval == 600
    assert table.lookup("b.example.com").retry_interval == 60
    assert table.lookup("[10.0.0.1]").retry_interval == 600


def test_sources() -> None:
    """Every option of the answer says where it was written."""
    table = table_of(LEVELS.replace("Example.COM.", "example.com"))
    sources = {name: str(source) for name, source in table.lookup("example.com", "t").sources.items()}
    assert sources == {
        "retry_interval": "/q1.toml:2",
        "max_age": "/q1.toml:12",
        "routing_domain": "/q1.toml:7",
        "prohibited_hosts": "/q1.toml:8",
        "connection_limit": "/q1.toml:13",
        "max_retry_interval": "/q1.toml:18",
        "max_deliveries_per_connection": "/q1.toml:19",
    }


def test_answers_are_remembered() -> None:
    """Names that are not in the files share one answer, so that strangers cannot make it grow."""
    table = table_of(LEVELS.replace("Example.COM.", "example.com"))
    assert table.lookup("one.org") is table.lookup("two.org", "nobody", "none")
    assert table.lookup("x.example.com") is table.lookup("y.example.com", None, "c")


def test_own_routing_domain() -> None:
    """A routing domain of the message's own is laid over the files'."""
    table = table_of(LEVELS.replace("Example.COM.", "example.com"))
    config = table.lookup("example.com", routing_domain="mx.example.net")
    assert config.routing_domain == "mx.example.net"
    assert "routing_domain" not in config.sources
    with pytest.raises(ValueError, match="no routing domain"):
        table.lookup("example.com", routing_domain="a b")


def test_several_files() -> None:
    """Later files are laid over earlier ones, option by option."""
    table = table_of(
        "[queue.'example.com']\nmax_age = 1\nsmtp_port = 1\n[queue.default]\nsmtp_port = 9\n",
        "[queue.'EXAMPLE.com']\nmax_age = 2\nprohibited_hosts = ['10.0.0.0/8']\n[tenant.t]\n",
    )
    config = table.lookup("example.com")
    assert (config.max_age, config.smtp_port) == (2, 1)
    assert config.prohibited_hosts == (ip_network("10.0.0.0/8"),)
    assert table.lookup("x.org").smtp_port == 9


def test_normal_form() -> None:
    """Domains compare in normal form: case, final dot, U-labels and literals."""
    table = table_of("[queue.'Bücher.Example.']\nmax_age = 1\n[queue.'[ipv6:0::1]']\nmax_age = 2\n")
    assert table.lookup("xn--bcher-kva.example").max_age == 1
    assert table.lookup("[IPv6:::1]").max_age == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (LEVELS, ":11: 'example.com' is the domain of line 6 too: make them one"),
        ("[queue.'*']\n", ":1: what holds for all queues stands in [queue.default]"),
        ("[queue.'a b']\n", ":1: 'a b' is not a domain"),
        ("[queue.default.'t']\n", ":1: default has no tenants: write [tenant.'t']"),
        ("[queue.'a.b'.c.d.e]\n", ":1: nothing stands below a campaign: take out e"),
        (
            "[queue.default]\nretry_intervall = 1",
            ":2: unknown option retry_intervall: did you mean retry_interval?",
        ),
        ("[queue.default]\nretry_interval = 0", ":2: retry_interval: 0 is out of range"),
        ("[queue.default]\nrouting_domain = 'a b'", ":2: routing_domain: a b is no routing domain"),
        (
            "[queue.default]\noverall_max_message_rate = '1/s'",
            ":2: overall_max_message_rate is not available",
        ),
        (
            "[queue.default]\nmax_message_rate = '1/fortnight'",
            ":2: max_message_rate: '1/fortnight' is not a rate",
        ),
        ("[queue.default]\nprotocol = 'uucp'", ":2: protocol: {'uucp': {}} is no protocol"),
        ("[queue.default]\nprotocol = { lmtp = { port = 1 } }", ":2: protocol: lmtp takes mx_list"),
        ("[queue.default]\nprotocol = { maildir_path = 'x' }", ":2: protocol: 'x' is no template"),
        (
            "[queue.default]\nprotocol = { maildir_path = '/{shell}' }",
            ":2: protocol: '/{shell}' is no template",
        ),
        ("[queue.default]\ntls = 'yes'", ":2: tls: 'yes' is not known here"),
        ("[tenant.t.campaigns.c]\n", ":1: campaigns is not available"),
        ("queue = 1", ":1: queue is a table, not 1"),
        ("[queue]\n'a.b' = 1", ":2: a.b is a table, not 1"),
        ("[domain.'a.b']", ":1: unknown option domain"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    """What is wrong says so, on its line."""
    _, problems = load(text)
    assert any(str(found).startswith(f"/q1.toml{problem}") and found.is_error for found in problems)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("[queue.default]\nstrategy = 'TimerWheel'", "/q1.toml:2: warning: strategy has no effect here"),
        ("[queue.example.com]\nmax_age = 1", "quote a domain with dots, [queue.'example.com']"),
    ],
)
def test_notes(text: str, note: str) -> None:
    """What has no effect, and what was probably meant otherwise, is noted and no more."""
    _, (problem,) = load(text)
    assert note in str(problem)
    assert not problem.is_error


def test_from_code() -> None:
    """A QueueConfig made in code refuses what could not work."""
    assert QueueConfig(routing_domain="[10.0.0.1]").max_age == 7 * 86400
    with pytest.raises(ValueError, match="no routing domain"):
        QueueConfig(routing_domain="a b")
    with pytest.raises(ValueError, match="max_age must be above zero"):
        QueueConfig(max_age=0)
    with pytest.raises(ValueError, match="max_retry_interval must be above zero"):
        QueueConfig(max_retry_interval=-1.0)
