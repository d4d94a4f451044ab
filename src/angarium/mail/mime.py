"""Which parts does this message have? (RFC 2045 to 2047), read tolerantly, without recursion, within
bounds.

Answers with a flat list of `Part`s in the order of the message, each knowing its parent. Promises never to
raise on any octets, to look at no more than `MAX_EXAMINED` of them, and to give the same answer for CRLF,
LF and CR. It does not look into embedded messages, and refuses to guess what a part means.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from itertools import islice
from typing import Final

MAX_EXAMINED: Final = (
    1 << 20
)  # octets of a message that are looked at; reports speak first and quote afterwards
MAX_READ: Final = 2 * MAX_EXAMINED  # octets of a message that can matter: CRLF may become LF
MAX_HEADER: Final = 1 << 16  # octets of one header section
MAX_FIELDS: Final = 500  # fields of one header section
MAX_PART_FIELDS: Final = 50  # fields of a part inside a multipart
MAX_TYPE: Final = 1 << 10  # characters of a Content-Type field
MAX_VALUE: Final = 1 << 12  # characters of one field that are interpreted
MAX_DEPTH: Final = 12  # levels of multiparts within each other
MAX_PARTS: Final = 200
MAX_DELIMITERS: Final = 10_000  # lines of a message, over all levels, that are tried as delimiters
MAX_TEXT: Final = 1 << 16  # octets of one part that are decoded

_FIELD = re.compile(r"^([!-9;-~]{1,200})[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)", re.MULTILINE)
_FOLD = re.compile(r"\n[ \t]+")
_TYPE = re.compile(r"\s*([\w.+-]+)\s*/\s*([\w.+-]+)")
# parameter := attribute "=" value (RFC 2045 section 5.1), also where the semicolon is missing.
_PARAMETER = re.compile(r"""[;\s]([A-Za-z-]+)\s{0,9}=\s{0,9}(?:"((?:[^"\\]|\\.)*)(?:"|\Z)|([^\s;"]+))""")
# A delimiter line with a header field below it: what separates the parts where the boundary parameter lies.
_LOOSE_DELIMITER = re.compile(rb"^--([^\n]{1,200})\n(?=[Cc]ontent-)", re.MULTILINE)
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\n|\Z)")
# encoded-word := "=?" charset "?" encoding "?" encoded-text "?=" (RFC 2047 section 2)
_ENCODED_WORD = re.compile(r"=\?([\w.-]{1,40})(?:\*[\w-]*)?\?([bBqQ])\?([^?\n]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
# Charsets of real mail. Python's codecs hold more than charsets (idna, punycode), some of them costly.
_CHARSET = re.compile(
    r"utf-?8|iso-8859-\d{1,2}|(?:windows|cp)-?125\d|iso-2022-(?:jp(?:-\d)?|kr)|shift[_-]?jis|windows-31j"
    r"|euc-(?:jp|kr)"
    r"|ks_c_5601-1987|gb(?:2312|k|18030)|big5|hz-gb-2312|koi8-[ru]|macintosh|utf-16(?:le|be)?",
    re.IGNORECASE,
)
_SHIFTING = ("iso-2022", "hz-", "utf-16")  # charsets that are 7-bit and yet not ASCII
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})|=[ \t]*\n")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)
_HTML_IGNORED = re.compile(r"<(style|script|title)\b[^<>]*>[^<]*(?:<(?!/)[^<]*)*", re.IGNORECASE)
_HTML_BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h\d|hr|/?table|/?pre)\b[^<>]*>", re.IGNORECASE)
_HTML_CELL = re.compile(r"</?t[dh]\b[^<>]*>", re.IGNORECASE)
_HTML_TAG = re.compile(r"</?[A-Za-z!][^<>]*>")
_BLANKS = re.compile(r"[ \t\xa0]+")

Fields = dict[str, list[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a message, or the whole message (`parent` is then None)."""

    fields: Fields
    """Header fields by lower-case name; unfolded text, octets beyond ASCII as UTF-8, else as Windows-1252."""
    media_type: str
    """`type/subtype` in lower case; `text/plain` where nothing or nonsense is said (RFC 2045 section 5.2)."""
    parameters: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    parent: Part | None = field(default=None, repr=False)
    is_split: bool = False
    """A multipart whose parts were found; they follow in the list."""

    def get(self, name: str) -> str:
        """The first field of that lower-case name, or the empty text."""
        values = self.fields.get(name)
        return values[0] if values else ""


