"""The look-up equals a slow and obvious transcription of contract sections 2.1 and 2.2."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.policy.listener_files import load, lookup

LABELS = ["a", "b", "com"]
NAMES = [f"{x}.{y}" for x in LABELS for y in LABELS] + ["a.b.com", "b.b.com", "a.a.b.com", "com", "a.a.a.com"]
LITERAL = "[10.0.0.1]"
KEYS = ["*", LITERAL, *NAMES, *(f"*.{name}" for name in [*NAMES, "com", "b"])]
OPTIONS = ["relay_to", "log_oob", "log_arf"]

entries = st.dictionaries(
    st.sampled_from(KEYS), st.dictionaries(st.sampled_from(OPTIONS), st.booleans()), max_size=5
)
Level = dict[str, dict[str, bool]]


def slow_find(level: Level, name: str) -> tuple[str, dict[str, bool]] | None:
    if name in level:
        return "exact", level[name]
    if name.startswith("["):
        return None
    wildcards = [key for key in level if key.startswith("*.") and name.endswith(key[1:])]
    if wildcards:
        return "wildcard", level[max(wildcards, key=len)]
    return ("default", level["*"]) if "*" in level else None


def slow_lookup(everywhere: Level, section: Level, name: str) -> dict[str, bool] | None:
    found, laid = slow_find(everywhere, name), slow_find(section, name)
    if found is None and laid is None:
        return None
    answer = dict(found[1]) if found else {}
    if laid is None:
        return answer
    for option, value in laid[1].items():
        if laid[0] == "default" and found and found[0] in ("exact", "wildcard"):
            continue
        if laid[0] == "wildcard" and found and found[0] == "exact" and value:
            continue
        answer[option] = value
    return answer


def written(level: Level, prefix: str = "") -> str:
    lines = []
    for key, values in level.items():
        lines.append(f'[{prefix}"{key}"]')
        lines += [f"{option} = {str(value).lower()}" for option, value in values.items()]
    return "\n".join(lines) + "\n"


def plain(value: Any) -> bool:
    return value if isinstance(value, bool) else bool(value.logs)


@given(entries, entries, st.sampled_from([*NAMES, LITERAL, "[10.0.0.2]", "x.com", "x.a.b.com", "org"]))
def test_lookup_equals_the_slow_one(everywhere: Level, section: Level, name: str) -> None:
    """Whatever the files say, every name gets the answer that the contract's words give it."""
    loaded, problems = load(written(everywhere) + written(section, "listener.in."))
    assert problems == []
    entry = lookup(loaded, name)
    answer = None
    if entry is not None:
        answer = {option: plain(s.value) for option in OPTIONS if (s := getattr(entry, option)) is not None}
    assert answer == slow_lookup(everywhere, section, name)


@given(entries, entries, st.sampled_from([*NAMES, "x.com"]))
def test_files_merge_option_by_option(first: Level, second: Level, name: str) -> None:
    """Two files are one whose entries hold the options of both, the later file's where both have one."""
    loaded, problems = load(written(first), written(second))
    assert problems == []
    merged = {key: {**first.get(key, {}), **second.get(key, {})} for key in first | second}
    entry = lookup(loaded, name)
    answer = None
    if entry is not None:
        answer = {option: plain(s.value) for option in OPTIONS if (s := getattr(entry, option)) is not None}
    assert answer == slow_lookup(merged, {}, name)
