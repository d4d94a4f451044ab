"""The world outside, as delivery meets it in a test: every address is a next hop that does as it was told.

Promises: an address without a script accepts everything; a script can refuse the connection, hang or close at
any stage, and answer recipients differently; what any of them took is kept in order, with the address that
took it. No socket is opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import count

from angarium.net.connection import ConnectFailed, Connection, TimedOut
from angarium.testing.memory import join
from angarium.testing.nexthop import STAGES, Do, NextHop, Script, Step, Taken

HopScript = Mapping[str, Step | Sequence[Step] | Mapping[str, Step] | Callable[[str], Step]]
"""Stage → what is done there: a reply or a `Do` for every command, a list for one command after the other, a
mapping of addresses (for `mail` and `rcpt`), or a function of the command line. Besides `nexthop.STAGES`
there is `connect`: `Do.CLOSE` refuses the connection, `Do.HANG` lets it time out."""

_OUR_ADDRESS = {4: "192.0.2.1", 6: "2001:db8::1"}


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message that a next hop answered with 2yz."""

    sender: str
    """"" for the null reverse-path."""
    recipients: tuple[str, ...]
    content: bytes
    host: str
    port: int

    @property
    def text(self) -> str:
        """The content as text, lines ending in LF."""
        return self.content.decode("utf-8", "replace").replace("\r\n", "\n")


class Hop(NextHop):
    """One address. Each of its scripts serves one connection, the last one all that follow."""

    def __init__(self, network: Network, host: str) -> None:
        super().__init__(host=host, port=25)
        self._network = network
        self._following: list[Script] = []
        self._current: Script = {}
        self.attempts = 0
        """How often a connection was asked for."""

    def follow(self, scripts: Sequence[HopScript]) -> None:
        """Do this from now on: connections that are open end, as if the host had been started anew.

        Raises ValueError for a stage that does not exist.
        """
        self._following = [_script(script) for script in scripts]
        self.close_all()

    def script(self, number: int) -> Script:
        """See NextHop."""
        return self._current

    def take(self, taken: Taken) -> None:
        """See NextHop; the network keeps it too."""
        super().take(taken)
        message = Delivered(taken.sender, tuple(taken.recipients), taken.content, self.host, self.port)
        self._network.delivered.append(message)

    async def answer(self, port: int, limit: float) -> Connection:
        """Be connected to."""
        self.attempts += 1
        if self._following:
            self._current = self._following.pop(0) if len(self._following) > 1 else self._following[0]
        await self._knock(port, limit)
        self.port = port
        connection = Connection()
        at = _OUR_ADDRESS[6 if ":" in self.host else 4], next(self._network.ports)
        join(connection, self.accept(), at, (self.host, port))
        return connection

    async def _knock(self, port: int, limit: float) -> None:
        step = self._current.get("connect")
        wanted = step("") if callable(step) else Do.ACCEPT
        if wanted is Do.HANG:
            await asyncio.sleep(limit)
            raise TimedOut(f"no connection to {self.host}:{port} in {limit:g} s")
        if wanted is not Do.ACCEPT:
            raise ConnectFailed(f"cannot connect to {self.host}:{port}: Connection refused")


class Network:
    """All next hops; `connect` stands for `net.connection.connect`."""

    def __init__(self) -> None:
        self.delivered: list[Delivered] = []
        self.hops: dict[str, Hop] = {}
        self.ports = count(32768)

    def hop(self, host: str) -> Hop:
        """The next hop at an IP address."""
        if host not in self.hops:
            self.hops[host] = Hop(self, host)
        return self.hops[host]

    async def connect(self, host: str, port: int, *, limit: float, source: str | None = None) -> Connection:
        """Connect to an address; raises TimedOut or ConnectFailed where its script says so."""
        return await self.hop(host).answer(port, limit)


def _script(script: HopScript) -> Script:
    known = ("connect", *STAGES)
    for stage in script:
        if stage not in known:
            near = get_close_matches(stage, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"stages are {', '.join(known)}"
            raise ValueError(f"a next hop has no stage {stage!r}: {hint}")
    return {stage: _steps(steps) for stage, steps in script.items()}


def _steps(
    steps: Step | Sequence[Step] | Mapping[str, Step] | Callable[[str], Step],
) -> Sequence[Step] | Callable[[str], Step]:
    if isinstance(steps, str | bytes | Do):
        return lambda _: steps
    if isinstance(steps, Mapping):
        return lambda line: steps.get(line.partition("<")[2].rpartition(">")[0], Do.ACCEPT)
    return steps
