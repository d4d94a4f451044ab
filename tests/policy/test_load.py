"""policy.load: from files to one configuration, or to every problem in them."""

import os
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from angarium.mail.address import Address
from angarium.policy.config import ConfigError, Configuration, LineEndings, ListenerOptions, TraceHeaders
from angarium.policy.listeners import LISTENER_SCHEMA, effective_options
from angarium.policy.load import find_main_file, load
from tests.policy.test_security_options import SECURITY_OPTIONS

Write = Callable[..., Configuration]
Problems = Callable[..., list[str]]

MINIMAL = """\
postmaster = "ops@example.com"
[[listener]]
listen = "0.0.0.0:25"
"""


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes files and loads angarium.toml of them."""
    monkeypatch.chdir(tmp_path)

    def configure(main: str, **files: str) -> Configuration:
        for name, text in {"angarium": main, **files}.items():
            (tmp_path / f"{name}.toml").write_text(text)
        return load("angarium.toml")

    return configure


@pytest.fixture
def problems(configure: Write) -> Problems:
    """Writes files that must not load; returns the problems as the operator reads them."""

    def problems(main: str, **files: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            configure(main, **files)
        return [str(problem) for problem in caught.value.problems]

    return problems


def options_of(
    configuration: Configuration, peer: str = "192.0.2.1", local: str = "192.0.2.9"
) -> ListenerOptions:
    return effective_options(configuration.listeners[0], ip_address(peer), ip_address(local))


def test_defaults(configure: Write, tmp_path: Path) -> None:
    """Of a main file that names only a listener, everything else has the default that the contract gives."""
    configuration = configure(MINIMAL)
    options = configuration.listeners[0].options
    assert options.relay_hosts == (ip_network("127.0.0.1/32"), ip_network("::1/128"))
    assert options.hostname == configuration.hostname
    assert (configuration.workers, configuration.user) == (1, None)
    assert configuration.postmaster == Address.parse("ops@example.com")
    assert configuration.spool.path == str(tmp_path / "spool")
    assert configuration.log.dir == str(tmp_path / "logs")
    assert configuration.control.socket == str(tmp_path / "spool" / "control.sock")
    assert configuration.problems == ()
    assert not configuration.hooks.handles("get_listener_domain")


EVERYTHING = """\
hostname = "MX.example.com"
postmaster = "ops@example.com"
workers = 1
user = "angarium"
shutdown_timeout = "1m 30s"
handler_timeout = 5

[[listener]]
name = "public"
listen = "[::]:25"
max_connections = 10
relay_hosts = ["10.0.0.0/8", "::ffff:192.0.2.0/120"]
banner = "ready"
batch_handling = "BifurcateAlways"
trace_headers = { received_header = false, header_name = "X-Ref", include_meta_names = ["a"] }
client_timeout = "5m"
data_processing_timeout = 2.5
max_messages_per_connection = 1
max_recipients_per_message = 2
max_message_size = "20 MiB"
data_buffer_size = "64KB"
invalid_line_endings = "Fix"
line_length_hard_limit = 2048
max_hops = 30
allow_sender_routing = true
max_header_size = "100 KiB"
meta = { colour = "red", deep = { list = [1, true] } }

