"""Who accepts whose connections? Each worker its own, and those of the workers that have no room for them.

The kernel shares new connections out among the workers' sockets, whether a worker can take them or not. So
every worker has the sockets of all, and is told which ones it accepts from.

Promises: nobody is refused for want of room while a worker has some; connections of a worker that is not
there wait for nobody while another serves; where nobody has room, each worker answers its own (with 421).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Turn = Mapping[str, list[int]]
"""`listen` → the numbers of the workers whose socket of it is accepted from."""


class Turns:
    """The turns of all workers. `tell` gets a worker's number and its turn, whenever that changes."""

    def __init__(self, workers: int, listens: Iterable[str], tell: Callable[[int, Turn], object]) -> None:
        self._all = range(workers)
        self._full: dict[str, set[int]] = {listen: set() for listen in listens}
        self._serving: set[int] = set()
        self._told: dict[int, Turn] = {}
        self._tell = tell

    def join(self, number: int) -> None:
        """A worker serves from now on, and has room."""
        self._serving.add(number)
        self._deal()

    def leave(self, number: int) -> None:
        """A worker is no more."""
        self._serving.discard(number)
        self._told.pop(number, None)
        for full in self._full.values():
            full.discard(number)
        self._deal()

    def hear(self, number: int, listen: str, *, has_room: bool) -> None:
        """A worker has no room for one more session of a listener, or has room again.

        It accepts nothing there until it is told, and so is told in any case.
        """
        if has_room:
            self._full[listen].discard(number)
        else:
            self._full[listen].add(number)
        self._told.pop(number, None)
        self._deal()

    def full(self, number: int) -> list[str]:
        """The listeners for which a worker has no room."""
        return [listen for listen, full in self._full.items() if number in full]

    def _deal(self) -> None:
        for number in sorted(self._serving):
            turn = {listen: self._turn(number, full) for listen, full in self._full.items()}
            if self._told.get(number) != turn:
                self._told[number] = turn
                self._tell(number, turn)

    def _turn(self, number: int, full: set[int]) -> list[int]:
        takers = self._serving - full or self._serving
        if number not in takers:
            return []
        return [each for each in self._all if each == number or each not in takers]
