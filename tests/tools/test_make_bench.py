"""`python -m bench.compare`: the floor can be measured anywhere, and wrong use is explained."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench.compare", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


@pytest.mark.parametrize("arguments", [("--only", "nonsense"), ("--sink", "drain"), ("--rounds", "0")])
def test_wrong_use_is_explained(arguments: tuple[str, ...]):
    """Arguments that mean nothing end with status 2 before anything starts."""
    done = bench(*arguments)
    assert done.returncode == 2
    assert "Invalid value" in done.stderr


def test_a_folder_in_memory_is_refused(tmp_path: Path):
    """Where nothing is durable, nothing is measured."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("this machine has no /dev/shm")
    done = bench("--only", "floor,2k", "--seconds", "0.1", "--patience", "0", "--dir", str(memory))
    assert done.returncode == 1
    assert "in memory" in done.stderr


def test_the_floor_is_measured(tmp_path: Path):
    """Our own client and next hop give rates and CPU, as a table and as JSON, and leave nothing behind."""
    ends = ("--client", "angarium", "--rounds", "2", "--seconds", "0.1", "--patience", "0")
    queues = tmp_path / "queues"
    queues.mkdir()
    done = bench("--only", "floor,2k", *ends, "--dir", str(queues), "--json", str(tmp_path / "result.json"))
    if "in memory" in done.stderr:
        pytest.skip("the temporary folder of this machine is in memory")
    assert done.returncode == 0, done.stderr
    assert "floor, 2 KB" in done.stdout
    (result,) = json.loads((tmp_path / "result.json").read_text())["results"]
    assert result["rate"] > 0
    assert 0 < result["client"] + result["sink"] <= result["cpu"] * 1.01 + 1
    assert len(result["rounds"]) == 2
    assert list(queues.iterdir()) == []
