"""Issue 8, demand 6: `angarium migrate` writes the same policy without Lua, and says what changes."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import tomli

from angarium.lua.differences import differences
from angarium.lua.migration import migrate
from angarium.lua.toml import dumps
from angarium.policy.compare import compare
from angarium.policy.config import ConfigError
from angarium.policy.load import load
from angarium.policy.source import read_document
from tests.cli.house import angarium
from tests.lua.guide import DOMAINS, HANDLER, INIT, QUEUES, REGISTERED, ROUTES, SETUP


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the guide's files."""
    monkeypatch.chdir(tmp_path)
    Path("listener_domains.toml").write_text(DOMAINS)
    Path("queues.toml").write_text(QUEUES)
    return tmp_path


def written(text: str) -> Path:
    """Migrate init.lua of a text by the command; returns the new main file."""
    Path("init.lua").write_text(INIT + text)
    run = angarium("migrate", "init.lua", "new")
    assert run.returncode == 0, run.stderr
    return next(Path(line) for line in run.stdout.split() if line.endswith(("policy.py", "angarium.toml")))


MORE = """\
kumo.start_esmtp_listener {
  listen = '127.0.0.1:2525', name = 'inside', max_message_size = '30 MiB',
  peer = { ['10.0.0.0/8'] = { banner = 'Hello', meta = { a = 1 } } },
  trace_headers = { supplemental_header = false, include_meta_names = { 'x' } },
}
kumo.define_spool { name = 'data', path = 'spooled' }
kumo.configure_local_logs { log_dir = 'logged', per_record = { Any = { suffix = '_x' } } }
"""


def test_declarations() -> None:
    """What is declared becomes TOML that loads to the same configuration; no handler, no Python."""
    main = written(MORE + REGISTERED + ROUTES)
    assert main.name == "angarium.toml"
    assert sorted(path.name for path in Path("new").iterdir()) == [
        "angarium.toml",
        "listener_domains.toml",
        "queues.toml",
    ]
    old, new = load("init.lua"), load(main)
    assert compare(old, new).is_same
    assert [listener.listen for listener in new.listeners] == [listener.listen for listener in old.listeners]
    assert (new.spool, new.log, new.hostname) == (old.spool, old.log, old.hostname)
    inside = new.listeners[0]
    assert (inside.name, inside.options.max_message_size) == ("inside", 30 * 1024 * 1024)
    assert inside.peer[0].options == {"banner": "Hello", "meta": {"a": 1}}
    assert new.queues.lookup("example.com").routing_domain == "[10.0.0.1]"


def test_diff_says_that_nothing_changes() -> None:
    """`angarium diff` finds no change between the two, also where a handler decides in both."""
    written(REGISTERED + HANDLER)
    run = angarium("diff", "init.lua", "new/policy.py")
    assert (run.returncode, "nothing changes" in run.stdout) == (0, True)


def test_diff_sees_a_difference() -> None:
    """A policy in Lua is compared like any other: a changed table is found."""
    written(REGISTERED)
    Path("new/listener_domains.toml").write_text(DOMAINS + '["new.example"]\nrelay_to = true\n')
    assert angarium("diff", "init.lua", "new/angarium.toml").returncode == 1


def test_handlers_become_skeletons() -> None:
    """A handler becomes a Python function that refuses, with the Lua text as a comment; `check` takes it."""
    written(REGISTERED + HANDLER + "kumo.on('smtp_server_ehlo', function(domain) return end)\n")
    text = Path("new/policy.py").read_text()
    assert "def get_listener_domain(domain, listener, conn_meta):" in text
    for line in HANDLER.splitlines():
        assert f"    # {line}\n" in text
    assert f"    # init.lua:{INIT.count(chr(10)) + 2}: the files of `listener_domains:setup`" in text
    assert "def smtp_server_ehlo(domain, conn_meta):" in text
    assert load("new/policy.py").hooks.handles("smtp_server_ehlo")
    namespace: dict[str, Any] = {}
    exec(text.replace('Policy.load("angarium.toml")', "Policy()"), namespace)
    own = INIT.count("\n") + 3
    with pytest.raises(NotImplementedError, match=rf"init.lua:{own}: write this handler"):
        namespace["get_listener_domain"]("x", "y", None)


def test_tables_in_the_program() -> None:
    """Tables in place of files are written as files."""
    tables = "{ { ['inline.example'] = { relay_to = true } }, 'listener_domains.toml' }"
    main = written(f"{SETUP}listener_domains:setup {tables}\n")
    assert compare(load("init.lua"), load(main)).is_same
    assert tomli.loads(Path("new/listener_domains.toml").read_text())["inline.example"] == {"relay_to": True}
    assert Path("new/listener_domains-1.toml").read_text() == DOMAINS


