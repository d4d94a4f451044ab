"""Issue 8, demand 2: what an ordinary inbound policy also needs, through real loads and sessions."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from angarium.lua.handlers import Pool
from angarium.lua.program import Program
from angarium.policy.config import ConfigError, Configuration
from angarium.policy.load import load
from angarium.testing import Mta
from tests.lua.guide import INIT, QUEUES

MakeMta = Callable[..., Mta]
INSIDE = "192.0.2.77"
OUT = "b@elsewhere.example"
MAIL = (
    'From: "Anna, A." <Anna@customer.example>\nTo: bert@elsewhere.example, c@x.example\nSubject: hällo\n'
    "X-Tenant: gold\nX-Other: 1\nReceived: one\nReceived: two\n\nHello.\n"
)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Configuration]:
    """Loads init.lua of a text, beside files."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str, **files: str) -> Configuration:
        for name, content in files.items():
            Path(name.replace("__", ".")).write_text(content)
        Path("init.lua").write_text(INIT + text)
        return load("init.lua")

    return load_text


Loaded = Callable[..., Configuration]


def test_spool(loaded: Loaded) -> None:
    """`define_spool` says where our one spool is: in a folder of its own below that of `data`."""
    text = (
        "kumo.on('init', function()\n"
        "  kumo.define_spool { name = 'meta', path = '/var/spool/kumo/meta' }\n"
        "  kumo.define_spool { name = 'data', path = '/var/spool/kumo/data',"
        " min_free_space = 1048576 }\nend)\n"
    )
    configuration = loaded(text)
    assert configuration.spool.path == "/var/spool/kumo/data/angarium"
    assert configuration.spool.min_free_space == 1048576
    assert any("made in /var/spool/kumo/data/angarium" in one.text for one in configuration.problems)


def test_logs(loaded: Loaded) -> None:
    """`configure_local_logs` sets `[log]`, with the lines of its options."""
    text = """\
kumo.configure_local_logs {
  log_dir = '/var/log/x',
  max_segment_duration = '10 seconds',
  headers = { 'Subject' },
  meta = {},
  per_record = { Delivery = { enable = false } },
}
"""
    configuration = loaded(text)
    log = configuration.log
    assert (log.dir, log.max_segment_duration, log.headers) == ("/var/log/x", 10.0, ("Subject",))
    assert log.per_record == {"Delivery": {"enable": False}}
    assert configuration.sources["log.dir"].line == INIT.count("\n") + 2


def test_logs_twice(loaded: Loaded) -> None:
    """A second log is an error, since there is one."""
    with pytest.raises(ConfigError, match="called twice"):
        loaded("for _ = 1, 2 do kumo.configure_local_logs { log_dir = 'x' } end\n")


def test_classifier(loaded: Loaded) -> None:
    """`configure_bounce_classifier` names rule files."""
    configuration = loaded(
        "kumo.configure_bounce_classifier { files = { 'own.toml', 'iana' } }\n",
        own__toml='[rules]\nInvalidRecipient = ["^550 nobody"]\n',
    )
    assert Path("own.toml").absolute() in configuration.files


def test_main_options(loaded: Loaded) -> None:
    """`angarium.configure` gives the options that the reference has no function for."""
    configuration = loaded(
        "angarium.configure { handler_timeout = '7s', control = { socket = 'c.sock' } }\n"
        "angarium.configure { dns = { nameservers = { '127.0.0.1:5353' } } }\n"
    )
    assert configuration.handler_timeout == 7.0
    assert configuration.control.socket.endswith("c.sock")
    assert configuration.dns.nameservers == (("127.0.0.1", 5353),)


def test_overlays(loaded: Loaded) -> None:
    """`peer` and `via` of a listener are its overlays."""
    configuration = loaded(
        "kumo.start_esmtp_listener {\n  listen = '127.0.0.1:26', relay_hosts = {},\n"
        "  peer = { ['10.0.0.0/8'] = { max_message_size = 1000 } },\n  meta = { where = 'inside' },\n}\n"
    )
    listener = next(one for one in configuration.listeners if one.port == 26)
    assert listener.options.relay_hosts == ()
    assert listener.peer[0].options == {"max_message_size": 1000}
    assert listener.peer[0].sources["max_message_size"].line == INIT.count("\n") + 3
    assert listener.options.meta == {"where": "inside"}


QUEUE = """\
kumo.on('get_queue_config', function(domain, tenant, campaign, routing_domain)
  if domain == 'elsewhere.example' then
    return kumo.make_queue_config {
      protocol = { smtp = { mx_list = { '[10.0.0.9]' } } },
      max_retry_interval = '20 minutes',
      routing_domain = '[10.0.0.9]',
    }
  end
end)
"""


