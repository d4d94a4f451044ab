"""How does a changed configuration come into force while mail is flowing?

A child process reads and checks everything (`policy.reading`); the server takes its tables a chunk at a time
between other work, reads only the main file and the operator's code itself, and puts the whole in force at
once, or nothing of it. It refuses what does not load, what would open the relay, and a file that has become
empty (an editor may just be writing it) unless somebody asked. It says why, as `file:line: what, and what to
do`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from angarium.child import Child, begin
from angarium.policy.config import ConfigError, Configuration, Listener, Problem, Source
from angarium.policy.copies import copies_in
from angarium.policy.domain_transfer import DomainReceiver
from angarium.policy.load import Changing, Tables, TablesDiffer, digests_of, is_still, load
from angarium.policy.open_relay import open_relays
from angarium.policy.provenance import shown
from angarium.policy.queue_transfer import QueueReceiver
from angarium.policy.reading import DOMAINS, FRAME, HEAD, QUEUES, Head
from angarium.policy.source import reading_copies, shown_path
from angarium.policy.transfer import TransferError
from angarium.policy.watching import QUIET, FileWatch

log = logging.getLogger(__name__)

READING_LIMIT = 300.0
"""Seconds after which a child that still reads is given up: the operator's code hangs, most likely."""
NICENESS = 10
"""How far the child's priority is below the server's, from its beginning."""
MAX_ATTEMPTS = 5
"""How often reading is begun again because files changed meanwhile."""
RESTART_SECTIONS = ("spool", "log", "control", "dns")
"""Their options are read once, at start."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a reload."""

    taken: bool
    hash: str
    """Of the configuration that is in force now."""
    problems: tuple[Problem, ...]
    """Why it was not taken, or warnings."""


class Loaded(msgspec.Struct, frozen=True):
    """A configuration that loads, and the lines that make it an open relay."""

    configuration: Configuration
    open_relays: list[Problem]


async def load_beside(path: Path, copies: Path | None = None) -> Loaded:
    """Load a configuration, or copies of one, without holding up the event loop.

    Raises ConfigError, Changing.
    """
    with reading_copies(copies_in(copies) if copies else {}):
        return await _load_beside(path, *([str(copies)] if copies else []))


async def _load_beside(path: Path, *further: str) -> Loaded:
    command = (sys.executable, "-P", "-m", "angarium.policy.reading", str(path), *further)
    try:
        child = await begin(command, niceness=NICENESS, has_pipe=True)
    except OSError as error:
        log.warning("cannot start a process to read in: %s; reading here, which may delay sessions", error)
        return await _load_here(path)
    try:
        head, tables = await _receive_or_kill(child)
    except TimeoutError:
        raise _unreadable(
            path, f"reading took longer than {READING_LIMIT:g} s: does the code wait?"
        ) from None
    except (TransferError, asyncio.IncompleteReadError):
        raise _unreadable(path, "reading ended before its time: what was printed above says why") from None
    return await _join(path, head, tables)


async def _load_here(path: Path) -> Loaded:
    """Load in a thread: where the user that serves may not run the interpreter, say."""
    configuration = await asyncio.to_thread(load, path)
    if not is_still(configuration, await asyncio.to_thread(digests_of, configuration.files)):
        raise Changing
    return Loaded(configuration, await asyncio.to_thread(open_relays, configuration))


async def _receive_or_kill(child: Child) -> tuple[Head, Tables]:
    try:
        async with asyncio.timeout(READING_LIMIT):
            return await _receive(child.stdout)
    finally:
        await child.close()


def _unreadable(path: Path, text: str) -> ConfigError:
    return ConfigError([Problem(Source(shown_path(path), 1), text)])


async def _receive(stream: asyncio.StreamReader) -> tuple[Head, Tables]:
    """Take every frame, letting others work between two."""
    kind, content = await _frame(stream)
    if kind != HEAD:
        raise TransferError("the head comes first")
    head = msgspec.msgpack.decode(content, type=Head)
    if head.hash is None:
        raise ConfigError(head.problems, tuple(map(Path, head.files)))
    domains, queues = DomainReceiver(), QueueReceiver()
    while not stream.at_eof():
        kind, content = await _frame(stream)
        if kind == DOMAINS:
            domains.take(content)
        elif kind == QUEUES:
            queues.take(content)
        await asyncio.sleep(0)
    tables = Tables(
        domains=domains.finish(),
        queues=queues.finish(),
        files=tuple(map(Path, head.files)),
        digests=tuple(head.digests),
        empty=tuple(head.empty),
        labels=tuple(head.labels),
    )
    return head, tables


