"""What is configured? From the main file, and all that it names, to one `Configuration`.

Promises to report every problem of every file together, each with file and line, never a traceback; to take
all files or none; and that the same octets always give the same `hash`. It touches nothing: no directory is
made and no name is looked up in the DNS. The main file is TOML (or JSON), or Python for policy as code.
"""

from __future__ import annotations

import hashlib
import socket
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from angarium.mail.address import AddressError, normalize_domain
from angarium.policy.advice import advise
from angarium.policy.config import (
    ConfigError,
    Configuration,
    ControlConfig,
    DnsConfig,
    Listener,
    ListenerOptions,
    LogConfig,
    Network,
    Problem,
    Source,
    SpoolConfig,
)
from angarium.policy.detour import detoured
from angarium.policy.domain_options import looks_like_entry
from angarium.policy.domains import load_domains
from angarium.policy.egress import Egress, load_egress
from angarium.policy.futile import capped, unprovable
from angarium.policy.hooks import DEFAULT_TIMEOUT, Hooks, Policy, Written
from angarium.policy.listeners import read_listeners
from angarium.policy.main_file import (
    CONTROL_SCHEMA,
    DNS_SCHEMA,
    KEEP_SCHEMA,
    LOG_SCHEMA,
    MAIN_SCHEMA,
    POLICY_SCHEMA,
    RECORD_SCHEMA,
    RECORD_TYPES,
    SPOOL_SCHEMA,
)
from angarium.policy.match import PolicyTables
from angarium.policy.networks import parse_network
from angarium.policy.program import LANGUAGES, run_program
from angarium.policy.queues import QueueTable, load_queues
from angarium.policy.recipients import parse_recipients
from angarium.policy.rule_files import CLASSIFIER_SCHEMA, read_classifier
from angarium.policy.shaping import load_shaping
from angarium.policy.source import Document, read_document, read_octets, shown_path
from angarium.policy.tables import Options, Reader, Schema, unknown
from angarium.policy.trace_keys import TRACE_SCHEMA, read_trace_keys, unheard, unsigned
from angarium.policy.users import load_users

_Small = TypeVar("_Small")

PLACES = ("angarium.toml", "/etc/angarium/angarium.toml")
"""Where the main file is looked for when none is named."""

DEFAULT_RELAY_HOSTS: tuple[Network, ...] = (parse_network("127.0.0.1"), parse_network("::1"))


def find_main_file() -> Path:
    """The main file where none was named; raises ConfigError where there is none."""
    for place in PLACES:
        if Path(place).exists():
            return Path(place)
    text = f"no configuration: write {' or '.join(PLACES)}, or name a file"
    raise ConfigError([Problem(Source(PLACES[0], 1), text)])


class TablesDiffer(Exception):  # noqa: N818 - it is an outcome
    """Tables that were read elsewhere belong to another main file: something changed in between."""


class Changing(Exception):  # noqa: N818 - it is an outcome
    """The files changed while they were read."""


