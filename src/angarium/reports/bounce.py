"""Is this a bounce that follows no RFC, and what does it say?

Three kinds of evidence are weighed: who speaks, what is said, and of what mail. Each must be there; a
person who writes about bounces, a machine that writes about something else, and a newsletter lack one of
them. What was found is read out of the text by its form (`prose`), and marked `derived`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from angarium.mail.mime import Fields, Part, decode_words, read_fields, text_of
from angarium.reports import clues
from angarium.reports.automaton import Clues
from angarium.reports.dsn import choose_status, read_dsn
from angarium.reports.fields import clean_address
from angarium.reports.original import RETURNED_TYPES, find_returned, recipients_of
from angarium.reports.prose import Found, cut_returned, find_recipients, is_role, tells
from angarium.reports.reply import one_line, read_reply
from angarium.reports.values import Action, Bounce, Recipient, Reply
from angarium.reports.voices import authors_title, authors_words, quotes_title

MAX_WORDS: Final = 12_000  # characters of a bounce's own words
MAX_NAMED: Final = 200  # addresses of one X-Failed-Recipients field
MAX_FALLBACK: Final = 5  # recipients taken from the returned message where the text names none

ENOUGH_WHO: Final = 2
ENOUGH_WHAT: Final = 3
ENOUGH_WHOM: Final = 2
ENOUGH: Final = 8
# A null reverse-path alone is no name: people's automatic answers have it too.
ENOUGH_UNNAMED: Final = 10
# Where nothing tells of a mail system, all the rest must be there: title, words, the mail and its recipient.
ENOUGH_UNSAID: Final = 11
# Where the title says nothing: people who run mail systems write, and machines report, as postmaster too.
ENOUGH_UNTITLED: Final = 10

# What the title of an answer adds to the signs of a person.
ANSWERS: Final = 2

_SENTENCE_END = re.compile(r"(?<=[.!?])\s")
_ADDRESS = re.compile(r"[^\s<>\"'(),;:]{1,80}@[^\s<>\"'(),;:]{1,255}")
_ANSWER = re.compile(r"\s*(re|fwd?|aw|wg|tr|rv|sv|antw|回复|答复|转发)\s*(\[\d+\])?\s*[:：]", re.IGNORECASE)
_PROGRAM = re.compile(
    r"\.(?:exe|scr|pif|com|cmd|bat|cpl|hta|js|vbs|jar|lnk|zip|rar|7z|iso|img)\W*$", re.IGNORECASE
)
_NULL_PATH = re.compile(r"\s*<?\s*(?:>|mailer-daemon\b|null>|$)", re.IGNORECASE)
# Fields that only reports of failure have: Exim and Gmail; Exchange.
_FAILURE_FIELDS: Final = ("x-failed-recipients", "x-ms-exchange-message-is-ndr")
# Fields that lists and trackers of errors write: what has them is theirs, or has come through them.
_FOREIGN_FIELDS: Final = frozenset(
    {"list-id", "list-unsubscribe", "list-post", "x-bugzilla-reason", "x-jira-fingerprint", "x-github-sender"}
)
# What somebody quotes is not said by them; the lines of a dialogue (`>>> RCPT TO`) are.
_QUOTED = re.compile(r"^> .*$", re.MULTILINE)
# The address that the mail was sent to, where an alias or a list led on: sendmail, Exim, Postfix.
_EXPANDED = re.compile(r"\((?:expanded|generated) from:? *<?([^\s<>()]{1,200}@[^\s<>()]{1,255}?)>?\)")
_FIELD_IN_TEXT = re.compile(r"^(final-recipient|original-recipient)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_FIRST_FIELD = re.compile(
    r"^(reporting-mta|original-envelope-id|final-recipient|original-recipient|action)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)


_SENDERS = Clues(clues.SENDERS)
_SUBJECTS = Clues(clues.SUBJECTS)
_PHRASES = Clues(clues.PHRASES)
_PERSONS = Clues(clues.PERSONS)
_AGAINST = Clues(clues.AGAINST)
_AGAINST_WORDS = Clues(clues.AGAINST_WORDS)
_MAIL = Clues(clues.MAIL)
_OTHER_GOODS = Clues(clues.OTHER_GOODS)


@dataclass(frozen=True, slots=True)
class Reading:
    """A bounce read by its shape."""

    why: str
    bounce: Bounce
    returned: Fields


def is_from_nobody(top: Fields, *, null_sender: bool | None) -> bool:
    """The null reverse-path, as the envelope says, or where that is not known (None) the header."""
    if null_sender is None:
        return any(map(_NULL_PATH.match, top.get("return-path", ())))
    return null_sender


def is_from_mail_system(top: Fields, *, null_sender: bool | None) -> tuple[int, int]:
    """How much the header says that a mail system speaks (0 for people), and what total is then enough."""
    weight = sum(4 for name in _FAILURE_FIELDS if name in top)
    speakers = " ".join(top.get("from", [])[:2] + top.get("sender", [])[:1])
    found = _SENDERS.search(decode_words(speakers[:2000]).replace("_", " "))
    weight += _heaviest(found)
    enough = ENOUGH if weight else ENOUGH_UNNAMED
    weight += 3 if is_from_nobody(top, null_sender=null_sender) else 0
    return weight, enough if weight >= ENOUGH_WHO else ENOUGH_UNSAID


def read_bounce(parts: Sequence[Part], *, null_sender: bool | None) -> Reading | None:
    """Weigh a message that is no report by its type; None where the evidence is not enough."""
    top = parts[0].fields
    who, enough = is_from_mail_system(top, null_sender=null_sender)
    subject = decode_words(top.get("subject", [""])[0])
    # The title of an answer is what somebody else has said.
    titles = () if _ANSWER.match(subject) else _SUBJECTS.search(subject)
    if enough > ENOUGH and _FOREIGN_FIELDS & top.keys():
        return None
    if (who < ENOUGH_WHO and not _may_be_unsaid(titles)) or _speaks_against(subject):
        return None
    if _carries_program(parts):
        return None
    text = _readable(parts)
    # Most mail that is none ends here: taking words and returned message apart costs more than all before.
    if _heaviest(_PHRASES.search(_flat(text[:MAX_WORDS]))) + _heaviest(titles) < ENOUGH_WHAT:
        return None
    words, returned = _parted(parts, text)
    flat = _flat(words)
    said = _PHRASES.search(flat)
    reply = read_reply(words)
    what = _heaviest(said) + _heaviest(titles)
    if what < ENOUGH_WHAT or _say_against(flat, words):
        return None
    if not (said or reply or "x-failed-recipients" in top):
        return None
    own = _own_addresses(top)
    found = find_recipients(words, own)
    named = any(_is_named(one) for one in found if one.address.lower() not in own)
    whom = 2 * (bool(returned) or _returns(parts)) + (reply is not None)
    whom += 2 * named + 2 * ("x-failed-recipients" in top)
    is_shown = bool(returned) or _returns(parts) or "x-failed-recipients" in top
    if (
        not is_shown
        and not quotes_title(words)
        and not _is_told(found, reply, subject, words, is_unnamed=enough > ENOUGH)
    ):
        return None
    if not titles or _FOREIGN_FIELDS & top.keys():
        enough = max(enough, ENOUGH_UNTITLED)
    if whom < ENOUGH_WHOM or who + what + whom < enough:
        return None
    if who + what + whom < enough + _weigh_person(subject, words):
        return None
    is_delayed = any(clue.word == "delayed" for clue in (*said, *titles))
    recipients = recipients_in(words, top, returned, found, "delayed" if is_delayed else "failed")
    word = max((*said, *titles), key=lambda clue: clue.weight).word
    return Reading(word, Bounce(recipients=recipients), returned) if recipients else None


def _heaviest(found: Sequence[clues.Clue]) -> int:
    return max((clue.weight for clue in found), default=0)


def _speaks_against(subject: str) -> bool:
    """Whether the title is that of something else; what our own mail was called does not count."""
    return bool(_AGAINST.search(subject) and _AGAINST.search(authors_title(subject)))


def _say_against(flat: str, words: str) -> bool:
    """The same of the words; taking the author's apart is only worth it where any speak against."""
    return bool(_AGAINST_WORDS.search(flat) and _AGAINST_WORDS.search(_flat(authors_words(words))))


