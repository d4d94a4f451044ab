"""The sending side: replies matched to commands, with and without pipelining, whatever the server does."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.status import Reply, reply
from angarium.wire.events import NEED_DATA, Content, Data, Ehlo, Event, Mail, Quit, Rcpt, Refused, Rset
from angarium.wire.events import Disconnected as ClientGone
from angarium.wire.extensions import Extensions
from angarium.wire.receiver import Limits, Receiver
from angarium.wire.replies import PeerExtensions
from angarium.wire.requests import encode_xtext
from angarium.wire.sender import MAX_AHEAD, Sender
from angarium.wire.sender_events import (
    AuthReply,
    ContentReply,
    DataReply,
    Disconnected,
    EhloReply,
    Greeting,
    MailReply,
    ProtocolError,
    QuitReply,
    RcptReply,
    RsetReply,
    SenderEvent,
    StartTlsReply,
    TransactionEnded,
    Unsolicited,
)

OK = reply(250, "2.0.0 OK")
Answer = Callable[[Event], Reply]


def envelope(*names: str, **facts: object) -> Envelope:
    recipients = tuple(Recipient(Address.parse(f"{name}@example.net")) for name in names)
    return Envelope(Address.parse("from@example.com"), recipients, **facts)  # type: ignore[arg-type]


class Server:
    """A real receiver that answers as it is told."""

    def __init__(self, answer: Answer, extensions: Extensions | None = None) -> None:
        self.receiver = Receiver(Limits(), extensions or Extensions(size=0, dsn=True))
        self.receiver.send_greeting(reply(220, "server.example"))
        self.answer = answer
        self.events: list[Event] = []

    def exchange(self, data: bytes) -> bytes:
        self.receiver.receive_data(data)
        while not isinstance(event := self.receiver.next_event(), type(NEED_DATA) | ClientGone):
            self.events.append(event)
            self.respond(event)
        return self.receiver.data_to_send()

    def respond(self, event: Event) -> None:
        match event:
            case Refused():
                self.receiver.send(event.reply)
            case Ehlo():
                self.receiver.send_ehlo("server.example")
            case _:
                self.receiver.send(self.answer(event))

    @property
    def contents(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, Content)]


def yes(event: Event) -> Reply:
    return (
        reply(354, "go on")
        if isinstance(event, Data)
        else reply(221, "bye")
        if isinstance(event, Quit)
        else OK
    )


def talk(sender: Sender, server: Server) -> list[SenderEvent]:
    """Carry octets between the two until both are silent."""
    told: list[SenderEvent] = []
    to_sender = server.receiver.data_to_send()
    while True:
        sender.receive_data(to_sender)
        while (event := sender.next_event()) is not NEED_DATA:
            told.append(event)
            if isinstance(event, Disconnected):
                return told
        out = b"".join(sender.data_to_send())
        if not out:
            return told
        to_sender = server.exchange(out)


def connected(server: Server, **options: bool) -> Sender:
    sender = Sender("client.example", **options)
    assert isinstance(talk(sender, server)[0], Greeting)
    sender.send_ehlo()
    assert isinstance(talk(sender, server)[0], EhloReply)
    return sender


def scripted(*answers: bytes, lmtp: bool = False, ehlo: bytes = b"250-s\r\n250 PIPELINING\r\n") -> Sender:
    """A sender that has been greeted, and has these octets coming in answer to what it says next."""
    sender = Sender("client.example", lmtp=lmtp)
    sender.receive_data(b"220 s\r\n")
    pull(sender)
    sender.send_ehlo()
    sender.receive_data(ehlo)
    pull(sender)
    sender.data_to_send()
    for answer in answers:
        sender.receive_data(answer)
    return sender


def pull(sender: Sender) -> list[SenderEvent]:
    told: list[SenderEvent] = []
    while (event := sender.next_event()) is not NEED_DATA:
        told.append(event)
        if isinstance(event, Disconnected):
            break
    return told


def names(events: Sequence[SenderEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("pipelining", [True, False])
def test_delivers(pipelining: bool) -> None:
    """A message for two arrives whole, with and without pipelining, and each command's reply is told."""
    server = Server(yes)
    sender = connected(server, pipelining=pipelining)
    sender.start_transaction(envelope("a", "b"), [b"Subject: x\r\n\r\n", memoryview(b"body\r\n")])
    told = talk(sender, server)
    assert names(told) == [
        "MailReply", "RcptReply", "RcptReply", "DataReply", "ContentReply", "TransactionEnded",
    ]  # fmt: skip
    assert server.contents == [b"Subject: x\r\n\r\nbody\r\n"]
    assert sender.is_idle
    sender.send_quit()
    assert talk(sender, server) == [QuitReply(reply(221, "bye"))]


