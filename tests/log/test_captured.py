"""log.captured: what records take over of a header section."""

from angarium.log.captured import MAX_FIELDS, MAX_VALUE, captured_headers

CONTENT = (
    b"Subject: a\r\n b\r\nX-One: 1\r\nx-one : 2\r\nX-Two: 3\r\nX: 4\r\nSubjects: no\r\n\r\nX-Body: no\r\n"
)


def test_names_and_beginnings():
    """Names compare without case, a final `*` takes all that begins so, repeated fields are one list."""
    assert captured_headers(["subject", "x-*"], [CONTENT]) == {
        "Subject": "a b",
        "X-One": ["1", "2"],
        "X-Two": "3",
    }
    assert captured_headers(["X"], [CONTENT[:40], CONTENT[40:]]) == {"X": "4"}
    assert captured_headers([], [CONTENT]) == captured_headers(["y", "z*"], [CONTENT]) == {}
    assert len(captured_headers(["*"], [CONTENT])) == 5


def test_a_record_stays_small():
    """However many fields a sender writes, and however long they are, a record takes a bounded part."""
    content = b"X-Long: " + b"y" * 900 + b"\r\n y" * 10_000 + b"\r\n" + b"X-A: 1\r\n" * 10_000
    captured = captured_headers(["x-*"], [content])
    assert len(captured["X-Long"]) == MAX_VALUE
    assert len(captured["X-A"]) == MAX_FIELDS - 1
