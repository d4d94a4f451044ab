"""The tables of the guide "Inbound and relay domains" are what the server decides."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from angarium.mail.address import Address
from angarium.policy.config import Configuration
from angarium.policy.context import Context
from angarium.policy.load import load
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide

PAGE = Path(__file__).parents[2] / "docs" / "inbound-and-relay-domains.md"
BLOCK = re.compile(r"```toml\n# (\S+)\n(.*?)```", re.DOTALL)
TABLE = re.compile(r"^\| listener .*\n\|[-|]+\n(?:\|.*\n)+", re.MULTILINE)
ANSWERS = {"relay": "relayed", "report-only": "reports only", "refuse": "refused", "defer": "deferred"}
EMPTY = {"listener_domains.toml": "", "queues.toml": ""}


def scenes() -> Iterator[tuple[str, dict[str, str], list[dict[str, str]]]]:
    """Each section of the page with the files as they stand there and the rows of its tables."""
    main = ""
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        files = dict(EMPTY)
        for name, text in BLOCK.findall(section):
            if name == "angarium.toml":
                main = text
            else:
                files[name] = text
        rows = [row for table in TABLE.findall(section) for row in _rows(table)]
        if rows:
            yield section.partition("\n")[0], {**files, "angarium.toml": main}, rows


def _rows(table: str) -> list[dict[str, str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().split("\n")]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


SCENES = list(scenes())


def _context(configuration: Configuration, row: dict[str, str]) -> Context:
    listener = next(one for one in configuration.listeners if one.label == row["listener"])
    sender, recipient = row["from"], row["to"]
    return Context(
        listener=listener.label,
        local=ip_address(listener.host),
        peer=ip_address(row["peer"]),
        relay_hosts=NetworkSet(listener.options.relay_hosts),
        identity=row.get("identity") or None,
        sender=None if sender == "<>" else Address.parse(sender),
        recipient=Address.parse(recipient) if "@" in recipient else Address(recipient, ""),
        hostnames=(listener.options.hostname,),
        postmaster=configuration.postmaster,
    )


@pytest.mark.parametrize(("title", "files", "rows"), SCENES, ids=[scene[0] for scene in SCENES])
def test_the_guide_tells_the_truth(
    title: str, files: dict[str, str], rows: list[dict[str, str]], tmp_path: Path
) -> None:
    """Each row of the guide is what `decide` answers on the files of its section."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    configuration = load(tmp_path / "angarium.toml")
    for row in rows:
        decision = decide(configuration, _context(configuration, row))
        assert ANSWERS[decision.verdict.value] == row["answer"], f"{title}: {row}"


def test_the_guide_has_its_scenes() -> None:
    """The page was found and understood: a table that no test reads would be a promise without proof."""
    assert len(SCENES) >= 7
    assert sum(len(rows) for _, _, rows in SCENES) == PAGE.read_text().count(
        "\n| public"
    ) + PAGE.read_text().count("\n| partners")