_BARE_CR = re.compile(rb"\r(?!\n)")


def normalize(content: bytes) -> bytes:
    """The octets that are examined, with LF as line end, and without the `From ` line of an mbox.

    Where CR alone ends every line, it is a line end: so the door reads it too, where it does not refuse it.
    """
    text = content[:MAX_READ] if len(content) > MAX_READ else content
    if b"\r" in text:
        # Half the time of replacing both octets, where no CR stands alone.
        is_plain = _BARE_CR.search(text) is None
        text = text.replace(b"\r", b"") if is_plain else text.replace(b"\r\n", b"\n")
        if b"\n" not in text:
            text = text.replace(b"\r", b"\n")
    if text.startswith((b"From ", b">From ")):
        text = text[text.find(b"\n") + 1 :]
    return text[:MAX_EXAMINED] if len(text) > MAX_EXAMINED else text


def walk(content: bytes) -> list[Part]:
    """All parts of a normalised message in their order, the message itself first."""
    parts: list[Part] = []
    tries = iter(range(MAX_DELIMITERS))
    waiting: list[tuple[bytes, Part | None, int]] = [(content, None, 0)]
    while waiting and len(parts) < MAX_PARTS:
        octets, parent, depth = waiting.pop()
        part, pieces = _read(octets, parent, depth, tries)
        parts.append(part)
        room = MAX_PARTS - len(parts)
        waiting.extend((piece, part, depth + 1) for piece in reversed(pieces[:room]))
    return parts


def _read(octets: bytes, parent: Part | None, depth: int, tries: Iterator[int]) -> tuple[Part, list[bytes]]:
    section, body = split(octets)
    fields = read_fields(section, MAX_PART_FIELDS if parent else MAX_FIELDS)
    media_type, parameters = content_type(fields.get("content-type", [""])[0])
    pieces: list[bytes] = []
    if media_type.startswith("multipart/") and depth < MAX_DEPTH:
        pieces = _pieces(body, parameters.get("boundary", ""), tries)
    return Part(fields, media_type, parameters, body, parent, bool(pieces)), pieces


def split(octets: bytes) -> tuple[bytes, bytes]:
    """Header section and body of normalised octets; the section is cut at `MAX_HEADER`."""
    if octets.startswith(b"\n"):
        return b"", octets[1:]
    end = octets.find(b"\n\n")
    if end < 0:
        return octets[:MAX_HEADER], b""
    return octets[: min(end, MAX_HEADER)], octets[end + 2 :]


def read_fields(section: bytes, limit: int = MAX_FIELDS) -> Fields:
    """The fields of a header section by lower-case name, each with its values in order."""
    fields: Fields = {}
    text = _decode_header(section)
    for match in islice(_FIELD.finditer(text), limit):
        name, value = match.groups()
        line = _FOLD.sub(" ", value) if "\n" in value else value
        fields.setdefault(name.lower(), []).append(line.strip())
    return fields


def _decode_header(section: bytes) -> str:
    try:
        return section.decode("utf-8")
    except UnicodeDecodeError:
        return section.decode("cp1252", "replace")


def content_type(value: str) -> tuple[str, dict[str, str]]:
    """Media type and parameters, all names in lower case (RFC 2045 section 5.1)."""
    value = value[:MAX_TYPE]
    match = _TYPE.match(value)
    if match is None:
        return "text/plain", {}
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(value, match.end()):
        parameters.setdefault(name.lower(), plain or quoted)
    return f"{match[1]}/{match[2]}".lower(), parameters


def _pieces(body: bytes, boundary: str, tries: Iterator[int]) -> list[bytes]:
    """The octets between delimiter lines (RFC 2046 section 5.1.1), or lines that look like delimiters."""
    pieces = _between(body, boundary.encode("utf-8", "replace"), tries) if boundary else []
    if pieces:
        return pieces
    guess = _LOOSE_DELIMITER.search(body[:MAX_TEXT])
    return _between(body, guess[1].rstrip(), tries) if guess else []


