"""docs/coming-from-kumomta.md says of every function, event, module, method and option what the code does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from angarium.lua import catalogue
from angarium.lua.catalogue import Standing, missing_event, missing_function, missing_method, missing_module
from angarium.lua.declared import SCHEMAS
from angarium.policy.load import load

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from-kumomta.md").read_text()
TABLES = {
    "Functions": catalogue.FUNCTIONS,
    "Events": catalogue.EVENTS,
    "Modules": catalogue.MODULES,
    "Methods": catalogue.METHODS,
}


def _section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("title", TABLES)
def test_every_name_has_its_row(title: str) -> None:
    """The page's tables are those that loading and static reading take their words from."""
    rows = re.findall(r"^\| `(.+?)` \| (\w+) \| (.*?) \|$", _section(title), re.MULTILINE)
    assert {name: Standing(status, text) for name, status, text in rows} == TABLES[title]
    assert len(rows) == len(TABLES[title])


def test_every_option_has_its_place() -> None:
    """The options of each function stand in the page as its schema has them."""
    for name, schema in SCHEMAS.items():
        [row] = re.findall(
            rf"^\| `{re.escape(name)}` \| (.*?) \| (.*?) \| (.*?) \|$", _section("Options"), re.MULTILINE
        )
        cells = [re.findall(r"`(.+?)`", cell) for cell in row]
        assert cells == [[*schema.options, *schema.tables], [*schema.ignored], [*schema.refused]], name


def test_what_is_here_can_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function that is not absent exists in a state, every absent one is refused by its name."""
    monkeypatch.chdir(tmp_path)
    here = [name for name, standing in catalogue.FUNCTIONS.items() if standing.status != "absent"]
    absent = [name for name, standing in catalogue.FUNCTIONS.items() if standing.status == "absent"]
    lines = [f"assert(type({name}) == 'function')" for name in here]
    for name in absent:
        module, _, function = name.rpartition(".")
        lines.append(f"local m = {module} assert(not pcall(function() return m['{function}' .. ''] end))")
    text = "kumo.start_esmtp_listener { listen = '127.0.0.1:2525' }\n" + "".join(
        f"do {line} end\n" for line in lines
    )
    Path("init.lua").write_text(text)
    load("init.lua")


def test_methods_are_there() -> None:
    """Every method of a message that is not absent stands in the prelude."""
    prelude = (Path(catalogue.__file__).parent / "prelude.lua").read_text()
    for name, standing in catalogue.METHODS.items():
        assert (f"{name.partition(':')[2]} = " in prelude) == (standing.status != "absent"), name


def _absent(table: Mapping[str, Standing]) -> list[str]:
    return [name for name, standing in table.items() if standing.status == "absent"]


def test_what_is_absent_says_what_instead() -> None:
    """Each absent name is refused with the text of the page."""
    said = [
        *((missing_function(name), catalogue.FUNCTIONS[name]) for name in _absent(catalogue.FUNCTIONS)),
        *((missing_event(name), catalogue.EVENTS[name]) for name in _absent(catalogue.EVENTS)),
        *((missing_module(name), catalogue.MODULES[name]) for name in _absent(catalogue.MODULES)),
        *(
            (missing_method(name.partition(":")[2]), catalogue.METHODS[name])
            for name in _absent(catalogue.METHODS)
        ),
    ]
    for text, standing in said:
        assert text is not None
        assert text.endswith(f" is not available in Angarium: {standing.text}")


@pytest.mark.parametrize("block", re.findall(r"```lua\n(.*?)```", PAGE, re.DOTALL), ids=["policy", "limits"])
def test_the_examples_load(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each example of the page loads."""
    monkeypatch.chdir(tmp_path)
    Path("listener_domains.toml").write_text('["example.com"]\nrelay_to = true\n')
    Path("queues.toml").write_text("[queue.'example.com']\nrouting_domain = '[10.0.0.1]'\n")
    listener = (
        "" if "start_esmtp_listener" in block else "kumo.start_esmtp_listener { listen = '127.0.0.1:1' }\n"
    )
    Path("init.lua").write_text(listener + block)
    assert load("init.lua").listeners
