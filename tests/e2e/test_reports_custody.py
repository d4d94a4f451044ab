"""Custody of reports that are not queued: their records are all that is left of them (contract 4)."""

import asyncio
import json

import pytest
import zstandard

from angarium.testing.nexthop import NextHop
from tests.e2e.mails import ARF, dsn
from tests.e2e.test_custody import Server

ANSWERED = 300  # reports that are answered before the server is killed
CLIENTS = 8


def logging_only(folder, hop):
    """A server with a domain that logs reports, and nothing else of them."""
    server = Server(folder, hop)
    main = (
        (folder / "main.toml")
        .read_text()
        .replace("[policy]\n", "[policy]\nlistener_domains = ['domains.toml']\n")
    )
    (folder / "main.toml").write_text(main + "[log.per_record.Reception]\nenable = false\n")
    (folder / "domains.toml").write_text("['bounces.example']\nlog_oob = true\nlog_arf = true\n")
    return server


async def report_until_it_ends(server, name, answered, enough):
    """Send reports, and note the id of each that was answered 250."""
    client = await server.connect()
    try:
        await client.say("EHLO client.example")
        for number in range(100_000):
            content = ARF if number % 5 == 0 else dsn(f"{name}-{number}@far.example")
            answer = await client.send("", "b@bounces.example", content=content)
            if answer.startswith("250"):
                answered.append(answer.rpartition("=")[2])
            if len(answered) >= ANSWERED:
                enough.set()
    except (AssertionError, IndexError, OSError):
        return
    finally:
        await client.close()


async def flooded(server, process):
    """Let a flood of reports come, and kill the server in the middle of it; returns who was answered 250."""
    answered, enough = [], asyncio.Event()
    clients = [
        asyncio.create_task(report_until_it_ends(server, f"c{n}", answered, enough)) for n in range(CLIENTS)
    ]
    await enough.wait()
    process.kill()
    await asyncio.gather(*clients)
    return answered


def recorded(folder):
    """The ids of the reports that the finished log has a record of."""
    found = set()
    for path in (folder / "logs").rglob("*.zst"):
        reader = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True)
        found |= {json.loads(line)["id"] for line in reader.read().splitlines()}
    return found


@pytest.mark.parametrize("kills", [1, 3])
def test_no_report_that_was_answered_is_lost(tmp_path, kills):
    """A server that is killed under a flood of reports has, after its next start, a record of each 250."""

    async def main():
        async with asyncio.timeout(60), NextHop() as hop:
            server = logging_only(tmp_path, hop)
            answered = []
            for _ in range(kills):
                async with server.running() as process:
                    answered += await flooded(server, process)
                    await process.wait()
            async with server.running() as process:
                process.terminate()
                assert await process.wait() == 0
            assert len(answered) >= ANSWERED * kills
            assert set(answered) <= recorded(tmp_path)

    asyncio.run(main())
