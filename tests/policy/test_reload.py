"""policy.reload: a changed configuration comes into force whole, or not at all."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from angarium.policy import reload as module
from angarium.policy.config import ConfigError, Configuration, Problem, Source
from angarium.policy.load import Changing, load
from angarium.policy.queue_transfer import QueueReceiver, queues_to_chunks
from angarium.policy.queues import QueueTable, load_queues
from angarium.policy.reload import Loaded, Reloader, load_beside
from angarium.policy.source import parse_document
from angarium.policy.transfer import TransferError

MAIN = """\
postmaster = "ops@example.com"
hostname = "mx.example.com"
[[listener]]
name = "in"
listen = "127.0.0.1:2525"
[policy]
listener_domains = ["domains.toml"]
queues = ["queues.toml"]
"""
QUEUES = """\
[queue.default]
retry_interval = "5m"
[queue.'example.com']
routing_domain = '[10.0.0.1]'
prohibited_hosts = ["10.9.0.0/16"]
[queue.'example.com'.'t']
max_age = "1 day"
[queue.'example.com'.'t'.'c']
max_age = "2 days"
[queue.'*.example.com']
smtp_port = 2525
protocol = { lmtp = { mx_list = ["[10.0.0.2]:24"] } }
[tenant.'t']
connection_limit = 3
max_message_rate = "10/min,max_burst=3"
"""
LIMIT = 30.0
"""Seconds after which a test has failed; none needs a tenth of it."""


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine as a test."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), LIMIT))

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration that loads."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "main.toml").write_text(MAIN)
    (tmp_path / "domains.toml").write_text('["example.com"]\nrelay_to = true\n')
    (tmp_path / "queues.toml").write_text(QUEUES)
    return tmp_path


class Server:
    """What a reloader serves: notes what it takes, and waits for what it does."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.taken: list[Configuration] = []
        self.done: asyncio.Queue[str] = asyncio.Queue()
        self.reloader = Reloader(
            path, load(path), self.taken.append, quiet=0.02, notify=self.done.put_nowait, **options
        )

    async def reloaded(self) -> bool:
        """Wait for the end of a reload; says whether anything was taken."""
        before = len(self.taken)
        while await self.done.get() != "ready":
            pass
        return len(self.taken) > before

    def has(self, domain: str) -> bool:
        """Whether an entry answers for the domain now."""
        tables = self.reloader.configuration.domains
        return tables.lookup(domain, tables.scope("in")) is not None


@asynccontextmanager
async def serving(path: Path, **options: Any) -> AsyncIterator[Server]:
    server = Server(path, **options)
    server.reloader.start()
    try:
        yield server
    finally:
        await server.reloader.close()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@asynchronous
async def test_what_a_child_reads_is_what_load_reads(folder: Path) -> None:
    """Every answer of domains and queues, with its line, is the same after the journey."""
    here, beside = load("main.toml"), (await load_beside(Path("main.toml"))).configuration
    assert (here.hash, here.files, here.problems) == (beside.hash, beside.files, beside.problems)
    scope = beside.domains.scope("in")
    assert beside.domains.lookup("example.com", scope) == here.domains.lookup("example.com", scope)
    for asked in [
        ("example.com",),
        ("example.com", "t"),
        ("example.com", "t", "c"),
        ("a.example.com",),
        ("x.org", "t"),
    ]:
        assert beside.queues.lookup(*asked) == here.queues.lookup(*asked)
    assert (
        beside.queues.lookup("example.com").prohibited_hosts
        == here.queues.lookup("example.com").prohibited_hosts
    )


def received_queues(chunks: list[bytes]) -> QueueTable:
    receiver = QueueReceiver()
    for chunk in chunks:
        receiver.take(chunk)
    return receiver.finish()


def test_queues_that_lost_a_chunk_are_missed() -> None:
    """A queue table that did not arrive whole is never used, nor one made of other octets."""
    table, _ = load_queues([parse_document(QUEUES.encode(), Path("q.toml"))])
    chunks = list(queues_to_chunks(table))
    for lost in range(len(chunks)):
        with pytest.raises(TransferError):
            received_queues(chunks[:lost] + chunks[lost + 1 :])
    with pytest.raises(TransferError):
        received_queues([b"nonsense"])


