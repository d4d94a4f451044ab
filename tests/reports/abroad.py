# ruff: noqa: E501 - samples are quoted as they come
"""Bounces as mail systems of many countries word them, and mail that only speaks of bounces; written for these tests.

Each bounce: From, Subject, words, more header fields, whether our mail is returned below, and what is to be read: the
recipients, status and code of the first, and the text of its reply, with nothing of what stands around it.
"""

from typing import Final

RETURNED: Final = """\
Received: from c by mx.example.com; Thu, 4 Apr 2024 10:11:12 +0000
Message-ID: <1@example.com>
From: Sender <sender@example.com>
To: <rcpt@example.net>
Subject: Hello
Date: Thu, 4 Apr 2024 10:11:12 +0000

Hello there.
"""


def mail(sender: str, subject: str, words: str, fields: str = "", returned: str = "") -> bytes:
    """A plain message in UTF-8."""
    head = f"From: {sender}\nTo: sender@example.com\nSubject: {subject}\n{fields}MIME-Version: 1.0\n"
    kind = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
    return f"{head}{kind}{words}\n\n{returned}".encode()


BOUNCES = {
    "gmail-de": (
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Failure)",
        """\
** Adresse nicht gefunden **

Ihre Nachricht wurde nicht an rcpt@example.net zugestellt, weil die Adresse nicht gefunden wurde oder keine E-Mails empfangen kann.

Weitere Informationen finden Sie hier: https://support.google.com/mail/?p=NoSuchUser

Die Antwort vom Remoteserver war:

550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking. a1-20020a sor - gsmtp
""",
        "X-Failed-Recipients: rcpt@example.net\n",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "The email account that you tried to reach does not exist. Please try double-checking. a1-20020a sor - gsmtp",
    ),
    "gmail-fr": (
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Failure)",
        """\
** Adresse introuvable **

Votre message n'a pas été remis à rcpt@example.net, car l'adresse est introuvable ou ne peut pas recevoir d'e-mails.

La réponse du serveur distant était :

550 5.4.1 Recipient address rejected: Access denied.
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.4.1",
        550,
        "Recipient address rejected: Access denied.",
    ),
    "exim": (
        "Mail Delivery System <Mailer-Daemon@mx.example.com>",
        "Mail delivery failed: returning message to sender",
        """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  rcpt@example.net
    host mx.example.net [192.0.2.5]
    SMTP error from remote mail server after RCPT TO:<rcpt@example.net>:
    550-5.1.1 rcpt@example.net: no such
    550 5.1.1 user here

  other@example.net
    all hosts for 'example.net' have been failing for a long time (and retry time not reached)

------ This is a copy of the message, including all the headers. ------
""",
        "",
        True,
        ("rcpt@example.net", "other@example.net"),
        "5.1.1",
        550,
        "rcpt@example.net: no such user here",
    ),
    "qmail": (
        "MAILER-DAEMON@mx.example.com",
        "failure notice",
        """\
Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<rcpt@example.net>:
192.0.2.5 does not like recipient.
Remote host said: 550 5.7.1 <rcpt@example.net>: Recipient address rejected: policy
Giving up on 192.0.2.5.

--- Below this line is a copy of the message.

Return-Path: <sender@example.com>
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.7.1",
        550,
        "<rcpt@example.net>: Recipient address rejected: policy",
    ),
    "exchange-de": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Unzustellbar: Hallo",
        """\
Fehler bei der Nachrichtenzustellung an folgende Empfänger oder Gruppen:

rcpt@example.net (rcpt@example.net)
Die eingegebene E-Mail-Adresse konnte nicht gefunden werden. Überprüfen Sie die E-Mail-Adresse des Empfängers.

Diagnoseinformationen für Administratoren:

Generierender Server: EX1.firma.example

rcpt@example.net
Remote Server returned '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup'

Ursprüngliche Nachrichtenkopfzeilen:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.10",
        550,
        "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    ),
    "exchange-es": (
        "Microsoft Outlook <postmaster@empresa.example>",
        "No se puede entregar: Hola",
        """\
No se pudo entregar el mensaje a los siguientes destinatarios o grupos:

rcpt@example.net
No se encontró la dirección de correo electrónico que especificó.

