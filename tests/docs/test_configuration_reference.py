"""The reference page of the configuration is complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from angarium.policy import egress, load, queues, shaping
from angarium.policy.domain_options import OPTIONS
from angarium.policy.listeners import LISTENER_SCHEMA, OVERLAY_SCHEMA
from angarium.policy.tables import Schema

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ROWS = set(re.findall(r"^\| `([a-z0-9_]+)` \|", PAGE, re.MULTILINE))
SCHEMAS = {
    name: value
    for module in (egress, load, queues, shaping)
    for name, value in vars(module).items()
    if isinstance(value, Schema)
}
SCHEMAS |= {"LISTENER_SCHEMA": LISTENER_SCHEMA, "OVERLAY_SCHEMA": OVERLAY_SCHEMA}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_option_has_a_row(name: str) -> None:
    """Each option that a table of the configuration takes has a row in the reference."""
    assert set(SCHEMAS[name].options) - ROWS == set()


def test_every_option_of_a_domain_has_a_row() -> None:
    """Each option of a listener_domains entry has a row in the reference."""
    assert set(OPTIONS) - ROWS == set()


def test_every_row_is_an_option() -> None:
    """The reference names nothing that does not exist."""
    known = set(OPTIONS) | {"ttl"}
    for schema in SCHEMAS.values():
        known |= set(schema.options)
    assert ROWS - known == set()
