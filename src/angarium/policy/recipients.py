"""Who exists at a domain? The files that `recipients` names beside `relay_to`.

A file holds one recipient a line: `anna@example.com`, or `anna` for every domain whose entry names the file;
`#` begins a comment. Local parts compare without case, and by what they mean: `"anna"` is `anna`. Every
domain has a postmaster, whom no file needs to name (RFC 5321 section 4.5.1). A recipient that a file does not
hold has no right by `relay_to`, so that mail for nobody is refused at RCPT, and never becomes a bounce to a
forged address.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Set

from angarium.mail.address import Address, AddressError
from angarium.policy.config import ConfigError, Problem, Source

POSTMASTER = "postmaster"


class Recipients:
    """The recipients of one file, which nobody changes once it is in force."""

    __slots__ = ("_names", "digest")

    def __init__(self, names: Set[str], digest: bytes = b"") -> None:
        self._names = names
        self.digest = digest
        """SHA-256 of the file, so that whoever has them knows which file they are of."""

    def __contains__(self, address: Address) -> bool:
        local = address.user.lower()
        return local == POSTMASTER or local in self._names or f"{local}@{address.domain}" in self._names

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


def parse_recipients(octets: bytes, shown: str) -> Recipients:
    """Read a file's octets; raises ConfigError with every line that is wrong."""
    names: set[str] = set()
    problems: list[Problem] = []
    for number, line in enumerate(octets.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            names.add(_name(text))
        except AddressError:
            what = f"{text!r} is no recipient: write anna@example.com, or anna"
            problems.append(Problem(Source(shown, number), what))
    if problems:
        raise ConfigError(problems)
    return Recipients(names, hashlib.sha256(octets).digest())


def _name(text: str) -> str:
    """A line in the form in which it is compared; raises AddressError."""
    address = Address.parse(text if "@" in text else f"{text}@example.com")
    local = address.user.lower()
    return f"{local}@{address.domain}" if "@" in text else local
