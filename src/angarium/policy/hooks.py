"""Policy as code: which handlers did the operator write, and what do they answer?

`Policy` is what a policy file makes: it says which configuration it stands on and registers handlers,
checking each at once. `Hooks` calls them for the sessions: it bounds their time, checks what they answer,
and turns every trouble into one HandlerFailed, so that a handler can cost a command and nothing more. A
handler's error is logged with file and line; what an AUTH handler says is never logged, since it may hold
a password.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, NoReturn, TypeVar, overload

import msgspec

from angarium.mail.status import Reply, reply
from angarium.policy.changes import before, changes_since
from angarium.policy.config import QueueConfig, Source
from angarium.policy.decision import HandlerPlace, ListenerDomain
from angarium.policy.match import PolicyTables
from angarium.policy.source import Document, shown_path
from angarium.policy.views import Change, Identity

Function = TypeVar("Function", bound=Callable[..., Any])

SLOW = 0.050
"""Seconds for which a plain handler may hold up everything else without being reported."""
MAX_THREADS = 64
DEFAULT_TIMEOUT = 30.0

_PACKAGE = Path(__file__).parent.parent
_log = logging.getLogger(__name__)


class Event(NamedTuple):
    """What a handler is called with, and what it may answer."""

    parameters: tuple[str, ...]
    answers: tuple[type, ...] = ()
    may_be_none: bool = True


EVENTS = {
    "get_listener_domain": Event(("domain", "listener", "conn_meta"), (ListenerDomain,)),
    "get_queue_config": Event(
        ("domain", "tenant", "campaign", "routing_domain", "conn_meta"), (QueueConfig,)
    ),
    "smtp_server_connection_accepted": Event(("conn_meta",)),
    "smtp_server_ehlo": Event(("domain", "conn_meta")),
    "smtp_server_auth_plain": Event(
        ("authz", "authn", "password", "conn_meta"), (bool, Identity), may_be_none=False
    ),
    "smtp_server_auth_oauthbearer": Event(("authz", "token", "conn_meta"), (Identity,)),
    "smtp_server_mail_from": Event(("sender", "conn_meta")),
    "smtp_server_rcpt_to": Event(("recipient", "conn_meta")),
    "smtp_server_data": Event(("message", "conn_meta")),
    "smtp_server_message_received": Event(("message", "conn_meta")),
    "deliver": Event(("message",), (str,)),
    "report_received": Event(("report", "conn_meta")),
}
_SECRET_EVENTS = frozenset({"smtp_server_auth_plain", "smtp_server_auth_oauthbearer"})


class HookError(TypeError):
    """A handler that cannot be registered; the text says what to write instead."""


class Handler(NamedTuple):
    """One registered handler, and where it stands."""

    event: str
    function: Callable[..., Any]
    source: Source
    in_thread: bool


class HandlerCall(msgspec.Struct, frozen=True):
    """One call as records and decisions tell it."""

    event: str
    file: str
    line: int
    seconds: float
    answer: str
    """What was answered, as text."""
    asked: str = ""
    """The domain or address that it was asked about, for events that are about one."""
    changes: list[Change] | msgspec.UnsetType = msgspec.UNSET
    """What it changed of the message and of metadata, the first of them if they are many."""

    @property
    def place(self) -> HandlerPlace:
        """The handler that was called."""
        return HandlerPlace(self.event, Source(self.file, self.line))


class Placed(NamedTuple):
    """An answer, and which function gave it: for front ends that put several behind one handler."""

    answer: Any
    source: Source
    told: str
    """The answer in the words of the front end's language."""


class Rejected(Exception):  # noqa: N818 - it is an answer, not an error
    """A handler's `reject`. `call` says which handler, once `Hooks.call` has passed it on.

    `source` is for front ends, as in `Placed`.
    """

    def __init__(self, answer: Reply, source: Source | None = None) -> None:
        super().__init__(str(answer))
        self.reply = answer
        self.source = source
        self.call: HandlerCall | None = None


