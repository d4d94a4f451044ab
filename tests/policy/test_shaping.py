"""policy.shaping and policy.egress: layers of options, sources and pools, and what is refused."""

from pathlib import Path

import pytest

from angarium.policy.config import ConfigError, QueueConfig, Source
from angarium.policy.egress import load_egress
from angarium.policy.load import load
from angarium.policy.shaping import Credentials, load_shaping
from angarium.policy.source import read_document
from angarium.policy.throttle import Rate
from tests.cli.house import angarium

LAYERS = """\
[default]
connection_limit = 10
idle_timeout = "9s"

[provider."big"]
match = ["*.mx.big.example", "mx.big.example"]
connection_limit = 20
max_message_rate = "100/s"

[domain."Example.COM"]
max_message_rate = "5/s,max_burst=2"

[domain."*.example.com"]
tls = "required"
"""


def shaping(folder, *texts):
    """Load shaping files."""
    documents = []
    for number, text in enumerate(texts):
        path = folder / f"s{number}.toml"
        path.write_text(text)
        documents.append(read_document(path))
    return load_shaping(documents)


def test_layers(tmp_path):
    """Default, provider, domain, queue: later wins, option by option, and each value knows its line."""
    table, problems = shaping(tmp_path, LAYERS)
    assert problems == []
    plain = table.options("other.example", ["mx.other.example"])
    assert (plain.connection_limit, plain.idle_timeout, plain.banner_timeout) == (10, 9.0, 60.0)
    big = table.options("other.example", ["a.mx.big.example", "mx.big.example"])
    assert (big.connection_limit, big.max_message_rate) == (20, Rate(100, 1.0, 10))
    own = table.options("example.com", ["a.mx.big.example"], QueueConfig(connection_limit=3))
    assert (own.connection_limit, own.max_message_rate, own.idle_timeout) == (3, Rate(5, 1.0, 2), 9.0)
    lines = {name: source.line for name, source in own.sources.items()}
    assert lines == {"idle_timeout": 3, "max_message_rate": 11}
    assert big.sources["connection_limit"].line == 7


def test_a_queue_option_knows_its_own_line(tmp_path):
    """What a queue's file says is laid over all else, with its own place."""
    table, _ = shaping(tmp_path, LAYERS)
    config = QueueConfig(connection_limit=3, sources={"connection_limit": Source("queues.toml", 7)})
    assert str(table.options("a.example", [], config).sources["connection_limit"]) == "queues.toml:7"


def test_a_provider_runs_all_hosts_or_none(tmp_path):
    """One foreign MX host, and the site is not the provider's."""
    table, _ = shaping(tmp_path, LAYERS)
    assert table.provider(["a.mx.big.example", "mx.small.example"]) is None
    assert table.provider([]) is None


def test_wildcards(tmp_path):
    """A domain has its own entry, else the longest wildcard above it; an address has none above it."""
    table, _ = shaping(tmp_path, LAYERS)
    keys = [
        table.domain_key(name) for name in ("example.com", "a.b.example.com", "example.org", "[10.0.0.1]")
    ]
    assert keys == ["example.com", "*.example.com", None, None]