class Tables(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the files that the main file names hold, read already."""

    domains: PolicyTables
    queues: QueueTable
    files: tuple[Path, ...]
    """Absolute, in the order in which the main file names them."""
    digests: tuple[bytes, ...]
    empty: tuple[str, ...]
    labels: tuple[str, ...]
    """The listeners that the sections were bound to."""


def load(path: str | Path, tables: Tables | None = None) -> Configuration:
    """Load the main file and all that it names; raises ConfigError with every problem that was found.

    With `tables`, only the main file is read; raises TablesDiffer where they belong to another version of it.
    """
    return _loading(path, tables).configuration()


def load_policy(policy: Policy) -> Configuration:
    """Load what a policy that was made by a program stands on, with its handlers; raises ConfigError."""
    program = Path(policy.source.file)
    return _loading_policy(policy, program, hashlib.sha256(read_octets(program)).digest()).configuration()


def find_socket(path: str | Path) -> str:
    """The control socket that a main file names, without reading what else it names; raises ConfigError."""
    return _loading(path, None).socket()


def find_log(path: str | Path) -> LogConfig:
    """Where a main file has its records put, whatever is wrong elsewhere in it; raises ConfigError."""
    return _loading(path, None).log()


def load_with_tables(path: str | Path) -> tuple[Configuration, Tables]:
    """Load everything, and say also what `load` needs to do it again without the files of the tables."""
    loading = _loading(path, None)
    configuration = loading.configuration()
    return configuration, loading.tables(configuration)


def _loading(path: str | Path, tables: Tables | None) -> _Loading:
    main = Path(path)
    if main.suffix not in LANGUAGES:
        return _Loading(read_document(main), tables=tables)
    content = read_octets(main)
    policy, notes = run_program(main, content)
    loading = _loading_policy(policy, main, hashlib.sha256(content).digest(), tables)
    loading.problems += notes
    return loading


def _loading_policy(policy: Policy, program: Path, digest: bytes, tables: Tables | None = None) -> _Loading:
    if policy.base is not None:
        document = read_document(policy.base, policy.source)
        return _Loading(document, policy, program, digest, tables)
    document = policy.written.document or Document(
        policy.source.file, program.absolute(), policy.data, digest, {(): policy.source.line}
    )
    return _Loading(document, policy, tables=tables)


class _Loading:
    """One run over the main document and the files it names."""

    def __init__(
        self,
        main: Document,
        policy: Policy | None = None,
        program: Path | None = None,
        program_digest: bytes = b"",
        tables: Tables | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._given = tables
        self._main = main
        self._policy = policy
        self._reader = Reader(main, self.problems)
        self._written = policy.written if policy else Written()
        self._reader.attached |= self._written.files
        self._sources: dict[str, Source] = {}
        self._files = [*([program.absolute()] if program else []), main.path]
        self._digests = [*([program_digest] if program else []), main.digest]
        self._empty = [main.file] if main.is_empty else []
        self._own = len(self._files)
        self._named = list(self._files)

    def socket(self) -> str:
        """Where the control socket is."""
        return self._control(self._spool()).socket

    def log(self) -> LogConfig:
        """Where the records are."""
        log = self._log()
        self._give_up_if_wrong()
        return log

    def tables(self, configuration: Configuration) -> Tables:
        """What was read from the files that the main file names."""
        return Tables(
            domains=configuration.domains,
            queues=configuration.queues,
            files=tuple(self._files[self._own :]),
            digests=tuple(self._digests[self._own :]),
            empty=configuration.empty_files,
            labels=labels(configuration.listeners),
        )

    def configuration(self) -> Configuration:
        """Read everything; raises ConfigError if anything is wrong."""
        self._refuse_domains()
        own = self._options(MAIN_SCHEMA)
        self._check_main(own)
        hostname = own.values.get("hostname") or _machine_name()
        defaults = ListenerOptions(
            hostname=hostname,
            relay_hosts=DEFAULT_RELAY_HOSTS,
            sources={name: source for name, source in own.sources.items() if name == "hostname"},
        )
        listeners = read_listeners(self._reader, defaults)
        spool = self._spool()
        parts: dict[str, Any] = {
            "listeners": listeners,
            "spool": spool,
            "log": self._log(),
            "control": self._control(spool),
            "dns": DnsConfig(**self._options(DNS_SCHEMA, "dns").values),
            "classifier": read_classifier(
                self._reader, self._options(CLASSIFIER_SCHEMA, "classifier").values
            ),
            "trace_keys": read_trace_keys(self._reader, self._options(TRACE_SCHEMA, "trace").values),
        }
        lists = self._options(POLICY_SCHEMA, "policy")
        domains, queues = self._read_tables(lists, listeners)
        self._written.domains = domains
        users = self._small(lists, "users", load_users)
        self._check_secrecy(lists)
        shaping = self._small(lists, "shaping", load_shaping)
        egress = self._small(lists, "egress", load_egress)
        self._check_pools(queues, egress)
        self.problems += unsigned(parts["trace_keys"], listeners, queues)
        self.problems += unheard(queues, domains)
        if self._given is None:  # else who read them has said so
            self.problems += detoured(shaping, queues)
        self.problems += capped(queues)
        if not users and not self._can_authenticate():
            self.problems += unprovable(domains)
        self._read_recipients(domains)
        self._give_up_if_wrong()
        return Configuration(
            **{**own.values, "hostname": hostname},
            **parts,
            domains=domains,
            queues=queues,
            shaping=shaping,
            egress=egress,
            users=users,
            hooks=self._hooks(own.values.get("handler_timeout", DEFAULT_TIMEOUT)),
            sources=self._sources,
            problems=tuple(self.problems),
            hash=_hash([*self._digests, *self._reader.attached.values()]),
            files=(*self._files, *self._reader.attached),
            empty_files=tuple(self._empty),
        )

    def _check_secrecy(self, lists: Options) -> None:
        """Verifiers that everybody may read are guessed at leisure."""
        for name in lists.values.get("users", ()):
            path = Path(self._path(name))
            if path.is_file() and path.stat().st_mode & stat.S_IROTH:
                shown = shown_path(path)
                text = f"every user of this machine can read its verifiers: chmod o-r {shown}"
                self.problems.append(Problem(Source(shown, 1), text, is_error=False))

    def _read_recipients(self, domains: PolicyTables) -> None:
        """Read the files that say who exists at a domain, unless they came with the tables."""
        for name, named_at in domains.places("recipients").items():
            path, known = Path(str(name)), domains.recipients
            self._named.append(path)
            try:
                if name not in known:
                    known[str(name)] = parse_recipients(read_octets(path, named_at), shown_path(path))
                self._reader.attached[path] = known[str(name)].digest
            except ConfigError as error:
                self.problems += error.problems

    def _read_tables(
        self, lists: Options, listeners: tuple[Listener, ...]
    ) -> tuple[PolicyTables, QueueTable]:
        if self._given is not None:
            return self._take_tables(self._given, lists, listeners)
        domains, problems = load_domains(self._documents(lists, "listener_domains"), listeners)
        self.problems += problems
        queues, problems = load_queues(self._documents(lists, "queues"))
        self.problems += problems
        self.problems += advise(domains, listeners, lambda key: queues.lookup(key).routing_domain is not None)
        return domains, queues

    def _take_tables(
        self, tables: Tables, lists: Options, listeners: tuple[Listener, ...]
    ) -> tuple[PolicyTables, QueueTable]:
        """Take what was read elsewhere, if it is what this main file names."""
        names = [name for option in ("listener_domains", "queues") for name in lists.values.get(option, ())]
        names = [name for name in names if name not in self._written.documents]
        files = tuple(Path(self._path(name)).absolute() for name in names)
        if files != tables.files or labels(listeners) != tables.labels:
            raise TablesDiffer
        self._files += tables.files
        self._digests += tables.digests
        self._empty += tables.empty
        return tables.domains, tables.queues

    def _small(
        self, lists: Options, option: str, read: Callable[[list[Document]], tuple[_Small, list[Problem]]]
    ) -> _Small:
        """What small files say, which are read with the main file each time."""
        documents = []
        for index, name in enumerate(lists.values.get(option, ())):
            if name in self._written.documents:
                documents.append(self._written.documents[name])
                continue
            path = Path(self._path(name))
            self._named.append(path.absolute())
            try:
                document = read_document(path, self._main.source("policy", option, index))
            except ConfigError as error:
                self.problems += error.problems
                continue
            documents.append(document)
            self._reader.attached[document.path] = document.digest
            self._empty += [document.file] if document.is_empty else []
        value, problems = read(documents)
        self.problems += problems
        return value

    def _check_pools(self, queues: QueueTable, egress: Egress) -> None:
        for pool, source in queues.named("egress_pool").items():
            if not egress.knows(pool):
                text = f"there is no egress pool {pool!r}: write [pool.'{pool}'.'SOURCE'] in an egress file"
                self.problems.append(Problem(source, text))

    def _can_authenticate(self) -> bool:
        """Whether the operator's code takes identities."""
        return any(event.startswith("smtp_server_auth_") for event in self._hooks(DEFAULT_TIMEOUT).handlers)

    def _hooks(self, timeout: float) -> Hooks:
        return Hooks(self._policy.handlers if self._policy else {}, timeout)

    def _give_up_if_wrong(self) -> None:
        self.problems.sort(key=lambda problem: problem.source)
        if any(problem.is_error for problem in self.problems):
            raise ConfigError(self.problems, (*self._named, *self._reader.attached))

    def _refuse_domains(self) -> None:
        """Say once that this is another kind of file, where every line would be said to be wrong."""
        known = (*MAIN_SCHEMA.options, *MAIN_SCHEMA.tables)
        entries = [entry for key, entry in self._main.data.items() if key not in known]
        if len(entries) == len(self._main.data) and any(map(looks_like_entry, entries)):
            text = (
                "this looks like a listener_domains file: name the main file, whose [policy] names this one"
            )
            raise ConfigError([Problem(self._main.source(), text)], (*self._files,))

    def _check_main(self, own: Options) -> None:
        if "postmaster" not in own.values:
            text = "mail to postmaster is not answered: write postmaster = 'you@example.com'"
            self._reader.problem(text + self._written.where, is_error=False)

    def _options(self, schema: Schema, *path: str) -> Options:
        """The options of a table of the main file, noting where each was written."""
        table: Mapping[str, Any] = self._main.data
        for depth in range(len(path)):
            table = self._reader.table(table, *path[: depth + 1])
        options = self._reader.options(table, schema, *path)
        self._sources |= {".".join((*path, name)): source for name, source in options.sources.items()}
        return options

    def _path(self, name: str) -> str:
        """A file's name as an absolute path: a relative one is relative to the main file."""
        return str(self._main.path.parent / name)

    def _spool(self) -> SpoolConfig:
        given = self._options(SPOOL_SCHEMA, "spool").values
        return SpoolConfig(**{**given, "path": self._path(given.get("path", "spool"))})

    def _control(self, spool: SpoolConfig) -> ControlConfig:
        given = self._options(CONTROL_SCHEMA, "control").values
        return ControlConfig(socket=self._path(given.get("socket", f"{spool.path}/control.sock")))

    def _log(self) -> LogConfig:
        given = self._options(LOG_SCHEMA, "log").values
        keep = self._options(KEEP_SCHEMA, "log", "keep").values
        return LogConfig(
            **{**given, "dir": self._path(given.get("dir", "logs"))},
            keep_age=keep.get("age"),
            keep_size=keep.get("size"),
            per_record=self._per_record(),
        )

    def _per_record(self) -> dict[str, dict[str, Any]]:
        types = self._reader.table(self._reader.table(self._main.data, "log"), "log", "per_record")
        settings = {}
        for name in types:
            if name not in RECORD_TYPES:
                self._reader.problem(unknown(name, RECORD_TYPES), "log", "per_record", name)
                continue
            given = self._options(RECORD_SCHEMA, "log", "per_record", name).values
            if "log_dir" in given:
                given["log_dir"] = self._path(given["log_dir"])
            settings[name] = given
        return settings

    def _documents(self, lists: Options, option: str) -> list[Document]:
        """The files that `[policy]` names under an option; those with problems are left out."""
        documents = []
        for index, name in enumerate(lists.values.get(option, ())):
            if name in self._written.documents:
                documents.append(self._written.documents[name])
                continue
            named_at = self._main.source("policy", option, index)
            path = Path(self._path(name))
            self._named.append(path.absolute())
            try:
                if path.absolute() in self._files:
                    raise ConfigError([Problem(named_at, f"{name} is named twice: name it once")])
                document = read_document(path, named_at)
            except ConfigError as error:
                self.problems += error.problems
                continue
            documents.append(document)
            self._files.append(document.path)
            self._digests.append(document.digest)
            self._empty += [document.file] if document.is_empty else []
        return documents


def labels(listeners: Iterable[Listener]) -> tuple[str, ...]:
    """What sections are bound by: each listener's name, and where it listens."""
    return tuple(f"{listener.label} {listener.listen}" for listener in listeners)


def digests_of(files: Iterable[Path]) -> dict[Path, bytes | None]:
    """What each file is now, as a digest; None for one that cannot be read."""
    return {path: _digest(path) for path in files}


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(read_octets(path)).digest()
    except ConfigError:
        return None


def is_still(configuration: Configuration, digests: Mapping[Path, bytes | None]) -> bool:
    """Whether the files with these digests are the ones that the configuration was made of."""
    known = [digest for path in configuration.files if (digest := digests.get(path)) is not None]
    return len(known) == len(configuration.files) and _hash(known) == configuration.hash


def _machine_name() -> str:
    """The machine's own name, which a greeting can carry."""
    try:
        return normalize_domain(socket.gethostname())
    except AddressError:
        return "localhost"


def _hash(digests: list[bytes]) -> str:
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16]
