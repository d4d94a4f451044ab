"""Mail for the end-to-end tests: reports of each kind, written for them."""


def _mail(text):
    return text.replace("\n", "\r\n").encode()


def dsn(*recipients, action="failed", status="5.1.1"):
    """An RFC 3464 report about these recipients."""
    blocks = "\n\n".join(
        f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\n"
        f"Diagnostic-Code: smtp; 550 5.1.1 no such user"
        for recipient in recipients
    )
    return _mail(
        f"""From: mailer-daemon@far.example
To: bounces@customer.example
Subject: Undeliverable
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message was not delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.far.example

{blocks}

--b
Content-Type: text/rfc822-headers

From: news@customer.example
To: {recipients[0]}
Message-ID: <original@customer.example>
Subject: hello

--b--
"""
    )


ARF = _mail(
    """From: fbl@far.example
To: fbl@customer.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is a complaint.

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Far/1.0
Version: 1
Original-Mail-From: <news@customer.example>
Original-Rcpt-To: <reader@far.example>
Source-IP: 192.0.2.1

--b
Content-Type: message/rfc822

From: news@customer.example
To: reader@far.example
Message-ID: <original@customer.example>
Subject: hello

hello

--b--
"""
)

DSN = dsn("reader@far.example")

BROKEN_DSN = _mail(
    """From: mailer-daemon@far.example
To: bounces@customer.example
Subject: Undeliverable
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message was not delivered.

--b
Content-Type: message/delivery-status

nothing that could be read

--b--
"""
)

SHAPED = _mail(
    """From: MAILER-DAEMON@far.example
To: bounces@customer.example
Subject: Undelivered Mail Returned to Sender

This is the mail system at host mx.far.example.

I'm sorry to have to inform you that your message could not be delivered to one or more recipients.

<reader@far.example>: host mx.far.example said: 550 5.1.1 <reader@far.example>: Recipient address rejected:
    User unknown (in reply to RCPT TO command)
"""
)
