"""Which step of a message's walk does a sampled stack belong to? The innermost frame that tells decides.

Steps are those of docs/flow.md. A frame is `function (file:line)`; frames that several steps share, such as
those of `mail`, tell nothing, so that the frame that called them decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LOOP = "the event loop itself: reading, waking"
THREADS = "5 commit: written and synced (threads)"
ELSE = "everything else"

_WRITE = re.compile(r"write\w* \(.*net/connection\.py")
_WRITES = (
    (re.compile(r"angarium/reception/"), "2 replies written"),
    (re.compile(r"angarium/delivery/"), "9 written to the next hop"),
)
_FRAMING = re.compile(r"wire/framing\.py")
_FRAMINGS = (
    (re.compile(r"wire/receiver\.py"), "2 content framed"),
    (re.compile(r"wire/sender\.py|angarium/delivery/"), "9 content framed for the next hop"),
)
_RECORDS = re.compile(r"angarium/log/|queue/records\.py|reception/record\.py")
_RECORDINGS = (
    (re.compile(r"queue/settle\.py"), "11 recorded: delivery"),
    (re.compile(r"angarium/reception/|queue/intake\.py"), "5 recorded: reception"),
)
_SPOOL = re.compile(r"angarium/spool/")
_SPOOLS = (
    (re.compile(r"commit\w* \(.*angarium/spool/"), "5 commit (in the loop)"),
    (re.compile(r"queue/settle\.py"), "11 settled: outcome, end in the spool"),
    (re.compile(r"queue/intake\.py|reception/custody\.py"), "5 put into the spool"),
)
SHARED = ((_WRITE, _WRITES), (_FRAMING, _FRAMINGS), (_RECORDS, _RECORDINGS), (_SPOOL, _SPOOLS))
"""What several steps use: the innermost caller of either kind tells which of them it was."""

OWN = tuple(
    (re.compile(pattern), step)
    for pattern, step in (
        (r"wire/(receiver|commands|extensions|states|replies|requests)\.py", "2 commands parsed"),
        (r"policy/(relay|match|decision|context|fate|trail|views|hooks)\.py", "3 decided"),
        (r"reception/(answers|transaction|guard|handlers|calls)\.py", "3 decided"),
        (r"angarium/reports/", "4 news of our own mail?"),
        (r"reception/custody\.py|mail/(trace|ident)\.py", "5 trace fields, custody"),
        (r"queue/(intake|message|fresh|kept_config)\.py", "5 put into the spool"),
        (r"queue/(scheduled|timers|order)\.py|angarium/shard\.py", "6 scheduled, dispatched"),
        (r"delivery/(dispatcher|routes|resolve|plan|egress|security|services|way)\.py", "7 routed"),
        (r"delivery/(site|path|shares)\.py|policy/(throttle|shaping)\.py", "8 a connection found"),
        (r"delivery/(session|link|agents|agent_session)\.py|wire/sender\.py", "9 the transaction"),
        (
            r"delivery/outcome\.py|queue/(settle|steering|passage)\.py",
            "11 settled: outcome, end in the spool",
        ),
        (r"angarium/reception/", "1 sessions accepted and served"),
        (r"angarium/net/", "1 sessions accepted and served"),
        (r"angarium/spool/", "5 commit (in the loop)"),
    )
)
"""What belongs to one step."""


def step_of(frames: Sequence[str]) -> str:
    """The step of a stack of the loop's thread, outermost frame first."""
    inward = list(reversed(frames))
    if "asyncio/runners.py" in inward[0]:
        return LOOP
    for number, frame in enumerate(inward):
        step = _step(frame, inward[number:])
        if step is not None:
            return step
    return ELSE


def _step(frame: str, callers: Sequence[str]) -> str | None:
    for shared, steps in SHARED:
        if shared.search(frame):
            asked = next((step for one in callers for caller, step in steps if caller.search(one)), None)
            return asked or _own(frame)
    return _own(frame)


def _own(frame: str) -> str | None:
    return next((step for pattern, step in OWN if pattern.search(frame)), None)


def order(step: str) -> tuple[int, str]:
    """Steps in the order of the walk, what belongs to none of them last."""
    number = re.match(r"\d+", step)
    return (int(number[0]) if number else 99, step)