def test_queue_config(mta: MakeMta) -> None:
    """`get_queue_config` with `make_queue_config` says where a queue's mail goes."""
    server = mta({"init.lua": INIT + QUEUE})
    assert server.session(peer=INSIDE).mail("a@x.example", OUT).is_accepted
    server.settle()
    [delivered] = server.delivered
    assert delivered.host == "10.0.0.9"


EGRESS = """\
kumo.on('get_egress_pool', function(name)
  if name == 'white' then
    return kumo.make_egress_pool {
      name = name, entries = { { name = 'ip-1', weight = 3 }, { name = 'ip-2' } } }
  end
end)
kumo.on('get_egress_source', function(name)
  return kumo.make_egress_source {
    name = name, source_address = name == 'ip-1' and '10.1.0.1' or '10.1.0.2', ehlo_domain = 'out.example' }
end)
kumo.on('get_egress_path_config', function(domain, source, site)
  return kumo.make_egress_path { connection_limit = 3, enable_tls = 'Required' }
end)
"""


def test_egress(loaded: Loaded) -> None:
    """Pools, sources and paths that handlers make are asked for at loading, for the pools that files name."""
    configuration = loaded(
        EGRESS + "require('policy-extras.queue'):setup { 'queues.toml' }\n",
        queues__toml=QUEUES + "egress_pool = 'white'\n",
    )
    members = configuration.egress.members("white")
    assert [(source.name, source.source_address, weight) for source, weight in members] == [
        ("ip-1", "10.1.0.1", 3),
        ("ip-2", "10.1.0.2", 1),
    ]
    way = configuration.shaping.options("far.example", ["mx.far.example"])
    assert (way.connection_limit, way.tls) == (3, "required")


def test_egress_path_by_domain(loaded: Loaded) -> None:
    """A path handler that looks at its parameters cannot be kept, and is refused with the way out."""
    text = (
        "kumo.on('get_egress_path_config', function(domain)\n  if domain == 'x' then\n"
        "    return kumo.make_egress_path { connection_limit = 1 }\n  end\nend)\n"
    )
    with pytest.raises(ConfigError, match=r"init.lua:\d+: get_egress_path_config must not look at its param"):
        loaded(text)


def test_sources_helper(loaded: Loaded) -> None:
    """`policy-extras.sources` reads egress files."""
    configuration = loaded(
        "local sources = require 'policy-extras.sources'\nsources:setup { 'sources.toml' }\n",
        sources__toml="[source.s]\nsource_address = '10.1.0.1'\n[pool.p.s]\nweight = 2\n",
    )
    assert configuration.egress.pools == {"p": {"s": 2}}


DIALOGUE = """\
kumo.on('smtp_server_ehlo', function(domain, conn_meta)
  conn_meta:set_meta('seen', { 'ehlo', domain })
  if domain == 'bad.example' then kumo.reject(550, '5.7.1 not you') end
end)
kumo.on('smtp_server_mail_from', function(sender, conn_meta)
  if sender.domain == 'spam.example' then kumo.reject(451, '4.7.0 later, ' .. sender.user) end
end)
kumo.on('smtp_server_rcpt_to', function(recipient, conn_meta)
  if recipient.email == 'nobody@elsewhere.example' then kumo.disconnect(421, '4.3.2 bye') end
  if recipient.user == 'trap' then kumo.disconnect(554, '5.7.1 never again') end
  if recipient.user == 'stay' then kumo.disconnect(554, '5.7.1 not this one', 'If421') end
  if recipient.user == 'wrong' then
    local mode = 'FollowWith421'
    kumo.disconnect(554, '5.7.1 no', mode)
  end
end)
"""


def test_dialogue(mta: MakeMta) -> None:
    """Events of the dialogue reject with code and text; `disconnect` ends the session."""
    server = mta({"init.lua": INIT + DIALOGUE})
    session = server.session(peer=INSIDE, helo=None)
    assert str(session.say("EHLO bad.example")) == "550 5.7.1 not you"
    session = server.session(peer=INSIDE)
    assert str(session.say("MAIL FROM:<x@spam.example>")) == "451 4.7.0 later, x"
    session.say("MAIL FROM:<x@good.example>")
    assert str(session.say("RCPT TO:<nobody@elsewhere.example>")) == "421 4.3.2 bye"
    assert session.is_closed
    rejection = server.records("Rejection")[0]
    assert rejection["handlers"][0]["file"].endswith("init.lua")


