"""Issue 8, demand 5: what a policy in Lua cannot do, and what it may use."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from angarium.lua.state import Failure, Limits, State
from angarium.policy.config import ConfigError
from angarium.policy.load import load
from angarium.testing import Mta
from tests.lua.guide import INIT

MakeMta = Callable[..., Mta]
INSIDE = "192.0.2.77"
SMALL = Limits(max_instructions=2_000_000, max_memory=8 * 1024 * 1024)


MEBIBYTE = "local a = 'e' for i = 1, 20 do a = a .. a end"


def run(text: str) -> None:
    """Run a text as a policy file, with nothing of a program around it."""
    names = ("register", "start_esmtp_listener", "configure", "setup_queue", "setup_sources")
    names += ("define_spool", "configure_local_logs", "configure_bounce_classifier", "json_load", "toml_load")
    host = dict.fromkeys(names, lambda *_: (True,))
    State(host, Limits(SMALL.max_instructions // 100, SMALL.max_memory)).start(text.encode(), "init.lua")


def raised(text: str) -> Failure:
    with pytest.raises(Failure) as caught:
        run(text)
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        *("os.execute", "os.exit", "io.popen", "package.loadlib", "package.cpath", "package.searchers"),
        *(
            "debug.sethook",
            "debug.getregistry",
            "debug.getupvalue",
            "string.dump",
            "python",
            "loadfile",
            "dofile",
        ),
    ],
)
def test_what_is_not_there(name: str) -> None:
    """Functions that leave the state, or undo its limits, are not there."""
    run(f"assert({name} == nil)")


def test_no_bytecode() -> None:
    """Only text can be loaded, since bytecode can break the interpreter."""
    run("local f, why = load('\\27Lua', 'x', 'b') assert(f == nil and why:find 'attempt to load')")


def test_nothing_of_python() -> None:
    """An object of the server's has no attribute, no metatable and no call for Lua."""
    text = """
    local handle = kumo.make_listener_domain({ relay_to = true })[1]
    assert(type(handle) == 'userdata' and getmetatable(handle) == nil)
    assert(not pcall(function() return handle.__class__ end))
    assert(not pcall(function() handle.value = 1 end))
    assert(not pcall(function() return handle() end))
    """
    run(text)


@pytest.mark.parametrize(
    "text",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "xpcall(function() while true do end end, function() while true do end end)",
        "coroutine.wrap(function() while true do end end)()",
        "local c = coroutine.create(function() while true do end end) while true do coroutine.resume(c) end",
        "return setmetatable({}, { __index = function() while true do end end }).x",
    ],
)
def test_instructions(text: str) -> None:
    """A file that takes too many instructions is ended, also inside pcall and coroutines."""
    failure = raised(text)
    assert "too many instructions" in failure.text
    assert failure.is_broken


def test_memory() -> None:
    """A file that takes too much memory is ended."""
    failure = raised("local t = {}\nfor i = 1, 10 do t[i] = ('x'):rep(1024):rep(1024 * i) end")
    assert "memory" in failure.text
    assert failure.is_broken


@pytest.mark.parametrize(
    "text",
    [
        "string.rep('', 1 << 62)",
        "table.move({}, 1, 1 << 62, 2)",
        "table.concat(setmetatable({}, { __index = type }), '', 1, 1 << 62)",
        "while true do collectgarbage() end",
        "math.max = function() while true do end end\nwhile true do end",
        "while true do kumo.log_debug(('x'):rep(100000)) end",
        "while true do pcall(function() t = {} for i = 1, 9e9 do t[i] = ('x'):rep(9e4) .. i end end) end",
        "while true do pcall(kumo.json_parse, ('[]'):rep(10000)) end",
        "while true do table.unpack({}, 1, 100000) end",
        *(
            f"{MEBIBYTE} while true do {call} end"
            for call in (
                *("a:upper()", "a:lower()", "a:reverse()", "a:sub(2)", "a:byte(-100000, -1)", "a:find 'f'"),
                *("a:find('f', 1, true)", "a:find '[fg]'", "('%q'):format(a)", "('s'):pack(a)"),
                *("utf8.len(a)", "utf8.codepoint(a, 1, 100000)", "utf8.offset(a, 1 << 40)"),
            )
        ),
        """
        local inner = coroutine.create(function()
          local last <close> = setmetatable({}, { __close = function() while true do end end })
          while true do end
        end)
        local guard <close> = setmetatable({}, { __close = function() coroutine.close(inner) end })
        coroutine.resume(inner)
        """,
    ],
)
def test_what_runs_in_c(text: str) -> None:
    """Loops inside Lua's own functions count like instructions."""
    assert raised(text).is_broken


