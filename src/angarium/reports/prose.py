"""Whom does a bounce written for people speak of, and what was the reply?

Takes the words before the returned message apart line by line: lines that name a recipient, best evidence
first, and the lines between them as what is said of each. Knows forms, not products: `<address>:` at the
start of a line, an address alone on its line, `recipient: address`, an address in a sentence about failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import accumulate, islice, takewhile
from typing import Final, NamedTuple

from angarium.reports import clues
from angarium.reports.automaton import Clues
from angarium.reports.fields import clean_address
from angarium.reports.reply import read_reply

MAX_LINES: Final = 400
MAX_LINE: Final = 1000
MAX_FOUND: Final = 200
MAX_IN_LINE: Final = 20  # addresses of one line
MAX_SAID: Final = 30  # lines that are said of one recipient
NEAR: Final = 120  # characters around an address that tell whose it is

# Local parts in the scripts that addresses are written in; in Chinese and Japanese prose no blank stands
# before them.
_ATEXT = r"[A-Za-z0-9\u00c0-\u024f\u0370-\u04ff!#$%&*+/=?^_`{}~.'-]"
_MAILBOX = rf"(?:\"[^\"\n]{{1,64}}\"|(?![='])(?:{_ATEXT}){{1,80}})@[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,8}}"
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9_/.@+-]){_MAILBOX}(?![\w@]|\.\w)")
_HEADER_LINE = re.compile(
    r"(Received|Return-Path|Message-ID|From|To|Cc|Subject|Date|MIME-Version|Content-[\w-]+|Reply-To|Sender"
    r"|X-[\w-]+"
    r"|DKIM-Signature|DomainKey-Signature|Delivered-To|Authentication-Results|Received-SPF|ARC-[\w-]+"
    r"|User-Agent"
    r"|List-[\w-]+|Precedence|Importance|Thread-[\w-]+|References|In-Reply-To)[ \t]?:",
    re.IGNORECASE,
)
_SURE_HEADER = re.compile(
    r"(Received|Return-Path|Message-ID|MIME-Version|DKIM-Signature|X-[\w-]+)[ \t]?:", re.IGNORECASE
)

_SURE_LETTERS: Final = frozenset("RrMmDdXx")
_RETURNED = Clues(clues.RETURNED)
_LISTS = Clues(clues.LISTS)

# A title: no address, no number of three digits, and a colon or a rule at the end.
_TITLE = re.compile(r"(?!.*\d{3})[^@]{1,120}?(?:[:：]|[-=_*]{3,})\s*")
_RULE = re.compile(r"\s*([-=_*#~])\1{7,}\s*")  # a line between one thing and another

# Words that announce the recipient who stands after them.
_LABEL = re.compile(
    r"(?:recipients?(?:\(s\))?|addressee|address(?:\(?es\)?)?|addressed to|mailbox|user(?:id|name| name)?"
    r"|users?\(s\)|account"
    r"|deliver(?:ed|y)?(?: (?:your |the |this )?(?:mail|message"
    r"|e-?mail))?(?: failed)?(?: \d+ attempts?)?(?: to)?|undeliverable to|failed to|reached?"
    r"|rcpt(?: to)?|sent to|message to|mail to|e-?mail to|size|quota|empfänger|adresse|destinat\w+"
    r"|dirección|endereço|indirizzo|mottagare|modtager"
    r"|geadresseerde|ontvanger|получател\w+|адрес\w*|adresat\w*"
    r"|宛先|受信者|メールアドレス|あて先|收件人|收件者|地址|用户|수신자|받는 사람)"
    r"[^\w<\"]{0,4}[:：=>]\s*(?:RFC822;|SMTP[:;])?\s*$",
    re.IGNORECASE,
)
_RCPT = re.compile(rf"RCPT TO:\s*<?({_MAILBOX})", re.IGNORECASE)
# What may stand before and behind an address that has its line for itself.
_BEFORE = re.compile(r"[\s*>•·\-–—+#|\"'<(\[]*(?:\d{1,3}[.)]\s*)?[\"'<\[(]*$")
_AFTER = re.compile(
    r"[\s>\"'\])]*(?:$|[:,;.]\s*$|[:.]{1,3}\s|<mailto:|\s*<|\s+\(|\s+\[|\s+on\s+\w{3}|\s+on \d"
    r"|\s*\((?!in reply)|\s*[-–—=]+>?\s"
    r"|\s+(?:invalid|unknown|user|no such|not |does|has |is |was |mailbox|over|full|permanent|delivery"
    r"|failed|rejected|host|error|\d{3}\b))",
    re.IGNORECASE,
)
_OPENED = re.compile(r"\s*[<\"'][<\"'\s]*")
_AFTER_START = re.compile(r"[>\"']?\s*(?::|\.\.\.|\(expanded from)", re.IGNORECASE)
# Lines in which an address is somebody else's: the sender's, or where to ask.
_OTHERS = re.compile(
    r"(?:^|\b)(mail from|from\b(?! (?:the|this|our|your|mailbox))|sender|reply-?to|return-path"
    r"|envelope-from|contact|assist|help|support|abuse"
    r"|question|postmaster|complain|visit|please (?:send|e-?mail|forward|reply|call)|on behalf|expéditeur"
    r"|absender|remitente|mittente|差出人|发件人|message-?id"
    r"|generating server|received:|via\b|unsubscribe|x-[\w-]+:|subject\s?:|reporting-mta)",
    re.IGNORECASE,
)
_ROLES = re.compile(
    r"(postmaster|mailer-daemon|abuse|support|help(desk)?|no-?reply|webmaster|administrator|admin|info"
    r"|hostmaster|mail-?daemon)@",
    re.IGNORECASE,
)


class Found(NamedTuple):
    """An address of a recipient, the number of its line, what the text says of it."""

    address: str
    line: int
    words: str
    is_sure: bool = False
    """Whether its form tells that it is one, rather than a sentence."""


def cut_returned(text: str) -> tuple[str, str]:
    """Split a text into its own words and the message that it returns (header and all; empty if none)."""
    lines = text.split("\n", MAX_LINES)
    announced = _RETURNED.lines(text)
    start = next((n for n in range(len(lines)) if _begins_returned(lines, n, n in announced)), None)
    if start is None:
        return text, ""
    words, rest = _without_title(lines[:start]), lines[start:]
    first = next((n for n, line in enumerate(rest[:40]) if _HEADER_LINE.match(line)), 1)
    return "\n".join(words), "\n".join(rest[first:])


def _without_title(lines: list[str]) -> list[str]:
    """The lines without the one that announces the returned message, in whatever language."""
    last = next((n for n in reversed(range(len(lines))) if lines[n].strip()), None)
    return lines[:last] if last is not None and _TITLE.fullmatch(lines[last]) else lines


def _begins_returned(lines: list[str], number: int, is_announced: bool) -> bool:
    line = lines[number]
    if line[:1] in _SURE_LETTERS and _SURE_HEADER.match(line):
        block = takewhile(str.strip, lines[number : number + 12])
        return sum(map(bool, map(_HEADER_LINE.match, block))) >= 3
    if number == 0 or not is_announced or len(line) > 200 or _speaks_on(lines, number):
        return False
    # Where no header follows, the line may be the title of a table with the recipient still to come.
    return any(map(_HEADER_LINE.match, lines[number : number + 5])) or any(
        "@" in above for above in lines[:number]
    )


def _speaks_on(lines: list[str], number: int) -> bool:
    """Whether an announcing line is the middle of a sentence: the line after it goes on in small letters."""
    return (
        number + 1 < len(lines)
        and lines[number + 1][:1].islower()
        and not lines[number].rstrip().endswith((":", ".", "-"))
    )


def find_recipients(words: str, own: frozenset[str]) -> list[Found]:
    """The recipients that a text speaks of, by the best evidence in it; `own` holds addresses of the sender.

    Addresses of `own` count only where the form leaves no doubt.
    """
    lines = [line[:MAX_LINE] for line in words.split("\n", MAX_LINES)[:MAX_LINES]]
    speaking = _LISTS.lines("\n".join(lines))
    graded = [
        (grade, address, n)
        for n, line in enumerate(lines)
        if "@" in line
        for grade, address in _grade(line, speaks=n in speaking)
    ]
    certain = [(address, n) for grade, address, n in graded if grade < 2]
    formal = {address.lower() for grade, address, _ in graded if grade == 0}
    for wanted in (2, 3, 4):
        chosen = [(a, n) for grade, a, n in graded if grade == wanted and a.lower() not in own]
        if wanted == 2:
            # What stands before the line that opens the list is the sender's.
            below = [one for one in chosen if one[1] >= min(speaking, default=0)]
            chosen = sorted({*certain, *(below or chosen)}, key=lambda one: one[1])
        chosen = _without_contacts(chosen, formal, lines, is_list=wanted == 2) or chosen
        if chosen:
            return _with_words(chosen, lines, is_sure=wanted == 2)
    return []


def _without_contacts(
    chosen: list[tuple[str, int]], formal: set[str], lines: list[str], *, is_list: bool
) -> list[tuple[str, int]]:
    """The chosen without roles that are only named for questions.

    A role has failed where its form says so or, in a list, where a reply stands with it, or where it stands
    in one paragraph with others that have. In a sentence it is somebody to ask.
    """
    others = [one for one in chosen if not is_role(one[0])]
    if not is_list or len(others) == len(chosen):
        return others
    paragraphs = list(accumulate((not line.strip() for line in lines), initial=0))
    listed = {paragraphs[n] for _, n in others}
    return [
        (address, n)
        for address, n in chosen
        if not is_role(address)
        or address.lower() in formal
        or paragraphs[n] in listed
        or tells("\n".join(takewhile(str.strip, lines[n : n + MAX_SAID])))
    ]


def _grade(line: str, *, speaks: bool) -> Iterable[tuple[int, str]]:
    """The addresses of a line, graded: 0 and 1 certain, by their form or a label; 2 good; 3 where the line
    `speaks` of failure, else 4.
    """
    for match in islice(_ADDRESS.finditer(line), MAX_IN_LINE):
        address = clean_address(match[0])
        before = line[max(0, match.start() - NEAR) : match.start()]
        after = line[match.end() : match.end() + NEAR]
        if _is_formal(before, match[0], after):
            yield 0, address
        elif _is_labelled(before):
            yield 1, address
        elif _BEFORE.fullmatch(before) and _AFTER.match(after):
            yield 2, address
        elif _OTHERS.search(before) is None:
            yield (3 if speaks else 4), address


def _is_formal(before: str, address: str, after: str) -> bool:
    """`RCPT TO:<address>`, `<address>:` at the start of a line."""
    if _RCPT.search(before[-12:] + address):
        return True
    return _OPENED.fullmatch(before) is not None and _AFTER_START.match(after) is not None


def _is_labelled(before: str) -> bool:
    """`recipient: address`."""
    return _LABEL.search(before.rstrip("<\"' ")) is not None and _OTHERS.search(before) is None


def is_role(address: str) -> bool:
    """Whether an address is a role's that letters name for questions: rarely who a bounce is about."""
    return _ROLES.match(address) is not None


