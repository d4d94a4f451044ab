"""`angarium run`: serve."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from angarium.cli.configuration import Config, ConfigArgument, complain, find, load_or_exit
from angarium.log.diagnostic import set_up
from angarium.log.writer import LogError
from angarium.net.accept import BindError
from angarium.net.tls import TlsError
from angarium.spool.errors import SpoolError
from angarium.supervisor import StartError, serve


def run(
    argument: ConfigArgument = None,
    config: Config = None,
    *,
    allow_open_relay: Annotated[bool, typer.Option(help="Serve even if anyone may relay anywhere.")] = False,
) -> None:
    """Serve a configuration until SIGTERM or SIGINT; SIGHUP and changed files reload it.

    Example: angarium run /etc/angarium/angarium.toml
    """
    set_up()
    path = find(config, argument)
    configuration = load_or_exit(path)
    complain(configuration.problems)
    try:
        serve(configuration, path, allow_open_relay=allow_open_relay)
    except (StartError, BindError, SpoolError, LogError, TlsError) as error:
        print(f"angarium: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
