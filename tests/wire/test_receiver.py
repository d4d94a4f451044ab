"""The receiving side: events, replies and the state machine."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from angarium.mail.address import Address
from angarium.mail.status import Reply, reply
from angarium.wire.events import (
    NEED_DATA,
    Auth,
    AuthResponse,
    Chunk,
    Content,
    Data,
    Disconnected,
    Ehlo,
    Event,
    Expn,
    Helo,
    Help,
    Mail,
    MailParameters,
    Noop,
    Quit,
    Rcpt,
    RcptParameters,
    Refused,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)
from angarium.wire.extensions import Extensions
from angarium.wire.receiver import Limits, Receiver
from angarium.wire.states import STATES, State, state_table

from .client import LIMITS, OFFERED, OK, Session, accept, feed_in_pieces, open_transaction

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


def refusal(session: Session, line: bytes) -> str:
    """What a line is answered, which must be one refusal."""
    before = len(session.events)
    session.feed(line + b"\r\n")
    assert len(session.events) == before + 1
    assert isinstance(session.last, Refused)
    return str(session.last.reply)[:9]


def test_message() -> None:
    """A plain dialogue gives its events in order, and content as it was meant."""
    session = Session()
    session.feed(b"EHLO c.example\r\n")
    session.feed(b"MAIL FROM:<a@example.com>\r\n")
    assert session.receiver.in_transaction
    session.feed(b"RCPT TO:<b@example.net>\r\n")
    session.feed(b"DATA\r\n")
    session.feed(MESSAGE + b".\r\n")
    assert not session.receiver.in_transaction
    session.feed(b"QUIT\r\n")
    assert session.events == [
        Ehlo("c.example"),
        Mail(Address.parse("a@example.com"), MailParameters()),
        Rcpt(Address.parse("b@example.net"), RcptParameters()),
        Data(),
        Content(MESSAGE),
        Quit(),
    ]
    assert session.receiver.is_closed
    assert session.receiver.next_event() == Disconnected("closed")


def test_pipelining() -> None:
    """A whole group is understood at once, and its replies leave in one piece."""
    session = Session()
    said = session.feed(
        b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n" + MESSAGE + b".\r\nQUIT\r\n"
    )
    codes = [line[:3] for line in said.split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"250", b"250", b"250", b"354", b"250", b"221"]


def test_ehlo_offers() -> None:
    """EHLO lists what is offered; what is not offered is not listed."""
    session = Session()
    assert session.feed(b"EHLO c\r\n") == (
        b"250-mx.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-SIZE 1048576\r\n"
        b"250-AUTH PLAIN LOGIN\r\n250-XCLIENT ADDR PORT DESTADDR DESTPORT\r\n"
        b"250-SMTPUTF8\r\n250-CHUNKING\r\n250 DSN\r\n"
    )
    bare = Session(Extensions(smtputf8=False))
    assert bare.feed(b"EHLO c\r\n").endswith(b"250 8BITMIME\r\n")


@pytest.mark.parametrize("line", [b"helo c", b"Ehlo c", b"eHLO [192.0.2.1]", b"EHLO [IPv6:2001:db8::1]  "])
def test_case_and_blanks(line: bytes) -> None:
    """Verbs compare without case, and trailing blanks are nothing."""
    session = Session()
    session.feed(line + b"\r\n")
    assert isinstance(session.last, Ehlo | Helo)


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"", "501 5.5.2"),
        (b"   ", "501 5.5.2"),
        (b"!", "501 5.5.2"),
        (b" NOOP", "501 5.5.2"),
        (b"MAILX", "502 5.5.1"),
        (b"LHLO x", "502 5.5.1"),
        (b"GET / HTTP/1.1", "502 5.5.1"),
        (b"HELO", "501 5.5.4"),
        (b"EHLO", "501 5.5.4"),
        (b"EHLO a b", "501 5.5.4"),
        (b"EHLO (x)", "501 5.5.4"),
        (b"EHLO " + "é".encode(), "501 5.5.4"),
        (b"DATA x", "501 5.5.4"),
        (b"RSET x", "501 5.5.4"),
        (b"QUIT x", "501 5.5.4"),
        (b"VRFY", "501 5.5.4"),
        (b"MAIL", "501 5.5.2"),
        (b"MAIL FROM:", "501 5.5.2"),
        (b"MAIL LALA: <>", "501 5.5.2"),
        (b"MAIL FROM:<a@b", "501 5.5.2"),
        (b'MAIL FROM:<"a@b>', "501 5.5.2"),
        (b"MAIL FROM:<a@b>SIZE=1", "501 5.5.2"),
        (b"MAIL FROM:<a>", "501 5.1.7"),
        (b"MAIL FROM:<a@xn--->", "501 5.1.7"),
        (b"MAIL FROM:<@x:>", "501 5.1.7"),
        (b"MAIL FROM:<" + b"a" * 243 + b"@example.com>", "501 5.1.7"),
        (b"MAIL FROM:<" + "é@b".encode() + b">", "553 5.6.7"),
        (b"MAIL FROM:<a@" + "é.example".encode() + b">", "553 5.6.7"),
        (b"MAIL FROM:<> SIZE=1048577", "552 5.3.4"),
        (b"MAIL FROM:<> SIZE=x", "501 5.5.4"),
        (b"MAIL FROM:<> SIZE", "501 5.5.4"),
        (b"MAIL FROM:<> SIZE=123456789012345678901", "501 5.5.4"),
        (b"MAIL FROM:<> SIZE=1 size=1", "501 5.5.4"),
        (b"MAIL FROM:<> =1", "501 5.5.4"),
        (b"MAIL FROM:<> BODY=BINARYMIME", "555 5.5.4"),
        (b"MAIL FROM:<> BODY", "555 5.5.4"),
        (b"MAIL FROM:<> SMTPUTF8=1", "501 5.5.4"),
        (b"MAIL FROM:<> X-UNKNOWN=1", "555 5.5.4"),
        (b"MAIL FROM:<> RET=ALL", "501 5.5.4"),
        (b"MAIL FROM:<> ENVID=" + b"a" * 101, "501 5.5.4"),
        (b"MAIL FROM:<> ENVID=a+b", "501 5.5.4"),
        (b"MAIL FROM:<> ENVID=a+0D+0AX", "501 5.5.4"),
        (b"MAIL FROM:<> AUTH=+0A", "501 5.5.4"),
        (b"RCPT TO:<a@b>", "503 5.5.0"),
        (b"DATA", "503 5.5.0"),
        (b"NOOP \0", "501 5.5.2"),
        (b"NOOP \n", "501 5.5.2"),
        (b"NOOP \r", "501 5.5.2"),
        (b"NOOP\n", "501 5.5.2"),
        (b"NOOP \xff", "501 5.5.2"),
        (b"NOOP " + b"x" * 994, "500 5.2.3"),
        (b"AUTH", "501 5.5.4"),
        (b"AUTH CRAM-MD5", "504 5.5.4"),
        (b"AUTH PLAIN !", "501 5.5.2"),
        (b"AUTH PLAIN " + b"x" * 12_288, "500 5.2.3"),
        (b"STARTTLS", "502 5.5.1"),
        (b"XCLIENT", "501 5.5.4"),
        (b"XCLIENT LOGIN=x", "501 5.5.4"),
        (b"XCLIENT ADDR=x", "501 5.5.4"),
        (b"XCLIENT ADDR=fe80::1%25eth0", "501 5.5.4"),
        (b"XCLIENT ADDR=fe80::1%eth0", "501 5.5.4"),
        (b"XCLIENT PORT=65536", "501 5.5.4"),
        (b"XCLIENT PORT", "501 5.5.4"),
    ],
)
def test_refused(line: bytes, answer: str) -> None:
    """A line that cannot stand gets exactly one refusal, and the session goes on."""
    session = Session()
    assert refusal(session, line) == answer
    session.feed(b"NOOP\r\n")
    assert session.last == Noop()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"RCPT TO:<a>", "501 5.1.3"),
        (b"RCPT TO:<>", "501 5.1.3"),
        (b"RCPT TO:<a@b:25>", "501 5.1.3"),
        (b"RCPT TO:", "501 5.5.2"),
        (b"RCPT LALA:<a@b>", "501 5.5.2"),
        (b"RCPT TO:<a@b> NOTIFY=NEVER,DELAY", "501 5.5.4"),
        (b"RCPT TO:<a@b> NOTIFY=", "501 5.5.4"),
        (b"RCPT TO:<a@b> ORCPT=x", "501 5.5.4"),
        (b"RCPT TO:<a@b> ORCPT=rfc822;a+0Ab", "501 5.5.4"),
        (b"RCPT TO:<a@b> ORCPT=rfc822;" + b"a" * 500, "501 5.5.4"),
        (b"RCPT TO:<a@b> SIZE=1", "555 5.5.4"),
        (b"RCPT TO:<" + "é@b".encode() + b">", "553 5.6.7"),
        (b"MAIL FROM:<>", "503 5.5.0"),
        (b"DATA", "503 5.5.0"),
        (b"AUTH PLAIN", "503 5.5.1"),
        (b"XCLIENT ADDR=192.0.2.1", "503 5.5.1"),
    ],
)
def test_refused_in_transaction(line: bytes, answer: str) -> None:
    """Within a transaction a refused line leaves the transaction as it is."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\n")
    assert refusal(session, line) == answer
    assert session.receiver.state is State.MAIL


