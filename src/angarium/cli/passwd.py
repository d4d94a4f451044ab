"""`angarium passwd`: an identity for users.toml, with a verifier in place of its password."""

from __future__ import annotations

import getpass
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from angarium.cli.arguments import UnreadConfig
from angarium.policy.config import ConfigError
from angarium.policy.source import read_document
from angarium.policy.users import load_users, prepared_name
from angarium.wire.sasl import SCRAM_ITERATIONS, ScramKeys

SALT_OCTETS = 16
MAX_ITERATIONS = 200_000
"""More would let every wrong password cost the server more than a tenth of a second."""


def passwd(
    name: Annotated[str, typer.Argument(help="Who logs in, as the client will write it.")],
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write the line into this file.")] = None,
    *,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read the password from standard input.")] = False,
    iterations: Annotated[
        int, typer.Option(help="How much work a guess costs.", min=SCRAM_ITERATIONS, max=MAX_ITERATIONS)
    ] = 10_000,
    config: UnreadConfig = None,
) -> None:
    """Ask for a password and print the line for users.toml, or write it there (mode 0600).

    Example: angarium passwd anna@example.com --file /etc/angarium/users.toml
    """
    if not prepared_name(name):
        raise typer.BadParameter(f"{name!r} is not a name that can log in")
    try:
        keys = ScramKeys.derive(
            _password(name, from_stdin=stdin), secrets.token_bytes(SALT_OCTETS), iterations
        )
    except ValueError as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    line = f'{_quoted(name)} = "{keys}"\n'
    if file is None:
        print(line, end="")
        return
    try:
        _write(file, name, line)
    except (ConfigError, OSError) as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(f"{name} is in {file}", file=sys.stderr)


def _password(name: str, *, from_stdin: bool) -> str:
    """The password, which has at least one character; raises ValueError."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass(f"Password for {name}: ")
        if getpass.getpass("Once more: ") != password:
            raise ValueError("the passwords differ: nothing was written")
    if not password:
        raise ValueError("an empty password lets everybody in: nothing was written")
    return password


def _quoted(name: str) -> str:
    """A name as a TOML key (a basic string)."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write(path: Path, name: str, line: str) -> None:
    """Put the line into the file, in place of the one for the same name. Raises ConfigError, OSError."""
    content = ""
    if path.exists():
        _, problems = load_users([read_document(path)])
        if problems:
            raise ConfigError(problems)
        content = path.read_text(encoding="utf-8")
    mark = re.compile(rf"^[ \t]*(?:{re.escape(_quoted(name))}|{re.escape(name)})[ \t]*=.*\n?", re.MULTILINE)
    if mark.search(content):
        content = mark.sub(lambda _: line, content, count=1)
    else:
        content = f"{content}{'' if content.endswith(chr(10)) or not content else chr(10)}{line}"
    _replace(path, content)


def _replace(path: Path, content: str) -> None:
    """Write the file whole or not at all, readable to its owner alone; a file that exists keeps its owner."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        known = path.stat()
        os.chown(draft, known.st_uid, known.st_gid)
        draft.chmod(known.st_mode & 0o640)
    draft.replace(path)
