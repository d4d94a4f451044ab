"""What does a delivery status notification state? (RFC 3464, RFC 6533), each field read on its own.

Answers with a `Bounce` for the text of one or more `message/delivery-status` parts. Fields in the wrong
block, blocks torn apart by empty lines, missing types, misspelt actions: all of them are in daily mail, and
all are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from angarium.reports.fields import (
    Field,
    gather,
    read_address,
    read_blocks,
    read_date,
    read_mta,
    typed,
    unxtext,
)
from angarium.reports.reply import one_line, read_reply, status_weight
from angarium.reports.values import Action, Bounce, Mark, Mta, Recipient, Reply, Texts

MAX_RECIPIENTS: Final = 1000
MAX_OF_NOBODY: Final = 20
"""Fields that are kept of blocks that name no recipient."""

_PER_MESSAGE: Final = frozenset(
    {"reporting-mta", "original-envelope-id", "dsn-gateway", "received-from-mta", "arrival-date"}
)
_PER_RECIPIENT: Final = frozenset(
    {
        "final-recipient", "original-recipient", "action", "status", "remote-mta", "diagnostic-code",
        "last-attempt-date", "final-log-id", "will-retry-until", "x-actual-recipient",
    }
)  # fmt: skip
_ADDRESSED: Final = frozenset({"final-recipient", "original-recipient", "x-actual-recipient"})
_STARTS: Final = frozenset({"final-recipient", "original-recipient", "action", "status"})
_QUEUE_ID = re.compile(r"x-.{0,40}queue-?id|x-.{0,40}-message-?id")
_STATUS = re.compile(r"\s*#?([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_CODE = re.compile(r"\s*([245]\d\d)(?![\d.])")
# What generators write for the five actions of RFC 3464 section 2.3.3; a prefix of the word is enough.
_ACTIONS: Final[tuple[tuple[str, Action], ...]] = (
    ("fail", "failed"), ("undeliver", "failed"), ("reject", "failed"), ("bounce", "failed"),
    ("expire", "failed"),    ("delay", "delayed"), ("defer", "delayed"), ("warn", "delayed"),
    ("deliver", "delivered"), ("success", "delivered"), ("relay", "relayed"), ("expand", "expanded"),
)  # fmt: skip
_BY_CLASS: Final[dict[str, Action]] = {"2": "delivered", "4": "delayed", "5": "failed"}


def read_dsn(texts: Iterable[str]) -> Bounce | None:
    """Read the text of delivery-status parts; None where no recipient can be made out."""
    about, groups = _group(read_blocks(texts))
    read = [(read_recipient(group), group) for group in groups[:MAX_RECIPIENTS]]
    recipients = _each_once(one for one, _ in read if one is not None)
    nobody = [field for one, group in read if one is None for field in group]
    return _bounce(about, recipients, nobody) if recipients else None


def _each_once(recipients: Iterable[Recipient]) -> tuple[Recipient, ...]:
    """Recipients who are named twice with one fate, once: with the status that tells more, else the first."""
    told: dict[tuple[str, str, Action], Recipient] = {}
    for one in recipients:
        key = one.address.lower(), one.meant.lower(), one.action
        if key not in told or status_weight(one.status) > status_weight(told[key].status):
            told[key] = one
    return tuple(told.values())


def _group(blocks: Iterable[list[Field]]) -> tuple[list[Field], list[list[Field]]]:
    """Part the fields into those about the message and one list for each recipient."""
    about: list[Field] = []
    groups: list[list[Field]] = []
    last: set[str] = set()
    for block in blocks:
        about += [field for field in block if field[0] in _PER_MESSAGE]
        rest = [field for field in block if field[0] not in _PER_MESSAGE]
        if any(name in _PER_RECIPIENT for name, _ in rest):
            last = _add_groups(rest, groups, last)
        else:
            (groups[-1] if groups else about).extend(rest)
    return about, groups


def _add_groups(fields: list[Field], groups: list[list[Field]], last: set[str]) -> set[str]:
    """A repeated field starts a new recipient; a block without an address goes on with the one before.

    `last` holds the starting fields that the last group has; returns those of the group that is then the
    last. Kept, not counted again: a thousand blocks may go on with one recipient.
    """
    current: list[Field] = []
    seen: set[str] = set()
    if groups and not any(name in _ADDRESSED for name, _ in fields):
        starting = {name for name, _ in fields if name in _STARTS}
        if not last & starting:
            groups[-1].extend(fields)
            return last | starting
    for field in fields:
        if field[0] in _STARTS and field[0] in seen:
            groups.append(current)
            current, seen = [], set()
        current.append(field)
        seen.add(field[0])
    groups.append(current)
    return seen


def read_recipient(fields: list[Field]) -> Recipient | None:
    """One recipient's fields; None where they name no recipient."""
    first: dict[str, str] = {}
    for name, value in fields:
        first.setdefault(name, value)
    addresses = {name: read_address(first[name]) for name in _ADDRESSED if name in first}
    final = addresses.get("final-recipient") or addresses.get("x-actual-recipient")
    original = addresses.get("original-recipient")
    if original and final and unxtext(original[1]).lower() == final[1].lower():
        original = original[0], final[1]
    # An address of another mail system helps nobody where the sender's own spelling is known.
    address = original if original and final and final[0] in {"x400", "unknown"} else final or original
    if address is None or not (final or "action" in first or "status" in first):
        return None
    kind, diagnostic = _diagnostic(first.get("diagnostic-code", ""))
    reply = read_reply(diagnostic) if diagnostic else _reply_in_status(first.get("status", ""))
    stated, action = _stated_status(first.get("status", "")), _stated_action(first.get("action", ""))
    status, mark = choose_status(stated, reply)
    dates, unparsed = _dates(first)
    values: dict[str, Any] = {
        "original": original[1] if original else None,
        "diagnostic": diagnostic or None,
        "remote_mta": read_mta(first.get("remote-mta", "")),
        "last_attempt_date": dates.get("last-attempt-date"),
        "will_retry_until": dates.get("will-retry-until"),
        "final_log_id": first.get("final-log-id"),
    }
    marks: dict[str, Mark] = {
        "address": "derived" if _is_malformed(address) else "reported",
        "action": "reported" if action else "derived",
    }
    for name, value in values.items():
        if value is not None:
            marks[name] = "reported"
    if reply is not None:
        marks["reply"] = "derived"
    if status:
        marks["status"] = mark
    in_words = stated is None and reply is not None and not diagnostic  # Status holds a reply
    is_read = {name: not _is_malformed(one) for name, one in addresses.items()}
    is_read |= {"status": stated is not None or in_words, "action": action is not None}
    unparsed |= {name: (first[name],) for name in is_read if first.get(name) and not is_read[name]}
    return Recipient(
        address=address[1],
        address_type=address[0],
        original_type=original[0] if original else None,
        action=action or _BY_CLASS.get((status or "5")[0], "failed"),
        status=status,
        reply=reply,
        diagnostic_type=kind,
        extensions=_others(fields, _PER_RECIPIENT),
        unparsed=unparsed,
        marks=marks,
        **values,
    )