async def _frame(stream: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await stream.read(1)
    if not head:
        return b"", b""
    kind, length = FRAME.unpack(head + await stream.readexactly(FRAME.size - 1))
    return kind, await stream.readexactly(length)


async def _join(path: Path, head: Head, tables: Tables) -> Loaded:
    """Read the main file and the operator's code here, and make sure that all is of one moment."""
    try:
        configuration = load(path, tables)
    except TablesDiffer:
        raise Changing from None
    digests = await asyncio.to_thread(digests_of, configuration.files)
    if configuration.hash != head.hash or not is_still(configuration, digests):
        raise Changing
    whole = msgspec.structs.replace(configuration, problems=tuple(head.problems))
    return Loaded(whole, head.open_relays)


class Reloader:
    """Keeps the configuration in force up to date; `take` is called with each new one, and awaited where it
    takes time. It may raise ConfigError, and Changing to be given the newest; then nothing has changed.
    """

    def __init__(
        self,
        path: Path,
        configuration: Configuration,
        take: Callable[[Configuration], Awaitable[None] | None],
        *,
        allow_open_relay: bool = False,
        quiet: float = QUIET,
        notify: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.configuration = configuration
        """In force."""
        self._path = path
        self._take = take
        self._allow_open_relay = allow_open_relay
        self._quiet = quiet
        self._notify = notify
        self._watch = FileWatch(self._on_change, quiet)
        self._busy = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._files = dict.fromkeys(configuration.files)
        """Those in force, and those of the last attempt."""
        self._refused: dict[Path, bytes | None] = {}
        """What the files were when they were refused last."""

    def start(self) -> None:
        """Watch the files."""
        self._watch.watch(self._files)

    async def close(self) -> None:
        """Watch no longer; a reload under way is given up."""
        await self._watch.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def ask(self) -> None:
        """Reload soon, as SIGHUP asks."""
        self._spawn(self.reload())

    async def reload(self, *, asked: bool = True) -> Result:
        """Load everything again and put it in force, or say why not.

        `asked`: by somebody, and not by a change of files; then files may be empty.
        """
        async with self._busy:
            self._notify("reloading")
            try:
                return await self._reload(asked=asked)
            finally:
                self._notify("ready")

    def _on_change(self) -> None:
        self._spawn(self._reload_if_changed())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_if_changed(self) -> None:
        async with self._busy:
            digests = await asyncio.to_thread(digests_of, self._files)
            if is_still(self.configuration, digests):
                if self._refused:
                    now = self.configuration.hash
                    log.info("the files are mended: they say again what is in force, configuration %s", now)
                self._refused = {}
                return
        if digests != self._refused:
            await self.reload(asked=False)

    async def _reload(self, *, asked: bool) -> Result:
        for _ in range(MAX_ATTEMPTS):
            with contextlib.suppress(Changing):
                return await self._reload_once(asked=asked)
            await asyncio.sleep(self._quiet)
        text = "the files keep changing while they are read: leave them alone for a while"
        return self._refuse(_unreadable(self._path, text))

    async def _reload_once(self, *, asked: bool) -> Result:
        before = await asyncio.to_thread(digests_of, self._files)
        try:
            configuration = await self._checked(asked=asked)
        except Changing:
            raise
        except Exception as surprise:
            if not isinstance(surprise, ConfigError):
                log.exception("reloading failed by a surprise")
            error = surprise if isinstance(surprise, ConfigError) else _unreadable(self._path, repr(surprise))
            self._files = dict.fromkeys((*self.configuration.files, *error.files))
            self._refused = await asyncio.to_thread(digests_of, self._files) | before
            return self._refuse(error)
        self._files, self._refused = dict.fromkeys(configuration.files), {}
        return await self._put_in_force(configuration)

    async def _checked(self, *, asked: bool) -> Configuration:
        """The configuration as it will be in force; raises ConfigError where it must not be."""
        loaded = await load_beside(self._path)
        configuration, notes = keep_what_needs_restart(self.configuration, loaded.configuration)
        problems = list(loaded.open_relays)
        if configuration.listeners != loaded.configuration.listeners:
            problems += [problem for problem in open_relays(configuration) if problem not in problems]
        if self._allow_open_relay:
            notes += [msgspec.structs.replace(problem, is_error=False) for problem in problems]
            problems = []
        if not asked:
            problems += _emptied(self.configuration, configuration)
        if problems:
            raise ConfigError([*problems, *notes], configuration.files)
        return msgspec.structs.replace(configuration, problems=(*configuration.problems, *notes))

    def _refuse(self, error: ConfigError) -> Result:
        for problem in sorted(error.problems):
            level = logging.ERROR if problem.is_error else logging.WARNING
            log.log(level, "%s: %s", problem.source, problem.text)
        now = self.configuration.hash
        log.error("the changed configuration is not taken; configuration %s stays in force", now)
        self._watch.watch(self._files)
        return Result(taken=False, hash=now, problems=tuple(error.problems))

    async def _put_in_force(self, configuration: Configuration) -> Result:
        try:
            taking = self._take(configuration)
            if taking is not None:
                await taking
        except ConfigError as error:
            return self._refuse(error)
        except Changing:
            raise
        except Exception as error:  # a surprise; the server goes on as it was
            log.exception("a configuration that loads could not be put in force")
            return self._refuse(_unreadable(self._path, f"cannot be put in force: {error}"))
        before, self.configuration = self.configuration, configuration
        for problem in sorted(set(configuration.problems) - set(before.problems)):
            log.warning("%s: %s", problem.source, problem.text)
        log.info("configuration %s is in force (before: %s)", configuration.hash, before.hash)
        self._watch.watch(self._files)
        return Result(taken=True, hash=configuration.hash, problems=configuration.problems)


def _emptied(old: Configuration, new: Configuration) -> list[Problem]:
    """Files that say nothing any more, and did before."""
    text = "nothing is said in it any more, so this change is not taken: send SIGHUP if you mean it"
    known = {shown_path(path) for path in old.files}
    return [
        Problem(Source(file, 1), text)
        for file in new.empty_files
        if file in known and file not in old.empty_files
    ]


def keep_what_needs_restart(old: Configuration, new: Configuration) -> tuple[Configuration, list[Problem]]:
    """The new configuration with the old value of what only a restart can change, and a note about each."""
    notes: list[Problem] = []
    kept: dict[str, Any] = {"listeners": _listeners(old, new, notes)}
    for name in ("user", "workers"):
        if getattr(old, name) != getattr(new, name):
            kept[name] = getattr(old, name)
            notes.append(_note(new, name, kept[name]))
    for section in RESTART_SECTIONS:
        was, is_now = getattr(old, section), getattr(new, section)
        kept[section] = was
        changed = [name for name in was.__struct_fields__ if getattr(was, name) != getattr(is_now, name)]
        notes += [_note(new, f"{section}.{name}", getattr(was, name)) for name in changed]
    return msgspec.structs.replace(new, **kept), notes


def _note(new: Configuration, name: str, value: object) -> Problem:
    text = f"{name} needs a restart; until then {shown(value)} holds"
    return Problem(new.sources.get(name) or _beginning(new), text, is_error=False)


def _beginning(configuration: Configuration) -> Source:
    return Source(shown_path(configuration.files[0]), 1)


def _listeners(old: Configuration, new: Configuration, notes: list[Problem]) -> tuple[Listener, ...]:
    """The sockets there are, each with its new options; sockets neither come nor go without a restart."""
    written = {listener.listen: listener for listener in new.listeners}
    known = {listener.listen for listener in old.listeners}
    for listener in new.listeners:
        if listener.listen not in known:
            text = f"listen = {listener.listen!r} needs a restart: nobody listens there until then"
            source = listener.sources.get("listen") or _beginning(new)
            notes.append(Problem(source, text, is_error=False))
    for listen in sorted(known - written.keys()):
        text = f"taking out listen = {listen!r} needs a restart: it is served as before until then"
        notes.append(Problem(_beginning(new), text, is_error=False))
    return tuple(written.get(listener.listen, listener) for listener in old.listeners)