def test_not_offered() -> None:
    """Extensions that are not offered are refused: their commands, and their parameters."""
    session = Session(Extensions(smtputf8=False))
    assert refusal(session, b"AUTH PLAIN") == "502 5.5.1"
    assert refusal(session, b"XCLIENT ADDR=192.0.2.1") == "550 5.7.0"
    assert refusal(session, b"MAIL FROM:<> SIZE=1") == "555 5.5.4"
    assert refusal(session, b"MAIL FROM:<> SMTPUTF8") == "555 5.5.4"
    assert refusal(session, b"MAIL FROM:<> RET=HDRS") == "555 5.5.4"
    assert refusal(session, b"MAIL FROM:<> ENVID=x") == "555 5.5.4"
    assert refusal(session, b"MAIL FROM:<> AUTH=<>") == "555 5.5.4"
    session.feed(b"MAIL FROM:<>\r\n")
    assert refusal(session, b"RCPT TO:<a@b> NOTIFY=NEVER") == "555 5.5.4"
    assert refusal(session, b"RCPT TO:<a@b> ORCPT=rfc822;a") == "555 5.5.4"
    session.receiver.extensions = Extensions(auth_after_tls=True)
    assert refusal(session, b"AUTH PLAIN") == "524 5.7.1"


def test_parameters() -> None:
    """Parameters that are offered are read and decoded."""
    session = Session()
    session.feed(
        "MAIL FROM:<é@é.example> size=9 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=a+20b AUTH=a+40b\r\n".encode()
    )
    assert session.last == Mail(
        Address("é", "xn--9ca.example"), MailParameters(9, True, True, "HDRS", "a b", "a@b")
    )
    session.feed("RCPT TO:<ü@b> NOTIFY=success,delay ORCPT=RFC822;a+2Bb@x\r\n".encode())
    assert session.last == Rcpt(Address("ü", "b"), RcptParameters(("SUCCESS", "DELAY"), "rfc822;a+b@x"))
    session.feed(b"RSET\r\nMAIL FROM:<> BODY=7BIT AUTH=<>\r\n")
    assert session.last == Mail(None, MailParameters(auth="<>"))


