"""A whole server in the test's event loop: real files, real sockets, a real next hop, and its records.

A test writes configuration as text; `$hop` stands for the route to the next hop. Peers are told apart by
their loopback addresses: by default only 127.0.0.1 may relay, so a client from 127.0.0.2 is a stranger.
"""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import zstandard

from angarium import shard as shard_module
from angarium.log.records import encode_record
from angarium.net.accept import bind
from angarium.policy.load import load
from angarium.testing.dns import DnsServer
from angarium.testing.nexthop import NextHop

STRANGER = "127.0.0.2"
MAIL = b"From: a@customer.example\r\nSubject: hello\r\nMessage-ID: <1@customer.example>\r\n\r\nhello\r\n"
TO_THE_HOP = "[queue.default]\nrouting_domain = '$hop'\n"


class Client:
    """An SMTP client that says what a test writes, and tells what the server answered."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.banner = ""

    async def reply(self):
        """The next reply, its lines joined by LF; "" when the server has closed."""
        lines = []
        while line := (await self._reader.readline()).decode().rstrip("\r\n"):
            lines.append(line)
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def write(self, octets):
        """Send octets as they are."""
        self._writer.write(octets if isinstance(octets, bytes) else octets.encode())

    async def say(self, *lines):
        """Send lines together; the reply to the last."""
        self.write("".join(f"{line}\r\n" for line in lines))
        return [await self.reply() for _ in lines][-1]

    async def begin(self, sender, *recipients, parameters=""):
        """MAIL and RCPTs; the reply to each RCPT, or to MAIL where there is none."""
        mail = await self.say(f"MAIL FROM:<{sender}>{parameters}")
        replies = [await self.say(f"RCPT TO:<{recipient}>") for recipient in recipients]
        return replies or [mail]

    async def content(self, octets=MAIL):
        """DATA and the content; the final reply."""
        go_ahead = await self.say("DATA")
        if not go_ahead.startswith("354"):
            return go_ahead
        stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
        self.write(stuffed + b".\r\n")
        return await self.reply()

    async def send(self, sender, *recipients, content=MAIL, parameters=""):
        """A whole transaction; the final reply. Every recipient has to be accepted."""
        for answer in await self.begin(sender, *recipients, parameters=parameters):
            assert answer.startswith("250"), answer
        return await self.content(content)

    async def is_closed(self):
        """Whether the server closes, or has closed."""
        try:
            return await self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    async def start_tls(self, context, name="mx.example.com"):
        """STARTTLS and the handshake; the reply to STARTTLS."""
        answer = await self.say("STARTTLS")
        if answer.startswith("220"):
            await self._writer.start_tls(context, server_hostname=name)
        return answer

    def abort(self):
        """Break the connection."""
        self._writer.transport.abort()

    async def close(self):
        """Close the connection, unless it is."""
        self._writer.close()
        with suppress(OSError):  # a failed handshake, too, is told once more
            await self._writer.wait_closed()


class House:
    """The server, its next hop, and what happened."""

    def __init__(self, folder, configuration, sockets, hop, dns):
        self.folder = folder
        self.configuration = configuration
        self.hop = hop
        self.dns = dns
        self.seen = []
        """Every record, in order, as it was written."""
        self.shard = None
        self.now = None
        self._sockets = sockets
        self._changed = asyncio.Event()
        self._clients = []

    async def start(self):
        """Open the house; again after `stop` on the sockets that `rebind` made."""
        watched = _watched(self._take_record)
        original, shard_module.Writer = shard_module.Writer, watched
        options = {} if self.now is None else {"clock": self.now}
        try:
            self.shard = shard_module.Shard(self.configuration, self._sockets, **options)
        finally:
            shard_module.Writer = original
        await self.shard.start()

    async def stop(self):
        if self.shard is not None:
            shard, self.shard = self.shard, None
            await shard.stop()

    async def close(self):
        """Stop, and leave nothing open."""
        await self.stop()
        for client in self._clients:
            await client.close()

    async def restart(self):
        """Stop, and start again with what the spool holds."""
        await self.stop()
        self._sockets = {listener.listen: bind(listener.listen) for listener in self.configuration.listeners}
        await self.start()

    @property
    def is_syncing(self):
        """Whether the spool's threads are at work."""
        if self.shard is None:
            return False
        journal = self.shard.store._journal
        return bool(journal._under_way or journal._batches or journal._spare_size)

    def _take_record(self, record):
        self.seen.append(json.loads(record))
        self._changed.set()

    def records(self, *types):
        """The records seen so far, of these types."""
        return [record for record in self.seen if not types or record["type"] in types]

    def kinds(self):
        """The types of the records seen so far, in order."""
        return [record["type"] for record in self.seen]

    async def wait_for(self, record_type, number=1):
        """Wait until so many records of a type are there; returns the last of them."""
        async with asyncio.timeout(10 if self.now is None else None):
            while len(self.records(record_type)) < number:
                self._changed.clear()
                await self._changed.wait()
        return self.records(record_type)[number - 1]

    async def arrived(self, number=1):
        """Wait until so many messages are at the next hop and have their Delivery; returns the messages."""
        await self.wait_for("Delivery", number)
        assert len(self.hop.taken) == number
        return self.hop.taken

    def logged(self):
        """Every record that stands in the log's files, in order."""
        return [
            json.loads(line) for path in _segments(Path(self.configuration.log.dir)) for line in _lines(path)
        ]

    def address(self, listener=0):
        """Where a listener listens."""
        found = self.configuration.listeners[listener]
        return found.host, found.port

    async def connect(self, source=None, *, listener=0, greet=True):
        """A client, from the address `source`, which has said EHLO unless told otherwise."""
        host, port = self.address(listener)
        if host == "::" and source is not None and "." in source:
            host = "127.0.0.1"
        local = (source, 0) if source else None
        client = Client(*await asyncio.open_connection(host, port, local_addr=local))
        self._clients.append(client)
        client.banner = await client.reply()
        if greet:
            assert (await client.say("EHLO client.example")).startswith("250"), client.banner
        return client

    def keep(self, client):
        """Close this client too at the end."""
        self._clients.append(client)

    async def stranger(self, **options):
        """A client from a network that no rule names."""
        return await self.connect(STRANGER, **options)

    def take(self, **texts):
        """Write files anew and put them in force."""
        for name, text in texts.items():
            (self.folder / f"{name}.toml").write_text(self.filled(text))
        self.shard.take(load(self.configuration.files[0]))

    def filled(self, text):
        return _filled(text, self.hop)


