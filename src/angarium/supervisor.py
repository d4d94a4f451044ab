"""From a configuration to a serving process: binds what needs rights, gives the rights up, runs the worker.

Sockets come from the service manager where it passes them (socket activation), else they are bound here,
before the process becomes its unprivileged user. One worker is this very process; several are processes of
their own, which this one keeps (`node`). Either way here are the signals, reloads and the control socket.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvloop

from angarium.admin.control import Control, Request
from angarium.admin.requests import requests
from angarium.admin.why import log_folders
from angarium.log.indexing import Librarian
from angarium.net.accept import bind, bind_together
from angarium.net.descriptors import raise_limit, room_for_sessions
from angarium.net.rights import RightsError, become, interpreter_trouble, make_folder
from angarium.net.unix import UnixTrouble, bind_unix
from angarium.node.crew import Crew
from angarium.node.member import WorkerTrouble
from angarium.node.office import node_requests
from angarium.node.owed import forget_others
from angarium.policy.config import Configuration, Problem
from angarium.policy.copies import remove_left
from angarium.policy.open_relay import open_relays
from angarium.policy.reload import Reloader
from angarium.shard import Shard

log = logging.getLogger(__name__)

_FIRST_PASSED = 3  # sd_listen_fds(3): passed descriptors begin here

Sockets = dict[str, socket.socket]


class StartError(Exception):
    """The server cannot start; the text says why and what to do."""


def serve(configuration: Configuration, path: Path, *, allow_open_relay: bool = False) -> None:
    """Serve the configuration of a main file until told to stop.

    Raises StartError, BindError, SpoolError, LogError.
    """
    if not allow_open_relay:
        _refuse_open_relay(open_relays(configuration))
    raise_limit()
    _say_what_fits(configuration)
    sockets = _sockets(configuration, workers_of(configuration))
    _give_up_rights(configuration)
    os.umask(0o077)
    _forbid_core_dumps()
    run = _run_crew if len(sockets) > 1 else _run_alone
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(configuration, sockets, path, allow_open_relay=allow_open_relay))


def workers_of(configuration: Configuration) -> int:
    """How many workers a configuration asks for."""
    return configuration.workers or len(os.sched_getaffinity(0))


def _say_what_fits(configuration: Configuration) -> None:
    wanted = sum(listener.max_connections for listener in configuration.listeners)
    room = room_for_sessions() * workers_of(configuration)
    if room < wanted:
        log.warning(
            "only %d sessions at a time, of the %d in max_connections: raise the limit of open files "
            "(LimitNOFILE, ulimit -n)",
            room,
            wanted,
        )


def _refuse_open_relay(problems: list[Problem]) -> None:
    if problems:
        said = "\n".join(map(str, problems))
        raise StartError(f"{said}\nthis would be an open relay; --allow-open-relay serves it nevertheless")


async def _run_alone(
    configuration: Configuration, sockets: Sequence[Sockets], path: Path, *, allow_open_relay: bool
) -> None:
    """One worker: this process."""
    remove_left(Path(configuration.spool.path))
    forget_others(Path(configuration.spool.path), 0)
    shard = Shard(configuration, sockets[0])
    _on_signals(shard.ask_to_stop, signal.SIGTERM, signal.SIGINT)
    try:
        await shard.start()
        reloader = Reloader(
            path, configuration, shard.take, allow_open_relay=allow_open_relay, notify=_notify_of_reload
        )
        librarian = Librarian(log_folders(configuration.log))
        shard.writer.on_finished = librarian.ask
        table = requests(shard, path, time.time(), reloader.reload)
        async with _administered(configuration, table, reloader, librarian):
            await _serve_until(configuration, sockets, shard.stopped())
    finally:
        await shard.stop()


async def _run_crew(
    configuration: Configuration, sockets: Sequence[Sockets], path: Path, *, allow_open_relay: bool
) -> None:
    """Several workers: this process keeps them, and is asked for them."""
    librarian = Librarian(log_folders(configuration.log))
    crew = Crew(configuration, path, sockets, librarian.ask)
    is_over = asyncio.Event()
    _on_signals(is_over.set, signal.SIGTERM, signal.SIGINT)
    try:
        await crew.start()
        reloader = Reloader(
            path,
            configuration,
            crew.take,
            allow_open_relay=allow_open_relay,
            notify=_notify_of_reload,
        )
        table = node_requests(crew, path, time.time(), reloader.reload)
        async with _administered(configuration, table, reloader, librarian):
            await _serve_until(configuration, sockets, is_over.wait())
    except WorkerTrouble as trouble:
        raise StartError(str(trouble)) from None
    finally:
        await crew.stop(crew.configuration.shutdown_timeout)


async def _serve_until(
    configuration: Configuration, sockets: Sequence[Sockets], end: Awaitable[object]
) -> None:
    """Say that everything is ready, and wait for the end."""
    log.info("ready: %s", ", ".join(_places(configuration, sockets[0])))
    notify("READY=1")
    await end
    notify("STOPPING=1")


@asynccontextmanager
async def _administered(
    configuration: Configuration, table: Mapping[str, Request], reloader: Reloader, librarian: Librarian
) -> AsyncIterator[None]:
    """Take reloads and requests meanwhile, and have the log's finished segments indexed."""
    place = configuration.control.socket
    try:
        sock = bind_unix(place)
    except UnixTrouble as trouble:
        raise StartError(str(trouble)) from None
    control = Control(place, sock, table)
    _on_signals(reloader.ask, signal.SIGHUP)
    reloader.start()
    librarian.start()
    try:
        yield
    finally:
        await librarian.close()
        await control.close()
        await reloader.close()


