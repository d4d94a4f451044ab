"""policy.hooks: registering handlers, and calling them."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from angarium import Identity, ListenerDomain, Policy, QueueConfig, reject
from angarium.policy.hooks import EVENTS, HandlerCall, HandlerFailed, HookError, Hooks, Rejected

HERE = Path(__file__).name


def hooks_of(function: Callable[..., Any], *, thread: bool = False, timeout: float = 5.0) -> Hooks:
    policy = Policy()
    policy.on(thread=thread)(function)
    return Hooks(policy.handlers, timeout)


def call(function: Callable[..., Any], *args: Any, thread: bool = False, timeout: float = 5.0) -> Any:
    hooks = hooks_of(function, thread=thread, timeout=timeout)
    return asyncio.run(hooks.call(function.__name__, *args))


def failure_of(
    function: Callable[..., Any], *args: Any, thread: bool = False, timeout: float = 5.0
) -> HandlerCall:
    with pytest.raises(HandlerFailed) as caught:
        call(function, *args, thread=thread, timeout=timeout)
    assert str(caught.value.reply).startswith("451 4.3.0 ")
    assert Path(caught.value.call.file).name == HERE
    return caught.value.call


def test_answer_and_account() -> None:
    """A call gives the handler's answer, and tells which handler gave it and how long it took."""

    def get_listener_domain(domain: str, listener: str, conn_meta: object) -> ListenerDomain:
        return ListenerDomain(relay_to=domain == "example.com")

    answer, account = call(get_listener_domain, "example.com", "127.0.0.1:25", None)
    assert answer == ListenerDomain(relay_to=True)
    assert account.event == "get_listener_domain"
    assert Path(account.file).name == HERE
    assert account.line == get_listener_domain.__code__.co_firstlineno
    assert account.seconds >= 0
    assert account.answer == repr(answer)


@pytest.mark.parametrize("thread", [False, True])
def test_where_handlers_run(thread: bool) -> None:
    """Plain handlers run on the event loop, thread handlers elsewhere."""
    ran_in = []

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        ran_in.append(threading.current_thread())

    call(smtp_server_ehlo, "x", None, thread=thread)
    assert (ran_in[0] is threading.main_thread()) is not thread


def test_async_handlers() -> None:
    """Async handlers are awaited."""

    async def get_queue_config(*args: object) -> QueueConfig:
        await asyncio.sleep(0)
        return QueueConfig(max_age=5)

    assert call(get_queue_config, "x", None, None, None, None)[0].max_age == 5


@pytest.mark.parametrize("answer", [True, False, Identity("a"), Identity("a", "b")])
def test_answers_to_auth(answer: bool | Identity) -> None:
    """The AUTH handler answers yes, no, or an identity."""

    def smtp_server_auth_plain(authz: str, authn: str, password: str, conn_meta: object) -> bool | Identity:
        return answer

    assert call(smtp_server_auth_plain, "", "a", "p", None)[0] == answer
    assert Identity("a").authz_id == "a"


@pytest.mark.parametrize("thread", [False, True])
def test_reject(thread: bool) -> None:
    """`reject` is the reply, and says which handler gave it."""

    def smtp_server_ehlo(domain: str, conn_meta: object) -> NoReturn:
        reject(550, "5.7.1 Not\r\nyou")

    with pytest.raises(Rejected) as caught:
        call(smtp_server_ehlo, "x", None, thread=thread)
    assert caught.value.reply.code == 550
    assert "\r" not in caught.value.reply.full_text
    assert caught.value.call is not None
    assert caught.value.call.event == "smtp_server_ehlo"


