"""What `make audit` says: sound, faulty, or not looked up, and never one for another."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "audit.py"


@pytest.fixture(scope="module")
def verdict():
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.verdict


SOUND = {"name": "a", "version": "1", "vulns": []}
FAULTY = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([SOUND], 0, "audit: 1 packages looked up, 0 with known faults"),
        ([SOUND, FAULTY], 1, "b 2: PYSEC-1, mended in 3"),
        ([SOUND, UNKNOWN], 2, "audit: could not reach the advisory data of 1 of 2 packages"),
        ([FAULTY, UNKNOWN], 1, "could not reach the advisory data of 1 of 2"),
        ([], 2, "0 packages"),
    ],
)
def test_verdicts(verdict, capsys, packages, code, said):
    """Only a list that was looked up as a whole and has no fault is sound."""
    assert verdict(packages) == code
    assert said in capsys.readouterr().out


def test_without_advisory_data(tmp_path):
    """Where the audit cannot even begin, it says so and fails."""
    (tmp_path / "pip_audit.py").write_text("raise SystemExit('no route to host')\n")
    command = [sys.executable, str(SCRIPT), "requirements.lock"]
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PYTHONPATH": str(tmp_path)}, check=False
    )
    assert (done.returncode, done.stdout) == (
        2,
        "audit: could not reach the advisory data: no route to host\n",
    )
