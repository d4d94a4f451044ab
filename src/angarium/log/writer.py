"""Placeholder while the real writer is being built."""
import asyncio
from pathlib import Path

from angarium.log.records import Record, encode_record


class LogError(Exception):
    """The log cannot be written."""


class Writer:
    def __init__(self, config, *, worker, clock):
        Path(config.dir).mkdir(parents=True, exist_ok=True)
        self.file = open(Path(config.dir) / "log.jsonl", "ab")
        self.problem = None

    def write(self, record: Record) -> None:
        self.write_encoded(encode_record(record))

    def write_encoded(self, line: bytes) -> None:
        self.file.write(line + b"\n")

    async def sync(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()
