"""Through both doors: what comes as one message leaves as one message, whatever its line ends."""

from itertools import product

import pytest

from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.wire.extensions import Extensions
from angarium.wire.framing import is_canonical
from angarium.wire.receiver import Limits
from angarium.wire.sender import Sender

from .client import Session, open_transaction

ENVELOPE = Envelope(Address.parse("a@b.example"), (Recipient(Address.parse("c@d.example")),))
SMUGGLED = b"MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<victim@d.example>\r\nDATA\r\nowned\r\n"
PARTS = (b"\r", b"\n", b".", b"x")


def sent(content):
    """What our sender puts on the wire for the content, from the greeting to the end of data."""
    sender = Sender("mx.example", pipelining=False)
    wire = b""
    for answer in (b"220 hello\r\n", b"250 mx\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
        sender.receive_data(answer)
        sender.next_event()
        if answer.startswith(b"220"):
            sender.send_ehlo()
        elif answer == b"250 mx\r\n":
            sender.start_transaction(ENVELOPE, [content])
        wire = b"".join(map(bytes, sender.data_to_send()))
    return wire


def relayed(content):
    """Receive a wire form of content as a next hop does that follows RFC 5321: the messages it sees."""
    hop = open_transaction(Session(Extensions()))
    hop.feed(content)
    return hop.contents


@pytest.mark.parametrize("fix", [False, True], ids=["Deny", "Fix"])
def test_every_short_sequence(fix):
    """Of all sequences of CR, LF, dot and text up to six long, none makes two messages of one."""
    for length in range(1, 7):
        for sequence in product(PARTS, repeat=length):
            _check(b"".join(sequence), fix)


def _check(sequence, fix):
    if b"\r\n.\r\n" in sequence:  # a true end of data: what follows are commands, by right
        return
    door = open_transaction(Session(Extensions(), Limits(fix_line_endings=fix)))
    door.feed(b"before" + sequence + SMUGGLED + b"\r\n.\r\n")
    assert len(door.contents) <= 1, sequence
    for content in door.contents:
        assert is_canonical(content), sequence
        wire = sent(content)
        assert relayed(wire) == [content], sequence


@pytest.mark.parametrize("first", [b".", b"..", b".\r\n", b".x", b"x", b""])
def test_dots_survive_the_way(first):
    """Content that begins with dots, or is nothing but dots, arrives as it was."""
    content = first + (b"" if first.endswith(b"\r\n") or not first else b"\r\n") + b"..\r\nend\r\n"
    assert relayed(sent(content)) == [content]
