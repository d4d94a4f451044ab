"""The queue's rooms without reception and delivery: a real spool and log, and a yard that tests play."""

import shutil
import threading
from types import SimpleNamespace

from angarium.log.writer import Writer
from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.ident import make_ident
from angarium.mail.status import reply
from angarium.policy.load import load
from angarium.queue.intake import Arrival, Intake
from angarium.queue.orders import Orders
from angarium.queue.scheduled import Scheduler
from angarium.queue.settle import Settlement, Verdict
from angarium.queue.steering import Steering
from angarium.queue.watchdog import Watchdog
from angarium.spool.files import DiskFiles
from angarium.spool.store import Store

CONFIG = """\
hostname = "mx.example.com"
[[listener]]
listen = "127.0.0.1:2525"
[policy]
queues = ["queues.toml"]
[spool]
path = "spool"
min_free_space = 1
[log]
dir = "logs"
"""
QUEUES = "[queue.default]\nretry_interval = '10m'\nmax_age = '2h'\n"


class Yard:
    """Delivery: what is dispatched stands here until the test plays an outcome."""

    def __init__(self):
        self.held = {}
        self.on_wire = set()

    def dispatch(self, message):
        assert message.ident not in self.held, "dispatched twice"
        self.held[message.ident] = message

    def withdraw(self, is_meant):
        taken = [m for i, m in self.held.items() if i not in self.on_wire and is_meant(m)]
        for message in taken:
            del self.held[message.ident]
        return taken

    def messages(self):
        return iter(list(self.held.values()))

    def site_of(self, queue):
        return f"{queue.name.domain}-site"

    def try_now(self, queue):
        pass


def outcome(kind, code, text="said"):
    """An outcome of an attempt at a host."""
    host = SimpleNamespace(name="mx.next.example", address="192.0.2.1")
    return Verdict(
        kind=SimpleNamespace(value=kind),
        reply=reply(code, text),
        peer=host,
        site="site",
        is_local=False,
        was_attempted=True,
    )


class OneAtATime(DiskFiles):
    """The real disk; whoever copies a folder finds it as it was between two changes, as after `kill -9`."""

    def __init__(self):
        self._changing = threading.RLock()

    def image(self, folder, copy):
        with self._changing:
            shutil.copytree(folder, copy)

    def create(self, path):
        with self._changing:
            return super().create(path)

    def write(self, handle, parts, offset):
        with self._changing:
            super().write(handle, parts, offset)

    def write_synced(self, handle, parts, offset):
        with self._changing:
            super().write_synced(handle, parts, offset)

    def rename(self, old, new):
        with self._changing:
            super().rename(old, new)

    def unlink(self, path):
        with self._changing:
            super().unlink(path)


class Watched(Writer):
    """The log's writer; tests see what is written."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seen = []

    def write(self, record):
        super().write(record)
        self.seen.append(record)


class Rooms:
    """Everything between the door in and the door out. `folder` is where spool and log are."""

    def __init__(self, folder, clock, entropy, queues=QUEUES, segment_size=1 << 20):
        (folder / "main.toml").write_text(CONFIG)
        (folder / "queues.toml").write_text(queues)
        self.configuration = load(folder / "main.toml")
        self.clock = clock
        self.entropy = entropy
        self.yard = Yard()
        self.files = OneAtATime()
        self.store = Store.open(
            folder / "spool", segment_size=segment_size, min_free_space=1, files=self.files
        )
        self.writer = Watched(self.configuration.log, worker=0, clock=clock)
        self.scheduler = Scheduler(
            lambda name: self.configuration.queues.lookup(name.domain, name.tenant), self._dispatch, clock
        )
        self.orders = Orders(self.store, self.ident, clock)
        self.intake = Intake(self.store, self.writer, self.scheduler, self.orders, self.ident)
        self.settlement = Settlement(
            self.store,
            self.writer,
            self.scheduler,
            self.intake,
            configuration=lambda: self.configuration,
            clock=clock,
            entropy=lambda: 0.5,
        )
        self.steering = Steering(self.scheduler, self.settlement, self.orders, self.yard, clock=clock)
        self.watchdog = Watchdog(self.scheduler, self.settlement, self.orders, self.yard, clock=clock)
        self.store.set_moved(self._moved)

    def ident(self):
        return make_ident(self.clock(), self.entropy())

    def _dispatch(self, message):
        if not self.steering.divert(message):
            self.yard.dispatch(message)

    def _moved(self, ident, place):
        self.scheduler.moved(ident, place)
        self.orders.moved(ident, place)
        self.intake.moved(ident, place)

    def start(self):
        self.intake.recover()
        self.scheduler.start()

    async def accept(self, recipient="b@one.example", sender=None, **options):
        """Take custody of one message; returns its id."""
        address = Address.parse(recipient)
        arrival = Arrival(
            ident=self.ident(),
            envelope=Envelope(sender and Address.parse(sender), (Recipient(address),)),
            prefix=b"",
            content=[b"Subject: x\r\n\r\nx\r\n"],
            meta={},
            is_queued=True,
            queue=options.pop("queue", address.domain),
            tells_sender=sender is not None,
            **options,
        )
        await self.intake.take([arrival])
        return arrival.ident

    def settle(self, ident, result):
        """Play the outcome of an attempt."""
        self.yard.on_wire.discard(ident)
        self.settlement.settle(self.yard.held.pop(ident), result)

    @property
    def is_syncing(self):
        """Whether the spool's threads are at work."""
        journal = self.store._journal
        return bool(journal._under_way or journal._batches or journal._spare_size)

    async def quiet(self):
        """Wait until what is being finished is finished and synced."""
        await self.settlement.close()
        await self.intake.close()
        await self.store.commit()

    def close(self):
        self.watchdog.stop()
        self.scheduler.stop()
        self.store.close()
        self.writer.close()
