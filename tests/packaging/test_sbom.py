"""The list of what a release is made of says everything that is installed with it, and nothing else."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from itertools import chain
from pathlib import Path

ROOT = Path(__file__).parents[2]


def made(path):
    subprocess.run([sys.executable, str(ROOT / "packaging/sbom.py"), str(path)], check=True)
    return path.read_bytes()


def test_everything_that_runs_is_listed(tmp_path):
    """Direct dependencies, extras, and what they need stand there in the locked version; tools do not."""
    octets = made(tmp_path / "a.json")
    assert octets == made(tmp_path / "b.json")
    bill = json.loads(octets)
    listed = {one["name"]: one for one in bill["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        name, _, wanted = requirement.partition(";")[0].strip().partition("==")
        assert listed[name]["version"] == wanted
    assert "cffi" in listed  # cryptography's
    assert not listed.keys() & {"pytest", "mypy", "ruff", "hypothesis"}
    assert all(one["version"] == version(name) for name, one in listed.items())
    assert all(one["properties"] and one["licenses"] for one in listed.values())
    known = {one["ref"] for one in bill["dependencies"]}
    assert known == listed.keys() | {"angarium"}