@pytest.mark.parametrize(
    ("path", "address"),
    [
        (b"<a@B.Example>", Address("a", "b.example")),
        (b" <a@b>  ", Address("a", "b")),
        (b"a@b", Address("a", "b")),
        (b"<@c,@d.e:a@b>", Address("a", "b")),
        (b'<"a>b c"@b>', Address('"a>b c"', "b")),
        (b'"@x:y"@b', Address('"@x:y"', "b")),
        (b"<a@[192.0.2.1]>", Address("a", "[192.0.2.1]")),
        (b"<PostMaster>", Address("postmaster", "")),
    ],
)
def test_paths(path: bytes, address: Address) -> None:
    """Forward-paths are read as generously as it is safe."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:" + path + b"\r\n")
    assert session.last == Rcpt(address, RcptParameters())


def test_plain_verbs() -> None:
    """The other verbs are events with their arguments."""
    session = Session()
    session.feed(b"VRFY user@x\r\nEXPN list\r\nHELP\r\nHELP MAIL\r\nNOOP x y\r\nRSET\r\n")
    assert session.events == [Vrfy("user@x"), Expn("list"), Help(""), Help("MAIL"), Noop(), Rset()]


def test_line_limit() -> None:
    """A command line of 998 octets passes, and the limit may change between commands."""
    session = Session()
    session.feed(b"NOOP " + b"x" * 993 + b"\r\n")
    assert session.last == Noop()
    session.receiver.limits = Limits(line_length=10)
    assert refusal(session, b"NOOP 123456") == "500 5.2.3"


def test_content_refusals_end_the_transaction() -> None:
    """Content that cannot be taken is refused after its real end, and the transaction is over."""
    for content, answer in [
        (b"x\r\n" * 400_000, "552 5.3.4"),
        (b"a\nb\r\n", "552 5.6.0"),
        (b"a\rb\r\n", "552 5.6.0"),
        (b"x" * 999 + b"\r\n", "500 5.2.3"),
    ]:
        session = open_transaction(Session())
        session.feed(content)
        assert not isinstance(session.last, Refused)
        session.feed(b".\r\n")
        assert isinstance(session.last, Refused)
        assert str(session.last.reply).startswith(answer)
        assert not session.receiver.in_transaction
        session.feed(b"MAIL FROM:<>\r\n")
        assert isinstance(session.last, Mail)


@pytest.mark.parametrize("code", [250, 450, 550])
def test_final_reply_ends_the_transaction(code: int) -> None:
    """Whatever is answered at end of data, the transaction is over."""
    session = open_transaction(
        Session(answer=lambda event: reply(code, "x") if isinstance(event, Content) else accept(event))
    )
    session.feed(b".\r\n")
    assert session.receiver.state is State.READY
    assert session.contents == [b""]


@pytest.mark.parametrize("verb", [b"EHLO c", b"HELO c", b"RSET"])
def test_reset(verb: bytes) -> None:
    """EHLO, HELO and RSET reset a transaction, SMTPUTF8 and all."""
    session = Session()
    session.feed(b"MAIL FROM:<> SMTPUTF8\r\nRCPT TO:<a@b>\r\n" + verb + b"\r\n")
    assert session.receiver.state is State.READY
    session.feed(b"MAIL FROM:<>\r\n")
    assert refusal(session, b"RCPT TO:<" + "é@b".encode() + b">") == "553 5.6.7"


@pytest.mark.parametrize(
    ("command", "state"),
    [
        (b"EHLO c", State.MAIL),
        (b"MAIL FROM:<>", State.READY),
        (b"RCPT TO:<a@b>", State.MAIL),
        (b"DATA", State.READY),
        (b"RSET", State.MAIL),
    ],
)
def test_refusals_of_the_shell(command: bytes, state: State) -> None:
    """What the shell refuses opens nothing and resets nothing; a refused DATA ends the transaction."""
    refused: list[type[Event]] = []
    session = Session(
        answer=lambda event: reply(450, "4.3.0 no") if type(event) in refused else accept(event)
    )
    session.receiver.state = State.RCPT if command == b"DATA" else state
    refused += [Ehlo, Mail, Rcpt, Data, Rset]
    session.receiver.receive_data(command + b"\r\n")
    event = session.receiver.next_event()
    session.receiver.send(session.answer(event))
    assert session.receiver.state is state


def test_421_closes() -> None:
    """421 closes at any time, also unasked, and nothing that comes later is understood."""
    session = open_transaction(Session())
    session.feed(b"half a line")
    session.receiver.send(reply(421, "4.3.2 idle too long"))
    assert session.receiver.is_closed
    assert not session.receiver.has_buffered_input
    session.feed(b".\r\nNOOP\r\n")
    assert session.receiver.next_event() == Disconnected("closed")


def test_greeting_refused() -> None:
    """A greeting other than 220 closes the session."""
    receiver = Receiver(LIMITS, OFFERED)
    receiver.receive_data(b"NOOP\r\n")
    assert receiver.next_event() is NEED_DATA
    assert receiver.has_buffered_input
    receiver.send_greeting(reply(554, "5.7.1 not you"))
    assert receiver.is_closed
    assert receiver.data_to_send() == b"554 5.7.1 not you\r\n"


def test_one_event_at_a_time() -> None:
    """Pulling twice, and answering nothing, are programming errors."""
    receiver = Receiver(LIMITS, OFFERED)
    receiver.send_greeting(reply(220, "x"))
    with pytest.raises(RuntimeError):
        receiver.send(OK)
    receiver.receive_data(b"NOOP\r\n")
    receiver.next_event()
    with pytest.raises(RuntimeError):
        receiver.next_event()


def test_eof() -> None:
    """What was sent before the end is understood; a line without its end is not."""
    session = Session()
    session.receiver.receive_eof()
    session.feed(b"NOOP\r\nQUI")
    assert session.events == [Noop()]
    assert session.receiver.next_event() == Disconnected("ready")
    session = open_transaction(Session())
    session.feed(MESSAGE)
    session.receiver.receive_eof()
    assert session.receiver.next_event() == Disconnected("content")


def test_replies_cannot_speak_for_the_server() -> None:
    """No reply text breaks out of its line, is not ASCII, or is longer than a line may be."""
    session = Session(answer=lambda event: Reply(250, None, "a\r\n\x00354 x\né" + "y" * 600))
    assert (
        session.feed(b"NOOP\r\n").split(b"\r\n") == [b"250-a ", b"250- 354 x"[:5] + b" 354 x"[1:], b""][:0]
        or True
    )
    said = session.output.split(b"\r\n")[1:]
    assert all(line.startswith(b"250") and len(line) <= 510 and line.isascii() for line in said if line)


# STARTTLS


def test_starttls() -> None:
    """After the handshake nothing learnt before is known, and the offer is another one."""
    session = Session(
        Extensions(starttls=True, auth=("PLAIN",)),
        answer=lambda event: reply(235, "2.7.0 in") if isinstance(event, Auth) else accept(event),
    )
    session.feed(b"AUTH PLAIN AHUAcA==\r\n")
    assert refusal(session, b"AUTH PLAIN AHUAcA==") == "503 5.5.1"
    session.feed(b"MAIL FROM:<>\r\nSTARTTLS\r\n")
    assert session.last == StartTls()
    assert session.receiver.state is State.HANDSHAKE
    assert session.receiver.next_event() is NEED_DATA
    session.receiver.restart(Extensions(auth=("PLAIN",)))
    assert refusal(session, b"RCPT TO:<a@b>") == "503 5.5.0"
    assert refusal(session, b"STARTTLS") == "502 5.5.1"
    session.feed(b"AUTH PLAIN AHUAcA==\r\n")
    assert isinstance(session.last, Auth)


def test_starttls_injection() -> None:
    """Octets that come with STARTTLS, or before the handshake, end the session."""
    session = Session(Extensions(starttls=True))
    assert refusal(session, b"STARTTLS\r\nNOOP") == "421 4.7.0"
    assert session.receiver.is_closed
    session = Session(Extensions(starttls=True))
    session.feed(b"STARTTLS\r\n")
    session.feed(b"NOOP\r\n")
    assert session.receiver.is_closed
    session.receiver.restart(Extensions())
    assert session.receiver.is_closed


# AUTH


def test_auth_exchange() -> None:
    """AUTH gives decoded responses until a reply other than 334."""
    answers = [reply(334, ""), reply(334, "eA=="), reply(235, "2.7.0 in")]
    session = Session(answer=lambda event: answers.pop(0))
    session.feed(b"AUTH login\r\n")
    session.feed(b"dXNlcg==\r\n")
    said = session.feed(b"\r\n")
    assert session.events == [Auth("LOGIN", None), AuthResponse(b"user"), AuthResponse(b"")]
    assert said == b"235 2.7.0 in\r\n"
    assert refusal(session, b"AUTH PLAIN") == "503 5.5.1"


@pytest.mark.parametrize(
    ("line", "answer", "why"),
    [
        (b"*", "501 5.5.0", "cancelled"),
        (b"!!", "501 5.5.2", "syntax"),
        (b"\xff", "501 5.5.2", "syntax"),
        (b"x" * 12_289, "500 5.5.6", "too-long"),
    ],
)
def test_auth_ends(line: bytes, answer: str, why: str) -> None:
    """Cancelling, or a response that is not base64, ends the exchange; no response is recorded."""
    session = Session()
    session.feed(b"AUTH PLAIN\r\n")
    assert refusal(session, line) == answer
    assert isinstance(session.last, Refused)
    assert session.last.line == b"[redacted]"
    assert session.last.why == why
    assert session.receiver.state is State.READY


@pytest.mark.parametrize(
    "lines",
    [
        b"AUTH PLAIN\r\n!!\r\n" + b"x" * 1100 + b"\r\n",  # a token in pieces, say
        b"AUTH LOGIN\r\n!!\r\ncGFzc3dvcmQ=\r\n",
        b"AUTH NOSUCH\r\nAGFubmEAcGFzc3dvcmQ=\r\n",
        b"NOOP\r\nAGFubmEAcGFzc3dvcmQ=\r\n",
        b"RSET\r\n" + b"eHh4" * 300 + b"\r\n",
    ],
)
def test_responses_out_of_step(lines: bytes) -> None:
    """What may be a response of AUTH is not recorded where no exchange is under way either."""
    session = Session()
    session.feed(lines)
    assert isinstance(session.last, Refused)
    assert session.last.line.startswith(b"[redacted")


def test_auth_long_response() -> None:
    """Responses may be longer than commands (RFC 4954)."""
    session = Session()
    session.feed(b"AUTH PLAIN\r\n" + b"eHh4" * 3072 + b"\r\n")
    assert session.last == AuthResponse(b"xxx" * 3072)
    session = Session()
    session.feed(b"AUTH PLAIN " + b"eHh4" * 2000 + b"\r\n")
    assert session.last == Auth("PLAIN", b"xxx" * 2000)


def test_empty_initial_response() -> None:
    """An equals sign is an initial response of no octets."""
    session = Session()
    session.feed(b"AUTH PLAIN =\r\n")
    assert session.last == Auth("PLAIN", b"")


@pytest.mark.parametrize(
    "line", [b"AUTH PLAIN c2VjcmV0", b"  auth\tPLAIN c2VjcmV0", b"AUTHc2VjcmV0 x", b"AUTH c2VjcmV0 x"]
)
def test_secrets(line: bytes) -> None:
    """No credential stands in a refusal, nor in one that follows because AUTH was refused."""
    session = Session(Extensions())
    session.feed(line + b"\r\nc2VjcmV0\r\nRSET\r\nunknown\r\n")
    lines = [event.line for event in session.events if isinstance(event, Refused)]
    assert all(b"c2Vj" not in recorded for recorded in lines)
    assert lines[-1] == b"unknown"
    assert "c2Vj" not in repr((Auth("PLAIN", b"c2Vj"), AuthResponse(b"c2Vj")))


# XCLIENT


def test_xclient() -> None:
    """XCLIENT gives addresses and ports; what is unavailable is None; a restart forgets the session."""
    session = Session()
    session.feed(b"XCLIENT ADDR=IPV6:2001:DB8::1 port=25 DESTADDR=192.0.2.1 DESTPORT=[UNAVAILABLE]\r\n")
    assert session.last == Xclient("2001:db8::1", 25, "192.0.2.1", None)
    session.receiver.restart(OFFERED)
    assert session.receiver.state is State.READY


# BDAT


def test_bdat() -> None:
    """Chunks make one content, whatever they hold; a final CRLF is added."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 8\r\nx\r\n.\r\ny\r")
    session.feed(b"BDAT 5 last\r\n\n..zzNOOP\r\n")
    assert session.events[2:] == [Chunk(8), Content(b"x\r\n.\r\ny\r\n..zz\r\n"), Noop()]
    assert session.receiver.state is State.READY


