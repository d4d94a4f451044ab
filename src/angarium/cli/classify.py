"""`angarium classify`: what does this reply mean, and which rule says so?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from angarium.cli.configuration import complain
from angarium.cli.report import printable
from angarium.policy.config import ConfigError
from angarium.policy.load import load
from angarium.reports.classify import Classifier, Verdict
from angarium.reports.rule_file import RuleError
from angarium.reports.rules import shipped


def classify(
    text: Annotated[
        str, typer.Argument(help='The reply, as it would stand in a log: "550 5.1.1 No such user".')
    ],
    rules: Annotated[
        list[Path] | None,
        typer.Option("--rules", help="A rule file to ask before the others; repeatable."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("-c", "--config", help="Ask the rules of this configuration, not the shipped ones."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The bounce class of a reply, with the rule, file and line that decided.

    Example: angarium classify "552 5.2.2 Mailbox full"
    """
    verdict = _own(rules or []).classify(text)
    if verdict.rule is None:
        verdict = _others(config).classify(text)
    print(_as_json(verdict) if json else _as_text(verdict))
    raise typer.Exit(0 if verdict.rule else 1)


def _own(paths: list[Path]) -> Classifier:
    """The rules of the command line."""
    try:
        classifier = Classifier.load([(str(path), path.read_text("utf-8")) for path in paths])
    except (OSError, RuleError, UnicodeDecodeError) as error:
        typer.echo(f"angarium classify: {error}", err=True)
        raise typer.Exit(2) from error
    for one in classifier.warnings:
        typer.echo(f"{one.file}:{one.line}: warning: {one.text}", err=True)
    return classifier


def _others(config: Path | None) -> Classifier:
    """The rules of a configuration, else those that come with Angarium."""
    if config is None:
        return Classifier.load(shipped())
    try:
        return load(config).classifier
    except ConfigError as error:
        complain(error.problems)
        raise typer.Exit(2) from None


def _as_json(verdict: Verdict) -> str:
    rule = verdict.rule
    row = {
        "class": verdict.bounce_class,
        "dead_address": verdict.dead_address,
        "rule": rule.pattern if rule else None,
        "file": rule.file if rule else None,
        "line": rule.line if rule else None,
    }
    return msgspec.json.encode(row).decode()


def _as_text(verdict: Verdict) -> str:
    if verdict.rule is None:
        return f"{verdict.bounce_class}: no rule matches"
    rule = verdict.rule
    lines = (
        verdict.bounce_class,
        f"  dead address: {verdict.dead_address}",
        f"  {rule.file}:{rule.line}: {rule.pattern}",
    )
    return "\n".join(map(printable, lines))