@pytest.mark.parametrize("expression", ["a < b", "a == b", "a .. b"])
def test_long_texts_count_by_the_clock(expression: str) -> None:
    """Comparing and joining long texts is one instruction each: the time that it takes ends it."""
    text = "local a = ('x'):rep(1024):rep(1024) local b = a .. 'y' a = a .. 'x'\n"
    begun = time.process_time()
    assert raised(f"{text}while true do local x = {expression} end").is_broken
    assert time.process_time() - begun < 1.5


@pytest.mark.parametrize(
    "text",
    [
        "setmetatable({}, { __gc = function() while true do end end })",
        "table.insert(setmetatable({}, { __len = function() return 1 << 62 end }), 1, 'x')",
        "local t = {} for i = 1, 40 do t = { t, t } end kumo.json_encode(t)",
        "table.sort(setmetatable({}, { __len = function() return 1 << 30 end }), rawequal)",
    ],
)
def test_what_would_not_be_counted(text: str) -> None:
    """Finalizers, lengths that a program makes up, and tables without end are refused."""
    assert re.search("in Angarium|too large", raised(text).text)


def test_memory_inside_the_host() -> None:
    """An allocation that would fail in a function of the server's fails after it, and ends the state."""
    text = "local t = {}\nfor i = 1, 100 do t[i] = kumo.json_parse('[' .. ('{},'):rep(300) .. '1]') end"
    state = State({}, Limits(5_000_000, 2 * 1024 * 1024))
    with pytest.raises(Failure, match="memory"):
        state.start(text.encode(), "init.lua")


@pytest.mark.parametrize("call", ["('x'):sub({})", "('%d'):format({})", "table.move(1)", "('x'):rep({})"])
def test_what_is_wrong_with_an_argument(call: str) -> None:
    """What a bounded function is wrongly given is told with the line of the file, not with ours."""
    failure = raised(f"\nlocal x = {call}")
    assert failure.line == 2
    assert failure.text.startswith("bad argument #")
    assert "native" not in failure.text


def test_recursion() -> None:
    """Endless recursion ends, by the stack's limit or by that of memory."""
    failure = raised("local function f() return 1 + f() end\nf()")
    assert "stack overflow" in failure.text or "memory" in failure.text


HUNGRY = """\
angarium.configure { lua = { max_instructions = 100000 } }
local calls = 0
kumo.on('smtp_server_ehlo', function(domain, conn_meta)
  calls = calls + 1
  conn_meta:set_meta('calls', calls)
  while domain == 'loop.example' do end
end)
kumo.configure_local_logs { log_dir = 'l', meta = { 'calls' } }
"""


def test_a_state_that_met_a_limit(mta: MakeMta, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that loops costs its command 451 and its line is logged; the next call gets a fresh state."""
    server = mta({"init.lua": INIT + HUNGRY})
    session = server.session(peer=INSIDE)
    assert session.say("EHLO loop.example").code == 451
    line = INIT.count("\n")
    assert f"init.lua:{line + 6}: took too many instructions" in caplog.text
    assert session.say("EHLO good.example").code == 250
    assert session.mail("a@x.example", "b@far.example").is_accepted
    assert server.records("Reception")[0]["meta"] == {"calls": 1}


def test_what_a_handler_may_not_declare(mta: MakeMta) -> None:
    """Configuration is said when the policy is loaded: a handler that tries fails."""
    text = (
        "kumo.on('smtp_server_ehlo', function() kumo.start_esmtp_listener { listen = '127.0.0.1:1' } end)\n"
    )
    server = mta({"init.lua": INIT + text})
    assert server.session(helo=None).say("EHLO x.example").code == 451


def test_limits_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong limits are a problem with its line."""
    monkeypatch.chdir(tmp_path)
    Path("init.lua").write_text(INIT + "angarium.configure { lua = { max_memory = 'much' } }\n")
    with pytest.raises(
        ConfigError, match=f"init.lua:{INIT.count(chr(10)) + 1}: max_memory: 'much' is not a size"
    ):
        load("init.lua")
    Path("init.lua").write_text(INIT + "angarium.configure { lua = { max_memory = 1000 } }\n")
    with pytest.raises(ConfigError, match="max_memory: 1000 is too little"):
        load("init.lua")
