"""Framing against a slow reference that anybody can read, and every variant of a smuggled end."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.wire.events import NEED_DATA
from angarium.wire.framing import (
    Canonical,
    Defect,
    Input,
    canonical,
    checked,
    chunk_content,
    has_long_line,
    is_canonical,
    wire_content,
)

OCTETS = st.lists(
    st.sampled_from(
        [b"\r\n", b"\r", b"\n", b".", b"..", b"\0", b"x", b"word", b"\r\n.", b"\r\n..", b"y" * 12]
    )
).map(b"".join)
LIMIT, LINE = 60, 20


def is_masked(line: bytes) -> bool:
    """Whether a next hop that drops NUL would take the line for the end, although it was sent unstuffed."""
    return line.startswith(b"\0") and line.replace(b"\0", b"") == b"."


def reference(stream: bytes, *, fix: bool) -> tuple[bytes | Defect, bytes] | None:
    """Content and what follows it, by RFC 5321 section 4.5.2 read aloud; None where the end is missing."""
    lines = stream.split(b"\r\n")
    if b"." not in lines[:-1]:
        return None
    end = lines.index(b".")
    rest = b"\r\n".join(lines[end + 1 :])
    content = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])
    if len(content) > LIMIT:
        return Defect.TOO_BIG, rest
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", content)
    masked = any(map(is_masked, content.split(b"\r\n")))
    if bare or masked:
        if not fix:
            return Defect.LINE_ENDINGS, rest
        pieces = re.split(rb"\r\n|\r|\n", content)
        content = b"\r\n".join(b"." if is_masked(piece) else piece for piece in pieces)
    if any(len(line) > LINE for line in content.split(b"\r\n")):
        return Defect.LONG_LINE, rest
    return content, rest


@settings(max_examples=500)
@given(OCTETS, st.booleans(), st.integers(1, 50))
def test_content(stream: bytes, fix: bool, size: int) -> None:
    """Content ends, is unstuffed and is judged as the reference says, however it is cut."""
    stream += b"\r\n.\r\nafter"
    expected = reference(stream, fix=fix)
    assert expected is not None
    source, content = Input(), None
    source.begin_content(LIMIT)
    for at in range(0, len(stream), size):
        source.append(stream[at : at + size])
        if content is None:
            content = source.take_content(LIMIT, LINE, fix=fix)
    rest = source.take_line(100)
    source.append(b"\r\n")
    lines = [] if rest is None else [rest[0]]
    while (line := source.take_line(100)) is not None:
        lines.append(line[0])
    assert (content, b"\r\n".join(lines)) == expected


@given(OCTETS, st.booleans())
def test_checked(content: bytes, fix: bool) -> None:
    """What was checked is canonical, within its line length, and stays as it is when checked again."""
    content += b"\r\n"
    taken = checked(content, 10_000, LINE, fix=fix)
    if isinstance(taken, Defect):
        assert taken is not Defect.TOO_BIG
        return
    assert is_canonical(taken)
    assert canonical(taken) == taken
    assert checked(taken, 10_000, LINE, fix=False) == taken
    assert fix or taken == content


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 25))
def test_long_lines(lengths: list[int], limit: int) -> None:
    """A line is too long exactly if it has more octets than the limit."""
    content = b"".join(b"x" * length + b"\r\n" for length in lengths)
    assert has_long_line(content, limit) is (max([*lengths, 0]) > limit)


@pytest.mark.parametrize(("length", "long"), [(998, False), (999, True)])
@pytest.mark.parametrize("before", [0, 1, 50])
def test_line_limit(length: int, long: bool, before: int) -> None:
    """998 octets pass, 999 do not, wherever the line stands."""
    short = b"y" * 70 + b"\r\n"
    assert has_long_line(short * before + b"x" * length + b"\r\n" + short * 50, 998) is long


@given(st.lists(OCTETS, max_size=5))
def test_wire_content(parts: list[bytes]) -> None:
    """Whatever is sent, a strict receiver reads one message, and a lax one finds no other end in it."""
    octets = b"".join(wire_content(parts))
    source = Input()
    source.begin_content(10_000)
    source.append(octets)
    content = source.take_content(10_000, 10_000, fix=False)
    assert isinstance(content, bytes)
    assert len(source) == 0
    lax = octets.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert ("\n" + lax.decode()).index("\n.\n") == len(lax) - 2
    sent = b"".join(parts)
    if is_canonical(sent) and sent.endswith(b"\r\n"):
        assert content == sent


@pytest.mark.parametrize(
    "end",
    [
        before + nul + b"." + after
        for before, nul, after in itertools.product(
            [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r"],
            [b"", b"\0"],
            [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\0\r\n", b"\n\r"],
        )
        if before + nul + b"." + after not in {b"\r\n.\r\n", b"\r\r\n.\r\n", b"\r\n.\0\r\n"}
    ],
)
@pytest.mark.parametrize("fix", [False, True])
def test_smuggling_variants(end: bytes, fix: bool) -> None:
    """Nothing but CRLF dot CRLF ends content; what looks like it is refused, or made a stuffed dot."""
    source = Input()
    source.begin_content(10_000)
    source.append(b"one" + end + b"MAIL FROM:<x@y>\r\n")
    assert source.take_content(10_000, 998, fix=fix) is None
    source.append(b".\r\n")
    content = source.take_content(10_000, 998, fix=fix)
    if not fix:
        assert content is Defect.LINE_ENDINGS
    else:
        assert isinstance(content, bytes)
        assert b"MAIL FROM" in content
        assert is_canonical(content)


@pytest.mark.parametrize("stream", [b".\r\n", b"..\r\n.\r\n", b".x\r\n.\r\n"])
def test_first_line(stream: bytes) -> None:
    """The first line is a line too: a dot alone is an empty message, a leading dot is unstuffed."""
    source = Input()
    source.begin_content(LIMIT)
    source.append(stream)
    expected = reference(stream, fix=False)
    assert expected is not None
    assert source.take_content(LIMIT, LINE, fix=False) == expected[0]


def test_exact_limit() -> None:
    """Size is what the author wrote: stuffing does not count, the last octet does."""
    for octets, fits in [(b".\r\n" * 20, True), (b".\r\n" * 20 + b"\r\n", False)]:
        source = Input()
        source.begin_content(LIMIT)
        source.append(octets.replace(b".", b"..") + b".\r\n")
        content = source.take_content(LIMIT, LINE, fix=False)
        assert content == (octets if fits else Defect.TOO_BIG)


def test_names_itself() -> None:
    """The value that stands for nothing prints as its name."""
    assert repr(NEED_DATA) == "NEED_DATA"


def test_checked_content_is_not_looked_at_again() -> None:
    """Content that came through the door leaves as the very object that it is; a changed copy is checked."""
    receiver = Input()
    receiver.begin_content(1000)
    receiver.append(b"a\r\n.\r\n")
    content = receiver.take_content(1000, 998, fix=False)
    assert isinstance(content, Canonical)
    assert chunk_content([content])[0] is content
    assert wire_content([content])[:-1] == [content]
    assert chunk_content([content.replace(b"\r\n", b"\n")]) == [b"a\r\n"]


@pytest.mark.parametrize("rest", [b"N", b"DATA\r"])
def test_what_was_taken_is_let_go(rest: bytes) -> None:
    """Of a large read, only what is not understood yet is kept while the rest of a line is awaited."""
    octets = Input()
    octets.append(b"NOOP\r\n" * 40_000 + rest)
    while octets.take_line(998) is not None:
        pass
    assert bytes(octets.octets) == rest


def test_commands_are_let_go_while_content_comes() -> None:
    """What stood before the content is not kept with it."""
    octets = Input()
    octets.append(b"NOOP\r\n" * 40_000 + b"begin")
    for _ in range(40_000):
        octets.take_line(998)
    octets.begin_content(10_000)
    assert octets.take_content(10_000, 998, fix=False) is None
    assert bytes(octets.octets) == b"begin"
    octets.append(b"\r\n.\r\n")
    assert octets.take_content(10_000, 998, fix=False) == b"begin\r\n"
