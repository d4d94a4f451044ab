"""queue.notice: what a failed message's sender is told, as others read it."""

import email
import email.policy

import pytest

from angarium.mail.address import Address
from angarium.mail.status import reply
from angarium.queue.notice import MAX_RETURNED_HEADERS, Notice, write_notice
from angarium.reports.detect import examine

ORIGINAL = b"From: a@b.example\r\nSubject: hi\r\nMessage-ID: <1@b.example>\r\n\r\nbody\r\n"


def notice(original=ORIGINAL, **changes):
    failure = {
        "sender": Address.parse("a@b.example"),
        "recipient": Address.parse("c@d.example"),
        "reply": reply(550, "5.1.1 no such user"),
        "remote_mta": "mx.d.example",
        "arrival": 1_700_000_000.0,
    } | changes
    return write_notice(
        Notice(**failure), original, hostname="mx.example", ident="0" * 32, now=1_700_000_100.0
    )


def fields(content):
    """The per-message and per-recipient fields."""
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    return [dict(block.items()) for block in list(parsed.iter_parts())[1].get_payload()]


def test_the_fields():
    """RFC 3464: who reports, who failed, how, and what the remote host said."""
    message, recipient = fields(notice(envid="QQ1", orcpt="rfc822;C@D.example"))
    assert message["Reporting-MTA"] == "dns; mx.example"
    assert message["Original-Envelope-Id"] == "QQ1"
    assert recipient == {
        "Original-Recipient": "rfc822;C@D.example",
        "Final-Recipient": "rfc822; c@d.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
        "Remote-MTA": "dns; mx.d.example",
    }


def test_what_no_host_said_is_no_diagnostic_of_smtp():
    """RFC 3464 section 2.3.6: a Diagnostic-Code of SMTP is what a host said, and not what we say of it."""
    ours = notice(is_local=True, reply=reply(451, "4.4.2 Connection lost at RCPT"))
    _, recipient = fields(ours)
    assert "Diagnostic-Code" not in recipient
    assert recipient["Remote-MTA"] == "dns; mx.d.example"
    assert b"This server said:" in ours


def test_who_said_what():
    """A host's words are told as its own, with its address; why this server gave up stands beside them."""
    content = notice(
        reply=reply(554, "go away"), remote_address="192.0.2.1", remark=reply(451, "4.4.7 too late")
    )
    assert b"mx.d.example [192.0.2.1] said:\r\n\r\n    554 go away\r\n" in content
    assert b"This server adds:\r\n\r\n    451 4.4.7 too late\r\n" in content
    assert b"This server said" not in content
    assert b"This server said" not in notice(remote_mta=None)


@pytest.mark.parametrize(
    ("name", "address", "who"),
    [("mx.d.example", "192.0.2.1", "mx.d.example [192.0.2.1]"), ("[192.0.2.1]", "192.0.2.1", "[192.0.2.1]"),
     ("[2001:db8::1]", "2001:db8::1", "[2001:db8::1]"), ("mx.d.example", None, "mx.d.example"),
     (None, "192.0.2.1", "The next hop [192.0.2.1]")],
)  # fmt: skip
def test_a_host_is_named_once(name, address, who):
    """An address literal says its address itself."""
    assert f"\r\n{who} said:\r\n".encode() in notice(remote_mta=name, remote_address=address)


@pytest.mark.parametrize(
    ("said", "expired", "status"),
    [
        (reply(550, "5.1.1 no"), False, "5.1.1"),
        (reply(550, "no"), False, "5.0.0"),
        (reply(550, "4.2.1 odd"), False, "5.0.0"),
        (reply(451, "4.3.0 later"), True, "5.4.7"),
    ],
)
def test_the_status_is_permanent(said, expired, status):
    """Whatever the last reply was, a failure's status is of class 5."""
    assert fields(notice(reply=said, expired=expired))[1]["Status"] == status


def test_only_headers_return():
    """The body stays here, and of the headers a bounded part returns."""
    content = notice(b"X: " + b"y" * 2 * MAX_RETURNED_HEADERS + b"\r\n\r\nsecret body\r\n")
    assert b"secret body" not in content
    assert len(content) < MAX_RETURNED_HEADERS + 5000


