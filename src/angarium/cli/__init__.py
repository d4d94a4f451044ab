"""The commands, one file each. `main` imports only the one that is asked for, so that each starts quickly."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "run": "serve a configuration until told to stop",
    "check": "load everything and print every problem",
    "explain": "say what the server would decide, check by check",
    "prove": "say who may relay where, and find open relays",
    "diff": "say which answers differ between two configurations",
    "replay": "ask a candidate configuration about real sessions of the past",
    "why": "tell the life of a message or session from the records",
    "config": "say where an effective option comes from",
    "queue": "say what waits and why, and change it on the running server",
    "logs": "print records as JSON lines",
    "report": "read bounces and feedback reports as the server would",
    "classify": "say which bounce class a reply has, and by which rule",
    "passwd": "make an identity for users.toml",
    "sink": "receive mail, and refuse, delay or hang by rules",
    "bench": "send mail as fast as a server takes it, or at a rate",
    "migrate": "turn a policy in Lua into TOML and Python",
}
"""Name → what it does. The function of that name stands in the module of that name."""


def main() -> None:
    """The program `angarium`. Exits 0 for yes, 1 for no, 2 for wrong use."""
    import typer  # noqa: PLC0415 - after the table, so that `import angarium.cli` costs nothing

    app = typer.Typer(
        name="angarium",
        help="A programmable mail transfer agent whose decisions can be explained, proved and tested.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for name in [asked] if asked in COMMANDS else COMMANDS:
        app.command(name, short_help=COMMANDS[name])(getattr(import_module(f"angarium.cli.{name}"), name))
    app()
