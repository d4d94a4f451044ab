"""The receiver's state machine as tables (RFC 5321 section 4.1.4, RFC 3030, RFC 3207, RFC 4954).

Answers "may this command stand here, and where does its answer lead?". STATES says the first, STEPS the
second; `state_table` prints both. There is no other place that knows.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from angarium.wire.events import (
    Answerable,
    Auth,
    AuthResponse,
    Chunk,
    Content,
    Data,
    Ehlo,
    Expn,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    Xclient,
)


class State(Enum):
    """Where a session stands."""

    __hash__ = object.__hash__  # Enum hashes its name in Python, and tables are asked all the time

    CONNECTED = "connected"
    """Nothing was said yet: the greeting is missing."""
    READY = "ready"
    MAIL = "mail"
    """A transaction without recipients."""
    RCPT = "rcpt"
    """A transaction with recipients."""
    CONTENT = "content"
    """354 was said: everything is content."""
    CHUNKS = "chunks"
    """A transaction whose content comes by BDAT."""
    AUTH = "auth"
    """334 was said: the next line is a response."""
    HANDSHAKE = "handshake"
    """220 was said to STARTTLS: nothing may come before TLS has begun."""
    CLOSED = "closed"


CONTENT: Final = State.CONTENT
READY: Final = State.READY
CLOSED: Final = State.CLOSED
HANDSHAKE: Final = State.HANDSHAKE
"""Members by names of their own: asked of the enumeration, each costs as much as a call."""

_ANYWHERE: Final[set[type[Answerable]]] = {Ehlo, Helo, Rset, Noop, Quit, Vrfy, Expn, Help, StartTls}
IN_TRANSACTION: Final = frozenset({State.MAIL, State.RCPT, State.CHUNKS, State.CONTENT})
"""MAIL was accepted, and the transaction has not ended."""
TAKES_CONTENT: Final = frozenset({State.CONTENT, State.CHUNKS})
"""What comes next is content, or belongs to it."""

STATES: Final[dict[State, set[type[Answerable]]]] = {
    State.READY: _ANYWHERE | {Mail, Auth, Xclient},
    State.MAIL: _ANYWHERE | {Rcpt},
    State.RCPT: _ANYWHERE | {Rcpt, Data, Chunk},
    State.CHUNKS: _ANYWHERE | {Chunk},
}
"""Which commands each state takes; every other one gets 503. The other states take no commands."""

Step = tuple[State | None, State | None, State | None]
CLOSES: Final[Step] = (State.CLOSED, State.CLOSED, State.CLOSED)
ENDS: Final[Step] = (State.READY, State.READY, State.READY)
STAYS: Final[Step] = (None, None, None)
STEPS: Final[dict[type[Answerable], Step]] = {
    Ehlo: (State.READY, None, None),
    Helo: (State.READY, None, None),
    Mail: (State.MAIL, None, None),
    Rcpt: (State.RCPT, None, None),
    Data: (State.READY, State.CONTENT, State.READY),
    Chunk: (State.CHUNKS, State.READY, State.READY),
    Content: ENDS,
    Rset: (State.READY, None, None),
    Quit: CLOSES,
    StartTls: (State.HANDSHAKE, None, None),
    Auth: (State.READY, State.AUTH, State.READY),
    AuthResponse: (State.READY, State.AUTH, State.READY),
    Xclient: (State.READY, None, None),
    **dict.fromkeys((Noop, Vrfy, Expn, Help), STAYS),
}
"""Where an answer leads: 2yz, 3yz, refusal; None: the state stays. 421 always closes."""

OUT_OF_SEQUENCE: Final[dict[type[Answerable], str]] = {
    Mail: "5.5.0 a transaction is open already; RSET ends it",
    Rcpt: "5.5.0 MAIL FROM is needed first",
    Data: "5.5.0 RCPT TO is needed first",
    Chunk: "5.5.0 RCPT TO is needed first",
    Auth: "5.5.1 AUTH is not permitted now",
    Xclient: "5.5.1 a transaction is open; RSET ends it",
}


def state_table() -> str:
    """The state machine as text: state × command → where 2yz, 3yz and a refusal lead, or 503."""
    kinds = [*OUT_OF_SEQUENCE, *sorted(_ANYWHERE, key=lambda kind: kind.__name__)]
    rows = [["", *(_name(kind) for kind in kinds)]]
    rows += [[state.value, *(_cell(state, kind) for kind in kinds)] for state in STATES]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _name(kind: type[Answerable]) -> str:
    return "BDAT" if kind is Chunk else kind.__name__.upper()


def _cell(state: State, kind: type[Answerable]) -> str:
    if kind not in STATES[state]:
        return "503"
    steps = STEPS[kind]
    return "/".join("-" if step is None else step.value for step in steps).replace("-/-/-", "-")
