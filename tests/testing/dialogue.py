"""A plain SMTP client for tests of servers: it says lines and collects replies."""

import socket
from types import TracebackType


class Dialogue:
    """One connection. `say` sends raw octets and returns as many replies as asked for, as text."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, timeout=5)
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "Dialogue":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()
        self._socket.close()

    def reply(self) -> str:
        """The next reply, its lines joined by LF; "" when the server has closed."""
        lines = []
        while line := self._file.readline().decode().rstrip("\r\n"):
            lines.append(line)
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def say(self, octets: str | bytes, replies: int = 1) -> list[str]:
        self._socket.sendall(octets.encode() if isinstance(octets, str) else octets)
        return [self.reply() for _ in range(replies)]

    def is_silent(self, seconds: float) -> bool:
        """True if nothing comes for so long."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(5)

    def is_closed(self) -> bool:
        """True if the server has closed or reset the connection."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True
