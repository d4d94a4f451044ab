"""The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), for tests and for clients of tests."""

from __future__ import annotations

import base64
import hashlib
import hmac

from angarium.wire.sasl import saslprep


def client_first(authn: str, nonce: str, authz: str = "") -> str:
    """The client's first message; `authz` where it wants to act as somebody."""
    return f"n,{f'a={_saslname(authz)}' if authz else ''},n={_saslname(authn)},r={nonce}"


def client_final(first: str, server_first: str, password: str) -> tuple[str, bytes]:
    """The client's final message, and what a server that knows the keys will answer to it."""
    attributes = dict(part.split("=", 1) for part in server_first.split(","))
    salt, iterations = base64.b64decode(attributes["s"]), int(attributes["i"])
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    flag, authz, first_bare = first.split(",", 2)
    bare = f"c={_b64(f'{flag},{authz},'.encode())},r={attributes['r']}"
    message = f"{first_bare},{server_first},{bare}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"{bare},p={_b64(proof)}", f"v={_b64(hmac.digest(server_key, message, 'sha256'))}".encode()


def _saslname(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
