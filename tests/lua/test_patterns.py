"""Patterns that Lua's own matcher might take too long for are matched as it would, in linear time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa.lua54 import LuaError, LuaRuntime

from angarium.lua.patterns import matcher
from tests.lua.test_isolation import raised, run

SINGLES = [
    "a",
    "b",
    ".",
    "%a",
    "%A",
    "%d",
    "%s",
    "%%",
    "[ab]",
    "[^a]",
    "[a-c]",
    "[%a_]",
    "[]]",
    "[^]-]",
    "^",
    "-",
]
ITEMS = st.tuples(st.sampled_from(SINGLES), st.sampled_from(["", "", "*", "+", "-", "?"])).map("".join)
PATTERNS = st.recursive(
    st.lists(ITEMS, max_size=4).map("".join),
    lambda inner: st.lists(st.one_of(inner, inner.map("({})".format), st.just("()")), max_size=3).map(
        "".join
    ),
    max_leaves=6,
)
TEXTS = st.text("aabbc1 %]-^\xff\0", max_size=8)
NATIVE = LuaRuntime(encoding="latin-1")
FIND: Any = NATIVE.eval("function(s, p, at) return table.pack(string.find(s, p, at)) end")
GSUB: Any = NATIVE.eval("function(s, p) return (string.gsub(s, p, '<%0>')) end")


@given(PATTERNS, TEXTS, st.booleans(), st.booleans(), st.integers(1, 9))
def test_like_lua(pattern: str, text: str, is_anchored: bool, has_end: bool, start: int) -> None:
    """The same place and captures as Lua's own, whatever the pattern, for one match and for all."""
    start = min(start, len(text) + 1)
    pattern = pattern.lstrip("^") + "$" * has_end
    packed = FIND(text, "^" * is_anchored + pattern, start)
    native = [packed[index] for index in range(1, packed.n + 1)]
    octets = text.encode("latin-1")
    found = matcher(pattern, is_anchored).find(octets, start - 1)
    if found is None:
        assert native == [None]
        return
    captures = [one.decode("latin-1") if isinstance(one, bytes) else one for one in found.captures]
    assert [found.start + 1, found.end, *captures] == native
    made, at = "", 0
    for one in matcher(pattern, is_anchored).all(octets, 0):
        made, at = f"{made}{text[at : one.start]}<{text[one.start : one.end]}>", one.end
    assert made + text[at:] == GSUB(text, "^" * is_anchored + pattern)


@pytest.mark.parametrize("pattern", ["(a", "a)", "[a", "%", "[%", "[a-", "[]"])
def test_malformed(pattern: str) -> None:
    """What is no pattern for Lua is none here."""
    with pytest.raises(ValueError, match=r"malformed|unfinished|invalid"):
        matcher(pattern, False)
    with pytest.raises(LuaError):
        NATIVE.eval("string.match")("aaaa", pattern)


@pytest.mark.parametrize("pattern", ["%f[a]a", "%b()", "(a)%1"])
def test_not_regular(pattern: str) -> None:
    """What is no regular expression is said, for texts of a length that Lua's matcher is not trusted with."""
    with pytest.raises(ValueError, match="use a simpler pattern"):
        matcher(pattern, False)


LONG = "local s = ('<a '):rep(20000) .. '@x'\n"


@pytest.mark.parametrize(
    "text",
    [
        "assert(s:find('<(.-)>') == nil)",
        "assert(select(3, s:find('(%s+@)(%w*)', -9)) == ' @')",
        "assert(s:match('<(.-)@(.*)$') ~= nil and select(2, s:match('<(.-)@(.*)$')) == 'x')",
        "assert(s:match('()@', 1) == #s - 1)",
        "local n = 0 for a, b in s:gmatch '(a+)()(%s-)<' do n = n + 1 assert(a == 'a') end assert(n > 9)",
        "local t, n = s:gsub('<(a*)%s+', '[%1%%%0]', 2) assert(n == 2 and t:sub(1, 12) == '[a%<a ][a%<a')",
        "local t, n = s:gsub('^<(a*)%s+', function(a) return a .. 1 end) assert(t:sub(1, 4) == 'a1<a')",
        "local t, n = s:gsub('(@)(x*)', { ['@'] = ' at ' }) assert(n == 1 and t:sub(-4) == ' at ')",
        "assert(not pcall(string.gsub, s, '(@)(x*)', '%3'))",
        "assert(('a'):rep(60):find(('a*'):rep(30) .. 'b') == nil)",
        "assert(('a'):rep(40):find(('a?'):rep(40) .. ('a'):rep(40)) == 1)",
    ],
)
def test_long_texts(text: str) -> None:
    """Searches that would take Lua's matcher minutes, or for ever, give their answers."""
    run("angarium.configure {}\n" + LONG + text)


def test_what_is_not_regular_in_a_long_text() -> None:
    """A pattern that only Lua's matcher knows is refused where it could take long, with its line."""
    failure = raised("local s = ('('):rep(100000)\nlocal n = s:find '%b()'")
    assert failure.line == 2
    assert "use a simpler pattern" in failure.text


HALVES = "local a, b = 'e', 'e' for i = 1, 19 do a, b = a .. a, #b < 1 << 17 and b .. b or b end\n"


@pytest.mark.parametrize(
    "text",
    [
        "assert(not a:find(b .. 'z', 1, true))",
        "assert(not a:find(b .. 'z'))",
        "assert((a .. 'z'):find(b .. 'z', 1, true) == #a - #b + 1)",
        "assert(select(2, (a .. 'z'):find(b .. 'z', -#b - 1, true)) == #a + 1)",
        "assert(not a:find(b, -9, true) and not a:find(b, #a + 9, true))",
    ],
)
def test_plain_texts(text: str) -> None:
    """A long text is looked for in a longer one in linear time, and found where Lua finds it."""
    run(HALVES + text)


BRACKETS = "local s = '[' .. (']'):rep(3000)\n"


@pytest.mark.parametrize("pattern", ["[%]].-.-.-.-.-Z", "[^]].-.-.-.-.-Z", "[]%]].-.-.-.-.-Z"])
def test_loops_beside_sets(pattern: str) -> None:
    """Brackets inside a set hide no loop behind it."""
    run(f"{BRACKETS} assert(not s:find '{pattern}')")


@pytest.mark.parametrize("pattern", ["%b[].-.-.-.-.-]", "%f[]].-.-.-.-.-Z"])
def test_loops_beside_brackets(pattern: str) -> None:
    """Brackets that are no set hide no loop behind them."""
    assert "use a simpler pattern" in raised(f"{BRACKETS} s:find '{pattern}'").text


def test_searches_from_place_to_place() -> None:
    """Going through a long text line by line costs what its octets cost, not that for each line."""
    run("local s, at = ('line\\n'):rep(2000), 0 repeat at = s:find('\\n', at + 1, true) until not at")