def test_later_files_win(tmp_path):
    """Several files are merged option by option."""
    table, problems = shaping(
        tmp_path, LAYERS, "[default]\nconnection_limit = 11\n[provider.big]\nidle_timeout = 1\n"
    )
    assert problems == []
    assert table.options("x.example", []).connection_limit == 11
    assert table.options("x.example", ["mx.big.example"]).idle_timeout == 1.0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[default]\nconection_limit = 1",
            "2: unknown option conection_limit: did you mean connection_limit?",
        ),
        ("[default]\nmax_message_rate = 'fast'", "2: max_message_rate: 'fast' is not a rate"),
        ("[default]\ntls = 'yes'", "2: tls: 'yes' is not known here"),
        ("[default]\nuse_lmtp = true", "2: use_lmtp is a matter of the queue here"),
        ("[provider.p]\nconnection_limit = 1", "1: p has no MX hosts"),
        ("[domain.'a b']\n", "1: 'a b' is not a domain"),
        ("[domain.'127.0.0.1']\n", "1: 127.0.0.1 looks like an address: write [domain.'[127.0.0.1]']"),
        (
            "[default]\nauth = { username = 'us', password = 'hunter2' }",
            "2: auth: write { username = 'us', password_env",
        ),
        ("[default]\nauth = { username = 'us' }", "2: auth: needs username, and one of"),
        ("[default]\nauth = { username = 'us', password_file = 'none' }", "2: auth: there is no file"),
        ("[default]\ntls_ca = 'none.pem'", "2: tls_ca: there is no file"),
    ],
)
def test_what_is_refused(tmp_path, text, problem):
    """What is wrong says so, on its line; and no password is repeated."""
    _, problems = shaping(tmp_path, text)
    assert any(problem in str(found).replace(str(tmp_path), "") and found.is_error for found in problems)
    assert "hunter2" not in "".join(map(str, problems))


def test_passwords_stay_where_they_are(tmp_path, monkeypatch):
    """A password is read when it is needed, from a file or the environment, and is in no text of ours."""
    (tmp_path / "secret").write_text("hunter2\n")
    table, problems = shaping(tmp_path, "[default]\nauth = { username = 'us', password_file = 'secret' }")
    auth = table.options("x.example", []).auth
    assert (problems, auth.password()) == ([], "hunter2")
    assert "hunter2" not in repr(auth)
    monkeypatch.setenv("RELAY_PASSWORD", "hunter3")
    assert Credentials("us", password_env="RELAY_PASSWORD").password() == "hunter3"
    monkeypatch.delenv("RELAY_PASSWORD")
    with pytest.raises(LookupError, match="the environment has no RELAY_PASSWORD"):
        Credentials("us", password_env="RELAY_PASSWORD").password()
    with pytest.raises(LookupError, match="cannot read"):
        Credentials("us", password_file=str(Path(tmp_path / "gone"))).password()


def egress(folder, text):
    """Load an egress file."""
    path = folder / "egress.toml"
    path.write_text(text)
    return load_egress([read_document(path)])


def test_pools(tmp_path):
    """A pool has sources with weights; one without weight is not used."""
    table, problems = egress(
        tmp_path,
        "[source.a]\nsource_address = '192.0.2.1'\nehlo_domain = 'a.example'\nremote_port = 2525\n"
        "[source.b]\n[pool.p.a]\nweight = 3\n[pool.p.b]\n[pool.q.a]\n[pool.q.b]\nweight = 0\n",
    )
    assert problems == []
    assert [(source.name, weight) for source, weight in table.members("p")] == [("a", 3), ("b", 1)]
    assert [source.remote_port for source, _ in table.members("q")] == [2525]
    assert [table.knows(pool) for pool in ("none", "p", "r")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[source.a]\nsource_address = 'localhost'", "2: source_address: 'localhost' is not an IP address"),
        *(
            (
                f"[source.a]\nsource_address = '{address}'",
                f"2: source_address: '{address}' is no address that",
            )
            for address in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255")
        ),
        ("[source.a]\nsocks5_proxy_server = 'x:1'", "2: socks5_proxy_server is not available"),
        ("[pool.p.a]\n", "1: there is no source a"),
        ("[source.a]\n[pool.p.a]\nweight = 0", "2: pool p has no source with a weight"),
        ("[source.a]\n[pool.none.a]\n", "2: none is the name for no pool at all"),
    ],
)
def test_what_egress_refuses(tmp_path, text, problem):
    """What is wrong says so, on its line."""
    _, problems = egress(tmp_path, text)
    assert any(problem in str(found) and found.is_error for found in problems)


