"""Sockets of the machine's own file system: made, replaced when their server is dead, and asked.

Promises: a socket of a living server is never taken away; a new one has mode 0600 from its first moment on;
and whoever is at the other end can be told by their user id. Raises UnixTrouble, whose text says what to do.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import struct
from contextlib import suppress

from angarium.net.accept import BACKLOG
from angarium.net.connection import Connection, ConnectionTrouble

_CREDENTIALS = struct.Struct("3i")  # struct ucred: process, user, group (unix(7))
_CHUNK = 256 * 1024


class UnixTrouble(Exception):  # noqa: N818 - what happened
    """The socket cannot be made, or not be asked; the text says why."""


class NobodyThere(UnixTrouble):
    """No server listens on the socket."""


def bind_unix(path: str) -> socket.socket:
    """Listen on a path, replacing the socket that a dead server left; raises UnixTrouble."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise UnixTrouble(f"cannot make the control socket {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # bind says what is wrong, if anything is
    if not stat.S_ISSOCK(mode):
        raise UnixTrouble(f"{path} is not a socket: remove it, or choose another [control] socket")
    try:
        _connect(path, 1.0).close()
    except NobodyThere:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - beside the other calls on texts
        return
    raise UnixTrouble(f"another server answers on {path}: stop it first, or choose another [control] socket")


def remove_socket(path: str, sock: socket.socket) -> None:
    """Close a socket that `bind_unix` made, and take its file away."""
    sock.close()
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108


def peer_user(sock: socket.socket) -> int | None:
    """The user id of the process at the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    try:
        credentials = sock.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    except OSError:
        return None
    return int(_CREDENTIALS.unpack(credentials)[1])


async def accepted_unix(sock: socket.socket) -> Connection:
    """Make a Connection of an accepted socket; raises ConnectionTrouble."""
    try:
        _, connection = await asyncio.get_running_loop().connect_accepted_socket(Connection, sock)
    except OSError as error:
        sock.close()
        raise ConnectionTrouble(f"cannot serve an accepted connection: {error}") from error
    return connection


def exchange_line(path: str, line: bytes, limit: float) -> bytes:
    """Send a line to the server on a path and return the line that it answers.

    Waits at most `limit` seconds for each part. Raises NobodyThere, or UnixTrouble when no answer came.
    """
    with _connect(path, limit) as sock:
        try:
            sock.sendall(line + b"\n")
            return _read_line(sock)
        except OSError as error:
            raise UnixTrouble(f"no answer on {path}: {error.strerror or error}") from error


def _connect(path: str, limit: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(limit)
    try:
        sock.connect(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as error:
        sock.close()
        raise NobodyThere(f"no server listens on {path}") from error
    except OSError as error:
        sock.close()
        raise UnixTrouble(f"cannot ask the server on {path}: {error.strerror or error}") from error
    return sock


def _read_line(sock: socket.socket) -> bytes:
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        data = sock.recv(_CHUNK)
        if not data:
            raise UnixTrouble("the server ended the connection without an answer")
        parts.append(data)
    return b"".join(parts).rstrip(b"\n")
