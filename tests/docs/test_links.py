"""No page leads nowhere, and none is hidden."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _targets(page: Path) -> list[Path]:
    links = LINK.findall(page.read_text())
    return [
        (page.parent / link).resolve()
        for link in links
        if "://" not in link and not link.startswith("mailto:")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file leads to one."""
    assert [str(target) for target in _targets(page) if not target.exists()] == []


def test_every_page_can_be_found() -> None:
    """Each page of the docs is linked from the README or from another page."""
    linked = {target for page in PAGES for target in _targets(page)}
    hidden = [page.name for page in PAGES[1:] if page.resolve() not in linked]
    assert [name for name in hidden if not name[:3].isdigit()] == []