@pytest.mark.parametrize(
    ("user", "answered", "closed"),
    [("trap", "554 5.7.1 never", True), ("stay", "554 5.7.1 not", False), ("wrong", "451 4.3.0", False)],
)
def test_disconnect_with_another_code(mta: MakeMta, user: str, answered: str, closed: bool) -> None:
    """`disconnect` closes after the reply whatever the code is, unless its mode says that only 421 does."""
    session = mta({"init.lua": INIT + DIALOGUE}).session(peer=INSIDE)
    session.say("MAIL FROM:<x@good.example>")
    assert str(session.say(f"RCPT TO:<{user}@elsewhere.example>")).startswith(answered)
    assert session.is_closed is closed


AUTH = """\
kumo.on('smtp_server_auth_plain', function(authz, authc, password, conn_meta)
  if password == 'table' then
    return { identities = {
      { identity = authc, context = 'SmtpAuthPlainAuthentication' },
      { identity = 'group', context = 'SmtpAuthPlainAuthorization' },
    } }
  end
  if password == 'broken' then error(password) end
  if password == 'nil' then return nil end
  return password == 'secret'
end)
"""


@pytest.mark.parametrize(
    ("password", "code", "authz"),
    [("secret", 235, "anna"), ("table", 235, "group"), ("no", 535, None), ("nil", 535, None)],
)
def test_auth(mta: MakeMta, password: str, code: int, authz: str | None) -> None:
    """`smtp_server_auth_plain` answers with a boolean, or a table of identities; nil refuses."""
    server = mta({"init.lua": INIT + AUTH})
    session = server.session(tls=True)
    assert session.log_in("anna", password).code == code
    assert session.server is not None
    assert session.server.handlers.connection.authz_id == authz


def test_no_password_in_the_log(mta: MakeMta, caplog: pytest.LogCaptureFixture) -> None:
    """What an AUTH handler's error says is not logged, since it may hold a password; its line is."""
    server = mta({"init.lua": INIT + AUTH})
    assert server.session(tls=True).log_in("anna", "broken").code == 451
    assert "broken" not in caplog.text
    assert f"init.lua:{INIT.count(chr(10)) + 8}" in caplog.text


MESSAGE = """\
kumo.on('smtp_server_message_received', function(msg, conn_meta)
  msg:set_meta('told', {
    msg:sender().email, msg:recipient().user, #msg:recipient_list(),
    msg:get_first_named_header_value('subject'),
    msg:get_all_named_header_values('received')[3],
    msg:from_header().domain, msg:from_header().name, msg:to_header().email,
    msg:body(), msg:size() == #msg:get_data(), msg:get_all_headers()[1][1],
  })
  msg:import_x_headers { 'x-tenant' }
  msg:set_meta('tenant', msg:get_meta 'x_tenant')
  msg:remove_x_headers()
  msg:remove_all_named_headers 'subject'
  msg:prepend_header('X-Checked', 'ja, größer')
  msg:set_sender('bounces@customer.example')
end)
"""


def test_messages(mta: MakeMta) -> None:
    """The message's methods read and change sender, header fields, body and metadata."""
    text = INIT + MESSAGE + "kumo.configure_local_logs { log_dir = 'l', meta = { 'told' } }\n"
    server = mta({"init.lua": text, "q.toml": ""})
    assert server.session(peer=INSIDE).mail("a@x.example", OUT, content=MAIL).is_accepted
    [reception] = server.records("Reception")
    assert reception["meta"]["told"] == [
        *("a@x.example", "b", 1, "hällo", "two", "customer.example", "Anna, A.", "bert@elsewhere.example"),
        *("Hello.\r\n", True, "Received"),
    ]
    assert (reception["sender"], reception["queue"]) == ("bounces@customer.example", "gold@elsewhere.example")
    [queued] = server.queue
    assert queued.sender == "bounces@customer.example"


def test_changed_recipients(mta: MakeMta) -> None:
    """`set_recipient` takes an address or a list; what the handler wrote is allowed by it."""
    text = (
        "kumo.on('smtp_server_data', function(msg)\n"
        "  msg:set_recipient { 'c@far.example', msg:recipient() }\nend)\n"
    )
    server = mta({"init.lua": INIT + text})
    assert server.session(peer=INSIDE).mail("a@x.example", OUT).is_accepted
    assert sorted(one["recipient"] for one in server.records("Reception")) == [OUT, "c@far.example"]


