"""No message without a future: random lives of a queue, beside a plain dictionary (issue 6, demand 1)."""

import asyncio
import shutil
import tempfile
from itertools import count
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from angarium.queue.order import Order, Selector
from angarium.testing.clock import VirtualClock
from tests.queue.rooms import Rooms, outcome

DOMAINS = st.sampled_from(["one.example", "two.example", "three.example"])
OUTCOMES = [("delivered", 250), ("transient", 451), ("permanent", 550)]
MAX_AGE = 2 * 3600.0
ENDS = ("Delivery", "Bounce", "Expiration", "AdminBounce")
SEGMENT = 8 * 1024
"""Octets: so small that messages are moved from segment to segment."""
SLACK = 1.0
"""Seconds: a timer's bucket."""


class LifeOfAQueue(RuleBasedStateMachine):
    """`alive` is the model: id → when it was accepted. A message leaves it by a record of how it ended;
    what ended since the last sync may come back after a crash."""

    names: Bundle = Bundle("names")

    def __init__(self):
        super().__init__()
        self.clock = VirtualClock()
        self.clock.busy_while(lambda: self.rooms.is_syncing)
        self.runner = asyncio.Runner(loop_factory=self.clock.new_event_loop)
        self.base = Path(tempfile.mkdtemp(prefix="angarium-model-"))
        self.numbers = count()
        self.folders = count()
        self.alive = {}
        self.unsynced = {}
        self.rooms = None
        self._open(None)

    def _open(self, spool):
        folder = self.base / str(next(self.folders))
        folder.mkdir()
        if spool is not None:
            shutil.copytree(spool, folder / "spool")

        async def start():
            def entropy():
                return next(self.numbers).to_bytes(10, "big")

            self.rooms = Rooms(folder, self.clock.now, entropy, segment_size=SEGMENT)
            self.rooms.start()
            await self.rooms.settlement.close()

        self.folder = folder
        self.runner.run(start())

    def run(self, coroutine):
        return self.runner.run(coroutine)

    def teardown(self):
        self.rooms.close()
        self.runner.close()
        shutil.rmtree(self.base)

    # What happens to a queue

    @rule(domain=DOMAINS)
    def accept(self, domain):
        now = self.clock.now()

        async def accept():
            self.alive[await self.rooms.accept(f"b@{domain}")] = now
            await self.rooms.settlement.close()

        self.run(accept())

    @rule(
        kind=st.sampled_from([("delivered", 250), ("transient", 451), ("permanent", 550)]),
        which=st.integers(0),
    )
    def attempt(self, kind, which):
        held = sorted(self.rooms.yard.held)
        if not held:
            return
        ident = held[which % len(held)]

        async def settle():
            self.rooms.settle(ident, outcome(*kind))
            await self.rooms.settlement.close()

        self.run(settle())

    @rule(which=st.integers(0))
    def go_on_the_wire(self, which):
        held = sorted(self.rooms.yard.held)
        if held:
            self.rooms.yard.on_wire.add(held[which % len(held)])

    @rule(seconds=st.sampled_from([1.0, 61.0, 700.0, 3000.0, 9000.0]))
    def wait(self, seconds):
        async def wait():
            await asyncio.sleep(seconds)
            self.rooms.watchdog.look()
            await self.rooms.quiet()

        self.run(wait())
        self._note_ends()
        self.unsynced.clear()  # all of it was synced

    # What operators do

    @rule(
        target=names, domain=DOMAINS, kind=st.sampled_from(["suspend", "hold", "bounce"]),
        seconds=st.sampled_from([None, 100.0, 5000.0]),
    )  # fmt: skip
    def order(self, domain, kind, seconds):
        now, steering = self.clock.now(), self.rooms.steering
        order = Order(
            name=f"o{next(self.numbers)}",
            kind=kind,
            selector=Selector(domain=domain),
            reason="r",
            author="a",
            created=now,
            expires=None if seconds is None else now + seconds,
        )
        give = {"suspend": steering.suspend, "hold": steering.hold, "bounce": steering.bounce_on}[kind]
        self.run(self._and_settle(give(order)))
        return order.name

    @rule(name=consumes(names))
    def cancel(self, name):
        self.run(self._and_settle(self.rooms.steering.cancel(name)))

    @rule(
        domain=DOMAINS, action=st.sampled_from(["retry", "release", "delete", "expire", "bounce", "reroute"])
    )
    def act(self, domain, action):
        steering, selector = self.rooms.steering, Selector(domain=domain)
        if action in ("retry", "release"):
            work = getattr(steering, action)(selector)
        elif action == "reroute":
            work = steering.reroute(selector, lambda name: f"t@{name.domain}", "r")
        else:
            work = getattr(steering, action)(selector, "r")
        self.run(self._and_settle(work))

    async def _and_settle(self, work):
        await work
        await self.rooms.settlement.close()

    # What befalls the machine

    @rule()
    def restart(self):
        async def stop():
            await self.rooms.quiet()
            self.rooms.close()

        self.run(stop())
        self._note_ends()
        self.unsynced.clear()
        self._open(self.folder / "spool")

    @rule()
    def crash(self):
        """The process is killed: what stands in the files now is all that the next run has."""
        image = self.base / f"image{next(self.folders)}"
        self.rooms.files.image(self.folder / "spool", image)
        self._note_ends()
        self.rooms.close()
        self._open(image)
        for ident, accepted in self.unsynced.items():
            if self.rooms.scheduler.find(ident) is not None:
                self.alive[ident] = accepted
        self.unsynced.clear()

    def _note_ends(self):
        """The model knows an end by its record."""
        for record in self.rooms.writer.seen:
            if record.type in ENDS and record.id in self.alive:
                self.unsynced[record.id] = self.alive.pop(record.id)
        self.rooms.writer.seen.clear()

    # What always holds

    @invariant()
    def every_message_has_a_future(self):
        if self.rooms is None:
            return
        self._note_ends()
        rooms, now = self.rooms, self.clock.now()
        assert {message.ident for message in rooms.scheduler} == set(self.alive)
        for message in rooms.scheduler:
            if message.is_waiting:
                assert not rooms.scheduler.has_lost(message)
                assert message.due <= message.expires
                if message.waits_for is not None:
                    assert rooms.orders.find(message.waits_for) is not None
            else:
                assert message.ident in rooms.yard.held or message in rooms.settlement.finishing
        for ident in rooms.yard.held:
            assert ident in self.alive
        assert rooms.watchdog.health.violations == 0
        for ident, accepted in self.alive.items():
            if ident not in rooms.yard.held:
                assert now - accepted <= MAX_AGE + SLACK


TestLifeOfAQueue = LifeOfAQueue.TestCase
TestLifeOfAQueue.settings = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
