"""`python -m fuzz.run TARGET [SECONDS | FILE]`: let atheris look for octets that break an invariant.

What breaks one is written to `fuzz/found/`, from where it should become a test; with its FILE it is tried
again. Without atheris it says so and exits with 0, since it is no dependency of anything else. Folders
that a target makes are gone when it has ended or was stopped: another process sees to that, since the fuzzer
runs nothing at its end.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

FOUND = Path(__file__).parent / "found"
SEEDS = Path(__file__).parent / "seeds"
DEFAULT_SECONDS = 60


def has_atheris() -> bool:
    """Whether there is a fuzzer here."""
    return importlib.util.find_spec("atheris") is not None


def main() -> None:
    """Fuzz one target, or try one input again."""
    if len(sys.argv) > 2 and Path(sys.argv[2]).is_file():
        from fuzz.targets import TARGETS  # noqa: PLC0415

        TARGETS[sys.argv[1]](Path(sys.argv[2]).read_bytes())
    elif has_atheris():
        sys.exit(run_in_folder([sys.executable, "-c", "from fuzz.run import fuzz; fuzz()", *sys.argv[1:]]))
    else:
        print("fuzz: atheris is not installed; skipped (make atheris)")


def run_in_folder(command: Sequence[str]) -> int:
    """Run a program whose temporary folders go when it ends, or when it or we are stopped; its exit code."""
    with tempfile.TemporaryDirectory(prefix="angarium-fuzz-") as folder:
        inside = subprocess.Popen(command, env={**os.environ, "TMPDIR": folder})
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: inside.terminate())
        return inside.wait()


def fuzz() -> None:
    """Fuzz one target here, and end the process."""
    import atheris  # noqa: PLC0415

    with atheris.instrument_imports(include=["angarium"]):
        from fuzz.targets import MAX_INPUT, TARGETS  # noqa: PLC0415
    name = sys.argv[1]
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else DEFAULT_SECONDS
    corpus = FOUND / name
    corpus.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_INPUT}",
        f"-artifact_prefix={corpus}/",
        "-rss_limit_mb=2048",
        "-timeout=10",
        "-print_final_stats=1",
    ]
    dictionary = SEEDS / f"{name}.dict"
    options += [f"-dict={dictionary}"] if dictionary.exists() else []
    seeds = SEEDS / name
    atheris.Setup([sys.argv[0], *options, *([str(seeds)] if seeds.is_dir() else [])], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
