"""Tables of who may relay, the plugin's own behaviour under pytest, and its place in an installation."""

from importlib.metadata import entry_points

import pytest

pytest_plugins = ["pytester"]

MAIN = """\
hostname = "mx.example.com"
[[listener]]
name = "public"
listen = "0.0.0.0:25"
relay_hosts = ["192.0.2.0/24"]
[[listener]]
name = "inside"
listen = "0.0.0.0:587"
relay_hosts = []
[policy]
listener_domains = ["domains.toml"]
"""
DOMAINS = """\
["example.com"]
relay_to = true
log_oob = true
["bounces.example.com"]
log_oob = true
["customer.example"]
relay_from_authz = ["customer"]
"""
TABLE = """\
# who may use this server
peer,        listener, auth,     from,               rcpt,                  expected

192.0.2.7,   public,   ,         a@example.net,      x@example.org,         relay
,            ,         ,         a@example.net,      x@example.org,         refuse
203.0.113.9, inside,   customer, a@customer.example, x@example.org,         relay
,            587,      ,         <>,                 b@bounces.example.com, report-only
2001:db8::1, ,         ,         a@example.net,      x@example.com,         250 2.1.5
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with a policy; `run` knows our plugin and no other, since loading those takes seconds."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.path.joinpath("angarium.toml").write_text(MAIN)
    pytester.path.joinpath("domains.toml").write_text(DOMAINS)
    return pytester


def run(project, *options):
    return project.runpytest("-p", "angarium.testing.plugin", *options)


def write(project, table, name="who-may-relay.csv"):
    path = project.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(table)


def test_the_plugin_loads_when_installed():
    """The installation names the plugin, so that nobody has to load it."""
    (found,) = entry_points(group="pytest11", name="angarium")
    assert found.value == "angarium.testing.plugin"


def test_each_row_is_a_test(project):
    """Every row asks a server on the policy beside the table, or on the one that `# policy:` names."""
    write(project, TABLE)
    write(project, "# policy: ../angarium.toml\n" + TABLE, "tests/who-may-relay-public.csv")
    outcome = run(project, "-v")
    outcome.assert_outcomes(passed=10)
    outcome.stdout.fnmatch_lines(["*who-may-relay.csv::4: 192.0.2.7 on public, <a@example.net> to*PASSED*"])


def test_a_row_that_fails_shows_why(project):
    """The failure names the row's line, the reply, and every check with file and line."""
    write(project, TABLE.replace("refuse", "relay"))
    outcome = run(project)
    outcome.assert_outcomes(passed=4, failed=1)
    outcome.stdout.fnmatch_lines(
        [
            "*who-may-relay.csv:5: expected relay, got refuse: 550 5.7.1 *",
            "*203.0.113.5 on public, from <a@example.net> to <x@example.org>",
            "*angarium.toml:5: relay_hosts: peer 203.0.113.5*",
            "*relay_to: recipient domain example.org: no entry answers for it",
            "*C: RCPT TO:<x@example.org>",
        ]
    )


BROKEN = {
    "from,rcpt,expect\n": "*-0.csv:1: unknown column 'expect': did you mean expected?",
    "from,rcpt\na@b,c@d\n": "*-1.csv:1: the table needs a column 'expected'*",
    "from,rcpt,expected\na@b,c@d,yes\n": "*-2.csv:2: 'yes' is no answer: write relay, report-only, *",
    "peer,from,rcpt,expected\nme,a@b,c@d,relay\n": "*-3.csv:2: the peer 'me' is no IP address",
    "from,rcpt,expected\n": "*-4.csv:1: the table has no rows*",
    "# policy: gone.toml\nfrom,rcpt,expected\na@b,c@d,relay\n": "*-5.csv:1: *gone.toml does not exist*",
    TABLE: "*-6.csv:1: *no policy.py or angarium.toml stands beside it: write '# policy: PATH' on top",
    "from,rcpt,expected\na@b,c@d,relay,x\n": "*-7.csv:2: 4 cells below 3 columns*",
}


def test_a_broken_table_is_said_with_its_line(project):
    """A table that cannot be read, or has no policy, is an error that says where and what to do."""
    for number, table in enumerate(BROKEN):
        write(project, table, f"tables/who-may-relay-{number}.csv")
    outcome = run(project)
    outcome.assert_outcomes(errors=len(BROKEN))
    outcome.stdout.fnmatch_lines(list(BROKEN.values()))


def test_what_is_wrong_with_a_table_is_told_without_frames_of_ours(project):
    """A listener that is not there, and an address that is none, are told in a few lines each."""
    write(project, "listener,from,rcpt,expected\npubic,a@b.org,c@d.org,relay\npublic,a@b.org,user,relay\n")
    outcome = run(project)
    outcome.assert_outcomes(failed=2)
    outcome.stdout.fnmatch_lines(["*who-may-relay.csv:2: there is no listener 'pubic': there are public*"])
    text = outcome.stdout.str()
    assert "got refuse: 501" in text
    assert "relay_hosts: peer" not in text
    assert "def " not in text


def test_a_broken_policy_is_told_without_frames_of_ours(project):
    """The problems of a policy stand in the report with file and line, and the frame of the test alone."""
    project.makepyfile("def test_it(mta):\n    mta({'angarium.toml': 'hostnme = 1\\n'})\n")
    outcome = run(project)
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*angarium.toml:1: *hostnme*"])
    assert "src/angarium" not in outcome.stdout.str().replace("testing/plugin.py", "")


def test_a_failing_test_shows_its_sessions(project):
    """What was said in the sessions of a test that fails is part of its report."""
    project.makepyfile(
        """
        def test_it(mta):
            result = mta("angarium.toml").session().mail("a@example.net", "x@example.org")
            assert result.is_accepted
        """
    )
    outcome = run(project)
    outcome.assert_outcomes(failed=1)
    outcome.stdout.fnmatch_lines(["*SMTP session*", "C: RCPT TO:<x@example.org>", "S: 550 5.7.1 *"])


def test_other_projects_pay_nothing(project):
    """Loading the plugin loads no server."""
    project.makepyfile(
        """
        import sys

        def test_it():
            assert "angarium.testing.server" not in sys.modules
        """
    )
    project.runpytest_subprocess("-p", "angarium.testing.plugin").assert_outcomes(passed=1)
