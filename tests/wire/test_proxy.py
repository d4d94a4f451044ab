"""PROXY headers: read exactly, however they are cut, and never more than bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.wire.proxy import MAX_HEADER, Endpoints, ProxyError, ProxyHeader, ProxyReader, begins_header

V2 = b"\r\n\r\n\0\r\nQUIT\n"
ENDS = Endpoints("192.0.2.1", 4321, "198.51.100.2", 25)
ENDS6 = Endpoints("2001:db8::1", 4321, "2001:db8::2", 25)
IP6 = bytes.fromhex("20010db8000000000000000000000001 20010db8000000000000000000000002")
IP4 = bytes([192, 0, 2, 1, 198, 51, 100, 2])
PORTS = (4321).to_bytes(2) + (25).to_bytes(2)

GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 25\r\n", ENDS),
    (b"PROXY TCP6 2001:DB8::1 2001:db8::2 4321 25\r\n", ENDS6),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None),
    (V2 + b"\x21\x11\x00\x0c" + IP4 + PORTS, ENDS),
    (V2 + b"\x21\x21\x00\x24" + IP6 + PORTS, ENDS6),
    (V2 + b"\x21\x11\x00\x10" + IP4 + PORTS + b"\x04\0\x01x", ENDS),
    (V2 + b"\x20\x00\x00\x00", None),
    (V2 + b"\x20\x11\x00\x0c" + IP4 + PORTS, None),
    (V2 + b"\x21\x00\x00\x00", None),
]
BAD = [
    b"EHLO x\r\n",
    b"proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
    b"PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n",
    b"PROXY TCP4 ::1 ::1 1 2\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 192.0.2.\xff\r\n",
    b"PROXY UNKNOWN " + b"x" * 107,
    V2 + b"\x11\x11\x00\x0c" + IP4 + PORTS,
    V2 + b"\x22\x11\x00\x0c" + IP4 + PORTS,
    V2 + b"\x21\x12\x00\x0c" + IP4 + PORTS,
    V2 + b"\x21\x31\x00\x00",
    V2 + b"\x21\x11\x00\x0b" + IP4 + PORTS,
    V2 + b"\x21\x11\xff\xff",
]


@pytest.mark.parametrize(("header", "endpoints"), GOOD)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_header(header: bytes, endpoints: Endpoints | None, size: int) -> None:
    """A header is read whole, byte by byte and with what follows, which is left alone."""
    reader = ProxyReader()
    octets = header + b"EHLO"
    for at in range(0, len(octets), size):
        reader.receive_data(octets[at : at + size])
        if (found := reader.next_header()) is not None:
            break
    assert found == ProxyHeader(endpoints)
    reader.receive_data(octets[at + size :])
    assert reader.rest == b"EHLO"


@pytest.mark.parametrize("octets", BAD)
def test_refused(octets: bytes) -> None:
    """What is not exactly a header is refused."""
    reader = ProxyReader()
    reader.receive_data(octets)
    with pytest.raises(ProxyError):
        reader.next_header()


@given(st.sampled_from([b"", V2, b"PROXY ", V2 + b"\x21\x11"]), st.binary(max_size=200))
def test_bounded(prefix: bytes, octets: bytes) -> None:
    """Whatever comes, it is a header, an error, or within MAX_HEADER still incomplete."""
    reader = ProxyReader()
    reader.receive_data(prefix + octets)
    try:
        header = reader.next_header()
    except ProxyError:
        return
    assert header is not None or len(reader.rest) <= MAX_HEADER


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN", b"\r\n\r\n\0\r\nQUIT\n"])
def test_beginnings(header: bytes) -> None:
    """Too little to tell, then a header; an octet that differs, and it is none."""
    verdicts = [begins_header(header[:size]) for size in range(len(header) + 1)]
    assert verdicts[:6] == [None] * 6
    assert verdicts[-1] is True
    assert [begins_header(header[:size] + b"x") for size in range(6)] == [False] * 6
