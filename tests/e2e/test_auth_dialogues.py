"""Dialogues of others about AUTH and TLS, against a whole server."""

import asyncio
import re
from pathlib import Path

import pytest
import trustme

from tests.e2e.test_tls import trusting

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora" / "smtp" / "chasquid"
pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not CORPORA.is_dir(), reason="the shared corpora are not here"),
]
HANDLER = """
@policy.on
def smtp_server_auth_plain(authz, authn, password, conn_meta):
    return (authn, password) == ("user@testserver", "secretpassword")
"""
AUTHORITY = trustme.CA()


@pytest.mark.parametrize("name", ["auth_multi_dialog", "auth_not_tls", "auth_too_many_failures"])
def test_dialogue(serve, tmp_path, name):
    """Each reply has the class that the dialogue expects."""
    AUTHORITY.issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(tmp_path / "mx.pem")
    (tmp_path / "mx.pem").chmod(0o600)

    async def test(house):
        await _play(house, (CORPORA / f"{name}.cmy").read_text().splitlines())

    keys = 'tls_certificate = "mx.pem"\nauth_failure_delay = 0\nrelay_hosts = []\n'
    listeners = [("127.0.0.1", keys), ("127.0.0.1", keys + 'tls = "implicit"\n')]
    serve(test, listeners=listeners, program=HANDLER)


async def _play(house, lines):
    reader = writer = None
    for line in filter(lambda line: line.startswith("c "), lines):
        _, action, text = (*line.split(" ", 2), "")[:3]
        if action in {"tcp_connect", "tls_connect"}:
            reader, writer = await _connect(house, is_encrypted=action == "tls_connect")
        elif action == "close":
            writer.close()
        elif action == "->":
            writer.write(f"{text}\r\n".encode())
        else:
            answer = await _reply(reader)
            wanted = re.match(r"\d", text)
            assert answer[0] == wanted[0], (line, answer)
    writer.close()


async def _connect(house, *, is_encrypted):
    host, port = house.address(int(is_encrypted))
    tls = {"ssl": trusting(AUTHORITY), "server_hostname": "mx.example.com"} if is_encrypted else {}
    return await asyncio.open_connection(host, port, **tls)


async def _reply(reader):
    while (line := (await reader.readline()).decode())[3:4] == "-":
        pass
    return line
