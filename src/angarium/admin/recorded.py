"""What was asked of the server in a session of the past, and what did it answer?

Takes the records of a session or a message, which hold every input of a decision, and makes of them the
questions that `admin.explain` answers: one for each transaction, its recipients in the order of their RCPTs.
Contents are not recorded, so what was answered after DATA is told as it was, and not asked again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from angarium.admin.explain import Question, QuestionError, find_listener
from angarium.admin.past import Entry, read_entry
from angarium.log.index import find_lines
from angarium.policy.config import Listener
from angarium.policy.decision import DecidedBy


class Then(msgspec.Struct, kw_only=True):
    """What one recipient was answered then."""

    recipient: str
    event_time: str
    session_id: str
    reply: str
    config: str | None = None
    """The hash of the configuration that was in force; None: no decision was made."""
    id: str | None = None
    """The message that came of it."""


class Recorded(msgspec.Struct, kw_only=True):
    """One transaction of the past."""

    entry: Entry
    """Its last record, which tells the session's circumstances."""
    answers: dict[str, Then] = {}
    """Recipient, as it was asked for → what it was answered."""
    ids: list[str] = []
    """The messages that came of it; a handler may have made them for others than the client named."""

    def question(self, listeners: tuple[Listener, ...], **options: Any) -> Question:
        """The same question; `options` are those of Question beside. Raises QuestionError."""
        entry = self.entry
        return Question(
            peer=entry.peer,
            sender=entry.sender,
            recipients=list(self.answers),
            listener=_listener(listeners, entry),
            identity=entry.authz_id,
            tls=entry.tls_cipher is not None,
            helo=entry.helo or None,
            **options,
        )

    def beside(self, rows: Iterable[dict[str, Any]], message: str | None) -> list[dict[str, Any]]:
        """The answers of now, each beside that of then; with a message's id, that recipient's alone."""
        thens = list(self.answers.values())
        is_named = any(then.id == message for then in thens)
        return [
            row | {"recorded": msgspec.to_builtins(then) | {"same_config": then.config == row["config"]}}
            for row, then in zip(rows, thens, strict=False)
            if message is None or then.id == message or not is_named
        ]


def recall(
    folders: Sequence[Path], *, session: str | None = None, message: str | None = None
) -> list[Recorded]:
    """The transactions of a session, or the one that a message came of. Raises OSError, QuestionError."""
    if message is not None:
        session = _session_of(folders, message)
    assert session is not None
    entries = [entry for entry in _entries(folders, session) if entry.session_id == session]
    found = [one for one in _transactions(entries) if message is None or message in one.ids]
    if not found:
        raise QuestionError(
            f"no record of {session} names a recipient: angarium why {session} tells what there is"
        )
    return found


def _session_of(folders: Sequence[Path], message: str) -> str:
    for entry in _entries(folders, message):
        if entry.id == message and entry.session_id:
            return entry.session_id
    raise QuestionError(f"no record says in which session {message} was received")


def _entries(folders: Sequence[Path], key: str) -> list[Entry]:
    entries = [entry for line in find_lines(folders, [key]) if (entry := read_entry(line)) is not None]
    return sorted(entries, key=lambda entry: entry.event_time)


def _transactions(entries: Iterable[Entry]) -> list[Recorded]:
    """Put together what is of one transaction; refusals before any recipient are left out."""
    found: list[Recorded] = []
    for entry in entries:
        if entry.refused is None and not entry.recipients:
            continue
        if not found or not _goes_on(found[-1].entry, entry):
            found.append(Recorded(entry=entry))
        _add(found[-1], entry)
    return found


def _goes_on(was: Entry, entry: Entry) -> bool:
    """Whether a record is of the transaction of the one before: recipients are added, and at its end each
    message has a record of its own.
    """
    if (was.sender, was.authz_id, was.tls_cipher) != (entry.sender, entry.authz_id, entry.tls_cipher):
        return False
    known = [told.address for told in was.recipients]
    named = [told.address for told in entry.recipients]
    if entry.recipients_left_out:  # a large transaction: its records tell the first recipient, and their own
        known, named = known[:1], named[:1]
    if was.refused is None:
        return entry.refused is None and known == named and was.recipient != entry.recipient
    return named[: len(known)] == known


def _add(recorded: Recorded, entry: Entry) -> None:
    recorded.entry = entry
    for told in entry.recipients:
        if told.asked not in recorded.answers:
            recorded.answers[told.asked] = _then(entry, told.address, told.reply or "", told.decided_by)
    if entry.refused is not None:
        recorded.answers[entry.refused] = _then(entry, entry.refused, str(entry.response), entry.decided_by)
    elif entry.id:
        recorded.ids.append(entry.id)
        for then in recorded.answers.values():
            if then.recipient == entry.recipient:
                then.id = entry.id


def _then(entry: Entry, recipient: str, said: str, decided: DecidedBy | None) -> Then:
    return Then(
        recipient=recipient,
        event_time=entry.event_time,
        session_id=entry.session_id,
        reply=said,
        config=decided.config if decided is not None else None,
    )


def _listener(listeners: tuple[Listener, ...], entry: Entry) -> str:
    """How the candidate calls the listener of then, by its address, which sections may be bound to."""
    for text in (entry.local_address, entry.listener):
        try:
            listener, _ = find_listener(listeners, text)
        except QuestionError:
            continue
        if entry.listener in (text, listener.label):
            return text
    if entry.local_address:
        find_listener(listeners, entry.local_address)
        return entry.local_address
    raise QuestionError(f"the session's listener {entry.listener} is no more")