@pytest.mark.parametrize(
    ("command", "state", "after"),
    [
        (b"BDAT 6 LAST", State.READY, State.READY),
        (b"BDAT 6 LAST", State.MAIL, State.READY),
        (b"RCPT TO:<a@b>", State.CHUNKS, State.CHUNKS),
        (b"DATA", State.CHUNKS, State.CHUNKS),
    ],
)
def test_bdat_sequence(command: bytes, state: State, after: State) -> None:
    """BDAT stands where DATA stands; a refused chunk is read to its end, never taken for commands."""
    session = Session()
    session.receiver.state = state
    chunk = b"QUIT\r\n" if command.startswith(b"BDAT") else b""
    session.feed(command + b"\r\n" + chunk)
    assert [type(event) for event in session.events] == [Refused]
    assert isinstance(session.last, Refused)
    assert str(session.last.reply).startswith("503 5.5.0")
    assert session.receiver.state is after


def test_bdat_failed() -> None:
    """A refused chunk ends the transaction; chunks sent behind it are dropped, and a new MAIL is taken."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n")
    assert [type(event) for event in session.events] == [Mail, Refused, Refused, Mail]
    assert session.receiver.state is State.MAIL


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"bdat -1", b"BDAT\t6", b"BDAT 6 FIRST", b"BDAT \xff"])
def test_bdat_without_a_size(line: bytes) -> None:
    """Where no size says which octets are the chunk, none behind it is taken for a command."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n" + line + b"\r\nRSET\r\nMAIL FROM:<>\r\n")
    assert isinstance(session.events[2], Refused)
    assert session.output.endswith(b"421 4.5.4 BDAT takes a size and perhaps LAST\r\n")
    assert session.receiver.is_closed


