"""`angarium prove`: who may relay where, with the line that says so."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from angarium.admin.strangers import Asked, ask_strangers
from angarium.cli.answers import as_json, console, counted, show_rows
from angarium.cli.configuration import Config, ConfigArgument, find, load_or_exit
from angarium.policy.config import Configuration, Problem
from angarium.policy.idle import idle
from angarium.policy.prove import Proof, Row, places
from angarium.policy.prove import prove as prove_all


def prove(
    argument: ConfigArgument = None,
    config: Config = None,
    *,
    handlers: Annotated[
        bool,
        typer.Option(
            "--handlers/--no-handlers",
            help="Ask your get_listener_domain about strangers, side effects and all.",
        ),
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say who may relay where, for every peer, identity, sender and recipient there can be.

    Exits with 1 if an outsider may relay to a domain that nobody named. What code decides cannot be looked
    through; strangers who are made up try it. Example: angarium prove -c angarium.toml
    """
    configuration = load_or_exit(find(config, argument))
    proof = prove_all(configuration)
    asked = asyncio.run(ask_strangers(configuration)) if handlers and proof.by_code else Asked()
    proof = msgspec.structs.replace(proof, rows=(*asked.rows, *proof.rows))
    notes = idle(configuration)
    if json:
        print(as_json(_as_data(configuration, proof, notes, asked)))
    else:
        _show(configuration, proof, notes, asked)
    raise typer.Exit(1 if proof.offences else 0)


def _as_data(
    configuration: Configuration, proof: Proof, notes: list[Problem], asked: Asked
) -> dict[str, Any]:
    return {
        "config": configuration.hash,
        "open_relay": bool(proof.offences),
        "decided_by_code": proof.by_code,
        "strangers": asked.sessions,
        "failed_handlers": asked.failures,
        "rows": proof.rows,
        "offences": proof.offences,
        "notes": [{**msgspec.to_builtins(note.source), "text": note.text} for note in notes],
        "cells": proof.cells,
        "questions": proof.classes,
    }


def _show(configuration: Configuration, proof: Proof, notes: list[Problem], asked: Asked) -> None:
    out = console()
    every = list(dict.fromkeys(label for row in proof.rows for label in row.listeners))
    out.print(show_rows(proof.rows, every))
    if proof.by_code:
        out.print("\nThe other rows hold where the handler leaves the answer to the files.", style="magenta")
    for note in notes:
        out.print(f"\n{note.source}: {note.text}", end="", style="yellow")
    out.print()
    for row in proof.rows:
        if row.offends is not None:
            _say(out, row)
    for failure in dict.fromkeys(asked.failures):
        out.print(f"{failure}: strangers could not try it", style="yellow")
    counts = f"{counted(proof.cells, 'cell')}, {counted(proof.classes, 'question')}"
    out.print(f"{configuration.hash}: {_verdict(proof, asked)} ({counts}).", style="bold")


def _verdict(proof: Proof, asked: Asked) -> str:
    """The whole proof in one line, with what it does not cover."""
    if proof.offences:
        return "the relay is OPEN"
    if any(row.accepted is not None for row in proof.rows):
        text = "outsiders may relay to domains that nobody named, only where the files accept that"
    else:
        text = "no outsider may relay to a domain that nobody named"
    if not proof.by_code:
        return text
    tried = f"it let none of {counted(asked.sessions, 'stranger')}" if asked.sessions else "it was not asked"
    if asked.failures:
        tried = "it failed"
    return f"{text}, unless the handler lets them: {tried}"


def _say(out: Any, row: Row) -> None:
    if row.accepted is not None:
        out.print(f"accepted: {places(row.rules)}: {row.offends} (allow: {row.accepted})", style="yellow")
    else:
        out.print(f"OPEN: {places(row.rules)}: {row.offends}", style="bold red")
