"""`python packaging/audit.py requirements.lock`: does a dependency have a known fault? (Needs pip-audit.)

Exits with 0 if every locked package was looked up and none has a fault, 1 if one has, and 2 if the advisory
data could not be reached for any of them: what was not looked up is not sound.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PIP_AUDIT = (
    "-m",
    "pip_audit",
    "--require-hashes",
    "--disable-pip",
    "--progress-spinner",
    "off",
    "-f",
    "json",
)


def main() -> int:
    """Ask, and say what was found."""
    command = [sys.executable, *PIP_AUDIT, "-r", sys.argv[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = done.stderr.strip().splitlines()[-1:] or ["pip-audit said nothing"]
        print(f"audit: could not reach the advisory data: {why[0]}")
        return 2
    return verdict(packages)


def verdict(packages: list[dict[str, Any]]) -> int:
    """Print what pip-audit found; returns the exit code."""
    unknown = [one for one in packages if "skip_reason" in one]
    faulty = [one for one in packages if one.get("vulns")]
    for one in faulty:
        for fault in one["vulns"]:
            mended = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{one['name']} {one['version']}: {fault['id']}, mended in {mended}")
    for one in unknown:
        print(f"{one['name']}: {one['skip_reason']}")
    if unknown:
        print(f"audit: could not reach the advisory data of {len(unknown)} of {len(packages)} packages")
    else:
        print(f"audit: {len(packages)} packages looked up, {len(faulty)} with known faults")
    return 1 if faulty else 2 if unknown or not packages else 0


if __name__ == "__main__":
    sys.exit(main())