def test_files_that_stay_where_they_are() -> None:
    """Rule files and certificates are named so that they are found from the new folder."""
    Path("own.toml").write_text('[rules]\nInvalidRecipient = ["^550 nobody"]\n')
    main = written("kumo.configure_bounce_classifier { files = { 'own.toml', 'iana' } }\n")
    assert Path("own.toml").absolute() in load(main).files


def test_what_is_not_there_is_still_said() -> None:
    """A handler that uses what is not here is no hindrance: it is to be written anew, and is told."""
    Path("init.lua").write_text(INIT + "kumo.on('smtp_server_ehlo', function() kumo.sleep(1) end)\n")
    run = angarium("migrate", "init.lua", "new")
    assert run.returncode == 0
    assert "kumo.sleep is not available in Angarium" in run.stderr


def test_what_is_not_there_in_init() -> None:
    """Nor is a call of it while the file runs, or a module: what stands after it is written too."""
    text = """
kumo.on('init', function()
  kumo.start_http_listener { listen = '127.0.0.1:8000' }
  local shaper = require('policy-extras.shaping'):setup_with_automation { publish = {} }
  kumo.on('get_egress_path_config', shaper.get_egress_path_config)
  kumo.on('http_message_generated', function(msg) end)
  kumo.configure_local_logs { log_dir = 'logged' }
end)
"""
    Path("init.lua").write_text(INIT + text)
    run = angarium("migrate", "init.lua", "new")
    assert run.returncode == 0, run.stderr
    assert "kumo.start_http_listener is not available in Angarium" in run.stderr
    assert str(load("new/angarium.toml").log.dir) == str(Path("logged").absolute())


def test_files_that_the_files_name() -> None:
    """A file that the operator's TOML names is taken to the same place beside it: the folder works alone."""
    Path("lists").mkdir()
    Path("lists/people.txt").write_text("ann@listed.example\n")
    Path("up.toml").write_text('["listed.example"]\nrelay_to = true\nrecipients = "lists/people.txt"\n')
    main = written(f"{SETUP}listener_domains:setup {{ 'up.toml' }}\n")
    Path("lists/people.txt").unlink()
    assert Path("new/lists/people.txt").read_text() == "ann@listed.example\n"
    assert Path("new/lists/people.txt").absolute() in load(main).files


def test_the_order_of_options() -> None:
    """Options stand in the order in which they were written, at every run."""
    written(MORE)
    text = Path("new/angarium.toml").read_text()
    places = [text.index(name) for name in ('name = "inside"', "max_message_size", "supplemental_header")]
    assert places == sorted(places)


ACROSS = (
    '["*"]\nlog_oob = "LogThenDrop"\n["*.e.com"]\nrelay_to = true\n',
    (
        '["www.e.com"]\nrelay_to = false\n[listener."192.0.2.1:25"."*.e.com"]\nrelay_to = true\n'
        '[listener."192.0.2.1:25"."*"]\nlog_arf = "LogThenDrop"\n["UPPER.e.com"]\nrelay_to = true\n'
        '[listener."0.0.0.0"."e.com"]\nrelay_to = true\n'
    ),
)


def test_differences_across_files() -> None:
    """W4 to W8 are seen where wildcard, entry and section stand in several files."""
    documents = []
    for number, text in enumerate(ACROSS):
        path = Path(f"part{number}.toml")
        path.write_text(text)
        documents.append(read_document(path))
    told = [str(one) for one in differences(documents)]
    for wanted in (
        "part1.toml:1: warning: the answer for names below www.e.com that have no entry is not KumoMTA's",
        'add\n    ["*.www.e.com"]\n    log_oob = "LogThenDrop"\n    relay_to = false',
        'add\n    [listener."192.0.2.1:25"."www.e.com"]\n    relay_to = true',
        'part1.toml:7: warning: "UPPER.e.com" never matches in KumoMTA',
        'the section "0.0.0.0" never answers in KumoMTA',
        "part1.toml:5: warning: this entry is laid over the one outside the section here",
    ):
        assert any(wanted in line for line in told), wanted


def test_a_file_that_does_not_run() -> None:
    """A file that does not run to its end is not migrated, and nothing is written."""
    Path("init.lua").write_text(INIT + "error('no')\n")
    run = angarium("migrate", "init.lua", "new")
    assert (run.returncode, Path("new").exists()) == (1, False)
    with pytest.raises(ConfigError):
        migrate(Path("init.lua"))


def test_a_folder_that_is_in_use() -> None:
    """A folder with something in it is left alone."""
    Path("new").mkdir()
    Path("new/mine").write_text("x")
    Path("init.lua").write_text(INIT)
    assert angarium("migrate", "init.lua", "new").returncode == 2