def test_a_pool_that_nobody_wrote(tmp_path):
    """A queue cannot name a pool that no file has: the line that names it says so; `none` needs no file."""
    (tmp_path / "main.toml").write_text('hostname = "mx.example.com"\n[policy]\nqueues = ["q.toml"]\n')
    pools = (("queue.default", "none"), ("tenant.t", "a"), ("queue.'x.example'", "b"))
    text = "".join(f"[{table}]\negress_pool = '{pool}'\n" for table, pool in pools)
    (tmp_path / "q.toml").write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(tmp_path / "main.toml")
    told = [str(problem).rpartition("/")[2] for problem in raised.value.problems if "pool" in problem.text]
    assert [text.partition(": write")[0] for text in told] == [
        "q.toml:4: there is no egress pool 'a'",
        "q.toml:6: there is no egress pool 'b'",
    ]


@pytest.mark.parametrize(
    ("queues", "line"),
    [
        ('["rate.example"]\nrouting_domain = "mx.example"\n', 2),
        ('[default]\nrouting_domain = "[192.0.2.1]:25"\n', 2),
        ('["rate.example"]\nmax_age = "1h"\n', None),
        ('["rate.example"]\nrouting_domain = "rate.example:2525"\n', None),
        ('["x.example"]\nrouting_domain = "rate.example"\n[default]\nrouting_domain = "mx.example"\n', None),
    ],
)
def test_an_entry_that_no_mail_comes_by_is_named(tmp_path, queues, line):
    """`check` warns of the entry of a domain that the queues files send elsewhere, and says what to do."""
    (tmp_path / "queues.toml").write_text(
        queues.replace("[default]", "[queue.default]").replace('["', '[queue."')
    )
    (tmp_path / "shaping.toml").write_text('[domain."rate.example"]\nmax_message_rate = "5/s"\n')
    (tmp_path / "main.toml").write_text(
        'hostname = "mx.example.com"\n[[listener]]\nlisten = "127.0.0.1:2525"\n'
        '[policy]\nqueues = ["queues.toml"]\nshaping = ["shaping.toml"]\n'
    )
    found = [each for each in load(tmp_path / "main.toml").problems if "no effect" in each.text]
    assert [(Path(each.source.file).name, each.source.line) for each in found] == (
        [("shaping.toml", line)] if line else []
    )
    assert all("write [domain." in each.text for each in found)
    told = angarium("config", "why", "rate.example", "-c", tmp_path / "main.toml")
    assert ("has no effect" in told.stderr) == bool(line)


@pytest.mark.parametrize(
    ("queues", "is_idle"),
    [
        ('["*.rate.example"]\nrouting_domain = "mx.example"\n', True),
        ('[default]\nrouting_domain = "[192.0.2.1]:25"\n["a.rate.example"]\nmax_age = "1h"\n', True),
        ('["*.rate.example"]\nmax_age = "1h"\n', False),
        ('["*.rate.example"]\nrouting_domain = "mx.rate.example"\n', False),
        ('["*.example"]\nrouting_domain = "mx.example"\n["x.example"]\nmax_age = "1h"\n', True),
        ('["a.rate.example"]\nrouting_domain = "mx.example"\n', False),
        ('["*.rate.example"]\nrouting_domain = "mx.example"\n["*.b.rate.example"]\nmax_age = "1h"\n', False),
        ('["*.rate.example"]\nrouting_domain = "mx.example"\n["own.rate.example"]\nmax_age = "1h"\n', True),
    ],
)
def test_a_wildcard_that_no_mail_comes_by_is_named(tmp_path, queues, is_idle):
    """A wildcard is warned of where all mail that would come by it goes elsewhere."""
    (tmp_path / "queues.toml").write_text(
        queues.replace("[default]", "[queue.default]").replace('["', '[queue."')
    )
    (tmp_path / "shaping.toml").write_text(
        '[domain."*.rate.example"]\nmax_message_rate = "5/s"\n'
        '[domain."own.rate.example"]\nmax_message_rate = "6/s"\n'
    )
    (tmp_path / "main.toml").write_text(
        'hostname = "mx.example.com"\n[[listener]]\nlisten = "127.0.0.1:2525"\n'
        '[policy]\nqueues = ["queues.toml"]\nshaping = ["shaping.toml"]\n'
    )
    found = [each for each in load(tmp_path / "main.toml").problems if "no effect" in each.text]
    assert (2 in {each.source.line for each in found}) == is_idle
