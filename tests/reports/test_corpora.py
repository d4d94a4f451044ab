"""The figures on mail that nobody here wrote stay where they are (`make score` prints them all)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from angarium.reports import Report, examine
from angarium.reports.classify import Classifier
from angarium.reports.rules import shipped

CORPORA = Path(__file__).resolve().parents[3] / "shared" / "corpora"
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared mail collections are not here"),
]


def labelled(name: str) -> list[dict[str, object]]:
    lines = (CORPORA / name).read_text("utf-8").split("\n")
    return [row for row in map(json.loads, filter(None, lines)) if row.get("sub") != "ambiguous"]


def read(row: dict[str, object]) -> Report:
    return examine((CORPORA / str(row["file"])).read_bytes())


def test_reports_are_found() -> None:
    """At least 97 % of the bounces, all feedback reports, and no report among the look-alikes."""
    rows = [(row["kind"], read(row)) for row in labelled("reports.labels.jsonl")]
    bounces = [report.kind == "oob" and report.is_usable for kind, report in rows if kind == "oob"]
    assert sum(bounces) / len(bounces) >= 0.97
    assert all(report.kind == "arf" for kind, report in rows if kind == "arf")
    assert all(report.kind == "none" for kind, report in rows if kind == "none")


def test_recipients_are_exact() -> None:
    """At least 94 % of the bounces yield just the recipients that they speak of."""
    good = []
    for row in labelled("reports.labels.jsonl"):
        wanted = row.get("recipients")
        if row["kind"] != "oob" or not wanted or row["rcpt_conf"] not in {"gold", "verified", "consensus"}:
            continue
        bounce = read(row).bounce
        everyone = bounce.recipients if bounce else ()
        said = {
            a.lower()
            for one in everyone
            for a in (one.address, one.original)
            if a and (a == one.address or "@" in a)
        }
        names = [{str(name).lower() for name in alternatives} for alternatives in wanted]  # type: ignore[attr-defined]
        good.append(all(said & any_of for any_of in names) and said <= set().union(*names))
    assert sum(good) / len(good) >= 0.94


def test_ordinary_mail_is_no_report() -> None:
    """None of the odd but ordinary mails is called a report."""
    assert [row["file"] for row in labelled("neg.labels.jsonl") if read(row).kind != "none"] == []


def test_mime_examples_are_no_reports() -> None:
    """Nor any of the MIME examples, except the one that is a bounce with a broken boundary."""
    found = [
        path.name
        for path in sorted((CORPORA / "mime").rglob("*.msg"))
        if examine(path.read_bytes()).kind != "none"
    ]
    assert found == ["badbound.msg"]


def test_replies_are_classified() -> None:
    """At least 75 % of the replies get a class that is right, and 95 % of the dead addresses are dead."""
    classifier = Classifier.load(shipped())
    rows = labelled("class/replies.jsonl")
    verdicts = [(row, classifier.classify(str(row["reply"]))) for row in rows]
    right = [verdict.bounce_class in row["accept"] for row, verdict in verdicts if "accept" in row]  # type: ignore[operator]
    dead = [
        row["suppress"] for row, verdict in verdicts if verdict.dead_address == "yes" and "suppress" in row
    ]
    assert sum(right) / len(right) >= 0.75
    assert dead.count(True) / len(dead) >= 0.95
