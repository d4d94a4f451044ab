"""`prove`, `diff`, `replay`, `why` and `config why`: what they print, and how they exit."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
import zstandard

from angarium.cli import COMMANDS
from angarium.log.records import encode_record
from angarium.log.segment import make_name
from angarium.policy.load import load
from angarium.policy.relay import decide
from tests.admin.records_made import NOW, ident, of_decision, record
from tests.policy.whole_configurations import context
from tests.tools.program import run

ROOT = Path(__file__).parents[2]
ASKED: dict[str, Any] = {
    "label": "public",
    "local": "127.0.0.1",
    "peer": "198.51.100.7",
    "identity": None,
    "sender": "x.org",
}


@pytest.fixture
def main(tmp_path: Path) -> str:
    """The inbound example, as somebody's own."""
    for path in (ROOT / "examples" / "inbound").glob("*.toml"):
        shutil.copy(path, tmp_path)
    own = tmp_path / "angarium.toml"
    own.write_text(own.read_text().replace("../../run/", ""))
    return str(own)


def edited(main: str, old: str, new: str) -> str:
    """A copy of the configuration whose listener_domains file says something else."""
    folder = Path(main).parent
    other = folder / "other"
    shutil.copytree(folder, other)
    domains = other / "listener_domains.toml"
    assert old in domains.read_text()
    domains.write_text(domains.read_text().replace(old, new))
    return str(other / "angarium.toml")


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def write_log(main: str) -> Path:
    """Records of two sessions, and of a message that is not over."""
    configuration = load(main)
    folder = Path(main).parent / "logs"
    folder.mkdir()
    lines: list[bytes] = []
    for number, recipient in enumerate(("user@example.com", "user@example.net")):
        question = context(configuration, configuration.listeners[0], ASKED, recipient)
        lines += of_decision(configuration, question, decide(configuration, question), number)
    lines.append(encode_record(record("Reception", 9, session_id=ident(9, 6), disposition="queued")))
    octets = zstandard.ZstdCompressor(write_checksum=True).compress(b"\n".join(lines) + b"\n")
    segment = folder / make_name(NOW, 0, "")
    segment.write_bytes(octets)
    segment.chmod(0o440)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_a_configuration(name: str) -> None:
    """`-c CONFIG` can be said to every command, and means nothing else anywhere."""
    app = typer.Typer()
    app.command(name)(getattr(import_module(f"angarium.cli.{name}"), name))
    (config,) = [param for param in typer.main.get_command(app).params if "-c" in param.opts]
    assert "--config" in config.opts


def test_prove_says_no_to_an_open_relay(main: str) -> None:
    """A closed configuration exits with 0; one that is an open relay with 1, and the line is named."""
    done = run("prove", "-c", main, "--json")
    assert done.returncode == 0
    assert not answer(done)["open_relay"]
    other = edited(main, '["example.com"]', '["*"]\nrelay_to = true\n["example.com"]')
    done = run("prove", other)
    assert done.returncode == 1
    assert "OPEN" in done.stdout
    (offence,) = answer(run("prove", other, "--json"))["offences"]
    assert offence["rules"][0]["line"] == 3


def test_the_last_line_of_a_proof_says_what_it_does_not_cover(main: str) -> None:
    """A relay that is open on purpose, and one where a handler decides, are not said to be closed."""
    closed = "no outsider may relay to a domain that nobody named"
    lab = edited(main, '["example.com"]', '["*"]\nrelay_to = true\nallow = "a lab"\n["example.com"]')
    done = run("prove", lab)
    assert done.returncode == 0
    assert closed not in done.stdout
    assert "only where the files accept that" in done.stdout
    policy = Path(main).with_name("policy.py")
    policy.write_text(
        'from angarium import Policy\npolicy = Policy.load("angarium.toml")\n'
        "@policy.on\ndef get_listener_domain(domain, listener, conn_meta):\n    return None\n"
    )
    assert f"{closed}, unless the handler lets them" in " ".join(run("prove", str(policy)).stdout.split())


OPEN_BY_CODE = """\
from angarium import ListenerDomain, Policy
policy = Policy.load("angarium.toml")
@policy.on
def get_listener_domain(domain, listener, conn_meta):
    return {}
"""


