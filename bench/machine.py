"""What did it cost? CPU and memory of process trees, time stolen by other machines, and what machine this is.

Reads /proc, so it needs Linux. CPU is user and system time of every process of a tree, children that have
ended included; the kernel's own threads (journal, disk) belong to nobody and count as foreign.
"""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which may hold anything; None if the process is gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _tree(root: int) -> Iterator[tuple[int, list[str]]]:
    """The processes of a tree, root first, with their fields."""
    processes = {int(path.name): _fields(int(path.name)) for path in _PROC.iterdir() if path.name.isdigit()}
    wanted = [root]
    for pid in wanted:
        fields = processes.get(pid)
        if fields is not None:
            yield pid, fields
            wanted += [child for child, of in processes.items() if of is not None and int(of[1]) == pid]


def cpu_of_tree(root: int) -> float:
    """Seconds of CPU that a process, its descendants and their ended children have used."""
    return sum(int(ticks) for _, fields in _tree(root) for ticks in fields[11:15]) / _TICK


def memory_of_tree(root: int) -> int:
    """Octets of memory of a tree, shared pages counted once (proportional set size)."""
    return sum(_proportional(pid) for pid, _ in _tree(root))


def _proportional(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


@dataclass(frozen=True)
class MachineTime:
    """Seconds that the whole machine has spent since it started."""

    total: float
    busy: float
    stolen: float

    @classmethod
    def now(cls) -> MachineTime:
        user, nice, system, idle, iowait, irq, softirq, steal = (
            int(ticks) / _TICK for ticks in (_PROC / "stat").read_text().split()[1:9]
        )
        busy = user + nice + system + irq + softirq
        return cls(busy + idle + iowait + steal, busy, steal)

    def since(self, before: MachineTime) -> MachineTime:
        return MachineTime(self.total - before.total, self.busy - before.busy, self.stolen - before.stolen)


def described() -> dict[str, str]:
    """The machine, for the head of the report."""
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    lines = (_PROC / "cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def file_system(path: Path) -> str:
    """The type of file system under a folder, and its device."""
    wanted = path.resolve()
    best = ("", "unknown")
    for line in (_PROC / "mounts").read_text().splitlines():
        device, mount, kind, *_ = line.split()
        if wanted.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, f"{kind} on {device}")
    return best[1]


def version_of(*command: str) -> str:
    """The first line that a command prints, or "unknown"."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return (done.stdout or done.stderr).partition("\n")[0].strip() or "unknown"
