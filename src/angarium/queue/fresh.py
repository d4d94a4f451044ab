"""Messages that have just come, whose octets are still in memory: delivery mostly wants them at once.

Promises a bound: when there are too many, or they are too large, the oldest are forgotten, and are read
from the spool when their turn comes.
"""

from __future__ import annotations

from collections import deque

from angarium.queue.message import Message

MAX_MESSAGES = 4096
MAX_OCTETS = 32 * 1024 * 1024


class Fresh:
    """Remembered messages, oldest first. A message may have forgotten its octets by itself meanwhile."""

    def __init__(self, max_messages: int = MAX_MESSAGES, max_octets: int = MAX_OCTETS) -> None:
        self._max_messages = max_messages
        self._max_octets = max_octets
        self._messages: deque[tuple[Message, int]] = deque()
        self._octets = 0

    def add(self, message: Message, size: int) -> None:
        """Count a message that remembers `size` octets; older ones make room for it."""
        self._messages.append((message, size))
        self._octets += size
        while self._octets > self._max_octets or len(self._messages) > self._max_messages:
            oldest, octets = self._messages.popleft()
            self._octets -= octets
            oldest.forget()
