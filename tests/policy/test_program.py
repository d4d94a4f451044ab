"""policy.program and policy.load: a Python file as the configuration."""

import sys
from pathlib import Path

import pytest

from angarium.policy.config import ConfigError
from angarium.policy.load import load

MAIN = 'postmaster = "ops@example.com"\n[[listener]]\nlisten = "127.0.0.1:2525"\n'
HEAD = 'from angarium import Policy\npolicy = Policy.load("angarium.toml")\n'
HANDLER = "@policy.on\ndef smtp_server_ehlo(domain, conn_meta):\n    pass\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a main file; import paths and modules are put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "angarium.toml").write_text(MAIN)
    return tmp_path


def problems_of(program: str, name: str = "policy.py") -> list[str]:
    Path(name).write_text(program)
    with pytest.raises(ConfigError) as caught:
        load(name)
    return [str(problem) for problem in caught.value.problems]


def test_handlers_and_files(place: Path) -> None:
    """A policy file brings its handlers, and the files it stands on."""
    (place / "policy.py").write_text(HEAD + HANDLER)
    configuration = load("policy.py")
    assert configuration.hooks.handles("smtp_server_ehlo")
    assert not configuration.hooks.handles("smtp_server_data")
    assert configuration.files == (place / "policy.py", place / "angarium.toml")
    assert configuration.listeners[0].port == 2525
    before = configuration.hash
    (place / "policy.py").write_text(HEAD + HANDLER + "# more\n")
    assert load("policy.py").hash != before


def test_tables_in_code(place: Path) -> None:
    """The tables of the main file may be given in code; their problems name the line of the call."""
    text = "from angarium import Policy\n\npolicy = Policy(\n    listeners=[{}], postmaster={!r})\n"
    (place / "policy.py").write_text(text.format({"listen": "127.0.0.1:2526"}, "ops@example.com"))
    configuration = load("policy.py")
    assert configuration.listeners[0].port == 2526
    assert configuration.files == (place / "policy.py",)
    (problem,) = problems_of(text.format({"listn": ""}, "ops@example.com"))
    assert problem == "policy.py:3: unknown option listn: did you mean listen?"


def test_each_load_is_fresh(place: Path) -> None:
    """The file is executed anew in a fresh namespace each time."""
    (place / "policy.py").write_text("assert 'seen' not in globals()\nseen = True\n" + HEAD + HANDLER)
    assert load("policy.py").hooks is not load("policy.py").hooks


def test_dataclasses_in_a_policy_file(place: Path) -> None:
    """The file is a module like any other, as dataclasses with postponed annotations need."""
    head = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    (place / "policy.py").write_text(head + HEAD + "@dataclass\nclass A:\n    x: int\n")
    assert load("policy.py").listeners


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        ("x = \n", "policy.py:1: not valid Python: invalid syntax"),
        ("x = 1\n\0", "policy.py:1: not valid Python"),
        ("\nx = 1 / 0\n", "policy.py:2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(1)\n", "policy.py:2: the file ends the program"),
        ("def f():\n    raise ValueError\n\nf()\n", "policy.py:2: ValueError"),
        ("import json\njson.loads('')\n", "policy.py:2: JSONDecodeError"),
        ("x = 1\n", "policy.py:1: the file holds no global named policy"),
        ("policy = 1\n", "policy.py:1: the file has a global policy that is no Policy"),
        (HEAD.replace("angarium.toml", "no.toml"), "policy.py:2: cannot read no.toml"),
        (HEAD + HANDLER.replace("ehlo", "helo"), "policy.py:3: HookError: smtp_server_helo is not an event"),
    ],
)
def test_errors_are_problems(program: str, problem: str) -> None:
    """Whatever is wrong with the file is a problem with its line, never a traceback."""
    (found,) = problems_of(program)
    assert found.startswith(problem)


def test_a_failed_load_leaves_the_last_in_place(place: Path) -> None:
    """A file that fails does not take the place of the one in force."""
    (place / "policy.py").write_text(HEAD + "mark = 'good'\n")
    load("policy.py")
    problems_of("mark = 'bad'\nraise ValueError\n")
    assert sys.modules["angarium_policy"].mark == "good"


def test_modules_beside_it_are_noted(place: Path) -> None:
    """A module beside the file that it imports is not loaded anew, and a note says so."""
    (place / "beside_the_policy.py").write_text("x = 1\n")
    (place / "policy.py").write_text("import beside_the_policy, json\n" + HEAD)
    (note,) = load("policy.py").problems
    assert str(note).startswith("policy.py:1: warning: beside_the_policy is not loaded anew")
    del sys.modules["beside_the_policy"]
