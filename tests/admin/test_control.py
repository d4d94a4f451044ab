"""The control socket: one JSON request a line, one answer a line, for root and the server's own user."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from angarium.admin import control as module
from angarium.admin.control import Control, RequestError
from angarium.cli.client import Refusal, ask
from angarium.net.unix import NobodyThere, UnixTrouble, bind_unix


async def _echo(arguments: Any) -> Any:
    return dict(arguments)


async def _refuse(arguments: Any) -> Any:
    raise RequestError("not this: ask for echo")


async def _fail(arguments: Any) -> Any:
    return 1 / 0


REQUESTS = {"echo": _echo, "refuse": _refuse, "fail": _fail}


def asynchronous(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine as a test."""

    @wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 20))

    return run


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[str]:
    control = Control(str(path), bind_unix(str(path)), REQUESTS)
    try:
        yield str(path)
    finally:
        await control.close()


class Client:
    """Says lines as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, line: bytes) -> Any:
        self.writer.write(line)
        answer = await self.reader.readline()
        return json.loads(answer) if answer else None


@asynccontextmanager
async def client(path: str) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@asynchronous
async def test_requests_and_answers(tmp_path: Path) -> None:
    """A client asks as often as it likes, in lines that may come in pieces or together."""
    async with serving(tmp_path / "c.sock") as path, client(path) as asking:
        assert await asking.say(b'{"request": "echo", "a": [1]}\n') == {"ok": True, "answer": {"a": [1]}}
        asking.writer.write(b'{"request": "echo",')
        assert await asking.say(b' "b": 2}\n{"request": "echo"}\n') == {"ok": True, "answer": {"b": 2}}
        assert json.loads(await asking.reader.readline()) == {"ok": True, "answer": {}}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"nonsense\n", "not a JSON object"),
        (b"[1]\n", "not a JSON object"),
        (b'{"request": "ping"}\n', "unknown request 'ping': known are echo, fail, refuse"),
        (b'{"request": []}\n', "unknown request []: known are echo, fail, refuse"),
        (
            b'{"command": "echo"}\n',
            'no request is named: write {"request": NAME}: known are echo, fail, refuse',
        ),
        (b'{"request": "refuse"}\n', "not this: ask for echo"),
        (b'{"request": "fail"}\n', "the request failed; the server's own log says why"),
    ],
)
@asynchronous
async def test_what_goes_wrong(tmp_path: Path, line: bytes, error: str) -> None:
    """Each wrong request costs itself an answer that says what is wrong; the next one is served."""
    async with serving(tmp_path / "c.sock") as path, client(path) as asking:
        answer = await asking.say(line)
        assert answer["ok"] is False
        assert answer["error"].startswith(error)
        assert (await asking.say(b'{"request": "echo"}\n'))["ok"]


@asynchronous
async def test_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that grows too long is refused, and the connection ended."""
    monkeypatch.setattr(module, "MAX_LINE", 1000)
    async with serving(tmp_path / "c.sock") as path, client(path) as asking:
        answer = await asking.say(b"x" * 2000)
        assert answer == {"ok": False, "error": "a request may have 1000 octets"}
        assert await asking.reader.read() == b""


@asynchronous
async def test_client_that_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says nothing is let go."""
    monkeypatch.setattr(module, "IDLE_LIMIT", 0.01)
    async with serving(tmp_path / "c.sock") as path, client(path) as asking:
        assert await asking.reader.read() == b""


@asynchronous
async def test_too_many_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More clients than may be served are turned away."""
    monkeypatch.setattr(module, "MAX_CLIENTS", 1)
    async with serving(tmp_path / "c.sock") as path, client(path) as first:
        assert (await first.say(b'{"request": "echo"}\n'))["ok"]
        async with client(path) as second:
            assert await second.reader.read() == b""


@asynchronous
async def test_other_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another user is turned away, whatever the file's mode says."""
    monkeypatch.setattr(module, "peer_user", lambda sock: os.geteuid() + 1)
    async with serving(tmp_path / "c.sock") as path:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116
        async with client(path) as asking:
            assert await asking.reader.read() == b""


@asynchronous
async def test_socket_goes_with_its_server(tmp_path: Path) -> None:
    """A server that ends takes its socket away, and lets its clients go."""
    path = tmp_path / "c.sock"
    async with serving(path), client(str(path)) as asking:
        assert (await asking.say(b'{"request": "echo"}\n'))["ok"]
    assert not path.exists()


def test_socket_of_a_living_server(tmp_path: Path) -> None:
    """The socket of a server that answers is never taken; that of a dead one is."""
    path = str(tmp_path / "c.sock")
    first = bind_unix(path)
    with pytest.raises(UnixTrouble, match="another server answers"):
        bind_unix(path)
    first.close()
    bind_unix(path).close()


def test_what_cannot_be_a_socket(tmp_path: Path) -> None:
    """Another file is not removed, and a place where none can be is named."""
    other = tmp_path / "file"
    other.write_text("precious")
    with pytest.raises(UnixTrouble, match="is not a socket"):
        bind_unix(str(other))
    assert other.read_text() == "precious"
    for place in (tmp_path / "no" / "c.sock", tmp_path / ("long" * 40)):
        with pytest.raises(UnixTrouble, match="cannot make the control socket"):
            bind_unix(str(place))


@asynchronous
async def test_commands_ask(tmp_path: Path) -> None:
    """A command gets the answer, or an error of ours that says why there is none."""
    async with serving(tmp_path / "c.sock") as path:
        assert await asyncio.to_thread(ask, path, "echo", a=1) == {"a": 1}
        with pytest.raises(Refusal, match="not this"):
            await asyncio.to_thread(ask, path, "refuse")
    with pytest.raises(NobodyThere):
        ask(path, "echo")


def test_server_that_gives_no_answer(tmp_path: Path) -> None:
    """A connection that ends without an answer is told."""
    path = str(tmp_path / "c.sock")
    sock = bind_unix(path)
    sock.setblocking(True)

    def turn_away() -> None:
        accepted, _ = sock.accept()
        accepted.recv(100)
        accepted.close()

    with pytest.raises(UnixTrouble, match="ended the connection without an answer"):
        _beside(turn_away, lambda: ask(path, "echo"))
    sock.close()


def _beside(work: Callable[[], None], test: Callable[[], Any]) -> None:
    import threading

    thread = threading.Thread(target=work)
    thread.start()
    try:
        test()
    finally:
        thread.join()
