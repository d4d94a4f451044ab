"""policy.source: data and lines of TOML and JSON files."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.policy.config import ConfigError, Source
from angarium.policy.source import Document, parse_document, read_document


def toml(text: str) -> Document:
    return parse_document(text.encode(), Path("/etc/x.toml"))


def from_json(text: str) -> Document:
    return parse_document(text.encode(), Path("/etc/x.json"))


def problem_of(content: bytes, name: str = "/etc/x.toml") -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(content, Path(name))
    return str(caught.value)


EXAMPLE = '''\
# a comment with [brackets] and = signs
hostname = "mx.example.com"   # and [another] one

[[listener]]
listen = "0.0.0.0:25"
relay_hosts = [
  "127.0.0.1",  # ] not the end
  "10.0.0.0/8",
  ["nested",
   "twice"],
]
text = """
[not.a.table]
key = "not a key" ""
"""
meta.colour.deep = 1
meta."a.b" = 2

  [ listener . peer . '192.168.1.0/24' ]
  banner = \'\'\'x
y = 1\'\'\'
[[listener]]
listen = "[::]:25"
peers = { "::1" = { banner = "x" }, other = [
   { a = 1, b = """
"""},
  {c = 2} ] }
[listener.via."10.0.0.9"]
z = ""
[a.b.c]
x = 1
[a]
y = 1979-05-27 07:32:00
["k\\u00e4se"."*"]
q = [ "a", 'b' ]
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("hostname",), 2),
        (("listener",), 4),
        (("listener", 0), 4),
        (("listener", 0, "relay_hosts"), 6),
        (("listener", 0, "relay_hosts", 1), 8),
        (("listener", 0, "relay_hosts", 2, 1), 10),
        (("listener", 0, "text"), 12),
        (("listener", 0, "meta"), 16),
        (("listener", 0, "meta", "colour", "deep"), 16),
        (("listener", 0, "meta", "a.b"), 17),
        (("listener", 0, "peer"), 19),
        (("listener", 0, "peer", "192.168.1.0/24"), 19),
        (("listener", 0, "peer", "192.168.1.0/24", "banner"), 20),
        (("listener", 1), 22),
        (("listener", 1, "listen"), 23),
        (("listener", 1, "peers", "::1", "banner"), 24),
        (("listener", 1, "peers", "other", 0, "b"), 25),
        (("listener", 1, "peers", "other", 1, "c"), 27),
        (("listener", 1, "via", "10.0.0.9", "z"), 29),
        (("a", "b"), 30),
        (("a", "b", "c", "x"), 31),
        (("a",), 32),
        (("a", "y"), 33),
        (("käse", "*"), 34),
        (("käse", "*", "q", 1), 35),
        (("käse", "*", "q", 1, "unknown"), 35),
        (("unknown",), 1),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_lines_of_toml(path: tuple[str | int, ...], line: int, line_end: str) -> None:
    """Every header, key and array item of a TOML file is found on its line, whatever stands around it."""
    document = toml(EXAMPLE.replace("\n", line_end))
    assert document.source(*path) == Source("/etc/x.toml", line)


def test_data_of_toml() -> None:
    """The data are the parser's."""
    document = toml(EXAMPLE)
    assert document.data["listener"][0]["relay_hosts"][1] == "10.0.0.0/8"
    assert document.data["käse"]["*"] == {"q": ["a", "b"]}


@pytest.mark.parametrize(
    "value", ['""', "''", '""""""', "''''''", '"""a"""""', "'''b''''", '"""a""b\\""""', '"\\""']
)
@pytest.mark.parametrize("form", ["{}", "[{}]", "[[{}],\n{}]", "{{ x = {}, y = [{}] }}"])
def test_quotes_of_all_kinds(value: str, form: str) -> None:
    """No form of string hides the statement after it."""
    document = toml(
        f"a = {form.replace('{}', value) if '{{' not in form else form.format(value, value)}\nafter = 1"
    )
    assert document.source("after").line == document.data.get("after", 0) + 1 + form.count("\n")


KEYS = st.sampled_from(["a", "b-1", '"x.y"', "'*.example.com'", '"[10.0.0.1]"', '"q\\"#"', "c . d"])
VALUES = st.sampled_from(
    [
        "1",
        "true",
        "-1.5e3",
        '"#["',
        "'\"'",
        "[\"]\", '[']",
        "[\n1,\n2]",
        '"""\n[x]\ny=1\n"""',
        "'''\n'''",
        "{}",
        "{k = [\n]}",
    ]
)


@given(st.lists(st.tuples(KEYS, KEYS, VALUES, st.sampled_from(["", "\n", "# [c]\n", "  \t\n"])), max_size=8))
def test_lines_follow_any_statements(statements: list[tuple[str, str, str, str]]) -> None:
    """The line of a key does not depend on what stands above it."""
    text = ""
    expected = []
    for number, (first, second, value, between) in enumerate(statements):
        text += f"{between}[t{number}.{first}]\n{second} = {value}   # end\n"
        expected.append(text.count("\n") + 1)
        text += f"[after{number}]\n"
    document = toml(text)
    assert [document.source(f"after{number}").line for number in range(len(statements))] == expected


