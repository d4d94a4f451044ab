"""The program that `aiosmtpd.py` starts: `aiosmtpd_server.py PORT FOLDER`."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from pathlib import Path
from typing import Any

import uvloop
from aiosmtpd.smtp import SMTP  # type: ignore[import-not-found,unused-ignore]


class Keep:
    """A Maildir: written and synced below `tmp`, then renamed into `new`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        for name in ("tmp", "new"):
            (folder / name).mkdir(parents=True)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        await asyncio.to_thread(self._keep, str(next(self._numbers)), envelope.content)
        return "250 2.0.0 OK"

    def _keep(self, name: str, content: bytes) -> None:
        with (self._folder / "tmp" / name).open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        (self._folder / "tmp" / name).rename(self._folder / "new" / name)


async def serve(port: int, folder: Path) -> None:
    handler = Keep(folder)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: SMTP(handler, hostname="bench.invalid"), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