class ForeignError(Exception):
    """An error of a handler that is not Python, so that no traceback tells its place: a front end does."""

    def __init__(self, text: str, source: Source, at: Source | None) -> None:
        super().__init__(text)
        self.source = source
        """The function."""
        self.at = at
        """The line that failed, where it is known."""


class HandlerFailed(Exception):  # noqa: N818 - it is an outcome
    """A handler raised, answered nonsense, or took too long. The command gets `reply`."""

    def __init__(self, call: HandlerCall) -> None:
        super().__init__(f"{call.file}:{call.line}: {call.event}: {call.answer}")
        self.call = call
        self.reply = reply(451, "4.3.0 Local policy failed; try again later")


MAX_REPLY = 2000
"""Characters of a reply that a handler words: some lines, never a document."""


def reject(code: int, text: str, *, disconnect: bool = False) -> NoReturn:
    """Refuse the command with this reply: `reject(550, "5.7.1 Not from here")`.

    The session goes on, unless the code is 421 or `disconnect` says that it ends with this reply.
    The code is 400 to 599 and the enhanced status code, if there is one, of the same class; else ValueError.
    """
    if not 400 <= code <= 599:
        raise ValueError(f"reject takes a code from 400 to 599, not {code!r}")
    if not text.strip() or len(text) > MAX_REPLY:
        raise ValueError(f"reject takes a text of 1 to {MAX_REPLY} characters, not {len(text)}")
    answer = reply(code, text)
    if answer.enhanced is not None and answer.enhanced.class_ != (4 if answer.is_transient else 5):
        raise ValueError(f"reject({code}, ...): the status {answer.enhanced} is of another class")
    raise Rejected(dataclasses.replace(answer, disconnects=True) if disconnect else answer)


@dataclass
class Written:
    """What a front end in another language knows of the file that made a Policy; a Python file needs none."""

    document: Document | None = None
    """`Policy.data`, and where each part of it was written."""
    documents: dict[str, Document] = field(default_factory=dict)
    """Tables that stand in the program, by the name that `Policy.data` has in place of a file's."""
    files: dict[Path, bytes] = field(default_factory=dict)
    """Files that the program has read, absolute, with their SHA-256: when one changes, so does the policy."""
    domains: PolicyTables | None = None
    """What the listener_domains files say: filled in by loading, so that handlers can leave it to them."""
    where: str = ""
    """Where the program says options of the configuration, for advice: ` in angarium.configure { … }`."""


