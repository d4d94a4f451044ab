"""admin.changes: what `explain` proposes for a policy that is a program is a line of it, and it works."""

import json
from pathlib import Path

import pytest
from tests.cli.house import angarium

from angarium.admin.changes import change_as_written
from angarium.policy.edits import Change
from angarium.policy.load import load

ONE_LINE = "kumo.start_esmtp_listener { listen = '127.0.0.1:2525', relay_hosts = { '10.0.0.0/8' } }\n"
LINES = "kumo.start_esmtp_listener {\n  listen = '127.0.0.1:2525',\n  relay_hosts = { '10.0.0.0/8' },\n}\n"
SILENT = "kumo.start_esmtp_listener {\n  listen = '127.0.0.1:2525'\n}\n"
NEW = 'relay_hosts = { "10.0.0.0/8", "192.0.2.7" }'


@pytest.mark.parametrize("text", [ONE_LINE, LINES, SILENT])
def test_a_flip_is_lua(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The line that is told, put in the place of the old one, lets the peer relay."""
    monkeypatch.chdir(tmp_path)
    Path("init.lua").write_text(text)
    asked = ["--peer", "192.0.2.7", "--from", "a@b.example", "--rcpt", "c@d.example", "--json"]
    run = angarium("explain", "-c", "init.lua", *asked)
    told = json.loads(run.stdout)
    row = told[0] if isinstance(told, list) else told
    [flip] = [one for one in row["flips"] if one["verdict"] == "relay"]
    lines = text.splitlines()
    assert flip["action"] == "replace"
    lines[flip["line"] - 1] = flip["text"]
    Path("init.lua").write_text("\n".join(lines))
    assert "192.0.2.7/32" in map(str, load("init.lua").listeners[0].options.relay_hosts)


PYTHON = """\
from angarium import Policy
policy = Policy(
    listeners=[
        {"listen": "127.0.0.1:2525", "relay_hosts": ["10.0.0.0/8"]},
    ],
)
"""


@pytest.mark.parametrize("text", [PYTHON, PYTHON.replace(', "relay_hosts": ["10.0.0.0/8"]', "")])
def test_a_flip_of_python_is_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """No flip is told that would not be Python in the place that it names."""
    monkeypatch.chdir(tmp_path)
    one_line = " ".join(line.strip() for line in text.splitlines()[1:])
    for program, count in ((text, 0), (f"from angarium import Policy\n{one_line}\n", 1)):
        Path("policy.py").write_text(program)
        asked = ["--peer", "192.0.2.7", "--from", "a@b.example", "--rcpt", "c@d.example", "--json"]
        found = json.loads(angarium("explain", "-c", "policy.py", *asked).stdout)["flips"]
        assert len(found) == count
        for flip in found:
            lines = program.splitlines()
            lines[flip["line"] - 1] = flip["text"]
            Path("policy.py").write_text("\n".join(lines))
            assert "192.0.2.7/32" in map(str, load("policy.py").listeners[0].options.relay_hosts)


def test_what_cannot_be_said() -> None:
    """A table over several lines, and a line of another option, have no change."""
    lines = ["relay_hosts = {", "'10.0.0.0/8' }"]
    change = Change("replace", "init.lua", 1, 'relay_hosts = ["10.0.0.0/8"]')
    assert change_as_written(change, lines) is None
    assert change_as_written(Change("add", "init.lua", 1, "relay_to = true"), lines) is None
