"""Peers that need not be installed: packages unpacked into a folder, seen only by the peer itself.

Debian's mail servers exclude each other as packages, so they are downloaded by apt and unpacked below
`build/peers/` (`make bench-peers`). A peer runs in a mount namespace of its own, in which what was unpacked
lies over /usr, and users and groups that the package would have made over /etc: the machine stays as it is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.tools import BenchError

PEERS = Path(__file__).parents[2] / "build" / "peers"
ROOT = PEERS / "debian"

_PACKAGES = ("exim4-daemon-light", "libidn12", "opensmtpd", "libevent-2.1-7")
_HARAKA = "Haraka@3.3.4"
_AIOSMTPD = "aiosmtpd==1.4.6"
_FETCH = "not here (make bench-peers fetches it, without installing anything)"


def missing(program: str) -> str | None:
    """Why a program of Debian's cannot be measured here; None if it can."""
    if not (ROOT / program).exists():
        return _FETCH
    return None if os.geteuid() == 0 else "its own view of /usr and /etc can be made by root only"


def missing_here(path: Path) -> str | None:
    """The same of something that npm or pip unpacked."""
    return None if path.exists() else _FETCH


def inside(folder: Path, users: list[str], commands: list[str]) -> list[str]:
    """The command line that runs `commands` (the last one stays) where packages and users are to be seen."""
    etc = folder / "etc-of-peer"
    etc.mkdir(parents=True, exist_ok=True)
    for name, line in (("passwd", "{0}:x:8:8::/nonexistent:/usr/sbin/nologin\n"), ("group", "{0}:x:8:\n")):
        (etc / name).write_text(Path("/etc", name).read_text() + "".join(line.format(one) for one in users))
    script = [
        "set -e",
        f"mount -t overlay overlay -o lowerdir={ROOT / 'usr'}:/usr /usr",
        f"mount -t overlay overlay -o lowerdir={etc}:/etc /etc",
        *commands[:-1],
        f"exec {commands[-1]}",
    ]
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)]


def version(command: str) -> str:
    """What a program of a package says, all of it."""
    with tempfile.TemporaryDirectory() as folder:
        users = ["Debian-exim", "opensmtpd", "opensmtpq"]
        line = inside(Path(folder), users, [f"sh -c {shlex.quote(command)}"])
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def fetch() -> None:
    """Fetch whatever is missing, by apt, npm and pip."""
    PEERS.mkdir(parents=True, exist_ok=True)
    _fetch_debian()
    if shutil.which("npm"):
        _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(PEERS / "haraka"), _HARAKA)
    else:
        print("Haraka is left out: npm is not installed")
    target = str(PEERS / "aiosmtpd")
    _run(sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", target, _AIOSMTPD)


def _fetch_debian() -> None:
    if not shutil.which("apt-get"):
        print("Exim and OpenSMTPD are left out: this is not Debian")
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)  # apt downloads as a user without rights
        _run("apt-get", "download", "-q", *_PACKAGES, folder=folder)
        for package in sorted(Path(folder).glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), str(ROOT))


def _run(*command: str, folder: str | None = None) -> None:
    print(shlex.join(command))
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise BenchError(f"{command[0]} failed; for Debian's packages, apt-get update may help")


if __name__ == "__main__":
    try:
        fetch()
    except BenchError as error:
        sys.exit(f"bench: {error}")
