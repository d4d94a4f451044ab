"""Which reply does this diagnostic text hold? Code, enhanced status and words, taken apart.

Servers wrap a remote reply in words of their own (`host x said: …`), fold its lines into one and repeat its
code in the middle. Promises to take no number of an address, a port or a size for a code.
"""

from __future__ import annotations

import re
from typing import Final

from angarium.reports.values import Reply

MAX_TEXT: Final = 4000  # characters of a diagnostic that are looked at

_ENHANCED = r"[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)"
# What may not stand before a code is looked at from behind: so the search begins with a digit, and is fast.
# Reply-code and status of RFC 5321 section 4.2 and RFC 2034; `-` joins them where lines were folded together.
_CODE_AND_STATUS = re.compile(rf"([45][0-5]\d)(?<![\w.\-/@=]\d\d\d)[\s\-:]+[#<(\[']{{0,2}}({_ENHANCED})")
# A code alone counts where words announce a reply, or at the beginning of a line.
_CODE = re.compile(r"([45][0-5]\d)(?<![\w.\-/@=]\d\d\d)(?=[\s\-:,.;)\]]|$)(?!\.\d)")
_ANNOUNCES = re.compile(
    r"(?:(?:^|\n)[#\s'\"(\[]*|\bsaid[: ]\s*|<<<\s*|>>>\s*|<--\s*|[:：;,(\[]\s*#?"
    r"|\b(?:error|response|reply|returned|code|reason|status|with|me|was)\W{1,4})$",
    re.IGNORECASE,
)
_BEFORE_CODE: Final = 24  # characters before a code that are looked at for what announces it
# Where a reply ends: an empty line, a rule, or what senders write below it (qmail; lists of labels).
_END = re.compile(
    r"\n[ \t]*(?:\n|[-*=_#]{3,}|Giving up on |I'm not going |I'm giving up|STARTTLS proto="
    r"|(?:(?:Remote|Reporting|Sending|Generating|Final|Original)[ -](?:host|server|MTA|recipient)"
    r"|Subject|Date|From|To|Message-ID|Sender|Recipient)[ \t]?:)",
    re.IGNORECASE,
)
_NEXT = re.compile(r"\n[\s<>]*[2-5]\d\d[ -]")
_STATUS = re.compile(r"([245](?<![\w.\-/@=][245])\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
_IN_REPLY = re.compile(r"\s*\(in reply to [A-Za-z ]{1,40}\)?\s*$")


def one_line(text: str) -> str:
    """The text with every run of white space as one space, cut at `MAX_TEXT`."""
    return " ".join(text[: 2 * MAX_TEXT].split())[:MAX_TEXT]


def read_reply(text: str) -> Reply | None:
    """The reply in a diagnostic text, or None where there is none."""
    text = text[:MAX_TEXT]
    match = _find_code(text)
    if match is None:
        status = best_status(text)
        return Reply(enhanced=status, text=one_line(text)) if status else None
    code, rest = match[1], one_line(_of_one(text[match.start(1) :]))
    words, status = _without_codes(rest, code)
    return Reply(code=int(code), enhanced=best_status(rest) or status, text=words)


def reply_start(line: str) -> int | None:
    """Where in a line a reply begins; None where it holds none."""
    match = _find_code(line[:MAX_TEXT])
    return match.start() if match else None


def _find_code(text: str) -> re.Match[str] | None:
    return _CODE_AND_STATUS.search(text) or _announced(text)


def _of_one(text: str) -> str:
    """The lines of one reply: its last has a blank after the code (RFC 5321 section 4.2.1)."""
    text = _END.split(text, maxsplit=1)[0]
    if text[3:4] == "-":
        return text
    after = _NEXT.search(text)
    return text[: after.start()] if after else text


def _announced(text: str) -> re.Match[str] | None:
    for match in _CODE.finditer(text):
        start = match.start()
        if start == 0 or _ANNOUNCES.search(text[max(0, start - _BEFORE_CODE) : start]):
            return match
    return None


def _without_codes(text: str, code: str) -> tuple[str, str | None]:
    """The words of a reply whose lines were joined: `550-5.1.1 No 550 5.1.1 such user` → `No such user`."""
    first = re.match(rf"{code}(?P<sep>[ \-:,.;]*)[#<(\[']{{0,2}}(?P<status>{_ENHANCED})?[>)\]']{{0,2}}", text)
    if first is None:
        return text, None
    words = text[first.end() :]
    if "-" in first["sep"]:
        again = rf"(?:^|(?<=\s)){code}[ \-](?:{_ENHANCED}\s?)?"
        words = re.sub(again, "", words)
    words = _IN_REPLY.sub("", words).strip(" :-#")
    return words.removesuffix("'") if words.count("'") == 1 else words, first["status"]


def best_status(text: str) -> str | None:
    """The most telling enhanced status code of a text: the first that is not a `.0`, else the first."""
    found = _STATUS.findall(text[:MAX_TEXT])
    return max(found, key=status_weight) if found else None


def status_weight(status: str | None) -> int:
    """How much an enhanced status code says: nothing 0, `5.0.0` 1, `5.1.0` 2, `5.1.1` 3.

    `4.4.7` (delivery time expired) says that a sender gave up, not why, and weighs 2.
    """
    if not status:
        return 0
    _, subject, detail = map(int, status.split("."))
    return 3 if detail and (subject, detail) != (4, 7) else 2 if subject else 1
