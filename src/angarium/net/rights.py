"""Giving up root: folders that belong to the unprivileged user, and then being that user, for good.

Raises RightsError, whose text says what to do. Where the process is not root, it stays who it is.
"""

from __future__ import annotations

import logging
import os
import pwd
import subprocess
import sys
from pathlib import Path

log = logging.getLogger(__name__)


class RightsError(Exception):
    """The process cannot have, or give up, the rights it should."""


def make_folder(path: Path, user: str | None) -> None:
    """Make a folder where there is none; if root makes it, it becomes the user's. Others stay as they are."""
    try:
        path.mkdir(mode=0o700, parents=True)
        if os.getuid() == 0 and user is not None:
            _hand_over(path, _entry(user))
    except FileExistsError:
        return
    except OSError as error:
        raise RightsError(f"cannot make the folder {path}: {error.strerror or error}") from error


def _hand_over(path: Path, entry: pwd.struct_passwd) -> None:
    """Through a descriptor, so that nobody can put a link in its place meanwhile."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(folder, entry.pw_uid, entry.pw_gid)
    finally:
        os.close(folder)


def become(user: str | None) -> None:
    """Give up root for a user; everything made from here on belongs to them."""
    if os.getuid() != 0:
        return
    if user is None:
        log.warning("running as root, since the configuration names no `user`")
        return
    entry = _entry(user)
    try:
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    except OSError as error:
        raise RightsError(f"cannot become user {user!r}: {error.strerror or error}") from error


def interpreter_trouble(user: str | None) -> str:
    """Why a process of this user could not run this program anew; "" where it could, or nobody can tell.

    Only root can tell: the interpreter is run as that user.
    """
    if os.getuid() != 0 or user is None:
        return ""
    entry = _entry(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    try:
        done = subprocess.run(
            (sys.executable, "-P", "-c", "import angarium"),
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=groups,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
    except OSError as error:
        said = error.strerror or str(error)
    else:
        said = "" if done.returncode == 0 else "it cannot read Angarium"
    remedy = "install both where that user can read them, or change `user`"
    return said and f"user {user!r} cannot run {sys.executable}, as several workers must: {said}: {remedy}"


def has_user(name: str) -> bool:
    """Whether this machine knows the user."""
    try:
        return _entry(name) is not None
    except RightsError:
        return False


def _entry(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise RightsError(f"user {user!r} does not exist: create it, or change `user`") from None