class Policy:
    """The configuration a policy file stands on, with its handlers.

    Either `Policy.load("angarium.toml")`, or the tables of that file as arguments. What they hold is checked
    when the server (or `angarium check`) loads the policy file, and reported with file and line.
    """

    def __init__(  # noqa: PLR0913 - the tables of a file, each by its name
        self,
        *,
        listeners: Sequence[Mapping[str, Any]] = (),
        hostname: str | None = None,
        postmaster: str | None = None,
        workers: int | None = None,
        user: str | None = None,
        content_memory: int | str | None = None,
        shutdown_timeout: float | str | None = None,
        handler_timeout: float | str | None = None,
        policy: Mapping[str, Any] | None = None,
        classifier: Mapping[str, Any] | None = None,
        trace: Mapping[str, Any] | None = None,
        spool: Mapping[str, Any] | None = None,
        log: Mapping[str, Any] | None = None,
        control: Mapping[str, Any] | None = None,
        dns: Mapping[str, Any] | None = None,
    ) -> None:
        given = {
            "listener": list(listeners),
            "hostname": hostname,
            "postmaster": postmaster,
            "workers": workers,
            "user": user,
            "content_memory": content_memory,
            "shutdown_timeout": shutdown_timeout,
            "handler_timeout": handler_timeout,
            "policy": policy,
            "classifier": classifier,
            "trace": trace,
            "spool": spool,
            "log": log,
            "control": control,
            "dns": dns,
        }
        self.data: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        self.base: Path | None = None
        """The main file this stands on; None: `data`."""
        self.source = _caller()
        self.handlers: dict[str, Handler] = {}
        self.written = Written()

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Stand on a TOML or JSON file; a relative name is relative to the file that holds the call."""
        policy = cls()
        policy.source = _caller()
        policy.base = Path(policy.source.file).parent / path
        return policy

    @overload
    def on(self, handler: Function, /) -> Function: ...

    @overload
    def on(self, /, *, thread: bool = False) -> Callable[[Function], Function]: ...

    def on(self, handler: Callable[..., Any] | None = None, /, *, thread: bool = False) -> Callable[..., Any]:
        """Register a function for the event that it is named after; raises HookError.

        `@policy.on(thread=True)` runs a plain function in a thread, where it may block.
        """
        if handler is not None:
            return self._register(handler, in_thread=False)
        return lambda function: self._register(function, in_thread=thread)

    def _register(self, function: Function, *, in_thread: bool) -> Function:
        name = getattr(function, "__name__", repr(function))
        _check_signature(function, name)
        if in_thread and inspect.iscoroutinefunction(function):
            raise HookError(f"{name} is async and so needs no thread: take out thread=True")
        first = self.handlers.get(name)
        if first is not None:
            raise HookError(f"{name} has a handler already, at {first.source}: make them one")
        self.handlers[name] = Handler(name, function, _source_of(function), in_thread)
        return function


def _check_signature(function: Callable[..., Any], name: str) -> None:
    event = EVENTS.get(name)
    if event is None:
        near = get_close_matches(name, EVENTS, 1)
        hint = f"did you mean {near[0]}?" if near else f"events are {', '.join(EVENTS)}"
        raise HookError(f"{name} is not an event: {hint}")
    try:
        inspect.signature(function).bind(*event.parameters)
    except TypeError:
        raise HookError(f"{name} must take ({', '.join(event.parameters)})") from None


def _source_of(function: Callable[..., Any]) -> Source:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return Source(shown_path(Path(code.co_filename)), code.co_firstlineno) if code else _caller()


def _caller() -> Source:
    """The line outside this module that called into it."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    assert frame is not None, "somebody called"
    return Source(shown_path(Path(frame.f_code.co_filename)), frame.f_lineno)


class Hooks:
    """The handlers in force. `timeout`, in seconds, bounds those that do not hold up the event loop."""

    def __init__(
        self, handlers: Mapping[str, Handler] | None = None, timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self.handlers = dict(handlers or {})
        self._timeout = timeout
        self._threads = asyncio.Semaphore(MAX_THREADS)
        self._in_threads = 0

    def handles(self, event: str) -> bool:
        """Whether there is a handler: where there is none, `call` must not be called."""
        return event in self.handlers

    @property
    def is_in_thread(self) -> bool:
        """Whether a handler is at work in a thread."""
        return self._in_threads > 0

    async def call(self, event: str, *args: Any) -> tuple[Any, HandlerCall]:
        """Call the event's handler; returns its answer, and the account of the call.

        Raises Rejected where it rejects, HandlerFailed where it raises, answers nonsense or takes too long.
        """
        handler = self.handlers[event]
        metas = before(args)
        started, told = time.perf_counter(), None
        try:
            answer = await self._answer(handler, args)
            if type(answer) is Placed:
                answer, source, told = answer
                handler = handler._replace(source=source)
            _check_answer(handler, answer)
        except Rejected as rejected:
            handler = handler._replace(source=rejected.source or handler.source)
            said = rejected.reply.code if event in _SECRET_EVENTS else rejected.reply
            rejected.call = _account(handler, args, started, f"reject {said}")
            raise
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a handler's error costs one command, never a session
            raise _failure(handler, args, started, error) from None
        account = _account(handler, args, started, told or _told(answer))
        changes = changes_since(metas, args)
        return answer, msgspec.structs.replace(account, changes=changes) if changes else account

    async def _answer(self, handler: Handler, args: tuple[Any, ...]) -> Any:
        if handler.in_thread:
            return await self._within_limit(self._in_thread(handler, args))
        started = time.perf_counter()
        answer = handler.function(*args)
        seconds = time.perf_counter() - started
        if seconds > SLOW:
            _log.warning(
                "%s: handler %s held up every session for %d ms: make it async, or on(thread=True)",
                handler.source,
                handler.event,
                seconds * 1000,
            )
        return await self._within_limit(answer) if inspect.isawaitable(answer) else answer

    async def _within_limit(self, answer: Awaitable[Any]) -> Any:
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await answer
        except TimeoutError:
            if limit.expired():
                raise _TooLong(f"took longer than {self._timeout:g} s (handler_timeout)") from None
            raise

    async def _in_thread(self, handler: Handler, args: tuple[Any, ...]) -> Any:
        """Run in a thread of its own, which a server that ends does not wait for."""
        await self._threads.acquire()
        self._in_threads += 1
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(answer: Any, error: BaseException | None) -> None:
            self._threads.release()
            self._in_threads -= 1
            if done.cancelled():
                return
            if error is None:
                done.set_result(answer)
            else:
                done.set_exception(_carried(error))

        def run() -> None:
            answer, error = None, None
            try:
                answer = handler.function(*args)
            except BaseException as raised:  # noqa: BLE001 - carried over to the loop
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, answer, error)

        threading.Thread(target=run, name=f"handler {handler.event}", daemon=True).start()
        return await done


