"""A real client, swaks: STARTTLS, implicit TLS, every mechanism it speaks, XCLIENT and PROXY."""

import asyncio
import shutil
import subprocess

import pytest
import trustme

from tests.e2e.test_auth import ANNA, DOMAINS, PASSWORD, USERS

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed"),
]
OUT = "b@elsewhere.example"
AUTHORITY = trustme.CA()


async def swaks(house, *arguments, listener=0):
    """Run swaks against a listener; its exit status and its transcript."""
    host, port = house.address(listener)
    common = ("--server", host, "--port", str(port), "--from", ANNA, "--to", OUT, "--helo", "client.example")
    local = ("--local-interface", "127.0.0.2") if "127.0.0.2" not in arguments else ()
    process = await asyncio.create_subprocess_exec(
        "swaks", *common, *local, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.fixture
def options(tmp_path):
    AUTHORITY.issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "mx.pem")
    (tmp_path / "mx.pem").chmod(0o600)
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    return 'tls_certificate = "mx.pem"\nauth_failure_delay = 0\n'


def has_net_ssleay():
    """Whether this swaks can speak TLS."""
    perl = shutil.which("perl")
    if perl is None:
        return False

    return subprocess.run([perl, "-MNet::SSLeay", "-e1"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_net_ssleay(), reason="swaks has no TLS here")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("way", "listener"), [("--tls", 0), ("--tls-on-connect", 1)])
def test_tls_and_auth(serve, options, mechanism, way, listener):
    """Encrypted and authenticated, a stranger's mail goes out."""

    async def test(house):
        auth = ("--auth", mechanism, "--auth-user", ANNA, "--auth-password", PASSWORD)
        verify = (
            "--tls-verify",
            "--tls-ca-path",
            str(house.folder / "ca.pem"),
            "--tls-sni",
            "mx.example.com",
        )
        status, said = await swaks(house, way, *auth, *verify, listener=listener)
        assert status == 0, said
        [record] = house.records("Reception")
        assert (record["authn_id"], record["tls_protocol_version"]) == (ANNA, "TLSv1.3")

    listeners = [("127.0.0.1", options), ("127.0.0.1", options + 'tls = "implicit"')]
    serve(test, listeners=listeners, users=USERS, domains=DOMAINS)


def test_a_wrong_password(serve):
    """swaks exits with its status for a failed AUTH."""

    async def test(house):
        auth = ("--auth", "PLAIN", "--auth-user", ANNA, "--auth-password", "wrong")
        status, said = await swaks(house, *auth)
        assert status == 28, said
        assert "535 5.7.8" in said

    plain = "allow_plaintext_auth = true\nauth_failure_delay = 0"
    serve(test, listener=plain, users=USERS, domains=DOMAINS)


def test_xclient(serve):
    """swaks tells another client address, which may relay."""

    async def test(house):
        status, said = await swaks(house, "--xclient", "ADDR=192.0.2.1")
        assert status == 0, said
        [record] = house.records("Reception")
        assert record["peer_address"]["addr"] == "192.0.2.1"

    serve(test, listener='xclient_hosts = ["127.0.0.2"]\nrelay_hosts = ["192.0.2.1"]')


@pytest.mark.parametrize("version", ["1", "2"])
def test_proxy(serve, version):
    """swaks speaks as a balancer does."""

    async def test(house):
        ends = ("--proxy-source", "192.0.2.1", "--proxy-source-port", "1024")
        ends += ("--proxy-dest", "198.51.100.1", "--proxy-dest-port", "25", "--proxy-family", family)
        status, said = await swaks(house, "--proxy-version", version, *ends)
        assert status == 0, said
        [record] = house.records("Reception")
        assert record["peer_address"]["addr"] == "192.0.2.1"

    family = {"1": "TCP4", "2": "AF_INET"}[version]
    serve(test, listener='proxy_hosts = ["127.0.0.2"]\nrelay_hosts = ["192.0.2.1"]')