Información de diagnóstico para administradores:

Servidor de generación: EX1.empresa.example

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Encabezados de mensajes originales:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-pt": (
        "Microsoft Outlook <postmaster@empresa.example>",
        "Não é possível entregar: Olá",
        """\
Falha na entrega a estes destinatários ou grupos:

rcpt@example.net
O endereço de email inserido não pôde ser localizado.

Servidor de geração: EX1.empresa.example

rcpt@example.net
#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##

Cabeçalhos da mensagem original:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-it": (
        "Microsoft Outlook <postmaster@ditta.example>",
        "Impossibile recapitare: Ciao",
        """\
Il recapito non è riuscito per i seguenti destinatari o gruppi:

rcpt@example.net
Impossibile trovare l'indirizzo di posta elettronica immesso.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Intestazioni messaggio originale:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-nl": (
        "Microsoft Outlook <postmaster@bedrijf.example>",
        "Onbestelbaar: Hallo",
        """\
De bezorging aan de volgende geadresseerden of distributielijsten is mislukt:

rcpt@example.net
Het e-mailadres dat u hebt ingevoerd, kan niet worden gevonden.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Oorspronkelijke berichtkoppen:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-pl": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Niedostarczalne: Witam",
        """\
Dostarczanie do następujących adresatów lub grup nie powiodło się:

rcpt@example.net
Nie można znaleźć podanego adresu e-mail.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Oryginalne nagłówki wiadomości:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-sv": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Olevererbart: Hej",
        """\
Det gick inte att leverera till följande mottagare eller grupper:

rcpt@example.net
E-postadressen du angav hittades inte.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Originalmeddelandets huvud:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-tr": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Teslim edilemedi: Merhaba",
        """\
Bu alıcılara veya gruplara teslim edilemedi:

rcpt@example.net
Girdiğiniz e-posta adresi bulunamadı.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Özgün ileti üst bilgileri:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-ru": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Не удается доставить: Привет",
        """\
Сбой доставки следующим получателям или группам:

rcpt@example.net
Указанный адрес электронной почты не найден.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Исходные заголовки сообщения:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-ja": (
        "Microsoft Outlook <postmaster@kaisha.example>",
        "配信不能: こんにちは",
        """\
次の受信者またはグループへの配信に失敗しました:

rcpt@example.net
入力した電子メール アドレスが見つかりませんでした。

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

元のメッセージ ヘッダー:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-zh": (
        "Microsoft Outlook <postmaster@gongsi.example>",
        "未送达: 你好",
        """\
向这些收件人或组传递邮件失败:

rcpt@example.net
找不到您输入的电子邮件地址。

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

原始邮件头:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-ko": (
        "Microsoft Outlook <postmaster@hoesa.example>",
        "배달되지 않음: 안녕",
        """\
다음 받는 사람 또는 그룹에게 배달하지 못했습니다:

rcpt@example.net
입력한 전자 메일 주소를 찾을 수 없습니다.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