@asynchronous
async def test_change_is_taken(folder: Path) -> None:
    """A file that is written, or replaced by renaming, is in force soon; one that is the same is not."""
    async with serving(Path("main.toml")) as server:
        (folder / "domains.toml").write_text('["changed.example"]\nrelay_to = true\n')
        assert await server.reloaded()
        assert (server.has("example.com"), server.has("changed.example")) == (False, True)
        (folder / "new").write_text('["renamed.example"]\nrelay_to = true\n')
        (folder / "new").rename(folder / "domains.toml")
        assert await server.reloaded()
        assert server.has("renamed.example")
        (folder / "domains.toml").touch()
        (folder / "queues.toml").write_text("[queue.default]\nretry_interval = '1m'\n")
        assert await server.reloaded()
        assert server.reloader.configuration.queues.lookup("x.org").retry_interval == 60
    assert len(server.taken) == 3


@asynchronous
async def test_link_that_is_turned(folder: Path) -> None:
    """A file behind a link counts as changed when the link leads to another."""
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "domains.toml").write_text(f'["{name}.example"]\nrelay_to = true\n')
    (folder / "now").symlink_to("one")
    (folder / "domains.toml").unlink()
    (folder / "domains.toml").symlink_to("now/domains.toml")
    async with serving(Path("main.toml")) as server:
        (folder / "next").symlink_to("two")
        (folder / "next").rename(folder / "now")
        assert await server.reloaded()
        assert server.has("two.example")