def _on_signals(act: object, *numbers: signal.Signals) -> None:
    for number in numbers:
        asyncio.get_running_loop().add_signal_handler(number, act)  # type: ignore[arg-type]


def _sockets(configuration: Configuration, workers: int) -> list[Sockets]:
    """For each worker, its socket of each listener; one that was passed is everybody's."""
    passed = {_name(sock): sock for sock in _passed_sockets()}
    rows = {
        listen: [passed.pop(listen)] * workers if listen in passed else _bind(listen, workers)
        for listen in (listener.listen for listener in configuration.listeners)
    }
    if passed:
        names = ", ".join(passed)
        raise StartError(f"the service manager passes {names}, but no [[listener]] has that as its `listen`")
    return [{listen: row[number] for listen, row in rows.items()} for number in range(workers)]


def _bind(listen: str, workers: int) -> list[socket.socket]:
    return [bind(listen)] if workers == 1 else bind_together(listen, workers)


def _passed_sockets() -> list[socket.socket]:
    """Sockets of the service manager (sd_listen_fds(3))."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(os.environ.get("LISTEN_FDS", "0"))
    sockets = [socket.socket(fileno=fd) for fd in range(_FIRST_PASSED, _FIRST_PASSED + count)]
    for sock in sockets:
        sock.setblocking(False)
        os.set_inheritable(sock.fileno(), False)
    return sockets


def _name(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _places(configuration: Configuration, sockets: Sockets) -> list[str]:
    """Each listener with where it listens: port 0 stands for any that was free."""
    names = []
    for listener in configuration.listeners:
        place = _name(sockets[listener.listen])
        names.append(f"listening on {place}" + (f" ({listener.name})" if listener.name else ""))
    return names


def _give_up_rights(configuration: Configuration) -> None:
    """Give up root for the configured user, to whom the folders of spool and log belong."""
    folders = (
        configuration.spool.path,
        configuration.log.dir,
        str(Path(configuration.control.socket).parent),
    )
    try:
        if workers_of(configuration) > 1 and (trouble := interpreter_trouble(configuration.user)):
            raise StartError(trouble)
        for folder in folders:
            make_folder(Path(folder), configuration.user)
        become(configuration.user)
    except RightsError as error:
        raise StartError(str(error)) from None
    for path in configuration.files:
        if os.access(path, os.R_OK):
            continue
        if workers_of(configuration) > 1:
            raise StartError(f"{path}: {configuration.user} cannot read it, as each of several workers must")
        log.warning("%s: %s cannot read it: changes to it will not be taken", path, configuration.user)


def _forbid_core_dumps() -> None:
    """A core would hold mail and passwords."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _notify_of_reload(state: str) -> None:
    microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("READY=1" if state == "ready" else f"RELOADING=1\nMONOTONIC_USEC={microseconds}")


def notify(state: str) -> None:
    """Tell the service manager (sd_notify(3)); silent where there is none."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(state.encode(), address)