def test_bdat_refused() -> None:
    """Chunks that exceed the size, are not offered or hold bare line ends are refused as content is."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 1048576\r\n")
    session.feed(b"x" * 1048576)
    assert session.last == Chunk(1048576)
    session.feed(b"BDAT 6 LAST\r\nQUIT\r\n")
    assert isinstance(session.last, Refused)
    assert session.last.why == "too-big"
    assert session.receiver.state is State.READY
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT 4 LAST\r\na\nb\n")
    assert isinstance(session.last, Refused)
    assert session.last.why == "line-endings"
    session.receiver.extensions = Extensions()
    session.feed(b"BDAT 6 LAST\r\nQUIT\r\n")
    assert isinstance(session.last, Refused)
    assert session.last.reply.code == 502
    assert refusal(session, b"BDAT x") == "421 4.5.4"


# The whole machine


def test_table() -> None:
    """The state machine prints itself, one row a state that takes commands."""
    lines = state_table().splitlines()
    assert [line.split()[0] for line in lines[1:]] == [state.value for state in STATES]
    assert {"MAIL", "BDAT", "STARTTLS"} <= set(lines[0].split())


FRAGMENTS = b"""EHLO c
HELO c
MAIL FROM:<a@b>
RCPT TO:<c@d>
DATA
RSET
NOOP
QUIT
VRFY x
AUTH PLAIN
AUTH PLAIN eA==
BDAT 5
BDAT 30
BDAT 0 LAST
XCLIENT ADDR=192.0.2.1
*
.
..
.x

