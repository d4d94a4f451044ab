"""Issue 8, demand 3: what is not there is said with file and line, whether or not those lines run."""

import sys
from pathlib import Path

import pytest

from angarium.policy.config import ConfigError, Problem
from angarium.policy.load import load
from tests.cli.house import angarium
from tests.lua.guide import INIT

START = INIT.count("\n")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, so that files are called by their names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(text: str, **modules: str) -> list[str]:
    """What loading says of init.lua, as `line: text`; empty where it loads."""
    Path("init.lua").write_text(INIT + text)
    for name, module in modules.items():
        Path(f"{name}.lua").write_text(module)
    try:
        found = list(load("init.lua").problems)
    except ConfigError as error:
        found = error.problems
    return [_relative(problem) for problem in found]


def _relative(problem: Problem) -> str:
    if problem.source.file != "init.lua":
        return str(problem)
    return f"{problem.source.line - START}: {problem.text}"


def test_an_absent_function_that_never_runs() -> None:
    """A function that is not here is found in a handler, in a branch, and through a local name."""
    text = """\
kumo.on('smtp_server_ehlo', function(domain)
  if domain == 'x' then kumo.sleep(1) end
  local dns = kumo.dns
  dns.lookup_mx(domain)
  local k = kumo
  k['spawn_task'] { event_name = 'x' }
end)
"""
    found = problems(text)
    assert [line.partition(" is not available in Angarium: ")[0] for line in found] == [
        "2: kumo.sleep",
        "3: kumo.dns",
        "4: kumo.dns.lookup_mx",
        "6: kumo.spawn_task",
    ]
    assert all(line.partition(" in Angarium: ")[2] for line in found)


def test_an_absent_function_that_only_running_finds() -> None:
    """A name that is put together while the file runs is found by running it."""
    [found] = problems("local name = 'start_' .. 'http_listener'\nkumo[name] { listen = '127.0.0.1:8000' }\n")
    assert found.startswith(
        "2: kumo.start_http_listener is not available in Angarium: use the control socket"
    )


def test_told_once() -> None:
    """What both reading and running find is one problem."""
    [found] = problems("kumo.start_http_listener { listen = '127.0.0.1:8000' }\n")
    assert found.startswith("1: kumo.start_http_listener is not available in Angarium: ")


def test_a_name_that_nobody_knows() -> None:
    """A name that is near to one of ours gets it as a hint; every other one is sent to Python."""
    first, second = problems("kumo.make_listener_domian {}\nkumo.frobnicate()\n")
    assert first.endswith("did you mean kumo.make_listener_domain?")
    assert "write this handler in Python" in second


def test_comments_and_texts_are_no_code() -> None:
    """Names in comments and in texts are nobody's."""
    assert problems("-- kumo.sleep(1)\n--[[ kumo.dns ]]\nlocal x = 'kumo.sleep' .. [[kumo.dns]]\n") == []


def test_absent_events_modules_and_methods() -> None:
    """Events, modules and methods that are not here are told like functions."""
    text = """\
kumo.on('http_message_generated', function(msg) end)
local shaping = require 'policy-extras.shaping'
kumo.on('smtp_server_message_received', function(msg)
  msg:dkim_sign(signer)
end)
"""
    first, second, third = problems(text)
    assert first.startswith("1: event http_message_generated is not available in Angarium: inject over SMTP")
    assert second.startswith(
        "2: module policy-extras.shaping is not available in Angarium: name shaping files"
    )
    assert third.startswith("4: msg:dkim_sign is not available in Angarium: ")


def test_a_misspelt_event() -> None:
    """An event that does not exist is an error, with the near one that does."""
    [found] = problems("kumo.on('smtp_server_helo', function() end)\n")
    assert found == "1: event smtp_server_helo is not available in Angarium: did you mean smtp_server_ehlo?"


def test_too_many_parameters() -> None:
    """A handler that wants more than the event gives would silently get nil, and so is an error."""
    [found] = problems("kumo.on('smtp_server_ehlo', function(domain, conn, extensions) end)\n")
    assert found.startswith("1: smtp_server_ehlo calls with 2 parameters here")