[policy]
listener_domains = []
[spool]
path = "/var/spool/angarium"
segment_size = "1 GiB"
min_free_space = 1000
[log]
dir = "log"
max_file_size = "1 GB"
max_segment_duration = "1 hour"
compression_level = 3
meta = ["tenant"]
headers = ["Subject"]
[log.keep]
age = "30 days"
size = "10 GiB"
[log.per_record.Rejection]
enable = false
[log.per_record.Any]
log_dir = "elsewhere"
suffix = "_x"
[control]
socket = "c.sock"
[dns]
nameservers = ["127.0.0.1:5353", "::1", "[::1]:54"]
"""


def test_every_option(configure: Write, tmp_path: Path) -> None:
    """Each option of the main file arrives as a typed value."""
    configuration = configure(EVERYTHING)
    assert (configuration.hostname, configuration.user) == ("mx.example.com", "angarium")
    assert (configuration.shutdown_timeout, configuration.handler_timeout) == (90.0, 5.0)
    assert configuration.spool.path == "/var/spool/angarium"
    assert (configuration.spool.segment_size, configuration.spool.min_free_space) == (1 << 30, 1000)
    log = configuration.log
    assert (log.max_file_size, log.max_segment_duration, log.compression_level) == (10**9, 3600.0, 3)
    assert (log.keep_age, log.keep_size) == (30 * 86400.0, 10 << 30)
    assert log.per_record["Rejection"] == {"enable": False}
    assert log.per_record["Any"] == {"log_dir": str(tmp_path / "elsewhere"), "suffix": "_x"}
    assert configuration.dns.nameservers == (("127.0.0.1", 5353), ("::1", 53), ("::1", 54))
    assert str(configuration.sources["spool.path"]) == "angarium.toml:32"


def test_every_listener_option(configure: Write) -> None:
    """Each option of a listener arrives as a typed value, with the line where it was written."""
    listener = configure(EVERYTHING).listeners[0]
    options = listener.options
    assert (listener.label, listener.host, listener.port, listener.max_connections) == (
        "public",
        "::",
        25,
        10,
    )
    assert options.relay_hosts == (ip_network("10.0.0.0/8"), ip_network("192.0.2.0/24"))
    assert options.trace_headers == TraceHeaders(
        received_header=False, header_name="X-Ref", include_meta_names=("a",)
    )
    assert (options.client_timeout, options.data_processing_timeout) == (300.0, 2.5)
    assert (options.max_message_size, options.data_buffer_size) == (20 << 20, 64_000)
    assert options.invalid_line_endings is LineEndings.FIX
    assert options.meta == {"colour": "red", "deep": {"list": [1, True]}}
    assert str(options.sources["max_hops"]) == "angarium.toml:24"
    written = set(LISTENER_SCHEMA.options) - {"name", "listen", "max_connections", "allow"} - SECURITY_OPTIONS
    assert set(options.sources) == written | {"meta.colour", "meta.deep"}


def test_all_problems_of_all_files(problems: Problems) -> None:
    """Every problem of every file is reported, sorted by place, each with file, line and what to do."""
    found = problems(
        """\
