"""`python -m bench.traced FILE EARLY LATE run CONFIG`: a server that tells what its objects hold.

Takes the traces of all allocations EARLY and LATE seconds after FILE.go appears, and writes to FILE as JSON
which lines hold more than before. One process only: workers of a crew are not traced.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
import tracemalloc
from pathlib import Path

from angarium.cli import main as angarium

LINES = 12


def watch(path: Path, early: float, late: float) -> None:
    """Wait, look, wait, look, and write the difference."""
    while not path.with_suffix(".go").exists():
        time.sleep(0.1)
    time.sleep(early)
    before = _look()
    time.sleep(late - early)
    after = _look()
    differences = after.compare_to(before, "lineno")[:LINES]
    path.write_text(
        json.dumps(
            {
                "before": sum(trace.size for trace in before.traces),
                "after": sum(trace.size for trace in after.traces),
                "lines": [
                    [one.size_diff, one.count_diff, _where(one.traceback[0])]
                    for one in differences
                    if one.size_diff
                ],
            }
        )
    )


def _look() -> tracemalloc.Snapshot:
    gc.collect()
    return tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__)]
    )


def _where(frame: tracemalloc.Frame) -> str:
    return "/".join(Path(frame.filename).parts[-3:]) + f":{frame.lineno}"


if __name__ == "__main__":
    file, first, second, *sys.argv[1:] = sys.argv[1:]
    tracemalloc.start()
    threading.Thread(target=watch, args=(Path(file), float(first), float(second)), daemon=True).start()
    angarium()
