"""The trail of a decision: the checks made so far, and who is answerable for what they found."""

from __future__ import annotations

from typing import Any, Literal

from angarium.policy.config import Source
from angarium.policy.decision import Check, DecidedBy, HandlerPlace
from angarium.policy.match import Found, Setting


class Trail:
    """Gathers checks, and names who decided under one configuration."""

    __slots__ = ("checks", "config")

    def __init__(self, config: str) -> None:
        self.checks: list[Check] = []
        self.config = config
        """The hash of the configuration in force."""

    def at(self, rule: str, holds: bool, read: str, concluded: str, place: Setting[Any] | Found) -> None:
        """Note a check that read one option of an entry, or an entry."""
        self.checks.append(
            Check(rule, holds, read, concluded, place.source, place.section, place.key, place.handler)
        )

    def check(
        self,
        rule: str,
        holds: bool,
        read: str,
        concluded: str,
        source: Source | None = None,
        *,
        key: str | None = None,
        handler: str | None = None,
    ) -> None:
        """Note a check that read anything else."""
        self.checks.append(Check(rule, holds, read, concluded, source, None, key, handler))

    def by(self, place: Setting[Any] | Found) -> DecidedBy:
        """The line of an entry, or the handler that answered in its place."""
        file, line, handler = place.source.file, place.source.line, place.handler
        kind: Literal["rule", "handler"] = "rule" if handler is None else "handler"
        return DecidedBy(kind, file, line, place.section, place.key, handler, self.config)

    def code(self, place: HandlerPlace) -> DecidedBy:
        """A handler that decided by itself."""
        file, line = place.source.file, place.source.line
        return DecidedBy("handler", file, line, None, None, place.handler, self.config)

    def rule(self, source: Source | None, key: str) -> DecidedBy:
        """An option outside entries; without a source, its default."""
        if source is None:
            return self.default(key)
        return DecidedBy("rule", source.file, source.line, None, key, None, self.config)

    def default(self, key: str | None = None) -> DecidedBy:
        """What holds where the operator says nothing."""
        return DecidedBy("default", key=key, config=self.config)
