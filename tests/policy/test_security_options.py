"""Options about TLS, identities, proxies and limits: what they take, and why they refuse the rest."""

import os
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import trustme

from angarium.policy.config import ConfigError
from angarium.policy.listeners import effective_options
from angarium.policy.load import load
from angarium.policy.source import shown_path
from angarium.policy.users import Users
from angarium.wire.sasl import ScramKeys

AUTHORITY = trustme.CA()
OPTIONS = """\
tls = "required"
tls_handshake_timeout = "5s"
tls_client_certificate = "required"
allow_plaintext_auth = true
auth_failure_delay = 0
proxy_hosts = ["10.0.0.9"]
xclient_hosts = ["10.0.0.0/30"]
max_auth_failures = 1
max_auth_failures_per_network = 2
max_refused_recipients = 3
max_refused_recipients_per_network = 4
max_syntax_errors = 5
max_sequence_errors = 500
max_connections_per_network = 6
max_session_duration = "7m"
min_data_rate = 0
network_prefix_ipv4 = 24
network_prefix_ipv6 = 48
greeting_delay = "2s"
reject_null_mx_senders = true
"""
FILES = {"tls_certificate", "tls_private_key", "tls_client_ca"}
SECURITY_OPTIONS = {line.split()[0] for line in OPTIONS.splitlines()} | FILES


@pytest.fixture
def write(tmp_path):
    def writer(listener="", *, users=None, after=""):
        policy = '[policy]\nusers = ["users.toml"]\n' if users is not None else ""
        head = 'postmaster = "a@example.com"\n[[listener]]\nlisten = "127.0.0.1:25"'
        text = f"{head}\n{listener}\n{after}\n{policy}"
        (tmp_path / "angarium.toml").write_text(text)
        if users is not None:
            (tmp_path / "users.toml").write_text(users)
        return tmp_path / "angarium.toml"

    return writer


@pytest.fixture
def certificate(tmp_path):
    """Writes a certificate with its key in one file, and its key alone in another."""

    def writer(*names, file="mx.pem"):
        issued = AUTHORITY.issue_cert(*names)
        issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / file)
        issued.private_key_pem.write_to_path(tmp_path / f"{file}.key")
        (tmp_path / file).chmod(0o600)
        (tmp_path / f"{file}.key").chmod(0o600)

    return writer


def problems_of(path):
    with pytest.raises(ConfigError) as caught:
        load(path)
    found = [problem for problem in caught.value.problems if problem.is_error]
    return [f"{Path(one.source.file).name}:{one.source.line}: {one.text}" for one in found]


def test_every_option(write):
    """Each takes its value, and says where it was written."""
    options = load(write(OPTIONS)).listeners[0].options
    assert (options.tls, options.tls_handshake_timeout, options.tls_client_certificate) == (
        "required",
        5.0,
        "required",
    )
    assert options.allow_plaintext_auth
    assert (options.auth_failure_delay, options.greeting_delay, options.max_session_duration) == (
        0.0,
        2.0,
        420.0,
    )
    assert options.proxy_hosts == (ip_network("10.0.0.9"),)
    assert options.xclient_hosts == (ip_network("10.0.0.0/30"),)
    assert (options.max_auth_failures, options.max_auth_failures_per_network) == (1, 2)
    assert (options.max_refused_recipients, options.max_refused_recipients_per_network) == (3, 4)
    assert options.max_sequence_errors == 500
    assert (options.max_syntax_errors, options.max_connections_per_network, options.min_data_rate) == (
        5,
        6,
        0,
    )
    assert (options.network_prefix_ipv4, options.network_prefix_ipv6) == (24, 48)
    assert options.reject_null_mx_senders
    assert set(options.sources) == SECURITY_OPTIONS - FILES


def test_certificates_are_read(write, certificate):
    """One name or a list, with keys beside them or in the same file; relative to the configuration."""
    certificate("mx.example.com", "*.example.org")
    certificate("other.example", file="other.pem")
    path = write('tls_certificate = ["mx.pem", "other.pem"]\ntls_private_key = ["mx.pem.key", "other.pem"]')
    first, second = load(path).listeners[0].options.certificates
    assert first.names == ("mx.example.com", "*.example.org")
    assert (first.certificate, first.private_key) == (
        str(path.parent / "mx.pem"),
        str(path.parent / "mx.pem.key"),
    )
    assert second.private_key == second.certificate
    one = load(write('tls_certificate = "mx.pem"')).listeners[0].options.certificates
    assert [each.private_key for each in one] == [str(path.parent / "mx.pem")]


def test_a_renewed_certificate_is_a_change(write, certificate):
    """Its files are watched with the others, and what they hold counts for the hash."""
    certificate("mx.example.com")
    AUTHORITY.cert_pem.write_to_path(write().parent / "ca.pem")
    path = write('tls_certificate = "mx.pem"\ntls_client_ca = "ca.pem"')
    before = load(path)
    assert {path.parent / "mx.pem", path.parent / "ca.pem"} < set(before.files)
    assert load(path).hash == before.hash
    certificate("mx.example.com")
    after = load(path)
    assert after.hash != before.hash
    assert after.listeners[0].options.certificates != before.listeners[0].options.certificates