JSON_EXAMPLE = """{
  "example.com": {"relay_to": true,
     "relay_from": ["10.0.0.0/8", "[",
       "::1"]},
  "a\\"b": {
    "x": [{"y": 1}, [2,
       3]]
  }
}"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("example.com",), 2),
        (("example.com", "relay_from"), 3),
        (("example.com", "relay_from", 2), 4),
        (('a"b',), 5),
        (('a"b', "x", 0, "y"), 6),
        (('a"b', "x", 1, 1), 7),
    ],
)
def test_lines_of_json(path: tuple[str | int, ...], line: int) -> None:
    """Keys and items of a JSON file are found on their lines too."""
    assert from_json(JSON_EXAMPLE).source(*path).line == line


def test_syntax_errors_name_their_line() -> None:
    """A file that does not parse is one problem with file and line."""
    assert problem_of(b"a = 1\nb = \n").startswith("/etc/x.toml:2: not valid TOML")
    assert problem_of(b'{"a": 1,\n x}', "/etc/x.json").startswith("/etc/x.json:2: not valid JSON")
    assert problem_of(b"[1]", "/etc/x.json") == "/etc/x.json:1: the file must hold one JSON object: { ... }"
    assert "NaN" in problem_of(b'{"a": NaN}', "/etc/x.json")
    assert problem_of(b"a = 1\n# \xff\n") == "/etc/x.toml:2: not UTF-8: save the file as UTF-8"


def test_what_is_said_twice() -> None:
    """A key that stands twice is a problem on the line of the second."""
    assert problem_of(b"a = 1\na = 2\n").startswith("/etc/x.toml:2: this table or key stands on line 1 ")
    assert problem_of(b"[a]\n[b]\n[a]\n").startswith("/etc/x.toml:3: this table or key stands on line 1 ")
    text = json.dumps({"a": {"x": 1}})[:-1] + ',\n "a": 2}'
    assert problem_of(text.encode(), "/etc/x.json") == (
        '/etc/x.json:2: "a" stands twice; first on line 1: say it once'
    )


@pytest.mark.parametrize(
    ("opening", "closing", "name"), [("a = ", "", "/etc/x.toml"), ("", "", "/etc/x.json")]
)
def test_depth_is_a_problem_not_a_crash(opening: str, closing: str, name: str) -> None:
    """Nesting without end is reported, not thrown at the operator."""
    text = opening + "[" * 100_000 + "]" * 100_000 + closing
    assert "nested too deeply" in problem_of(text.encode(), name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is reported where it was named; a file that everybody may write is refused."""
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "no.toml", Source("angarium.toml", 7))
    assert str(caught.value) == f"angarium.toml:7: cannot read {tmp_path}/no.toml: No such file or directory"
    open_file = tmp_path / "open.toml"
    open_file.write_text("a = 1")
    open_file.chmod(0o666)
    with pytest.raises(ConfigError, match="chmod o-w"):
        read_document(open_file)


def test_a_folder_that_everybody_may_write(tmp_path: Path) -> None:
    """Whoever may write the folder may replace the file: refused, but for a sticky one."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "a.toml").write_text("a = 1")
    folder.chmod(0o777)
    with pytest.raises(ConfigError, match=f"other files into the folder {folder}: chmod o-w {folder}"):
        read_document(folder / "a.toml")
    folder.chmod(0o1777)
    assert read_document(folder / "a.toml").data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "again", "first"),
    [
        ("\n['a.example']\nx = 1\n['b.example']\nx = 1\n[\"a.example\"]\n", 6, 2),
        ("[a]\n[a.'b.c']\nx = [\n1]\n'x' = 2\n", 5, 3),
        ("[[a]]\nx = 1\n[[a]]\nx = 1\nx = [\n2,\n]\n", 7, 4),
        ("a = 1\na.b = 2\n", 2, 1),
        ("a = 1\n[a.b]\n", 2, 1),
        ("[a]\n[[a]]\n", 2, 1),
        ("a = { x = 1 }\nb = 1\na = { x = 2 }\n", 3, 1),
    ],
)
def test_what_stands_twice_in_toml(text: str, again: int, first: int) -> None:
    """A key or table that is said again is told with the line where it stands first."""
    told = f"/etc/x.toml:{again}: this table or key stands on line {first} already: say it once"
    assert problem_of(text.encode()) == told


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir])
def test_what_is_no_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe, whose reader would wait for a writer, and a folder are refused where they are named."""
    make(tmp_path / "a.toml")
    with pytest.raises(ConfigError) as caught:
        read_document(tmp_path / "a.toml", Source("angarium.toml", 7))
    assert str(caught.value).startswith("angarium.toml:7: ")
    assert str(tmp_path / "a.toml") in str(caught.value)


def test_how_files_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the working directory a file is shown as a relative path."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.toml").write_text("\ufeff\n")
    monkeypatch.chdir(tmp_path)
    document = read_document(tmp_path / "conf" / "a.toml")
    assert document.file == "conf/a.toml"
    assert document.is_empty