def test_our_own_parser_understands_it():
    """A notice is an out-of-band bounce to whoever gets it."""
    report = examine(notice(), null_sender=True)
    assert (report.kind, report.by_shape) == ("oob", False)
    assert report.failed[0].address == "c@d.example"
    assert report.original.message_id == "<1@b.example>"


BEYOND = Address.parse("ü+é@d.example")
EIGHT_BITS = "Subject: ü\r\nMessage-ID: <1@b.example>\r\n\r\nbödy\r\n".encode()


def test_addresses_beyond_ascii():
    """A sender who has such an address gets an RFC 6533 report in UTF-8."""
    content = notice(sender=Address.parse("ö@b.example"), recipient=BEYOND, orcpt="utf-8;ü+é@d.example")
    assert b"message/global-delivery-status" in content
    assert "Original-Recipient: utf-8;ü+é@d.example".encode() in content
    assert "Final-Recipient: utf-8; ü+é@d.example".encode() in content


@pytest.mark.parametrize("returns", ["none", "headers", "full"])
def test_seven_bits_for_a_sender_in_ascii(returns):
    """Such a sender's host may take no more (RFC 6533 section 3); nothing is lost on the way."""
    content = notice(EIGHT_BITS, recipient=BEYOND, orcpt="utf-8;ü+é@d.example", returns=returns)
    assert content.isascii()
    assert b"8bit" not in content
    assert rb"Final-Recipient: utf-8; \x{FC}\x{2B}\x{E9}@d.example" in content
    assert rb"Original-Recipient: utf-8;\x{FC}\x{2B}\x{E9}@d.example" in content
    report = examine(content, null_sender=True)
    assert report.failed[0].address == "ü+é@d.example"
    assert returns == "none" or report.original.message_id == "<1@b.example>"
    assert returns == "none" or report.original.subject == "ü"
    last = email.message_from_bytes(content).get_payload()[-1]
    assert returns != "full" or last.get_content_type() == "message/global"


def test_eight_bits_in_the_body_alone():
    """An original with an ASCII header and eight bits below it returns whole, over seven bits."""
    assert notice(b"Subject: x\r\n\r\nb\xf6dy\r\n", returns="full").isascii()


@pytest.mark.parametrize(("original", "encoding"), [(ORIGINAL, "7bit"), (EIGHT_BITS, "8bit")])
def test_the_encoding_of_the_whole_is_that_of_its_parts(original, encoding):
    """The whole says 8bit only where a part does (RFC 2045 section 6.4)."""
    parsed = email.message_from_bytes(notice(original, sender=Address.parse("ö@b.example")))
    assert parsed["Content-Transfer-Encoding"] == encoding
    assert (encoding == "8bit") is any(
        part["Content-Transfer-Encoding"] == "8bit" for part in parsed.get_payload()
    )


@pytest.mark.parametrize(
    "original", [b"", b"\r\n", b"no colon\r\n\r\n", b"\xff\xfe: x\r\n\r\n", b"--=_0\r\n\r\n"]
)
def test_whatever_the_original_was(original):
    """An odd original makes no odd notice: three parts, no defects in its structure."""
    parsed = email.message_from_bytes(notice(original), policy=email.policy.default)
    assert len(list(parsed.iter_parts())) == 3


@pytest.mark.parametrize(
    "said",
    ["z" * 1900, "a word " * 900, "no \ufffd user", "ü" * 1500],
    ids=["one word", "many", "not ASCII", "long, not ASCII"],
)
@pytest.mark.parametrize("is_local", [False, True])
def test_every_host_takes_a_notice(said, is_local):
    """However a host has put it: no line of more than 998 octets, and no eight bits for ASCII addresses."""
    content = notice(reply=reply(550, f"5.1.1 {said}"), is_local=is_local)
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()
    assert b"8bit" not in content
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    text = parsed.get_body().get_content()
    assert "".join(said.split())[:1000] in "".join(text.split())


def test_no_line_of_a_reply_becomes_a_field():
    """A remote host's many-lined reply stands in one line."""
    _, recipient = fields(notice(reply=reply(550, "5.1.1 one\nBcc: x@y.example\n\ntwo")))
    assert recipient["Diagnostic-Code"].count("Bcc") == 1
    assert "Bcc" not in recipient
