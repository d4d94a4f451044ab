"""AUTH: who is believed, what it allows (P5), and what guessing costs."""

import asyncio
import base64
import ssl
from pathlib import Path

import pytest

from angarium.testing.scram import client_final, client_first
from angarium.wire.sasl import ScramKeys
from tests.e2e.house import STRANGER

PASSWORD = "correct horse battery staple"
SALT = b"0123456789abcdef"
USERS = f'"anna@customer.example" = "{ScramKeys.derive(PASSWORD, SALT)}"\n'
OPTIONS = "allow_plaintext_auth = true\nauth_failure_delay = 0\n"
DOMAINS = '["customer.example"]\nrelay_from_authz = ["anna@customer.example"]\n'
ANNA = "anna@customer.example"
OUT = "b@elsewhere.example"


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


def plain(authn, password, authz=""):
    response = f"{authz}\0{authn}\0{password}"
    return f"AUTH PLAIN {b64(response)}"


async def login(client, authn, password):
    assert await client.say("AUTH LOGIN") == f"334 {b64('Username:')}"
    assert await client.say(b64(authn)) == f"334 {b64('Password:')}"
    return await client.say(b64(password))


async def scram(client, authn, password, nonce="clientnonce", authz=""):
    first = client_first(authn, nonce, authz)
    answer = await client.say(f"AUTH SCRAM-SHA-256 {b64(first)}")
    final, signature = client_final(first, base64.b64decode(answer[4:]).decode(), password)
    answer = await client.say(b64(final))
    if answer.startswith("334"):
        assert base64.b64decode(answer[4:]) == signature
        answer = await client.say("")
    return answer


def test_who_authenticates_may_send_as_its_domain(serve):
    """P5: who proves an identity that `relay_from_authz` names may send mail of that domain anywhere."""

    async def test(house):
        client = await house.stranger()
        assert (await client.begin(ANNA, OUT))[0].startswith("550 5.7.1")
        await client.say("RSET")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("235 2.7.0")
        await client.send(ANNA, OUT)
        [record] = house.records("Reception")
        assert (record["authn_id"], record["authz_id"]) == (ANNA, ANNA)
        assert record["decided_by"]["key"] == "customer.example"
        [taken] = await house.arrived()
        assert b"with ESMTPA id" in taken.content
        assert (await client.begin("eve@other.example", OUT))[0].startswith("550 5.7.1")

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS)


@pytest.mark.parametrize("way", [login, scram])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_other_mechanisms(serve, way, password):
    """LOGIN and SCRAM-SHA-256 check the same users."""

    async def test(house):
        client = await house.stranger()
        answer = await way(client, ANNA, password)
        assert answer.startswith("235" if password == PASSWORD else "535 5.7.8")
        accepted = (await client.begin(ANNA, OUT))[0].startswith("250")
        assert accepted == (password == PASSWORD)

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS)


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (plain(ANNA, "wrong"), "535 5.7.8"),
        (plain("nobody@customer.example", PASSWORD), "535 5.7.8"),
        (plain(ANNA, PASSWORD, authz="boss@customer.example"), "535 5.7.8"),
        (plain("", PASSWORD), "501 5.5.2"),
        ("AUTH PLAIN !!!", "501 5.5.2"),
        (f"AUTH PLAIN {b64('no zeros')}", "501 5.5.2"),
        ("AUTH CRAM-MD5", "504 5.5.4"),
        ("AUTH OAUTHBEARER", "504 5.5.4"),
    ],
)
def test_what_does_not_authenticate(serve, command, answer):
    """Wrong passwords, names of nobody and foreign identities get the same reply; nonsense gets 501."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say(command)).startswith(answer)
        assert (await client.begin(ANNA, OUT))[0].startswith("550 5.7.1")

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS)


@pytest.mark.parametrize(
    ("authz", "answer"),
    [(ANNA, "235"), ("boss@customer.example", "535 5.7.8"), (ANNA.upper(), "535 5.7.8")],
)
def test_scram_for_another(serve, authz, answer):
    """Who proves to be one may not act as another, whatever SCRAM lets them ask for (contract 2.9)."""

    async def test(house):
        client = await house.stranger()
        assert (await scram(client, ANNA, PASSWORD, authz=authz)).startswith(answer)
        sent = (await client.begin("x@customer.example", OUT))[0]
        assert sent.startswith("250" if answer == "235" else "550 5.7.1")
        if answer != "235":
            record = next(one for one in house.records("Rejection") if one["response"]["code"] == 535)
            assert "authz_id" not in record

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS)


def test_auth_needs_tls(serve, tmp_path):
    """In clear text AUTH is neither offered nor taken; after STARTTLS it is both."""

    async def test(house):
        client = await house.stranger()
        assert "AUTH" not in await client.say("EHLO client.example")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("524 5.7.11")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        await client.start_tls(context)
        assert "AUTH PLAIN LOGIN SCRAM-SHA-256" in await client.say("EHLO client.example")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("235")
        await client.send(ANNA, OUT)
        [taken] = await house.arrived()
        assert b"with ESMTPSA (TLS" in taken.content

    serve(test, users=USERS, domains=DOMAINS)


@pytest.mark.parametrize("spelling", ["\uff41nna@customer.example", "an\xadna@customer.example"])
@pytest.mark.parametrize("say", [None, login, scram])
def test_another_spelling(serve, spelling, say):
    """Whoever proves an identity has the name of the users file, however its characters were written."""

    async def test(house):
        client = await house.stranger()
        if say is None:
            answer = await client.say(plain(spelling, PASSWORD, ANNA))
        else:
            answer = await say(client, spelling, PASSWORD)
        assert answer.startswith("235 2.7.0")
        await client.send(ANNA, OUT)
        [record] = house.records("Reception")
        assert (record["authn_id"], record["authz_id"]) == (ANNA, ANNA)

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS)


def test_without_users_nothing_is_offered(serve):
    """Where nobody could check, AUTH does not exist."""

    async def test(house):
        client = await house.stranger()
        assert "AUTH" not in await client.say("EHLO client.example")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("502")

    serve(test, listener=OPTIONS)


HANDLER = """
@policy.on
async def smtp_server_auth_plain(authz, authn, password, conn_meta):
    if password == "broken":
        raise ValueError(password)
    if password == "no":
        reject(454, "4.7.0 not now")
    if authn == "admin":
        return Identity("admin", authz_id="anna@customer.example")
    return password == "right"
