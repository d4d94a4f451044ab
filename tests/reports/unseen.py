# ruff: noqa: E501 - samples are quoted as they come
"""Bounces that rules were not written for: forms of mail systems as their manuals and habits have them.

Each: the message, its recipients, the status of the first one (None: not told), the action. They are a check,
not a source: where one is missed, look for the general rule that lacks.
"""

UNSEEN = {
    "haraka": (
        """\
From: MAILER-DAEMON@mx.example.net
To: sender@example.com
Subject: failed mail delivery

Hi. This is the Haraka mailer program at mx.example.net.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

Intended Recipients: <rcpt@example.net>
Failure Reason: Error: 550 5.1.1 no such user

--- Below the next line is a copy of the message.

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "postfix minimal": (
        """\
From: MAILER-DAEMON@example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: sender@example.com

This is the mail system at host mx.example.net.

I'm sorry to have to inform you that your message could not
be delivered to one or more recipients. It's attached below.

                   The mail system

<rcpt@example.net>: unknown user: "rcpt"
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "postfix delayed": (
        """\
From: MAILER-DAEMON@example.net (Mail Delivery System)
Subject: Delayed Mail (still being retried)
To: sender@example.com

This is the mail system at host mx.example.net.

####################################################################
# THIS IS A WARNING ONLY.  YOU DO NOT NEED TO RESEND YOUR MESSAGE. #
####################################################################

Your message could not be delivered for more than 4 hour(s).
It will be retried until it is 5 day(s) old.

<rcpt@example.net>: connect to mx.example.net[192.0.2.1]:25: Connection timed out
""",
        ("rcpt@example.net",),
        None,
        "delayed",
    ),
    "exim": (
        """\
X-Failed-Recipients: rcpt@example.net
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@mx.example.com>
To: sender@example.com
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  rcpt@example.net
    host mx.example.net [192.0.2.1]
    SMTP error from remote mail server after RCPT TO:<rcpt@example.net>:
    550 5.7.1 <rcpt@example.net>... we do not relay

------ This is a copy of the message, including all the headers. ------

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.7.1",
        "failed",
    ),
    "qmail": (
        """\
From: MAILER-DAEMON@mx.example.com
To: sender@example.com
Subject: failure notice

Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<rcpt@example.net>:
192.0.2.1 does not like recipient.
Remote host said: 554 5.7.1 <rcpt@example.net>: Recipient address rejected: Access denied
Giving up on 192.0.2.1.

--- Below this line is a copy of the message.

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.7.1",
        "failed",
    ),
    "opensmtpd": (
        """\
From: Mailer Daemon <MAILER-DAEMON@mx.example.com>
To: sender@example.com
Subject: Delivery status notification: error

    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this email.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

rcpt@example.net: 550 5.1.1 <rcpt@example.net>: user unknown

    Below is a copy of the original message:

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "dma": (
        """\
From: MAILER-DAEMON <>
To: sender@example.com
Subject: Mail delivery failed
Message-Id: <1@host>

This is the DragonFly Mail Agent v0.11 at host.example.com.

There was an error delivering your mail to <rcpt@example.net>.

mx.example.net [192.0.2.1] did not like our RCPT TO:
550 5.1.1 unknown

Message headers follow.

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "zoho": (
        """\
From: mailer-daemon@mail.zoho.example
To: sender@example.com
Subject: Undelivered Mail Returned to Sender

This message was created automatically by mail delivery software.
 A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

rcpt@example.net, ERROR_CODE :550, ERROR_CODE :5.1.1 The email account that you tried to reach does not exist

Received:from mail.zoho.example by mx.zohomail.example
	with SMTP id 1; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID:<4711@example.com>
From:sender@example.com
To:rcpt@example.net
Subject:Hello
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "gmx": (
        """\
From: "GMX Mailer Daemon" <mailer-daemon@gmx.example>
To: sender@example.com
Subject: Mail delivery failed: returning message to sender

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of
its recipients. This is a permanent error. The following address(es)
failed:

rcpt@example.net:
SMTP error from remote server for RCPT TO command, host: mx.example.net (192.0.2.1) reason: 550 5.1.1 User unknown


--- The header of the original message is following. ---

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "icloud-ish": (
        """\
From: Mail Delivery System <MAILER-DAEMON@icloud.example>
To: sender@example.com
Subject: Returned mail: see transcript for details

Your message could not be delivered.

Reason: 552 5.2.2 <rcpt@example.net>: user is over quota

The recipient rcpt@example.net has exceeded their limit for storage.
""",
        ("rcpt@example.net",),
        "5.2.2",
        "failed",
    ),
    "mimecast": (
        """\
From: postmaster@mimecast.example
To: sender@example.com
Subject: [Postmaster] Email Delivery Failure

This is a delivery failure notification message which indicates that
an email you addressed to email address :
-- rcpt@example.net

could not be delivered. The problem appears to be :
-- Recipient email server rejected the message

Additional information follows :
-- 5.4.1 [rcpt@example.net]: Recipient address rejected: Access denied.

This condition occurred after 1 attempt(s) to deliver over a period of 0 hour(s).
""",
        ("rcpt@example.net",),
        "5.4.1",
        "failed",
    ),
    "proofpoint quarantine": (
        """\
From: Mail Delivery Subsystem <MAILER-DAEMON@pphosted.example>
To: sender@example.com
Subject: Returned mail: see transcript for details

The original message was received at Thu, 4 Apr 2024 10:11:12 GMT
from m0001.pphosted.example [127.0.0.1]

   ----- The following addresses had permanent fatal errors -----
<rcpt@example.net>
    (reason: 550 5.1.1 User Unknown)

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> DATA
<<< 550 5.1.1 User Unknown
550 5.1.1 <rcpt@example.net>... User unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "barracuda": (
        """\
From: postmaster@barracuda.example
To: sender@example.com
Subject: **Message you sent blocked by our bulk email filter**

Your message to: rcpt@example.net
was blocked by our Spam Firewall. The email you sent with the following subject has NOT BEEN DELIVERED:

Subject: Hello
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "symantec": (
        """\
From: MAILER-DAEMON@messagelabs.example
To: sender@example.com
Subject: failure notice

This is the mail delivery agent at messagelabs.example.
I was unable to deliver your message to the following addresses:

rcpt@example.net

Reason: 550 5.1.1 RESOLVER.ADR.RecipNotFound; not found

The message subject was: Hello
The message date was: Thu, 4 Apr 2024
The message identifier was: 1
The message reference was: 2

Please do not reply to this email as it is sent from an unattended
mailbox.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "kerio": (
        """\
From: Mail Delivery Subsystem <mailer-daemon@example.net>
To: sender@example.com
Subject: Delivery failure (rcpt@example.net)

This is an automatically generated Delivery Status Notification.

Your message has encountered delivery problems to the following recipient(s):

rcpt@example.net
Delivery failed
550 5.1.1 User unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "icewarp": (
        """\
From: <mailer-daemon@example.net>
To: sender@example.com
Subject: Delivery Failure: Hello

This is the mail system at host mx.example.net

Your message could not be delivered.

<rcpt@example.net>
 mx.example.net (192.0.2.1): 550 5.1.1 <rcpt@example.net> User unknown; rejecting
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "mdaemon": (
        """\
From: "MDaemon at example.net" <MDaemon@example.net>
To: sender@example.com
Subject: Permanent Delivery Failure
X-MDaemon-Deliver-To: sender@example.com

The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

YOUR DATA FILE IS ATTACHED TO THIS MESSAGE.

Failed address: rcpt@example.net

--- Session Transcript ---
 Thu 2024-04-04 10:11:12: <-- 550 5.1.1 <rcpt@example.net>, Recipient unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "courier": (
        """\
From: "Courier mail server at mx.example.com" <@>
To: sender@example.com
Subject: NOTICE: mail delivery status.

This is a delivery status notification from mx.example.com,
running the Courier mail server, version 0.65.

The original message was received on Thu, 4 Apr 2024
from client.example.com

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<rcpt@example.net>:
    mx.example.net [192.0.2.1]:
>>> RCPT TO:<rcpt@example.net>
<<< 550 5.1.1 User unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "smartermail": (
        """\
From: "System Administrator" <system.administrator@example.net>
To: sender@example.com
Subject: Delivery Failure

Could not deliver message to the following recipient(s):

Failed Recipient: rcpt@example.net
Reason: Remote host said: 550 5.1.1 No such user

   -- The header and top 20 lines of the message follows --

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "hmail": (
        """\
From: mailer-daemon@example.net
To: sender@example.com
Subject: Message undeliverable: Hello

Your message did not reach some or all of the intended recipients.

   Sent: Thu, 4 Apr 2024 10:11:12 +0200
   Subject: Hello

The following recipient(s) could not be reached:

rcpt@example.net
   Error Type: SMTP
   Remote server (192.0.2.1) issued an error.
   hMailServer sent: RCPT TO:<rcpt@example.net>
   Remote server replied: 550 5.1.1 No such user


hMailServer
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "xmail": (
        """\
From: PostMaster <postmaster@example.com>
To: sender@example.com
Subject: Error sending message [1.2.mx] from [mx.example.com]

[<00>] XMail bounce: Rcpt=[rcpt@example.net];Error=[550 5.1.1 user unknown]

[<01>] Error sending message [1.2.mx] from [mx.example.com].

ID:        <S1>
Mail From: <sender@example.com>
Rcpt To:   <rcpt@example.net>
Server:    <mx.example.net>

[<02>] The reason of the delivery failure was:

550 5.1.1 user unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "communigate": (
        """\
From: MAILER-DAEMON@example.com
To: sender@example.com
Subject: Undeliverable mail: Hello

Failed to deliver to '<rcpt@example.net>'
SMTP module(domain example.net) reports:
 host mx.example.net says:
 550 5.1.1 user unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "lotus": (
        """\
From: Postmaster@example.net
To: sender@example.com
Subject: DELIVERY FAILURE: User rcpt (rcpt@example.net) not listed in Domino Directory

Your message

  Subject: Hello

was not delivered to:

  rcpt@example.net

because:

  User rcpt (rcpt@example.net) not listed in Domino Directory
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "groupwise": (
        """\
From: Mailer-Daemon@example.net
To: sender@example.com
Subject: Message status - undeliverable

The message that you sent was undeliverable to the following:
	rcpt@example.net (user not found)

Possibly truncated original message follows:

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "exchange 2013 text": (
        """\
From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@example.net>
To: sender@example.com
Subject: Undeliverable: Hello

Delivery has failed to these recipients or groups:

rcpt@example.net<mailto:rcpt@example.net>
The email address you entered couldn't be found. Please check the recipient's email address and try to resend the message. If the problem continues, please contact your helpdesk.


Diagnostic information for administrators:

Generating server: mx.example.net

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Original message headers:

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "office365 wide": (
        """\
From: postmaster@outlook.example
To: sender@example.com
Subject: Undeliverable: Hello
Content-Type: text/html

<html><body><p><b>rcpt@example.net</b> wasn't found at example.net.</p><table><tr><td>sender</td><td>Office 365</td><td>rcpt</td></tr></table><h3>How to Fix It</h3><p>The address may be misspelled or may not exist.</p><p>Status code: 550 5.1.10</p><p>Error: 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient rcpt@example.net not found by SMTP address lookup</p></body></html>""",
        ("rcpt@example.net",),
        "5.1.10",
        "failed",
    ),
    "yahoo new": (
        """\
From: MAILER-DAEMON@yahoo.example
To: sender@example.com
Subject: Failure Notice

Sorry, we were unable to deliver your message to the following address.

<rcpt@example.net>:
550: 5.1.1 <rcpt@example.net>: Recipient address rejected: User unknown in virtual mailbox table

--- Forwarded message ---
Hello
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "aol": (
        """\
From: MAILER-DAEMON@aol.example
To: sender@example.com
Subject: Mail Delivery Problem

Your mail to the following recipients could not be delivered because they are not accepting mail from sender@example.com:
	rcpt

The address is rcpt@aol.example
""",
        ("rcpt@aol.example",),
        None,
        "failed",
    ),
    "gmail text": (
        """\
From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>
To: sender@example.com
Subject: Delivery Status Notification (Failure)
X-Failed-Recipients: rcpt@example.net

** Address not found **

Your message wasn't delivered to rcpt@example.net because the address couldn't be found, or is unable to receive mail.

The response from the remote server was:
550 5.1.1 <rcpt@example.net>: user unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "gmail old": (
        """\
From: Mail Delivery Subsystem <mailer-daemon@googlemail.example>
To: sender@example.com
Subject: Delivery Status Notification (Failure)

Delivery to the following recipient failed permanently:

     rcpt@example.net

Technical details of permanent failure:
Google tried to deliver your message, but it was rejected by the recipient domain. We recommend contacting the other email provider for further information about the cause of this error. The error that the other server returned was: 550 550 5.1.1 <rcpt@example.net>: Recipient address rejected (state 14).

----- Original message -----

Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "mailru": (
        """\
From: mailer-daemon@corp.mail.example
To: sender@example.com
Subject: Mail failure.

This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  rcpt@example.net
    user not found
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "yandex": (
        """\
From: mailer-daemon@yandex.example
To: sender@example.com
Subject: =?utf-8?b?0J3QtdC00L7RgdGC0LDQstC70LXQvdC90L7QtSDRgdC+0L7QsdGJ0LXQvdC40LU=?=
Content-Type: text/plain; charset=utf-8

Это письмо отправлено почтовым сервером yandex.example.

К сожалению, мы вынуждены сообщить Вам о том, что Ваше письмо не может
быть отправлено одному или нескольким адресатам. Технические подробности можно найти ниже.

<rcpt@example.net>: host mx.example.net[192.0.2.1] said: 550 5.1.1
    User unknown (in reply to RCPT TO command)
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "163": (
        """\
From: Postmaster@163.example
To: sender@example.com
Subject: =?utf-8?b?57O757uf6YCA5L+h?=
Content-Type: text/plain; charset=utf-8

很抱歉，您的邮件没有成功投递到以下收件人：

rcpt@163.example

退信原因：550 User not found: rcpt@163.example
""",
        ("rcpt@163.example",),
        "5.0.0",
        "failed",
    ),
    "biglobe ja": (
        """\
From: Mail Delivery Subsystem <MAILER-DAEMON@biglobe.example>
To: sender@example.com
Subject: Returned mail: User unknown
Content-Type: text/plain; charset=utf-8

下記の宛先にメールを配信できませんでした。

   ----- The following addresses had delivery problems -----
<rcpt@biglobe.example>   (unrecoverable error)
""",
        ("rcpt@biglobe.example",),
        None,
        "failed",
    ),
    "docomo": (
        """\
From: Mail Administrator <postmaster@docomo.example>
To: sender@example.com
Subject: Mail System Error - Returned Mail

This Message was undeliverable due to the following reason:

Each of the following recipients was rejected by a remote mail server.
The reasons given by the server are included to help you determine why
each recipient was rejected.

    Recipient: <rcpt@docomo.example>
    Reason:    Unknown user rcpt@docomo.example

Please reply to <postmaster@docomo.example>
if you feel this message to be in error.
""",
        ("rcpt@docomo.example",),
        None,
        "failed",
    ),
    "t-online de": (
        """\
From: <mailer-daemon@t-online.example>
To: sender@example.com
Subject: Ihre E-Mail konnte nicht zugestellt werden
Content-Type: text/plain; charset=utf-8

Ihre E-Mail mit dem Betreff "Hallo" konnte an folgende Empfänger nicht zugestellt werden:

rcpt@t-online.example

Grund: 550 user unknown
""",
        ("rcpt@t-online.example",),
        "5.0.0",
        "failed",
    ),
    "orange fr": (
        """\
From: postmaster@orange.example
To: sender@example.com
Subject: Message non délivré
Content-Type: text/plain; charset=utf-8

Votre message n'a pas pu être remis au(x) destinataire(s) suivant(s) :

<rcpt@orange.example> : 550 5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient.
""",
        ("rcpt@orange.example",),
        "5.1.1",
        "failed",
    ),
    "libero it": (
        """\
From: Mail Delivery System <MAILER-DAEMON@libero.example>
To: sender@example.com
Subject: Mancato recapito
Content-Type: text/plain; charset=utf-8

Il messaggio non è stato consegnato ai seguenti destinatari:

<rcpt@libero.example>: casella piena 552 5.2.2
""",
        ("rcpt@libero.example",),
        "5.2.2",
        "failed",
    ),
    "telefonica es": (
        """\
From: postmaster@telefonica.example
To: sender@example.com
Subject: Correo no entregado
Content-Type: text/plain; charset=utf-8

Su mensaje no ha podido ser entregado a los siguientes destinatarios:

rcpt@telefonica.example
   550 5.1.1 Usuario desconocido
""",
        ("rcpt@telefonica.example",),
        "5.1.1",
        "failed",
    ),
    "uol pt": (
        """\
From: MAILER-DAEMON@uol.example
To: sender@example.com
Subject: Mensagem não entregue
Content-Type: text/plain; charset=utf-8

Sua mensagem não pôde ser entregue aos destinatários abaixo:

<rcpt@uol.example>: 550 5.1.1 Usuario inexistente
""",
        ("rcpt@uol.example",),
        "5.1.1",
        "failed",
    ),
    "o2 pl": (
        """\
From: Mail Delivery System <MAILER-DAEMON@o2.example>
To: sender@example.com
Subject: Nie dostarczono wiadomości
Content-Type: text/plain; charset=utf-8

Twoja wiadomość nie mogła zostać dostarczona do:

rcpt@o2.example

550 5.1.1 Nieznany użytkownik
""",
        ("rcpt@o2.example",),
        "5.1.1",
        "failed",
    ),
    "seznam cz": (
        """\
From: postmaster@seznam.example
To: sender@example.com
Subject: Nedoručitelná zpráva
Content-Type: text/plain; charset=utf-8

Vaše zpráva nemohla být doručena na adresu:

<rcpt@seznam.example>: 550 5.1.1 Uživatel neexistuje
""",
        ("rcpt@seznam.example",),
        "5.1.1",
        "failed",
    ),
    "ziggo nl": (
        """\
From: Mail Delivery System <MAILER-DAEMON@ziggo.example>
To: sender@example.com
Subject: Onbestelbaar: Hallo
Content-Type: text/plain; charset=utf-8

Uw bericht kon niet worden afgeleverd bij:

rcpt@ziggo.example

552 5.2.2 Mailbox vol
""",
        ("rcpt@ziggo.example",),
        "5.2.2",
        "failed",
    ),
    "naver": (
        """\
From: <postmaster@naver.example>
To: sender@example.com
Subject: =?utf-8?b?67Cc7Iah7Iuk7YyoIOyViOuCtA==?=
Content-Type: text/plain; charset=utf-8

메일이 전송되지 못했습니다.

받는 사람 : rcpt@naver.example
실패 이유 : 550 5.1.1 존재하지 않는 메일 주소
""",
        ("rcpt@naver.example",),
        "5.1.1",
        "failed",
    ),
    "turkcell": (
        """\
From: MAILER-DAEMON@mail.example.tr
To: sender@example.com
Subject: Teslim edilemedi: Merhaba
Content-Type: text/plain; charset=utf-8

İletiniz aşağıdaki alıcılara teslim edilemedi:

rcpt@example.tr
550 5.1.1 Kullanıcı bulunamadı
""",
        ("rcpt@example.tr",),
        "5.1.1",
        "failed",
    ),
    "null path person system": (
        """\
Return-Path: <>
From: Example Mail <no-reply@example.net>
To: sender@example.com
Subject: Your message could not be delivered

The following message could not be delivered:

To: rcpt@example.net
Subject: Hello

Reason: Mailbox does not exist (550 5.1.1)
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "ironport": (
        """\
From: "Mail Delivery System" <MAILER-DAEMON@ironport.example>
To: sender@example.com
Subject: Delivery Status Notification (Failure)

The following message to <rcpt@example.net> was undeliverable.
The reason for the problem:
5.1.0 - Unknown address error 550-'5.1.1 User unknown'
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "ironport delay": (
        """\
From: "Mail Delivery System" <MAILER-DAEMON@ironport.example>
To: sender@example.com
Subject: Delivery Status Notification (Delay)

The following message to <rcpt@example.net> is delayed. Delivery will continue to be attempted.
The reason: 4.4.1 connection timed out
""",
        ("rcpt@example.net",),
        "4.4.1",
        "delayed",
    ),
    "sophos": (
        """\
From: Email Security <postmaster@sophos.example>
To: sender@example.com
Subject: Message could not be delivered

The following message, sent by this account, has violated system policy and was not delivered:

From: sender@example.com
To: rcpt@example.net
Subject: Hello
""",
        ("rcpt@example.net",),
        None,
        "failed",
    ),
    "fortimail": (
        """\
From: postmaster@fortimail.example
To: sender@example.com
Subject: Undeliverable mail - rcpt@example.net

Your email to rcpt@example.net could not be delivered.
Remote server response: 550 5.1.1 user unknown
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "sendgrid fwd": (
        """\
From: Mail Delivery System <bounces@sendgrid.example>
Return-Path: <>
To: sender@example.com
Subject: Undeliverable email

Your email to rcpt@example.net bounced with: 550 5.1.1 The email account does not exist
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "facebook": (
        """\
From: Facebook <mailer-daemon@mx.facebook.example>
To: sender@example.com
Subject: Sorry, your message could not be delivered

This message was created automatically by Facebook. Your message to

rcpt@facebook.example

could not be delivered: 550 5.1.1 RCP-P1 recipient
""",
        ("rcpt@facebook.example",),
        "5.1.1",
        "failed",
    ),
    "sympa": (
        """\
From: SYMPA <sympa@lists.example.net>
Return-Path: <>
To: sender@example.com
Subject: Message distribution: Error

Your message could not be delivered to list users@lists.example.net: you are not allowed to send to this list.

users@lists.example.net : 550 5.7.1 not allowed
""",
        ("users@lists.example.net",),
        "5.7.1",
        "failed",
    ),
    "old sun": (
        """\
From: Mail Delivery Subsystem <MAILER-DAEMON>
To: sender@example.com
Subject: Returned mail: Host unknown

   ----- Transcript of session follows -----
550 host.example.net (tcp)... 550 Host unknown
554 <rcpt@host.example.net>... 550 Host unknown (Authoritative answer from name server)

   ----- Unsent message follows -----
Received: from client.example.com (client.example.com [192.0.2.7])
	by mx.example.com with ESMTP id 4711; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <4711@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
""",
        ("rcpt@host.example.net",),
        "5.0.0",
        "failed",
    ),
    "vms": (
        """\
From: PMDF Mail Server <postmaster@vax.example.net>
To: sender@example.com
Subject: Undeliverable mail

The message could not be delivered to:

Addressee: rcpt@vax.example.net
Reason:
  %MAIL-E-NOSUCHUSR, no such user RCPT
""",
        ("rcpt@vax.example.net",),
        None,
        "failed",
    ),
    "stalwart": (
        """\
From: "Mail Delivery Subsystem" <MAILER-DAEMON@mx.example.com>
To: sender@example.com
Subject: Failed to deliver message

Your message could not be delivered to the following recipients:

<rcpt@example.net> (host 'mx.example.net' rejected command 'RCPT TO:<rcpt@example.net>' with code 550 (5.1.1) 'No such user')
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "maddy": (
        """\
From: Mail Delivery System <MAILER-DAEMON@mx.example.com>
To: sender@example.com
Subject: Undelivered Mail Returned to Sender

This is the mail delivery system at mx.example.com.

Unfortunately, your message could not be delivered to one or more
recipients. The usual cause of this problem is invalid
recipient address or maintenance at the recipient side.

Delivery to rcpt@example.net failed with error: mx.example.net said: 550 5.1.1 no such user
""",
        ("rcpt@example.net",),
        "5.1.1",
        "failed",
    ),
    "proton": (
        """\
From: MAILER-DAEMON@proton.example
To: sender@example.com
Subject: Undelivered Mail Returned to Sender

Your message could not be delivered to the following recipient(s):

rcpt@example.net: mx.example.net
  Remote server replied: 552 5.2.2 Mailbox full
""",
        ("rcpt@example.net",),
        "5.2.2",
        "failed",
    ),
    "amavis undeliver": (
        """\
From: "Content-filter at mx.example.net" <postmaster@mx.example.net>
To: sender@example.com
Subject: Undeliverable mail, SPAM

A message from <sender@example.com> to:
-> rcpt@example.net

was considered unsolicited bulk e-mail (UBE).

Delivery of the email was stopped! 554 5.7.0 Reject
""",
        ("rcpt@example.net",),
        "5.7.0",
        "failed",
    ),
    "exim delay": (
        """\
From: Mail Delivery System <Mailer-Daemon@mx.example.com>
To: sender@example.com
Subject: Warning: message 1abcde-000001-AA delayed 24 hours

This message was created automatically by mail delivery software.
A message that you sent has not yet been delivered to one or more of its
recipients after more than 24 hours on the queue on mx.example.com.

The address to which the message has not yet been delivered is:

  rcpt@example.net
    Delay reason: Connection timed out

No action is required on your part.
""",
        ("rcpt@example.net",),
        None,
        "delayed",
    ),
    "two recipients": (
        """\
From: MAILER-DAEMON@example.com
To: sender@example.com
Subject: Undelivered Mail Returned to Sender

Your message could not be delivered to:

<a@example.net>: 550 5.1.1 unknown

<b@example.net>: 552 5.2.2 full
""",
        ("a@example.net", "b@example.net"),
        "5.1.1",
        "failed",
    ),
}