def test_unknown_options() -> None:
    """Options that a function does not know are told with the line of the option, in running code or not."""
    text = """\
kumo.start_esmtp_listener {
  listen = '127.0.0.1:2526',
  relay_host = { '10.0.0.0/8' },
  deferred_queue = true,
}
kumo.on('get_queue_config', function(domain)
  return kumo.make_queue_config {
    max_agee = '1 day',
  }
end)
"""
    found = problems(text)
    assert found[0] == "3: unknown option relay_host: did you mean relay_hosts?"
    assert found[1].startswith("4: deferred_queue cannot be had")
    assert found[2] == "8: unknown option max_agee: did you mean max_age?"


def test_options_without_effect_are_told() -> None:
    """An option that is accepted and does nothing is a warning with its line, never silence."""
    found = problems(
        "kumo.on('get_queue_config', function()\n  return kumo.make_queue_config {\n"
        "    strategy = 'SkipList' }\nend)\nkumo.configure_bounce_classifier {\n  files = { 'iana' },\n"
        "  pool_size = 3,\n}\nkumo.define_spool { name = 'data', path = '/var/x',\n  kind = 'RocksDB' }\n"
    )
    assert found[0].startswith("3: strategy has no effect here")
    assert found[1].startswith("7: pool_size has no effect here")
    assert found[2].startswith("9: Angarium has one spool for content and metadata; it is made in")
    assert found[3].startswith("10: kind has no effect here")


def test_disconnect_in_a_mode_that_is_not_here() -> None:
    """A `disconnect` that would add a second reply is an error with its line; other modes are none."""
    calls = "  kumo.disconnect(421, 'x', 'If421')\n  kumo.disconnect(550, 'x', 'FollowWith421')\n"
    [found] = problems(f"kumo.on('smtp_server_ehlo', function()\n{calls}end)\n")
    assert found.startswith("3: FollowWith421 is not available")


def test_wrong_values() -> None:
    """A value that an option does not take is told with its line inside the table."""
    found = problems(
        "kumo.start_esmtp_listener {\n  listen = '127.0.0.1:2526',\n  relay_hosts = {\n    '10.0.0.1/8' } }"
    )
    assert len(found) == 1
    assert found[0].startswith("4: relay_hosts: ")
    assert "10.0.0.0/8" in found[0]


def test_everything_is_told_at_once() -> None:
    """What only running or reading the declarations finds is told beside what reading the file finds."""
    found = problems(
        "kumo.sleep(1)\n"
        "kumo.start_esmtp_listener {\n  listen = 'nowhere', hostnam = 'x',\n  relay_hosts = { 'foo/9' } }\n"
        "require('policy-extras.queue'):setup { 'absent.toml' }\n"
        "angarium.configure { workers = 'many' }\n"
    )
    assert [line.partition(":")[0] for line in found] == ["1", "3", "3", "4", "5", "6"]
    assert "kumo.sleep is not available" in found[0]
    assert "'nowhere' has no port" in found[1]
    assert "did you mean hostname?" in found[2]
    assert "'foo/9' is not" in found[3]
    assert "cannot read absent.toml" in found[4]
    assert "'many'" in found[5]


def test_an_error_beside_what_is_not_here() -> None:
    """The file is run on over what is not here, so that its own errors are told too."""
    assert [line.partition(":")[0] for line in problems("kumo.sleep(1)\nerror('boom')\n")] == ["1", "2"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("kumo.reject(250, 'x')", "kumo.reject takes a code from 400 to 599, not 250"),
        ("kumo.disconnect(5, 'x')", "kumo.disconnect takes a code from 400 to 599, not 5"),
        ("kumo.reject(550)", "kumo.reject takes a code and a text"),
        ("kumo.reject()", "kumo.reject takes a code and a text"),
        ("kumo.reject(550, '')", "kumo.reject takes a text that says why"),
        ("conn_meta:get_meta()", "conn_meta:get_meta takes a name"),
    ],
)
def test_calls_that_would_fail_at_night(call: str, text: str) -> None:
    """A refusal without a code or a text, and a look-up without a name, are told with their line."""
    [found] = problems(f"kumo.on('smtp_server_ehlo', function(domain, conn_meta)\n  {call}\nend)\n")
    assert found.startswith(f"2: {text}")


def test_calls_that_are_right() -> None:
    """Codes and texts that are worked out are left to the handler."""
    text = """\
kumo.on('smtp_server_ehlo', function(domain, conn_meta)
  local code = 400 + 50
  if domain == 'a' then kumo.reject(code, 'x' .. domain) end
  if domain == 'b' then kumo.reject(550, conn_meta:get_meta('why') or 'no') end
  if domain == 'c' then kumo.reject(500 + 50, domain) end
end)
"""
    assert problems(text) == []