def _may_be_unsaid(titles: Sequence[clues.Clue]) -> bool:
    """Whether the title alone is reason to read on: it says failure, and nothing else."""
    return any(clue.weight > 2 for clue in titles)


def _weigh_person(subject: str, words: str) -> int:
    """How much tells that a person writes. The title of an answer alone does not: James has it too."""
    weight = _heaviest(_PERSONS.search(words))
    return weight + ANSWERS if weight and _ANSWER.match(subject) else weight


def _is_named(found: Found) -> bool:
    """Whether an address is spoken of as a recipient, and not as whom to ask."""
    return not is_role(found.address) or tells(found.words)


def _carries_program(parts: Sequence[Part]) -> bool:
    """Whether something is attached that infects: worms have always dressed as bounces."""
    return any(
        _PROGRAM.search(part.parameters.get("name", "") or part.get("content-disposition"))
        for part in parts[1:]
    )


def _returns(parts: Sequence[Part]) -> bool:
    return any(part.media_type in RETURNED_TYPES for part in parts[1:])


def _is_told(
    found: Sequence[Found], reply: Reply | None, subject: str, words: str, *, is_unnamed: bool
) -> bool:
    """Whether words that do not show the mail are about mail, and told by a mail system.

    Faxes and parcels fail as well. Who has no mail system's name must tell in its form, or in one sentence
    below a title of failure: with the null reverse-path alone, people and shops speak too.
    """
    if any(one.is_sure and tells(one.words) for one in found):
        return True
    if is_unnamed:
        return _is_failure(subject) and _tell_in_one_sentence(found, words)
    if reply is not None and reply.enhanced is not None:
        return True
    if not _MAIL.search(_flat(f"{subject} {words}")):
        return False
    return not _OTHER_GOODS.search(_flat(f"{authors_title(subject)} {authors_words(words)}"))


