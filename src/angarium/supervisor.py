"""From a configuration to a serving process: binds what needs rights, gives the rights up, runs the worker.

Sockets come from the service manager where it passes them (socket activation), else they are bound here,
before the process becomes its unprivileged user. One worker is one plain process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvloop

from angarium.net.accept import bind
from angarium.policy.config import Configuration, Listener
from angarium.shard import Shard

log = logging.getLogger(__name__)

_FIRST_PASSED = 3  # sd_listen_fds(3): passed descriptors begin here


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


def serve(configuration: Configuration, reload: Callable[[], Configuration]) -> None:
    """Serve until told to stop. Raises StartError, BindError, SpoolError."""
    sockets = {listener.listen: sock for listener, sock in _sockets(configuration)}
    _become(configuration.user)
    os.umask(0o077)
    _forbid_core_dumps()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(configuration, sockets, reload))


async def _run(
    configuration: Configuration, sockets: dict[str, socket.socket], reload: Callable[[], Configuration]
) -> None:
    shard = Shard(configuration, sockets, reload)
    await shard.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, shard.ask_to_stop)
    notify("READY=1")
    try:
        await shard.stopped()
    finally:
        notify("STOPPING=1")
        await shard.stop()


def _sockets(configuration: Configuration) -> list[tuple[Listener, socket.socket]]:
    passed = {_name(sock): sock for sock in _passed_sockets()}
    return [
        (listener, passed.get(listener.listen) or bind(listener.listen))
        for listener in configuration.listeners
    ]


def _passed_sockets() -> list[socket.socket]:
    """Sockets of the service manager (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    sockets = [socket.socket(fileno=fd) for fd in range(_FIRST_PASSED, _FIRST_PASSED + count)]
    for sock in sockets:
        sock.setblocking(False)
    return sockets


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _become(user: str | None) -> None:
    """Give up root for the configured user; everything made from here on belongs to them."""
    if os.getuid() != 0:
        return
    if user is None:
        log.warning("running as root, since the configuration names no `user`")
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise StartError(f"user {user!r} does not exist: create it, or change `user`") from None
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def _forbid_core_dumps() -> None:
    """A core would hold mail and passwords."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def notify(state: str) -> None:
    """Tell the service manager (sd_notify(3)); silent where there is none."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)