"""


@pytest.mark.parametrize(
    ("command", "answer", "identity"),
    [
        (plain(ANNA, "right"), "235", ANNA),
        (plain(ANNA, "right", authz=ANNA), "235", ANNA),
        (plain(ANNA, "right", authz="boss@customer.example"), "535", None),
        (plain(ANNA, "wrong"), "535", None),
        (plain("admin", "whatever"), "235", ANNA),
        (plain("admin", "whatever", authz="boss@customer.example"), "235", ANNA),
        (plain(ANNA, "no"), "454 4.7.0 not now", None),
        (plain(ANNA, "broken"), "451 4.3.0", None),
    ],
)
def test_the_handler_decides(serve, command, answer, identity):
    """Its answer counts in place of users; rights follow from what it lets the client be (contract 2.9)."""

    async def test(house):
        client = await house.stranger()
        assert (await client.say(command)).startswith(answer)
        await client.begin(ANNA, OUT)
        assert (await client.content()).startswith("250" if identity else "503")
        assert [record["authz_id"] for record in house.records("Reception")] == [identity] * bool(identity)

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS, program=HANDLER)


def test_login_asks_the_handler_too(serve):
    """LOGIN is PLAIN in two steps."""

    async def test(house):
        assert (await login(await house.stranger(), ANNA, "right")).startswith("235")
        assert (await login(await house.stranger(), ANNA, PASSWORD)).startswith("535")

    serve(test, listener=OPTIONS, users=USERS, domains=DOMAINS, program=HANDLER)


TOKENS = """
@policy.on
async def smtp_server_auth_oauthbearer(authz, token, conn_meta):
    return Identity("anna@customer.example") if token == "dG9rZW4=" else None