def _is_failure(subject: str) -> bool:
    return _ANSWER.match(subject) is None and _may_be_unsaid(_SUBJECTS.search(subject))


def _tell_in_one_sentence(found: Sequence[Found], words: str) -> bool:
    """Whether some sentence says of an address that mail to it failed; explanations need several."""
    for sentence in _SENTENCE_END.split(_flat(words)):
        if any(one.address in sentence for one in found) and _heaviest(_PHRASES.search(sentence)) > 3:
            return True
    return False


def _flat(words: str) -> str:
    """The words without what they quote, on one line."""
    # Searching for two characters takes ten times as long as for one.
    if ">" in words and "\n> " in words:
        words = _QUOTED.sub("", words)
    line = " ".join(filter(None, words.split("\n")))
    # Taking apart is the slowest step for ordinary mail, which mostly needs none.
    return " ".join(line.split()) if "  " in line or "\t" in line else line


def own_words(parts: Sequence[Part]) -> tuple[str, Fields]:
    """The words of a report itself, and the header fields of the message that it returns."""
    return _parted(parts, _readable(parts))


def _parted(parts: Sequence[Part], text: str) -> tuple[str, Fields]:
    returned = find_returned(parts)
    words, rest = cut_returned(text)
    if not returned and rest:
        returned = read_fields(rest.encode("utf-8", "replace"))
    return words[:MAX_WORDS], returned


def _readable(parts: Sequence[Part]) -> str:
    """The first plain text of a message, or its first HTML where there is none."""
    leaves = [part for part in parts if not part.is_split]
    for kinds in (("text/plain", "message/delivery-status"), ("text/html",), ("multipart/",)):
        texts = [text_of(part) for part in leaves if part.media_type.startswith(kinds)][:2]
        texts = [text for text in texts if text.strip()]
        if texts:
            return texts[0]
    return ""


def told_recipients(words: str, top: Fields, returned: Fields) -> tuple[Recipient, ...]:
    """The recipients that the words of a report name, whatever its fields say."""
    return recipients_in(words, top, returned, find_recipients(words, _own_addresses(top)), "failed")


def recipients_in(
    words: str, top: Fields, returned: Fields, found: list[Found], action: Action
) -> tuple[Recipient, ...]:
    """The recipients by the best account: fields, X-Failed-Recipients, words, or the returned message."""
    if _FIELD_IN_TEXT.search(words):
        start = _FIRST_FIELD.search(words)
        stated = read_dsn([words[start.start() :]]) if start else None
        if stated is not None:
            return stated.recipients
    chosen = _named(top, found) or found
    if not chosen:
        chosen = [Found(address, 0, "") for address in recipients_of(returned)[:MAX_FALLBACK]]
    whole = words if len(chosen) == 1 else ""
    return tuple(_recipient(one, whole, action) for one in chosen)


def _named(top: Fields, found: Sequence[Found]) -> list[Found]:
    """The addresses of X-Failed-Recipients, each with what the words say of it."""
    values = top.get("x-failed-recipients", ())
    names = [clean_address(name) for value in values for name in value.split(",", MAX_NAMED)[:MAX_NAMED]]
    known = {one.address.lower(): one for one in found}
    return [known.get(name.lower(), Found(name, 0, "")) for name in dict.fromkeys(names) if "@" in name]


def _own_addresses(top: Fields) -> frozenset[str]:
    """Addresses that are not the failed recipient's, as far as the header tells: who writes, and to whom."""
    values = (value for name in ("from", "to", "sender", "reply-to") for value in top.get(name, ())[:3])
    return frozenset(
        clean_address(text).lower() for value in values for text in _ADDRESS.findall(value[:2000])
    )


def _recipient(found: Found, whole: str, action: Action) -> Recipient:
    reply, words = _reply_for(found.words, whole)
    status, _ = choose_status(None, reply)
    alias = _EXPANDED.search(found.words)
    values: dict[str, Any] = {
        "original": alias[1] if alias else None,
        "status": status,
        "reply": reply,
        "diagnostic": words or None,
    }
    read = ["address", "action", *(name for name, value in values.items() if value is not None)]
    return Recipient(
        address=found.address,
        original_type="rfc822" if alias else None,
        action=action,
        marks=dict.fromkeys(read, "derived"),
        **values,
    )


def _reply_for(words: str, whole: str) -> tuple[Reply | None, str]:
    """The reply in what is said of a recipient, else in the whole text where it is the only one."""
    reply = read_reply(words)
    if reply is None and whole:
        reply = read_reply(whole)
    return reply, one_line(words or whole)
