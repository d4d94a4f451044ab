"""Ten thousand connections that say nothing: the worker holds them in 400 MB, and serves an honest client."""

import asyncio
import resource
import time
from pathlib import Path

import pytest

from tests.tools.program import running

CONNECTIONS = 10_000
MAX_MEMORY = 400 * 1000 * 1000
MAX_LATENCY = 1.0
"""Seconds in which an honest client is greeted and answered beside them."""
CONFIGURATION = """\
hostname = "mx.example.com"
postmaster = "ops@example.com"
[[listener]]
listen = "127.0.0.1:0"
client_timeout = "10m"
[log]
dir = "logs"
[spool]
path = "spool"
min_free_space = 1
"""


class Idle(asyncio.Protocol):
    """A client that says EHLO and waits."""

    def __init__(self, answered):
        self._answered = answered

    def connection_made(self, transport):
        transport.write(b"EHLO client.example\r\n")
        self._octets = b""

    def data_received(self, data):
        self._octets += data
        if b"\r\n250 " in self._octets:
            self._octets = b""
            self._answered.append(self)


@pytest.mark.skipif(
    resource.getrlimit(resource.RLIMIT_NOFILE)[0] < CONNECTIONS + 1000, reason="too few file descriptors"
)
def test_ten_thousand_idle_connections(tmp_path):
    """Memory and latency stay within bounds."""
    (tmp_path / "angarium.toml").write_text(CONFIGURATION)
    with running("run", str(tmp_path / "angarium.toml")) as process:
        for line in process.stderr:
            if "listening on" in line:
                port = int(line.split("listening on ")[1].rpartition(":")[2])
                break
        asyncio.run(_crowd(port, process.pid))


async def _crowd(port, pid):
    loop, answered = asyncio.get_running_loop(), []
    transports = []
    for _ in range(CONNECTIONS // 100):
        made = (loop.create_connection(lambda: Idle(answered), "127.0.0.1", port) for _ in range(100))
        transports += [transport for transport, _ in await asyncio.gather(*made)]
        latency = await _honest(port)
        assert latency < MAX_LATENCY
    assert len(answered) > CONNECTIONS - 200
    assert _resident(pid) < MAX_MEMORY
    for transport in transports:
        transport.abort()


async def _honest(port):
    """Seconds that a client waits for greeting and NOOP."""
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"NOOP\r\n")
    await reader.readline()
    writer.close()
    await writer.wait_closed()
    return time.perf_counter() - begun


def _resident(pid):
    """Octets of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
