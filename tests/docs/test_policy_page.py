"""The page on policy as code names every event, and its examples load."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from angarium.policy.config import Configuration
from angarium.policy.hooks import EVENTS
from angarium.policy.load import load
from angarium.policy.views import ReceivedReport

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy-as-code.md").read_text()
MAIN_FILES = sorted((ROOT / "examples").glob("*/*angarium.toml")) + sorted(
    (ROOT / "examples").glob("*/policy.py")
)


def test_every_event_is_in_the_table_with_its_parameters() -> None:
    """Each event that a handler can be registered for stands in the page's table."""
    rows = dict(re.findall(r"^\| `(\w+)\((.*?)\)`", PAGE, re.MULTILINE))
    assert rows == {name: ", ".join(event.parameters) for name, event in EVENTS.items()}


@pytest.mark.parametrize("path", MAIN_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_loads_without_a_problem(path: Path) -> None:
    """Each example's configuration loads, and `check` has nothing to say about it."""
    configuration = load(path)
    assert isinstance(configuration, Configuration)
    assert configuration.problems == ()


EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize(
    ("example", "event"), list(zip(EXAMPLES, ("get_listener_domain", "report_received"), strict=True))
)
def test_the_examples_on_the_page_load(example: str, event: str, tmp_path: Path) -> None:
    """The page's own policy files can be served."""
    (tmp_path / "angarium.toml").write_text(
        'hostname = "mx.example.com"\npostmaster = "ops@example.com"\n[[listener]]\n'
    )
    (tmp_path / "policy.py").write_text(example)
    configuration = load(tmp_path / "policy.py")
    assert configuration.hooks.handles(event)


def test_every_field_of_a_report_has_its_row() -> None:
    """The page tells each field that `report_received` can read."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", PAGE, re.MULTILINE)
    assert {field.name for field in fields(ReceivedReport)} <= set(re.findall(r"\w+", " ".join(rows)))
