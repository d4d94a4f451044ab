"""Records: their page is complete, their JSON is the reference's, and they are cheap."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from angarium.log.records import (
    EnhancedCode,
    Notice,
    PeerAddress,
    RecipientDecision,
    Record,
    RecordType,
    Response,
    encode_record,
    rfc3339,
)
from tests.log.conftest import NOW, make_record

PAGE = (Path(__file__).parents[2] / "docs" / "records.md").read_text()


def rows_after(text: str) -> list[str]:
    """The names in the first column of the table that follows a text."""
    lines = PAGE[PAGE.index(text) + len(text) :].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start + 2 :]:
        match = re.match(r"\| `(\w+)` \|", line)
        if match is None:
            break
        rows.append(match[1])
    return rows


def names(struct: type[msgspec.Struct], *, may_lack: bool | None = None) -> list[str]:
    fields = msgspec.structs.fields(struct)
    return [f.encode_name for f in fields if may_lack is None or (f.default is UNSET) == may_lack]


def test_the_page_lists_every_type() -> None:
    """No type is missing in docs/records.md, and none is invented."""
    assert set(rows_after("## Types")) == set(get_args(RecordType))


def test_the_page_lists_every_field() -> None:
    """Fields that are always there and fields that may be left out stand in their own tables, in the order of
    the JSON.
    """
    assert rows_after("Always there") == names(Record, may_lack=False)
    assert rows_after("Left out where") == names(Record, may_lack=True)


@pytest.mark.parametrize(
    ("heading", "struct"),
    [
        ("\n`response`:", Response),
        ("\n`enhanced_code`:", EnhancedCode),
        ("\n`peer_address`:", PeerAddress),
        ("\n`recipients`, each:", RecipientDecision),
        ("\n`notices`, each:", Notice),
    ],
)
def test_the_page_lists_every_inner_field(heading: str, struct: type[msgspec.Struct]) -> None:
    """The objects inside a record are described too."""
    assert rows_after(heading) == names(struct)


def test_what_is_unknown_is_left_out_and_what_does_not_apply_is_null() -> None:
    """A consumer finds the common fields in every record, and the others only where they say something."""
    said = msgspec.json.decode(encode_record(make_record("a", listener="public")))
    assert said["peer_address"] is None
    assert said["meta"] == {}
    assert said["listener"] == "public"
    assert "tls_cipher" not in said
    assert list(said)[:2] == ["type", "id"]


def test_a_record_can_be_read_back() -> None:
    """JSON and back is the same record."""
    record = make_record(
        "a",
        "Bounce",
        response=Response(code=550, enhanced_code=EnhancedCode(5, 1, 1), content="no such user"),
        peer_address=PeerAddress(name="mx.example.com", addr="192.0.2.1"),
        recipients=[RecipientDecision(address="a@example.com", decided_by={"kind": "default"})],
        notices=[Notice(recipient="a@example.com", action="delayed", status="4.4.1")],
    )
    assert msgspec.json.decode(encode_record(record), type=Record) == record
    assert b'"enhanced_code":{"class":5,"subject":1,"detail":1}' in encode_record(record)


@pytest.mark.parametrize("moment", [0.0, NOW, 1e9 + 0.999999, 1.5])
def test_times_are_rfc_3339_to_the_microsecond(moment: float) -> None:
    """In UTC, and never a whole second late."""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", rfc3339(moment))
    assert rfc3339(1.5) == "1970-01-01T00:00:01.500000Z"


def test_encoding_is_cheap() -> None:
    """A record costs a few microseconds; the bound here is generous, since tests share their machine."""
    record = make_record("0" * 32, meta={"tenant": "a"}, session_id="1" * 32, listener="public")
    best = min(_time_of(record) for _ in range(5))
    assert best < 20e-6


def _time_of(record: Record) -> float:
    before = time.perf_counter()
    for _ in range(500):
        encode_record(record)
    return (time.perf_counter() - before) / 500


def test_unset_is_what_may_be_left_out() -> None:
    """A field that may be left out says so in its type."""
    for field in msgspec.structs.fields(Record):
        assert (UnsetType in get_args(field.type)) == (field.default is UNSET), field.name