def test_groups() -> None:
    """With PIPELINING, MAIL, RCPT and DATA go out in one piece; without it, one by one."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert sender.data_to_send() == [b"MAIL FROM:<from@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n"]
    sender = scripted(ehlo=b"250 s\r\n")
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert sender.data_to_send() == [b"MAIL FROM:<from@example.com>\r\n"]


@pytest.mark.parametrize("pipelining", [True, False])
def test_partial_acceptance(pipelining: bool) -> None:
    """Refused recipients do not stop the accepted ones, and replies carry the recipient's place."""
    refusal = reply(550, "5.1.1 no such user")
    server = Server(
        lambda event: refusal if isinstance(event, Rcpt) and event.address.user == "b" else yes(event)
    )
    sender = connected(server, pipelining=pipelining)
    sender.start_transaction(envelope("a", "b", "c"), [b"x\r\n"])
    told = talk(sender, server)
    assert [event for event in told if isinstance(event, RcptReply)] == [
        RcptReply(0, OK), RcptReply(1, refusal), RcptReply(2, OK),
    ]  # fmt: skip
    assert ContentReply(OK) in told
    assert len(server.contents) == 1


@pytest.mark.parametrize("pipelining", [True, False])
def test_nobody_accepted(pipelining: bool) -> None:
    """Without an accepted recipient no content is sent, and the next transaction starts from RSET."""
    refuse = True
    refusal = reply(450, "4.2.1 later")
    server = Server(lambda event: refusal if refuse and isinstance(event, Rcpt) else yes(event))
    sender = connected(server, pipelining=pipelining)
    sender.start_transaction(envelope("a", "b"), [b"x\r\n"])
    assert names(talk(sender, server)) == ["MailReply", "RcptReply", "RcptReply", "TransactionEnded"]
    assert server.contents == []
    refuse = False
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert names(talk(sender, server))[-2:] == ["ContentReply", "TransactionEnded"]
    assert any(isinstance(event, Rset) for event in server.events)
    assert server.contents == [b"x\r\n"]


@pytest.mark.parametrize("pipelining", [True, False])
def test_mail_refused(pipelining: bool) -> None:
    """After a refused MAIL only its reply is told, and the connection serves the next transaction."""
    refusals = [reply(452, "4.3.1 full")]
    server = Server(lambda event: refusals.pop() if isinstance(event, Mail) and refusals else yes(event))
    sender = connected(server, pipelining=pipelining)
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert talk(sender, server) == [MailReply(reply(452, "4.3.1 full")), TransactionEnded()]
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert ContentReply(OK) in talk(sender, server)


@pytest.mark.parametrize("pipelining", [True, False])
def test_data_refused(pipelining: bool) -> None:
    """A refused DATA ends the transaction; the next one is preceded by RSET."""
    refusal = reply(451, "4.3.0 not now")
    server = Server(lambda event: refusal if isinstance(event, Data) else yes(event))
    sender = connected(server, pipelining=pipelining)
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert talk(sender, server)[-2:] == [DataReply(refusal), TransactionEnded()]
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    assert bytes(sender.data_to_send()[0]) == b"RSET\r\n"


def test_354_without_recipients() -> None:
    """A 354 that nobody's acceptance justifies gets a lone dot, never the content."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"secret\r\n"])
    sender.data_to_send()
    sender.receive_data(b"250 ok\r\n550 no\r\n354 go\r\n")
    assert names(pull(sender)) == ["MailReply", "RcptReply"]
    assert sender.data_to_send() == [b".\r\n"]
    sender.receive_data(b"250 taken\r\n")
    assert pull(sender) == [TransactionEnded()]


def test_354_after_refused_mail() -> None:
    """A server that refuses MAIL and goes on regardless gets a lone dot too."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"secret\r\n"])
    sender.data_to_send()
    sender.receive_data(b"550 no\r\n250 ok\r\n354 go\r\n")
    assert names(pull(sender)) == ["MailReply"]
    assert sender.data_to_send() == [b".\r\n"]


