"""What does a load test send? Its options, and messages made by the weights of sizes and recipients.

Promises: content is made once per size, with a Message-ID of its own for every message; equal seeds give
equal mixtures.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from itertools import accumulate

from angarium.wire.framing import wire_content

Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What to send. `messages` and `duration` (seconds): whichever ends first, None for no limit."""

    host: str
    port: int
    connections: int = 20
    messages: int | None = None
    duration: float | None = None
    sizes: tuple[tuple[int, float], ...] = ((10_240, 1.0),)
    """Octets of content, header section included, with weights."""
    header: int = 0
    """Octets of the header section; less than it needs: as short as can be."""
    recipients: Weighted = (("recipient@example.com", 1.0),)
    """Addresses with weights."""
    recipients_per_message: int = 1
    sender: str = "sender@example.org"
    rate: float | None = None
    """Messages a second over all connections; None: as fast as the server answers."""
    pipelining: bool = True
    chunking: bool = False
    """Content by BDAT (RFC 3030), in one piece with its envelope, where the server offers both extensions."""
    messages_per_connection: int = 0
    """Then a new connection is made; 0: never."""
    timeout: float = 60.0
    """Seconds to wait for a reply."""
    retry_wait: float = 0.05
    """Seconds after a connection that came to nothing; twice as many after each further one."""
    ehlo_name: str = "bench.invalid"
    seed: int | None = None


class Mixture:
    """Makes messages by the weights of sizes and recipients."""

    def __init__(self, options: LoadOptions) -> None:
        self._random = random.Random(options.seed)  # noqa: S311 (a mixture, not secrets)
        self._count = options.recipients_per_message
        self._sizes = [size for size, _ in options.sizes]
        self._size_weights = list(accumulate(weight for _, weight in options.sizes))
        self._recipients = [f"RCPT TO:<{address}>\r\n".encode() for address, _ in options.recipients]
        self._recipient_weights = list(accumulate(weight for _, weight in options.recipients))
        self._mail = f"MAIL FROM:<{options.sender}>\r\n".encode()
        self._number = 0
        self._run = f"{os.getpid():x}.{time.time_ns():x}@{options.ehlo_name}"
        self._bodies = {size: _body(size, options, self._head()) for size in self._sizes}
        # What is smaller than its header section is as large as that; the final dot does not count.
        self._octets = {size: len(self._head()) + len(body) - 3 for size, body in self._bodies.items()}

    def _head(self) -> bytes:
        """The field that tells messages apart; always of the same length."""
        self._number += 1
        return b"Message-ID: <%010d.%b>\r\n" % (self._number, self._run.encode())

    def next_message(self) -> tuple[list[bytes], list[bytes], int]:
        """Envelope commands, content parts as they go on the wire, and size of the next message."""
        size = self._sizes[0] if len(self._sizes) == 1 else self._choose_size()
        return (
            [self._mail, *self._choose_recipients()],
            [self._head(), self._bodies[size]],
            self._octets[size],
        )

    def _choose_size(self) -> int:
        return self._random.choices(self._sizes, cum_weights=self._size_weights)[0]

    def _choose_recipients(self) -> list[bytes]:
        if len(self._recipients) == 1:
            return self._recipients * self._count
        return self._random.choices(self._recipients, cum_weights=self._recipient_weights, k=self._count)


def _body(size: int, options: LoadOptions, head: bytes) -> bytes:
    """What follows the head: the rest of the header section, and lines up to `size` octets in all."""
    fields = (
        f"From: <{options.sender}>\r\nTo: undisclosed-recipients:;\r\nSubject: load test\r\n"
        f"Date: {time.strftime('%a, %d %b %Y %H:%M:%S +0000', time.gmtime())}\r\n"
    ).encode()
    header = fields + _padding(options.header - len(head) - len(fields) - 2) + b"\r\n"
    missing = size - len(head) - len(header)
    line = b"The quick brown fox jumps over the lazy dog, and back again before it rains.\r\n"
    lines = line * (missing // len(line))
    rest = missing - len(lines)
    filler = b"x" * (rest - 2) + b"\r\n" if rest >= 2 else b""
    return b"".join(wire_content([header + lines + filler]))


def _padding(octets: int) -> bytes:
    """Header fields of so many octets in all, or a few less."""
    whole, rest = divmod(max(octets, 0), len(_PAD_LINE))
    return _PAD_LINE * whole + (b"X-Pad: " + b"x" * (rest - 9) + b"\r\n" if rest > 9 else b"")


_PAD_LINE = b"X-Pad: " + b"x" * 69 + b"\r\n"
