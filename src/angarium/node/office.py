"""What a node answers on its control socket: as one server would, whichever worker has what is asked for.

Who only looks is answered by every worker that is there, and told which are not; so is who gives an order
that stands by its selector, since a worker is told of those before it serves again, and who asks for what can
wait for it (see `owed`). Who changes anything else is answered when every worker is there. An order that one
worker refuses is said to be refused there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from angarium.admin.control import Arguments, Partial, Request, RequestError
from angarium.admin.merge import merge
from angarium.admin.queue import MAX_ROWS
from angarium.admin.requests import own_requests
from angarium.node.channel import CallFailed, ChannelClosed
from angarium.node.crew import Crew, NotReady
from angarium.node.member import Member
from angarium.node.owed import can_wait
from angarium.policy.reload import Result

_LOOKING = ("list", "show", "find", "suspensions")
_FOUND_SOMEWHERE = ("show", "cancel")
"""What one worker has is enough."""
_ORDERS = ("hold", "suspend", "bounce")
_MANY = 10_000
"""Queues that each worker names, so that their sums are right."""


def node_requests(
    crew: Crew, path: Path, started: float, reload: Callable[[], Awaitable[Result]]
) -> dict[str, Request]:
    """Every request by its name, as `admin.requests.requests`."""
    office = _Office(crew)
    own = own_requests(lambda: crew.configuration, path, started, reload, crew.describe)
    return own | {"explain": office.explain, "queue": office.queue}


class _Office:
    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    async def explain(self, arguments: Arguments) -> Any:
        """All decide alike: ask one."""
        for member in await self._members(changes=False):
            try:
                return await _ask(member, "explain", arguments)
            except ChannelClosed:
                continue
        raise RequestError("no worker is there: see the server's log")

    async def queue(self, arguments: Arguments) -> Any:
        """Ask all, and answer as one."""
        action = str(arguments.get("action", "list"))
        looks = action in _LOOKING or arguments.get("dry_run") is True
        stands = _stands(action, arguments)
        members = await self._members(changes=not (looks or stands or can_wait(action, arguments)))
        if looks or len(members) == len(self._crew.members):
            return await self._ask_those(members, action, arguments)
        async with self._crew.steady():  # nobody begins meanwhile who would not be told of it
            if stands:
                return await self._ask_those(self._crew.ready, action, arguments)
            return await self._ask_now_and_later(action, arguments)

    async def _ask_now_and_later(self, action: str, arguments: Arguments) -> Any:
        """Ask who is there, and see to it that the others are told before they serve."""
        absent = [member for member in self._crew.members if not member.is_ready]
        if full := [str(member.number) for member in absent if member.owed.is_full]:
            raise RequestError(f"nothing was done: too much waits for worker {', '.join(full)} already")
        asked = _for_all(action, arguments)
        answer = await self._ask_those(self._crew.ready, action, asked)
        for member in absent:
            member.owed.add(asked, time.time())
        return answer

    async def _ask_those(self, members: Sequence[Member], action: str, arguments: Arguments) -> Any:
        limit = arguments.get("limit", MAX_ROWS)
        asked = _for_all(action, arguments)
        results = await asyncio.gather(
            *(_ask(member, "queue", asked) for member in members), return_exceptions=True
        )
        answers = [result for result in results if not isinstance(result, BaseException)]
        troubles = [_trouble(member, result) for member, result in zip(members, results, strict=True)]
        said = [trouble for trouble in troubles if trouble]
        absent = [member.number for member in self._crew.members if member not in members]
        if not answers or (said and action not in _LOOKING + _FOUND_SOMEWHERE):
            said = [_summary(said, len(members))] if said else []
            raise RequestError("; ".join([*said, *map(_is_absent, absent)]))
        answer = merge(action, answers, limit if isinstance(limit, int) else MAX_ROWS)
        absent += [
            one.number for one, result in zip(members, results, strict=True) if type(result) is ChannelClosed
        ]
        is_whole = not absent or (action == "show" and "id" in answer)
        return answer if is_whole else Partial(answer, sorted(absent))

    async def _members(self, *, changes: bool) -> Sequence[Member]:
        """Whom to ask; raises RequestError."""
        try:
            return await self._crew.all_ready()
        except NotReady as missing:
            if changes or not self._crew.ready:
                advice = "; suspend or hold what is meant until then" if self._crew.ready else ""
                raise RequestError(f"nothing was done: {missing}{advice}") from None
            return self._crew.ready


async def _ask(member: Member, name: str, arguments: Arguments) -> Any:
    return msgspec.msgpack.decode(await member.channel.call("request", (name, arguments)))


def _stands(action: str, arguments: Arguments) -> bool:
    """Whether an order stands that a worker can be told of later; a bounce does while it has a duration."""
    return action == "suspend" or (action == "bounce" and arguments.get("seconds") is not None)


def _is_absent(number: int) -> str:
    return f"worker {number} is not there: what it has is missing here, see the server's log"


def _for_all(action: str, arguments: Arguments) -> Arguments:
    """What every worker is asked: an order has one name everywhere."""
    if action in _ORDERS and not arguments.get("name"):
        return {**arguments, "name": f"{action}-{token_hex(3)}"}
    if action == "list" and not (arguments.get("selector") or arguments.get("everything")):
        return {**arguments, "limit": _MANY}
    return arguments


def _trouble(member: Member, result: Any) -> str:
    """Why a worker has not answered; "" where it has."""
    if isinstance(result, ChannelClosed):
        return f"worker {member.number} ended meanwhile"
    if isinstance(result, CallFailed):
        return str(result)
    if isinstance(result, BaseException):
        raise result
    return ""


def _summary(troubles: Sequence[str], workers: int) -> str:
    """What all say is said once; what some did is not left out."""
    said = "; ".join(dict.fromkeys(troubles))
    if len(troubles) == workers:
        return said
    return f"{workers - len(troubles)} of {workers} workers have done it, the others not: {said}"