@asynchronous
async def test_broken_change(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file with errors leaves everything as it was; each error is said; mended, it is taken."""
    async with serving(Path("main.toml")) as server:
        (folder / "domains.toml").write_text('["new.example"]\nrelay_too = true\nlog_oob = 3\n')
        assert not await server.reloaded()
        assert (server.has("example.com"), server.has("new.example")) == (True, False)
        assert errors(caplog)[0].startswith(
            'domains.toml:2: unknown option "relay_too": did you mean "relay_to"?'
        )
        assert errors(caplog)[1].startswith("domains.toml:3: log_oob")
        assert "stays in force" in errors(caplog)[2]
        (folder / "domains.toml").write_text('["new.example"]\nrelay_to = true\n')
        assert await server.reloaded()
        assert server.has("new.example")


@asynchronous
async def test_file_that_was_named_by_a_broken_change(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is not there yet is waited for."""
    async with serving(Path("main.toml")) as server:
        (folder / "main.toml").write_text(MAIN.replace('["domains.toml"]', '["domains.toml", "more.toml"]'))
        assert not await server.reloaded()
        assert errors(caplog)[0].startswith("main.toml:7: cannot read more.toml")
        (folder / "more.toml").write_text('["more.example"]\nrelay_to = true\n')
        assert await server.reloaded()
        assert server.has("more.example")


@asynchronous
async def test_back_to_what_it_was(folder: Path) -> None:
    """Undoing a broken change is no change."""
    async with serving(Path("main.toml")) as server:
        before = server.reloader.configuration
        (folder / "domains.toml").write_text("oops")
        assert not await server.reloaded()
        (folder / "domains.toml").write_text('["example.com"]\nrelay_to = true\n')
        (folder / "queues.toml").write_text(QUEUES + "oops")
        assert not await server.reloaded()
        assert server.reloader.configuration is before


class Listening(logging.Handler):
    """Waits for what the log says."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Hear one line."""
        self.heard.put_nowait(record.getMessage())


@asynchronous
async def test_mended_files_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who takes back a change that was refused hears that all is well again, though nothing is loaded."""
    caplog.set_level(logging.INFO)
    domains, listening = folder / "domains.toml", Listening()
    async with serving(Path("main.toml")) as server:
        before = domains.read_text()
        domains.write_text("[[[")
        assert not await server.reloaded()
        module.log.addHandler(listening)
        domains.write_text(before)
        said = await listening.heard.get()
        module.log.removeHandler(listening)
        assert said.startswith("the files are mended")
        assert said.endswith(f"configuration {server.reloader.configuration.hash}")
        assert server.taken == []


@asynchronous
async def test_emptied_file(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file that became empty is a broken change, unless somebody asks for it."""
    async with serving(Path("main.toml")) as server:
        (folder / "domains.toml").write_text("# nothing\n")
        assert not await server.reloaded()
        assert errors(caplog)[0].startswith("domains.toml:1: nothing is said in it any more")
        assert server.has("example.com")
        server.reloader.ask()
        assert await server.reloaded()
        assert not server.has("example.com")


@asynchronous
async def test_change_that_opens_the_relay(folder: Path) -> None:
    """A reload that would open the relay is refused, even when asked for, unless the start allowed it."""
    server = Server(Path("main.toml"))
    (folder / "domains.toml").write_text('["*"]\nrelay_to = true\n')
    result = await server.reloader.reload()
    assert not result.taken
    assert str(result.problems[0]).startswith('domains.toml:2: open relay: "*"')
    assert not server.taken
    allowed = Server(Path("main.toml"), allow_open_relay=True)
    assert (await allowed.reloader.reload()).taken


@asynchronous
async def test_what_needs_a_restart(folder: Path) -> None:
    """Sockets and folders stay as they are until a restart, and that is said; everything else is taken."""
    server = Server(Path("main.toml"))
    before = server.reloader.configuration
    more = 'hostname = "other.example.com"\nuser = "nobody"\n[spool]\npath = "else"\n[log]\ndir = "else"\n'
    text = MAIN.replace("2525", "2526").replace('hostname = "mx.example.com"\n', "").replace("ops@", "new@")
    (folder / "main.toml").write_text(more.split("[", 1)[0] + text + "[" + more.split("[", 1)[1])
    result = await server.reloader.reload()
    assert result.taken
    (now,) = server.taken
    assert (now.spool, now.log, now.control, now.user) == (before.spool, before.log, before.control, None)
    assert [listener.listen for listener in now.listeners] == ["127.0.0.1:2525"]
    assert (now.hostname, str(now.postmaster)) == ("other.example.com", "new@example.com")
    told = [str(problem) for problem in result.problems if "needs a restart" in problem.text]
    assert {line.partition(": warning: ")[2].split(" needs")[0] for line in told} == {
        "control.socket",
        "taking out listen = '127.0.0.1:2525'",
        "spool.path",
        "log.dir",
        "user",
        "listen = '127.0.0.1:2526'",
    }
    assert sum(line.startswith("main.toml:13: warning: log.dir") for line in told) == 1
    assert [line for line in told if line.endswith("user needs a restart; until then none holds")]


PROGRAM = """\
from angarium import ListenerDomain, Policy
print("noise")
policy = Policy.load("main.toml")

@policy.on
def get_listener_domain(domain, listener, conn_meta):
    return None
"""


@asynchronous
async def test_policy_as_code(folder: Path) -> None:
    """The operator's code is executed anew, what it prints does no harm, and its errors leave it in force."""
    (folder / "policy.py").write_text(PROGRAM)
    async with serving(Path("policy.py")) as server:
        before = server.reloader.configuration.hooks
        (folder / "policy.py").write_text(
            PROGRAM.replace("get_listener_domain(", "get_listener_domain(\n    ")
        )
        assert await server.reloaded()
        hooks = server.reloader.configuration.hooks
        assert hooks is not before
        assert hooks.handles("get_listener_domain")
        (folder / "policy.py").write_text(PROGRAM + "1 / 0\n")
        assert not await server.reloaded()
        assert server.reloader.configuration.hooks is hooks


@pytest.mark.parametrize("code", ["import os\nos._exit(3)", "import time\ntime.sleep(1000)"])
@asynchronous
async def test_child_that_fails(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that dies or hangs is a broken change."""
    monkeypatch.setattr(module, "READING_LIMIT", 1.0)
    (folder / "policy.py").write_text(code)
    with pytest.raises(ConfigError, match=r"policy.py:1: reading (ended|took longer)"):
        await load_beside(Path("policy.py"))


@asynchronous
async def test_files_that_keep_changing(folder: Path) -> None:
    """What was read at different moments is never put together."""
    (folder / "policy.py").write_text(
        'with open("domains.toml", "a") as file: file.write("# more\\n")\n'
        'from angarium import Policy\npolicy = Policy.load("main.toml")\n'
    )
    server = Server(Path("policy.py"))
    result = await server.reloader.reload()
    assert not result.taken
    assert "the files keep changing" in result.problems[0].text


@asynchronous
async def test_who_takes_it_sees_newer_files(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the files change until a configuration is put in force, the newest is, and nothing is refused."""
    server = Server(Path("main.toml"))

    def take(configuration: Configuration) -> None:
        if not (folder / "edited").exists():
            (folder / "edited").touch()
            (folder / "domains.toml").write_text('["example.net"]\nrelay_to = true\n')
            raise Changing
        server.taken.append(configuration)

    server.reloader._take = take
    (folder / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
    assert (await server.reloader.reload()).taken
    assert server.has("example.net")
    assert len(server.taken) == 1
    assert not errors(caplog)
    await server.reloader.close()


@asynchronous
async def test_large_files_hold_up_nobody(folder: Path) -> None:
    """30,000 domains and as many queues are taken in steps of less than 50 ms of work."""
    load("main.toml")  # a server has read its rule files when it reloads
    names = [f"d{number}.example.com" for number in range(30_000)]
    (folder / "domains.toml").write_text("".join(f'["{name}"]\nrelay_to = true\n' for name in names))
    (folder / "queues.toml").write_text(
        "".join(f"[queue.'{name}']\nrouting_domain = '[10.0.0.1]'\n" for name in names)
    )
    longest: list[float] = []
    for _ in range(3):  # the best of three: a neighbour of the machine may fill its caches
        loaded, waits = await _beside_a_heart()
        longest.append(max(waits))
    assert len(loaded.configuration.domains.top) == len(names)
    assert len(loaded.configuration.queues.domains) == len(names)
    assert min(longest) < 0.050


async def _beside_a_heart() -> tuple[Loaded, list[float]]:
    """Load, with the seconds of work that the event loop did between one look at it and the next."""
    waits: list[float] = []

    async def beat() -> None:
        while True:
            started = time.thread_time()  # this thread's work, not that of others on the machine
            await asyncio.sleep(0.001)
            waits.append(time.thread_time() - started)

    gc.freeze()  # what other tests have left behind is not looked through here
    heart = asyncio.create_task(beat())
    loaded = await load_beside(Path("main.toml"))
    heart.cancel()
    gc.unfreeze()
    return loaded, waits


@asynchronous
async def test_interpreter_that_may_not_be_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no child can be started, the files are read in a thread."""
    monkeypatch.setattr(module.sys, "executable", str(folder))
    loaded = await load_beside(Path("main.toml"))
    assert loaded.configuration.hash == load("main.toml").hash
    assert loaded.open_relays == []


@asynchronous
async def test_configuration_that_cannot_be_put_in_force(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A surprise while it is put in force leaves the one before."""
    server = Server(Path("main.toml"))
    server.taken = None  # type: ignore[assignment]
    server.reloader._take = None  # type: ignore[assignment]
    result = await server.reloader.reload()
    assert (result.taken, result.hash) == (False, load("main.toml").hash)
    assert "main.toml:1: cannot be put in force" in str(result.problems[0])
    assert "stays in force" in errors(caplog)[-1]


@asynchronous
async def test_who_takes_it_may_refuse(folder: Path) -> None:
    """Taking may need time, and what is refused by who takes it changes nothing: its reasons are told."""
    server = Server(Path("main.toml"))
    before = server.reloader.configuration

    async def refuse(configuration: Configuration) -> None:
        await asyncio.sleep(0)
        raise ConfigError([Problem(Source("main.toml", 1), "worker 1: no")], configuration.files)

    async def take(configuration: Configuration) -> None:
        await asyncio.sleep(0)
        server.taken.append(configuration)

    (folder / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
    server.reloader._take = refuse
    result = await server.reloader.reload()
    assert (result.taken, [str(problem) for problem in result.problems]) == (
        False,
        ["main.toml:1: worker 1: no"],
    )
    assert server.reloader.configuration is before
    server.reloader._take = take
    assert (await server.reloader.reload()).taken
    assert server.has("example.org")
