# ruff: noqa: E501 - replies are quoted as they come
"""Replies that were written from what providers and mail systems publish, before any rule was mended for them.

Each line: the reply, the classes that a person would accept, and whether its address is dead: `yes`; `no`,
which `unknown` may be said of too; `?` where people differ.
"""

JUDGED = """
550 5.1.10 RESOLVER.ADR.Ambiguous; ambiguous address | InvalidRecipient | no
554 5.7.1 <a@example.net>: Recipient address rejected: Access denied | PolicyRelated,SpamBlock,InvalidRecipient,AuthenticationFailed | no
550 IP address unavailable in our whitelist | SpamBlock,PolicyRelated | no
550 5.7.1 user unknown or not permitted to send to group | PolicyRelated,InvalidSender,InvalidRecipient | no
550 Verify failed for address <a@example.com> | InvalidSender,PolicyRelated | no
550-Verification failed for <a@example.com> 550-No Such User Here 550 Sender verify failed | InvalidSender | no
550 Requested action not taken: mailbox unavailable | InvalidRecipient,InactiveMailbox | no
553 5.3.0 sender does not exist | InvalidSender | no
550 5.7.1 Sender address rejected: undeliverable address: host mx.example.com said: 550 5.1.1 user unknown | InvalidSender | no
450 4.1.8 <a@example.com>: Sender address rejected: Domain not found | InvalidSender | no
550 5.1.1 <a@example.net>: Recipient address rejected: undeliverable address: User unknown | InvalidRecipient | yes
550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. | InvalidRecipient | yes
550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. | SpamBlock,PolicyRelated,TransientFailure,QuotaIssues | no
550 5.2.1 The user you are trying to contact is receiving mail too quickly | SpamBlock,PolicyRelated,TransientFailure,QuotaIssues | no
552 5.2.2 The email account that you tried to reach is over quota and inactive. | QuotaIssues | no
421 4.7.28 Our system has detected an unusual rate of unsolicited mail originating from your SPF domain | SpamBlock,PolicyRelated | no
550 5.7.1 Our system has detected that this message is likely unsolicited mail. | SpamContent,SpamBlock,SpamRelated | no
550-5.7.1 This message is not RFC 5322 compliant, the issue is: 550-5.7.1 Multiple 'From' headers found. | ContentRelated | no
550 5.7.25 The IP address sending this message does not have a PTR record setup | AuthenticationFailed,BadConfiguration,DNSFailure,PolicyRelated,SpamBlock | no
553 5.1.2 We weren't able to find the recipient domain. Please check for any spelling errors | BadDomain,DNSFailure,RoutingErrors | yes
552 5.7.0 This message was blocked because its content presents a potential security issue. | ContentRelated,ProhibitedAttachment,PolicyRelated | no
550 5.4.5 Daily user sending limit exceeded. | PolicyRelated,SpamBlock,QuotaIssues | no
550 5.7.1 Email quota exceeded. | QuotaIssues,SpamBlock,PolicyRelated | no
452 4.5.3 Your message has too many recipients. | TooManyRecipients | no
550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient a@example.net not found by SMTP address lookup | InvalidRecipient | yes
550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR03FT012.eop-EUR03.prod.protection.outlook.com] | InvalidRecipient | yes
550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group | AuthenticationFailed,PolicyRelated,InvalidSender | no
550 5.7.124 RESOLVER.RST.SenderNotAuthenticatedForMailbox | AuthenticationFailed,PolicyRelated,InvalidSender | no
550 5.7.1 RESOLVER.RST.NotAuthorized; not authorized | PolicyRelated,AuthenticationFailed | no
550 5.2.3 RESOLVER.RST.RecipSizeLimit; message too large for this recipient | QuotaIssues,ContentRelated,PolicyRelated | no
550 5.3.4 ROUTING.SizeLimit; message size exceeds fixed maximum size for route | QuotaIssues,ContentRelated,PolicyRelated | no
550 5.3.4 SMTPSEND.OverAdvertisedSize; message size exceeds fixed maximum size | QuotaIssues,ContentRelated,PolicyRelated | no
550 5.1.8 Access denied, bad outbound sender AS(42003) | SpamBlock,InvalidSender,PolicyRelated | no
550 5.7.705 Access denied, tenant has exceeded threshold | SpamBlock,PolicyRelated | no
550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP | SpamBlock,PolicyRelated | no
451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719) | SpamBlock,TransientFailure,PolicyRelated | no
451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation. | SpamBlock,PolicyRelated | no
550 5.7.515 Access denied, sending domain EXAMPLE.COM does not meet the required authentication level. | AuthenticationFailed | no
550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [BL2NAM02FT.eop-nam02.prod.protection.outlook.com] | InvalidRecipient,InactiveMailbox | no
550 5.2.1 Mailbox cannot be accessed | InactiveMailbox | no
554 5.2.2 STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded | QuotaIssues | no
432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded | TransientFailure,BadConnection,SpamBlock | no
432 4.2.0 STOREDRV.Deliver; mailbox database thread limit exceeded | TransientFailure,BadConnection | no
550 5.4.6 Hop count exceeded - possible mail loop | RoutingErrors | no
554 5.4.14 Hop count exceeded - possible mail loop ATTR34 | RoutingErrors | no
550 5.4.310 DNS domain example.invalid does not exist | BadDomain,DNSFailure | yes
450 4.4.312 DNS query failed | DNSFailure,BadDomain,RoutingErrors | no
450 4.4.316 Connection refused [Message=Socket error code 10061] | NoAnswerFromHost,BadConnection | no
550 5.7.367 Remote server returned not permitted to relay | RelayDenied,PolicyRelated | no
550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain | RelayDenied | no
550 5.6.11 Invalid characters | ContentRelated,ProtocolErrors | no
554 5.6.0 STOREDRV.Deliver.Exception:ConversionFailedException; Failed to process message due to a permanent exception with message Content conversion | ContentRelated | no
554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0] | InvalidRecipient | yes
554 30 Sorry, your message to x@aol.com cannot be delivered. This mailbox is disabled (554.30). | InactiveMailbox,InvalidRecipient | ?
552 1 Requested mail action aborted, mailbox not found | InvalidRecipient | yes
554 Message not allowed - [PH01] Email not accepted for policy reasons | PolicyRelated,SpamContent,ContentRelated,SpamBlock | no
553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed. | SpamBlock,PolicyRelated | no
421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints - 4.16.55.1 | SpamBlock | no
421 4.3.2 [GL01] Message from 192.0.2.1 temporarily deferred | SpamBlock,TransientFailure | no
550 relaying denied for <a@example.net> | RelayDenied | no
550 5.1.1 unknown or illegal alias: a@example.net | InvalidRecipient | yes
550 5.7.1 [CS01] Message rejected due to local policy. Please visit https://support.apple.com/en-us/HT204137 | PolicyRelated,SpamBlock,SpamContent | no
554 5.7.1 [HM08] Message rejected due to local policy. | PolicyRelated,SpamBlock | no
550 5.1.1 <a@icloud.com>: user does not exist | InvalidRecipient | yes
550 spam message rejected. Please visit http://help.mail.ru/notspam-support/id?c=abc or report details to abuse@corp.mail.ru. Error code: 0123 | SpamContent,SpamRelated,SpamBlock | no
550 Message was not accepted -- invalid mailbox. Local mailbox a@mail.ru is unavailable: user not found | InvalidRecipient | yes
550 Message was not accepted -- invalid mailbox. Local mailbox a@mail.ru is unavailable: account is disabled | InactiveMailbox | no
421 SPF check failed, policy sent by domain: hard fail | AuthenticationFailed | no
451 try again later (greylisted) | SpamBlock,TransientFailure,PolicyRelated | no
550 5.7.1 Message rejected under suspicion of SPAM; https://ya.cc/1IrBc 1600000000-abc | SpamContent,SpamBlock,SpamRelated | no
554 5.7.1 Message rejected under suspicion of SPAM | SpamContent,SpamRelated | no
550 5.7.1 No such user! | InvalidRecipient | yes
550 5.1.1 Policy rejection on the target address | PolicyRelated,InvalidRecipient | no
451 4.7.1 Sorry, the service is currently unavailable. Please come back later. | TransientFailure,SpamBlock | no
550 Mailbox not found or access denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000728 | InvalidRecipient | no
550 Mail content denied. http://service.mail.qq.com/cgi-bin/help?subtype=1&&id=20022&&no=1000726 | SpamContent,ContentRelated,PolicyRelated | no
550 Ip frequency limited. http://service.mail.qq.com | SpamBlock,PolicyRelated,TransientFailure | no
550 Domain frequency limited | SpamBlock,PolicyRelated,TransientFailure | no
550 Connection frequency limited | SpamBlock,PolicyRelated,TransientFailure,BadConnection | no
550 Suspected spam ip | SpamBlock | no
554 DT:SPM 163 mx1, please see http://mail.163.com/help/help_spam_16.htm | SpamContent,SpamBlock,SpamRelated | no
550 MI:NHD 163 mx, Illegal header | ContentRelated | no
550 User not found: a@163.com | InvalidRecipient | yes
550 RP:TRC 163 SMTP | SpamBlock,PolicyRelated | no
554 MI:SPB 163 smtp | SpamBlock,InvalidSender,PolicyRelated | no
451 RP:CEL too many connections | SpamBlock,BadConnection,TransientFailure | no
550 Invalid User: a@163.com | InvalidRecipient | yes
421 too many messages sent today | SpamBlock,PolicyRelated,TransientFailure | no
550 5.1.1 <a@orange.fr> Adresse d au moins un destinataire invalide. Invalid recipient. OFR204_418 [418] | InvalidRecipient | yes
550 5.2.0 Mail rejete. Mail rejected. OFR_506 [506] | SpamContent,SpamBlock,PolicyRelated | no
550 5.7.1 Service refuse. Veuillez essayer plus tard. service refused, please try later. OFR_999 | SpamBlock,PolicyRelated | no
421 Trop de connexions, veuillez verifier votre configuration. Too many connections, slow down. OFR_104 | SpamBlock,BadConnection,TransientFailure | no
550 Boite du destinataire archivee. Archived recipient. OFR_417 | InactiveMailbox,InvalidRecipient | no
552 5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417] | QuotaIssues | no
554 Transaction failed Reject due to policy restrictions. For explanation visit http://postmaster.gmx.com/en/error-messages | PolicyRelated,SpamBlock,SpamContent | no
554-gmx.net (mxgmx011) Nemesis ESMTP Service not available 554-No SMTP service 554-IP address is black listed. | SpamBlock | no
550 Requested action not taken: mailbox unavailable 550 For explanation visit http://postmaster.gmx.com/en/error-messages?ip=192.0.2.1 | InvalidRecipient,InactiveMailbox | no
554-web.de (mxweb012) Nemesis ESMTP Service not available 554-Bad DNS PTR resource record. | AuthenticationFailed,BadConfiguration,DNSFailure,SpamBlock | no
554 IP=192.0.2.1 - None/bad reputation. Ask your postmaster for help | SpamBlock | no
554 IP=192.0.2.1 - Dialup/transient IP not allowed. Use a mailgateway/smarthost. | SpamBlock,PolicyRelated | no
550 5.1.1 unknown user <a@t-online.de> | InvalidRecipient | yes
550 5.1.1 User unknown. Benutzer unbekannt. | InvalidRecipient | yes
550 5.7.1 Email cannot be delivered. Reason: Email detected as Spam by spam filters. | SpamContent,SpamRelated | no
550 5.1.1 User does not exist - <a@zoho.com> | InvalidRecipient | yes
552 User account is overquota | QuotaIssues | no
550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [abc.uk123] | InvalidRecipient | yes
554 Email rejected due to security policies - MCSpamSignature.x.x | SpamContent,PolicyRelated,SpamBlock | no
550 Administrative prohibition - https://community.mimecast.com/docs/DOC-1369 | PolicyRelated | no
451 Account inbounds disabled | TransientFailure,InactiveMailbox,PolicyRelated | no
451 Internal resources are temporarily unavailable - https://community.mimecast.com | TransientFailure | no
550 csi.mimecast.org Poor Reputation Sender | SpamBlock | no
550 DMARC Sender Invalid - envelope rejected | AuthenticationFailed | no
550 Rejected by header based Anti-Spoofing policy: a@example.com | PolicyRelated,AuthenticationFailed,InvalidSender,SpamBlock | no
550 Attempt to send from a local domain | PolicyRelated,InvalidSender,SpamBlock,AuthenticationFailed | no
554 Message refused. Attachment type not allowed | ProhibitedAttachment | no
550 #5.1.0 Address rejected. | InvalidRecipient | no
550 #5.7.1 Your access to submit messages to this e-mail system has been rejected. | SpamBlock,PolicyRelated | no
554 Your access to this mail system has been rejected due to the sending MTA's poor reputation. | SpamBlock | no
421 #4.4.5 Too many connections from your host. | SpamBlock,BadConnection,TransientFailure | no
452 Too many recipients received this hour | TooManyRecipients,SpamBlock,PolicyRelated | no
550 5.7.1 Blocked - see https://support.proofpoint.com/dnsbl-lookup.cgi?ip=192.0.2.1 | SpamBlock | no
550 5.1.1 <a@example.net>... User unknown, proofpoint essentials | InvalidRecipient | yes
554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1 | SpamBlock | no
550 5.7.0 Local Policy Violation | PolicyRelated | no
554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Barracuda Reputation; http://www.barracudanetworks.com/reputation/?r=1&ip=192.0.2.1 | SpamBlock | no
550 permanent failure for one or more recipients (a@example.net:blocked) | SpamBlock,PolicyRelated | no
550 permanent failure for one or more recipients (a@example.net:550 5.1.1 User unknown) | InvalidRecipient | yes
550 5.7.1 Message rejected due to possible spam content | SpamContent | no
550 Rule imposed mailbox access for a@example.net refused: user invalid | InvalidRecipient | yes
554 5.7.1 The message was blocked by barracuda: Message Size Exceeds Limit | QuotaIssues,ContentRelated,SpamBlock,PolicyRelated | no
550 Sender verify failed | InvalidSender | no
550 Unknown user | InvalidRecipient | yes
550 unrouteable address | BadDomain,InvalidRecipient | yes
550 relay not permitted | RelayDenied | no
550 authentication required | AuthenticationFailed | no
550 Rejected because 192.0.2.1 is in a black list at zen.spamhaus.org | SpamBlock | no
550-192.0.2.1 is listed at bl.example.org | SpamBlock | no
550 Administrative prohibition | PolicyRelated | no
503 AUTH command used when not advertised | ProtocolErrors,AuthenticationFailed | no
550 HELO should be a FQDN or address literal (See RFC 2821 4.1.1.1) | PolicyRelated,ProtocolErrors,SpamBlock,AuthenticationFailed,BadConfiguration | no
550 Message contains a virus (Eicar-Test-Signature). | VirusRelated | no
550 This message scored 12.3 spam points. Congratulations! | SpamContent,SpamRelated | no
550 maximum allowed line length is 998 octets, got 1200 | ContentRelated,ProtocolErrors | no
554 5.7.1 <a@example.com>: Sender address rejected: Access denied | InvalidSender,SpamBlock,PolicyRelated | no
504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname | PolicyRelated,ProtocolErrors,BadConfiguration,SpamBlock,AuthenticationFailed | no
450 4.7.1 Client host rejected: cannot find your reverse hostname, [192.0.2.1] | AuthenticationFailed,BadConfiguration,DNSFailure,SpamBlock | no
550 5.1.0 <a@example.com>: Sender address rejected: User unknown in virtual mailbox table | InvalidSender | no
554 5.7.1 <x[192.0.2.1]>: Client host rejected: Access denied | SpamBlock,PolicyRelated | no
550 5.7.1 Error: content rejected | SpamContent,ContentRelated,PolicyRelated | no
452 4.3.1 Insufficient system storage | QuotaIssues,TransientFailure,BadConfiguration | no
552 5.3.4 Message size exceeds fixed limit | QuotaIssues,ContentRelated,PolicyRelated | no
451 4.3.5 Server configuration problem | BadConfiguration,TransientFailure | no
454 4.7.0 TLS not available due to local problem | TransientFailure,BadConnection,AuthenticationFailed,BadConfiguration | no
530 5.7.0 Must issue a STARTTLS command first | AuthenticationFailed,PolicyRelated,ProtocolErrors,BadConnection | no
554 5.7.8 Error: authentication failed | AuthenticationFailed | no
550 5.2.0 Mailbox unavailable | InactiveMailbox,InvalidRecipient | no
553 sorry, no mailbox here by that name. (#5.7.1) | InvalidRecipient | yes
553 sorry, your envelope sender is in my badmailfrom list (#5.7.1) | InvalidSender,SpamBlock,PolicyRelated | no
553 sorry, that domain isn't in my list of allowed rcpthosts; no valid cert for gatewaying (#5.7.1) | RelayDenied | no
451 qq temporary problem (#4.3.0) | TransientFailure | no
554 too many hops, this message is looping (#5.4.6) | RoutingErrors | no
552 sorry, that message size exceeds my databytes limit (#5.3.4) | QuotaIssues,ContentRelated,PolicyRelated | no
511 sorry, no mailbox here by that name (#5.1.1 - chkuser) | InvalidRecipient | yes
571 sorry, sender address has invalid format (#5.1.7 - chkuser) | InvalidSender | no
550 5.7.1 <a@example.com>... Relaying denied. Proper authentication required. | RelayDenied,AuthenticationFailed | no
553 5.1.8 <a@example.invalid>... Domain of sender address a@example.invalid does not exist | InvalidSender | no
550 5.1.2 <a@example.invalid>... Host unknown (Name server: host not found) | BadDomain | yes
554 5.0.0 Service unavailable | BadConfiguration,TransientFailure,SpamBlock | no
421 4.3.2 Connection rate limit exceeded. | SpamBlock,BadConnection,TransientFailure | no
452 4.4.5 Insufficient disk space; try again later | QuotaIssues,TransientFailure,BadConfiguration | no
553 5.5.4 <root>... Domain name required for sender address root | InvalidSender,ProtocolErrors | no
550 5.7.1 Command rejected | PolicyRelated,SpamBlock,ProtocolErrors | no
550 5.7.1 Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted using BlackList. Details: blocked | SpamBlock | no
550 This message was rejected: mailbox is inactive | InactiveMailbox | no
550 5.2.1 a@example.net is inactive | InactiveMailbox | no
550 Account has been deactivated | InactiveMailbox | no
550 User is suspended | InactiveMailbox | no
550 5.1.6 recipient no longer on server | InvalidRecipient,InactiveMailbox | yes
550 The user has moved to another address | InvalidRecipient,InactiveMailbox | ?
554 5.7.1 Your mail could not be delivered because the recipient is only accepting mail from specific email addresses | PolicyRelated,SpamBlock,InvalidSender | no
550 Recipient does not accept mail from you | PolicyRelated,SpamBlock,InvalidSender | no
550 sender not allowed to send to this recipient | InvalidSender,PolicyRelated | no
550 5.7.1 Recipient not authorized, your IP has been found on a block list | SpamBlock | no
550 5.7.1 The user or domain that you are sending to (or from) has a policy that prohibited the mail that you sent. | PolicyRelated | no
550 5.0.0 Bad destination email address | InvalidRecipient | yes
501 5.1.3 Bad recipient address syntax | InvalidRecipient,ProtocolErrors | ?
553 5.1.3 Domain name required | ProtocolErrors,InvalidRecipient | no
550 5.1.1 sorry, you are not allowed to send to this address | PolicyRelated,InvalidSender,InvalidRecipient | no
550 mailbox for a@example.net is restricted | InactiveMailbox,PolicyRelated | no
450 4.2.2 Mailbox full | QuotaIssues | no
550 Mail size limit exceeded | QuotaIssues,ContentRelated,PolicyRelated | no
554 5.2.3 Message too large | QuotaIssues,ContentRelated,PolicyRelated | no
550 a@example.net has exceeded his/her disk space limit. | QuotaIssues | no
550 mail for a@example.net cannot be stored, mailbox over limit | QuotaIssues | no
550 5.5.0 Sender policy violation: too many complaints | SpamBlock,PolicyRelated | no
450 4.7.1 Error: too much mail from 192.0.2.1 | SpamBlock,PolicyRelated,TransientFailure | no
450 4.7.1 <a@example.net>: Recipient address rejected: Throttled | SpamBlock,PolicyRelated,TransientFailure | no
421 4.7.0 Too many errors | ProtocolErrors,PolicyRelated,TransientFailure,SpamBlock | no
421 mx.example.net Error: timeout exceeded | BadConnection,NoAnswerFromHost,MessageExpired,TransientFailure | no
421 4.4.2 mx.example.net Error: timeout exceeded | BadConnection,NoAnswerFromHost,TransientFailure | no
550 5.1.0 Other address status | InvalidRecipient | no
550 5.1.1 Bad destination mailbox address | InvalidRecipient | yes
550 5.1.2 Bad destination system address | BadDomain,DNSFailure,RoutingErrors | yes
550 5.1.3 Bad destination mailbox address syntax | InvalidRecipient,ProtocolErrors | ?
550 5.1.4 Destination mailbox address ambiguous | InvalidRecipient | no
550 5.1.6 Destination mailbox has moved, No forwarding address | InvalidRecipient,InactiveMailbox | yes
550 5.1.7 Bad sender's mailbox address syntax | InvalidSender | no
550 5.1.8 Bad sender's system address | InvalidSender | no
550 5.2.0 Other or undefined mailbox status | InactiveMailbox,InvalidRecipient | no
550 5.2.1 Mailbox disabled, not accepting messages | InactiveMailbox | no
552 5.2.2 Mailbox full | QuotaIssues | no
552 5.2.3 Message length exceeds administrative limit | QuotaIssues,ContentRelated,PolicyRelated | no
550 5.2.4 Mailing list expansion problem | InvalidRecipient,BadConfiguration | no
451 4.3.0 Other or undefined mail system status | TransientFailure,BadConfiguration | no
452 4.3.1 Mail system full | QuotaIssues,BadConfiguration,TransientFailure | no
453 4.3.2 System not accepting network messages | TransientFailure | no
550 5.3.3 System not capable of selected features | BadConfiguration,ProtocolErrors,PolicyRelated | no
552 5.3.4 Message too big for system | QuotaIssues,ContentRelated,PolicyRelated | no
450 4.3.5 System incorrectly configured | BadConfiguration,TransientFailure | no
451 4.4.0 Other or undefined network or routing status | TransientFailure,RoutingErrors,BadConnection | no
451 4.4.1 No answer from host | NoAnswerFromHost | no
451 4.4.2 Bad connection | BadConnection | no
451 4.4.3 Directory server failure | DNSFailure,TransientFailure | no
451 4.4.4 Unable to route | RoutingErrors | no
451 4.4.5 Mail system congestion | TransientFailure | no
554 5.4.6 Routing loop detected | RoutingErrors | no
451 4.4.7 Delivery time expired | MessageExpired | no
500 5.5.1 Invalid command | ProtocolErrors | no
501 5.5.2 Syntax error | ProtocolErrors | no
452 4.5.3 Too many recipients | TooManyRecipients | no
554 5.6.1 Media not supported | ContentRelated,ProhibitedAttachment | no
554 5.6.3 Conversion required but not supported | ContentRelated | no
550 5.7.1 Delivery not authorized, message refused | PolicyRelated | no
550 5.7.2 Mailing list expansion prohibited | PolicyRelated,AuthenticationFailed | no
550 5.7.13 User Account Disabled | InactiveMailbox | no
550 5.7.20 No passing DKIM signature found | AuthenticationFailed | no
550 5.7.23 SPF validation failed | AuthenticationFailed | no
450 4.7.24 SPF validation error | AuthenticationFailed | no
550 5.7.25 Reverse DNS validation failed | AuthenticationFailed,BadConfiguration,DNSFailure | no
550 5.7.26 Multiple authentication checks failed | AuthenticationFailed | no
550 5.7.27 Sender address has null MX | InvalidSender | no
550 5.7.29 ARC validation failure | AuthenticationFailed | no
550 5.7.30 REQUIRETLS support required | AuthenticationFailed,PolicyRelated,BadConnection | no
421 4.7.66 TLS version unsupported | BadConnection,AuthenticationFailed,PolicyRelated,TransientFailure | no
451 4.7.5 TLS is required, but was not offered by host | BadConnection,AuthenticationFailed,PolicyRelated | no
454 4.7.5 certificate verify failed: self-signed certificate | BadConnection,AuthenticationFailed | no
403 4.7.0 TLS handshake failed | BadConnection,AuthenticationFailed,TransientFailure | no
550 5.7.1 Mail from 192.0.2.1 refused, see RBL | SpamBlock | no
550 Client host 192.0.2.1 blocked by zen.spamhaus.org | SpamBlock | no
554 The IP 192.0.2.1 is on our local blacklist | SpamBlock | no
550 IP 192.0.2.1 is not allowed to send email | SpamBlock,PolicyRelated | no
550 Sorry, your IP has been throttled | SpamBlock,PolicyRelated | no
450 Too many messages from your host in the last hour | SpamBlock,TransientFailure,PolicyRelated | no
451 Rate limit exceeded for this sender | SpamBlock,PolicyRelated,TransientFailure | no
421 Connection refused, try later | SpamBlock,TransientFailure,NoAnswerFromHost,BadConnection | no
554 No SMTP service here | SpamBlock,BadDomain,NoAnswerFromHost,PolicyRelated,BadConfiguration | no
521 example.net does not accept mail | BadDomain,NoAnswerFromHost,PolicyRelated | ?
556 Domain does not accept mail (nullMX) | BadDomain | yes
550 We do not accept mail from dynamic IPs | SpamBlock,PolicyRelated | no
550 This mail server requires authentication when attempting to send to a non-local e-mail address. | AuthenticationFailed,RelayDenied,PolicyRelated | no
550 You must check for new mail before sending mail. | AuthenticationFailed,PolicyRelated,RelayDenied | no
535 5.7.8 Username and Password not accepted | AuthenticationFailed | no
535 Incorrect authentication data | AuthenticationFailed | no
550 5.7.1 Message content violates policy | ContentRelated,PolicyRelated,SpamContent | no
550 5.7.1 Email rejected per DMARC policy for example.com | AuthenticationFailed | no
550 SPF: 192.0.2.1 is not allowed to send mail from example.com | AuthenticationFailed | no
550 5.7.0 (SPF) Please see http://www.openspf.net/Why | AuthenticationFailed | no
550 Domain example.com has published an SPF policy, your server is not authorized | AuthenticationFailed | no
550 DKIM: encountered the following problem validating example.com: bodyhash_mismatch | AuthenticationFailed | no
554 5.7.1 message looks like spam, rejected | SpamContent | no
554 Denied [SPAM] [7.5] | SpamContent,SpamBlock | no
550 High probability of spam | SpamContent | no
554 5.7.1 Spam message rejected; If this is not spam contact abuse@example.net | SpamContent | no
550 URL in this email (example.com) appears on block list | SpamContent,SpamBlock | no
550 5.7.1 Message contains spam or virus or sender is blocked | VirusRelated,SpamContent,SpamBlock,ContentRelated,ProhibitedAttachment | no
550 Virus Detected; Discarded! | VirusRelated | no
554 5.7.1 Virus Win32/Klez found | VirusRelated | no
552 5.7.0 Our system detected an illegal attachment on your message | ProhibitedAttachment | no
554 5.6.0 Attachment type .exe is not permitted | ProhibitedAttachment | no
550 Zip archives with encrypted content are not accepted | ProhibitedAttachment,ContentRelated,PolicyRelated | no
553 5.6.0 Message has bare LF | ContentRelated,ProtocolErrors | no
554 Message rejected: headers contain illegal characters | ContentRelated | no
550 Headers are too long | ContentRelated | no
554 5.6.0 Message contains NUL characters | ContentRelated,ProtocolErrors | no
550 From header missing or invalid | ContentRelated,InvalidSender | no
550 5.6.0 Lone CR or LF in headers (see RFC2822 section 2.2) | ContentRelated,ProtocolErrors | no
552 Message exceeds the maximum size of 10 MB | QuotaIssues,ContentRelated,PolicyRelated | no
523 the message size exceeds the recipient's limit | QuotaIssues,ContentRelated,PolicyRelated | no
552 Quota violation for a@example.net | QuotaIssues | no
550 a@example.net quota exceeded | QuotaIssues | no
452 4.2.2 The email account that you tried to reach is over quota | QuotaIssues | no
552 Mailbox size limit exceeded | QuotaIssues | no
550 Benutzer hat zuviele Mails auf dem Server | QuotaIssues | no
550 El buzon del usuario esta lleno | QuotaIssues | no
552 Casella piena | QuotaIssues | no
550 La boite aux lettres est pleine | QuotaIssues | no
550 Почтовый ящик переполнен | QuotaIssues | no
550 メールボックスの容量を超えています | QuotaIssues | no
550 用户邮箱空间已满 | QuotaIssues | no
550 Пользователь не найден | InvalidRecipient | yes
550 5.1.1 Такого пользователя нет | InvalidRecipient | yes
550 ユーザーが存在しません | InvalidRecipient | yes
550 收件人地址不存在 | InvalidRecipient | yes
550 존재하지 않는 사용자입니다 | InvalidRecipient | yes
550 Empfänger existiert nicht | InvalidRecipient | yes
550 Destinataire inconnu | InvalidRecipient | yes
550 El usuario no existe | InvalidRecipient | yes
550 Esta cuenta no existe | InvalidRecipient | yes
550 Usuario nao encontrado | InvalidRecipient | yes
550 Utente inesistente | InvalidRecipient | yes
550 Gebruiker onbekend | InvalidRecipient | yes
550 Nie ma takiego uzytkownika | InvalidRecipient | yes
550 Böyle bir kullanıcı yok | InvalidRecipient | yes
550 Användaren finns inte | InvalidRecipient | yes
550 Account cancelled | InactiveMailbox,InvalidRecipient | ?
550 This account has been closed by the owner | InactiveMailbox | no
550 The account of the recipient has expired | InactiveMailbox | no
550 user temporarily suspended | InactiveMailbox | no
554 Recipient mailbox is frozen | InactiveMailbox | no
550 Konto gesperrt | InactiveMailbox | no
550 Compte désactivé | InactiveMailbox | no
550 Recipient not found | InvalidRecipient | yes
550 5.1.1 Recipient <a@example.net> does not exist here | InvalidRecipient | yes
550 that user doesn't live here | InvalidRecipient | yes
550 No one by that name lives here | InvalidRecipient | yes
550 Not a valid mailbox | InvalidRecipient | yes
550 5.7.1 Invalid user address | InvalidRecipient | yes
550 cannot find your mailbox in our system | InvalidRecipient | ?
553 Unknown local-part a in <a@example.net> | InvalidRecipient | yes
550 a@example.net: no such address here | InvalidRecipient | yes
550 5.1.1 Address does not exist: a@example.net | InvalidRecipient | yes
550 The recipient cannot be verified. Please check all recipients of this message to verify they are valid. | InvalidRecipient | no
550 We would love to have gotten this email to a@example.net. But, your recipient never logged onto their free account. | InactiveMailbox,InvalidRecipient | no
551 not our user; please try <b@example.org> | InvalidRecipient | yes
550 mailbox unavailable: a@example.net unknown | InvalidRecipient | yes
550 5.7.1 Address unavailable due to policy | InvalidRecipient,PolicyRelated | no
550 Recipient has blocked your address | SpamBlock,PolicyRelated,InvalidSender | no
550 You are on the recipient's block list | SpamBlock,PolicyRelated | no
550 5.7.1 Sender blocked by recipient | SpamBlock,InvalidSender,PolicyRelated | no
550 Sender domain is listed at dbl.spamhaus.org | SpamBlock | no
450 4.1.1 <a@example.net>: Recipient address rejected: unverified address: connect to 192.0.2.1: Connection refused | InvalidRecipient,NoAnswerFromHost,TransientFailure | no
550 5.1.1 <a@example.net>: Recipient address rejected: unverified address: unknown user: "a" | InvalidRecipient | yes
451 4.3.0 <a@example.net>: Temporary lookup failure | TransientFailure,DNSFailure | no
450 4.1.2 <a@example.invalid>: Recipient address rejected: Domain not found | BadDomain | no
451 Could not complete sender verify callout | InvalidSender | no
550 unable to verify sender address | InvalidSender | no
550 5.7.1 Sender address spoofing prohibited | PolicyRelated,InvalidSender,AuthenticationFailed,SpamBlock | no
550 Message bounced due to organizational settings. | PolicyRelated | no
554 5.0.0 Mail appears to be unsolicited | SpamContent | no
550 Blocked by recipient filter | PolicyRelated,SpamBlock | no
550 Mailbox reject: message refused by filter rule | PolicyRelated,SpamContent,ContentRelated | no
550 5.1.1 <a@example.net>: Recipient address rejected: User unknown in relay recipient table | InvalidRecipient | yes
550 5.1.1 Recipient unknown <a@example.net> | InvalidRecipient | yes
550 No such recipient here | InvalidRecipient | yes
550 [SUSPEND] Mailbox currently suspended - Please contact correspondent directly | InactiveMailbox | no
550 5.2.1 This mailbox has been blocked due to inactivity | InactiveMailbox | no
554 5.2.1 mailbox is over its quota; blocked | QuotaIssues,InactiveMailbox | no
450 4.2.2 user is over the quota. You can try again later. | QuotaIssues | no
552 5.2.2 This message is larger than the current system limit or the recipient's mailbox is full. Create a shorter message body or remove attachments and try sending it again. | QuotaIssues | no
550 5.7.1 Requested action not taken: message refused | PolicyRelated,SpamContent,SpamBlock | no
554 5.7.1 Rejected as spam by filtering service | SpamContent | no
550 This message was classified as SPAM and may not be delivered | SpamContent | no
550 Spam detected, message refused | SpamContent | no
554 rejected due to spam URL in content | SpamContent | no
550 Blocked for abuse. Please contact the administrator of your network | SpamBlock | no
550 The sender IP (192.0.2.1) has been temporarily blacklisted | SpamBlock | no
553 Mail from 192.0.2.1 not allowed - 5.7.1 [BL21] | SpamBlock | no
550 Your host is not permitted to connect | SpamBlock,PolicyRelated | no
550-mx.example.net rejected your message: too many bad recipients | SpamBlock,PolicyRelated,TooManyRecipients,InvalidRecipient | no
421 4.7.1 Intrusion prevention active for [192.0.2.1] | SpamBlock,PolicyRelated,TransientFailure | no
450 Greylisting in action, please come back in 00:05:00 | SpamBlock,TransientFailure | no
451 DT:SPM 126 mx5, please try again | SpamContent,SpamBlock,TransientFailure | no
421 Service temporarily unavailable | TransientFailure | no
451 4.3.2 Please try again later | TransientFailure | no
452 4.3.1 Out of memory | TransientFailure,BadConfiguration,QuotaIssues | no
554 5.3.0 Mail for example.net loops back to myself | RoutingErrors,BadConfiguration | no
554 5.3.5 Local configuration error | BadConfiguration | no
550 5.4.4 Unable to route: no MX | RoutingErrors,BadDomain,DNSFailure | ?
550 5.1.2 Host or domain name not found. Name service error for name=example.invalid type=MX: Host not found | BadDomain,DNSFailure,RoutingErrors | yes
450 4.4.3 Host or domain name not found. Name service error for name=example.net type=MX: Host not found, try again | DNSFailure,BadDomain,RoutingErrors | no
451 4.4.1 connect to example.net[192.0.2.1]:25: No route to host | NoAnswerFromHost,BadConnection,RoutingErrors | no
451 4.4.2 lost connection with mx.example.net[192.0.2.1] while receiving the initial server greeting | BadConnection | no
451 4.4.2 conversation with mx.example.net timed out while sending RCPT TO | BadConnection,NoAnswerFromHost | no
450 delivery temporarily suspended: conversation with mx timed out | BadConnection,NoAnswerFromHost,TransientFailure,MessageExpired | no
554 5.4.7 Delivery expired (message too old) | MessageExpired | no
550 Message expired in queue, unable to deliver in 3 days | MessageExpired | no
550 4.4.7 retry time not reached for any host after a long failure period | MessageExpired,NoAnswerFromHost,TransientFailure | no
501 5.5.4 Invalid domain name | ProtocolErrors | no
503 5.5.1 Bad sequence of commands | ProtocolErrors | no
555 5.5.4 Unsupported option: SMTPUTF8 | ProtocolErrors | no
553 5.6.7 Address requires SMTPUTF8 | ProtocolErrors,ContentRelated | no
550 5.7.1 Sender ID (PRA) Not Permitted | AuthenticationFailed,InvalidSender,PolicyRelated | no
550 5.7.1 Missing or invalid PTR for sending host | AuthenticationFailed,BadConfiguration,DNSFailure,SpamBlock | no
550 IP does not resolve to hostname | AuthenticationFailed,BadConfiguration,DNSFailure,SpamBlock,PolicyRelated | no
554 5.7.1 Forged HELO: you are not example.net | PolicyRelated,SpamBlock,AuthenticationFailed,ProtocolErrors | no
550 Sender domain does not have MX or A record | InvalidSender,BadDomain,AuthenticationFailed,DNSFailure | no
550 Unable to find MX of sender domain | InvalidSender,BadDomain,DNSFailure | no
550 5.7.1 We do not accept mail from this sender | InvalidSender,SpamBlock,PolicyRelated | no
550 Sender is not on my whitelist | SpamBlock,PolicyRelated,InvalidSender | no
550 5.7.1 The recipient's mailbox only accepts mail from authenticated senders | AuthenticationFailed,PolicyRelated | no
550 Mailing list members only | InvalidSender,PolicyRelated | no
550 a@example.net is no longer employed here | InvalidRecipient,InactiveMailbox | ?
550 a@example.net has left the company | InvalidRecipient,InactiveMailbox | ?
550 This address no longer accepts mail. | InactiveMailbox,InvalidRecipient | ?
550 5.1.1 Mail address incorrect | InvalidRecipient | yes
553 Recipient address has invalid syntax | InvalidRecipient,ProtocolErrors | ?
550 This recipient does not exist in our database | InvalidRecipient | yes
550 No account by that name here | InvalidRecipient | yes
550 Domain example.net is not hosted here | RelayDenied,BadDomain | no
554 5.7.1 You are not allowed to relay | RelayDenied | no
550 5.7.1 <a@example.net> This is not a relaying host | RelayDenied | no
"""
