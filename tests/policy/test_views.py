"""policy.views: what handlers see and change."""

import dataclasses
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium import Address, ConnectionMeta, Message
from angarium.policy.views import Endpoint, Meta

CONTENT = b"From: a@example.com\r\nX-Old: 1\r\n folded\r\nSubject: hi\r\nx-old : 2\r\n\r\nBody\r\n"
ALICE, BOB = Address.parse("alice@example.com"), Address.parse("bob@example.org")


def make_message(content: bytes = CONTENT) -> Message:
    return Message(ALICE, [BOB], content)


def octets_of(message: Message) -> bytes:
    return b"".join(message.parts)


def test_connection_meta() -> None:
    """A session is read-only but for its metadata."""
    meta = ConnectionMeta(
        session_id="s",
        peer=Endpoint(ip_address("192.0.2.1"), 4711),
        local=Endpoint(ip_address("2001:db8::1"), 25),
        listener="public",
        hostname="mx.example.com",
    )
    assert (str(meta.peer), str(meta.local)) == ("192.0.2.1:4711", "[2001:db8::1]:25")
    meta.meta["x_colour"] = {"red": [1, None]}
    assert meta.meta == {"x_colour": {"red": [1, None]}}
    with pytest.raises(dataclasses.FrozenInstanceError):
        meta.authn_id = "root"  # type: ignore[misc]


@pytest.mark.parametrize("value", [{1}, b"x", float("nan"), {1: 2}, [object()]])
def test_metadata_is_json(value: object) -> None:
    """What JSON cannot say does not become metadata."""
    with pytest.raises((TypeError, ValueError)):
        Meta()["x"] = value
    with pytest.raises(TypeError, match="names of metadata are texts"):
        Meta()[1] = value  # type: ignore[index]


def test_metadata_is_copied() -> None:
    """Only setting changes metadata: what went in or came out may change without harm."""
    value = [1]
    meta = Meta({"x": value})
    value.append(2)
    meta["x"].append(3)
    assert meta["x"] == [1]
    del meta["x"]
    assert list(meta) == []


def test_what_a_message_shows() -> None:
    """A message shows envelope, header fields, body and size."""
    message = make_message()
    assert (message.sender, message.recipients) == (ALICE, (BOB,))
    assert message.headers.get("subject") == "hi"
    assert message.body == b"Body\r\n"
    assert message.size == len(CONTENT)
    assert octets_of(message) == CONTENT
    assert message.changes == ()


@pytest.mark.parametrize(
    ("content", "body"),
    [(b"", b""), (b"\r\nx\r\n", b"x\r\n"), (b"Subject: x\r\n", b""), (b"A: 1\r\n\r\n", b"")],
)
def test_odd_content(content: bytes, body: bytes) -> None:
    """Content without header section, body, or either is shown as it is."""
    message = make_message(content)
    assert (octets_of(message), message.body, message.size) == (content, body, len(content))


def test_envelope_changes() -> None:
    """Sender, recipients and queue can be set; each change is recorded."""
    message = make_message()
    message.sender = "carol@example.com"
    message.sender = None
    message.recipients = ["dave@example.com", BOB]
    message.queue = "special"
    assert (message.sender, message.recipients) == (None, (Address.parse("dave@example.com"), BOB))
    assert [(change.what, change.value) for change in message.changes] == [
        ("sender", "carol@example.com"),
        ("sender", "<>"),
        ("recipients", "dave@example.com, bob@example.org"),
        ("queue", "special"),
    ]


def test_envelope_refuses_nonsense() -> None:
    """What is no address, no list, or no queue's name is refused, and nothing changes."""
    message = make_message()
    with pytest.raises(ValueError, match="not an address"):
        message.sender = "x\r\nRCPT TO:<y>"
    with pytest.raises(ValueError, match="reject it instead"):
        message.recipients = []
    with pytest.raises(TypeError, match="recipients are several"):
        message.recipients = "bob@example.org"
    with pytest.raises(ValueError, match="queue"):
        message.queue = "a\nb"
    assert message.changes == ()


def test_prepend_header() -> None:
    """A field is put above all others; body and header section stay as they were."""
    message = make_message()
    message.prepend_header("X-One", "1")
    message.prepend_header("X-Two", "zwei Wörter")
    assert octets_of(message) == b"X-Two: =?utf-8?q?zwei_W=C3=B6rter?=\r\nX-One: 1\r\n" + CONTENT
    assert message.headers.get("x-one") == "1"
    assert message.size == len(octets_of(message))


def test_remove_header() -> None:
    """Every field of a name goes, folded lines and all, also those put above; nothing else does."""
    message = make_message()
    message.prepend_header("X-OLD", "3")
    message.remove_header("x-old")
    assert octets_of(message) == b"From: a@example.com\r\nSubject: hi\r\n\r\nBody\r\n"
    message.remove_header("Body")
    assert message.body == b"Body\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "1\r\nBcc: x@example.com"),
        ("X-A", "1\n"),
        ("X-A", "1\x00"),
        ("X-A", "1\u2028x"),
        ("X-A\r\nX-B", "1"),
        ("X A", "1"),
        ("X:", "1"),
        ("", "1"),
        ("X-A", "x" * 2000),
    ],
)
def test_no_header_injection(name: str, value: str) -> None:
    """Neither name nor value can begin another line, or a line that is too long."""
    message = make_message()
    with pytest.raises(ValueError, match=r"value|name|word"):
        message.prepend_header(name, value)
    assert octets_of(message) == CONTENT


@given(st.text(max_size=300))
def test_a_field_is_one_field(value: str) -> None:
    """Whatever a value holds, either it is refused, or one field is added."""
    message = make_message()
    try:
        message.prepend_header("X-A", value)
    except ValueError:
        return
    assert [name for name, _ in message.headers] == ["X-A", "From", "X-Old", "Subject", "x-old"]
    assert all(len(line) <= 998 for line in octets_of(message).split(b"\r\n"))
    assert octets_of(message).endswith(CONTENT)
