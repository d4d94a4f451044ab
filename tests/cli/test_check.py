"""`angarium check`, as a program: every problem with its place and advice, and the exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .house import DOMAINS, MAIN, angarium, write


def test_a_configuration_without_problems(tmp_path: Path) -> None:
    """Nothing is said on stdout, nothing is touched, and the exit status is 0."""
    config = write(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    done = angarium("check", config)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.strip() == f"{config}: 0 errors, 0 warnings"
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert angarium("check", "-c", config).returncode == 0


def test_every_problem_at_once(tmp_path: Path) -> None:
    """Problems of all files are printed together, in the order of the files, with line and advice."""
    write(
        tmp_path,
        MAIN.replace("hostname", "hostnane"),
        domains='["e.com"]\nrelay_too = true\n[listener.outside."f.com"]\nlog_oob = true\n',
        queues="[queue.'e.com']\nmax_age = 'long'\n",
    )
    done = angarium("check", "main.toml", cwd=tmp_path)
    assert done.returncode == 1
    places = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    assert places == ["domains.toml:2", "domains.toml:3", "main.toml:2", "queues.toml:2"]
    assert 'did you mean "relay_to"?' in done.stdout
    assert 'no listener is called "outside"' in done.stdout
    assert "did you mean hostname?" in done.stdout


def test_a_user_that_does_not_exist(tmp_path: Path) -> None:
    """A user that this machine does not know is a warning: files are checked on other machines too."""
    config = write(tmp_path, f'user = "nobody-of-this-name"\n{MAIN}')
    done = angarium("check", config)
    assert done.returncode == 0
    assert ":1: warning: user 'nobody-of-this-name' does not exist on this machine" in done.stdout


@pytest.mark.parametrize(
    ("main", "domains", "problem"),
    [
        (MAIN, '["*"]\nrelay_to = true', 'domains.toml:2: open relay: "*"'),
        (MAIN.replace("10.0.0.0/8", "0.0.0.0/1"), DOMAINS, "main.toml:7: open relay: 0.0.0.0/1"),
    ],
)
def test_open_relay(tmp_path: Path, main: str, domains: str, problem: str) -> None:
    """An open relay is an error."""
    write(tmp_path, main, domains=domains)
    done = angarium("check", "main.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(problem)


@pytest.mark.parametrize(
    ("main", "domains", "problem"),
    [
        (MAIN, '["other.example"]\nrelay_to = true', "domains.toml:2: warning: relay_to accepts mail for"),
        (
            MAIN.replace("[policy]", '[listener.peer."2001:db8::/32"]\nbanner = "six"\n[policy]'),
            DOMAINS,
            "main.toml:9: warning: peer 2001:db8::/32 can never match",
        ),
        (
            MAIN.replace('postmaster = "ops@example.com"\n', ""),
            DOMAINS,
            "main.toml:1: warning: mail to postmaster",
        ),
    ],
)
def test_warnings(tmp_path: Path, main: str, domains: str, problem: str) -> None:
    """A domain without a route, and what can never match, are warnings, which count with --strict alone."""
    write(tmp_path, main, domains=domains)
    done = angarium("check", "main.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout.startswith(problem)) == (0, True), done.stdout
    assert angarium("check", "--strict", "main.toml", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize(
    ("listen", "queue", "warned"),
    [
        ("127.0.0.77:6121", "routing_domain = '[127.0.0.77]:6121'", True),
        ("0.0.0.0:6121", "routing_domain = '[127.0.0.1]:6121'", True),
        ("0.0.0.0:6121", "routing_domain = '[127.0.0.1]'\nsmtp_port = 6121", True),
        ("127.0.0.1:25", "routing_domain = '[127.0.0.1]'", True),
        ("127.0.0.1:6121", "routing_domain = '[127.0.0.1]:6122'", False),
        (
            "127.0.0.1:25",
            "routing_domain = '[127.0.0.1]'\nprotocol = {maildir_path = '/m/{local_part}'}",
            False,
        ),
        (
            "127.0.0.1:25",
            "routing_domain = '[127.0.0.1]'\nprotocol = {smtp = {mx_list = ['h.example']}}",
            False,
        ),
        ("0.0.0.0:6121", "routing_domain = '[192.0.2.1]:6121'", False),
        ("0.0.0.0:6121", "routing_domain = 'inside.example:6121'", False),
    ],
)
def test_routes_that_lead_back(tmp_path: Path, listen: str, queue: str, warned: bool) -> None:
    """A route to one of our own listeners, where no mail is delivered, is a warning with its line."""
    write(tmp_path, MAIN.replace("127.0.0.1:0", listen), queues=f"[queue.'example.com']\n{queue}\n")
    done = angarium("check", "main.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert ("queues.toml:2: warning: routing_domain [127" in done.stdout) == warned


def test_json(tmp_path: Path) -> None:
    """--json prints each problem as an object."""
    write(tmp_path, domains='["e.com"]\nrelay_too = true\n')
    done = angarium("check", "--json", "main.toml", cwd=tmp_path)
    (problem,) = json.loads(done.stdout)
    assert (problem["file"], problem["line"], problem["error"]) == ("domains.toml", 2, True)
    assert problem["text"].startswith('unknown option "relay_too"')


def test_wrong_use(tmp_path: Path) -> None:
    """Without a configuration, or with two, the exit status is 2; a file that is not there is a problem."""
    assert angarium("check", cwd=tmp_path).returncode == 2
    assert angarium("check", "a.toml", "-c", "b.toml", cwd=tmp_path).returncode == 2
    done = angarium("check", "a.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "a.toml:1: cannot read a.toml: No such file or directory\n")
