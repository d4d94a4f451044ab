"""The grammar of commands (RFC 5321 section 4.1): one line in, one command value out.

Answers "what does this line ask for?". Verbs and keywords compare without case; trailing blanks, a blank
after `FROM:` and `TO:`, missing angle brackets and source routes are tolerated, since real clients send them;
control characters, and everything else outside the grammar, are not. Raises CommandError, which carries the
reply, and nothing but CommandError. Knows nothing of sequence: that is the receiver's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from ipaddress import ip_address

from angarium.mail.address import Address, AddressError, is_numeric, parse_mailbox
from angarium.mail.status import reply
from angarium.wire.events import (
    Auth,
    Command,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    MailParameters,
    Noop,
    Quit,
    Rcpt,
    RcptParameters,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)
from angarium.wire.extensions import CommandError, Extensions, decode_xtext, mail_parameters, rcpt_parameters

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VERB = re.compile(r"[A-Za-z0-9]+(?= |$)")
# Path = "<" [ A-d-l ":" ] Mailbox ">"; inside a Quoted-string a bracket is only a character.
_WORD = r'[^<>" ]++|"[^"\\]*+(?:\\.[^"\\]*+)*"'
_BRACKETED = rf"<(?P<path>(?:{_WORD})*)>"
_BARE = rf"(?P<bare>(?:{_WORD})+)"
_PATH = rf" *(?:{_BRACKETED}|{_BARE})(?: +(?P<parameters>\S.*))?"
_FROM = re.compile(rf"FROM:{_PATH}", re.IGNORECASE)
_TO = re.compile(rf"TO:{_PATH}", re.IGNORECASE)
_SOURCE_ROUTE = re.compile(r"@[^,:\"]+(?:,@[^,:\"]+)*:")
# Domain or address-literal, as generously as a name that is written into headers and logs may be.
_GREETING_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,254})|\[[A-Za-z0-9.:]{1,64}\]")
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")  # RFC 4422 section 3.1
_BDAT = re.compile(r"BDAT ([0-9]{1,20})( LAST)?", re.IGNORECASE)

NOBODY = "0.0.0.0"  # noqa: S104 - nothing is bound to it
"""The address of a client that a proxy does not know: in no network, so that it has no rights, and surely not
those of the proxy.
"""
_NO_MAIL_PARAMETERS = MailParameters()
_NO_RCPT_PARAMETERS = RcptParameters()


def _syntax_error(text: str = "syntax error in command or arguments") -> CommandError:
    return CommandError(reply(501, f"5.5.2 {text}"), "syntax")


def parse_command(line: bytes, offered: Extensions) -> Command:
    """Read one command line without its CRLF (BDAT is `parse_bdat`'s); raises CommandError."""
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise CommandError(reply(501, "5.5.2 command is not UTF-8"), "encoding") from None
    if not text.isprintable() and _CONTROL.search(text):  # bare CR and LF among them
        raise _syntax_error("control character in command")
    verb, _, argument = text.partition(" ")
    parse = _VERBS.get(verb.upper())
    if parse is not None:
        return parse(argument.strip(" "), offered)
    if _VERB.match(text) is None:
        raise _syntax_error()
    raise CommandError(reply(502, "5.5.1 command not implemented"), "unknown-command")


def parse_bdat(line: bytes) -> tuple[int, bool]:
    """Read `BDAT size [LAST]` (RFC 3030 section 2): size in octets, and whether it is the last chunk.

    Without a size nobody knows where the chunk ends and commands go on, so that the session ends.
    """
    match = _BDAT.fullmatch(line.decode("latin-1").rstrip(" "))
    if match is None:
        raise CommandError(reply(421, "4.5.4 BDAT takes a size and perhaps LAST"), "syntax")
    return int(match[1]), match[2] is not None


def decode_base64(text: str) -> bytes:
    """Decode the base64 of an AUTH exchange (RFC 4954 section 4); raises CommandError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CommandError(reply(501, "5.5.2 not base64"), "syntax") from None


def _mail(argument: str, offered: Extensions) -> Mail:
    match = _FROM.fullmatch(argument)
    if match is None:
        raise _syntax_error("MAIL takes FROM:<address>")
    path, bare, parameters = match.groups()
    read = mail_parameters(parameters, offered) if parameters else _NO_MAIL_PARAMETERS
    sender = None if path == "" else _mailbox(path or bare, "5.1.7 sender")
    if not (read.smtputf8 or argument.isascii()):
        raise needs_smtputf8()
    return Mail(sender, read)


def _rcpt(argument: str, offered: Extensions) -> Rcpt:
    match = _TO.fullmatch(argument)
    if match is None:
        raise _syntax_error("RCPT takes TO:<address>")
    path, bare, parameters = match.groups()
    read = rcpt_parameters(parameters, offered) if parameters else _NO_RCPT_PARAMETERS
    if path is not None and path.lower() == "postmaster":
        return Rcpt(Address("postmaster", ""), read)
    recipient = _mailbox(path or bare or "", "5.1.3 recipient")
    if is_numeric(recipient.domain):
        raise CommandError(reply(501, "5.1.3 an address stands in brackets: <user@[192.0.2.1]>"), "address")
    return Rcpt(recipient, read)


def _mailbox(text: str, what: str) -> Address:
    """Read a path without its brackets; its source route is dropped (RFC 5321 appendix C)."""
    if text[:1] == "@" and (route := _SOURCE_ROUTE.match(text)):
        text = text[route.end() :]
    try:
        return parse_mailbox(text)
    except AddressError:
        raise CommandError(reply(501, f"{what} address is not well formed"), "address") from None


def needs_smtputf8() -> CommandError:
    """What needs SMTPUTF8 stands where it was not asked for (RFC 6531 section 3.5)."""
    return CommandError(reply(553, "5.6.7 this address needs SMTPUTF8 at MAIL"), "address")


def _greeting_name(argument: str) -> str:
    if _GREETING_NAME.fullmatch(argument) is None:
        raise CommandError(reply(501, "5.5.4 a domain or address literal is needed"), "syntax")
    return argument


def _auth(argument: str, offered: Extensions) -> Auth:
    mechanism, _, initial = argument.partition(" ")
    if _MECHANISM.fullmatch(mechanism) is None:
        raise CommandError(reply(501, "5.5.4 AUTH takes a mechanism"), "syntax")
    if not offered.auth and offered.auth_after_tls:
        raise CommandError(reply(524, "5.7.11 AUTH needs an encrypted session"), "not-offered")
    if not offered.auth:
        raise CommandError(reply(502, "5.5.1 AUTH is not offered"), "not-offered")
    if mechanism.upper() not in offered.auth:
        raise CommandError(reply(504, "5.5.4 this AUTH mechanism is not offered"), "not-offered")
    response = None if not initial else b"" if initial == "=" else decode_base64(initial)
    return Auth(mechanism.upper(), response)


def _starttls(argument: str, offered: Extensions) -> StartTls:
    _nothing(argument)
    if not offered.starttls:
        raise CommandError(reply(502, "5.5.1 STARTTLS is not offered"), "not-offered")
    return StartTls()


def _xclient(argument: str, offered: Extensions) -> Xclient:
    if not offered.xclient:
        raise CommandError(reply(550, "5.7.0 XCLIENT is not for you"), "not-offered")
    values: dict[str, str | int | None] = {}
    for word in argument.split():
        name, _, value = word.partition("=")
        if name.upper() not in _ATTRIBUTES:
            raise CommandError(reply(501, "5.5.4 this XCLIENT attribute is not supported"), "parameter")
        field, read = _ATTRIBUTES[name.upper()]
        values[field] = _attribute(name.upper(), value, read)
    if not values:
        raise CommandError(reply(501, "5.5.4 XCLIENT takes attributes"), "syntax")
    return Xclient(**values)  # type: ignore[arg-type]  # the table pairs each field with its reader


def _attribute(name: str, value: str, read: Callable[[str], str | int]) -> str | int | None:
    try:
        text = decode_xtext(value)
        if text.upper() in {"[UNAVAILABLE]", "[TEMPUNAVAIL]"}:
            return NOBODY if name == "ADDR" else None
        return read(text)
    except ValueError:
        raise CommandError(reply(501, f"5.5.4 {name} is not valid"), "parameter") from None


def _xclient_address(text: str) -> str:
    if "%" in text:
        raise ValueError(text)
    return str(ip_address(text[5:] if text[:5].upper() == "IPV6:" else text))


def _xclient_port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(text)
    return int(text)


_ATTRIBUTES: dict[str, tuple[str, Callable[[str], str | int]]] = {
    "ADDR": ("address", _xclient_address),
    "PORT": ("port", _xclient_port),
    "DESTADDR": ("destination_address", _xclient_address),
    "DESTPORT": ("destination_port", _xclient_port),
}


def _nothing(argument: str) -> None:
    if argument:
        raise CommandError(reply(501, "5.5.4 this command takes no argument"), "syntax")


def _something(argument: str) -> str:
    if not argument:
        raise CommandError(reply(501, "5.5.4 this command takes an argument"), "syntax")
    return argument


def _plain(command: Command) -> Callable[[str, Extensions], Command]:
    """A verb without arguments."""

    def parse(argument: str, _offered: Extensions) -> Command:
        if argument:
            _nothing(argument)
        return command

    return parse


_VERBS: dict[str, Callable[[str, Extensions], Command]] = {
    "EHLO": lambda argument, _: Ehlo(_greeting_name(argument)),
    "HELO": lambda argument, _: Helo(_greeting_name(argument)),
    "MAIL": _mail,
    "RCPT": _rcpt,
    "DATA": _plain(Data()),
    "RSET": _plain(Rset()),
    "NOOP": lambda _argument, _: Noop(),
    "QUIT": _plain(Quit()),
    "VRFY": lambda argument, _: Vrfy(_something(argument)),
    "EXPN": lambda argument, _: Expn(_something(argument)),
    "HELP": lambda argument, _: Help(argument),
    "STARTTLS": _starttls,
    "AUTH": _auth,
    "XCLIENT": _xclient,
}
