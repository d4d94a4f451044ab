"""`angarium migrate`: a policy in Lua as TOML and Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from angarium.cli.arguments import UnreadConfig
from angarium.cli.configuration import complain
from angarium.policy.config import ConfigError, Problem, Source
from angarium.policy.source import shown_path

if TYPE_CHECKING:
    from angarium.lua.migration import Migration


def migrate(
    file: Annotated[Path, typer.Argument(metavar="INIT.LUA", help="The policy in Lua.")],
    folder: Annotated[Path, typer.Argument(metavar="OUTDIR", help="A new folder for the files.")],
    config: UnreadConfig = None,
) -> None:
    """Write the same policy as TOML and Python into a new folder, and say what means something else here.

    Declarations become TOML; handlers become Python to be written, with the Lua text beside it.
    Example: angarium migrate /opt/kumomta/etc/policy/init.lua /etc/angarium
    """
    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty: name a new folder")
    made = _migrated(file)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in made.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
            print(folder / name)
    except OSError as error:
        print(f"angarium: cannot write into {folder}: {os.strerror(error.errno or 0)}", file=sys.stderr)
        raise typer.Exit(1) from None
    complain(made.warnings)
    print(
        f"\nNext: angarium check {folder / made.main}; angarium diff {file} {folder / made.main}",
        file=sys.stderr,
    )


def _migrated(file: Path) -> Migration:
    try:
        from angarium.lua.migration import migrate as turn  # noqa: PLC0415 - an extra that may be missing

        return turn(file)
    except ModuleNotFoundError:
        text = "migrating needs an extra that is not installed: pip install 'angarium[lua]'"
        complain([Problem(Source(shown_path(file), 1), text)])
    except ConfigError as error:
        complain(error.problems)
    raise typer.Exit(1) from None