원래 메시지 헤더:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "exchange-cs": (
        "Microsoft Outlook <postmaster@firma.example>",
        "Nedoručitelné: Ahoj",
        """\
Doručení těmto příjemcům nebo skupinám se nezdařilo:

rcpt@example.net
Zadanou e-mailovou adresu nelze najít.

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'

Původní záhlaví zprávy:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "163": (
        "Postmaster@163.com",
        "系统退信",
        """\
抱歉，您的邮件被退回来了……

原邮件信息：
时 间 2024-04-04 10:11:12
主 题 Hello
收件人 rcpt@example.net

退信原因：
收件人邮件地址（rcpt@example.net）不存在，邮件无法送达。
SMTP error, RCPT TO: host mx.example.net(192.0.2.5) said: 550 User not found: rcpt@example.net
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.0.0",
        550,
        "User not found: rcpt@example.net",
    ),
    "qq": (
        '"PostMaster"<PostMaster@qq.com>',
        "系统退信",
        """\
您的邮件被退回

尊敬的用户，您发往 rcpt@example.net 的邮件发送失败。

出错原因：收件人邮箱不存在。

host mx.example.net[192.0.2.5] said: 550 5.1.1 User unknown (in reply to RCPT TO command)
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "User unknown",
    ),
    "mailru": (
        "mailer-daemon@corp.mail.ru",
        "Сообщение не доставлено. Mail failure.",
        """\
Это письмо создано автоматически сервером Mail.Ru, отвечать на него не нужно.

К сожалению, Ваше письмо не может быть доставлено одному или нескольким получателям:

**********************

rcpt@example.net
    host mx.example.net [192.0.2.5]: 550 5.1.1 user not found

**********************
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "user not found",
    ),
    "yandex": (
        "mailer-daemon@yandex.ru",
        "Недоставленное сообщение",
        """\
Это сообщение создано автоматически почтовой системой Yandex.

Нам очень жаль, но доставить Ваше письмо одному или нескольким получателям не удалось.

<rcpt@example.net>: host mx.example.net[192.0.2.5] said: 550 5.7.1 No such user!
    (in reply to RCPT TO command)
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.7.1",
        550,
        "No such user!",
    ),
    "webde": (
        '"WEB.DE Mailer Daemon" <mailer-daemon@web.de>',
        "Mail delivery failed: returning message to sender",
        """\
This message was created automatically by mail delivery software.

A message that you sent could not be delivered to
one or more of its recipients. This is a permanent error.

The following address failed:

rcpt@example.net:
SMTP error from remote server for RCPT TO command, host: mx.example.net (192.0.2.5) reason: 550 5.1.1 user unknown


--- The header of the original message is following. ---
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "user unknown",
    ),
    "gmx-new": (
        '"GMX Mailer Daemon" <mailer-daemon@gmx.de>',
        "Nachricht unzustellbar",
        """\
Diese Nachricht wurde automatisch erstellt.

Ihre E-Mail konnte nicht an folgende Empfänger zugestellt werden:

rcpt@example.net:
SMTP-Fehler nach RCPT TO: 552 5.2.2 Mailbox full

Der Kopf Ihrer Nachricht:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.2.2",
        552,
        "Mailbox full",
    ),
    "orange-fr": (
        "MAILER-DAEMON@orange.fr",
        "Message non délivré",
        """\
Votre message n'a pas pu être remis aux destinataires suivants :

<rcpt@example.net> : le serveur mx.example.net a répondu : 550 5.1.1 utilisateur inconnu

Message d'origine :
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "utilisateur inconnu",
    ),
    "domino": (
        "Postmaster@domino.example",
        "DELIVERY FAILURE: User rcpt (rcpt@example.net) not listed in Domino Directory",
        """\
Your message

  Subject: Hello

was not delivered to:

  rcpt@example.net

because:

  User rcpt (rcpt@example.net) not listed in Domino Directory
""",
        "",
        False,
        ("rcpt@example.net",),
        None,
        None,
        None,
    ),
    "groupwise": (
        "Mail Delivery System <postmaster@gw.example>",
        "Message status - undeliverable",
        """\
The message that you sent was undeliverable to the following:
	rcpt@example.net (user not found)

Possibly truncated original message follows:
""",
        "",
        True,
        ("rcpt@example.net",),
        None,
        None,
        None,
    ),
    "sendmail-old": (
        "Mail Delivery Subsystem <MAILER-DAEMON@mx.example.com>",
        "Returned mail: User unknown",
        """\
The original message was received at Thu, 4 Apr 2024 10:11:12 +0000
from localhost [127.0.0.1]

   ----- The following addresses had permanent fatal errors -----
<rcpt@example.net>

   ----- Transcript of session follows -----
... while talking to mx.example.net.:
>>> RCPT To:<rcpt@example.net>
<<< 550 5.1.1 <rcpt@example.net>... User unknown
550 <rcpt@example.net>... User unknown

   ----- Original message follows -----
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "<rcpt@example.net>... User unknown",
    ),
    "courier": (
        '"Courier mail server at mx.example.com" <@>',
        "NOTICE: mail delivery status.",
        """\
This is a delivery status notification from mx.example.com,
running the Courier mail server, version 0.65.

The original message was received on Thu, 04 Apr 2024 10:11:12 +0000
from localhost (localhost [127.0.0.1])

---------------------------------------------------------------------------

                           UNDELIVERABLE MAIL

Your message to the following recipients cannot be delivered:

<rcpt@example.net>:
    mx.example.net [192.0.2.5]:
>>> RCPT TO:<rcpt@example.net>
<<< 550 5.1.1 No such user

---------------------------------------------------------------------------

If your message was also sent to additional recipients, their delivery
status is not included in this report.
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "No such user",
    ),
    "zoho": (
        "mailer-daemon@mail.zoho.com",
        "Undelivered Mail Returned to Sender",
        """\
This message was created automatically by mail delivery software.
 A message that you sent could not be delivered to one or more of its recipients. This is a permanent error.

rcpt@example.net , ERROR_CODE :550, ERROR_CODE :5.1.1 User does not exist - <rcpt@example.net>

Received:from mail.zoho.com by mx.zoho.com; Thu, 4 Apr 2024
Message-ID:<1@example.com>
Subject:Hello
MIME-Version:1.0
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "ERROR_CODE :5.1.1 User does not exist - <rcpt@example.net>",
    ),
    "mimecast": (
        "Mail Delivery System <postmaster@mimecast.example>",
        "Undelivered Mail Returned to Sender",
        """\
Your message could not be delivered to the following recipients:

rcpt@example.net
    Reason: 550 5.1.1 Invalid Recipient
    Remote host: mx.example.net

Please contact your administrator at admin@example.com for help.
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "Invalid Recipient",
    ),
    "esa": (
        "Mail Delivery System <MAILER-DAEMON@esa.example>",
        "Delivery Status Notification (Failure)",
        """\
The following message to <rcpt@example.net> was undeliverable.
The reason for the problem:
5.1.0 - Unknown address error 550-'5.1.1 <rcpt@example.net>: Recipient address rejected: User unknown'
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "<rcpt@example.net>: Recipient address rejected: User unknown",
    ),
    "opensmtpd": (
        "Mailer Daemon <MAILER-DAEMON@mx.example.com>",
        "Delivery status notification: error",
        """\
    Hi!

    This is the MAILER-DAEMON, please DO NOT REPLY to this email.

    An error has occurred while attempting to deliver a message for
    the following list of recipients:

rcpt@example.net: 550 5.1.1 <rcpt@example.net>: User unknown

    Below is a copy of the original message:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "<rcpt@example.net>: User unknown",
    ),
    "hmail": (
        "mailer-daemon@mx.example.com",
        "Message undeliverable: Hello",
        """\
Your message did not reach some or all of the intended recipients.

   Sent: Thu, 4 Apr 2024 10:11:12 +0000
   Subject: Hello

The following recipient(s) could not be reached:

rcpt@example.net
   Error Type: SMTP
   Remote server (192.0.2.5) issued an error.
   hMailServer sent: RCPT TO:<rcpt@example.net>
   Remote server replied: 550 5.1.1 User unknown

hMailServer
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "User unknown",
    ),
    "mdaemon": (
        "MDaemon at mx.example.com <MDaemon@mx.example.com>",
        "Permanent Delivery Failure",
        """\
The attached message had PERMANENT fatal delivery errors!

After one or more unsuccessful delivery attempts the attached message has
been removed from the mail queue on this server.

Failed address: rcpt@example.net

--- Session Transcript ---
 Thu 2024-04-04 10:11:12: Attempting SMTP connection to [192.0.2.5:25]
 Thu 2024-04-04 10:11:12: --> RCPT To:<rcpt@example.net>
 Thu 2024-04-04 10:11:13: <-- 550 5.1.1 user unknown
--- End Transcript ---

: Message contains [1] file attachments
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "user unknown",
    ),
    "kerio": (
        '"Mail Delivery Subsystem" <postmaster@kerio.example>',
        "Delivery Failure: Hello",
        """\
Message from  <sender@example.com> was not delivered to following recipients:

rcpt@example.net:  550 5.1.1 User unknown
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "User unknown",
    ),
    "docomo": (
        "Postmaster <postmaster@docomo.ne.jp>",
        "Returned mail: 宛先不明",
        """\
メールを送信できませんでした。

宛先 rcpt@example.net は存在しません。

550 Unknown user rcpt@example.net

--- 元のメール ---
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.0.0",
        550,
        "Unknown user rcpt@example.net",
    ),
    "naver": (
        "Naver MailServer <mailer-daemon@naver.com>",
        "[메일 발송 실패 안내] Hello",
        """\
메일이 정상적으로 발송되지 않았습니다.

받는 사람 : rcpt@example.net
실패 사유 : 받는 사람의 이메일 주소가 존재하지 않습니다.
상세 : 550 5.1.1 user unknown
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "user unknown",
    ),
    "libero-it": (
        "Mail Delivery System <MAILER-DAEMON@libero.it>",
        "Mancata consegna del messaggio",
        """\
Il tuo messaggio non può essere consegnato al seguente destinatario:

<rcpt@example.net>: host mx.example.net[192.0.2.5] ha risposto: 550 5.1.1 utente sconosciuto
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "utente sconosciuto",
    ),
    "ses": (
        "MAILER-DAEMON@amazonses.com",
        "Delivery Status Notification (Failure)",
        """\
An error occurred while trying to deliver the mail to the following recipients:
rcpt@example.net
""",
        "",
        True,
        ("rcpt@example.net",),
        None,
        None,
        None,
    ),
    "ru-text": (
        "Почтовая система <mailer-daemon@mx.example>",
        "Возврат письма",
        """\
Ваше сообщение не было доставлено адресату rcpt@example.net.

Причина: 552 5.2.2 Почтовый ящик переполнен

Оригинальное сообщение:
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.2.2",
        552,
        "Почтовый ящик переполнен",
    ),
    "ar": (
        "Microsoft Outlook <postmaster@sharika.example>",
        "غير قابل للتسليم: مرحبا",
        """\
تعذر التسليم إلى هؤلاء المستلمين أو المجموعات:

rcpt@example.net
Remote Server returned '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "RESOLVER.ADR.RecipNotFound; not found",
    ),
    "hu": (
        "Mail Delivery System <MAILER-DAEMON@mx.example>",
        "Kézbesíthetetlen: Szia",
        """\
A következő címzettnek nem sikerült kézbesíteni az üzenetet:

<rcpt@example.net>: 550 5.1.1 ismeretlen felhasználó
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "ismeretlen felhasználó",
    ),
    "ro": (
        "Mail Delivery System <MAILER-DAEMON@mx.example>",
        "Mesaj nelivrat",
        """\
Mesajul dumneavoastră nu a putut fi livrat către:

rcpt@example.net
550 5.1.1 utilizator necunoscut
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "utilizator necunoscut",
    ),
    "th-vi": (
        "Mail Delivery System <MAILER-DAEMON@mx.example>",
        "Thư không gửi được",
        """\
Thư của bạn không thể gửi đến người nhận sau:

<rcpt@example.net>: 550 5.1.1 User unknown
""",
        "",
        True,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "User unknown",
    ),
    "id": (
        "Mail Delivery Subsystem <mailer-daemon@googlemail.com>",
        "Delivery Status Notification (Failure)",
        """\
** Alamat tidak ditemukan **

Pesan Anda tidak terkirim ke rcpt@example.net karena alamat tidak ditemukan.

Responsnya adalah:

550 5.1.1 The email account that you tried to reach does not exist.
""",
        "",
        False,
        ("rcpt@example.net",),
        "5.1.1",
        550,
        "The email account that you tried to reach does not exist.",
    ),
}

