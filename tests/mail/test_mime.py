"""Parts of messages are found in whatever state they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.mail.mime import (
    MAX_DELIMITERS,
    MAX_DEPTH,
    MAX_EXAMINED,
    MAX_PARTS,
    content_type,
    decode_base64,
    decode_words,
    normalize,
    strip_html,
    text_of,
    walk,
)

NESTED = b"""\
Subject: nested
Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe=
, alle
--inner
Content-Type: text/html

<p>Hello&nbsp;<b>all</b></p><style>p { x: y }</style>
--inner--

--outer
Content-Type: message/rfc822

Subject: embedded
Content-Type: multipart/mixed; boundary=deep

--deep

not looked into
--deep--
--outer--
epilogue
"""


def test_parts_come_in_the_order_of_the_message() -> None:
    """Nested multiparts are flattened, an embedded message stays closed, each part knows its parent."""
    parts = walk(normalize(NESTED))
    assert [part.media_type for part in parts] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "text/html", "message/rfc822",
    ]  # fmt: skip
    assert parts[2].parent is parts[1]
    assert parts[1].parent is parts[0]
    assert parts[0].is_split
    assert not parts[4].is_split


def test_text_is_decoded() -> None:
    """Transfer encoding, charset and HTML are undone."""
    parts = walk(normalize(NESTED))
    assert text_of(parts[2]) == "Grüße, alle"
    assert text_of(parts[3]).strip() == "Hello all"


def test_line_ends_make_no_difference() -> None:
    """CRLF and LF give the same parts."""
    assert [p.body for p in walk(normalize(NESTED.replace(b"\n", b"\r\n")))] == [
        p.body for p in walk(normalize(NESTED))
    ]


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (
            'Content-Type: multipart/mixed; boundary="wrong"',
            "--right\nContent-Type: text/x-one\n\na\n--right--\n",
        ),
        ("Content-Type: multipart/mixed", "--b\ncontent-type: text/x-one\n\na\n--b--\n"),
        ('Content-Type: multipart/mixed; boundary="b"', "--b\nContent-Type: text/x-one\n\na\n"),
        ('Content-Type: multipart/mixed boundary="b"', "--b  \nContent-Type: text/x-one\n\na\n--b-- \n"),
        ('CONTENT-TYPE: Multipart/MIXED; Boundary="b"', "--b\nContent-Type: TEXT/X-One\n\na\n--b--\n"),
    ],
)
def test_boundaries_that_lie_are_mended(header: str, body: str) -> None:
    """A wrong, missing, unclosed, unseparated or shouted boundary does not hide the parts."""
    parts = walk(normalize(f"{header}\n\n{body}".encode()))
    assert [part.media_type for part in parts] == ["multipart/mixed", "text/x-one"]
    assert parts[1].body.strip() == b"a"


def test_a_boundary_that_begins_another_is_not_taken_for_it() -> None:
    """`--b1` does not end at `--b12`."""
    octets = (
        b"Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\none --b1 inside\n--b12\nstill one\n--b1--\n"
    )
    assert [part.body for part in walk(octets)[1:]] == [b"one --b1 inside\n--b12\nstill one"]


def test_the_line_of_an_mbox_is_no_field() -> None:
    """A `From ` line above the header is passed over."""
    assert walk(normalize(b"From x Thu Jan  1 00:00:00 1970\nSubject: a\n\n"))[0].get("subject") == "a"


def test_fields_are_unfolded_and_repeated() -> None:
    """Folded values become one line; repeated fields keep their order; other octets stay readable."""
    top = walk(b"A: one\n  two\nB: x\nnonsense\na: three\nC: gr\xfc\xdfe\n\nbody")[0]
    assert top.fields["a"] == ["one two", "three"]
    assert top.get("c") == "grüße"
    assert top.get("missing") == ""


def test_content_type_is_forgiving() -> None:
    """Nonsense is text/plain; parameters keep their quoted blanks; an unclosed quote ends with the field."""
    assert content_type("nonsense") == ("text/plain", {})
    assert content_type('a/b; x="1; 2" y=3; z="open') == ("a/b", {"x": "1; 2", "y": "3", "z": "open"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=?utf-8?Q?a_=C3=BC?= =?utf-8?b?w7Y=?=", "a üö"),
        ("=?iso-2022-jp?B?GyRCJEYbKEI=?=", "て"),
        ("=?unknown-8bit?Q?=FC?=", "ü"),
        ("plain", "plain"),
        ("=?broken", "=?broken"),
        ("=?utf-8*de?Q?a?=", "a"),
    ],
)
def test_encoded_words(text: str, expected: str) -> None:
    """RFC 2047 words are decoded, joined where they touch, and left alone where they are none."""
    assert decode_words(text) == expected


def test_base64_with_rubbish() -> None:
    """Line ends, blanks and a lost end do not matter."""
    assert decode_base64(b"aGVs\r\nbG8g d29y!bGQ") == b"hello world"
    assert decode_base64(b"a") == b""


def test_japanese_that_says_ascii() -> None:
    """ISO-2022-JP is recognised by its shifts, whatever the charset parameter says."""
    part = walk(b"Content-Type: text/plain; charset=us-ascii\n\n\x1b$B$F\x1b(B")[0]
    assert text_of(part) == "て"


def test_html_that_is_not() -> None:
    """Angle brackets that are no tags stay: addresses in them are what we look for."""
    assert "a@example.com" in strip_html("<br>&lt;a@example.com&gt; 1 < 2<p>")


def test_cells_of_a_table_are_words() -> None:
    """What stands in two cells is not one word; what stands in one row is one line."""
    html = "<TABLE><tr><th>Error</th><td class=x>550 <b>5</b>.1.1 no</td></tr><tr><td>a</td></tr></TABLE>"
    assert [line.split() for line in strip_html(html).split("\n") if line.strip()] == [
        ["Error", "550", "5.1.1", "no"],
        ["a"],
    ]


def test_limits_hold() -> None:
    """No more levels, parts or octets are looked at than the limits say."""
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (i, i) for i in range(100))
    assert len(walk(deep)) == MAX_DEPTH + 1
    many = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 10_000
    assert len(walk(many)) == MAX_PARTS
    assert len(normalize(b"a" * (3 * MAX_EXAMINED))) == MAX_EXAMINED


@given(st.binary(max_size=2000))
def test_any_octets_have_parts(octets: bytes) -> None:
    """Nothing raises, and the first part is the message itself."""
    parts = walk(normalize(octets))
    assert parts[0].parent is None
    assert all(isinstance(text_of(part), str) for part in parts)


def test_a_boundary_may_begin_like_another() -> None:
    """Lines that only begin like a delimiter separate nothing, in the order of the levels."""
    parts = walk(
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=bb\n\n"
        b"--bb\n\none\n--bb--\n--b\n\ntwo --b\n--b--\n"
    )
    assert [part.body for part in parts if not part.is_split] == [b"one", b"two --b"]


def test_tries_for_delimiters_are_bounded() -> None:
    """After ten thousand lines that only begin like a delimiter the rest belongs to the part it stands in."""
    content = (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n"
        + b"--bx\n" * MAX_DELIMITERS
        + b"--b\n\nlast\n"
    )
    assert len(walk(content)) == 2
