"""The two servers, set up alike: they relay `relay.example` for strangers, to hops that keep everything."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.peers import Setup, postfix
from bench.tools import angarium, free_port, is_greeting, stop, wait_for

from angarium.testing.nexthop import NextHop

QUIET = 2.0  # seconds without an arrival, after which nothing more is waited for
_POSTFIX = """\
mynetworks = 127.0.0.9/32
relay_domains = relay.example
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
local_header_rewrite_clients =
smtpd_error_sleep_time = 0
parent_domain_matches_subdomains =
"""
_MAIN = """\
hostname = "bench.invalid"
[[listener]]
listen = "127.0.0.1:{port}"
relay_hosts = ["127.0.0.9"]
tls = "off"
max_refused_recipients_per_network = 1000000
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
[spool]
path = "spool"
min_free_space = 1
[log]
dir = "logs"
[control]
socket = "control.sock"
"""
_DOMAINS = "['relay.example']\nrelay_to = true\n"
_QUEUES = "[queue.default]\nrouting_domain = '[127.0.0.1]:{hop}'\n"


class Side:
    """A server that runs, and what arrived behind it."""

    def __init__(self, port: int, hop: NextHop) -> None:
        self.port = port
        self.hop = hop

    async def settle(self) -> None:
        """Wait until nothing has arrived for a while."""
        before = -1
        while before != len(self.hop.taken):
            before = len(self.hop.taken)
            await asyncio.sleep(QUIET)


@asynccontextmanager
async def beside_postfix(more: str = "") -> AsyncIterator[Side]:
    """Postfix, with `more` in its main.cf; nothing is Debian's or ours but what the dialogues need."""
    folder = _folder()
    async with NextHop() as hop:
        setup = Setup(folder / "postfix", port=free_port(), next_hop=hop.port, connections=5, delivers=True)
        server = await asyncio.to_thread(postfix.start, setup, _POSTFIX + more)
        try:
            yield Side(setup.port, hop)
        finally:
            await asyncio.to_thread(server.stop)
            shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def ourselves() -> AsyncIterator[Side]:
    """`angarium run` with its defaults, but for a limit that 10,000 wrong dialogues reach."""
    folder = _folder()
    async with NextHop() as hop:
        port = free_port()
        process = _start(folder, port, hop.port)
        try:
            await asyncio.to_thread(wait_for, lambda: is_greeting(port), "angarium run")
            yield Side(port, hop)
        finally:
            await asyncio.to_thread(stop, process)
            shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """A folder that others may enter: Postfix's processes have users of their own."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    return folder


def _start(folder: Path, port: int, hop: int) -> subprocess.Popen[bytes]:
    (folder / "main.toml").write_text(_MAIN.format(port=port))
    (folder / "domains.toml").write_text(_DOMAINS)
    (folder / "queues.toml").write_text(_QUEUES.format(hop=hop))
    with (folder / "stderr").open("wb") as output:
        return subprocess.Popen(angarium("run", str(folder / "main.toml")), stderr=output)
