"""mail.header: the header section as it came."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.header import Headers, Outline, has_more_lines, header_section, outline, split_content


@pytest.mark.parametrize(
    ("content", "section", "body"),
    [
        (b"A: 1\r\n\r\nbody\r\n", b"A: 1\r\n", b"body\r\n"),
        (b"A: 1\n\nbody\n", b"A: 1\n", b"body\n"),
        (b"A: 1\r\n\nbody", b"A: 1\r\n", b"body"),
        (b"\r\nbody", b"", b"body"),
        (b"\nbody", b"", b"body"),
        (b"A: 1\r\nB: 2", b"A: 1\r\nB: 2", b""),
        (b"", b"", b""),
        (b"A: 1\r\n\r\n\r\nx", b"A: 1\r\n", b"\r\nx"),
    ],
)
def test_split(content, section, body):
    """The first empty line ends the header section and belongs to neither part."""
    assert split_content(content) == (section, body)


@given(
    st.lists(
        st.sampled_from([b"a:", b"A :", b"b:", b"a", b" a:", b"\t", b"x", b"\r\n", b"\n", b"\r", b"\xff"])
    )
)
def test_fields_by_name(pieces):
    """A field that is asked for by its name is what a walk over all fields finds."""
    headers = Headers(b"".join(pieces))
    values = tuple(value for name, value in headers if name.lower() == "a")
    assert headers.get_all("A") == values
    assert headers.get("a") == (values[0] if values else None)
    assert headers.get("a:") is headers.get("") is headers.get("é") is None


@given(st.binary(max_size=40).map(lambda octets: octets.replace(b"a", b"\n").replace(b"b", b"\r\n\r\n")))
def test_nothing_is_lost(content):
    """Section, at most one empty line, body: together they are the content."""
    section, body = split_content(content)
    assert content.startswith(section)
    assert content[len(section) :] in (body, b"\n" + body, b"\r\n" + body)
    assert header_section(content) == section


def test_fields():
    """Names compare without case, folds go, what is no field is passed over, strange octets survive."""
    headers = Headers(b"Subject: a\r\n  b\r\nno field\r\nX-A : 1\r\nx-a:\xff\r\nsubject:2\r\n")
    assert headers.get("SUBJECT") == "a  b"
    assert headers.get_all("subject") == ("a  b", "2")
    assert headers.get("x-a") == "1"
    assert headers.get_all("X-A")[1].encode("utf-8", "surrogateescape") == b"\xff"
    assert "Missing" not in headers
    assert [name for name, _ in headers] == ["Subject", "X-A", "x-a", "subject"]


_PIECES = [
    b"Received", b"rEceived", b"MESSAGE-id:", b"Message-ID: ", b"X-", b":", b" ", b"\t:", b"<1@a>", b"<2@b>",
    b"\xff", b"x" * 5, b"\r\n", b"\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"\r",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES)), st.integers(2, 60))
def test_an_outline_is_what_three_walks_find(pieces, limit):
    """Size, hops and Message-ID of one pass are those of a search for each, in as much as may be read."""
    content = b"".join(pieces)
    section = header_section(content[:limit])
    hops = re.findall(rb"^received[ \t]*:", section, re.IGNORECASE | re.MULTILINE)
    names = re.search(rb"^message-id:", section, re.IGNORECASE | re.MULTILINE)
    ident = names and re.match(rb"\s*(<[^<>\s]+>)", section[names.end() :])
    assert outline(content, limit) == Outline(len(section), len(hops), ident and ident[1].decode())


def test_hops_are_counted():
    """Received fields count whatever their case; other fields, and what stands in the body, do not."""
    content = b"Received: a\r\nX-Received: b\r\nRECEIVED : c\r\n\r\nReceived: d\r\n"
    assert outline(content).hops == 2


@given(st.lists(st.integers(1, 4)), st.integers(0, 20), st.booleans())
def test_lines_are_counted_only_where_there_may_be_too_many(lengths, most, has_body):
    """Whether there are more lines than so many is what counting them says."""
    section = b"".join(b"x" * length + b"\r\n" for length in lengths)
    content = section + b"\r\nbody\r\n" * has_body
    assert has_more_lines(content, len(section), most) == (len(lengths) > most)