@pytest.mark.parametrize("text", ["", "-- nothing yet\n", "local kumo = require 'kumo'\n"])
def test_a_file_without_a_listener(text: str) -> None:
    """What is missing is asked for in Lua."""
    Path("init.lua").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load("init.lua")
    [found] = caught.value.problems
    assert found.text.startswith("nothing to listen on: write kumo.start_esmtp_listener {")


def test_a_module_beside_the_file() -> None:
    """A module of the operator's own is read too, and told by its own name."""
    found = problems(
        "local mine = require 'mine'\n", mine="local t = {}\nfunction t.f() kumo.sleep(1) end\nreturn t\n"
    )
    assert [line.partition(" is not")[0] for line in found] == ["mine.lua:2: kumo.sleep"]


def test_a_module_that_only_a_handler_requires() -> None:
    """A module that is required inside a handler is read when the policy is loaded."""
    found = problems(
        "kumo.on('init', function() if false then require('mine') end end)\n", mine="kumo.sleep(1)\n"
    )
    assert [line.partition(" is not")[0] for line in found] == ["mine.lua:1: kumo.sleep"]


def test_a_file_that_is_not_lua() -> None:
    """A syntax error has its line and what Lua says of it."""
    [found] = problems("local x = = 1\n")
    assert found.startswith("1: unexpected symbol near")


def test_an_error_of_the_file_itself() -> None:
    """`error` in the file's own text fails the check with its line."""
    assert problems("local function f()\n  error('no such host')\nend\nf()\n") == ["2: no such host"]


def test_a_setup_that_is_called_twice() -> None:
    """A second `setup` is an error, as in the reference."""
    text = "local l = require 'policy-extras.listener_domains'\nl:setup { 'a.toml' }\nl:setup { 'b.toml' }\n"
    [found] = problems(text)
    assert found.startswith("3: setup is called twice: first at init.lua:")


def test_what_is_not_allowed() -> None:
    """Programs and libraries of C are refused before they run, unless the file allows them to itself."""
    found = problems("kumo.on('smtp_server_ehlo', function() os.execute('true') end)\nio.popen('ls')\n")
    assert [line.partition(":")[2].partition(" is not")[0] for line in found] == [" os.execute", " io.popen"]
    assert problems("angarium.configure { lua = { allow = { 'os.execute' } } }\nos.execute('true')\n") == []


def test_the_command(place: Path) -> None:
    """`angarium check init.lua` prints the list and exits with 1; a whole file exits with 0."""
    Path("init.lua").write_text(INIT + "kumo.sleep(1)\n")
    run = angarium("check", "init.lua", cwd=place)
    assert run.returncode == 1
    assert run.stdout.startswith(
        f"init.lua:{START + 1}: kumo.sleep is not available in Angarium: take it out"
    )
    Path("init.lua").write_text(INIT)
    assert angarium("check", "init.lua", cwd=place).returncode == 0


def test_explain_tells_where_a_handler_failed(place: Path) -> None:
    """`angarium explain` names the handler and the line that failed, in plain words."""
    handler = "kumo.on('get_listener_domain', function(domain)\n  error('no such table')\nend)\n"
    Path("init.lua").write_text(INIT + handler)
    case = ("--peer", "192.0.2.7", "--from", "a@b.example", "--rcpt", "u@c.example")
    run = angarium("explain", "-c", "init.lua", *case, cwd=place)
    place_of = f"[init.lua:{START + 1}]  failed at init.lua:{START + 2}: no such table"
    assert f"get_listener_domain c.example  {place_of}" in run.stdout


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where lupa is not installed, loading says which extra is missing."""
    for name in [name for name in sys.modules if name.startswith("angarium.lua")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "lupa.lua54", None)
    assert problems("") == [
        f"{1 - START}: .lua files need an extra that is not installed: pip install 'angarium[lua]'"
    ]


def test_advice_is_in_the_programs_own_words() -> None:
    """What is missing in a configuration made in Lua is asked for where Lua says it."""
    Path("init.lua").write_text("kumo.start_esmtp_listener { listen = '127.0.0.1:2525' }\n")
    [found] = load("init.lua").problems
    assert found.text.endswith("write postmaster = 'you@example.com' in angarium.configure { … }")
