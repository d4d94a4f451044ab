"""`python packaging/sbom.py FILE`: what is Angarium made of? A CycloneDX 1.5 list of what it installs with.

The packages are those that `angarium` and its extras need, followed through the metadata of what is installed
here; versions and hashes are those of requirements.lock. The same lock gives the same file, octet for octet.
"""

import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
_LOCKED = re.compile(
    r"^([\w.-]+)==([^\s;\\]+)[^\n]*((?:\n +--hash=sha256:[0-9a-f]{64}[^\n]*)+)", re.MULTILINE
)


def _locked() -> dict[str, tuple[str, list[str]]]:
    """Name → version, hashes of its files."""
    text = (ROOT / "requirements.lock").read_text()
    return {
        name: (version, re.findall("sha256:([0-9a-f]{64})", hashes))
        for name, version, hashes in _LOCKED.findall(text)
    }


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _needs(package: str, extras: tuple[str, ...]) -> set[str]:
    """What it needs where this runs."""
    wanted = map(Requirement, distribution(package).requires or ())
    environments = [{"extra": extra} for extra in ("", *extras)]
    return {
        _name(one.name)
        for one in wanted
        if one.marker is None or any(one.marker.evaluate(environment) for environment in environments)
    }


def _graph() -> dict[str, set[str]]:
    """Package → what it needs, from Angarium on."""
    graph: dict[str, set[str]] = {}
    waiting = ["angarium"]
    while waiting:
        name = waiting.pop()
        if name not in graph:
            extras = tuple(distribution(name).metadata.get_all("Provides-Extra") or ())
            graph[name] = _needs(name, extras if name == "angarium" else ())
            waiting += graph[name]
    return graph


def _licence(name: str) -> list[dict[str, object]]:
    metadata = distribution(name).metadata
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    said = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if "License ::" in line
    ]
    return [{"license": {"name": text}} for text in said or metadata.get_all("License") or ()]


def _component(name: str, version: str, hashes: list[str]) -> dict[str, object]:
    """One package. Its hashes are those of all its files on the index, so they stand as properties."""
    return {
        "type": "library",
        "bom-ref": name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}",
        "licenses": _licence(name),
        "properties": [{"name": "sha256", "value": digest} for digest in sorted(hashes)],
    }


def bill() -> dict[str, object]:
    """The whole list. Raises KeyError for a package that the lock does not have."""
    graph, locked = _graph(), _locked()
    version = distribution("angarium").version
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "angarium",
                "name": "angarium",
                "version": version,
                "purl": f"pkg:pypi/angarium@{version}",
                "licenses": _licence("angarium"),
            }
        },
        "components": [_component(name, *locked[name]) for name in sorted(graph.keys() - {"angarium"})],
        "dependencies": [{"ref": name, "dependsOn": sorted(needs)} for name, needs in sorted(graph.items())],
    }


def main() -> None:
    """Write it; a package that is not installed or not locked is said, and nothing is written."""
    target = Path(sys.argv[1])
    try:
        text = json.dumps(bill(), indent=2)
    except (PackageNotFoundError, KeyError) as error:
        sys.exit(f"sbom: {error} is not installed, or not in requirements.lock")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text + "\n")


if __name__ == "__main__":
    main()