def _between(body: bytes, boundary: bytes, tries: Iterator[int]) -> list[bytes]:
    pieces: list[bytes] = []
    start = -1
    for place, end in _lines_with(body, b"--" + boundary, tries):
        after = _AFTER_BOUNDARY.match(body, end)
        if after is None:
            continue
        if start >= 0:
            pieces.append(body[start : max(start, place - 1)])
        start = after.end()
        if after[1] or len(pieces) > MAX_PARTS:
            return pieces
    if start >= 0:
        pieces.append(body[start:])
    return pieces


def _lines_with(body: bytes, beginning: bytes, tries: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Where lines begin so, and where that beginning ends; each costs one of the `tries` of the message.

    Boundaries that begin like each other make every level stop at every line; the tries bound it.
    """
    if body.startswith(beginning):
        yield 0, len(beginning)
    beginning = b"\n" + beginning
    place = body.find(beginning)
    while place >= 0 and next(tries, None) is not None:
        yield place + 1, place + len(beginning)
        place = body.find(beginning, place + 1)


def text_of(part: Part, limit: int = MAX_TEXT) -> str:
    """The text of a leaf part, `limit` octets of it: transfer encoding, charset and HTML undone."""
    octets = decode_transfer(part.body[:limit], part.get("content-transfer-encoding"))
    text = decode_charset(octets, part.parameters.get("charset", "")).replace("\r\n", "\n")
    if part.media_type == "text/html":
        return strip_html(text)
    return text


def decode_transfer(octets: bytes, encoding: str) -> bytes:
    """Undo a content transfer encoding (RFC 2045 section 6); what cannot be undone stays as it is."""
    encoding = encoding.strip().lower()
    if encoding == "quoted-printable":
        return _QUOTED.sub(_unquote, octets)
    if encoding == "base64":
        return decode_base64(octets)
    return octets


def _unquote(match: re.Match[bytes]) -> bytes:
    return binascii.unhexlify(match[1]) if match[1] else b""


def decode_base64(octets: bytes) -> bytes:
    """Decode base64 up to its first padding, whatever stands between; an incomplete end is dropped."""
    letters = octets.partition(b"=")[0].translate(None, _NOT_BASE64)
    letters = letters[: len(letters) - (len(letters) % 4 == 1)]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def decode_charset(octets: bytes, charset: str) -> str:
    """Decode text; unknown charsets are read as UTF-8, then as Windows-1252."""
    name = charset.strip().lower()
    if octets.isascii() and not name.startswith(_SHIFTING):
        # Japanese mail says us-ascii and shifts all the same.
        return octets.decode("iso-2022-jp", "replace") if b"\x1b$" in octets else octets.decode("ascii")
    if _CHARSET.fullmatch(name) and name not in {"utf-8", "utf8"}:
        return _decode(octets, {"ks_c_5601-1987": "cp949", "windows-31j": "cp932"}.get(name, name))
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def _decode(octets: bytes, name: str) -> str:
    try:
        return octets.decode(name, "replace")
    except LookupError:
        return octets.decode("utf-8", "replace")


def strip_html(text: str) -> str:
    """The words of an HTML text, block elements as lines, cells of a table apart."""
    text = _HTML_IGNORED.sub(" ", text).replace("\n", " ")
    text = _HTML_TAG.sub("", _HTML_CELL.sub(" ", _HTML_BREAK.sub("\n", text)))
    return _BLANKS.sub(" ", unescape(text)).replace("\n ", "\n")


def decode_words(text: str) -> str:
    """A field's value with its encoded words decoded (RFC 2047)."""
    if "=?" not in text:
        return text
    return _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub("", text[:MAX_VALUE]))


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, text = match.groups()
    octets = text.encode("utf-8", "replace")
    plain = encoding in "bB"
    octets = decode_base64(octets) if plain else _QUOTED.sub(_unquote, octets.replace(b"_", b" "))
    return decode_charset(octets, charset)
