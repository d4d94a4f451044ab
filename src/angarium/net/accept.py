"""Sockets that listen, and the loop that accepts from them, which no error ends (reference W40).

`bind` makes the socket before rights are dropped; an Acceptor hands each accepted socket on, and when the
operating system refuses to accept (no file descriptors, say), says so, waits a second and goes on.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)

BACKLOG = 1024
_BURST = 64  # accepted in one turn, so that a flood of connections does not starve sessions
_PAUSE = 1.0  # seconds, after the system refused


class BindError(Exception):
    """An address that cannot be listened on; the text says which and why."""


def split_listen(listen: str) -> tuple[str, int]:
    """Split `ADDR:PORT` or `[ADDR6]:PORT`; raises ValueError."""
    host, _, port = listen.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def bind(listen: str, *, share_port: bool = False) -> socket.socket:
    """Bind and listen; IPv6 sockets take IPv6 only unless they listen on `[::]`. Raises BindError."""
    sock = _bound(listen, share_port=share_port)
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _bind_error(listen, error) from error
    sock.setblocking(False)
    return sock


def _bound(listen: str, *, share_port: bool) -> socket.socket:
    host, port = split_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise _bind_error(listen, error) from error
    return sock


def _bind_error(listen: str, error: OSError) -> BindError:
    return BindError(f"cannot listen on {listen}: {error.strerror or error}")


def bind_together(listen: str, count: int) -> list[socket.socket]:
    """Several sockets that listen on one address, among which the kernel shares connections out.

    Raises BindError, also where a stranger listens there and would share. Port 0 takes one port for all.
    """
    with _bound(listen, share_port=False) as reserved:  # nobody listens there: that would not be shared
        place = _written(reserved)
        return [bind(place, share_port=True) for _ in range(count)]


class Acceptor:
    """Accepts from one listening socket until closed, but for times of rest."""

    def __init__(
        self, sock: socket.socket, on_socket: Callable[[socket.socket], None], *, rests: bool = False
    ) -> None:
        self._sock = sock
        self._on_socket = on_socket
        self._loop = asyncio.get_running_loop()
        self._resume: asyncio.TimerHandle | None = None
        self._rests = True
        if not rests:
            self.go_on()

    def rest(self) -> None:
        """Accept nothing: connections wait for whoever accepts from this socket."""
        if not self._rests:
            self._rests = True
            self._loop.remove_reader(self._sock)
            if self._resume is not None:
                self._resume.cancel()

    def go_on(self) -> None:
        """Accept again, unless it was closed meanwhile."""
        if self._rests and self._sock.fileno() >= 0:
            self._rests = False
            self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_BURST):
            if self._rests:
                return
            try:
                client, _ = self._sock.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                return
            except OSError as error:
                self._pause(error)
                return
            client.setblocking(False)
            self._on_socket(client)

    def _pause(self, error: OSError) -> None:
        log.error("cannot accept on %s: %s; trying again in %g s", _written(self._sock), error, _PAUSE)
        self._loop.remove_reader(self._sock)
        self._resume = self._loop.call_later(_PAUSE, self._loop.add_reader, self._sock, self._accept)

    def close(self) -> None:
        """Stop accepting and close the socket."""
        with suppress(ValueError, OSError):
            self.rest()
        self._sock.close()


def _written(sock: socket.socket) -> str:
    """Where a socket listens, as configurations write it."""
    address = sock.getsockname()
    if isinstance(address, str):  # a Unix socket's path
        return address
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
