"""SASL mechanisms as pure machines: PLAIN, LOGIN, SCRAM-SHA-256, OAUTHBEARER (RFC 4616, 5802, 7677, 7628).

Answers "who says they are who, and what must be checked?". A server machine takes decoded responses with
`step` and gives a Challenge to send, a claim that the shell has to check (Password, Token), a request for
stored keys (KeysWanted), Authenticated, or Failed with its reply. It knows no user, clock or entropy: nonces
and keys come in.

Promises: nothing but these steps comes out, whatever comes in; secrets are compared in constant time and
stand in no `repr`. Refuses channel binding, which is not offered.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import stringprep
import unicodedata
from dataclasses import dataclass
from typing import Protocol

from angarium.mail.status import Reply, reply

SCRAM_ITERATIONS = 4096  # RFC 7677 section 4: at least
MAX_ITERATIONS = 1_000_000

_MALFORMED = reply(501, "5.5.2 the response is not well formed")
_WRONG = reply(535, "5.7.8 authentication failed")

# RFC 5802 section 7
_SASLNAME = r"(?:[^,=\x00]|=2C|=3D)+"
_GS2 = rf"(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authz>{_SASLNAME}))?,"
_CLIENT_FIRST = re.compile(
    rf"(?P<gs2>{_GS2})(?P<bare>n=(?P<authn>{_SASLNAME}),r=(?P<nonce>[!-+\--~]+)(?:,.*)?)"
)
_BASE64 = r"[A-Za-z0-9/+=]+"
_CLIENT_FINAL = re.compile(
    rf"(?P<bare>c=(?P<binding>{_BASE64}),r=(?P<nonce>[!-+\--~]+)(?:,.*)?),p=(?P<proof>{_BASE64})"
)
_STORED = re.compile(rf"SCRAM-SHA-256\$([0-9]{{1,7}}):({_BASE64})\$({_BASE64}):({_BASE64})")
# RFC 7628 section 3.1
_BEARER = re.compile(rf"{_GS2}\x01(?P<pairs>(?:[A-Za-z]+=[^\x01]*\x01)*)\x01")
_AUTH_VALUE = re.compile(r"Bearer ([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this, base64-encoded, in a 334."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Password:
    """Check this password; an empty authorisation identity was made the authentication identity."""

    authz: str
    authn: str
    password: str

    def __repr__(self) -> str:
        return f"Password(authz={self.authz!r}, authn={self.authn!r})"


@dataclass(frozen=True, slots=True)
class Token:
    """Check this bearer token; `authz` is None where the client leaves that to the token."""

    authz: str | None
    token: str

    def __repr__(self) -> str:
        return f"Token(authz={self.authz!r})"


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """Look up the stored keys of this identity, then go on with `ScramServer.give_keys`."""

    authn: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The client has proved to be `authn`, and wants to act as `authz`."""

    authz: str
    authn: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The exchange is over."""

    reply: Reply


Step = Challenge | Password | Token | KeysWanted | Authenticated | Failed


class ServerMechanism(Protocol):
    """What every server machine can do."""

    def step(self, response: bytes | None) -> Step:
        """Take a decoded response; None: AUTH came without an initial one."""
        ...


def _text(octets: bytes) -> str | None:
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


class PlainServer:
    """PLAIN: authz NUL authn NUL password (RFC 4616)."""

    def step(self, response: bytes | None) -> Step:
        """Ask for the response, or read it."""
        if response is None:
            return Challenge(b"")
        fields = [_text(field) for field in response.split(b"\0")]
        match fields:
            case [str(authz), str(authn), str(password)] if authn and password:
                return Password(authz or authn, authn, password)
            case _:
                return Failed(_MALFORMED)


class LoginServer:
    """LOGIN: first the name, then the password; no standard, but older clients know nothing else."""

    def __init__(self) -> None:
        self._authn: str | None = None

    def step(self, response: bytes | None) -> Step:
        """Ask for the name, then for the password."""
        if response is None:
            return Challenge(b"Username:")
        text = _text(response)
        if not text:
            return Failed(_MALFORMED)
        if self._authn is not None:
            return Password(self._authn, self._authn, text)
        self._authn = text
        return Challenge(b"Password:")


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server stores instead of a password (RFC 5802 section 3)."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return "ScramKeys()"

    @classmethod
    def derive(cls, password: str, salt: bytes, iterations: int = SCRAM_ITERATIONS) -> ScramKeys:
        """Make keys from a password; slow on purpose (RFC 5802 section 3)."""
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        return cls(iterations, salt, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key"))

    def matches(self, password: str) -> bool:
        """Whether this is the password; slow on purpose."""
        try:
            derived = ScramKeys.derive(password, self.salt, self.iterations)
        except ValueError:
            return False
        return hmac.compare_digest(derived.stored_key, self.stored_key)

    def __str__(self) -> str:
        salt, stored, server = (_b64(octets) for octets in (self.salt, self.stored_key, self.server_key))
        return f"SCRAM-SHA-256${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> ScramKeys:
        """Read the text form (RFC 5803 section 3.1); raises ValueError, without the text."""
        match = _STORED.fullmatch(text)
        if match is None or not SCRAM_ITERATIONS <= int(match[1]) <= MAX_ITERATIONS:
            raise ValueError("not SCRAM-SHA-256 keys")
        salt, stored, server = (base64.b64decode(field, validate=True) for field in match.groups()[1:])
        if len(stored) != 32 or len(server) != 32:
            raise ValueError("not SCRAM-SHA-256 keys")
        return cls(int(match[1]), salt, stored, server)


class ScramServer:
    """SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.

    The shell gives keys for identities that do not exist too (the same ones each time), with `known` False,
    so that nobody learns who exists.
    """

    def __init__(self, nonce: str) -> None:
        self._server_nonce = nonce
        self._first: re.Match[str] | None = None
        self._server_first = ""
        self._keys: ScramKeys | None = None
        self._known = False
        self._proved: Authenticated | None = None

    def step(self, response: bytes | None) -> Step:
        """Take the client's first or final message, or its empty answer to the server's signature."""
        if response is None:
            return Challenge(b"")
        if self._proved is not None:
            return self._proved if response == b"" else Failed(_MALFORMED)
        text = _text(response) or ""
        return self._take_first(text) if self._keys is None else self._take_final(text, self._keys)

    def _take_first(self, text: str) -> Step:
        self._first = _CLIENT_FIRST.fullmatch(text)
        if self._first is None or self._first["flag"][0] == "p":
            return Failed(_MALFORMED)
        return KeysWanted(_saslname(self._first["authn"]))

    def give_keys(self, keys: ScramKeys, *, known: bool) -> Challenge:
        """Go on after KeysWanted; `known` tells whether there is such an identity."""
        assert self._first is not None
        self._keys, self._known = keys, known
        nonce = self._first["nonce"] + self._server_nonce
        self._server_first = f"r={nonce},s={_b64(keys.salt)},i={keys.iterations}"
        return Challenge(self._server_first.encode())

    def _take_final(self, text: str, keys: ScramKeys) -> Step:
        final = _CLIENT_FINAL.fullmatch(text)
        first = self._first
        if first is None or final is None:
            return Failed(_MALFORMED)
        if (
            _unb64(final["binding"]) != first["gs2"].encode()
            or final["nonce"] != first["nonce"] + self._server_nonce
        ):
            return Failed(_MALFORMED)
        message = f"{first['bare']},{self._server_first},{final['bare']}".encode()
        if not (_proves(keys, message, _unb64(final["proof"])) and self._known):
            return Failed(_WRONG)
        authn = _saslname(first["authn"])
        self._proved = Authenticated(_saslname(first["authz"] or "") or authn, authn)
        return Challenge(f"v={_b64(_hmac(keys.server_key, message))}".encode())


def _proves(keys: ScramKeys, message: bytes, proof: bytes) -> bool:
    """Whether the proof was made by somebody who knows the client key (RFC 5802 section 3)."""
    signature = _hmac(keys.stored_key, message)
    client_key = bytes(a ^ b for a, b in zip(signature, proof.ljust(32, b"\0"), strict=False))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key) and len(proof) == 32


class OAuthBearerServer:
    """OAUTHBEARER (RFC 7628): a token that the shell has to check."""

    def __init__(self) -> None:
        self._refused = False

    def step(self, response: bytes | None) -> Step:
        """Ask for the token, or read it; after `refuse`, take the client's dummy answer."""
        if self._refused:
            return Failed(_WRONG)
        if response is None:
            return Challenge(b"")
        match = _BEARER.fullmatch(_text(response) or "")
        if match is None or match["flag"][0] == "p":
            return Failed(_MALFORMED)
        pairs = dict(pair.split("=", 1) for pair in match["pairs"].split("\x01") if pair)
        token = _AUTH_VALUE.fullmatch(pairs.get("auth", ""))
        if token is None:
            return Failed(_MALFORMED)
        return Token(_saslname(match["authz"]) if match["authz"] else None, token[1])

    def refuse(self) -> Challenge:
        """The token is not good: what the client is told before the end (RFC 7628 section 3.2.2)."""
        self._refused = True
        return Challenge(b'{"status":"invalid_token"}')


def plain_response(authn: str, password: str) -> bytes:
    """A client's initial response of PLAIN; raises ValueError for a NUL, which PLAIN cannot carry."""
    if "\0" in authn or "\0" in password:
        raise ValueError("NUL in a credential")
    return f"\0{authn}\0{password}".encode()


def login_responses(authn: str, password: str) -> tuple[bytes, bytes]:
    """A client's two responses of LOGIN, whatever the server's prompts say."""
    return authn.encode(), password.encode()


def saslprep(text: str) -> str:
    """Prepare a password (RFC 4013); raises ValueError for what it forbids."""
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char for char in text if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if any(forbidden(char) for char in prepared for forbidden in _FORBIDDEN):
        raise ValueError("a character that passwords may not hold")
    if any(map(stringprep.in_table_d1, prepared)):
        ends_right = stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
        if any(map(stringprep.in_table_d2, prepared)) or not ends_right:
            raise ValueError("directions that passwords may not mix")
    return prepared


_FORBIDDEN = (
    stringprep.in_table_a1,
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def _saslname(text: str) -> str:
    return text.replace("=2C", ",").replace("=3D", "=")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
