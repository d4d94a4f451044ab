"""admin.why: the records of a message, a session or a Message-ID, as a life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zstandard
from tests.admin.records_made import NOW, ident, record

from angarium.admin.why import Story, tell
from angarium.log.records import EnhancedCode, PeerAddress, Response, encode_record
from angarium.log.segment import make_name
from angarium.policy.decision import DecidedBy

RULE = DecidedBy("rule", "domains.toml", 3, None, "example.com", None, "c0ffee")
SESSION = ident(1, 6)
CAME: dict[str, Any] = {
    "session_id": SESSION,
    "listener": "public",
    "local_address": "10.9.9.9:25",
    "peer_address": PeerAddress(name="c.example", addr="198.51.100.7"),
    "sender": "ann@a.org",
}
RECEPTION = record(
    "Reception",
    1,
    recipient="bob@example.com",
    queue="example.com",
    disposition="queued",
    decided_by=RULE,
    message_id="<1@a.org>",
    **CAME,
)
REJECTION = record(
    "Rejection",
    2,
    id="",
    response=Response(
        code=550, enhanced_code=EnhancedCode(5, 7, 1), content="no relaying", command="RCPT TO:<x@y.org>"
    ),
    decided_by=DecidedBy("default", config="c0ffee"),
    **CAME,
)
PUT_OFF = record("TransientFailure", 3, id=ident(1), num_attempts=1, site="mx", response=Response(code=451))
BOUNCE = record("Bounce", 4, id=ident(1), num_attempts=2, response=Response(code=550, content="gone"))
NOTICE = record("Reception", 5, recipient="ann@a.org", disposition="queued", why=f"notice about {ident(1)}")
OTHER = record("Reception", 6, session_id=ident(6, 6), disposition="queued")


def story(folder: Path, asked: str, *records: Any) -> Story | None:
    lines = b"".join(encode_record(one) + b"\n" for one in (*records, OTHER))
    path = folder / make_name(NOW, 0, "")
    path.write_bytes(zstandard.ZstdCompressor(write_checksum=True).compress(lines))
    return tell([folder], asked)


def test_a_message_is_told_from_its_arrival_to_its_end(tmp_path: Path) -> None:
    """Arrival, attempts, end and our own notice about it, in order, each with who decided."""
    told = story(tmp_path, ident(1), RECEPTION, REJECTION, PUT_OFF, BOUNCE, NOTICE)
    assert told is not None
    (life,) = told.lives
    assert [step.what for step in life.steps] == ["Reception", "TransientFailure", "Bounce", "Reception"]
    assert life.is_over
    assert life.steps[0].decided_by == 'domains.toml:3 "example.com"'
    assert life.steps[0].config == "c0ffee"
    assert "notice" in life.steps[3].text


def test_a_session_is_told_with_its_messages_and_refusals(tmp_path: Path) -> None:
    """A session's story holds each message with all that became of it, and what was refused."""
    told = story(tmp_path, SESSION, RECEPTION, REJECTION, PUT_OFF)
    assert told is not None
    assert told.kind == "session"
    by_id = {life.id: [step.what for step in life.steps] for life in told.lives}
    assert by_id == {ident(1): ["Reception", "TransientFailure"], "": ["Rejection"]}
    assert (
        "RCPT TO:<x@y.org>: 550 5.7.1 no relaying"
        in next(life for life in told.lives if not life.id).steps[0].text
    )


def test_a_message_id_finds_its_messages_with_and_without_brackets(tmp_path: Path) -> None:
    """The Message-ID of the header section leads to every message that has it."""
    for asked in ("<1@a.org>", "1@a.org"):
        told = story(tmp_path, asked, RECEPTION, PUT_OFF)
        assert told is not None
        assert (told.kind, [life.id for life in told.lives]) == ("message-id", [ident(1)])
        assert len(told.lives[0].steps) == 2


def test_a_message_without_a_last_record_may_be_queued(tmp_path: Path) -> None:
    """Only a last record, or a disposition that queues nothing, ends a life."""
    told = story(tmp_path, ident(1), RECEPTION, PUT_OFF)
    assert told is not None
    assert not told.lives[0].is_over


def test_nothing_is_made_up(tmp_path: Path) -> None:
    """An id that no record has has no story."""
    assert story(tmp_path, "f" * 32, RECEPTION) is None