"""


@pytest.mark.parametrize(
    ("initial", "accepted"),
    [
        ("n,,\x01auth=Bearer dG9rZW4=\x01\x01", True),
        (f"n,a={ANNA},\x01auth=Bearer dG9rZW4=\x01\x01", True),
        ("n,a=boss@customer.example,\x01auth=Bearer dG9rZW4=\x01\x01", False),
        ("n,,\x01auth=Bearer bm8=\x01\x01", False),
    ],
)
def test_tokens(serve, initial, accepted):
    """OAUTHBEARER asks its handler; a refusal is told as RFC 7628 wants it."""

    async def test(house):
        client = await house.stranger()
        assert "AUTH OAUTHBEARER" in await client.say("EHLO client.example")
        answer = await client.say(f"AUTH OAUTHBEARER {b64(initial)}")
        if not accepted:
            assert base64.b64decode(answer[4:]) == b'{"status":"invalid_token"}'
            answer = await client.say(b64("\x01"))
        assert answer.startswith("235" if accepted else "535")

    serve(test, listener=OPTIONS, domains=DOMAINS, program=TOKENS)


def test_a_second_auth_is_refused(serve):
    """An identity is proved once a session."""

    async def test(house):
        client = await house.stranger()
        await client.say(plain(ANNA, PASSWORD))
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("503")

    serve(test, listener=OPTIONS, users=USERS)


def test_three_failures_a_session(serve):
    """The third failure ends the session, and its record says why."""

    async def test(house):
        client = await house.stranger()
        for _ in range(2):
            assert (await client.say(plain(ANNA, "wrong"))).startswith("535")
        assert (await client.say(plain(ANNA, "wrong"))).startswith("421 4.7.0")
        assert await client.is_closed()
        assert house.records("Rejection")[-1]["limit"] == "max_auth_failures"

    serve(test, listener=OPTIONS, users=USERS)


def test_twenty_failures_a_network(serve):
    """A guesser that comes again and again gets 421; another network does not notice."""

    async def test(house):
        for _ in range(10):
            client = await house.stranger()
            for _ in range(2):
                assert (await client.say(plain(ANNA, "wrong"))).startswith("535")
            await client.close()
        client = await house.stranger()
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("421 4.7.0")
        assert house.records("Rejection")[-1]["limit"] == "max_auth_failures_per_network"
        client = await house.connect("127.0.0.3")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("235")

    serve(test, listener=OPTIONS, users=USERS)


def test_relay_hosts_are_not_counted(serve):
    """Peers in relay_hosts are exempt from the limits of a network."""

    async def test(house):
        for _ in range(3):
            client = await house.connect()
            for _ in range(2):
                assert (await client.say(plain(ANNA, "wrong"))).startswith("535")
        assert (await client.say(plain(ANNA, PASSWORD))).startswith("235")

    serve(test, listener=OPTIONS + "max_auth_failures_per_network = 2", users=USERS)


def test_failures_are_answered_late(serve_in_jumps):
    """A failure costs the guesser two seconds, and other clients nothing."""

    async def test(house):
        begun = house.now()
        guesser, honest = await house.stranger(), await house.connect()
        guess = asyncio.ensure_future(guesser.say(plain(ANNA, "wrong")))
        assert (await honest.say("NOOP")).startswith("250")
        assert house.now() - begun < 1.9
        assert (await guess).startswith("535")
        assert house.now() - begun == pytest.approx(2.0, abs=0.5)

    program = "@policy.on\ndef smtp_server_auth_plain(authz, authn, password, conn_meta):\n    return False\n"
    serve_in_jumps(test, listener="allow_plaintext_auth = true\n", program=program)


SECRETS = ("wrong-but-typed-by-mistake", PASSWORD, "dG9rZW4tdGhhdC1pcy1zZWNyZXQ=")


def test_no_secret_is_written_anywhere(serve, caplog, capfd):
    """Passwords and tokens, right or wrong, stand in no record, log, spool, reply or error."""

    async def test(house):
        said = []
        for secret in SECRETS:
            for source in (STRANGER, "127.0.0.3"):
                client = await house.connect(source)
                said.append(await client.say(plain(ANNA, secret, authz=secret)))
                said.append(await client.say(f"AUTH PLAIN {b64(secret)}"))
                said.append(await client.say(f"AUTH CRAM-MD5 {b64(secret)}"))
                said.append(await client.say("AUTH LOGIN"))
                said.append(await client.say(b64(ANNA)))
                said.append(await client.say(b64(secret)))
                await client.close()
            client = await house.connect()
            token = f"n,,\x01auth=Bearer {secret}\x01\x01"
            said.append(await client.say(f"AUTH OAUTHBEARER {b64(token)}"))
            said.append(await client.say(b64(secret)))
            said.append(await client.say("AUTH PLAIN"))
            said.append(await client.say(f"=={secret}"))
            client = await house.connect()
            said.append(await client.say("AUTH NTLM", secret, b64(secret)))
            said.append(await client.say(plain(ANNA, secret)))
            said.append(await client.say(plain(ANNA, secret)))
        await house.stop()
        return said

    program = """
@policy.on
def smtp_server_auth_plain(authz, authn, password, conn_meta):
    if password.startswith("wrong"):
        raise RuntimeError(f"no {password}")
    return False

@policy.on
def smtp_server_auth_oauthbearer(authz, token, conn_meta):
    raise RuntimeError(f"no {token}")
"""
    seen = []

    async def run(house):
        said = await test(house)
        written = [*said, *map(str, house.seen), caplog.text, *capfd.readouterr()]
        written += [repr(record.__dict__) for record in caplog.records]
        seen.append(("\n".join(written)).encode() + _files(house.folder) + _decompressed(house))

    serve(run, listener=OPTIONS, program=program)
    for secret in SECRETS:
        for form in (secret, b64(secret), b64(f"{secret}\0{ANNA}\0{secret}")):
            assert form.encode() not in seen[0], form


def _files(folder: Path):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _decompressed(house):
    return repr(house.logged()).encode()
