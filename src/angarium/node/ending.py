"""How did a worker end, what was it doing, and what may the operator do? One line for the server's own log.

Pure but for reading the file into which a worker's interpreter writes where it was when a fatal signal came
(`faulthandler`); nothing of it goes by what a client said.
"""

from __future__ import annotations

import os
import re
import signal

import msgspec

_FRAME = re.compile(r'^  File "([^"]*)", line (\d+) in (\S+)$', re.MULTILINE)
_PAGE = os.sysconf("SC_PAGE_SIZE")
_MAX_FRAMES = 4
_MAX_WORDS = 16_384
_ADVICE: dict[int, str] = {
    signal.SIGKILL: "somebody killed it, or the kernel for want of memory: `journalctl -k` says",
    signal.SIGXCPU: "its limit of CPU time was reached: see `ulimit -t`, LimitCPU",
}
_FAULT = "a fault in native code: suspect extension modules that handlers use; report it otherwise"
_TOLD = "somebody told it to: stop the node by its first process"
_ERROR = "its own lines above say why"


class Pulse(msgspec.Struct, frozen=True):
    """What a worker says of itself once a second."""

    sessions: int
    waiting: int
    """Messages in its queues."""
    memory: int
    """Octets of resident memory."""


def resident_memory() -> int:
    """Octets of memory that this process has now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - once a second
            return int(file.read().split()[1]) * _PAGE
    except OSError:
        return 0


def exit_name(status: int) -> str:
    """A process's status, as people know it."""
    if status < 0:
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"signal {-status}"
    return f"status {status}"


def story(status: int, pulse: Pulse | None, last_words: int) -> str:
    """How a worker ended; `last_words` is the descriptor of the file for its last words."""
    words = os.pread(last_words, _MAX_WORDS, 0).decode("utf-8", "replace")
    parts = [exit_name(status), _where(words), _what(pulse), _advice(status, words)]
    return "; ".join(part for part in parts if part)


def _where(words: str) -> str:
    """The innermost frames, the last one called first."""
    frames = [f"{name} ({file}:{line})" for file, line, name in _FRAME.findall(words)[:_MAX_FRAMES]]
    return f"it was in {', called by '.join(frames)}" if frames else ""


def _what(pulse: Pulse | None) -> str:
    if pulse is None:
        return ""
    sessions, messages = _many(pulse.sessions, "session"), _many(pulse.waiting, "message")
    return f"when last seen it had {sessions}, {messages} in its queues and {pulse.memory / 1e6:,.0f} MB"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("s" if count != 1 else "")


def _advice(status: int, words: str) -> str:
    if status >= 0:
        return _ERROR if status else _TOLD
    return _FAULT if words else _ADVICE.get(-status, "")
