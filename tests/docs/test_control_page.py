"""docs/control.md tells of every request that there is, and of no other."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from angarium.admin.control import Request, RequestError
from angarium.admin.explain import Question
from angarium.admin.queue import Ask
from angarium.admin.requests import House, requests
from angarium.policy.reload import Result
from angarium.queue.order import Selector

PAGE = (Path(__file__).parents[2] / "docs" / "control.md").read_text()


async def _reload() -> Result:
    return Result(taken=True, hash="c0ffee", problems=())


@pytest.fixture
def table() -> dict[str, Request]:
    """The requests of a house that is not asked for anything here."""
    return requests(cast("House", None), Path("angarium.toml"), 0.0, _reload)


def refusal(request: Request, **arguments: Any) -> str:
    with pytest.raises(RequestError) as caught:
        asyncio.run(cast("Any", request(arguments)))
    return str(caught.value)


def section(name: str) -> str:
    return PAGE.partition(f"## `{name}`\n")[2].partition("\n## ")[0]


def rows(text: str) -> set[str]:
    """What stands in code in the first column of a section's tables."""
    cells = re.findall(r"^\|([^|]*`[^|]*)\|", text, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


def test_every_request_has_a_section(table: dict[str, Request]) -> None:
    """Each request of the table has its section, and each section its request."""
    assert sorted(re.findall(r"^## `(.*)`$", PAGE, re.MULTILINE)) == sorted(table)


def test_who_takes_no_arguments_says_so(table: dict[str, Request]) -> None:
    """Arguments that are not known are refused by every request, as the page says."""
    for name, request in table.items():
        said = refusal(request, nonsense=1, more=2)
        assert ("no arguments: take out more, nonsense" in said) is ("No arguments." in section(name))


def test_arguments_of_explain() -> None:
    """Each argument of `explain` stands in its table."""
    assert rows(section("explain")) == {field.name for field in msgspec.structs.fields(Question)}


def test_actions_and_arguments_of_queue(table: dict[str, Request]) -> None:
    """Each action, each argument and each member of a selector is told."""
    known = refusal(table["queue"], action="nonsense").partition("known are ")[2].split(", ")
    fields = {field.name for field in msgspec.structs.fields(Selector)}
    assert rows(section("queue")) == {*known, *fields}
    told = set(re.findall(r"`([a-z_]+)`", section("queue")))
    assert {field.name for field in msgspec.structs.fields(Ask)} <= told