def test_lmtp() -> None:
    """LMTP answers once for each accepted recipient, in order."""
    sender = Sender("c", lmtp=True)
    sender.receive_data(b"220 s\r\n")
    pull(sender)
    sender.send_ehlo()
    assert sender.data_to_send() == [b"LHLO c\r\n"]
    sender.receive_data(b"250-s\r\n250 PIPELINING\r\n")
    pull(sender)
    sender.start_transaction(envelope("a", "b", "c"), [b"x\r\n"])
    sender.receive_data(b"250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n")
    pull(sender)
    sender.receive_data(b"250 2.0.0 a\r\n")
    assert pull(sender) == [ContentReply(reply(250, "2.0.0 a"), 0)]
    sender.receive_data(b"452 4.2.2 full\r\n")
    assert pull(sender) == [ContentReply(reply(452, "4.2.2 full"), 2), TransactionEnded()]


def test_lmtp_354_without_recipients() -> None:
    """LMTP has no reply to content for nobody: the transaction ends with the lone dot."""
    sender = scripted(lmtp=True)
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    sender.receive_data(b"250 ok\r\n550 no\r\n354 go\r\n")
    assert names(pull(sender)) == ["MailReply", "RcptReply", "TransactionEnded"]


STAGES = ["220 s", "250 s", "250 mail", "250 rcpt", "354 data", "250 content", "221 bye"]
NAMES = ["greeting", "ehlo", "mail", "rcpt", "data", "content", "quit"]


@pytest.mark.parametrize("at", range(len(STAGES)))
def test_421(at: int) -> None:
    """421 is told as the answer to what was asked, and is the end, at every stage."""
    sender = Sender("c")
    actions = iter(
        [sender.send_ehlo, lambda: sender.start_transaction(envelope("a"), [b"x\r\n"]), sender.send_quit]
    )
    for stage in STAGES[:at]:
        sender.receive_data(stage.encode() + b"\r\n")
        pull(sender)
        if sender.is_idle:
            next(actions)()
    assert sender.during == NAMES[at]
    sender.data_to_send()
    sender.receive_data(b"421 4.3.2 closing\r\n250 more\r\n")
    told = pull(sender)
    assert getattr(told[0], "reply", None) == reply(421, "4.3.2 closing")
    assert told[-1] == Disconnected(NAMES[at])
    assert sender.data_to_send() == []
    assert not sender.is_idle


@pytest.mark.parametrize("at", range(len(STAGES)))
@pytest.mark.parametrize("partial", [b"", b"250", b"250-x\r\n"])
def test_dropped(at: int, partial: bytes) -> None:
    """A connection that drops says during what, at every stage, even in the middle of a reply."""
    sender = Sender("c")
    actions = iter(
        [sender.send_ehlo, lambda: sender.start_transaction(envelope("a"), [b"x\r\n"]), sender.send_quit]
    )
    for stage in STAGES[:at]:
        sender.receive_data(stage.encode() + b"\r\n")
        pull(sender)
        if sender.is_idle:
            next(actions)()
    sender.receive_data(partial)
    sender.receive_eof()
    assert pull(sender) == [Disconnected(NAMES[at])]
    assert sender.next_event() == Disconnected(NAMES[at])


@pytest.mark.parametrize(
    "garbage",
    [
        b"hello\r\n", b"\r\n", b"199 early\r\n", b"600 late\r\n", b"25 short\r\n", b"250x\r\n",
        b"250-a\r\n251 b\r\n", b"x" * 5000, b"250 " + b"x" * 5000 + b"\r\n", b"250-x\r\n" * 201,
        b"\xff\xfe\r\n", b"354 go\r\n",
    ],
)  # fmt: skip
def test_garbage(garbage: bytes) -> None:
    """What is no reply is one ProtocolError, and then the end."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    sender.receive_data(garbage)
    told = pull(sender)
    assert names(told) == ["ProtocolError", "Disconnected"]
    assert isinstance(told[0], ProtocolError)
    assert told[0].during == "mail"


@pytest.mark.parametrize(
    "answer", [b"250 ok\n", b"250-o\n250 k\n", b"250-first\r\n250 ok\n", b"250 o\r\r\n250 ok\n"]
)
def test_a_bare_lf_ends_no_reply(answer: bytes) -> None:
    """Nothing is taken for a reply that a bare LF ends, but it is known what came, until more comes."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    sender.receive_data(answer)
    before = pull(sender)
    assert sender.ended_by_lf == answer.rpartition(b"\r\n")[2].strip()
    assert all(isinstance(event, MailReply) for event in before)
    sender.receive_data(b" more\r\n")
    assert sender.ended_by_lf is None


