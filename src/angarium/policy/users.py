"""Who may log in? The identities of `users.toml`, each with a verifier in place of a password.

A file holds `"name" = "SCRAM-SHA-256$ITERATIONS:SALT$STORED:SERVER"` (RFC 5803 section 3.1), as
`angarium passwd` writes it. Promises that a name that nobody has takes the same work as one that somebody has
and, for as long as the files stay the same, gets the same salt each time. Refuses passwords in place of
verifiers, without repeating them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from angarium.policy.config import Problem
from angarium.policy.source import Document
from angarium.wire.sasl import SCRAM_ITERATIONS, ScramKeys, saslprep

MAX_NAME = 255


class Users:
    """The identities in force; immutable."""

    __slots__ = ("_iterations", "_keys", "_secret")

    def __init__(self, keys: Mapping[str, ScramKeys] | None = None) -> None:
        self._keys = dict(keys or {})
        iterations = [one.iterations for one in self._keys.values()]
        self._iterations = max(iterations, key=iterations.count, default=SCRAM_ITERATIONS)
        secret = hashlib.sha256(b"nobody")
        for one in self._keys.values():
            secret.update(one.server_key)
        self._secret = secret.digest()

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Users({len(self)})"

    def keys(self, name: str) -> tuple[ScramKeys, bool]:
        """The keys of an identity and True; where nobody is called so, keys that nothing opens, and False."""
        known = self._keys.get(prepared_name(name))
        nobody = self._nobody(name)
        return (known, True) if known is not None else (nobody, False)

    def _nobody(self, name: str) -> ScramKeys:
        digest = hmac.digest(self._secret, name.encode(), "sha512")
        return ScramKeys(self._iterations, digest[:16], digest[16:48], digest[32:])


def prepared_name(name: str) -> str:
    """A name as it is compared (RFC 4013); one that cannot be prepared is nobody's."""
    try:
        return saslprep(name)
    except ValueError:
        return ""


def load_users(documents: Iterable[Document]) -> tuple[Users, list[Problem]]:
    """Read users files; with an error among the problems the result must not be used."""
    problems: list[Problem] = []
    keys: dict[str, ScramKeys] = {}
    for document in documents:
        for name, verifier in document.data.items():
            text = _wrong_name(name, keys)
            if text is None:
                try:
                    keys[prepared_name(name)] = ScramKeys.parse(verifier if isinstance(verifier, str) else "")
                except ValueError:
                    text = f"{name!r} has no verifier: make one with `angarium passwd {name}`"
            if text is not None:
                problems.append(Problem(document.source(name), text))
    return Users(keys), problems


def _wrong_name(name: str, known: Mapping[str, ScramKeys]) -> str | None:
    prepared = prepared_name(name)
    if not prepared or len(name) > MAX_NAME:
        return f"{name!r} is not a name that can log in"
    return f"{name!r} stands twice: say it once" if prepared in known else None
