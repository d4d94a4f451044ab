"""`docs/load.md` tells of every option of `sink` and `bench`, and its rules are rules."""

import inspect
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from angarium.cli.bench import bench
from angarium.cli.sink import sink
from angarium.testing.rules import STAGES, Action, parse_rule

DOCUMENT = (Path(__file__).parents[2] / "docs" / "load.md").read_text()


def options(function: Callable[..., None]) -> set[str]:
    app = typer.Typer(add_completion=False)
    app.command()(function)
    command = typer.main.get_command(app)
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("function", [sink, bench])
def test_every_option_is_documented(function: Callable[..., None]):
    """An option that the page does not name does not exist for its readers."""
    section = DOCUMENT.split(f"## `angarium {function.__name__}`")[1].split("\n## ")[0]
    missing = {name for name in options(function) if f"`{name}" not in section}
    assert missing == set()
    assert inspect.getdoc(function)


def test_every_rule_of_the_page_is_a_rule():
    """The examples can be typed as they stand, and every stage is explained."""
    examples = re.findall(r"^    --(refuse|delay|hang|drop) +('[^']*')", DOCUMENT, re.MULTILINE)
    assert len(examples) >= 6
    for action, text in examples:
        parse_rule(Action(action), *shlex.split(text))
    assert all(f"`{stage}`" in DOCUMENT for stage in STAGES)