hostnam = "x"
[[listener]]
listen = "0.0.0.0"
relay_hosts = [
  "10.0.0.1",
  "10.0.0.1/24",
]
client_timeout = "5 parsecs"
[policy]
listener_domains = ["d.toml", "missing.toml"]
queues = ["q.toml"]
""",
        d='["example.com"]\nrelay_too = true\n',
        q='[queue."example.com"]\nrouting_domain = "10.0.0.1"\n',
    )
    starts = [
        ("angarium.toml:1", "unknown option hostnam: did you mean hostname?"),
        ("angarium.toml:1", "warning: mail to postmaster"),
        ("angarium.toml:3", "listen: '0.0.0.0' has no port: write '0.0.0.0:25'"),
        ("angarium.toml:6", "relay_hosts: '10.0.0.1/24' has host bits set: write '10.0.0.0/24'"),
        ("angarium.toml:8", "client_timeout: 'parsecs' is not a unit of time"),
        ("angarium.toml:10", "cannot read missing.toml: No such file or directory"),
        ("d.toml:2", 'unknown option "relay_too"'),
        ("q.toml:2", "routing_domain: 10.0.0.1 looks like an address: write '[10.0.0.1]'"),
    ]
    assert len(found) == len(starts)
    for problem, (place, text) in zip(found, starts, strict=True):
        assert problem.startswith(f"{place}: {text}")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("deferred_spool = true", "deferred_spool cannot be had: 250 means"),
        ("deferred_queue = true", "deferred_queue cannot be had"),
        ("invalid_line_endings = 'Allow'", "invalid_line_endings: 'Allow' cannot be had"),
        ("tls_required_client_ca = 'x'", "tls_required_client_ca is tls_client_ca here"),
        ("batch_handling = 'BatchByDomain'", "batch_handling: 'BatchByDomain' cannot be had"),
        ("trace_headers = {supplemental_header = true}", "nothing can be signed without a key"),
        ("trace_headers = {header = 1}", "trace_headers: unknown key header"),
        ("trace_headers = {header_name = 'a b'}", "trace_headers: 'a b' is not the name of a header field"),
        ("relay_hosts = '10.0.0.0/8'", "relay_hosts: '10.0.0.0/8' is not an array: write it in brackets"),
        ("max_hops = 0", "max_hops: 0 is out of range"),
        ("max_hops = true", "max_hops: true is not a whole number"),
        ("max_message_size = '20 MB!'", "max_message_size: '20 MB!' is not a size"),
        ("max_message_size = 0", "max_message_size: 0 is out of range"),
        ("client_timeout = 0", "client_timeout: 0 is out of range"),
        ("client_timeout = nan", "client_timeout: nan is out of range"),
        ("client_timeout = inf", "client_timeout: inf is out of range"),
        ("client_timeout = true", "client_timeout: true is not a duration"),
        ('banner = "a\\nb"', "banner: 'a\\nb' is not one line of text"),
        ("hostname = 'a b'", "hostname: 'a b' is not a domain name: write one"),
        ("hostname = '[10.0.0.1]'", "hostname: '[10.0.0.1]' is an address literal"),
        ("meta = {a = 1979-05-27}", "meta: datetime.date(1979, 5, 27) has no form in JSON"),
        ("peer = 1", "peer is a table, not 1: write [listener.peer]"),
    ],
)
def test_what_a_listener_refuses(problems: Problems, line: str, text: str) -> None:
    """What cannot be had, or not yet, or is no such value, says so on its line."""
    (problem,) = problems(f"{MINIMAL}{line}\n")
    assert problem.startswith(f"angarium.toml:4: {text}")


@pytest.mark.parametrize(
    ("main", "text"),
    [
        ("workers = 2000", "workers: "),
        ("postmaster = 'x'", "postmaster: 'x' is not an address"),
        ("[policy]\nqueues = ['angarium.toml']", "angarium.toml is named twice"),
        ("[log]\nlog_dir = 'x'", "log_dir is called dir here"),
        ("[log.per_record.Recption]", "unknown option Recption: did you mean Reception?"),
        ("[dns]\nnameservers = ['ns.example.com']", "nameservers: 'ns.example.com' is not an IP address"),
        ("spool = 'x'", "spool is a table, not 'x': write [spool]"),
        ("[[listener]]\nlisten = '0.0.0.0:25'", "listen 0.0.0.0:25 is that of line"),
        (
            "[[listener]]\nlisten = '::1:25'",
            "listen: '::1:25' is not an IP address and port: write '[::1]:25'",
        ),
        ("[[listener]]\nlisten = 'localhost:25'", "listen: 'localhost:25' is not an IP address and port"),
    ],
)
def test_what_the_main_file_refuses(problems: Problems, main: str, text: str) -> None:
    """What is wrong elsewhere in the main file says so too."""
    listener = "[[listener]]\nlisten = '0.0.0.0:25'\n"
    found = problems(f"{main}\n{listener}" if "[" not in main else f"{listener}{main}\n")
    assert any(text in problem for problem in found)


@pytest.mark.parametrize(
    ("main", "text"),
    [
        ("", "nothing to listen on"),
        ("[listener]\nlisten = '0.0.0.0:25'", "write [[listener]]"),
        ("listener = [1]", "write [[listener]]"),
    ],
)
def test_no_listener(problems: Problems, main: str, text: str) -> None:
    """A configuration that listens nowhere is no configuration."""
    assert any(text in problem for problem in problems(main))


@pytest.mark.parametrize(
    ("listen", "text"),
    [
        ("127.0.0.1:99999", "'127.0.0.1:99999' has a port above 65535: write '127.0.0.1:25'"),
        (f"127.0.0.1:{'9' * 9000}", "has a port above 65535"),
        ("nonsense", "'nonsense' has no port"),
    ],
)
def test_listeners_that_cannot_be(problems: Problems, listen: str, text: str) -> None:
    """Each listen that is wrong is one problem, which says what is wrong: it is not a listener twice."""
    found = problems(
        f'postmaster = "a@b.example"\n{f"[[listener]]{chr(10)}listen = {listen!r}{chr(10)}" * 2}'
    )
    assert [problem.partition(" listen: ")[0] for problem in found] == [
        "angarium.toml:3:",
        "angarium.toml:5:",
    ]
    assert all(text in problem for problem in found)


def test_another_kind_of_file(problems: Problems) -> None:
    """A listener_domains file in the main file's place is told to be one, in one line."""
    (problem,) = problems('["a.example"]\nrelay_to = true\n["b.example"]\nlog_oob = true\nlog_orf = true\n')
    assert problem.startswith("angarium.toml:1: this looks like a listener_domains file: name the main file")


def test_two_listeners_of_one_name(problems: Problems) -> None:
    """A name stands for one listener."""
    found = problems(
        "[[listener]]\nname = 'a'\nlisten = '0.0.0.0:25'\n[[listener]]\nname = 'a'\nlisten = '0.0.0.0:26'\n"
    )
    assert "angarium.toml:5: name a is that of line 2 too: choose another" in found


