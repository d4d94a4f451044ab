# ruff: noqa: E501 - samples are quoted as they come
"""Bounces as mail systems are known to write them, shortened to what matters; every address is an example.

Each form: name, header lines, body, the recipients it speaks of, the status of the first one (None: not
told).
"""

from __future__ import annotations

from typing import NamedTuple


class Form(NamedTuple):
    name: str
    header: str
    body: str
    recipients: tuple[str, ...]
    status: str | None = None
    action: str = "failed"

    @property
    def content(self) -> bytes:
        text = f"{self.header.strip()}\nTo: <sender@example.com>\n\n{self.body.lstrip(chr(10))}"
        return text.encode()


RETURNED = """\
Received: from client.example.com (client.example.com [192.0.2.7])
\tby mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
"""

DAEMON = "From: MAILER-DAEMON@mx.example.com (Mail Delivery Subsystem)\nSubject: %s"


def _daemon(subject: str = "Delivery failure") -> str:
    return DAEMON % subject


FORMS = (
    Form(
        "james",
        _daemon("Error! message not deliverable"),
        f"""
Hi. This is the James mail server at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.  Below
I include the list of recipients and the reason why I was unable to deliver
your message.

Failed recipient(s):
rcpt@example.net

Error message:
550 5.1.1 <rcpt@example.net>... User Unknown

The original message is attached.

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "mailmarshal",
        'From: postmaster@mx.example.com\nSubject: Undeliverable Mail: "Hello"',
        f"""
Your message:
   From:    sender@example.com
   Subject: Hello

Could not be delivered because of

550 5.1.1 User unknown

The following recipients were affected:
    rcpt@example.net

Additional Information
======================
Original Sender:    <sender@example.com>
Sender-MTA:         <192.0.2.7>
Remote-MTA:         <192.0.2.9>

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "domino",
        "From: Postmaster@example.net\nSubject: DELIVERY FAILURE: User Rcpt (rcpt@example.net) not listed in Domino Directory",
        f"""
Your message

  Subject: Hello

was not delivered to:

  rcpt@example.net

because:

  User Rcpt (rcpt@example.net) not listed in Domino Directory



{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "notes",
        "Return-Path: <>\nFrom: Notes SMTP MTA <mail@example.net>\nSubject: NDN: Hello",
        f"""
------- Failure Reasons  --------

User not listed in public Name & Address Book
rcpt@example.net


------- Returned Message --------

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "groupwise",
        "From: Mailer-Daemon@example.net\nSubject: Message status - undeliverable",
        f"""
The message that you sent was undeliverable to the following:
\trcpt@example.net (user not found)

Possibly truncated original message follows:

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "groupwise names without domains",
        "From: Mailer-Daemon@example.net\nSubject: Message status - undeliverable",
        f"""
The attached file had the following undeliverable recipient(s):
\trcpt

Transcript of session follows:
Command:	RCPT
Response:	550 user unknown

{RETURNED}""",
        ("rcpt@example.net",),
        "5.0.0",
    ),
    Form(
        "exchange 2003",
        "From: System Administrator <postmaster@example.net>\nSubject: Undeliverable: Hello",
        f"""
Your message did not reach some or all of the intended recipients.

      Subject:\tHello
      Sent:\t4/4/2024 10:11 AM

The following recipient(s) could not be reached:

      rcpt@example.net on 4/4/2024 10:11 AM
            The e-mail account does not exist at the organization this message was sent to.  Check the e-mail address, or contact the recipient directly to find out the correct address.
            <mx.example.net #5.1.1>

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "exchange 5.5 without an address",
        "From: System Administrator <postmaster@example.net>\nSubject: Undeliverable: Hello",
        f"""
Your message

  To:      rcpt@example.net
  Subject: Hello
  Sent:    Thu, 4 Apr 2024 10:11:12 -0000

did not reach the following recipient(s):

Recipient, Some on Thu, 4 Apr 2024 10:11:15 -0000
    The recipient name is not recognized
\tThe MTS-ID of the original message is: c=us;a= ;p=example;l=MX-240404101115Z-1
    MSEXCH:IMS:Example:SITE:MX 0 (000C05A6) Unknown Recipient

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "iplanet",
        "From: Internet Mail Delivery <postmaster@mx.example.com>\nSubject: Delivery Notification: Delivery has failed",
        f"""
This report relates to a message you sent with the following header fields:

  Message-id: <4711@example.com>
  Date: Thu, 4 Apr 2024 10:11:12 +0000
  From: Sender <sender@example.com>
  To: rcpt@example.net
  Subject: Hello

Your message cannot be delivered to the following recipients:

  Recipient address: rcpt@example.net
  Reason: Remote SMTP server has rejected address
  Diagnostic code: smtp;550 5.1.1 <rcpt@example.net>... User Unknown
  Remote system: dns;mx.example.net (TCP|192.0.2.7|1|192.0.2.9|25) (mx.example.net ESMTP)

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "mcafee",
        _daemon("Mail delivery problem"),
        f"""
  --- The following addresses had delivery problems ---

<rcpt@example.net>   (User unknown rcpt@example.net)

 ----- Original message follows -----
{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "mxlogic",
        "From: Mail Delivery System <mailer-daemon@mx.example.com>\nSubject: Mail delivery failed: returning message to sender",
        f"""
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  <rcpt@example.net>: 550 5.1.1 <rcpt@example.net>... User Unknown


Included is a copy of the message header:
-----------------------------------------
{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "mfilter",
        "From: Mailer-Daemon@example.net\nSubject: failure notice",
        f"""
次のメールは送信できませんでした。

-------server message
550 5.1.1 unknown user <rcpt@example.net>

-------original mail info
{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "kddi over quota",
        "Return-Path: <>\nFrom: no-reply@app.example.ne.jp\nSubject: Mail System Error - Returned Mail",
        f"""
Your mail sent on: Thu, 4 Apr 2024 10:11:12 +0900

     Could not be delivered to: <rcpt@example.net>

     As their mailbox is full.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "mailfoundry",
        "From: Mailer-Daemon@mx.example.com\nSubject: Message delivery has failed",
        f"""
This is a delivery failure notification.

Unable to deliver message to: <rcpt@example.net>
Delivery failed for the following reason:
Server mx.example.net[192.0.2.9] failed with: 550 <rcpt@example.net> No such user here

This has been a permanent failure.  No further delivery attempts will be made.

{RETURNED}""",
        ("rcpt@example.net",),
        "5.0.0",
    ),
    Form(
        "old sendmail",
        _daemon("Returned mail: User unknown"),
        f"""
   ----- Transcript of session follows -----
While talking to mx.example.net:
>>> RCPT To:<rcpt@example.net>
<<< 550 5.1.1 <rcpt@example.net>... User Unknown
550 <rcpt@example.net>... User unknown

   ----- Unsent message follows -----
{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "older sendmail, local",
        _daemon("Returned mail: unknown mailer error 2"),
        f"""
   ----- Transcript of session follows -----
550 rcpt@example.net... User unknown

   ----- Recipients of this delivery -----
Bounced, cannot deliver:
   <rcpt@example.net>

   ----- Message header follows -----
{RETURNED}""",
        ("rcpt@example.net",),
        "5.0.0",
    ),
    Form(
        "biglobe",
        "From: postmaster@example.ne.jp\nSubject: Returned mail: Message size exceeds fixed maximum",
        f"""
   ----- The following addresses had delivery problems -----
rcpt@example.net

   ----- Non-delivered information -----
The number of messages in recipient's mailbox exceeded the local limit.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "gmx",
        "From: Mail Delivery System <mailer-daemon@mx.example.com>\nSubject: Mail delivery failed: returning message to sender",
        f"""
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address
failed:

"rcpt@example.net":
SMTP error from remote server after RCPT command:
host: mx.example.net
5.1.1 <rcpt@example.net>... User Unknown


--- The header of the original message is following. ---

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "imail quota",
        'From: "Postmaster" <postmaster@example.net>\nSubject: Undeliverable Mail\nX-Mailer: <SMTP32 v8.22>',
        f"""
User mailbox exceeds allowed size: rcpt@example.net


Original message follows.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "imail attempts",
        'From: "Postmaster" <postmaster@example.net>\nSubject: Undeliverable Mail\nX-Mailer: <SMTP32 v8.22>',
        f"""
Delivery failed 20 attempts: rcpt@example.net


Original message follows.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "courier",
        'From: "Courier mail server at mx.example.com" <@>\nReturn-Path: <>\nSubject: NOTICE: mail delivery status.',
        f"""
This is a delivery status notification from mx.example.com,
running the Courier mail server, version 0.65.

The original message was received on Thu, 4 Apr 2024 10:11:12 +0000
from client.example.com (client.example.com [192.0.2.7])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<rcpt@example.net>:
    mx.example.net [192.0.2.9]:
>>> RCPT TO:<rcpt@example.net>
<<< 550 5.1.1 <rcpt@example.net>: User unknown

---------------------------------------------------------------------------

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "exim with several recipients",
        "From: Mail Delivery System <Mailer-Daemon@mx.example.com>\nSubject: Mail delivery failed: returning message to sender",
        f"""
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  one@example.net
    SMTP error from remote mail server after RCPT TO:<one@example.net>:
    host mx.example.net [192.0.2.9]: 550 5.1.1 <one@example.net>: unknown user
  two@example.org
    (generated from alias@example.com)
    retry timeout exceeded
  three@example.invalid
    Unrouteable address

------ This is a copy of the message, including all the headers. ------

{RETURNED}""",
        ("one@example.net", "two@example.org", "three@example.invalid"),
        "5.1.1",
    ),
    Form(
        "exim warning",
        "From: Mail Delivery System <Mailer-Daemon@mx.example.com>\nSubject: Warning: message 1abcDE-0000fG-2H delayed 24 hours",
        """
This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.com.

The message identifier is:     1abcDE-0000fG-2H
The subject of the message is: Hello
The date of the message is:    Thu, 4 Apr 2024 10:11:12 +0000

The address to which the message has not yet been delivered is:

  rcpt@example.net
    Delay reason: connection timed out

No action is required on your part. Delivery attempts will continue for
some time, and this warning may be repeated at intervals if the message
remains undelivered.
""",
        ("rcpt@example.net",),
        None,
        "delayed",
    ),
    Form(
        "qmail with two recipients and no host",
        "From: MAILER-DAEMON@mx.example.com\nSubject: failure notice",
        f"""
Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<one@example.invalid>:
Sorry, I couldn't find any host named example.invalid. (#5.1.2)

<two@example.net>:
Sorry, no mailbox here by that name. (#5.1.1)

--- Below this line is a copy of the message.

{RETURNED}""",
        ("one@example.invalid", "two@example.net"),
        "5.1.2",
    ),
    Form(
        "mdaemon",
        'From: "MDaemon at mx.example.com" <MDaemon@mx.example.com>\nReturn-Path: <>\nSubject: Permanent Delivery Failure',
        f"""
The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.  The number and frequency
of delivery attempts are determined by local configuration.

YOUR MESSAGE WAS NOT DELIVERED TO ONE OR MORE RECIPIENTS!

Failed address: rcpt@example.net

--- Session Transcript ---
 Thu 2024-04-04 10:11:12: <-- 220 mx.example.net ESMTP
 Thu 2024-04-04 10:11:12: --> EHLO mx.example.com
 Thu 2024-04-04 10:11:13: --> MAIL From:<sender@example.com> SIZE=2048
 Thu 2024-04-04 10:11:13: <-- 250 2.1.0 Ok
 Thu 2024-04-04 10:11:13: --> RCPT To:<rcpt@example.net>
 Thu 2024-04-04 10:11:13: <-- 550 5.1.1 <rcpt@example.net>: Recipient address rejected: User unknown
--- End Transcript ---

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "communigate",
        "From: <MAILER-DAEMON@mx.example.com>\nSubject: Undeliverable mail",
        f"""
Failed to deliver to '<rcpt@example.net>'
SMTP module(domain example.net) reports:
 host mx.example.net says:
 550 5.1.1 unknown user account

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "hmailserver",
        "From: mailer-daemon@mx.example.com\nSubject: Message undeliverable: Hello",
        f"""
Your message did not reach some or all of the intended recipients.

   Sent: Thu, 4 Apr 2024 10:11:12 +0000
   Subject: Hello

The following recipient(s) could not be reached:

rcpt@example.net
   Error Type: SMTP
   Remote server (192.0.2.9) issued an error.
   hMailServer sent: RCPT TO:<rcpt@example.net>
   Remote server replied: 550 5.1.1 <rcpt@example.net>: Recipient address rejected


hMailServer

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "smartermail",
        'From: "System Administrator" <system@mx.example.com>\nSubject: Delivery Failure',
        f"""
Could not deliver message to the following recipient(s):

Failed Recipient: rcpt@example.net
Reason: Remote host said: 550 5.1.1 No such user

   -- The header and top 20 lines of the message follows --

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "xmail",
        "From: root@mx.example.com\nReturn-Path: <>\nX-MailerDaemon: mx.example.com\nSubject: Error sending message [1712225472000.42.mx] from [example.com]",
        f"""
[<00>] XMail bounce: Rcpt=[rcpt@example.net];Error=[The maximum number of delivery attempts has been reached]


[<01>] Error sending message [1712225472000.42.mx] from [example.com].

ID:        <S4711>
Mail From: <sender@example.com>
Rcpt To:   <rcpt@example.net>
Server:    <mx.example.net> [192.0.2.9]


[<02>] The reason of the delivery failure was:

550 5.1.1 No such user


[<05>] Here is listed the initial part of the message:

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "smail",
        "From: <MAILER-DAEMON@mx.example.com>\nSubject: mail failed, returning to sender",
        f"""
|------------------------- Message log follows: -------------------------|
 no valid recipients were found for this message
|------------------------- Failed addresses follow: ---------------------|
 <rcpt@example.net> ... unknown host
|------------------------- Message text follows: ------------------------|
{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "mmdf",
        "From: Memo Service (MMDF 2.32) <mmdf@mx.example.com>\nReturn-Path: <>\nSubject: Failed mail (msg.aa04711)",
        f"""
    Your message could not be delivered to
'rcpt@example.net (host: mx.example.net) (queue: smtp)' for the following
reason:  ' Unknown user'


    Your message follows:

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "mercury",
        'From: "Electronic Postmaster" <postmaster@mx.example.com>\nSubject: Postmaster Notify: Delivery Failure.',
        f"""
The attached message has failed delivery and has been referred
to you as postmaster at this site. The following error report
was given to explain the problem:

   *** rcpt@example.net
   User not known at this site.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "netease, in Chinese",
        "From: Postmaster@163.example\nSubject: 系统退信",
        f"""
抱歉，您的邮件被退回来了……
原邮件信息：
时　间：2024-04-04 10:11:12
主　题：Hello
收件人：rcpt@example.net
退信原因：
收件人邮件地址不存在
英文说明：550 5.1.1 User not found: rcpt@example.net

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "german exchange",
        "From: <postmaster@example.net>\nSubject: Unzustellbar: Hello",
        f"""
Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:

rcpt@example.net<mailto:rcpt@example.net>
Die eingegebene E-Mail-Adresse konnte nicht gefunden werden.

Diagnoseinformationen für Administratoren:

Generierender Server: MX.example.net

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Ursprüngliche Nachrichtenkopfzeilen:

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "spanish",
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>\nSubject: Delivery Status Notification (Failure)",
        f"""
** No se ha encontrado la dirección **

Tu mensaje no se ha entregado a rcpt@example.net porque no se ha encontrado la dirección o esta no puede recibir correo.

La respuesta ha sido:

550 5.1.1 The email account that you tried to reach does not exist.

----- Mensaje original -----

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "zimbra transient",
        "From: MAILER-DAEMON@mx.example.com (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender",
        f"""
This is the mail system at host mx.example.com.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

<rcpt@example.net>: host mx.example.net[192.0.2.9] said: 452-4.2.2 The email
    account that you tried to reach is over quota. Please 452-4.2.2 direct the
    recipient to 452 4.2.2 https://mail.example/quota (in reply to RCPT TO command)

{RETURNED}""",
        ("rcpt@example.net",),
        "4.2.2",
    ),
    Form(
        "yahoo",
        "From: MAILER-DAEMON@yahoo.example\nSubject: Failure Notice",
        f"""
Sorry, we were unable to deliver your message to the following address.

<rcpt@example.net>:
No MX or A records for example.net

--- Below this line is a copy of the message.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "google groups",
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>\nSubject: Delivery Status Notification (Failure)\nX-Failed-Recipients: group@example.net",
        f"""
Hello sender@example.com,

We're writing to let you know that the group you tried to contact (group) may not exist, or you may not have permission to post messages to the group. A few more details on why you weren't able to post:

 * You might have spelled or formatted the group name incorrectly.

Thanks,

----- Original message -----

{RETURNED}""",
        ("group@example.net",),
    ),
    Form(
        "powermta",
        "From: PowerMTA <postmaster@mx.example.com>\nSubject: Delivery report",
        f"""
Hello, this is the mail server on mx.example.com.

I am sending you this message to inform you on the delivery status of a
message you previously sent.  Immediately below you will find a list of
the affected recipients;  also attached is a Delivery Status Notification
(DSN) report in standard format, as well as the headers of the original
message.

  <rcpt@example.net>  delivery failed; will not continue trying

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "interscan",
        "From: imss@example.net\nReturn-Path: <>\nSubject: Mail could not be delivered",
        f"""
****** Message from InterScan E-Mail VirusWall NT ******

Sent >>> RCPT TO:<rcpt@example.net>
Received <<< 550 5.1.1 unknown user.

Unable to deliver message to <rcpt@example.net>.

************************     End of message     **********************

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "japanese provider",
        "From: Mail Delivery System <MAILER-DAEMON@example.ne.jp>\nSubject: メール配信エラーのお知らせ",
        f"""
下記の宛先にメールを配信できませんでした。

<rcpt@example.net>
メールアドレスが存在しません。

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "fml",
        "From: fml-admin@lists.example.net (list server)\nReturn-Path: <MAILER-DAEMON@lists.example.net>\nSubject: NOT MEMBER article from sender@example.com (list ML)",
        f"""
Your mail could not be delivered to the members:
You <sender@example.com> are not member of <list@lists.example.net>.

Original mail as follows:

{RETURNED.replace("rcpt@example.net", "list@lists.example.net")}""",
        ("list@lists.example.net",),
    ),
    Form(
        "french exchange 2003",
        "From: Administrateur systeme <postmaster@example.net>\nSubject: Non remis : Hello",
        f"""
Votre message n'a pas atteint certains ou tous les destinataires prévus.

      Objet :\tHello
      Date :\t04/04/2024 10:11

Impossible de joindre le ou les destinataires suivants :

      rcpt@example.net le 04/04/2024 10:11
            Le compte de messagerie n'existe pas dans l'organisation.
            <mx.example.net #5.1.1>

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "german domino",
        "From: Postmaster@example.net\nSubject: ZUSTELLUNGSFEHLER: Benutzer nicht im Verzeichnis",
        f"""
Ihre Nachricht

  Betreff: Hello

konnte nicht zugestellt werden an:

  rcpt@example.net

weil:

  Benutzer Rcpt (rcpt@example.net) nicht im Domino-Verzeichnis aufgelistet

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "netscape",
        "From: Mail Administrator <Postmaster@example.net>\nSubject: Mail System Error - Returned Mail",
        f"""
This Message was undeliverable due to the following reason:

The user(s) account is temporarily over quota.

<rcpt@example.net>

Please reply to Postmaster@example.net
if you feel this message to be in error.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "a sentence only",
        "From: Mail Delivery <postmaster@example.net>\nSubject: Undeliverable mail",
        f"""
The following message could not be delivered because the address rcpt@example.net does not exist.

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "an unknown local part",
        "From: Mail Delivery System <mailer-daemon@example.net>\nSubject: Mail failure",
        f"""
Unable to deliver mail: unknown local part "rcpt" in <rcpt@example.net>

{RETURNED}""",
        ("rcpt@example.net",),
    ),
    Form(
        "tencent",
        "From: PostMaster@qq.example\nSubject: 来自qq.example的退信",
        f"""
尊敬的用户：

很抱歉您发送的邮件被退回，以下是该邮件的相关信息：

被退回邮件 主 题：Hello
无法发送到 rcpt@example.net
退信原因 邮件帐号不存在
host mx.example.net said: 550 5.1.1 mailbox not found

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "html only",
        "From: Microsoft Outlook <postmaster@example.net>\nSubject: Undeliverable: Hello\nContent-Type: text/html; charset=utf-8",
        """
<html><body><p>Your message to <a href="mailto:rcpt@example.net">rcpt@example.net</a> couldn't be delivered.</p>
<p>rcpt wasn't found at example.net.</p><p>Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound'</p>
</body></html>""",
        ("rcpt@example.net",),
        "5.1.10",
    ),
    Form(
        "bigfoot",
        _daemon("Returned mail: User unknown"),
        f"""
   ----- The following addresses had permanent fatal errors -----
<rcpt@example.net>

   ----- Transcript of session follows -----
>>> DATA
<<< 553 Invalid recipient rcpt@example.net (Mode: normal)

   ----- Message header follows -----
{RETURNED}""",
        ("rcpt@example.net",),
        "5.0.0",
    ),
    Form(
        "russian",
        "From: mailer-daemon@yandex.example\nSubject: Недоставленное сообщение",
        f"""
Это письмо отправлено почтовым сервером.

К сожалению, мы вынуждены сообщить Вам о том, что Ваше письмо не может
быть отправлено одному или нескольким адресатам.

<rcpt@example.net>: host mx.example.net[192.0.2.9] said: 550 5.7.1 No such user!
    (in reply to RCPT TO command)

{RETURNED}""",
        ("rcpt@example.net",),
        "5.7.1",
    ),
    Form(
        "korean",
        "From: MAILER-DAEMON@example.kr\nSubject: 메일 전송 실패 안내",
        f"""
아래 수신자에게 메일을 전송하지 못했습니다.

수신자: rcpt@example.net
사유: 550 5.1.1 사용자를 찾을 수 없습니다

{RETURNED}""",
        ("rcpt@example.net",),
        "5.1.1",
    ),
    Form(
        "delay in several languages",
        "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example.com>\nSubject: Warning: could not send message for past 4 hours",
        f"""
    **********************************************
    **      THIS IS A WARNING MESSAGE ONLY      **
    **  YOU DO NOT NEED TO RESEND YOUR MESSAGE  **
    **********************************************

The original message was received at Thu, 4 Apr 2024 10:11:12 +0000

   ----- Transcript of session follows -----
451 4.4.1 rcpt@example.net... reply: read error from mx.example.net
rcpt@example.net... Deferred: Connection timed out
Warning: message still undelivered after 4 hours
Will keep trying until message is 5 days old

{RETURNED}""",
        ("rcpt@example.net",),
        "4.4.1",
        "delayed",
    ),
)