# From, Subject, words, more header fields.
OTHERS = {
    "vac-de": (
        "Max <max@firma.example>",
        "Abwesend: Re: Hello",
        "Ich bin bis 5. Mai nicht im Büro. Ihre Nachricht wird nicht weitergeleitet. Bitte wenden Sie sich an chef@firma.example.",
        "Auto-Submitted: auto-replied\nReturn-Path: <>\n",
    ),
    "vac-fr": (
        "Marie <m@x.example>",
        "Réponse automatique : Hello",
        "Je suis absente. Votre message ne sera pas lu. Contactez b@x.example.",
        "Auto-Submitted: auto-replied\nReturn-Path: <>\n",
    ),
    "vac-ja": (
        "Taro <t@x.example>",
        "自動返信: こんにちは",
        "休暇中のためメールを確認できません。急ぎの場合は b@x.example へ。",
        "Return-Path: <>\nAuto-Submitted: auto-replied\n",
    ),
    "left": (
        "Max <max@firma.example>",
        "Hello",
        "Ich arbeite nicht mehr bei der Firma. Diese Adresse max@firma.example wird nicht mehr gelesen. Nachrichten werden nicht zugestellt.",
        "Return-Path: <>\nAuto-Submitted: auto-replied\n",
    ),
    "vac-es": (
        "Ana <a@x.example>",
        "Fuera de la oficina",
        "Estaré fuera de la oficina. Su mensaje no será leído. Contacte b@x.example",
        "Return-Path: <>\nAuto-Submitted: auto-replied\n",
    ),
    "challenge": (
        "Boxbe <postmaster@boxbe.example>",
        "Your message to rcpt@example.net is waiting - action required",
        "Your message was not delivered to rcpt@example.net yet. To have it delivered click the link https://boxbe.example/c/1 to confirm that you are a person.",
        "Return-Path: <>\n",
    ),
    "newsletter": (
        "Deliverability Weekly <news@esp.example>",
        "Why was my mail returned? Undeliverable mail explained",
        "This week: what does 550 5.1.1 User unknown mean? When a message could not be delivered to user@example.net, mailer-daemon says so: '<user@example.net>: 550 5.1.1 User unknown'.",
        "List-Unsubscribe: <https://esp.example/u>\nList-Id: <news.esp.example>\n",
    ),
    "newsletter2": (
        "Deliverability Weekly <news@esp.example>",
        "Undeliverable mail explained",
        """\
This week: what does 550 5.1.1 User unknown mean? When a message could not be delivered to user@example.net, mailer-daemon says so:

<user@example.net>: 550 5.1.1 User unknown
""",
        "",
    ),
    "ticket": (
        "Helpdesk <help@x.example>",
        "[#123] Undelivered mail",
        "We got your ticket: my mail to user@example.net was not delivered: 550 5.1.1 User unknown. An agent will answer soon.",
        "",
    ),
    "human": (
        "Bob <bob@x.example>",
        "Mail problem",
        "Hi, my mails to alice@example.net come back: 550 5.1.1 User unknown. Could not be delivered. Can you help?",
        "",
    ),
    "phish": (
        "Mail Delivery System <support@evil.example>",
        "Undelivered mail: 5 messages pending",
        "5 messages could not be delivered to sender@example.com because your mailbox quota is full. Click here to release messages: http://evil.example/",
        "",
    ),
    "cronmail": (
        "root@host.example (Cron Daemon)",
        "Cron <root@host> mailq",
        "sender@example.com: deferred, connect to mx.example.net: Connection timed out",
        "",
    ),
    "logwatch": (
        "logwatch@host.example",
        "Logwatch for host",
        "postfix: 5 bounced: user@example.net 550 5.1.1 User unknown; could not be delivered",
        "",
    ),
    "dmarc": (
        "noreply-dmarc@google.example",
        "Report Domain: example.com Submitter: google.com Report-ID: 1",
        "",
        "Content-Type: application/zip\n",
    ),
    "parcel": (
        "DHL Express <mailer-daemon@dhl.example>",
        "Delivery failed: your parcel",
        "Your parcel could not be delivered to sender@example.com. Please confirm the shipping address.",
        "",
    ),
    "list-welcome": (
        "Mailman <list-bounces@x.example>",
        "Welcome to the list",
        "Welcome. Mail to list@x.example. If delivery fails your subscription is disabled.",
        "Precedence: list\nList-Id: <l.x.example>\n",
    ),
    "quar": (
        "Spam Filter <postmaster@x.example>",
        "Quarantine summary",
        "You have 3 messages that were blocked and not delivered. From: a@b.example; c@d.example",
        "",
    ),
    "sec-alert": (
        "no-reply@bank.example",
        "We could not send you a message",
        "We could not deliver a text message to your phone. Please log in.",
        "",
    ),
    "dkimfail-newsletter-es": (
        "Boletin <b@x.example>",
        "Mensaje no entregado: las causas",
        "Un mensaje no se pudo entregar a user@example.net: 550 5.1.1 usuario desconocido. Lea nuestro articulo.",
        "",
    ),
}