VALUES = r"""
local data = kumo.json_parse '{"a": [1, 2.5, "ü", true], "b": {"c": null}}'
assert(#data.a == 4 and data.a[3] == 'ü' and data.a[2] == 2.5 and data.b.c == nil)
assert(kumo.serde.json_encode { 1, 2, 'x' } == '[1,2,"x"]')
assert(kumo.json_encode_pretty({ k = true }):find '\n')
local toml = kumo.toml_parse '[t]\nk = 3\nlist = ["a"]'
assert(toml.t.k == 3 and toml.t.list[1] == 'a')
assert(kumo.serde.toml_parse(kumo.toml_encode(toml)).t.list[1] == 'a')
assert(kumo.json_load('values.json').n == 7)
assert(kumo.toml_load('values.toml').n == 8)
local ok, why = pcall(kumo.json_parse, '{')
assert(not ok and why:find 'Expecting')

local map = kumo.domain_map.new { ['*.example.com'] = 'wild', ['example.com'] = 'own' }
map['omg.wtf.woot.example.com'] = 'deep'
assert(map['foo.com'] == nil and map['Example.COM'] == 'own' and map['a.b.example.com'] == 'wild')
assert(map['woot.example.com'] == 'wild' and map['omg.wtf.woot.example.com'] == 'deep')

local nets = kumo.cidr.make_map { ['10.0.0.0/8'] = 'ten', ['10.1.0.0/16'] = 'narrow' }
nets['2001:db8::/32'] = 'six'
assert(nets['10.2.3.4'] == 'ten' and nets['10.1.3.4'] == 'narrow' and nets['192.0.2.1'] == nil)
assert(nets['2001:db8::5'] == 'six')
assert(not pcall(function() nets['10.0.0.1/8'] = 1 end))
"""


def test_values(loaded: Loaded) -> None:
    """JSON, TOML, domain maps and network maps answer as the reference says; files read are watched."""
    configuration = loaded(VALUES, values__json='{"n": 7}', values__toml="n = 8\n")
    assert {Path("values.json").absolute(), Path("values.toml").absolute()} < set(configuration.files)
    before = configuration.hash
    assert loaded("", values__json='{"n": 8}').hash != before


def test_logging(loaded: Loaded, caplog: pytest.LogCaptureFixture) -> None:
    """`log_info` and its sisters, and `print`, go to the diagnostics with file and line."""
    caplog.set_level(logging.DEBUG, "angarium")
    loaded(
        "kumo.log_info('one', 2, nil)\nkumo.log_error 'x'\nkumo.log_warn 'y'\nkumo.log_debug 'z'\nprint 'p'\n"
    )
    line = INIT.count("\n")
    said = [(record.levelname, record.getMessage()) for record in caplog.records if "lua" in record.name]
    assert said == [
        ("INFO", f"init.lua:{line + 1}: one 2 nil"),
        ("ERROR", f"init.lua:{line + 2}: x"),
        ("WARNING", f"init.lua:{line + 3}: y"),
        ("DEBUG", f"init.lua:{line + 4}: z"),
        ("INFO", f"init.lua:{line + 5}: p"),
    ]


def test_modules(loaded: Loaded) -> None:
    """Modules of the operator's are found beside the file and by `package.path`, and are watched."""
    Path("more").mkdir()
    Path("more/other.lua").write_text("return 5\n")
    configuration = loaded(
        "package.path = 'more/?.lua;' .. package.path\n"
        "local mine = require 'mine'\n"
        "assert(mine.four == 4 and require('other') == 5 and require('mine') == mine)\n",
        mine__lua="return { four = 4 }\n",
    )
    assert {Path("mine.lua").absolute(), Path("more/other.lua").absolute()} < set(configuration.files)


def test_every_state_runs_the_same(tmp_path: Path) -> None:
    """Modules that change while a policy is in force are not read before the policy is loaded again."""
    module, main = tmp_path / "mine.lua", tmp_path / "init.lua"
    module.write_text("return { four = 4 }\n")
    program = Program(main, b"assert(require('mine').four == 4)\n")
    program.run()
    module.unlink()
    assert Pool(program._state, None).take()


def test_setup_with_options(mta: MakeMta) -> None:
    """`setup_with_options` takes its files by `file_names`; an option that it does not know is an error."""
    text = """
local queue = require 'policy-extras.queue'
queue:setup_with_options { skip_queue_config_hook = true, cache_ttl = '1m', file_names = { 'queues.toml' } }
"""
    server = mta(
        {"init.lua": INIT + text, "queues.toml": "[queue.'far.example']\nrouting_domain = '[10.0.0.1]'\n"}
    )
    assert server.configuration.queues.lookup("far.example", None, None) is not None
