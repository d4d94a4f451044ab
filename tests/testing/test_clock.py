"""The clock that jumps: what it promises to tests."""

import asyncio
import socket
import threading
import time

import pytest

from angarium.testing.clock import START, StuckError, VirtualClock


def test_a_week_passes_at_once():
    """Sleeping a week takes no real time, and the wall clock moves along by exactly a week."""
    clock = VirtualClock()
    began = time.monotonic()
    clock.run(asyncio.sleep(7 * 86400))
    assert time.monotonic() - began < 1
    assert clock.now() == START + 7 * 86400


def test_timers_fire_in_order_and_on_time():
    """Timers of several tasks fire in the order of their times, each at its own time."""
    clock = VirtualClock()
    seen: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append(clock.elapsed)

    async def main() -> None:
        await asyncio.gather(*(wait(seconds) for seconds in (90.5, 0.25, 3600, 10)))

    clock.run(main())
    assert seen == [0.25, 10, 90.5, 3600]


def test_time_stands_still_while_anything_can_run():
    """Work that is ready never costs virtual time, however much of it there is."""
    clock = VirtualClock()

    async def main() -> None:
        for _ in range(1000):
            await asyncio.sleep(0)

    clock.run(main())
    assert clock.elapsed == 0


def test_a_time_limit_expires():
    """`asyncio.timeout` lives in the same time."""
    clock = VirtualClock()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(300):
                await asyncio.get_running_loop().create_future()

    clock.run(main())
    assert clock.elapsed == 300


def test_threads_of_the_loop_are_waited_for():
    """A timer never overtakes a thread that the loop has started."""
    clock = VirtualClock()
    go = threading.Event()

    async def main() -> str:
        asyncio.get_running_loop().call_soon(threading.Timer(0.02, go.set).start)
        async with asyncio.timeout(60):
            return await asyncio.to_thread(lambda: "done" if go.wait(5) else "late")

    assert clock.run(main()) == "done"
    assert clock.elapsed == 0


def test_announced_work_is_waited_for():
    """While `outside` is open, time stands still, and the thread's own wake-up continues the test."""
    clock = VirtualClock()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        threading.Timer(0.02, loop.call_soon_threadsafe, [done.set_result, "written"]).start()
        with clock.outside():
            await asyncio.wait_for(done, 60)
        return clock.elapsed

    assert clock.run(main()) == 0


def test_a_predicate_announces_work():
    """`busy_while` holds the time as long as its predicate says so, without any wake-up."""
    clock = VirtualClock()
    working = threading.Event()
    working.set()
    clock.busy_while(working.is_set)

    async def main() -> None:
        threading.Timer(0.02, working.clear).start()
        await asyncio.sleep(60)
        assert not working.is_set()

    clock.run(main())
    assert clock.elapsed == 60


def test_sockets_of_the_same_process_cost_no_time():
    """A dialogue over loopback inside one loop is over before any timer fires."""
    clock = VirtualClock(patience=0.05)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> bytes:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            host, port = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b"hello\n")
            async with asyncio.timeout(60):
                line = await reader.readline()
            writer.close()
            return line

    assert clock.run(main()) == b"hello\n"
    assert clock.elapsed == 0


def test_a_test_that_can_never_end_says_so():
    """Waiting for what nobody will ever do raises instead of hanging."""
    clock = VirtualClock(limit=0.05)

    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    loop = clock.new_event_loop()
    task = loop.create_task(main())
    with pytest.raises(StuckError):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_outside_work_has_a_limit():
    """Announced work that never comes to an end raises after `limit` seconds of real time."""
    clock = VirtualClock(limit=0.05)
    clock.busy_while(lambda: True)
    loop = clock.new_event_loop()
    task = loop.create_task(asyncio.sleep(1))
    with pytest.raises(StuckError):
        loop.run_until_complete(task)
    clock._predicates.clear()
    loop.run_until_complete(task)
    loop.close()


def test_a_silent_socket_has_a_limit():
    """A peer that never speaks, with no timer set, raises after `limit` seconds of real time."""
    clock = VirtualClock(limit=0.05)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop = clock.new_event_loop()
    task = loop.create_task(loop.sock_recv(ours, 1))
    with pytest.raises(StuckError):
        loop.run_until_complete(task)
    theirs.send(b"x")
    assert loop.run_until_complete(task) == b"x"
    loop.close()
    ours.close()
    theirs.close()
