"""A node of several workers, as the real program runs it; what it says on stderr is kept."""

import asyncio
import contextlib
import os
import re
import signal
import smtplib
import sys
from pathlib import Path

from angarium.cli.client import ask

PROGRAM = str(Path(sys.executable).with_name("angarium"))
LIMIT = 60.0
MAIN = """\
workers = {workers}
hostname = "mx.example.com"
postmaster = "ops@example.com"
shutdown_timeout = "5s"
{more}
[[listener]]
name = "in"
listen = "{listen}"
tls = "off"
relay_hosts = ["127.0.0.1"]
max_connections_per_network = 1000
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
[spool]
path = "spool"
min_free_space = 1
segment_size = 1048576
"""
DOMAINS = '["example.com"]\nrelay_to = true\n'
NOWHERE = "[queue.default]\nrouting_domain = '[127.0.0.1]:9'\nretry_interval = '1 hour'\n"

PASSING = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Node:
    """`angarium run` on the files of a folder."""

    def __init__(self, folder, process):
        self.folder = folder
        self.process = process
        self.said = []
        self._more = asyncio.Condition()
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self):
        async for line in self.process.stderr:
            async with self._more:
                self.said.append(line.decode())
                self._more.notify_all()
        async with self._more:
            self.said.append("")
            self._more.notify_all()

    async def heard(self, *texts, after=0):
        """Wait for a line, after so many, that holds one of the texts; returns it."""
        async with asyncio.timeout(LIMIT), self._more:
            while True:
                for line in self.said[after:]:
                    if any(text in line for text in texts):
                        return line
                assert "" not in self.said, "".join(self.said)
                await self._more.wait()

    @property
    def port(self):
        """Where the first listener listens."""
        ready = next(line for line in self.said if "ready: listening on" in line)
        return int(re.search(r"listening on \S+:(\d+)", ready)[1])

    async def ask(self, request, **arguments):
        """What the control socket answers."""
        return await asyncio.to_thread(ask, str(self.folder / "spool/control.sock"), request, **arguments)

    async def queue(self, action="list", **arguments):
        return await self.ask("queue", action=action, **arguments)

    async def workers(self):
        """The process of each worker, once all are there."""
        async with asyncio.timeout(LIMIT):
            while True:
                workers = (await self.ask("version"))["workers"]
                if all(worker["ready"] for worker in workers):
                    return [worker["pid"] for worker in workers]

    async def kill(self, worker):
        """kill -9 a worker; returns when another process has taken its place."""
        pids = await self.workers()
        after = len(self.said)
        os.kill(pids[worker], signal.SIGKILL)
        await self.heard(f"worker {worker} is ready again", after=after)

    async def send(self, count, domain="example.com"):
        """Send messages, each by a connection of its own; returns their ids."""
        return await asyncio.gather(*(asyncio.to_thread(self._send, n, domain) for n in range(count)))

    def _send(self, number, domain):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=LIMIT) as client:
            client.ehlo("client.example")
            client.mail("a@customer.example")
            client.rcpt(f"b{number}@{domain}")
            code, text = client.data(f"X-Number: {number}\r\nMessage-ID: <{number}@x>\r\n\r\nhello\r\n")
            assert code == 250, text
            return re.search(rb"ids=([0-9a-f]{32})", text)[1].decode()

    def rcpt(self, recipient):
        """The code of a stranger's RCPT, by a connection of its own."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=LIMIT, source_address=("127.0.0.2", 0)) as client:
            client.ehlo("client.example")
            client.mail("someone@sender.example")
            return client.rcpt(recipient)[0]

    async def codes(self, recipient, count=16):
        """The codes of many strangers' RCPTs, so that every worker is asked."""
        return {await asyncio.to_thread(self.rcpt, recipient) for _ in range(count)}

    async def stop(self, number=signal.SIGTERM):
        """Ask it to end; returns its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(LIMIT):
            await self._hearing
            return await self.process.wait()


def write(folder, *, workers=2, listen="127.0.0.1:0", more="", queues=NOWHERE, domains=DOMAINS):
    """Write the files."""
    main = MAIN.format(workers=workers, listen=listen, more=more)
    (folder / "main.toml").write_text(main)
    (folder / "domains.toml").write_text(domains)
    (folder / "queues.toml").write_text(queues)


@contextlib.asynccontextmanager
async def node(folder, *, entrance="main.toml", env=None, passed=None, **files):
    """Run a node once it is ready; what is left of it at the end is killed.

    `passed`: a socket that it is given as by a service manager.
    """
    if files:
        write(folder, **files)
    launcher = () if passed is None else (sys.executable, "-c", PASSING, str(passed.fileno()))
    process = await asyncio.create_subprocess_exec(
        *launcher,
        PROGRAM,
        "run",
        str(folder / entrance),
        pass_fds=() if passed is None else (passed.fileno(),),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
        start_new_session=True,
    )
    running = Node(folder, process)
    try:
        await running.heard("ready:")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await running._hearing


async def is_gone(pid):
    """Wait until a process is no more."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(LIMIT):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
