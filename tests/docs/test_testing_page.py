"""The page "Test your policy": its files run, its failure is a real one, and it names what there is."""

import inspect
import re
from pathlib import Path

import pytest

from angarium.testing import Mta, Queued, Result, Session
from angarium.testing.network import Delivered
from angarium.testing.nexthop import STAGES
from angarium.testing.table import COLUMNS

pytest_plugins = ["pytester"]

PAGE = (Path(__file__).parents[2] / "docs" / "test-your-policy.md").read_text()
BLOCK = re.compile(r"```\w+\n(# (\S+)\n.*?)```", re.DOTALL)
CODE = set(re.findall(r"`([^`\n]+)`", PAGE))


@pytest.fixture
def project(pytester, monkeypatch):
    """The page's files in a folder."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for text, name in BLOCK.findall(PAGE):
        pytester.path.joinpath(name).write_text(text)
    return pytester


def run(project):
    return project.runpytest("-p", "angarium.testing.plugin")


def test_the_files_on_the_page_run(project):
    """Every row and every test of the page passes on the policy of the page."""
    rows = (project.path / "who-may-relay.csv").read_text().count("\n") - 2
    tests = sum(path.read_text().count("\ndef test_") for path in project.path.glob("test_*.py"))
    assert tests >= 6
    run(project).assert_outcomes(passed=rows + tests)


def test_the_failure_on_the_page_is_real(project):
    """A changed row fails as the page shows."""
    table = project.path / "who-may-relay.csv"
    table.write_text(table.read_text().replace("refuse", "relay"))
    shown = PAGE.partition("```text\n")[2].partition("```")[0].strip("\n").split("\n")
    outcome = run(project)
    outcome.assert_outcomes(passed=outcome.parseoutcomes()["passed"], failed=1)
    assert "\n".join(shown) in outcome.stdout.str().replace(f"{project.path}/", "")


def public(kind):
    """What a class offers."""
    names = [name for name, _ in inspect.getmembers(kind) if not name.startswith("_")]
    return {*names, *getattr(kind, "__annotations__", {})}


def test_everything_is_named():
    """Columns, stages and what a test can ask for stand on the page."""
    words = set(re.findall(r"\w+", " ".join(CODE)))
    assert {*COLUMNS, *STAGES, "connect"} <= words
    assert public(Result) <= words
    assert public(Queued) <= words
    assert public(Delivered) <= words
    inside = {"run", "settle", "close", "shard", "configuration"}
    assert public(Mta) - inside <= words
    assert {"say", "send", "mail", "dialogue", "is_closed"} <= public(Session) | {"dialogue"}