def test_warnings() -> None:
    """W2, W4 and W5 are told with file, line, and the line that keeps the old meaning."""
    Path("init.lua").write_text(INIT + REGISTERED)
    told = [
        str(one) for one in migrate(Path("init.lua")).warnings if one.source.file == "listener_domains.toml"
    ]
    lines = DOMAINS.splitlines()
    expected = [
        ("log_oob = true", 'write log_oob = "LogThenRelay"'),
        ("log_arf = true", 'write log_arf = "LogThenRelay"'),
        (
            '["www.wild.example"]',
            'add\n    ["*.www.wild.example"]\n    log_oob = false\n    relay_to = false',
        ),
        ('[listener."192.0.2.1:25"."*.wild.example"]', "add\n    relay_to = false"),
    ]
    for line, hint in expected:
        number = lines.index(line) + 1
        assert any(text.startswith(f"listener_domains.toml:{number}: ") and hint in text for text in told), (
            line
        )


def _walk(entries: dict[str, Any], name: str) -> Any:
    """The reference's lookup in one map (facts T10 to T13), restated: from the right, with no going back."""
    nodes: dict[tuple[str, ...], Any] = {}
    for key, entry in entries.items():
        labels = tuple(reversed(key.split(".")))
        for end in range(1, len(labels)):
            nodes.setdefault(labels[:end], None)
        nodes[labels] = entry
    here: tuple[str, ...] = ()
    labels = tuple(reversed(name.split(".")))
    for index, label in enumerate(labels):
        if (*here, label) in nodes:
            here = (*here, label)
            if index == len(labels) - 1:
                return nodes[here]
        else:
            return nodes.get((*here, "*"))
    return None


def _reference(data: dict[str, Any], listener: str, name: str) -> dict[str, Any]:
    """The reference's answer (fact T9): this listener's section, the top level, the top level's `"*"`."""
    top = {key: entry for key, entry in data.items() if key != "listener"}
    section = data.get("listener", {}).get(listener, {})
    found = _walk(section, name) or _walk(top, name) or top.get("*") or {}
    return {option: value for option, value in found.items() if value not in (False, [])}


AROUND = '["*.e.com"]\nrelay_to = true\n["a.b.e.com"]\nrelay_to = true\n'
HIDDEN = """\
["*.e.com"]
relay_to = true
log_oob = "LogThenDrop"
["www.e.com"]
relay_to = false
log_oob = false
[listener."192.0.2.1:25"."*.e.com"]
log_oob = false
"""
EXACT = """\
["e.com"]
relay_to = true
[listener."192.0.2.1:25"."e.com"]
log_arf = "LogThenDrop"
"""
NAMES = [
    *("e.com", "x.e.com", "b.e.com", "a.b.e.com", "y.a.b.e.com", "c.b.e.com", "www.e.com", "x.www.e.com"),
    *("wild.example", "x.wild.example", "www.wild.example", "y.www.wild.example", "example.com"),
]


def _kept(text: str) -> Iterator[str]:
    """The file with what its warnings propose (but for W2, whose meaning is another mode)."""
    path = Path("case.toml")
    path.write_text(text)
    lines = text.splitlines()
    added = []
    for warning in sorted(differences([read_document(path)]), reverse=True):
        _, *proposed = warning.text.split("\n    ")
        if proposed and proposed[0].startswith("["):
            added += proposed
        else:
            lines[warning.source.line : warning.source.line] = proposed
    yield from (*lines, *added)


@pytest.mark.parametrize("text", [DOMAINS, AROUND, HIDDEN, EXACT], ids=["guide", "W5", "W4", "exact"])
def test_the_proposed_lines_keep_the_old_meaning(text: str) -> None:
    """With the proposed lines, every name has here the answer that it had there, on each listener."""
    Path("listener_domains.toml").write_text("\n".join(_kept(text)) + "\n")
    Path("init.lua").write_text(INIT + REGISTERED + "kumo.start_esmtp_listener { listen = '127.0.0.1:26' }\n")
    tables = load("init.lua").domains
    data = tomli.loads(text)
    for listener, label in (("192.0.2.1:25", "0.0.0.0:25"), ("127.0.0.1:26", "127.0.0.1:26")):
        local = ip_address(listener.rpartition(":")[0])
        for name in NAMES:
            entry = tables.lookup(name, tables.scope(label, local))
            here = {
                option
                for option in ("relay_to", "log_oob", "log_arf")
                if (found := getattr(entry, option, None)) is not None
                and (found.value.logs if hasattr(found.value, "logs") else found.value)
            }
            there = set(_reference(data, listener, name)) & {"relay_to", "log_oob", "log_arf"}
            assert here == there, (listener, name)


def test_toml_reads_back() -> None:
    """What is written as TOML reads back as it was."""
    data = {
        "plain": 1,
        "half": 0.5,
        "text": 'a "quoted"\n\ttext \\ ü',
        "a key": [1, [True, "x"]],
        "t": {"empty": {}, "b.c": {"d": "e"}, "mixed": [{"x": 1}, 2]},
        "tables": [{"a": 1, "below": {"x": {"y": 1}}}, {"a": 2, "list": [{"n": 1}]}],
    }
    assert tomli.loads(dumps(data)) == data
