"""SASL: the exchanges of the RFCs, and everything that is not one."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from angarium.wire.sasl import (
    Authenticated,
    Challenge,
    Failed,
    KeysWanted,
    LoginServer,
    OAuthBearerServer,
    Password,
    PlainServer,
    ScramKeys,
    ScramServer,
    Token,
    login_responses,
    plain_response,
    saslprep,
)

SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
KEYS = ScramKeys.derive("pencil", SALT)
NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)


def code(step: object) -> int:
    assert isinstance(step, Failed)
    return step.reply.code


def test_plain() -> None:
    """PLAIN gives the claim; an empty authorisation identity is the authentication identity."""
    assert PlainServer().step(None) == Challenge(b"")
    assert PlainServer().step(plain_response("tim", "tanstaaftanstaaf")) == Password(
        "tim", "tim", "tanstaaftanstaaf"
    )
    assert PlainServer().step(b"Ursel\0Kurt\0xipj3plmq") == Password("Ursel", "Kurt", "xipj3plmq")


@pytest.mark.parametrize("response", [b"", b"a\0b", b"\0a\0b\0c", b"\0\0p", b"\0u\0", b"\0\xff\0p"])
def test_plain_malformed(response: bytes) -> None:
    """What is not three fields of UTF-8 with name and password fails with 501."""
    assert code(PlainServer().step(response)) == 501


def test_plain_cannot_carry_nul() -> None:
    """Our own client refuses a credential that would change the fields."""
    with pytest.raises(ValueError, match="NUL"):
        plain_response("a\0b", "c")


def test_login() -> None:
    """LOGIN asks for name and password; a name may come at once."""
    machine = LoginServer()
    name, password = login_responses("tim", "secret")
    assert machine.step(None) == Challenge(b"Username:")
    assert machine.step(name) == Challenge(b"Password:")
    assert machine.step(password) == Password("tim", "tim", "secret")
    assert LoginServer().step(b"tim") == Challenge(b"Password:")
    assert code(LoginServer().step(b"")) == 501
    assert code(LoginServer().step(b"a\0b")) == 501


def test_scram() -> None:
    """The example of RFC 7677 section 3."""
    machine = ScramServer(NONCE)
    assert machine.step(None) == Challenge(b"")
    assert machine.step(CLIENT_FIRST) == KeysWanted("user")
    assert machine.give_keys(KEYS, known=True) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert machine.step(CLIENT_FINAL) == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert machine.step(b"") == Authenticated("user", "user")


def final(first: str, nonce: str, binding: str, password: str = "pencil") -> bytes:
    """A client's final message, made with the formulas of RFC 5802 section 3."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    bare = f"c={base64.b64encode(binding.encode()).decode()},r={nonce}"
    message = f"{first},r={nonce},s={base64.b64encode(SALT).decode()},i=4096,{bare}"
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message.encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return f"{bare},p={base64.b64encode(proof).decode()}".encode()


def test_scram_identities() -> None:
    """Escaped names and an authorisation identity are read."""
    machine = ScramServer("S")
    assert machine.step(b"y,a=bo=2Css,n=us=3Der,r=C") == KeysWanted("us=er")
    machine.give_keys(KEYS, known=True)
    assert isinstance(machine.step(final("n=us=3Der,r=C", "CS", "y,a=bo=2Css,")), Challenge)
    assert machine.step(b"") == Authenticated("bo,ss", "us=er")


@pytest.mark.parametrize(
    ("message", "known", "expected"),
    [
        (final("n=user,r=C", "CS", "n,,", "crayon"), True, 535),
        (final("n=user,r=C", "CS", "n,,"), False, 535),
        (final("n=user,r=C", "CX", "n,,"), True, 501),
        (final("n=user,r=C", "CS", "y,,"), True, 501),
        (b"c=biws,r=CS,p=AAAA", True, 535),
        (b"c=biws,r=CS,p=A", True, 535),
        (b"c=biws,r=CS", True, 501),
        (b"", True, 501),
    ],
)
def test_scram_fails(message: bytes, known: bool, expected: int) -> None:
    """A wrong password and an unknown name look alike; another nonce or binding is malformed."""
    machine = ScramServer("S")
    machine.step(b"n,,n=user,r=C")
    machine.give_keys(KEYS, known=known)
    assert code(machine.step(message)) == expected


@pytest.mark.parametrize(
    "first", [b"", b"p=tls-unique,,n=u,r=C", b"n,,m=x,n=u,r=C", b"n,,n=,r=C", b"n,,n=u=,r=C", b"\xff"]
)
def test_scram_first_malformed(first: bytes) -> None:
    """Channel binding, unknown extensions and broken names are refused."""
    assert code(ScramServer("S").step(first)) == 501


def test_scram_after_proof() -> None:
    """After the server's signature only the empty answer is right."""
    machine = ScramServer(NONCE)
    machine.step(CLIENT_FIRST)
    machine.give_keys(KEYS, known=True)
    machine.step(CLIENT_FINAL)
    assert code(machine.step(b"x")) == 501


def test_keys() -> None:
    """Keys serve plain passwords, survive their text form, and never show themselves."""
    assert KEYS.matches("pencil")
    assert not KEYS.matches("crayon")
    assert not KEYS.matches("\x07")
    assert ScramKeys.parse(str(KEYS)) == KEYS
    assert repr(KEYS) == "ScramKeys()"
    assert "secret" not in repr((Password("a", "b", "secret"), Token("a", "secret")))


@pytest.mark.parametrize(
    "text",
    ["", "SCRAM-SHA-256$1:eA==$eA==:eA==", "SCRAM-SHA-256$4096:eA==$eA==:eA==", "SCRAM-SHA-256$4096:e$e:e"],
)
def test_keys_malformed(text: str) -> None:
    """Keys that are weak, short or no keys are refused."""
    with pytest.raises(ValueError, match=r"SCRAM|base64|padding|encoded"):
        ScramKeys.parse(text)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_saslprep(text: str, prepared: str) -> None:
    """The examples of RFC 4013 section 3."""
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "\u0627a\u0627"])
def test_saslprep_forbids(text: str) -> None:
    """Control characters and mixed directions are refused."""
    with pytest.raises(ValueError, match="may not"):
        saslprep(text)


def test_oauthbearer() -> None:
    """The example of RFC 7628 section 4.1, and a refused token."""
    machine = OAuthBearerServer()
    assert machine.step(None) == Challenge(b"")
    token = machine.step(
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
        b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
    )
    assert token == Token("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")
    assert machine.refuse().data.startswith(b"{")
    assert code(machine.step(b"\x01")) == 535
    assert OAuthBearerServer().step(b"n,,\x01auth=Bearer x\x01\x01") == Token(None, "x")


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"n,,\x01\x01",
        b"n,,\x01auth=Basic x\x01\x01",
        b"p=x,,\x01auth=Bearer x\x01\x01",
        b"n,,auth=Bearer x",
    ],
)
def test_oauthbearer_malformed(response: bytes) -> None:
    """A response without a bearer token fails with 501."""
    assert code(OAuthBearerServer().step(response)) == 501


@given(
    st.binary(max_size=60),
    st.sampled_from([PlainServer, LoginServer, OAuthBearerServer, lambda: ScramServer("S")]),
)
def test_total(response: bytes, make: object) -> None:
    """Whatever comes in, a step comes out."""
    assert callable(make)
    assert make().step(response) is not None
