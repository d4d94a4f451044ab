"""`recipients = FILE`: who exists at a domain, and what becomes of mail for everybody else."""

import msgspec
import pytest

from angarium.mail.address import Address
from angarium.policy.config import ConfigError
from angarium.policy.domain_transfer import DomainReceiver, domains_to_chunks
from angarium.policy.load import load, load_with_tables
from angarium.policy.recipients import parse_recipients

MAIN = """\
postmaster = "ops@example.com"
[[listener]]
listen = "127.0.0.1:25"
[policy]
listener_domains = ["domains.toml"]
"""
DOMAINS = '# one\n["example.com"]\nrelay_to = true\nrecipients = "lists/example.txt"\n'


@pytest.fixture
def write(tmp_path):
    (tmp_path / "angarium.toml").write_text(MAIN)
    (tmp_path / "lists").mkdir()

    def writer(text, domains=DOMAINS):
        (tmp_path / "domains.toml").write_text(domains)
        if text is not None:
            (tmp_path / "lists" / "example.txt").write_text(text)
        return tmp_path / "angarium.toml"

    return writer


@pytest.mark.parametrize(
    ("address", "exists"),
    [
        ("anna@example.com", True),
        ("Anna@EXAMPLE.com", True),
        ('"anna"@example.com', True),
        ('"an\\na"@example.com', True),
        ('"anna "@example.com', False),
        ("postmaster@example.com", True),
        ("Postmaster@example.com", True),
        ("ben@example.com", True),
        ("ben@example.org", True),
        ("anna@example.org", False),
        ("eve@example.com", False),
        ("jürgen@bücher.example", True),
        ("a#b@example.com", False),
    ],
)
def test_who_exists(address, exists):
    """Addresses count at their domain, bare local parts everywhere; neither minds the case."""
    text = "# who is here\nanna@example.com\n\n  BEN   # everywhere\njürgen@bücher.example\n"
    assert (Address.parse(address) in parse_recipients(text.encode(), "list.txt")) == exists


def test_lines_that_are_wrong():
    """Each is told with file and line."""
    with pytest.raises(ConfigError) as caught:
        parse_recipients(b"anna\n@example.com\nb en@example.com\n", "list.txt")
    assert [str(problem.source) for problem in caught.value.problems] == ["list.txt:2", "list.txt:3"]


def test_the_file_is_part_of_the_configuration(write):
    """It stands beside the file that names it, is watched, and a change of it is a change."""
    before = load(write("anna\n"))
    assert any(path.name == "example.txt" for path in before.files)
    assert load(write("anna\n")).hash == before.hash
    assert load(write("anna\nben\n")).hash != before.hash


def test_a_reload_does_not_read_the_file_twice(write):
    """Who serves takes the recipients from who read, in pieces, and never opens the file itself."""
    main = write("".join(f"user{number}\n" for number in range(5000)))
    read, tables = load_with_tables(main)
    receiver = DomainReceiver()
    for chunk in domains_to_chunks(tables.domains):
        assert len(chunk) < 100_000
        receiver.take(chunk)
    (main.parent / "lists" / "example.txt").unlink()
    taken = load(main, msgspec.structs.replace(tables, domains=receiver.finish()))
    assert taken.hash == read.hash
    [recipients] = taken.domains.recipients.values()
    assert len(recipients) == 5000
    assert Address.parse("user4999@example.com") in recipients


def test_an_empty_file_travels(write):
    """A file that names nobody arrives as one: nobody exists there."""
    _, tables = load_with_tables(write("# nobody yet\n"))
    receiver = DomainReceiver()
    for chunk in domains_to_chunks(tables.domains):
        receiver.take(chunk)
    assert [len(one) for one in receiver.finish().recipients.values()] == [0]


def test_a_file_that_is_missing(write):
    """It is a problem where it is named."""
    with pytest.raises(ConfigError) as caught:
        load(write(None))
    [problem] = [problem for problem in caught.value.problems if problem.is_error]
    assert (problem.source.line, "cannot read" in problem.text) == (4, True)


def test_a_value_that_is_none(write):
    """Only the name of a file will do."""
    with pytest.raises(ConfigError, match="is the name of a file"):
        load(write("anna\n", '["example.com"]\nrelay_to = true\nrecipients = ["anna"]\n'))
