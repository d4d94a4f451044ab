"""What does the operator see? Lines on stderr with a level: `angarium: warning: listener_domains.toml:3:
...`.

Under systemd each line begins with its priority (`<4>`), which journald takes off; elsewhere with the time.
Everything in Angarium that has something to tell the operator uses the standard library's `logging` below the
name `angarium`. Control characters, which a client may have sent, are escaped, so that no line can pretend to
be two. Nobody logs credentials.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Levels as syslog counts them (RFC 5424 section 6.2.1)."""


class _Line(logging.Formatter):
    """One record, one line; only a traceback has more."""

    def __init__(self, name: str, *, is_journal: bool) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S%z")
        self._name = name
        self._is_journal = is_journal

    def format(self, record: logging.LogRecord) -> str:
        """See logging.Formatter."""
        text = f"{self._name}: {record.levelname.lower()}: {_printable(record.getMessage())}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._is_journal:
            priority = _PRIORITIES.get(record.levelno, 5)
            return "\n".join(f"<{priority}>{line}" for line in text.splitlines())
        return f"{self.formatTime(record, self.datefmt)} {text}"


def set_up(level: int = logging.INFO, stream: TextIO | None = None, *, name: str = "angarium") -> None:
    """Send what is logged below `angarium` to a stream (stderr); lines begin with the process's name.

    Once more: replaces what was set up before.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Line(name, is_journal="JOURNAL_STREAM" in os.environ))
    logger = logging.getLogger("angarium")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
