"""`python -m bench.policy`: what a hundred thousand domains cost to load, to take, to ask, and in memory.

Loads as a reload does: a child process reads the file and sends the tables in chunks; the parent takes them
while a heartbeat on its event loop notes how long it was kept waiting. Prints one row for each kind of file.
"""

from __future__ import annotations

import asyncio
import gc
import struct
import sys
import tempfile
import time
import timeit
import tracemalloc
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from angarium.mail.address import Address
from angarium.policy.context import Context
from angarium.policy.domain_transfer import DomainReceiver, domains_to_chunks
from angarium.policy.domains import load_domains
from angarium.policy.match import PolicyTables
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide
from angarium.policy.source import read_document

ENTRIES = 100_000
LENGTH = struct.Struct("!I")

KINDS: dict[str, Callable[[int], str]] = {
    "relay_to": lambda n: f'["d{n}.example.com"]\nrelay_to = true\n',
    "wildcard": lambda n: f'["*.d{n}.example.com"]\nlog_oob = true\n',
    "relay_from": lambda n: f'["d{n}.example.com"]\nrelay_from = ["10.{n >> 16}.{n >> 8 & 255}.{n & 255}"]\n',
    "relay_from_authz": lambda n: f'["d{n}.example.com"]\nrelay_from_authz = ["user{n}"]\n',
}


class Configuration(NamedTuple):
    domains: PolicyTables
    hash: str = "bench"


def send(path: Path) -> None:
    """The child: read the file, write each chunk after its length. It ends soon: nothing needs collecting."""
    gc.disable()
    tables, problems = load_domains([read_document(path)], [])
    assert not problems
    for chunk in domains_to_chunks(tables):
        sys.stdout.buffer.write(LENGTH.pack(len(chunk)) + chunk)


async def load(path: Path) -> tuple[PolicyTables, float, float]:
    """The parent: (tables, seconds in all, longest time that the event loop was kept waiting)."""
    waits: list[float] = []
    heart = asyncio.create_task(beat(waits))
    started = time.perf_counter()
    command = (sys.executable, "-m", "bench.policy", str(path))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    receiver = DomainReceiver()
    while head := await child.stdout.read(LENGTH.size):
        head += await child.stdout.readexactly(LENGTH.size - len(head))
        receiver.take(await child.stdout.readexactly(LENGTH.unpack(head)[0]))
    tables = receiver.finish()
    seconds = time.perf_counter() - started
    await child.wait()
    heart.cancel()
    return tables, seconds, max(waits)


async def beat(waits: list[float]) -> None:
    """Note how long the loop's thread worked between two turns: what it kept others waiting.

    Its processor's time, not the clock's, so that other work on this machine is not counted.
    """
    while True:
        started = time.thread_time()
        await asyncio.sleep(0.001)
        waits.append(time.thread_time() - started)


def memory_of(path: Path) -> float:
    """MB of the tables, once taken."""
    tables, _ = load_domains([read_document(path)], [])
    chunks = list(domains_to_chunks(tables))
    del tables
    gc.collect()
    tracemalloc.start()
    receiver = DomainReceiver()
    for chunk in chunks:
        receiver.take(chunk)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / 1e6


def microseconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=5000, repeat=5)) / 5000 * 1e6


def question(recipient: str, peer: str = "192.0.2.1") -> Context:
    return Context(
        listener="in",
        peer=ip_address(peer),
        relay_hosts=NetworkSet.parse(["127.0.0.1", "::1"]),
        sender=Address.parse("someone@sender.example"),
        recipient=Address.parse(recipient),
        hostnames=("mx.example.net",),
    )


def row(kind: str, path: Path) -> str:
    path.write_text("".join(map(KINDS[kind], range(ENTRIES))))
    tables, seconds, wait = asyncio.run(load(path))
    figures = " ".join(f"{figure:9.1f}" for figure in times(tables, kind))
    return f"{kind:18}{seconds:7.2f} {wait * 1000:7.1f} {memory_of(path):8.1f} {figures}"


def times(tables: PolicyTables, kind: str) -> list[float]:
    """Of a look-up that finds and one that does not; of a decision by relay_hosts, an entry, nothing."""
    scope, configuration = tables.scope("in"), Configuration(tables)
    name = "x.d77.example.com" if kind == "wildcard" else "d77.example.com"
    asked = [question("a@x.org", "127.0.0.1"), question(f"a@{name}"), question("a@x.org")]
    return [
        microseconds(partial(tables.lookup, name, scope)),
        microseconds(partial(tables.lookup, "a.b.c.d.example.org", scope)),
        *(microseconds(partial(decide, configuration, context)) for context in asked),
    ]


def main() -> None:
    print(f"{ENTRIES:,} entries     load s wait ms mem MB  found µs missed µs   A µs   entry µs refused µs")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            print(row(kind, Path(folder) / "domains.toml"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        send(Path(sys.argv[1]))
    else:
        main()