def _with_words(chosen: list[tuple[str, int]], lines: list[str], *, is_sure: bool) -> list[Found]:
    """Each recipient once, with what is said of it: at its first place, or a later one that has a reply."""
    found: dict[str, Found] = {}
    has_reply: set[str] = set()
    for (address, line), end in zip(chosen[:MAX_FOUND], _ends(chosen[:MAX_FOUND], lines), strict=True):
        key = address.lower()
        if key in has_reply:
            continue
        words = _words_of(lines[line:end])
        replies = tells(words)
        if replies:
            has_reply.add(key)
        if key not in found or replies:
            found[key] = Found(address, line, words, is_sure)
    return list(found.values())


def _ends(chosen: list[tuple[str, int]], lines: list[str]) -> list[int]:
    """Where the words of each end: at the next recipient's, or at its own next place in another paragraph."""
    ends: list[int] = []
    following, end = "", len(lines)
    for n, (address, line) in reversed(list(enumerate(chosen))):
        if n + 1 < len(chosen):
            following, start = chosen[n + 1][0].lower(), chosen[n + 1][1]
            if following != address.lower() or not all(map(str.strip, lines[line:start])):
                end = start
        ends.append(end)
    return ends[::-1]


def tells(words: str) -> bool:
    """Whether words hold a reply that refuses; a transcript has others before it."""
    reply = read_reply(words)
    return reply is not None and (reply.code is not None or (reply.enhanced or "2")[0] != "2")


def _words_of(lines: list[str]) -> str:
    """What is said of one recipient: its line and those below it, up to the end of the paragraph that has the
    reply, of the third paragraph, or to a rule.
    """
    kept: list[str] = []
    blanks = 0
    for line in lines[:MAX_SAID]:
        if not line.strip():
            blanks += 1
            if blanks > 3 or (kept and kept[-1] and tells("\n".join(kept))):
                break
        elif _RULE.fullmatch(line) and sum(map(bool, kept)) > 1:
            break
        kept.append(line.strip())
    return "\n".join(kept)
