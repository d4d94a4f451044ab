"""How fast is the disk? The floor under everything durable: writes that `fdatasync` has confirmed.

Written as a spool would: into a file that exists already in full length, one record a sync, and 32 a sync.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

RECORD = 4096
BATCH = 32
_FILE = 32 * 1024 * 1024


def synced_records(folder: Path, seconds: float) -> dict[str, float]:
    """Records of 4 KiB a second that are safe, one at a time and in batches."""
    path = folder / "disk"
    path.write_bytes(bytes(_FILE))
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.fsync(descriptor)
        return {
            "one record a sync": _rate(descriptor, 1, seconds),
            f"{BATCH} records a sync": _rate(descriptor, BATCH, seconds),
        }
    finally:
        os.close(descriptor)
        path.unlink()


def _rate(descriptor: int, records: int, seconds: float) -> float:
    data = os.urandom(RECORD * records)
    began, syncs = time.perf_counter(), 0
    while (passed := time.perf_counter() - began) < seconds:
        os.pwrite(descriptor, data, syncs * len(data) % _FILE)
        os.fdatasync(descriptor)
        syncs += 1
    return syncs * records / passed
