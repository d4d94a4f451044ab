"""delivery.outcome: the table of blast radius, line by line."""

import pytest

from angarium.delivery.outcome import (
    NEEDS_8BITMIME,
    NEEDS_SMTPUTF8,
    RULINGS,
    TOO_BIG,
    Blame,
    Cause,
    Kind,
    Offer,
    Stage,
    cause_of,
    fault_reply,
    judge,
    judge_recipient,
    unfit,
)
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.status import reply

# blame, kind; "?": the message may have arrived; "→": the next host is tried at once
TABLE = """
stage   2yz 421           4yz         5yz         503,3yz     closed        timed-out garbled
connect go  host/T→       host/T→     host/T→     host/T→     host/T→       host/T→   host/T→
banner  go  host/T→       host/T→     host/T→     host/T→     host/T→       host/T→   host/T→
EHLO    go  host/T→       host/T→     host/T→     host/T→     host/T→       host/T→   host/T→
STARTTLS go host/T→       host/T→     host/T→     host/T→     host/T→       host/T→   host/T→
AUTH    go  host/T→       host/T→     host/T→     host/T→     host/T→       host/T→   host/T→
MAIL    go  connection/T→ message/T   message/P   message/T   connection/T→ host/T→   host/T→
RCPT    go  connection/T→ recipient/T recipient/P recipient/T connection/T→ host/T→   host/T→
DATA    go  connection/T→ message/T   message/P   message/T   connection/T→ host/T→   host/T→
.       go  connection/T→ message/T   message/P   message/T   connection/T? host/T?   host/T?
"""
CASES = [
    (line.split()[0], cause, cell)
    for line in TABLE.strip().splitlines()[1:]
    for cause, cell in zip(Cause, line.split()[1:], strict=True)
]


def short(stage: Stage, cause: Cause) -> str:
    ruling = RULINGS[stage][cause]
    if ruling.blame is Blame.NOBODY:
        return "go"
    mark = "?" if ruling.is_unknown else "→" if ruling.tries_next_host else ""
    return f"{ruling.blame.value}/{ruling.kind.name[0]}{mark}"


def test_the_table_is_complete():
    """Every stage at which a next hop can do anything, and every thing that it can do, has a ruling."""
    told = {(Stage(stage), cause) for stage, cause, _ in CASES}
    assert told == {(stage, cause) for stage in Stage if stage is not Stage.ROUTE for cause in Cause}


@pytest.mark.parametrize(("stage", "cause", "cell"), CASES)
def test_ruling(stage, cause, cell):
    """Every stage and every cause has the ruling of the table."""
    assert short(Stage(stage), cause) == cell


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (250, Cause.ACCEPTED),
        (354, Cause.ODD),
        (421, Cause.CLOSING),
        (450, Cause.REFUSED_FOR_NOW),
        (503, Cause.ODD),
        (550, Cause.REFUSED),
    ],
)
def test_cause_of_a_reply(code, cause):
    """421 and 503 are not what their class says."""
    assert cause_of(reply(code, "text")) is cause


def test_a_2yz_to_data_is_out_of_step():
    """A next hop that says 250 to DATA has not asked for content; nothing bounces for it."""
    ruling = judge(Stage.DATA, reply(250, "2.0.0 OK"))
    assert (ruling.blame, ruling.kind) == (Blame.MESSAGE, Kind.TRANSIENT)


@pytest.mark.parametrize(
    ("answer", "accepted_before", "blame", "kind"),
    [
        ((452, "no more"), 1, Blame.NOBODY, Kind.TRANSIENT),
        ((452, "4.5.3 no more"), 1, Blame.NOBODY, Kind.TRANSIENT),
        ((552, "no more"), 1, Blame.NOBODY, Kind.TRANSIENT),
        ((552, "5.5.3 no more"), 3, Blame.NOBODY, Kind.TRANSIENT),
        ((452, "4.3.0 try later"), 1, Blame.NOBODY, Kind.TRANSIENT),
        ((452, "no more"), 0, Blame.RECIPIENT, Kind.TRANSIENT),
        ((552, "mailbox full"), 0, Blame.RECIPIENT, Kind.PERMANENT),
        ((452, "4.2.2 mailbox full"), 1, Blame.RECIPIENT, Kind.TRANSIENT),
        ((552, "5.2.2 mailbox full"), 1, Blame.RECIPIENT, Kind.PERMANENT),
        ((450, "greylisted"), 1, Blame.RECIPIENT, Kind.TRANSIENT),
        ((550, "no such user"), 1, Blame.RECIPIENT, Kind.PERMANENT),
    ],
)
def test_ambiguous_recipient_replies(answer, accepted_before, blame, kind):
    """452 and 552 mean "too many recipients" only where that can be."""
    ruling = judge_recipient(reply(*answer), accepted_before=accepted_before)
    assert (ruling.blame, ruling.kind) == (blame, kind)


def test_a_fault_is_recorded_as_a_transient_reply_that_names_its_stage():
    """Faults stand in records as 4yz, with the command that was waited for."""
    answer = fault_reply(Stage.MAIL, Cause.LOST)
    assert (answer.code, str(answer.enhanced), answer.text) == (451, "4.4.2", "Connection lost at MAIL")
    assert str(fault_reply(Stage.CONNECT, Cause.TIMED_OUT, "no connection to x:25")).startswith(
        "451 4.4.1 no"
    )


ALL = Offer(size=100, eight_bit=True, smtputf8=True)


def envelope(sender="a@example.com", recipient="b@example.net", *, smtputf8=False):
    recipients = (Recipient(Address.parse(recipient)),)
    return Envelope(Address.parse(sender) if sender else None, recipients, smtputf8=smtputf8)


@pytest.mark.parametrize(
    ("values", "content", "offer", "refusal"),
    [
        ({}, [b"Subject: x\r\n", b"\r\nhello"], Offer(), None),
        ({}, ["Subject: x\r\n\r\ngrüße".encode()], Offer(), NEEDS_8BITMIME),
        ({}, [memoryview("Subject: x\r\n\r\ngrüße".encode())], ALL, None),
        ({"sender": "jürgen@example.com"}, [b"\r\nhello"], Offer(eight_bit=True), NEEDS_SMTPUTF8),
        ({"sender": None, "recipient": "ü@example.com"}, [b"\r\nhello"], Offer(), NEEDS_SMTPUTF8),
        ({"recipient": "ü@example.com"}, [b"\r\nhello"], ALL, None),
        ({"smtputf8": True}, ["Subject: ü\r\n\r\nhello".encode()], Offer(eight_bit=True), NEEDS_SMTPUTF8),
        ({"smtputf8": True}, [b"Subject: x\r\n\r\nhello"], Offer(), None),
        ({"smtputf8": True}, ["Subject: x\r\n\r\ngrüße".encode()], Offer(eight_bit=True), None),
        ({}, [b"x" * 60, b"y" * 41], ALL, TOO_BIG),
        ({}, [b"x" * 60, b"y" * 40], ALL, None),
        ({}, [b"x" * 101], Offer(size=0), None),
    ],
)
def test_what_a_next_hop_cannot_take_is_refused_before_mail(values, content, offer, refusal):
    """8-bit content, internationalised addresses and size are decided by what EHLO offered."""
    assert unfit(envelope(**values), content, offer) == refusal