def test_a_bare_lf_within_a_reply_is_text() -> None:
    """A line goes on to its CRLF, whatever is in it."""
    sender = Sender("c")
    sender.receive_data(b"220 first\nsecond\r\n")
    assert pull(sender) == [Greeting(reply(220, "first second"))]


def test_250_to_data() -> None:
    """A server that says 250 to DATA has not asked for content, and is not believed."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    sender.receive_data(b"250 ok\r\n250 ok\r\n250 ok\r\n")
    assert names(pull(sender)) == ["MailReply", "RcptReply", "ProtocolError", "Disconnected"]


def test_answer_before_content() -> None:
    """An answer to content that has not been sent is not taken for custody."""
    sender = scripted()
    sender.start_transaction(envelope("a"), [b"x\r\n"])
    sender.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
    assert names(pull(sender)) == ["MailReply", "RcptReply", "ProtocolError", "Disconnected"]


def test_unsolicited() -> None:
    """A 421 in idle time is told as such; any other reply to nothing is an error."""
    sender = scripted(b"421 4.4.2 idle\r\n")
    assert pull(sender) == [Unsolicited(reply(421, "4.4.2 idle")), Disconnected("idle")]
    sender = scripted(b"250 what\r\n")
    assert names(pull(sender)) == ["ProtocolError", "Disconnected"]


@pytest.mark.parametrize(
    ("parts", "wire"),
    [
        ([b".x\r\n"], b"..x\r\n.\r\n"),
        ([b"a\r\n.\r\n.b\r\n"], b"a\r\n..\r\n..b\r\n.\r\n"),
        ([b"h\r\n", b".b\r\n"], b"h\r\n..b\r\n.\r\n"),
        ([b"h\r\n\r\n", memoryview(b"b")], b"h\r\n\r\nb\r\n.\r\n"),
        ([b"h\r", b"\n.b"], b"h\r\n..b\r\n.\r\n"),
        ([], b".\r\n"),
        ([b"", b""], b".\r\n"),
        ([b"a\n.\nb\r.\r"], b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
        ([b"a\r\n\0.\r\nb\r\n"], b"a\r\n..\r\nb\r\n.\r\n"),
    ],
)
def test_content_on_the_wire(parts: list[bytes | memoryview], wire: bytes) -> None:
    """Dots are stuffed across parts, the end is added, and nothing smuggles."""
    sender = scripted()
    sender.start_transaction(envelope("a"), parts)
    sender.data_to_send()
    sender.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    pull(sender)
    assert b"".join(sender.data_to_send()) == wire


def test_content_is_not_copied() -> None:
    """Content that needs no stuffing leaves as the very object that came."""
    sender = scripted()
    part = b"x" * 70 + b"\r\n"
    sender.start_transaction(envelope("a"), [part])
    sender.receive_data(b"250 ok\r\n250 ok\r\n354 go\r\n")
    sender.data_to_send()
    pull(sender)
    assert sender.data_to_send()[0] is part


def test_parameters() -> None:
    """Parameters are sent where the server offers them, and only there."""
    recipient = Recipient(Address.parse("a@example.net"), ("FAILURE", "DELAY"), "rfc822;a+b@x é")
    mail = Envelope(None, (recipient,), eight_bit=True, smtputf8=True, ret="HDRS", envid="a b=")
    sender = scripted(
        ehlo=b"250-s\r\n250-SIZE 9\r\n250-8bitmime\r\n250-SMTPUTF8\r\n250-DSN\r\n250 PIPELINING\r\n"
    )
    sender.start_transaction(mail, [b"1234\r\n", b"56\r\n"])
    (group,) = sender.data_to_send()
    assert bytes(group).split(b"\r\n") == [
        b"MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+20b+3D",
        b"RCPT TO:<a@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;a+2Bb@x+20\\x{E9}",
        b"DATA",
        b"",
    ]
    sender = scripted()
    sender.start_transaction(mail, [b"x\r\n"])
    assert sender.data_to_send() == [b"MAIL FROM:<>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n"]


def test_what_was_offered() -> None:
    """The reply to EHLO is read into what the server offers; HELO offers nothing."""
    sender = Sender("c")
    sender.receive_data(b"220 s\r\n")
    pull(sender)
    sender.send_ehlo()
    sender.receive_data(
        b"250-s hello\r\n250-SIZE 1000\r\n250-AUTH PLAIN login\r\n250-AUTH=LOGIN\r\n250-STARTTLS\r\n"
        b"250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250-\r\n250 8BITMIME\r\n"
    )
    expected = PeerExtensions(
        size=1000,
        eight_bit=True,
        starttls=True,
        auth=("PLAIN", "LOGIN"),
        dsn=True,
        chunking=True,
        enhanced=True,
    )
    (told,) = pull(sender)
    assert isinstance(told, EhloReply)
    assert told.extensions == expected == sender.extensions
    sender.send_helo()
    sender.receive_data(b"250 s\r\n")
    assert pull(sender) == [EhloReply(reply(250, "s"), PeerExtensions())]


@pytest.mark.parametrize(("line", "size"), [("SIZE", 0), ("SIZE x", 0), ("SIZE 12", 12), ("DSN", None)])
def test_size_offered(line: str, size: int | None) -> None:
    """SIZE without a readable number is offered without a limit."""
    assert PeerExtensions.read(reply(250, f"s\n{line}")).size == size


def test_starttls() -> None:
    """After 220 what was offered is forgotten; octets behind the 220 are an injection."""
    sender = scripted()
    sender.send_starttls()
    assert sender.data_to_send() == [b"STARTTLS\r\n"]
    sender.receive_data(b"220 go\r\n")
    assert pull(sender) == [StartTlsReply(reply(220, "go"))]
    sender.restart()
    assert sender.extensions == PeerExtensions()
    sender.send_starttls()
    sender.receive_data(b"220 go\r\n250 injected\r\n")
    assert names(pull(sender)) == ["ProtocolError", "Disconnected"]


def test_auth() -> None:
    """AUTH sends responses in base64; an empty initial response is an equals sign."""
    sender = scripted()
    sender.send_auth("PLAIN", b"\0u\0p")
    assert sender.data_to_send() == [b"AUTH PLAIN AHUAcA==\r\n"]
    sender.receive_data(b"535 5.7.8 no\r\n")
    assert pull(sender) == [AuthReply(reply(535, "5.7.8 no"))]
    sender.send_auth("EXTERNAL", b"")
    sender.receive_data(b"334 \r\n")
    assert pull(sender) == [AuthReply(reply(334, ""))]
    sender.send_auth_response(b"x")
    sender.receive_data(b"334 \r\n")
    pull(sender)
    sender.send_auth_response(None)
    assert sender.data_to_send() == [b"AUTH EXTERNAL =\r\n", b"eA==\r\n", b"*\r\n"]
    sender.receive_data(b"501 cancelled\r\n")
    pull(sender)
    sender.send_auth("LOGIN", None)
    assert sender.data_to_send() == [b"AUTH LOGIN\r\n"]


def test_rset() -> None:
    """RSET on request is answered by its own event."""
    sender = scripted()
    sender.send_rset()
    sender.receive_data(b"250 ok\r\n")
    assert pull(sender) == [RsetReply(reply(250, "ok"))]


def test_one_thing_at_a_time() -> None:
    """What is said while an answer is awaited is a programming error."""
    sender = Sender("c")
    with pytest.raises(RuntimeError):
        sender.send_ehlo()
    with pytest.raises(RuntimeError):
        sender.start_transaction(envelope("a"), [])


def test_no_injection() -> None:
    """An address or a name with a line end never reaches the wire."""
    evil = Address("a\r\nRSET", "example.net")
    with pytest.raises(ValueError, match="control character"):
        scripted().start_transaction(Envelope(None, (Recipient(evil),)), [b"x\r\n"])
    sender = Sender("c\r\nRSET")
    sender.receive_data(b"220 s\r\n")
    pull(sender)
    with pytest.raises(ValueError, match="control character"):
        sender.send_ehlo()


DIALOGUE = (
    b"220 s\r\n250-s\r\n250 PIPELINING\r\n"
    b"250 2.1.0 ok\r\n250 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n354 go\r\n"
)


@pytest.mark.parametrize("size", range(1, len(DIALOGUE)))
def test_any_chunking(size: int) -> None:
    """However the replies are cut, the same is told."""

    def run(size: int) -> list[SenderEvent]:
        sender, told = Sender("c"), []
        actions = iter([sender.send_ehlo, lambda: sender.start_transaction(envelope("a", "b"), [b"x\r\n"])])
        lines = DIALOGUE.split(b"220 s\r\n")[1]
        for turn in (b"220 s\r\n", lines[:23], lines[23:]):
            for at in range(0, len(turn), size):
                sender.receive_data(turn[at : at + size])
                told += pull(sender)
            if sender.is_idle:
                next(actions)()
        return told

    assert run(size) == run(1000)


def test_xtext() -> None:
    """xtext leaves printable ASCII but plus and equals alone."""
    assert encode_xtext("a+b=c~!") == "a+2Bb+3Dc~!"


CHUNKING = b"250-s\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


def chunking(answer: Answer = yes, **options: bool) -> tuple[Sender, Server]:
    """A sender, and a server that offers CHUNKING."""
    server = Server(answer, Extensions(size=0, chunking=True))
    return connected(server, **options), server


def test_content_goes_out_with_its_envelope() -> None:
    """Where CHUNKING and PIPELINING are offered, all is said at once, dots as they are, whole lines."""
    sender, server = chunking()
    sender.start_transaction(envelope("a", "b"), [b"Subject: x\r\n\r\n", b".\r\n..end"])
    assert sender.is_content_out
    out = b"".join(sender.data_to_send())
    assert out.endswith(b"BDAT 24 LAST\r\nSubject: x\r\n\r\n.\r\n..end\r\n")
    sender.receive_data(server.exchange(out))
    assert names(pull(sender)) == ["MailReply", "RcptReply", "RcptReply", "ContentReply", "TransactionEnded"]
    assert server.contents == [b"Subject: x\r\n\r\n.\r\n..end\r\n"]
    assert sender.is_idle
    assert not sender.is_content_out


def test_bare_line_ends_do_not_leave_in_a_chunk() -> None:
    """A chunk is as canonical as content behind DATA: nothing in it can become a second message."""
    sender, server = chunking()
    sender.start_transaction(envelope("a"), [b"x\n.\nMAIL FROM:<evil@example.com>\r\n"])
    talk(sender, server)
    assert server.contents == [b"x\r\n.\r\nMAIL FROM:<evil@example.com>\r\n"]


@pytest.mark.parametrize(
    ("options", "ehlo", "size"),
    [
        ({"chunking": False}, CHUNKING, 10),
        ({"pipelining": False}, CHUNKING, 10),
        ({}, b"250-s\r\n250 CHUNKING\r\n", 10),
        ({}, b"250-s\r\n250 PIPELINING\r\n", 10),
        ({}, CHUNKING, MAX_AHEAD + 1),
        ({"lmtp": True}, CHUNKING, 10),
    ],
)
def test_when_content_waits_for_354(options: dict[str, bool], ehlo: bytes, size: int) -> None:
    """Content that is large, or that the next hop does not take in chunks, waits for its 354."""
    sender = Sender("client.example", **options)
    sender.receive_data(b"220 s\r\n")
    pull(sender)
    sender.send_ehlo()
    sender.receive_data(ehlo)
    pull(sender)
    sender.data_to_send()
    sender.start_transaction(envelope("a"), [b"x" * size])
    assert not sender.is_content_out
    assert b"BDAT" not in b"".join(sender.data_to_send())


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        (Mail, ["MailReply", "TransactionEnded"]),
        (Rcpt, ["MailReply", "RcptReply", "TransactionEnded"]),
        (Content, ["MailReply", "RcptReply", "ContentReply", "TransactionEnded"]),
    ],
)
def test_a_refused_chunk(refused: type, told: list[str]) -> None:
    """Whatever is refused, its replies are told as with DATA, and the next transaction begins afresh."""
    refusals = [reply(550, "5.7.1 no")]
    sender, server = chunking(
        lambda event: refusals.pop() if isinstance(event, refused) and refusals else yes(event)
    )
    sender.start_transaction(envelope("a"), [b"one\r\n"])
    assert names(talk(sender, server)) == told
    sender.start_transaction(envelope("a"), [b"two\r\n"])
    assert names(talk(sender, server))[-2:] == ["ContentReply", "TransactionEnded"]
    assert server.contents[-1] == b"two\r\n"
    resets = [event for event in server.events if isinstance(event, Rset)]
    assert len(resets) == (0 if refused is Mail else 1)