@pytest.mark.parametrize(
    ("opens", "right"),
    [
        ("ListenerDomain(relay_to=True)", "relay_to"),
        ("ListenerDomain(relay_to=domain.endswith('.com'))", "relay_to"),
        ("ListenerDomain(relay_from=['0.0.0.0/0'])", "relay_from"),
        ("ListenerDomain(relay_from=['128.0.0.0/1']) if domain == 'example.com' else None", "relay_from"),
    ],
)
def test_prove_tries_handlers_with_strangers(main: str, opens: str, right: str) -> None:
    """A handler that lets strangers relay makes an open relay, and its line is named."""
    policy = Path(main).with_name("policy.py")
    policy.write_text(OPEN_BY_CODE.format(opens))
    done = run("prove", str(policy), "--json")
    assert done.returncode == 1
    proof = answer(done)
    assert proof["open_relay"]
    (offence,) = proof["offences"]
    assert (offence["right"], offence["rules"][0]["handler"]) == (right, "get_listener_domain")
    assert offence["rules"][0]["line"] == 3
    told = " ".join(run("prove", str(policy)).stdout.split())
    assert "policy.py:3: get_listener_domain lets strangers relay mail" in told
    untried = run("prove", str(policy), "--no-handlers")
    assert untried.returncode == 0
    assert "unless the handler lets them: it was not asked" in " ".join(untried.stdout.split())


@pytest.mark.parametrize(
    ("body", "failed"), [("1 / 0", 3), ("ListenerDomain(relay_to=domain == 'mine.example')", 0)]
)
def test_prove_with_handlers_that_let_no_stranger_in(main: str, body: str, failed: int) -> None:
    """One that names its own domains, or fails (which lets nobody in), opens nothing."""
    policy = Path(main).with_name("policy.py")
    policy.write_text(OPEN_BY_CODE.format(body))
    done = run("prove", str(policy), "--json")
    proof = json.loads(done.stdout)
    assert (done.returncode, proof["offences"], len(proof["failed_handlers"])) == (0, [], failed)
    assert proof["strangers"] >= 3
    told = " ".join(run("prove", str(policy)).stdout.split())
    assert ("unless the handler lets them: it failed" in told) == bool(failed)
    assert ("ZeroDivisionError: division by zero: strangers could not try it" in told) == bool(failed)


def test_replay_that_compares_nothing_does_not_pass(main: str) -> None:
    """Where no record could be compared, nothing is known: exit code 2, and a line that says so."""
    folder = Path(main).with_name("logs")
    folder.mkdir()
    done = run("replay", "--against", main, folder)
    assert done.returncode == 2
    assert "nothing could be compared" in done.stderr


def test_diff_says_what_changes(main: str) -> None:
    """The same configuration exits with 0, another answer with 1; --json has the rows."""
    assert run("diff", main, main).returncode == 0
    other = edited(main, '["example.com"]\nrelay_to = true', '["example.com"]\nrelay_to = false')
    done = run("diff", main, other, "--json")
    assert done.returncode == 1
    changes = answer(done)["changes"]
    assert {change["after"]["answer"] for change in changes if change["recipients"] == ["example.com"]} >= {
        "refuse"
    }
    assert answer(run("diff", other, "-c", main, "--json"))["changes"] == changes


def test_replay_says_what_would_change(main: str) -> None:
    """Against itself nothing changes; against another configuration the group and its count are told."""
    folder = str(write_log(main))
    done = run("replay", "--against", main, folder, "--json")
    assert done.returncode == 0
    assert answer(done)["changed"] == 0
    other = edited(main, '["example.com"]\nrelay_to = true', '["example.com"]\nrelay_to = false')
    done = run("replay", "--against", other, "-c", main, "--json")
    assert done.returncode == 1
    (change,) = answer(done)["changes"]
    assert (change["before"], change["after"], change["count"]) == ("queued", "refused at RCPT", 1)


def test_why_tells_a_life_and_what_it_cannot_know(main: str) -> None:
    """A message without an end is said to be unknown where no server runs; an unknown id exits with 1."""
    folder = write_log(main)
    done = run("why", ident(9), "-c", main, "--json")
    assert done.returncode == 0
    (life,) = answer(done)["lives"]
    assert "still queued" in life["unknown"]
    assert [path.suffix for path in folder.iterdir()].count(".index") == 1
    assert run("why", ident(0, 6), "-c", main).stdout.count("accepted from 198.51.100.7") == 1
    assert run("why", "f" * 32, "-c", main).returncode == 1


def test_config_why_names_the_winning_line(main: str) -> None:
    """Layers are told with the one that wins; what is no listener, domain or option exits with 2."""
    done = run("config", "why", "example.com", "log_arf", "--listener", "office", "-c", main, "--json")
    assert done.returncode == 0
    ((origin,),) = (origins for origins in answer(done).values() if origins)
    (layer,) = origin["layers"]
    assert (layer["outcome"], layer["source"]["line"]) == ("wins", 23)
    assert run("config", "why", "not a name", "-c", main).returncode == 2
    assert run("config", "why", "public", "no_such_option", "-c", main).returncode == 2
    assert run("config", "show", "public", "-c", main).returncode == 2