@pytest.mark.parametrize(
    ("listener", "problem"),
    [
        ('tls_certificate = "gone.pem"', "cannot read"),
        ('tls_certificate = "mx.pem.key"', "mx.pem.key holds no certificate in PEM form"),
        ('tls_certificate = "mx.pem"\ntls_private_key = "other.pem"', "other.pem is not the key of"),
        ('tls_certificate = ["mx.pem", "other.pem"]\ntls_private_key = "mx.pem"', "one key for each"),
        ('tls_private_key = "mx.pem"', "its tls_certificate is missing"),
        ('tls_client_ca = "mx.pem.key"', "holds no certificate in PEM form"),
        ('tls = "maybe"', "'maybe' is not known here"),
    ],
)
def test_what_cannot_serve_is_a_problem(write, certificate, listener, problem):
    """A broken certificate is told with file and line, and is not taken."""
    certificate("mx.example.com")
    certificate("other.example", file="other.pem")
    [found] = problems_of(write(listener))
    assert found.startswith(("angarium.toml:4: ", "angarium.toml:5: "))
    assert problem in found


def test_a_key_for_everybody_is_a_warning(write, certificate, tmp_path):
    """A key that every user of the machine may read is told, and taken."""
    certificate("mx.example.com")
    (tmp_path / "mx.pem").chmod(0o644)
    [problem] = load(write('tls_certificate = "mx.pem"')).problems
    assert "chmod o-r" in problem.text


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files away")
def test_a_certificate_that_others_may_write_is_refused(write, certificate, tmp_path):
    """What strangers can replace is not taken, like every other file."""
    certificate("mx.example.com")
    (tmp_path / "mx.pem").chmod(0o666)
    [problem] = problems_of(write('tls_certificate = "mx.pem"'))
    assert "chmod o-w" in problem


@pytest.mark.parametrize("listen", ["0.0.0.0:25", "[::]:25", "192.0.2.1:25"])
def test_plaintext_auth_is_for_loopback(tmp_path, listen):
    """On any address that a network reaches the option is an error, in overlays too."""
    path = tmp_path / "angarium.toml"
    path.write_text(
        f'[[listener]]\nlisten = "{listen}"\n[listener.peer."10.0.0.0/8"]\nallow_plaintext_auth = true\n'
    )
    [problem] = problems_of(path)
    assert "is for loopback addresses" in problem


@pytest.mark.parametrize("option", ["proxy_hosts", "xclient_hosts"])
def test_nobody_may_believe_everybody(write, option):
    """A list of trusted proxies cannot hold the whole internet."""
    [problem] = problems_of(write(f'{option} = ["10.0.0.9", "0.0.0.0/0"]'))
    assert "is everybody" in problem


@pytest.mark.parametrize("option", ["allow_xclient", "require_proxy_protocol"])
def test_the_reference_booleans(write, option):
    """They hold in a `peer` overlay alone."""
    listener = load(write(after=f'[listener.peer."10.0.0.9"]\n{option} = true')).listeners[0]
    assert getattr(effective_options(listener, ip_address("10.0.0.9"), ip_address("127.0.0.1")), option)
    assert not getattr(effective_options(listener, ip_address("10.0.0.8"), ip_address("127.0.0.1")), option)
    [problem] = problems_of(write(f"{option} = true"))
    assert "would believe everybody" in problem
    [problem] = problems_of(write(after=f'[listener.via."127.0.0.1"]\n{option} = true'))
    assert "would believe everybody" in problem


VERIFIER = str(ScramKeys.derive("secret", b"0123456789abcdef"))


def test_users(write):
    """A user's keys are those of the file; a change of the file is a change."""
    path = write(users=f'"anna@example.com" = "{VERIFIER}"\nben = "{VERIFIER}"\n')
    configuration = load(path)
    keys, known = configuration.users.keys("anna@example.com")
    assert known
    assert str(keys) == VERIFIER
    assert path.parent / "users.toml" in configuration.files
    assert load(path).hash == configuration.hash
    assert load(write(users=f'ben = "{VERIFIER}"\n')).hash != configuration.hash


def test_nobody_has_keys_too(write):
    """A name that nobody has gets keys that look like any other's, and the same ones each time."""
    users = load(write(users=f'ben = "{VERIFIER}"\n')).users
    keys, known = users.keys("eve")
    assert not known
    assert keys == users.keys("eve")[0]
    assert keys.salt != users.keys("adam")[0].salt
    assert (keys.iterations, len(keys.salt)) == (4096, 16)
    assert not keys.matches("")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('ben = "secret"', "'ben' has no verifier"),
        ("ben = 17", "'ben' has no verifier"),
        (f'"be\\u0007n" = "{VERIFIER}"', "is not a name that can log in"),
        (f'ben = "{VERIFIER}"\n"be\u00adn" = "{VERIFIER}"', "stands twice"),
    ],
)
def test_problems_of_users(write, line, problem):
    """What is no verifier is a problem with file and line, and is never repeated."""
    [found] = problems_of(write(users=line))
    assert problem in found
    assert "users.toml:" in found
    assert "secret" not in found


def test_users_show_nothing():
    """No verifier stands in the text form of users or keys."""
    keys = ScramKeys.derive("secret", b"0123456789abcdef")
    assert (repr(keys), repr(Users({"ben": keys}))) == ("ScramKeys()", "Users(1)")


def test_users_that_everybody_may_read(tmp_path):
    """Verifiers that every user of the machine can read are told, with what to do; our own alone are not."""
    (tmp_path / "angarium.toml").write_text(
        'postmaster = "o@e.test"\n[[listener]]\nlisten = "127.0.0.1:25"\n[policy]\nusers = ["users.toml"]\n'
    )
    users = tmp_path / "users.toml"
    users.write_text("")
    told = {}
    for mode in (0o644, 0o640):
        users.chmod(mode)
        told[mode] = [problem.text for problem in load(tmp_path / "angarium.toml").problems]
    assert [text for text in told[0o644] if text not in told[0o640]] == [
        "every user of this machine can read its verifiers: chmod o-r " + shown_path(users)
    ]