class _TooLong(Exception):  # noqa: N818
    """The time limit is over."""


class _Carried(Exception):  # noqa: N818
    """An exception that a future cannot hold, from a thread."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def _carried(error: BaseException) -> Exception:
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    return _Carried(error)


def _check_answer(handler: Handler, answer: Any) -> None:
    event = EVENTS[handler.event]
    if isinstance(answer, event.answers) or (answer is None and event.may_be_none):
        return
    expected = [kind.__name__ for kind in event.answers] + (["None"] if event.may_be_none else [])
    raise TypeError(f"returned {type(answer).__name__}: return {' or '.join(expected)}")


_ABOUT_ONE = frozenset(
    {
        "get_listener_domain",
        "get_queue_config",
        "smtp_server_ehlo",
        "smtp_server_mail_from",
        "smtp_server_rcpt_to",
    }
)
"""Events whose first argument is the domain or address that they are about."""


def _told(answer: object) -> str:
    return "nothing" if answer is None else repr(answer)


def _failure(handler: Handler, args: tuple[Any, ...], started: float, error: BaseException) -> HandlerFailed:
    error = error.error if isinstance(error, _Carried) else error
    what = type(error).__name__
    if handler.event not in _SECRET_EVENTS or isinstance(error, _TooLong):
        what = str(error) if isinstance(error, _TooLong) else f"{what}: {error}"
    at = _raised_at(error)
    if isinstance(error, ForeignError):
        handler = handler._replace(source=error.source)
        what, at = what.removeprefix("ForeignError: "), f" at {error.at}" if error.at else ""
    if isinstance(error, _TooLong):
        at = ""
    failed = HandlerFailed(_account(handler, args, started, f"failed{at}: {what}"))
    _log.error("%s: handler %s failed%s: %s", handler.source, handler.event, at, what)
    return failed


def _raised_at(error: BaseException) -> str:
    """The operator's line that failed: the innermost outside this package, which only did as it was told."""
    for told in filter(None, (error, error.__cause__)):  # a StopIteration is the cause of what comes here
        for frame in reversed(traceback.extract_tb(told.__traceback__)):
            is_made = frame.filename.startswith("<")  # by code that writes code, such as dataclasses
            if not is_made and not Path(frame.filename).is_relative_to(_PACKAGE):
                return f" at {shown_path(Path(frame.filename))}:{frame.lineno}"
    return ""


def _account(handler: Handler, args: tuple[Any, ...], started: float, answer: str) -> HandlerCall:
    event, source = handler.event, handler.source
    seconds = round(time.perf_counter() - started, 6)
    asked = ("<>" if args[0] is None else str(args[0])) if event in _ABOUT_ONE else ""
    return HandlerCall(event, source.file, source.line, seconds, answer, asked)
