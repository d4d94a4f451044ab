"""A sink in a thread of its own, so that blocking clients and other event loops can talk to it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from angarium.testing.rules import Action, Rules, parse_rule
from angarium.testing.sink import Received, Sink, SinkOptions


@contextmanager
def serving(
    *rules: tuple[Action, str], options: SinkOptions | None = None
) -> Iterator[tuple[Sink, list[Received]]]:
    """A running sink, with its `address`, and the messages that it has received."""
    received: list[Received] = []
    options = options or SinkOptions(keeps_content=True)
    sink = Sink(Rules(parse_rule(*rule) for rule in rules), options, received.append)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        sink.address = asyncio.run_coroutine_threadsafe(sink.start(), loop).result(5)  # type: ignore[attr-defined]
        yield sink, received
    finally:
        asyncio.run_coroutine_threadsafe(sink.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
