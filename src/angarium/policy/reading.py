"""`python -m angarium.policy.reading MAIN-FILE [COPIES]`: reads a whole configuration beside who asked.

Writes frames to its standard output: first what was found (problems, digests), then the tables in chunks.
What the operator's own code prints goes to standard error instead. It ends when everything is written.
"""

from __future__ import annotations

import gc
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from angarium.policy.config import ConfigError, Problem
from angarium.policy.copies import copies_in
from angarium.policy.domain_transfer import domains_to_chunks
from angarium.policy.load import load_with_tables
from angarium.policy.open_relay import open_relays
from angarium.policy.queue_transfer import queues_to_chunks
from angarium.policy.source import reading_copies

FRAME = struct.Struct("!cI")
"""What kind of frame, and how many octets follow."""
HEAD, DOMAINS, QUEUES = b"H", b"D", b"Q"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; without a hash there are errors, and no tables follow."""

    problems: list[Problem]
    hash: str | None = None
    open_relays: list[Problem] = []
    files: list[str] = []
    """Of the tables, or, with errors, all that were named."""
    digests: list[bytes] = []
    empty: list[str] = []
    labels: list[str] = []


def frames(path: Path, copies: Path | None = None) -> Iterator[tuple[bytes, bytes]]:
    """The kind and content of each frame that tells of a configuration, of files or their copies."""
    try:
        with reading_copies(copies_in(copies) if copies else {}):
            configuration, tables = load_with_tables(path)
    except ConfigError as error:
        yield HEAD, _encode(Head(problems=error.problems, files=list(map(str, error.files))))
        return
    head = Head(
        problems=list(configuration.problems),
        hash=configuration.hash,
        open_relays=open_relays(configuration),
        files=list(map(str, tables.files)),
        digests=list(tables.digests),
        empty=list(tables.empty),
        labels=list(tables.labels),
    )
    yield HEAD, _encode(head)
    for chunk in domains_to_chunks(tables.domains):
        yield DOMAINS, chunk
    for chunk in queues_to_chunks(tables.queues):
        yield QUEUES, chunk


_encode = msgspec.msgpack.Encoder().encode


def main() -> None:
    """Write every frame, and end."""
    gc.disable()  # everything lives to the end
    output = _own_output()
    for kind, content in frames(*map(Path, sys.argv[1:])):
        output.write(FRAME.pack(kind, len(content)))
        output.write(content)
    output.flush()
    os._exit(0)  # taking everything down again would only cost time


def _own_output() -> BinaryIO:
    """Standard output for frames alone: whatever else is printed goes to standard error."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


if __name__ == "__main__":
    main()