@pytest.mark.parametrize(("code", "text"), [(250, "ok"), (600, "x"), (550, "4.7.1 no"), (451, "5.7.1 no")])
def test_reject_refuses_nonsense(code: int, text: str) -> None:
    """`reject` takes 4xx and 5xx alone, with a status of the same class."""
    with pytest.raises(ValueError, match="reject"):
        reject(code, text)


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize(
    "error", [ValueError("why"), SystemExit(1), StopIteration("x"), TimeoutError("late")]
)
def test_errors_cost_one_command(
    thread: bool, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a handler raises is one failure with its file and line, and is logged."""

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        raise error

    account = failure_of(smtp_server_ehlo, "x", None, thread=thread)
    assert type(error).__name__ in account.answer
    assert f"{HERE}:{account.line}: handler smtp_server_ehlo failed at" in caplog.text


@pytest.mark.parametrize("thread", [False, True])
def test_errors_are_told_at_the_operators_line(thread: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Where our own function refuses what a handler asks of it, the line that asked is named, not ours."""

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        reject(250, "ok")

    account = failure_of(smtp_server_ehlo, "x", None, thread=thread)
    (said,) = caplog.messages
    assert f"failed at {account.file}:{account.line + 1}: ValueError: reject takes a code" in said


def test_no_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What the AUTH handler raises may hold a password, and is told by its kind alone."""

    def smtp_server_auth_plain(authz: str, authn: str, password: str, conn_meta: object) -> bool:
        raise KeyError(password)

    account = failure_of(smtp_server_auth_plain, "", "a", "hunter2", None)
    assert account.answer.startswith("failed at ")
    assert account.answer.endswith(": KeyError")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("event", "answer", "text"),
    [
        ("smtp_server_ehlo", True, "returned bool: return None"),
        ("get_listener_domain", {"relay_to": True}, "returned dict: return ListenerDomain or None"),
        ("smtp_server_auth_plain", None, "failed: TypeError"),
    ],
)
def test_nonsense_is_a_failure(event: str, answer: object, text: str) -> None:
    """An answer of the wrong kind never counts as one."""

    def handler(*args: object) -> object:
        return answer

    handler.__name__ = event
    assert text in failure_of(handler, *EVENTS[event].parameters).answer


def test_async_time_limit() -> None:
    """An async handler that exceeds the limit has failed."""

    async def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        await asyncio.Event().wait()

    assert "took longer than 0.01 s" in failure_of(smtp_server_ehlo, "x", None, timeout=0.01).answer


def test_thread_time_limit() -> None:
    """A handler in a thread that exceeds the limit has failed; its thread ends when it likes."""
    released = threading.Event()

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        released.wait(10)

    assert (
        "took longer than 0.01 s" in failure_of(smtp_server_ehlo, "x", None, thread=True, timeout=0.01).answer
    )
    released.set()


def test_cancellation_passes_through() -> None:
    """A session that ends while a handler runs is not told a failure."""

    async def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        await asyncio.Event().wait()

    async def session() -> None:
        task = asyncio.create_task(hooks_of(smtp_server_ehlo).call("smtp_server_ehlo", "x", None))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(session())


def test_slow_handlers_are_reported(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain handler that holds up the loop is named, with what to do."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None:
        now[0] += float(domain)

    with caplog.at_level(logging.WARNING):
        call(smtp_server_ehlo, "0.049", None)
        assert caplog.text == ""
        call(smtp_server_ehlo, "0.051", None)
    assert "held up every session for 51 ms" in caplog.text


def test_unknown_events() -> None:
    """A function that is named after no event is refused, with the nearest."""
    policy = Policy()

    def smtp_server_mailfrom(sender: object, conn_meta: object) -> None: ...

    with pytest.raises(HookError, match="did you mean smtp_server_mail_from"):
        policy.on(smtp_server_mailfrom)
    with pytest.raises(HookError, match="events are get_listener_domain"):
        policy.on(lambda: None)


def test_signatures() -> None:
    """A handler must take what its event brings; defaults and stars are welcome."""
    policy = Policy()

    def smtp_server_ehlo(domain: str) -> None: ...

    with pytest.raises(HookError, match=r"must take \(domain, conn_meta\)"):
        policy.on(smtp_server_ehlo)

    def smtp_server_mail_from(*args: object, more: int = 1) -> None: ...

    assert policy.on(smtp_server_mail_from) is smtp_server_mail_from


def test_one_handler_for_an_event() -> None:
    """Two handlers for one event are refused; the text names the place of the first."""
    policy = Policy()

    def smtp_server_ehlo(domain: str, conn_meta: object) -> None: ...

    policy.on(smtp_server_ehlo)
    with pytest.raises(HookError, match=rf"has a handler already, at .*{HERE}:\d+"):
        policy.on(smtp_server_ehlo)


def test_async_needs_no_thread() -> None:
    """An async handler in a thread makes no sense, and is refused."""

    async def smtp_server_ehlo(domain: str, conn_meta: object) -> None: ...

    with pytest.raises(HookError, match="take out thread=True"):
        Policy().on(thread=True)(smtp_server_ehlo)


def test_reject_may_end_the_session() -> None:
    """A refusal closes the session where it says so, or with 421; otherwise the session goes on."""
    for code, disconnect, closes in ((550, False, False), (550, True, True), (421, False, True)):
        with pytest.raises(Rejected) as rejected:
            reject(code, "no", disconnect=disconnect)
        assert rejected.value.reply.closes is closes
