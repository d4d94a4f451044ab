"""Running a policy file in Lua: what it declares becomes a configuration, what it registers the handlers.

It is read first, for what is not here, then run in a state of its own; everything that is found wrong is told
together, with file and line. Each further state of a worker runs the file anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from angarium.lua import egress
from angarium.lua.catalogue import EVENTS, missing_event, missing_function, missing_method, missing_module
from angarium.lua.declared import LIMITS_SCHEMA, Call, Declared, checked_options
from angarium.lua.handlers import Chain, Function, Pool
from angarium.lua.host import hosted
from angarium.lua.reading import Reading, absent_modules, read_modules
from angarium.lua.state import Failure, Limits, Refusal, State
from angarium.lua.values import from_lua, text_from_lua
from angarium.policy.config import ConfigError, Problem, Source
from angarium.policy.hooks import EVENTS as OUR_EVENTS
from angarium.policy.hooks import Handler, Policy
from angarium.policy.load import load_policy
from angarium.policy.source import is_file, parse_document, read_octets, shown_path

_PLACED = re.compile(r"(?s)(?P<file>[^\n]*?):(?P<line>\d+): (?P<text>.*)")
_LOADING = frozenset({"pre_init", "init", "get_egress_pool", "get_egress_source", "get_egress_path_config"})
"""Events that are over when the file is loaded."""
_NO_LISTENER = (
    "nothing to listen on: write kumo.start_esmtp_listener { listen = '0.0.0.0:25' } in kumo.on('init', …)"
)
_PARAMETERS = {"get_egress_pool": 1, "get_egress_source": 1, "get_egress_path_config": 3}


def run_program(path: Path, content: bytes) -> tuple[Policy, list[Problem]]:
    """Run a policy file; returns what it makes, and notes. Raises ConfigError with all that is wrong."""
    program = Program(path, content)
    try:
        return program.policy(), program.notes()
    except ConfigError as error:
        raise ConfigError(_with_further(path, content, error.problems), error.files) from None


def _with_further(path: Path, content: bytes, found: list[Problem]) -> list[Problem]:
    """What is wrong, with what is wrong besides in what the file declares: all can be mended at once."""
    program = Program(path, content, is_tolerant=True)
    state = program.run()
    further = program.problems()
    if state is not None and program.declared.data["listener"]:
        try:
            load_policy(program.made_by(state))
        except ConfigError as error:
            further += error.problems
    return sorted({*found, *further})


class Program:
    """One policy file, the states that have run it, and what it has told.

    `is_tolerant`: what is not here does nothing when it is called, so that the rest is heard all the same.
    """

    def __init__(self, path: Path, content: bytes, *, is_tolerant: bool = False) -> None:
        self._is_tolerant = is_tolerant
        self.path = path.absolute()
        self.shown = shown_path(path)
        self.content = content
        text = content.decode("utf-8", "surrogateescape")
        self.main = Reading(text, self.shown)
        self.modules: dict[str, Reading] = {}
        self.files: dict[Path, bytes] = {}
        self._octets: dict[Path, bytes] = {}
        """What the files said that were read: every state runs the same."""
        self.declared = Declared(path, self.shown)
        self.functions: dict[str, list[Function]] = {}
        """The handlers of each event, in their order."""
        self.setup: Source | None = None
        """Where `listener_domains:setup` was called."""
        self.limits = Limits()
        self.domains: Callable[[], Any] = lambda: None
        self._notes: list[Problem] = []
        self._problems: list[Problem] = []
        self._is_loading = True

    # -- running -------------------------------------------------------------------------------------------

    def policy(self) -> Policy:
        """Read and run the file; raises ConfigError."""
        state = self.run()
        if state is None or self._errors():
            raise ConfigError(self.problems(), (self.path, *self.files))
        return self.made_by(state)

    def made_by(self, state: State) -> Policy:
        """What the file has made, once a state has run it to its end."""
        policy = Policy()
        policy.source = Source(self.shown, 1)
        policy.data = self.declared.data
        written = policy.written
        written.document = self.declared.document(hashlib.sha256(self.content).digest())
        written.documents = self.declared.documents
        written.files = self.files
        written.where = " in angarium.configure { … }"
        self.domains = lambda: written.domains
        pool = Pool(self._state, state)
        for event, functions in self.handlers().items():
            chain = Chain(event, functions, pool, is_lone=self._answers_alone(event))
            policy.handlers[event] = Handler(event, chain.handler(), functions[0].source, in_thread=False)
        return policy

    def run(self) -> State | None:
        """Read and run the file; None where it did not reach its end."""
        state = self._first_state()
        self._is_loading = False
        self.modules = read_modules(self.main, self.path.parent, self.modules)
        self._finish(state)
        return state

    def handlers(self) -> dict[str, list[Function]]:
        """The functions behind each event of the server's; none where the files alone would be asked."""
        return {
            event: functions
            for event, functions in self.functions.items()
            if event in OUR_EVENTS and not all(one.is_files for one in functions)
        }

    def problems(self) -> list[Problem]:
        """Everything that was found wrong, and warnings."""
        return sorted(self._all_problems())

    def notes(self) -> list[Problem]:
        """Warnings, of reading and running."""
        return [problem for problem in self._all_problems() if not problem.is_error]

    def _first_state(self) -> State | None:
        try:
            state = self._state()
            for event in ("pre_init", "init"):
                if event in self.functions:
                    state.call(event)
        except Failure as failure:
            self._problems.append(self._problem(failure))
            return None
        except Refusal:
            self._problems.append(Problem(Source(self.shown, 1), "kumo.reject is for handlers of mail"))
            return None
        return state

    def _state(self) -> State:
        """A state that has run the file; raises Failure."""
        if not self._is_loading:
            again = Program(self.path, self.content)
            again.limits, again.domains, again._octets = self.limits, self.domains, self._octets
            state = again._state()
            again._is_loading = False
            return state
        state = State(self._host(), Limits(self.limits.max_instructions, self.limits.max_memory))
        self._current = state
        state.start(self.content, self.shown)
        return state

    def _problem(self, failure: Failure) -> Problem:
        """The problem that a failure is, at its line."""
        if failure.file is not None:
            return Problem(Source(failure.file, failure.line or 1), _one_line(failure.text))
        placed = _PLACED.match(failure.text)
        if placed is None:
            return Problem(Source(self.shown, 1), _one_line(failure.text))
        return Problem(Source(self._whole(placed["file"]), int(placed["line"])), _one_line(placed["text"]))

    def _whole(self, shortened: str) -> str:
        """The name of a file that Lua has shortened for its message."""
        names = [self.shown, *(reading.shown for reading in self.modules.values())]
        end = shortened.removeprefix("...")
        return next((name for name in names if name.endswith(end)), self.shown)

    def _finish(self, state: State | None) -> None:
        """What is decided when the file has ended."""
        self._lone_setup()
        if state is not None and not self.declared.data["listener"]:
            self._problems.append(Problem(Source(self.shown, 1), _NO_LISTENER))
        if state is not None and not self._errors():
            try:
                egress.ask(self, state)
            except Failure as failure:
                self._problems.append(self._problem(failure))

    def _lone_setup(self) -> None:
        handlers = self.functions.get("get_listener_domain", [])
        if self.setup is not None and handlers and not any(one.is_files for one in handlers):
            text = (
                f"the files of setup answer only where {handlers[0].source} calls what it returned: "
                "give it to kumo.on('get_listener_domain', …) to let them answer for all"
            )
            self._notes.append(Problem(self.setup, text, is_error=False))

    def _answers_alone(self, event: str) -> bool:
        """Whether the files must not answer where the handlers are silent."""
        functions = self.functions[event]
        return event == "get_listener_domain" and not any(one.is_files for one in functions)

    def _all_problems(self) -> list[Problem]:
        readings = (self.main, *self.modules.values())
        allowed = set().union(*(reading.allowed for reading in readings))
        bound = frozenset().union(*(reading.names.bound for reading in readings))
        found = []
        for reading in readings:
            reading.allowed = allowed
            found += reading.judged(bound)
        found += absent_modules(self.main, self.path.parent, self.modules)
        lines = {problem.source for problem in found if problem.is_error}
        found += [problem for problem in self._problems if problem.source not in lines]
        return list(dict.fromkeys([*found, *self.declared.notes, *self._notes]))

    def _errors(self) -> list[Problem]:
        return [problem for problem in self._all_problems() if problem.is_error]

    # -- what the prelude calls ----------------------------------------------------------------------------

    def _host(self) -> dict[str, Callable[..., Any]]:
        declared = self.declared
        declaring = {
            "start_esmtp_listener": declared.add_listener,
            "define_spool": declared.define_spool,
            "configure_local_logs": declared.configure_logs,
            "configure_bounce_classifier": declared.configure_classifier,
            "configure": self._configure,
            "setup_listener_domains": self._setup_domains,
            "setup_queue": lambda items, call: declared.add_files("queues", items, call),
            "setup_sources": lambda items, call: declared.add_files("egress", items, call),
        }
        host: dict[str, Callable[..., Any]] = {
            name: hosted(self._declaring(f)) for name, f in declaring.items()
        }
        loads = {"json_load": ".json", "toml_load": ".toml"}
        host |= {name: hosted(self._loading(suffix)) for name, suffix in loads.items()}
        host |= {
            "register": hosted(self._register),
            "files_answer": hosted(self._files_answer),
            "module": self._module,
            "is_tolerant": lambda: self._is_tolerant,
            "missing": lambda name: _missing_function(text_from_lua(name)),
            "missing_method": lambda title, name: _missing_method(title, text_from_lua(name)),
        }
        return host

    def _declaring(self, declare: Callable[[Any, Call], None]) -> Callable[..., None]:
        def call(options: Any, file: str | None, line: int | None) -> None:
            if not self._is_loading:
                raise ValueError("this is for the file itself and for init, not for handlers")
            declare(from_lua(options), self._call(file, line))

        return call

    def _call(self, file: str | None, line: int | None) -> Call:
        name = text_from_lua(file) if file else self.shown
        reading = next((one for one in (self.main, *self.modules.values()) if one.shown == name), None)
        return Call(Source(name, line or 1), reading.table_at(line or 1) if reading else None)

    def _configure(self, options: Any, call: Call) -> None:
        self.declared.configure(options, call)
        limits = checked_options(options.get("lua", {}), LIMITS_SCHEMA)
        limits.pop("allow", None)
        if limits:
            self._current.set_limits(**limits)
            self.limits = self._current.limits

    def _setup_domains(self, items: Any, call: Call) -> None:
        if self.setup is not None:
            raise ValueError(f"setup is called twice: first at {self.setup}; name every file there")
        self.setup = call.source
        self.declared.add_files("listener_domains", items, call)

    def _register(self, event: str, file: str, line: int, parameters: int, is_files: bool) -> None:
        event = text_from_lua(event)
        missing = missing_event(event)
        if missing is not None and self._is_tolerant:
            return  # reading the file has told of it
        if missing is not None:
            raise ValueError(missing)
        if not self._is_loading:
            raise ValueError("kumo.on is for the file itself, not for handlers")
        ours = OUR_EVENTS.get(event)
        takes = len(ours.parameters) if ours is not None else _PARAMETERS.get(event, 0)
        if parameters > takes:
            raise ValueError(
                f"{event} calls with {takes} parameters here: {EVENTS[event].text or 'take out the rest'}"
            )
        source = Source(text_from_lua(file), line)
        self.functions.setdefault(event, []).append(Function(source, is_files))

    def _files_answer(self, domain: str, listener: str, connection: Any) -> bool:
        """Whether the files have an entry for a domain, on the listener of a session."""
        tables = self.domains()
        if tables is None:
            raise ValueError("the files answer when mail comes, not while the policy is loaded")
        local = egress.address_of(listener)
        found = tables.lookup(text_from_lua(domain) or "<>", tables.scope(connection.listener, local))
        return found is not None

    def _loading(self, suffix: str) -> Callable[[Any], Any]:
        def load(name: str) -> Any:
            path = self.path.parent / text_from_lua(name)
            octets = self._read(path)
            self.files[path.absolute()] = hashlib.sha256(octets).digest()
            return self._current.to_lua(parse_document(octets, path.with_suffix(suffix)).data)

        def loaded(name: str) -> Any:
            try:
                return load(name)
            except ConfigError as error:
                raise ValueError(str(error)) from None

        return loaded

    def _module(self, name: str, search: str) -> tuple[Any, ...]:
        """The text of a module beside the policy file, or where its `package.path` says, and its name."""
        name = text_from_lua(name)
        missing = missing_module(name)
        if missing is not None:
            return (False, missing)
        for path in self._places(name, text_from_lua(search)):
            if path in self._octets or is_file(path):
                octets = self._read(path)
                shown = shown_path(path)
                self.files[path.absolute()] = hashlib.sha256(octets).digest()
                self.modules[name] = Reading(octets.decode("utf-8", "surrogateescape"), shown)
                return (True, octets, shown.encode("utf-8", "surrogateescape"))
        return (False, f"there is no module {name} beside {self.shown}")

    def _read(self, path: Path) -> bytes:
        """What a file said when the first state read it; raises ConfigError."""
        if path not in self._octets:
            self._octets[path] = read_octets(path)
        return self._octets[path]

    def _places(self, name: str, search: str) -> Iterator[Path]:
        part = name.replace(".", "/")
        for template in ("?.lua", "?/init.lua", *filter(None, search.split(";"))):
            yield self.path.parent / template.replace("?", part)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _missing_function(name: str) -> bytes:
    return (missing_function(name) or f"there is no {name}").encode()


def _missing_method(title: str, name: str) -> bytes:
    return (missing_method(name) or f"{title}:{name} is not available in Angarium").encode()
