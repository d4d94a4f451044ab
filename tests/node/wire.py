"""Workers and their lender in one loop: each way to a worker keeps its order, and takes its time."""

import asyncio

from angarium.node.lender import Lender
from angarium.node.shares import Ledger


class Wire:
    """Carries what ledgers and lender say; `chance` says how late."""

    def __init__(self, chance):
        self.lender = Lender(self._to_worker)
        self.workers = {}
        self.carried = 0
        """Words that workers have said."""
        self._chance = chance
        self._arrives = {}

    def add(self, number):
        """One more worker."""
        ledger = self.workers[number] = Ledger(lambda asks: self._to_lender(number, ledger, asks))
        return ledger

    def kill(self, number):
        """A worker is no more: what it said arrives still, and then the lender learns it."""
        del self.workers[number]
        self._later(("up", number), self.lender.leave, number)

    def _to_lender(self, number, ledger, asks):
        self.carried += 1
        if self.workers.get(number) is ledger:
            self._later(("up", number), self.lender.hear, number, asks)

    def _to_worker(self, number, answers):
        if number in self.workers:
            self._later(("down", number), self._arrive, number, answers)

    def _arrive(self, number, answers):
        if number in self.workers:
            self.workers[number].take(answers)

    def _later(self, way, act, *args):
        loop = asyncio.get_running_loop()
        at = max(self._arrives.get(way, 0.0), loop.time() + self._chance.uniform(0.0, 0.02))
        self._arrives[way] = at + 1e-6
        loop.call_at(at, act, *args)
