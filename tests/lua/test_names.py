"""Issue 8, demand 3: names and methods that are nowhere are told by `check`, though their lines never ran."""

from pathlib import Path

import pytest

from angarium.lua import catalogue
from tests.lua.test_check import place, problems
from tests.lua.test_isolation import run

__all__ = ["place"]


def handler(line: str, event: str = "smtp_server_message_received", parameters: str = "msg, conn") -> str:
    """A handler with one line, the second."""
    return f"kumo.on('{event}', function({parameters})\n{line}\nend)\n"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("msg:foo()", "msg:foo is not available"),
        ("msg:get_mata 'x'", "did you mean msg:get_meta?"),
        ("conn:get_metadata 'x'", "did you mean conn_meta:get_meta?"),
        ("local a = msg:sender() return a:full()", "an address has user, domain, email and name"),
        ("if msg:recipient().dmain == 'x' then return end", "an address has user, domain, email and name"),
        ("for i, one in ipairs(list) do handle(one) end", "handle is nowhere"),
        ("msg:set_meta('x', striing.lower 'X')", "striing is nowhere: did you mean string?"),
        ("os.exit(1)", "os.exit is not available"),
        ("string.dump(print)", "string.dump is not available"),
        ("dofile 'x'", "use `require`"),
        ("return string.gsubb('a', 'b', 'c')", "did you mean string.gsub?"),
        ("require 'socket'", "there is no module socket beside init.lua"),
        ("kumo.make_listener_domain { log_oob = 'LogThenDelete' }", "LogThenDelete"),
        ("kumo.make_listener_domain { relay_from = { '10.0.0.0/33' } }", "10.0.0.0/33"),
        ("kumo.make_queue_config { max_age = '5 monkeys' }", "'monkeys' is not a unit of time"),
    ],
)
def test_what_would_fail_at_night(line: str, told: str) -> None:
    """A handler's line that can only fail is an error when the file is loaded, with its line."""
    [found] = problems(handler(line))
    assert found.startswith("2: ")
    assert told in found


@pytest.mark.parametrize(
    "line",
    [
        "local s = msg:sender() return s.user == s.domain and tostring(s) == s.email or nil",
        "local h = msg:from_header() if h and h.name then log(h.name) end",
        "if jit then jit.off() end",
        "local msg = {} msg.foo = 1",
        "for _, v in pairs { 1 } do local f <const>, g = print, print f(v) g(v) end",
        "other.method() GLOBAL.x = 1",
        "local s = 'x' return s:find 'x'",
        "local t = { handle = 1, ['x'] = 2 } return (t.handle)",
        "goto done ::done:: kumo.log_info(string.format('%s', utf8.char(64)))",
    ],
)
def test_what_may_be_right(line: str) -> None:
    """What the text does not show to be wrong is left alone."""
    text = "other = require 'other'\nfunction log(x) return x end\na, GLOBAL = 1, {}\n"
    assert problems(text + handler(line), other="return { method = print }") == []


def test_names_of_other_files() -> None:
    """A global that one file makes is known in another."""
    assert problems("require 'other'\n" + handler("shared()"), other="function shared() end") == []


def test_what_a_handler_cannot_return() -> None:
    """A table in the place of a listener domain is an error; an answer that nobody reads is a warning."""
    text = handler("return { relay_to = true }", "get_listener_domain", "domain")
    text += handler("return true", "smtp_server_rcpt_to", "rcpt")
    text += handler("return false", "smtp_server_auth_plain", "authz, authn, password")
    text += handler("local f = function() return 1 end", "smtp_server_data")
    assert problems(text) == [
        "2: get_listener_domain returns what kumo.make_listener_domain makes, or nil",
        "5: smtp_server_rcpt_to has no answer: what is returned here has no effect",
    ]


def test_the_tables_are_what_a_state_has() -> None:
    """Every global and every library function that `check` knows is in a state, and no other is."""
    for library, names in catalogue.LIBRARY.items():
        listed = " ".join(f"{name}=true," for name in names)
        run(
            f"local known = {{ {listed} }}\n"
            f"for name in pairs({library}) do assert(known[name], '{library}.' .. name) end\n"
            f"for name in pairs(known) do assert({library}[name] ~= nil, name) end\n"
        )
    listed = " ".join(f"{name}=true," for name in (*catalogue.GLOBALS, *catalogue.LIBRARY))
    run(f"local known = {{ {listed} }}\nfor name in pairs(_G) do assert(known[name], name) end\n")


def test_a_path_that_is_changed(place: Path) -> None:
    """Where a file looks for modules elsewhere, nothing is said of modules that are not beside it."""
    text = "package.path = package.path .. ';./lib/?.lua'\n" + handler("require 'socket'")
    assert problems(text) == []