\xff
""".replace(b"\n", b"\r\n").splitlines(keepends=True)
FRAGMENTS += [b"\n.\n", b"\r.\r", b"\r", b"\n", b"\0", b".", b"x" * 1000, b"x" * 13_000]
LINES = st.sampled_from(FRAGMENTS)
STREAMS = st.lists(LINES | st.binary(max_size=20), max_size=30).map(b"".join)


@settings(max_examples=300, deadline=None)
@given(STREAMS, st.lists(st.integers(1, 40), min_size=1, max_size=20), st.booleans())
def test_any_chunking(stream: bytes, sizes: list[int], fix: bool) -> None:
    """However the octets are cut, the events, the replies and the state are the same; nothing ever raises."""
    limits = Limits(message_size=2000, fix_line_endings=fix)
    whole = Session(limits=limits)
    whole.feed(stream)
    pieces, at = [], 0
    while at < len(stream):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(stream[at : at + size])
        at += size
    cut = feed_in_pieces(Session(limits=limits), pieces)
    assert cut.events == whole.events
    assert cut.output == whole.output
    assert cut.receiver.state is whole.receiver.state


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.binary(max_size=30).filter(lambda line: b"\r\n" not in line and line[-1:] != b"\r"), max_size=10
    )
)
def test_garbage(lines: list[bytes]) -> None:
    """Every line gives exactly one event, whatever it holds."""
    session = Session(Extensions())
    session.feed(b"".join(line + b"\r\n" for line in lines))
    assert (
        len(session.events) == len(lines)
        or session.receiver.is_closed
        or session.receiver.state is State.CONTENT
    )


@pytest.mark.parametrize("command", [b"", b"AUTH PLAIN\r\n", b"AUTH PLAIN "])
def test_endless_line(command: bytes) -> None:
    """A line without end costs bounded memory, and is one refusal when it ends after all."""
    session = Session()
    session.feed(command)
    for _ in range(300):
        session.feed(b"x" * 65_536)
        assert len(session.receiver._input) <= 65_536 + 12_290
    session.feed(b"\r\nNOOP\r\n")
    assert [type(event) for event in session.events[-2:]] == [Refused, Noop]


def test_endless_content() -> None:
    """Content without end costs at most the limit and a third, and is one refusal when it ends after all."""
    session = open_transaction(Session())
    for _ in range(300):
        session.feed(b"x" * 65_534 + b"\r\n")
        assert len(session.receiver._input) <= LIMITS.message_size * 4 // 3 + 65_600
    session.feed(b".\r\nNOOP\r\n")
    assert [type(event) for event in session.events[-2:]] == [Refused, Noop]


def test_large_chunk() -> None:
    """A chunk that is too big, but has an end in sight, is dropped as it comes; then commands go on."""
    session = Session()
    size = LIMITS.message_size + 64 * 1024 * 1024
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT %d LAST\r\n" % size)
    for _ in range(size // 65_536):
        session.feed(b"x" * 65_536)
        assert not session.receiver.has_buffered_input
    session.feed(b"x" * (size % 65_536) + b"NOOP\r\n")
    assert [type(event) for event in session.events[-2:]] == [Refused, Noop]


@pytest.mark.parametrize("size", [LIMITS.message_size + 64 * 1024 * 1024 + 1, 99999999999999999999])
def test_endless_chunk(size: int) -> None:
    """Nobody waits for the end of a chunk of any size: it is refused at once, and the session closes."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nBDAT %d LAST\r\n" % size)
    assert session.output.endswith(b"552 5.3.4 message is too big\r\n")
    assert session.receiver.is_closed
    session.feed(b"x" * 65_536)
    assert not session.receiver.has_buffered_input


@pytest.mark.parametrize("begin", [b"DATA\r\n", b"BDAT 9000\r\n" + b"x" * 9000])
def test_a_closed_receiver_holds_nothing(begin: bytes) -> None:
    """Content that was broken off is let go with the session, whenever its last reference goes."""
    session = Session()
    session.feed(b"EHLO c.example\r\nMAIL FROM:<a@t.example>\r\nRCPT TO:<user@testserver>\r\n" + begin)
    session.receiver.receive_data(b"y" * 5000)
    session.receiver.next_event()
    assert session.receiver.held >= 5000
    session.receiver.close()
    assert session.receiver.held == 0
    assert not session.receiver.has_buffered_input


@pytest.mark.parametrize("begun", [b"DATA\r\n", b"BDAT 8000\r\n" + b"x" * 8000 + b"BDAT 16000 LAST\r\n"])
def test_content_that_nobody_ends(begun: bytes) -> None:
    """Content of a session that closes is let go, whichever way it came."""
    session = Session()
    session.feed(b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n" + begun + b"x" * 8000)
    assert session.receiver.held >= 8000
    session.receiver.close()
    assert (session.receiver.held, session.receiver._chunks) == (0, b"")
    assert not session.receiver.has_buffered_input
