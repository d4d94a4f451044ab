"""The sink over real sockets: what it takes, and what its rules make of it."""

import smtplib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from angarium.testing.rules import Action
from angarium.testing.sink import Received, Sink, SinkOptions

from .dialogue import Dialogue
from .serving import serving

TRANSACTION = "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"


@contextmanager
def talking(
    *rules: tuple[Action, str], options: SinkOptions | None = None
) -> Iterator[tuple[Dialogue, Sink, list]]:
    with serving(*rules, options=options) as (sink, received), Dialogue(sink.address) as dialogue:
        yield dialogue, sink, received


def test_a_message_arrives_as_it_was_sent():
    """smtplib's message arrives with its envelope, and its content to the octet, dots included."""
    content = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\nlast line\r\n"
    with serving() as (sink, received), smtplib.SMTP(*sink.address, local_hostname="c") as client:
        client.sendmail("a@x", ["b@y", '"q>uoted"@y'], content)
    assert received == [Received("127.0.0.1", "c", "a@x", ("b@y", '"q>uoted"@y'), received[0].size, content)]
    assert sink.counters.messages == 1
    assert sink.counters.recipients == 2


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 1000])
def test_any_chunking_gives_the_same(step: int):
    """However the octets are cut into packets, the same messages arrive and the same replies come."""
    content = "a\r\n..b\r\n\r\n.\r\n"
    octets = (TRANSACTION + content + "MAIL FROM:<>\r\nRCPT TO:<c@y>\r\nDATA\r\n.\r\nQUIT\r\n").encode()
    with talking() as (client, _, received):
        client.reply()
        for start in range(0, len(octets), step):
            client.say(octets[start : start + step], 0)
        codes = [client.reply()[:3] for _ in range(10)]
    assert codes == ["250", "250", "250", "354", "250", "250", "250", "354", "250", "221"]
    assert [(message.sender, message.content) for message in received] == [
        ("a@x", b"a\r\n.b\r\n\r\n"),
        ("", b""),
    ]
    assert received[1].size == 0


def test_content_longer_than_the_buffer_is_counted():
    """Content of several megabytes is taken without being kept, and its octets are counted."""
    options = SinkOptions(keeps_content=False)
    with talking(options=options) as (client, sink, received):
        client.say(TRANSACTION, 5)
        assert client.say(b"x" * 78 + b"\r\n" + b"0123456789abcde\r\n" * 200_000 + b".\r\n")[0].startswith(
            "250"
        )
    assert received[0].content == b""
    assert sink.counters.octets == 80 + 17 * 200_000


def test_commands_in_the_wrong_order():
    """RCPT before MAIL and DATA before RCPT are refused; the session goes on."""
    with talking() as (client, _, _received):
        client.reply()
        replies = client.say(
            "RCPT TO:<a@y>\r\nMAIL FROM:<a@x>\r\nMAIL FROM:<a@x>\r\nDATA\r\nRSET\r\nFOO\r\nNOOP\r\n", 7
        )
        bad = client.say("MAIL FROM:a@x\r\nMAIL FROM:<>\r\nRCPT TO:x\r\n", 3)
    assert [reply[:3] for reply in replies] == ["503", "250", "503", "503", "250", "502", "250"]
    assert [reply[:3] for reply in bad] == ["501", "250", "501"]


def test_endless_commands_end_the_session():
    """A command line without an end does not fill the memory: 421, and the connection is closed."""
    with talking() as (client, _, _received):
        client.reply()
        assert client.say(b"N" * 20_000, 2) == ["421 4.5.2 Line too long", ""]


@pytest.mark.parametrize(
    ("rule", "codes"),
    [
        ("ehlo=550 no", ["550", "250", "250", "354"]),
        ("mail=450 no", ["250", "450", "503", "503"]),
        ("rcpt:*@y=550 5.1.1 no", ["250", "250", "550", "503"]),
        ("rcpt:*@z=550 5.1.1 no", ["250", "250", "250", "354"]),
        ("data:b@*=451 no", ["250", "250", "250", "451"]),
        ("rcpt=421 bye", ["250", "250", "421", ""]),
    ],
)
def test_refusals_at_every_stage(rule: str, codes: list[str]):
    """A refusal answers one command, is counted, and 421 closes; what was refused has not happened."""
    with talking((Action.REFUSE, rule)) as (client, sink, _):
        client.reply()
        assert [reply[:3] for reply in client.say(TRANSACTION, 4)] == codes
    assert sink.counters.refused.total() == ("@z" not in rule)


def test_a_refused_connection_is_closed():
    """At `connect` the refusal stands in place of the greeting."""
    with talking((Action.REFUSE, "connect:127.*=554 5.7.1 no")) as (client, _, _received):
        assert [client.reply(), client.reply()] == ["554 5.7.1 no", ""]


def test_refused_content_is_not_taken():
    """A refusal after the final dot means that nothing was received; the next transaction may begin."""
    with talking((Action.REFUSE, "content:b@y=552 5.3.4 no")) as (client, sink, received):
        client.say(TRANSACTION, 5)
        assert client.say("x\r\n.\r\n") == ["552 5.3.4 no"]
        replies = client.say("MAIL FROM:<a@x>\r\nRCPT TO:<c@y>\r\nDATA\r\nx\r\n.\r\n", 4)
    assert [reply[:3] for reply in replies] == ["250", "250", "354", "250"]
    assert [message.recipients for message in received] == [("c@y",)]
    assert sink.counters.refused == {"content 552 5.3.4 no": 1}