OVERLAYS = (
    MINIMAL
    + """\
banner = "own"
meta = { a = 1, b = 1 }
[listener.peer."10.0.0.0/8"]
banner = "wide"
max_hops = 1
meta = { b = 2 }
[listener.peer."10.1.0.0/16"]
banner = "narrow"
[listener.peer."10.1.0.0/16".via."192.0.2.9"]
max_hops = 2
[listener.via."192.0.2.9"]
client_timeout = 9
[listener.via."192.0.2.8"]
banner = "via"
meta = { c = 3 }
[listener.peer."2001:db8::/32"]
banner = "six"
"""
)


def test_overlays(configure: Write) -> None:
    """The narrowest network counts, alone; `via` beats `peer`; overlays hold overlays; `meta` is merged."""
    configuration = configure(OVERLAYS)
    assert options_of(configuration, "192.0.2.1", "192.0.2.7") == configuration.listeners[0].options
    wide = options_of(configuration, "10.2.0.1", "192.0.2.7")
    assert (wide.banner, wide.max_hops, wide.meta) == ("wide", 1, {"a": 1, "b": 2})
    narrow = options_of(configuration, "10.1.0.1", "192.0.2.7")
    assert (narrow.banner, narrow.max_hops, narrow.meta) == ("narrow", 100, {"a": 1, "b": 1})
    inner = options_of(configuration, "10.1.0.1", "192.0.2.9")
    assert (inner.banner, inner.max_hops, inner.client_timeout) == ("narrow", 2, 9.0)
    via = options_of(configuration, "10.2.0.1", "192.0.2.8")
    assert (via.banner, via.meta) == ("via", {"a": 1, "b": 2, "c": 3})
    assert options_of(configuration, "2001:db8::1").banner == "six"


def test_overlays_know_mapped_addresses(configure: Write) -> None:
    """An IPv4-mapped peer, as a dual-stack socket shows it, is the IPv4 peer it is."""
    configuration = configure(OVERLAYS)
    assert options_of(configuration, "::ffff:10.1.0.1", "::ffff:192.0.2.9").max_hops == 2


def test_overlays_say_where_from(configure: Write) -> None:
    """Every option in force says on which line it was written."""
    sources = options_of(configure(OVERLAYS), "10.2.0.1", "192.0.2.8").sources
    assert {name: source.line for name, source in sources.items()} == {
        "banner": 17,
        "max_hops": 8,
        "meta": 18,
        "meta.a": 5,
        "meta.b": 9,
        "meta.c": 18,
    }


def test_answers_are_remembered(configure: Write) -> None:
    """The same peer gets the same value again."""
    configuration = configure(OVERLAYS)
    assert options_of(configuration, "10.2.0.1") is options_of(configuration, "10.2.0.1")


@pytest.mark.parametrize(
    ("overlay", "text"),
    [
        ('[listener.peer."10.0.0.1/8"]', "peer: '10.0.0.1/8' has host bits set"),
        ('[listener.via."x"]', "via: 'x' is not an address or network"),
        ('[listener.peer."10.0.0.1"]\n[listener.peer."10.0.0.1/32"]', "is the same network as on line 4"),
        ('[listener.peer."10.0.0.1"]\nlisten = "0.0.0.0:26"', "listen belongs to the listener itself"),
        ('[listener.peer."10.0.0.1"]\nbaner = ""', "unknown option baner: did you mean banner?"),
        ('[listener.peer."10.0.0.1".via."::1"]\nmax_hops = ""', "max_hops: '' is not a whole number"),
    ],
)
def test_what_overlays_refuse(problems: Problems, overlay: str, text: str) -> None:
    """Overlays are checked as strictly as listeners."""
    (problem,) = problems(f"{MINIMAL}{overlay}\n")
    assert text in problem


def test_every_wrong_item_of_a_list(problems: Problems) -> None:
    """Each item of a list that is wrong is reported on its own line, in the main file and in the others."""
    found = problems(
        f'{MINIMAL}relay_hosts = [\n"x",\n"10.0.0.1",\n"10.0.0.1/8",\n]\n'
        '[policy]\nlistener_domains = ["d.toml"]\n',
        d='["example.com"]\nrelay_from = [\n"y",\n"10.0.0.2",\n"z"]\n["b.example"]\nrelay_from = [\n1,\n2]\n',
    )
    places = [problem.partition(": ")[0] for problem in found]
    assert places == ["angarium.toml:5", "angarium.toml:7", "d.toml:3", "d.toml:5", "d.toml:8", "d.toml:9"]


