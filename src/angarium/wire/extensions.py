"""Service extensions: what EHLO offers, and the parameters that MAIL and RCPT may then carry.

Answers "may this parameter stand here, and what does it say?". A parameter that is not offered, or that
nobody knows, is refused with 555 5.5.4; a value that breaks its grammar with 501 5.5.4 (RFC 5321 section
4.1.1.11). Promises that no decoded value holds a control character, so that it may be written into headers
and logs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from angarium.mail.status import Reply, reply
from angarium.wire.events import MailParameters, RcptParameters

MAX_ENVID = 100  # octets: RFC 3461 section 4.4
MAX_ORCPT = 500  # octets: RFC 3461 section 4.2

# RFC 5321 section 4.1.2: esmtp-param = esmtp-keyword ["=" esmtp-value]; RFC 6531 lets values be UTF-8.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\u0080-\U0010ffff]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")  # RFC 1870 section 4
# RFC 3461 section 4: xtext = *( xchar / hexchar ); RFC 6533 section 3 adds characters beyond ASCII.
_XTEXT = re.compile(r"(?:[!-*,-<>-~\u00a0-\U0010ffff]|\+[0-9A-F]{2})+")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_ORCPT = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*);(.+)")
_NOTIFY = re.compile(r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY))*")


@dataclass(frozen=True, slots=True)
class Extensions:
    """What one session offers now; PIPELINING, ENHANCEDSTATUSCODES and 8BITMIME always are."""

    size: int | None = None
    """SIZE with this limit in octets (RFC 1870); None: not offered."""
    smtputf8: bool = True
    starttls: bool = False
    auth: tuple[str, ...] = ()
    """SASL mechanisms, upper case."""
    auth_after_tls: bool = False
    """AUTH will be offered once the session is encrypted; until then it is refused with 524 5.7.11."""
    xclient: bool = False
    chunking: bool = False
    dsn: bool = False

    def lines(self) -> Iterator[str]:
        """The keyword lines of the reply to EHLO."""
        yield from ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME")
        if self.size is not None:
            yield f"SIZE {self.size}"
        if self.auth:
            yield f"AUTH {' '.join(self.auth)}"
        if self.xclient:
            yield "XCLIENT ADDR PORT DESTADDR DESTPORT"
        flags = {
            "SMTPUTF8": self.smtputf8,
            "STARTTLS": self.starttls,
            "CHUNKING": self.chunking,
            "DSN": self.dsn,
        }
        yield from (keyword for keyword, offered in flags.items() if offered)


class CommandError(Exception):
    """A command that cannot stand: the reply it gets, and why in one word."""

    def __init__(self, answer: Reply, why: str) -> None:
        super().__init__(str(answer))
        self.reply = answer
        self.why = why


def unknown_parameter(keyword: str) -> CommandError:
    """A parameter that nobody offered; the keyword is quoted since its grammar holds no surprises."""
    return CommandError(reply(555, f"5.5.4 {keyword[:40]} is not supported here"), "parameter")


def bad_parameter(keyword: str) -> CommandError:
    """A parameter whose value breaks its grammar, or that is given twice."""
    return CommandError(reply(501, f"5.5.4 {keyword[:40]} is not well formed"), "parameter")


def mail_parameters(text: str, offered: Extensions) -> MailParameters:
    """Read the parameters of MAIL; raises CommandError."""
    values = _read(text, _MAIL, offered)
    return MailParameters(**values)  # type: ignore[arg-type]  # each reader below makes what its field takes


def rcpt_parameters(text: str, offered: Extensions) -> RcptParameters:
    """Read the parameters of RCPT; raises CommandError."""
    values = _read(text, _RCPT, offered)
    return RcptParameters(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Parameter:
    field: str
    is_offered: Callable[[Extensions], bool]
    read: Callable[[str | None], object]
    """Makes the value; raises ValueError for a broken grammar, LookupError for an unknown value."""


def _read(text: str, known: dict[str, _Parameter], offered: Extensions) -> dict[str, object]:
    values: dict[str, object] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise CommandError(reply(501, "5.5.4 parameters are not well formed"), "parameter")
        keyword = match[1].upper()
        parameter = known.get(keyword)
        if parameter is None or not parameter.is_offered(offered):
            raise unknown_parameter(keyword)
        if parameter.field in values:
            raise bad_parameter(keyword)
        values[parameter.field] = _value(parameter, keyword, match[2])
    return values


def _value(parameter: _Parameter, keyword: str, text: str | None) -> object:
    try:
        return parameter.read(text)
    except LookupError:
        raise unknown_parameter(f"this {keyword}") from None
    except ValueError:
        raise bad_parameter(keyword) from None


def decode_xtext(text: str | None) -> str:
    """Decode xtext (RFC 3461 section 4); raises ValueError, also for what decodes to control characters."""
    if text is None or _XTEXT.fullmatch(text) is None:
        raise ValueError("not xtext")
    decoded = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    if any(c < " " or "\x7f" <= c <= "\x9f" for c in decoded):
        raise ValueError("control characters")
    return decoded


def _full(pattern: re.Pattern[str], text: str | None) -> str:
    if text is None or pattern.fullmatch(text) is None:
        raise ValueError(text)
    return text


def _size(text: str | None) -> int:
    return int(_full(_SIZE, text))


def _body(text: str | None) -> bool:
    return {"7BIT": False, "8BITMIME": True}[(text or "").upper()]


def _flag(text: str | None) -> bool:
    if text is not None:
        raise ValueError(text)
    return True


def _ret(text: str | None) -> str:
    if (text or "").upper() not in {"FULL", "HDRS"}:
        raise ValueError(text)
    return (text or "").upper()


def _envid(text: str | None) -> str:
    if len(text or "") > MAX_ENVID:
        raise ValueError(text)
    return decode_xtext(text)


def _auth(text: str | None) -> str:
    return "<>" if text == "<>" else decode_xtext(text)


def _notify(text: str | None) -> tuple[str, ...]:
    return tuple(_full(_NOTIFY, (text or "").upper()).split(","))


def _orcpt(text: str | None) -> str:
    match = _ORCPT.fullmatch(text or "")
    if match is None or len(text or "") > MAX_ORCPT:
        raise ValueError(text)
    return f"{match[1].lower()};{decode_xtext(match[2])}"


_MAIL = {
    "SIZE": _Parameter("size", lambda offered: offered.size is not None, _size),
    "BODY": _Parameter("eight_bit", lambda offered: True, _body),
    "SMTPUTF8": _Parameter("smtputf8", lambda offered: offered.smtputf8, _flag),
    "RET": _Parameter("ret", lambda offered: offered.dsn, _ret),
    "ENVID": _Parameter("envid", lambda offered: offered.dsn, _envid),
    "AUTH": _Parameter("auth", lambda offered: bool(offered.auth), _auth),
}
_RCPT = {
    "NOTIFY": _Parameter("notify", lambda offered: offered.dsn, _notify),
    "ORCPT": _Parameter("orcpt", lambda offered: offered.dsn, _orcpt),
}