def test_limits_of_recipients_and_size():
    """`max_recipients` gives 452 4.5.3, `max_size` 552 5.3.4."""
    with talking(options=SinkOptions(max_recipients=1, max_size=4)) as (client, _, received):
        client.say("EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", 4)
        assert client.say("RCPT TO:<c@y>\r\n")[0].startswith("452 4.5.3")
        assert client.say("DATA\r\n12345\r\n.\r\n", 2)[1].startswith("552 5.3.4")
    assert received == []


def test_a_delayed_answer_keeps_its_place():
    """Pipelined commands behind a delayed one are answered after it and in order."""
    with talking((Action.DELAY, "mail=30ms"), (Action.DELAY, "content=30ms")) as (client, _, received):
        client.reply()
        replies = client.say(TRANSACTION + "x\r\n.\r\nQUIT\r\n", 6)
    assert [reply[:3] for reply in replies] == ["250", "250", "250", "354", "250", "221"]
    assert len(received) == 1


def test_a_hanging_session_says_nothing():
    """After a hang nothing is answered, whatever comes; what went before was."""
    with talking((Action.HANG, "rcpt")) as (client, sink, _):
        client.reply()
        assert [reply[:3] for reply in client.say(TRANSACTION, 2)] == ["250", "250"]
        client.say("NOOP\r\n", 0)
        assert client.is_silent(0.05)
    assert sink.counters.hung == 1


def test_a_dropped_session_ends_without_an_answer():
    """After a drop the connection is closed; replies given before are not lost."""
    with talking((Action.DROP, "content")) as (client, sink, received):
        client.say(TRANSACTION, 5)
        assert client.say("x\r\n.\r\n") == [""]
    assert sink.counters.dropped == 1
    assert received == []


def test_extensions_may_be_left_out():
    """EHLO lists what the options say, HELO nothing."""
    with talking(options=SinkOptions(hostname="h", extensions=("SIZE",))) as (client, _, _received):
        client.reply()
        assert client.say("EHLO c\r\n") == ["250-h\n250 SIZE"]
        assert client.say("HELO c\r\n") == ["250 h"]


def test_stopping_ends_open_sessions():
    """`stop` closes connections that hang, wait or are idle; their clients see the end."""
    with ExitStack() as stack:
        with serving((Action.DELAY, "ehlo=60s")) as (sink, _):
            waiting, idle = (stack.enter_context(Dialogue(sink.address)) for _ in range(2))
            assert idle.reply().startswith("220")
            waiting.reply()
            waiting.say("EHLO c\r\n", 0)
        assert waiting.is_closed()
        assert idle.is_closed()
    assert sink.counters.open == 0


CHUNKS = "EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 5\r\n.\r\n..BDAT 6 LAST\r\nend\r\n\r"


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_chunks_are_taken_by_their_length(step: int):
    """BDAT takes as many octets as it says, dots and bare line ends included, however they are cut."""
    octets = (CHUNKS + "MAIL FROM:<>\r\nRCPT TO:<c@y>\r\nBDAT 0 LAST\r\nQUIT\r\n").encode()
    with talking() as (client, _, received):
        client.reply()
        for start in range(0, len(octets), step):
            client.say(octets[start : start + step], 0)
        codes = [client.reply()[:3] for _ in range(9)]
    assert codes == ["250"] * 8 + ["221"]
    assert [(message.content, message.size) for message in received] == [(b".\r\n..end\r\n\r", 11), (b"", 0)]


def test_chunks_that_are_refused_are_read_to_their_end():
    """Octets of a chunk are never taken for commands, whatever the reply; the next transaction is good."""
    with talking((Action.REFUSE, "data=451 no")) as (client, _, received):
        client.say("EHLO c\r\n", 2)
        early = client.say("BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", 2)
        refused = client.say(
            "MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n", 4
        )
        good = client.say("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 1 LAST\r\nx", 3)
    assert [reply[:3] for reply in early + refused + good] == ["503", "250"] + [
        "250",
        "250",
        "451",
        "503",
    ] + ["250"] * 3
    assert [message.content for message in received] == [b"x"]


def test_a_chunk_of_unknown_length_ends_the_session():
    """What follows a BDAT that cannot be read might be anything, so nothing of it is heard."""
    with talking() as (client, _, received):
        client.say("EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\n", 4)
        assert [reply[:3] for reply in client.say("BDAT many LAST\r\nNOOP\r\n", 2)] == ["501", ""]
    assert received == []


def test_a_transaction_in_chunks_stays_one():
    """After the first chunk there is no further recipient, and no DATA, until RSET."""
    with talking() as (client, _, _received):
        client.say("EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nBDAT 1\r\nx", 5)
        replies = client.say("RCPT TO:<c@y>\r\nDATA\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n", 5)
    assert [reply[:3] for reply in replies] == ["503", "503", "503", "250", "250"]
