"""A real server that is killed and started again, clients that never give up, and what was promised."""

import asyncio
import contextlib
import sys
import time
from pathlib import Path

PROGRAM = str(Path(sys.executable).with_name("angarium"))
MAIN = """\
hostname = "mx.example.com"
[[listener]]
listen = "{listen}"
tls = "off"
relay_hosts = ["0.0.0.0/0"]
allow = "a test"
[policy]
queues = ["queues.toml"]
[spool]
path = "spool"
min_free_space = 1
"""
QUEUES = "[queue.default]\nrouting_domain = '{hop}'\nretry_interval = '1s'\nmax_retry_interval = '2s'\n"


class Server:
    """`angarium run` on a fixed port; `prefix` runs it somewhere else."""

    def __init__(self, folder, listen, hop, prefix=()):
        self.listen = listen
        self.kills = []
        self._folder = folder
        self._prefix = prefix
        self._process = None
        (folder / "main.toml").write_text(MAIN.format(listen=listen))
        (folder / "queues.toml").write_text(QUEUES.format(hop=hop))

    async def start(self):
        """Start, and return when it is ready."""
        self._process = await asyncio.create_subprocess_exec(
            *self._prefix, PROGRAM, "run", str(self._folder / "main.toml"), stderr=asyncio.subprocess.PIPE
        )
        said = b""
        while b"ready:" not in said:
            line = await self._process.stderr.readline()
            assert line, said.decode()
            said += line

    async def kill(self):
        """kill -9, in the middle of whatever it does."""
        self.kills.append(time.monotonic())
        self._process.kill()
        await self._process.communicate()

    async def end(self):
        """Leave nothing behind, whatever went wrong."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    async def stop(self):
        self._process.terminate()
        await self._process.communicate()
        return self._process.returncode


class Senders:
    """Send numbered messages, one after the other on each connection; `promised` were answered 250."""

    def __init__(self, host, port):
        self.promised = {}
        self._host, self._port = host, port
        self._next = 0
        self._is_over = False

    async def run(self, number):
        await asyncio.gather(*(self._send_on() for _ in range(number)))

    def stop(self):
        self._is_over = True

    async def _send_on(self):
        while not self._is_over:
            with contextlib.suppress(OSError, EOFError, asyncio.IncompleteReadError):
                await self._session()
            await asyncio.sleep(0.02)

    async def _session(self):
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            await self._say(reader, writer, None, b"220")
            await self._say(reader, writer, b"EHLO client.example\r\n", b"250")
            while not self._is_over:
                self._next += 1
                await self._message(reader, writer, self._next)
        finally:
            writer.transport.abort()

    async def _message(self, reader, writer, number):
        await self._say(reader, writer, b"MAIL FROM:<a@customer.example>\r\n", b"250")
        await self._say(reader, writer, b"RCPT TO:<b%d@d%d.example>\r\n" % (number, number % 7), b"250")
        await self._say(reader, writer, b"DATA\r\n", b"354")
        await self._say(reader, writer, b"X-Number: %d\r\n\r\nhello\r\n.\r\n" % number, b"250")
        self.promised[number] = time.monotonic()

    async def _say(self, reader, writer, line, expected):
        if line is not None:
            writer.write(line)
        while True:
            answer = await reader.readuntil(b"\n")
            if answer[3:4] != b"-":
                break
        assert answer.startswith(expected), answer