def _filled(text, hop):
    return text.replace("$hop", hop.route).replace("$port", str(hop.port))


def _watched(take):
    """The log's writer; what is written is shown to the test too."""

    class Watched(shard_module.Writer):
        def write(self, record):
            super().write(record)
            take(encode_record(record))

        def write_encoded(self, line):
            super().write_encoded(line)
            take(line)

    if "write_encoded" in _calls(shard_module.Writer.write):
        del Watched.write
    return Watched


def _calls(function):
    return function.__code__.co_names


def _segments(folder):
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name != "filler")


def _lines(path):
    octets = path.read_bytes()
    if octets.startswith(b"\x28\xb5\x2f\xfd"):  # RFC 8878 section 3.1.1
        octets = zstandard.ZstdDecompressor().stream_reader(octets, read_across_frames=True).read()
    return octets.splitlines()


@asynccontextmanager
async def house(
    folder: Path,
    *,
    main="",
    listener="",
    listeners=None,
    domains="",
    queues=TO_THE_HOP,
    program="",
    users="",
    log="",
    log_dir="logs",
    spool='path = "spool"\nmin_free_space = 1',
    checks_log=True,
    hop=(),
    zone=None,
    now=None,
    domain_files=("domains.toml",),
    prepare=None,
):
    """A running house. `listeners` are (address, text) pairs, `listener` is the text of the one at 127.0.0.1;
    `hop` the scripts of the next hop; `program` the handlers of a policy file."""
    listeners = listeners or [("127.0.0.1", listener)]
    async with NextHop(*hop) as next_hop, DnsServer(zone or {}) as dns:
        sockets, blocks = {}, []
        for address, text in listeners:
            bracketed = f"[{address}]" if ":" in address else address
            sock = bind(f"{bracketed}:0")
            listen = f"{bracketed}:{sock.getsockname()[1]}"
            sockets[listen] = sock
            blocks.append(f'[[listener]]\nlisten = "{listen}"\n{text}\n')
        texts = {
            "main.toml": f'hostname = "mx.example.com"\n{main}\n{"".join(blocks)}'
            f'[policy]\nlistener_domains = {json.dumps(list(domain_files))}\nqueues = ["queues.toml"]\n'
            f"{_USERS if users else ''}"
            f'[spool]\n{spool}\n[log]\ndir = "{log_dir}"\n{log}\n'
            f'[dns]\nnameservers = ["{dns.endpoint}"]\n',
            "domains.toml": domains or "# none\n",
            "queues.toml": queues,
            "users.toml": users,
        }
        for name, text in texts.items():
            (folder / name).write_text(_filled(text, next_hop))
        if prepare is not None:
            prepare(folder)
        entrance = folder / "main.toml"
        if program:
            entrance = folder / "policy.py"
            entrance.write_text(_PROGRAM + _filled(program, next_hop))
        made = House(folder, load(entrance), sockets, next_hop, dns)
        made.now = now
        await made.start()
        try:
            yield made
        finally:
            await made.close()
        if not checks_log:
            return
        logged = sorted(json.dumps(record, sort_keys=True) for record in made.logged())
        assert logged == sorted(json.dumps(record, sort_keys=True) for record in made.seen), "the log differs"


_USERS = 'users = ["users.toml"]\n'
_PROGRAM = """\
import asyncio
from angarium import Address, ConnectionMeta, Identity, ListenerDomain, Message, Policy, QueueConfig, reject

policy = Policy.load("main.toml")

"""
