"""`angarium passwd` makes verifiers that let in who knows the password, and keeps the file to its owner."""

import pytest
import typer
from typer.testing import CliRunner

from angarium.cli.passwd import passwd as command
from angarium.policy.source import read_document
from angarium.policy.users import load_users


def passwd(*arguments, password="secret\n"):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [*arguments, "--stdin"], input=password)


def users_of(path):
    users, problems = load_users([read_document(path)])
    assert problems == []
    return users


@pytest.mark.parametrize("name", ["anna@example.com", "ben", 'a "quoted" \\ name', "jürgen"])
def test_the_line_is_printed(tmp_path, name):
    """Without a file the line is printed, and can be put into one."""
    result = passwd(name)
    assert (result.exit_code, result.stderr) == (0, "")
    path = tmp_path / "users.toml"
    path.write_text(result.stdout)
    keys, known = users_of(path).keys(name)
    assert known
    assert keys.matches("secret")
    assert not keys.matches("Secret")
    assert "secret" not in result.stdout


def test_the_file_is_written(tmp_path):
    """A new file is its owner's alone; a second name is added, a known one replaced, the rest kept."""
    path = tmp_path / "users.toml"
    assert passwd("anna", "--file", str(path)).exit_code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("# our users\n" + path.read_text())
    assert passwd("ben", "--file", str(path)).exit_code == 0
    assert passwd("anna", "--file", str(path), password="other\n").exit_code == 0
    users = users_of(path)
    assert len(users) == 2
    assert users.keys("anna")[0].matches("other")
    assert users.keys("ben")[0].matches("secret")
    assert path.read_text().startswith("# our users\n")
    assert [one.name for one in tmp_path.iterdir()] == ["users.toml"]


def test_a_file_keeps_its_mode(tmp_path):
    """A group that may read the file still may; others never."""
    path = tmp_path / "users.toml"
    path.write_text("")
    path.chmod(0o644)
    passwd("anna", "--file", str(path))
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("arguments", "password", "code", "said"),
    [
        (["anna"], "\n", 1, "an empty password"),
        (["anna"], "\u0007\n", 1, "a character that passwords may not hold"),
        ([""], "x\n", 2, "is not a name"),
        (["anna", "--iterations", "100"], "x\n", 2, "4096"),
    ],
)
def test_what_is_refused(arguments, password, code, said):
    """Nothing is made of an empty password or name, or of too little work."""
    result = passwd(*arguments, password=password)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr


def test_a_broken_file_is_left_alone(tmp_path):
    """A file with problems is not touched, and the problem is told."""
    path = tmp_path / "users.toml"
    path.write_text('ben = "secret"\n')
    result = passwd("anna", "--file", str(path))
    assert result.exit_code == 1
    assert "has no verifier" in result.stderr
    assert path.read_text() == 'ben = "secret"\n'
