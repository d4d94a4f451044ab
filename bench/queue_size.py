"""How large may a queue be? Memory for each waiting message, the time of a start, and of `queue list`.

`python -m bench.queue_size [MESSAGES]` makes a spool with so many messages (one million unless told), 1 KiB
each, for a thousand domains; a fresh process then takes it up.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from angarium.admin.queue import QueueOffice
from angarium.mail.ident import make_ident
from angarium.policy.load import load
from angarium.queue.message import State, Stored, encode
from angarium.shard import Shard
from angarium.spool.store import Store
from bench.markdown import table

MESSAGES = 1_000_000
DOMAINS = 1000
BATCH = 500
CONFIG = """\
hostname = "bench.example"
[[listener]]
listen = "127.0.0.1:2525"
[spool]
path = "spool"
min_free_space = 1
[log]
dir = "logs"
"""


def fill(folder: Path, messages: int) -> float:
    """Make the spool; every message has failed once and waits an hour. Returns seconds."""
    started = time.perf_counter()

    async def put() -> None:
        store = Store.open(folder / "spool" / "0", segment_size=64 << 20, min_free_space=1)
        content, now = b"Subject: bench\r\n\r\n" + b"x" * 1000, time.time()
        for first in range(0, messages, BATCH):
            for number in range(first, min(first + BATCH, messages)):
                domain = f"d{number % DOMAINS}.example"
                stored = Stored(
                    sender="a@bench.example",
                    recipient=f"u{number}@{domain}",
                    queue=domain,
                    prefix=b"",
                    size=1017,
                )
                ident = make_ident(now, number.to_bytes(10, "big"))
                [place] = store.put([content], [(ident, encode(stored))])
                store.note(place, ident, encode(State(1, now + 3600 + number % 600, last="451 4.3.0 Later")))
            await store.commit()
        store.close()

    asyncio.run(put())
    return time.perf_counter() - started


def resident() -> int:
    """Octets of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def take_up(folder: Path) -> dict[str, float]:
    """Start a worker on the spool."""
    configuration = load(folder / "main.toml")
    gc.collect()
    before, started, worked = resident(), time.perf_counter(), time.process_time()
    shard = Shard(configuration, {})
    await shard.start()
    figures = {"start_s": time.perf_counter() - started, "start_cpu_s": time.process_time() - worked}
    gc.collect()
    number = len(shard.scheduler)
    figures |= {"messages": number, "octets_per_message": (resident() - before) / number}
    office = QueueOffice(shard)
    figures["list_s"] = await timed(office, {"action": "list"})
    figures["list_domain_s"] = await timed(office, {"action": "list", "selector": {"domain": "d7.example"}})
    figures["find_recipient_s"] = await timed(
        office, {"action": "find", "selector": {"recipient": "u7007@d7.example", "domain": "d7.example"}}
    )
    started = time.perf_counter()
    shard.watchdog.look()
    figures["watchdog_round_s"] = time.perf_counter() - started
    await shard.stop()
    return figures


async def timed(office: QueueOffice, arguments: dict[str, object]) -> float:
    started = time.perf_counter()
    json.dumps(await office.answer(arguments), default=str)
    return time.perf_counter() - started


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(asyncio.run(take_up(Path(sys.argv[2])))))
        return
    asked = [argument for argument in sys.argv[1:] if argument != "--quick"]
    messages = int(asked[0]) if asked else MESSAGES // 10 if "--quick" in sys.argv else MESSAGES
    with tempfile.TemporaryDirectory(prefix="angarium-bench-", dir="/var/tmp") as folder:
        (Path(folder) / "main.toml").write_text(CONFIG)
        print(f"Made {messages:,} messages in {fill(Path(folder), messages):.0f} s.\n")
        command = [sys.executable, "-m", "bench.queue_size", "0", folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    figures = json.loads(said).items()
    rows = [(name, f"{value:,.3f}" if isinstance(value, float) else f"{value:,}") for name, value in figures]
    print(table(["a queue taken up", "figure"], rows))


if __name__ == "__main__":
    main()
