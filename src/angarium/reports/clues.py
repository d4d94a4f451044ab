"""By which signs is a bounce known that follows no RFC? The rules, as data; `bounce` weighs them.

A report of failure comes from a mail system (`SENDERS`), speaks of failure (`SUBJECTS`, `PHRASES`) and says of what
(an address, a reply, the message returned). `AGAINST` holds what else mail systems send. Patterns are RE2, without
regard to case, on decoded text whose white space is single blanks. The word of a clue is what `--why` prints.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Clue(NamedTuple):
    """One sign: its name, its weight, the pattern, and what it was written for."""

    word: str
    weight: int
    pattern: str
    about: str


# The From, Sender and Return-Path fields, decoded.
SENDERS: Final = (
    Clue("mailer-daemon", 3, r"\bmail(er)?[-_. ]?d(a?e|ä)mon|daemon\b", "sendmail's name, taken over by nearly all"),
    Clue("postmaster", 3, r"\bpost[-_. ]?master\b", "RFC 5321 section 4.5.1; Exchange, Outlook.com, IMail"),
    Clue("exchange", 3, r"\bmicrosoft ?(exchange|outlook)[0-9a-f]{32}", "Exchange from 2007 on"),
    Clue("delivery-system", 3, r"\bmail[ ._-]?deliver[ey]*[ ._-]?(sub)?[ ._-]?(system|service|agent)", "many"),
    Clue("delivery-subsystem", 2, r"\b(e?-?mail|message|internet)?[ ._-]?delivery[ ._-](sub)?(system|service)", "many"),
    Clue("system-administrator", 2, r"\bsystem[ ._-]?admin(istrator)?\b|\bsysadmin@", "Exchange 5.5; MMS gateways"),
    Clue("mail-administrator", 2, r"\bmail[ ._-]?admin(istrator)?\b", "Netscape, InterMail"),
    Clue("mail-system", 2, r"\b(e?mail|message|mta)[ ._-]?(system|router|transfer|server|gateway|robot)\b", "PMDF, X.400"),
    Clue("filter", 2, r"\b(imss|interscan|mailsweeper|mailmarshal|mimesweeper|groupwise|scanmail)|\b(e?mail|smtp|mta|exchange|virus|antivirus|content|spam)?[-_. ]?(gateways?|filter|firewall|relay|scanner)\b", "gateways"),
    Clue("ndr", 2, r"\b(ndr|non-?delivery|undeliver\w*|mail[ ._-]?returned|mta|uucp|bounce[sd]?)\b", "by the task"),
    Clue("administrator", 2, r"^\W?(mail |e-?mail )?administrator\b|\badministra(tor|dor|teur|tore)@", "Domino, others"),
    Clue("abroad", 2, r"系統管理員|系统管理员|邮件系统|邮局管理员|メール配信|メールサーバ|почтов\w+ (систем|сервер|служб)", "localised"),
)  # fmt: skip

# The Subject field, decoded. Weight 3 says failure and nothing else; 2 may be said by people.
SUBJECTS: Final = (
    Clue("undeliverable", 3, r"\bundeliver(able|ed)\b|\bnon[- ]?deliver(able|y|ed)\b|\bnot deliver(able|ed)\b", "many"),
    Clue("returned-mail", 3, r"\breturned (mail|message|to sender)\b|\bmail returned\b|\breturn(ing)? (mail|message)", ""),
    Clue("failure-notice", 3, r"^\W*failure notice|\bfail(ure|ed)? noti(ce|fication)", "qmail and its kin"),
    Clue("delivery-status", 3, r"\bdelivery (status )?(notification|report)\b", "RFC 3464's own title"),
    Clue("delivery-failure", 3, r"\b(mail|message|e-?mail)?[ -]?(delivery|sending|transmission) (has |was |is |has been )?(failed|failure|failing|error|problem|aborted|unsuccessful)", ""),
    Clue("failed-delivery", 3, r"\b(fail(ed|ure|s)?|error|problem|unable|trouble|impossible)\b.{0,12}\b(in |to |of |with |while )?(the |your )?(mail |message |e-?mail )?(deliver|send|sent)", ""),
    Clue("not-delivered", 3, r"\b(could|can|was|were|has|have)[ ]?(not|n't|n’t)( yet)?( be| been)? (deliver|sent|send|reach)", ""),
    Clue("mail-error", 2, r"\bmail (system )?error|\b(mail|message|email|e-mail) (failure|failed|rejected|bounced?|undelivered)\b", ""),
    Clue("user-unknown", 3, r"\b(user|recipient|address|mailbox|account) ?(is )?(unknown|not found|full|does not exist)|\bunknown (user|recipient|address)|\bno such user", ""),
    Clue("delayed", 3, r"\bwarning\b.{0,30}\b(message|mail|deliver|send|sent)|\b(message|mail|delivery)\b.{0,20}\bdelay(ed)?\b|\bdelayed (mail|message|delivery)|\bstill (not|un)deliver|\bdelivery delay", "sendmail, Exim"),
    Clue("ndr", 2, r"\bNDN?R?\b:|\bNDR\b|^\W*status of\b|\bpostmaster notify", "notification, receipt, report"),
    Clue("german", 3, r"\b(un|nicht )zu(ge)?stell(bar|t)|\bzustell(ung|bericht|fehler)\w*|\bmail ?zustell|\bnicht (aus|zu)geliefert|\bzurückgesendet", ""),
    Clue("french", 3, r"\bnon remis|\b(message|courrier|mail) non (délivré|distribu|remis)|\béchec (de|d'|de la) (la )?(remise|livraison|distribution|envoi)|\bnon[- ]délivr|\bnotification (d'état )?de (remise|distribution)|\bretour de courrier|\bimpossible de (remettre|distribuer)", ""),
    Clue("spanish", 3, r"\bno se (puede|pudo|ha podido) (entregar|enviar)|\b(correo|mensaje) (no entregado|devuelto|rechazado)|\bno entregad|\bdevuelto|\berror (de|en la|al) (entrega|env[ií])|\bnotificaci[oó]n (de|del) (estado de )?(la )?entrega", ""),
    Clue("portuguese", 3, r"\bn[aã]o ([eé]|foi) (poss[ií]vel )?(entreg|envi)|\b(mensagem|e-?mail) (n[aã]o entregue|devolvid)|\bn[aã]o entreg|\bfalha (na|de) entrega|\bdevolvid|\bnotifica[cç][aã]o (de|do) (status|estado) ", ""),
    Clue("italian", 3, r"\bnon (recapita|consegna|è stato|è possibile)|\bimpossibile (recapit|conseg|invi)|\bmancat[ao] (recapito|consegna)|\bmessaggio non|\b(avviso|notifica) di mancat|\bnotifica (dello )?stato (di|della) (recapit|conseg)", ""),
    Clue("dutch", 3, r"\bonbestel(baar|d)|\bniet (be|af)gelever|\bniet (be)?zorg|\bkan niet worden (be|af)ge|\bretour(post|mail)", ""),
    Clue("nordic", 3, r"\bolevererbar|\bolevereret|\bikke (levert|leveret|bli levert)|\bkan (inte|ikke) lever|\bkunne ikke lever|\bgick inte att leverera|\bej leverera|\bei voi(da|tu|nut)? toimittaa|\btoimitus ep[aä]onnistui|\bviesti[aä] ei", ""),
    Clue("east-european", 3, r"\bniedor[eę]cz|\bnie (można|mozna|udało|dostarcz)|\bnedoru[cč]|\bnel?ze doru[cč]it|\bk[eé]zbes[ií]thetetlen|\bnelivra|\bneizruč|\bneisporuč|\bnedostavlj", ""),
    Clue("slavic", 3, r"недоставлен|не (удается|удалось|может быть|было|будет|доставлен|получилось).{0,20}(достав|отправ)?|сообщение не доставлено|ошибка (доставки|отправки)|не доставлен|возврат (письма|почты|сообщения)|недоставле", ""),
    Clue("greek-turkish", 3, r"ανεπίδοτο|δεν παραδόθηκε|αδυναμία παράδοσης|\bteslim edil(emedi|emeyen|emiyor)|\biletilemedi", ""),
    Clue("japanese", 3, r"(配信|配達|送信|届け|送達|転送).{0,12}(でき|不能|不可|失敗|エラー|遅延|遅れ|ませんでした)|未配信|未達|宛先不明|送信エラー|エラーメール|配信状況|返送", ""),
    Clue("chinese", 3, r"退信|退回|無法(投遞|傳遞|送達|寄送)|无法(投递|传递|送达|发送)|未(送达|送達|投递|投遞|傳遞|传递)|投递失败|投遞失敗|发送失败|傳送失敗|寄送失敗|傳遞失敗|投递状态|邮件传送", ""),
    Clue("korean", 3, r"(배달|전송|전달|발송|수신|송신).{0,8}(실패|불가|오류|못|않|할 수 없)|반송|배달되지", ""),
    Clue("hebrew-arabic", 3, r"לא ניתן למסור|לא נמסר|מסירה נכשלה|تعذر (تسليم|التسليم)|غير قابل للتسليم|لم يتم تسليم", ""),
)  # fmt: skip

# The words before the returned message. Weight 4 is hardly ever said by people, 2 may be.
PHRASES: Final = (
    Clue("could-not-be-delivered", 4, r"\b(could|can|was|were|has|have|is)( ?not|n't|n’t)( yet)?( be| been| being)? (deliver|able to be deliver|sent\b|reach|process|transfer|transmit|forward|relay|accepted)", "Exim, Postfix, most others"),
    Clue("cannot-deliver", 4, r"(unable|wasn't able|were not able|not able|can ?not|could ?not|couldn't|can't|failed|failure|trouble|problems?|error|impossible)( to| while| when)?( in)?( be)?( attempting to| trying to)?( the)? (deliver|send(ing)? (your |the |a )?(mail|message|e-?mail)|transfer (your|the) (mail|message))", "qmail, Yahoo, sendmail"),
    Clue("delivery-failed", 4, r"delivery .{0,40}\b(failed|aborted|unsuccessful|impossible|suspended|refused|rejected|not possible)", "Gmail, Exchange, IBM"),
    Clue("not-delivered", 4, r"\b(not|n't|never|un)[ -]?(been |be )?(successfully )?(delivered|deliverable)\b", ""),
    Clue("did-not-reach", 4, r"did(n't| not) reach (some or all of )?the (following|intended)|recipients?\(?s?\)? could not be reached|recipients? did not receive", "Exchange 5.5 to 2003"),
    Clue("fatal-errors", 4, r"(following|these) (address|recipient)\w*(\(?e?s\)?)? (had|have|has|failed|were|could|was|are)\b", "sendmail, Exim, Zimbra"),
    Clue("undeliverable", 4, r"\bundeliver(able|ed)\b|\bnon[- ]?deliver(able|ed|y)\b", "GroupWise, Courier, IMail"),
    Clue("returned-to-sender", 3, r"(message|mail|e-mail) (is|was|has been|being) (being )?(returned|rejected|bounced|refused|discarded|blocked)|return(ed|ing) (your |the )?(message|mail)? ?to( the)? sender", ""),
    Clue("transcript", 4, r"transcript of (the )?(session|attempts|smtp)|while talking to \S+:|\bin reply to (end of )?[A-Z]{4} ?[A-Za-z]* command\)", "sendmail, Postfix"),
    Clue("remote-host-said", 4, r"(remote|other|receiving|recipient'?s?|destination|domain'?s) (mail )?(host|server|system|mta|domain|end) .{0,16}(said|respon|return|reject|answer|report|refus|repl)|giving up on \S+|\bdid not like our [A-Z]|generated following response|rejected recipient|gave this error", "qmail, Gmail, Dragonfly"),
    Clue("status-fields", 4, r"(^|\s)(final-recipient|diagnostic-code|reporting-mta):", "RFC 3464's fields in prose"),
    Clue("unknown-user", 3, r"\b(user|recipient|mailbox|account|address|userid|name|domain|host)\b.{0,24}\b(unknown|not (found|known|listed|recognized|recognised|exist|valid)|does ?n[o']t exist|doesn't (exist|have)|invalid|disabled|unavailable|inactive|no longer)|\b(unknown|invalid|bad|no such) (recipient|user|mailbox|address|account|local|final|host|domain)|\bnot (found|listed) in .{0,30}(directory|address book)", ""),
    Clue("full", 3, r"(over|exceed\w*|out of|beyond).{0,24}(quota|storage|mailbox|disk|size)|(mail ?box|mailfolder|inbox|mail ?drop|mail folder|account|storage|quota).{0,30}\b(full|exceed|over)", ""),
    Clue("delayed", 4, r"still undelivered|not yet been delivered|(has been|is|message|mail) delayed|will (keep trying|be retried)|will continue (to|trying)|attempts will continue|not send (message|mail) for past|warning message only|no action is required|配信.{0,6}遅延|延迟投递|zustellung.{0,20}verzögert", "sendmail, Exim, Gmail"),
    Clue("expired", 3, r"(timed? ?out|time-?out|expired|too long|maximum (hop|queue|retry)|retry time|too many hops|loop)", ""),
    Clue("refused", 2, r"\b(rejected|refused|denied|blocked|unsolicited|not accepted|disallowed|prohibited|policy|spam)\b", ""),
    Clue("german", 4, r"nicht zugestellt|unzustellbar|zustellung.{0,40}(fehlgeschlagen|nicht möglich|gescheitert|verzögert)|nicht (ausgeliefert|erreicht|übermittelt|weitergeleitet)|fehler bei der (zustellung|übermittlung)|folgende[nrs]? (empfänger|adresse)", ""),
    Clue("french", 4, r"(n'a|n’a|n'ont|pas|non) (pas )?(pu )?(être |été )?(remis|délivré|distribué|livré|transmis|acheminé)|échec de (la )?(remise|livraison|distribution)|impossible de (remettre|distribuer|livrer|délivrer)|n'a pas atteint|destinataires? (suivants?|inconnu)", ""),
    Clue("spanish", 4, r"no (se )?(ha |pudo |puede |han |ha podido |fue |se pudo )?(sido )?(ser )?(entrega|envia|alcanz)|error en la entrega|(destinatario|direcci[oó]n|usuario)s? (siguiente|desconocid|inexistente|no existe)|imposible entregar|no lleg[oó] a", ""),
    Clue("portuguese", 4, r"n[aã]o (p[oô]de|foi|pode) (ser )?(poss[ií]vel )?(entreg|envi)|falha (na|ao) (entreg|envi)|(destinat[aá]rio|usu[aá]rio|endere[cç]o)s? (abaixo|a seguir|desconhecid|inexistente|n[aã]o existe)|n[aã]o (chegou|atingiu)", ""),
    Clue("italian", 4, r"non (è stato|è possibile|può essere|sono stati|ha potuto|è riuscito) .{0,20}(recapit|consegn|invia|raggiun)|impossibile (recapitare|consegnare|inviare)|recapito .{0,40}non riuscito|destinatari[oi]? (seguent|sconosciut|inesistent)", ""),
    Clue("dutch", 4, r"niet (worden )?(afgeleverd|bezorgd|bereikt|besteld)|onbestelbaar|kan niet (worden )?(be|af)ge|bezorging .{0,30}mislukt|geadresseerde.{0,30}(onbekend|niet)", ""),
    Clue("nordic", 4, r"(kunde|kan|kunne|gick|kunnat) (inte|ikke|ej|icke) (att )?(bli |blive |leverer|levert|leveret|nå|sendes)|olevererbar|leveransen .{0,40}misslyck|levering .{0,30}mislykk|ei voi(da|tu)? toimit|toimitus .{0,30}epäonnistu", ""),
    Clue("east-european", 4, r"nie (można|mozna|może|został|zosta\w+|udało) .{0,30}(dostarcz|dorecz|doręcz|wys)|nedoru[cč]|nebyl[ao]? (doru[cč]en|možné)|nelze doru|nem (sikerült|lehet|volt) .{0,20}k[eé]zbes|kézbesít\w+ .{0,20}(siker|hiba)|nu a (putut|fost) .{0,20}(livrat|fi)|nije (isporu|dostavlj)", ""),
    Clue("slavic", 4, r"не (может быть|удалось|удаётся|удается|было|был|будет|доставлен\w*|смог|могло|вдалося).{0,20}(достав|отправл|передан)|недоставлен|не доставлен|не была? доставлен|ошибка (доставки|при доставке)|адресат\w* .{0,30}(не|неизвест)", ""),
    Clue("greek-turkish", 4, r"δεν (ήταν δυνατή|παραδόθηκε|μπορ\w+ να παραδοθεί|είναι δυνατή)|αποτυχία παράδοσης|teslim edil(emedi|emiyor|mesi)|iletilemedi|ulaştırılamadı", ""),
    Clue("japanese", 4, r"(配信|配達|送信|届け|送達|お届け|受信|受け取|転送|配送).{0,14}(でき|不能|不可|失敗|エラー|ませんでし|遅)|(宛先|あて先|メールアドレス|ユーザ).{0,16}(不明|存在|見つか|みつか|誤)|送信できません|エラーのため", ""),
    Clue("chinese", 4, r"退信|退回|(无法|無法|不能|未能|没有|未).{0,6}(投递|投遞|傳遞|传递|送达|送達|发送|發送|寄|到达|到達|傳送|递送|成功)|(用户|使用者|收件人|邮箱|信箱|郵箱|地址).{0,12}(不存在|已满|已滿|未知|無效|无效|不可用|找不到)|(投递|投遞|发送|發送|傳送|寄送).{0,4}(失败|失敗)", ""),
    Clue("korean", 4, r"(배달|전송|전달|발송|송신).{0,14}(실패|불가|오류|못|않|없)|(수신자|사용자|받는 사람|계정|메일함).{0,20}(없|찾을|초과|존재)|반송", ""),
    Clue("hebrew-arabic", 4, r"לא ניתן היה למסור|לא נמסרה?|תעذر|تعذر|لم يتم تسليم|فشل (في )?تسليم|مسירה", ""),
    Clue("czech-group", 4, r"skupina, kterou se", "Google Groups, one of its languages"),
)  # fmt: skip

# What mail systems send besides: in the subject.
AGAINST: Final = (
    Clue("vacation", 8, r"\bout[- ]of[- ](the )?office\b|\bauto(matic)?[- ]?(reply|response|antwort|respuesta)|\bvacation\b|\bon (leave|holiday)|\babwesen|\bautomatische antwort|\bréponse automatique|\brespuesta automática|\brisposta automatica|\bresposta automática|\bautorespon|\bautosvar|不在|自動(返信|応答|回复|回覆)|自动(回复|答复)|автоответ", "RFC 3834"),
    Clue("challenge", 8, r"\b(please )?(confirm|verify|authenticate) (your )?(e?-?mail|message|address|that)|\bconfirmation (required|request|needed)|\bverification (required|request)|\bchallenge\b|\bwhitelist|requires? (your )?(confirmation|verification)", "challenge and response"),
    Clue("read", 8, r"^\W*(read|gelesen|lu|leído|lido|letto|opened|displayed|unread|not read|deleted)\s?:|\b(read|return|reading|disposition) (receipt|notification)|\bwas read\b|開封|已读|已讀", "RFC 8098"),
    Clue("summary", 8, r"\b(quarantine|spam|digest|junk)\b.{0,16}\b(report|summary|digest|notification|release)|\b(daily|weekly|monthly) (report|summary|digest)|\breport domain:|\btls report|\bundelivered (mails?|messages?) (pending|held|on hold)|\bpending (mails?|messages?)\b|\[?new ticket", "reports on something else"),
    Clue("virus", 4, r"\bvirus\b.{0,30}\b(found|detected|alert|warning|in (your|mail|message))|\b(found|detected|contains?)\b.{0,20}\bvirus|\binfected\b", "virus notices answer no mail of ours"),
)  # fmt: skip

# The same in the words. No report of failure asks for a favour or speaks of itself as "I am away".
AGAINST_WORDS: Final = (
    Clue("challenge", 8, r"\b(click|follow|visit|open|use)\b.{0,30}\b(link|button|url|address|page)\b.{0,60}\b(confirm|verify|release|approve|authori[sz]e|prove|deliver)|\b(simply |just |please )?reply (back )?to this (message|mail|e-?mail)( and| to| so)|\bprove (that )?you('re| are) (a )?human|\b(confirm|verify) (that )?(you|your (address|identity|e-?mail))|\b(approved|allowed|known) senders?\b|\bone[- ]time (verification|confirmation)", "challenge and response"),
    Clue("vacation", 8, r"\bI( am|'m|’m)( currently)? (out|away|on|travel|no longer)|\bI will (be|not be|return|have)\b|\bich bin\b.{0,60}\b(zurück|abwesend|erreichbar|urlaub)|\bje suis (absent|en congé)|\bestoy (fuera|de vacaciones)", "RFC 3834"),
    Clue("phish", 8, r"\b(verify|validate|upgrade|confirm|restore|reactivate|re-?validate) (your )?(account|mailbox|e-?mail|password|webmail)|\b(release|retrieve|recover|view) (your |the |all )?(pending|held|undelivered|incoming|quarantined|delayed|messages|mails?)\b|\byour (mailbox|account|storage|quota) (is|has|will)\b.{0,40}\b(full|exceed|expire|deactivat|suspend|clos)", "spam dressed as a notice"),
)  # fmt: skip

# The line that announces the returned message, or stands above it. `$` is the end of the line.
RETURNED: Final = (
    Clue("below", 2, r"below (this line )?is (a )?(the )?(copy|original|returned)", "qmail, OpenSMTPD"),
    Clue("copy", 2, r"this is a copy of (the|your) (original )?(message|mail)|copy of the original message below", "Exim"),
    Clue("follows", 2, r"(original|returned|unsent|undelivered|rejected|bounced|failed|truncated) (original )?(e-?mail |mail |mime )?(message|mail|article|text)s?( (header|body|text|detail|info)s?)?( (is|are))?( (as )?follow(s|ing)?| below| attached)?( here)?[\s\-=:.|]*$", "most of them"),
    Clue("header-follows", 2, r"(message|mail|original) (headers?|body|text|details?) ?(is |are )?(follow(s|ing)?|below)|(message|mail) (headers?|text|details)[\s\-=:.|]*$", "Dragonfly, sendmail"),
    Clue("lines-of", 2, r"(headers?|top \d+ lines|lines|initial part) of (the|your) (original )?message", "1&1, SmarterMail, XMail"),
    Clue("your-message", 2, r"^\s*your (original )?(message|mail) (follows|was as follows|began as follows)", "MMDF, PP"),
    Clue("included", 2, r"included is a copy of the message", "MX Logic"),
    Clue("ruled", 2, r"-{3,}.{0,10}(message header|original message|returned message|unsent message|forwarded message|failed message|original mail)", "a title between dashes"),
    Clue("headers", 2, r"original message headers", "Exchange from 2007 on"),
    Clue("european", 2, r"ursprüngliche nachricht(enkopfzeilen)?:?\s*$|en-têtes (de |du )?message d['’]origine|message d['’]origine|encabezados (de|del) mensaje|mensaje original|cabeçalhos? (de|da) mensage|mensagem original|intestazioni (del )?messaggio|messaggio originale|oorspronkelijke? bericht|originalmeddelande|opprinnelig melding|oprindelig meddelelse|alkuperäi\w+ viesti|oryginaln\w+ wiadomo|původní zpráv|eredeti üzenet", "the same, localised"),
    Clue("slavic", 2, r"исходн\w+ (сообщени|письм)|заголовк\w+ (исходного|оригинального)|оригинальное сообщение", "the same"),
    Clue("east-asian", 2, r"オリジナルメッセージ|元のメッセージ|元のメール|送信メール(ヘッダ|内容)|原邮件|原始(邮件|郵件|訊息|信件)|원본 메시지|원래 메시지", "the same"),
)  # fmt: skip