def _is_malformed(address: tuple[str, str] | None) -> bool:
    """Whether there is none, or a mailbox of the Internet with an `@` too many: what was meant is a guess."""
    if address is None:
        return True
    return address[0] == "rfc822" and address[1].count("@") > 1 and not address[1].startswith('"')


def _diagnostic(value: str) -> tuple[str | None, str]:
    kind, text = typed(value)
    return kind, one_line(text)


def _stated_status(value: str) -> str | None:
    match = _STATUS.match(value)
    return f"{match[1]}.{int(match[2])}.{int(match[3])}" if match else None


def _reply_in_status(value: str) -> Reply | None:
    """A Status field with a reply in it, as some write: `553 Exceeded maximum inbound message size`."""
    return read_reply(value) if _CODE.match(value) else None


def choose_status(stated: str | None, reply: Reply | None) -> tuple[str | None, Mark]:
    """The status that tells most: the remote server's own code, unless the stated one is more exact."""
    answered = reply.enhanced if reply else None
    if answered and status_weight(answered) >= status_weight(stated):
        return answered, "reported" if answered == stated else "derived"
    if stated:
        return stated, "reported"
    if reply and reply.code:
        return f"{reply.code // 100}.0.0", "derived"
    return None, "derived"


def _stated_action(value: str) -> Action | None:
    """What became of it, as the word says, whatever the status; `delivery failed` is no delivery."""
    word = value.strip().lower()
    for prefix, action in _ACTIONS:
        if word.startswith(prefix):
            return "failed" if "fail" in word else action
    return None


def _dates(first: dict[str, str]) -> tuple[dict[str, str], Texts]:
    dates: dict[str, str] = {}
    unparsed: Texts = {}
    for name in ("last-attempt-date", "will-retry-until", "arrival-date"):
        value = first.get(name)
        if not value:
            continue
        date = read_date(value)
        if date:
            dates[name] = date
        else:
            unparsed[name] = (value,)
    return dates, unparsed


def _others(fields: list[Field], known: frozenset[str]) -> Texts:
    return gather(field for field in fields if field[0] not in known)


def _bounce(about: list[Field], recipients: tuple[Recipient, ...], nobody: list[Field]) -> Bounce:
    """What is said of the message; of fields that belong to `nobody` the text of the first ones."""
    first: dict[str, str] = {}
    for name, value in about:
        first.setdefault(name, value)
    dates, unparsed = _dates(first)
    values: dict[str, Any] = {
        "reporting_mta": _mta(first, "reporting-mta"),
        "received_from_mta": _mta(first, "received-from-mta"),
        "dsn_gateway": _mta(first, "dsn-gateway"),
        "original_envelope_id": first.get("original-envelope-id"),
        "arrival_date": dates.get("arrival-date"),
        "queue_id": next((value for name, value in about if _QUEUE_ID.fullmatch(name)), None),
    }
    return Bounce(
        recipients=recipients,
        extensions=_others(about, _PER_MESSAGE),
        unparsed=unparsed | gather(nobody[:MAX_OF_NOBODY]),
        marks={name: "reported" for name, value in values.items() if value is not None},
        **values,
    )


def _mta(first: dict[str, str], name: str) -> Mta | None:
    return read_mta(first.get(name, ""))
