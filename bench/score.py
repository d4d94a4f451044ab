"""How well are reports read? Ours beside the standard library's reader and flufl.bounce, on mail of other
people.

Needs the shared collections (`../shared/corpora`, or $ANGARIUM_CORPORA) with their own scoring scripts. The
rules were first written looking at one half of the labelled files, chosen by a hash of their names, and
measured on the other; both halves are still printed apart.
"""

from __future__ import annotations

import email
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from email.message import Message
from pathlib import Path
from typing import Any

from angarium.cli.report import row_of
from angarium.reports import examine
from angarium.reports.classify import Classifier
from angarium.reports.rules import shipped

ROOT = Path(__file__).resolve().parents[1]
CORPORA = Path(os.environ.get("ANGARIUM_CORPORA", ROOT.parent / "shared" / "corpora"))
FIGURES = (
    "oob_recall", "arf_recall", "oob_precision", "neg_false_positive", "rcpt_found", "rcpt_exact",
    "status_equal", "feedback_type", "arf_fields", "errors",
)  # fmt: skip
Row = dict[str, Any]
Reader = Callable[[str, bytes], Row]


def ours(name: str, content: bytes) -> Row:
    return row_of(name, examine(content))


def standard_library(name: str, content: bytes) -> Row:
    """What a program reads that knows RFC 3464 and RFC 5965, and has nothing but the standard library."""
    message = email.message_from_bytes(content)
    if message.get_content_type() != "multipart/report":
        return {"file": name, "kind": "none"}
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            return {"file": name, "kind": "oob", **_recipients(part)}
        if part.get_content_type() == "message/feedback-report":
            return {"file": name, "kind": "arf", **_feedback(part)}
    return {"file": name, "kind": "none"}


def _recipients(part: Message) -> Row:
    blocks = part.get_payload() if part.is_multipart() else []
    named = [block for block in blocks if isinstance(block, Message) and block["Final-Recipient"]]
    return {
        "recipients": [str(block["Final-Recipient"]).partition(";")[2].strip() for block in named],
        "status": str(named[0]["Status"]).split()[0] if named and named[0]["Status"] else None,
    }


def _feedback(part: Message) -> Row:
    payload = part.get_payload()
    block = payload[0] if isinstance(payload, list) else email.message_from_string(str(payload))
    fields: dict[str, list[str]] = {}
    source = block.get_payload() if isinstance(block, Message) and not block.keys() else block
    for key, value in (email.message_from_string(source) if isinstance(source, str) else source).items():
        fields.setdefault(key.lower(), []).append(value)
    return {"feedback_type": fields.get("feedback-type", [None])[0], "fields": fields}


def flufl(name: str, content: bytes) -> Row:
    """flufl.bounce, as a black box: it answers with addresses and knows no feedback reports."""
    from flufl.bounce import all_failures  # noqa: PLC0415 - only here, and only for developers

    logging.disable()  # it prints a traceback for each message that one of its detectors fails on
    temporary, permanent = all_failures(email.message_from_bytes(content))
    found = sorted(address.decode("utf-8", "replace") for address in {*temporary, *permanent})
    return {"file": name, "kind": "oob" if found else "none", "recipients": found}


def safely(reader: Reader, name: str, content: bytes) -> Row:
    try:
        return reader(name, content)
    except Exception as error:  # noqa: BLE001 - a peer that raises has not read the message; that is a figure too
        return {"file": name, "kind": "none", "error": repr(error)}


def in_first_half(name: str) -> bool:
    """Whether a file is in the half that the rules were first written looking at."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def labels(name: str) -> list[Row]:
    return [json.loads(line) for line in (CORPORA / name).read_text("utf-8").split("\n") if line]


def ordinary() -> list[Row]:
    """Mail that is no report: a labelled collection, and MIME examples (of which `badbound.msg` is one)."""
    found = sorted((CORPORA / "mime").rglob("*.msg"))
    names = (str(path.relative_to(CORPORA)) for path in found if path.name != "badbound.msg")
    return [*labels("neg.labels.jsonl"), *({"file": name, "kind": "none"} for name in names)]


def write(folder: Path, name: str, rows: Iterable[Row]) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def score(folder: Path, reader: Reader, wanted: list[Row]) -> Row:
    rows = [safely(reader, row["file"], (CORPORA / row["file"]).read_bytes()) for row in wanted]
    script = CORPORA / "score" / "score_reports.py"
    files = write(folder, "said.jsonl", rows), write(folder, "labels.jsonl", wanted)
    out = subprocess.run(
        [sys.executable, script, *files, "--json"], check=True, capture_output=True, text=True
    )
    return json.loads(out.stdout)["all"]


def score_reports(folder: Path) -> None:
    every = labels("reports.labels.jsonl")
    parts = {
        "half that the rules were written with": [row for row in every if in_first_half(row["file"])],
        "the other half": [row for row in every if not in_first_half(row["file"])],
        "all": every,
        "ordinary mail": ordinary(),
    }
    readers: dict[str, Reader] = {
        "angarium": ours,
        "standard library": standard_library,
        "flufl.bounce": flufl,
    }
    for title, wanted in parts.items():
        scores = {name: score(folder, reader, wanted) for name, reader in readers.items()}
        print(f"\n{title} ({len(wanted)} messages)\n{'':20}" + "".join(f"{name:>22}" for name in scores))
        for figure in FIGURES:
            values = [str(one[figure]) for one in scores.values()]
            if set(values) - {"-"}:
                print(f"{figure:20}" + "".join(f"{value:>22}" for value in values))


def score_replies(folder: Path) -> None:
    classifier = Classifier.load(shipped())
    every = labels("class/replies.jsonl")
    print("\nreplies")
    for title, half in (("half written with", True), ("the other half", False), ("all", None)):
        wanted = [row for row in every if half is None or in_first_half(row["reply"]) is half]
        said = [(row["reply"], classifier.classify(row["reply"])) for row in wanted]
        rows = [{"reply": r, "class": v.bounce_class, "suppress": v.dead_address == "yes"} for r, v in said]
        script = CORPORA / "score" / "score_classify.py"
        files = write(folder, "said.jsonl", rows), write(folder, "replies.jsonl", wanted)
        out = subprocess.run([sys.executable, script, *files], check=True, capture_output=True, text=True)
        print(f"{title:20}{out.stdout.splitlines()[0].removeprefix('[all] ')}")


def main() -> None:
    if not CORPORA.is_dir():
        print(f"no collections at {CORPORA}; set ANGARIUM_CORPORA")
        raise SystemExit(1)
    with tempfile.TemporaryDirectory() as folder:
        score_reports(Path(folder))
        score_replies(Path(folder))


if __name__ == "__main__":
    main()
