"""What happened? Reads records from segments, finished and current ones alike, by type and id, once or
following.

Promises: every whole record is found once, in the order of time over all workers and folders; what is torn or
damaged is passed over. A frame that does not hold the id asked for is never taken apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import msgspec

from angarium.log.records import Record
from angarium.log.segment import Name, parse_name, read_frames, segments_in


class Line(msgspec.Struct, frozen=True):
    """One record as it stands in the log, with what it is found by."""

    type: str
    id: str = ""
    event_time: str = ""
    session_id: str = ""
    text: bytes = b""
    """The JSON, without its line end."""

    def record(self) -> Record:
        """The whole record; raises msgspec.ValidationError where another version wrote something else."""
        return msgspec.json.decode(self.text, type=Record)


_decoder = msgspec.json.Decoder(Line)


class Reader:
    """Reads folders of segments; remembers how far it has read."""

    def __init__(
        self, folders: Sequence[Path], *, types: Collection[str] = (), ids: Collection[str] = ()
    ) -> None:
        """`types` and `ids` (of messages or sessions) choose; empty: all."""
        self._folders = list(dict.fromkeys(folders))
        self._types = frozenset(types)
        self._ids = frozenset(ids)
        self._needles = [ident.encode() for ident in self._ids]
        self._read: dict[Path, int] = {}

    def read(self) -> Iterator[Line]:
        """What was not read before, by time."""
        rows = [self._read_row(paths) for paths in self._rows().values()]
        return heapq.merge(*rows, key=_time)

    def follow(self, wait: Callable[[], object]) -> Iterator[Line]:
        """All there is, and then what comes; `wait` is called between two looks, and ends it by raising."""
        while True:
            yield from self.read()
            wait()

    def _rows(self) -> dict[tuple[Path, int, str], list[Path]]:
        """Segments by what wrote them: within a row, lines are in order."""
        rows: dict[tuple[Path, int, str], list[Path]] = {}
        for folder in self._folders:
            for path in segments_in(folder):
                name = parse_name(path.name)
                assert isinstance(name, Name)
                rows.setdefault((folder, name.worker, name.suffix), []).append(path)
        return rows

    def _read_row(self, paths: list[Path]) -> Iterator[Line]:
        for path in paths:
            try:
                yield from self._read_segment(path)
            except FileNotFoundError:
                continue

    def _read_segment(self, path: Path) -> Iterator[Line]:
        for frame in read_frames(path, self._read.get(path, 0)):
            self._read[path] = frame.end
            if self._needles and not any(needle in frame.lines for needle in self._needles):
                continue
            for text in frame.lines.splitlines():
                line = _parse(text)
                if line is not None and self._is_wanted(line):
                    yield line

    def _is_wanted(self, line: Line) -> bool:
        if self._types and line.type not in self._types:
            return False
        return not self._ids or line.id in self._ids or line.session_id in self._ids


def _parse(text: bytes) -> Line | None:
    try:
        line = _decoder.decode(text)
    except msgspec.DecodeError:
        return None
    return Line(line.type, line.id, line.event_time, line.session_id, text)


def _time(line: Line) -> str:
    return line.event_time