def test_what_is_wrong_inside_a_wrong_overlay(problems: Problems) -> None:
    """An overlay whose network is wrong still has its options and its own overlays checked."""
    overlay = '[listener.peer."x"]\nmax_hops = 0\n[listener.peer."x".via."y"]\nbaner = ""\n'
    found = problems(f"{MINIMAL}{overlay}")
    assert [problem.partition(": ")[0] for problem in found] == [f"angarium.toml:{n}" for n in (4, 5, 6, 7)]


@pytest.mark.parametrize(
    ("queues", "place"),
    [
        ("[queue.'a.example']\nretry_interval = '1h'\nmax_retry_interval = '20m'", "q.toml:2"),
        ("[queue.default]\nretry_interval = '1h'\n[tenant.'t']\nmax_retry_interval = '20m'", "q.toml:4"),
        ("[queue.'a.example']\nretry_interval = '1h'\nmax_retry_interval = '1h'", None),
    ],
)
def test_retry_intervals_above_their_limit(configure: Write, queues: str, place: str | None) -> None:
    """An interval that its own limit cuts short is pointed out, once."""
    configuration = configure(f"{MINIMAL}[policy]\nqueues = ['q.toml']\n", q=f"{queues}\n")
    found = [str(problem).partition(": warning: max_retry_interval")[0] for problem in configuration.problems]
    assert found == ([place] if place else [])


def test_rights_that_nobody_can_prove(configure: Write) -> None:
    """relay_from_authz is pointed out where neither a users file nor an AUTH handler is there."""
    domains = "['a.example']\nrelay_from_authz = ['bob']\n['b.example']\nrelay_from_authz = ['eve']\n"
    (problem,) = configure(f"{MINIMAL}[policy]\nlistener_domains = ['d.toml']\n", d=domains).problems
    assert str(problem).startswith("d.toml:2: warning: relay_from_authz can never allow anything")


def test_hash_and_files(configure: Write, tmp_path: Path) -> None:
    """The hash follows the contents of every file, and every file is told, for watching."""
    main = MINIMAL + "[policy]\nlistener_domains = ['d.toml']\n"
    first = configure(main, d='["example.com"]\nrelay_to = true\n')
    assert first.files == (tmp_path / "angarium.toml", tmp_path / "d.toml")
    assert len(first.hash) == 16
    assert configure(main, d='["example.com"]\nrelay_to = true\n').hash == first.hash
    assert configure(main, d='["example.com"]\nrelay_to = false\n').hash != first.hash


def test_empty_files_are_told(configure: Write) -> None:
    """A file in which nothing is said is loaded, and told, since it may be half written."""
    configuration = configure(MINIMAL + "[policy]\nlistener_domains = ['d.toml']\n", d="# nothing yet\n")
    assert configuration.empty_files == ("d.toml",)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name means a file beside the one that holds it, wherever the server was started."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "angarium.toml").write_text(MINIMAL + "[policy]\nqueues = ['q.toml']\n")
    (tmp_path / "etc" / "q.toml").write_text("[queue.default]\nmax_age = '1 day'\n")
    monkeypatch.chdir(tmp_path)
    configuration = load(Path("etc/angarium.toml"))
    assert configuration.spool.path == str(tmp_path / "etc" / "spool")
    assert str(configuration.queues.lookup("x.org").sources["max_age"]) == "etc/q.toml:2"


def test_main_file_as_json(tmp_path: Path) -> None:
    """The main file may be JSON."""
    path = tmp_path / "angarium.json"
    path.write_text('{"postmaster": "ops@example.com",\n "listener": [{"listen": "127.0.0.1:2525"}]}')
    configuration = load(path)
    assert configuration.listeners[0].port == 2525
    assert str(configuration.listeners[0].sources["listen"]) == f"{path}:2"


def test_where_the_main_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name, it is angarium.toml here; without that, the problem says where one could stand."""
    monkeypatch.chdir(tmp_path)
    if not os.path.exists("/etc/angarium/angarium.toml"):  # noqa: PTH110
        with pytest.raises(ConfigError, match=r"write angarium\.toml or /etc/angarium/angarium\.toml"):
            find_main_file()
    (tmp_path / "angarium.toml").write_text(MINIMAL)
    assert find_main_file() == Path("angarium.toml")
