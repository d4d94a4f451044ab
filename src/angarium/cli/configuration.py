"""The configuration that a command works on: found, loaded, and its problems said, file and line first."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from angarium.policy.config import ConfigError, Configuration, LogConfig, Problem
from angarium.policy.load import find_log, find_main_file, load

Config = Annotated[
    Path | None,
    typer.Option(
        "-c",
        "--config",
        help="The configuration: TOML, JSON, Python or Lua; ./angarium.toml or /etc/angarium/angarium.toml "
        "otherwise.",
    ),
]
ConfigArgument = Annotated[
    Path | None, typer.Argument(metavar="CONFIG", help="The configuration: TOML, JSON, Python or Lua.")
]


def find(option: Path | None, argument: Path | None = None) -> Path:
    """The main file that the command line names, or that is found. Exits with 2 where there is none."""
    if option is not None and argument is not None and option != argument:
        raise typer.BadParameter("name the configuration once: as argument or with -c")
    try:
        return argument or option or find_main_file()
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(2) from None


def load_or_exit(path: Path) -> Configuration:
    """Load a configuration; prints every problem and exits with 1 where it cannot be taken."""
    try:
        return load(path)
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(1) from None


def find_log_or_exit(path: Path) -> LogConfig:
    """Where the records are, though the rest of the configuration be broken; exits as `load_or_exit` does."""
    try:
        return find_log(path)
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(1) from None


def complain(problems: Iterable[Problem]) -> None:
    """Print problems on stderr, in the order of the files."""
    for problem in sorted(problems):
        print(problem, file=sys.stderr)
