"""`[classifier]`, `[trace]` and the options that ask for signatures: what is read, what is wrong where."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from angarium.policy.config import ConfigError, Configuration
from angarium.policy.load import load
from angarium.policy.reload import load_beside

MAIN = 'postmaster = "a@example.com"\n[[listener]]\n'
SECRET = base64.b64encode(b"s" * 32).decode()
KEYS = "[trace]\nkeys = 'trace.keys'\n"


def loaded(folder: Path, main: str, **files: str) -> Configuration:
    for name, text in files.items():
        path = folder / (name.replace("_", ".", 1))
        path.write_text(text)
        path.chmod(0o600)
    (folder / "angarium.toml").write_text(main)
    return load(folder / "angarium.toml")


def problems(folder: Path, main: str, **files: str) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(folder, main, **files)
    return str(error.value).replace(f"{folder}/", "")


def test_shipped_rules_hold_where_nothing_is_said(tmp_path: Path) -> None:
    """Without `[classifier]` replies are classified by the rules that come with Angarium."""
    verdict = loaded(tmp_path, MAIN).classifier.classify("550 5.1.1 No such user")
    assert verdict.bounce_class == "InvalidRecipient"


def test_own_rules_come_where_they_are_named(tmp_path: Path) -> None:
    """`files` is the whole list, in order; `community` and `iana` are the shipped ones."""
    main = MAIN + "[classifier]\nfiles = ['own.toml', 'iana']\n"
    configuration = loaded(tmp_path, main, own_toml="[rules]\nMine = ['5.1.1']\n")
    classifier = configuration.classifier
    assert classifier.classify("550 5.1.1 No such user").bounce_class == "Mine"
    assert classifier.classify("550 no such user").bounce_class == "Uncategorized"
    assert classifier.classify("552 5.2.2 full").bounce_class == "QuotaIssues"
    assert (tmp_path / "own.toml").absolute() in configuration.files


def test_a_changed_rule_file_changes_the_configuration(tmp_path: Path) -> None:
    """The hash depends on rule files and keys, so that a change of them is taken."""
    main = MAIN + "[classifier]\nfiles = ['own.toml']\n" + KEYS
    one = loaded(tmp_path, main, own_toml="[rules]\nA = ['x']\n", trace_keys=f"k1 {SECRET}\n")
    two = loaded(tmp_path, main, own_toml="[rules]\nB = ['x']\n", trace_keys=f"k1 {SECRET}\n")
    three = loaded(tmp_path, main, own_toml="[rules]\nB = ['x']\n", trace_keys=f"k2 {SECRET}\n")
    assert len({one.hash, two.hash, three.hash}) == 3
    assert two.classifier is three.classifier


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ("[rules]\nA = ['(']\n", "own.toml:2: not an RE2 pattern: missing )"),
        ("[rules]\nA = \n", "own.toml:2: not valid"),
        ("# mine\n[rule]\n", "own.toml:2: no table of a rule file: `rule`"),
    ],
)
def test_problems_of_rules_have_file_and_line(tmp_path: Path, rules: str, problem: str) -> None:
    """A broken rule file is a broken configuration, and says where."""
    main = MAIN + "[classifier]\nfiles = ['own.toml']\n"
    assert problem in problems(tmp_path, main, own_toml=rules)


def test_a_missing_rule_file(tmp_path: Path) -> None:
    """A file that is not there is a problem of the line that names it; it is watched all the same."""
    with pytest.raises(ConfigError, match=r"angarium.toml:4: cannot read .*own.toml") as error:
        loaded(tmp_path, MAIN + "[classifier]\nfiles = ['own.toml']\n")
    assert (tmp_path / "own.toml").absolute() in error.value.files


def test_options_of_the_reference_that_need_no_tuning(tmp_path: Path) -> None:
    """`pool_size` and `back_pressure` are taken with a note."""
    configuration = loaded(tmp_path, MAIN + "[classifier]\npool_size = 4\ncache_size = 5\n")
    assert "pool_size has no effect" in str(configuration.problems[0])


def test_keys_are_read(tmp_path: Path) -> None:
    """The first key of the file signs; all of them are there."""
    configuration = loaded(tmp_path, MAIN + KEYS, trace_keys=f"k2 {SECRET}\nk1 {SECRET}\n")
    assert list(configuration.trace_keys) == ["k2", "k1"]
    assert configuration.problems == ()


def test_keys_that_everybody_reads_are_noted(tmp_path: Path) -> None:
    """A key file is a secret."""
    loaded(tmp_path, MAIN + KEYS, trace_keys=f"k1 {SECRET}\n")
    (tmp_path / "trace.keys").chmod(0o644)
    assert "can be read by every user" in str(load(tmp_path / "angarium.toml").problems[0])


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("", "angarium.toml:4: trace.keys holds no key"),
        ("# k\nk1 c2hvcnQ=\n", "trace.keys:2: the secret of key 'k1' is shorter than 16 octets"),
    ],
)
def test_problems_of_keys_have_file_and_line(tmp_path: Path, keys: str, problem: str) -> None:
    """A key file that cannot be used is named with its line, without a secret."""
    said = problems(tmp_path, MAIN + KEYS, trace_keys=keys)
    assert problem in said
    assert "c2hvcnQ" not in said


@pytest.mark.parametrize(
    ("main", "queues", "line"),
    [
        (MAIN + "trace_headers = {supplemental_header = true}\n", "", "angarium.toml:3"),
        (
            MAIN + "[listener.peer.'10.0.0.1']\ntrace_headers = {supplemental_header = true}\n",
            "",
            "angarium.toml:4",
        ),
        (MAIN, "[queue.default]\nsupplemental_trace = true\n", "queues.toml:2"),
        (MAIN, "[queue.'a.example']\n\nverp = 'b.example'\n", "queues.toml:3"),
        (MAIN, "[tenant.'t']\nverp = 'b.example'\n", "queues.toml:2"),
        (MAIN, "[queue.'a.example'.'t'.'c']\nverp = 'b.example'\n", "queues.toml:2"),
    ],
)
def test_nothing_is_signed_without_a_key(tmp_path: Path, main: str, queues: str, line: str) -> None:
    """Each option that asks for a signature is a problem without a key, and none with one."""
    main += "[policy]\nqueues = ['queues.toml']\n"
    assert f"{line}: nothing can be signed without a key" in problems(tmp_path, main, queues_toml=queues)
    loaded(tmp_path, main + KEYS, trace_keys=f"k1 {SECRET}\n")


def test_bounces_must_come_somewhere(tmp_path: Path) -> None:
    """A domain of signed reverse-paths whose bounces would be refused is noted."""
    main = MAIN + "[policy]\nqueues = ['queues.toml']\nlistener_domains = ['domains.toml']\n" + KEYS
    files = {"queues_toml": "[queue.default]\nverp = 'b.example'\n", "trace_keys": f"k1 {SECRET}\n"}
    [problem] = loaded(tmp_path, main, domains_toml="", **files).problems
    assert "queues.toml:2: warning: verp: bounces to b.example are refused" in str(problem)
    assert loaded(tmp_path, main, domains_toml="['b.example']\nlog_oob = true\n", **files).problems == ()


def test_a_reload_brings_rules_and_keys(tmp_path: Path) -> None:
    """What is loaded beside the server has classifier, keys and queue options."""
    main = MAIN + "[policy]\nqueues = ['queues.toml']\n[classifier]\nfiles = ['own.toml']\n" + KEYS
    files = {
        "own_toml": "[rules]\nMine = ['x']\n",
        "queues_toml": "[queue.default]\nverp = 'b.example'\nsupplemental_trace = true\n",
        "trace_keys": f"k1 {SECRET}\n",
    }
    loaded(tmp_path, main, **files)
    configuration = asyncio.run(load_beside(tmp_path / "angarium.toml")).configuration
    assert configuration.classifier.classify("550 x").bounce_class == "Mine"
    assert list(configuration.trace_keys) == ["k1"]
    config = configuration.queues.lookup("a.example")
    assert (config.verp, config.supplemental_trace) == ("b.example", True)
