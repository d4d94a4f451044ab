"""By which rules are replies classified? The `[classifier]` table, and the rule files that it names.

`"providers"`, `"community"` and `"iana"` stand for the files that come with Angarium; every other name is a
file of the operator's. Promises that each problem of a rule file is one of the configuration, with its line.
Equal files give the same classifier again, since compiling takes longer than everything else here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from angarium.policy import values
from angarium.policy.config import ConfigError, Problem, Source
from angarium.policy.source import read_octets, shown_path
from angarium.policy.tables import Reader, Schema
from angarium.policy.values import whole_number
from angarium.reports.classify import CACHE_SIZE, Classifier
from angarium.reports.rule_file import RuleError
from angarium.reports.rules import SHIPPED, read_rules

_COME_WITH_US = {name.removesuffix(".toml"): name for name in SHIPPED}
DEFAULT_FILES = tuple(_COME_WITH_US)
"""What is asked where no files are named: exact phrases first, then words, then numbers."""
_NEEDS_NONE = "has no effect here, where one pass over all rules takes microseconds"

CLASSIFIER_SCHEMA = Schema(
    {
        "files": values.list_of(values.text),
        "cache_size": whole_number(1),
        "uncategorized_cache_size": whole_number(1),
    },
    ignored=dict.fromkeys(("back_pressure", "pool_size"), _NEEDS_NONE),
)


def read_classifier(reader: Reader, options: Mapping[str, Any]) -> Classifier:
    """Make the classifier of the table's options, noting what is wrong; without rules where a file is."""
    texts = []
    for index, name in enumerate(options.get("files", DEFAULT_FILES)):
        try:
            texts.append(_text(reader, name, reader.document.source("classifier", "files", index)))
        except ConfigError as error:
            reader.problems += error.problems
    sizes = {
        "cache_size": options.get("cache_size", CACHE_SIZE),
        "uncategorized_cache_size": options.get("uncategorized_cache_size", CACHE_SIZE),
    }
    try:
        classifier = _compiled(tuple(texts), **sizes)
    except RuleError as error:
        reader.problems.append(Problem(Source(error.file, error.line or 1), error.text))
        return _compiled(())
    reader.problems += [
        Problem(Source(one.file, one.line or 1), one.text, is_error=False) for one in classifier.warnings
    ]
    return classifier


@lru_cache(maxsize=4)
def _compiled(texts: tuple[tuple[str, str], ...], **sizes: int) -> Classifier:
    return Classifier.load(texts, **sizes)


def _text(reader: Reader, name: str, named_at: Source) -> tuple[str, str]:
    """A rule file as it is shown, and its text; raises ConfigError."""
    if name in _COME_WITH_US:
        return _COME_WITH_US[name], read_rules(_COME_WITH_US[name])
    path = reader.document.path.parent / name
    reader.attached[path.absolute()] = b""
    octets = read_octets(path, named_at)
    reader.attached[path.absolute()] = hashlib.sha256(octets).digest()
    return shown_path(path), _decoded(octets, path)


def _decoded(octets: bytes, path: Path) -> str:
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        problem = Problem(Source(shown_path(path), line), "not UTF-8: save the file as UTF-8")
        raise ConfigError([problem]) from None
