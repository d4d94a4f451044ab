"""A shell for tests: drives a receiver from octets in memory, and over a real socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from angarium.mail.status import Reply, reply
from angarium.wire.events import (
    NEED_DATA,
    Auth,
    Content,
    Data,
    Disconnected,
    Ehlo,
    Event,
    Quit,
    Refused,
    StartTls,
    Vrfy,
    Xclient,
)
from angarium.wire.extensions import Extensions
from angarium.wire.receiver import Limits, Receiver

OK = reply(250, "2.0.0 OK")
MEBIBYTE = 1024 * 1024
OFFERED = Extensions(size=MEBIBYTE, chunking=True, dsn=True, auth=("PLAIN", "LOGIN"), xclient=True)
LIMITS = Limits(message_size=MEBIBYTE)


def accept(event: Event) -> Reply:
    """The answer of a server that wants everything."""
    match event:
        case Data():
            return reply(354, "go on")
        case Auth():
            return reply(334, "")
        case Quit():
            return reply(221, "2.0.0 bye")
        case StartTls() | Xclient():
            return reply(220, "go on")
        case Vrfy():
            return reply(252, "2.5.0 perhaps")
        case _:
            return OK


class Session:
    """One receiver with its answers; `events` and `output` collect what happened."""

    def __init__(
        self,
        extensions: Extensions = OFFERED,
        limits: Limits = LIMITS,
        answer: Callable[[Event], Reply] = accept,
    ) -> None:
        self.receiver = Receiver(limits, extensions)
        self.receiver.send_greeting(reply(220, "mx.example ESMTP"))
        self.answer = answer
        self.events: list[Event] = []
        self.output = self.receiver.data_to_send()

    def feed(self, data: bytes) -> bytes:
        """Hand octets in, answer all events, and return what is said to them."""
        self.receiver.receive_data(data)
        while (event := self.receiver.next_event()) is not NEED_DATA:
            if isinstance(event, Disconnected):
                break
            self.events.append(event)
            self.respond(event)
        said = self.receiver.data_to_send()
        self.output += said
        return said

    def respond(self, event: Event) -> None:
        if isinstance(event, Refused):
            self.receiver.send(event.reply)
        elif isinstance(event, Ehlo):
            self.receiver.send_ehlo("mx.example")
        else:
            self.receiver.send(self.answer(event))

    @property
    def last(self) -> Event:
        return self.events[-1]

    @property
    def contents(self) -> list[bytes]:
        return [event.data for event in self.events if isinstance(event, Content)]


def open_transaction(session: Session) -> Session:
    """Say everything up to the 354."""
    session.feed(b"EHLO c.example\r\nMAIL FROM:<a@t.example>\r\nRCPT TO:<user@testserver>\r\nDATA\r\n")
    assert session.output.endswith(b"354 go on\r\n")
    return session


def feed_in_pieces(session: Session, pieces: Iterable[bytes]) -> Session:
    for piece in pieces:
        session.feed(piece)
    return session


@contextmanager
def server(make_session: Callable[[], Session]) -> Iterator[tuple[str, int]]:
    """A real listener on loopback, one thread a connection; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=_accept, args=(listener, make_session), daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()


def _accept(listener: socket.socket, make_session: Callable[[], Session]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, make_session()), daemon=True).start()


def _serve(connection: socket.socket, session: Session) -> None:
    with connection:
        connection.sendall(session.output)
        while not session.receiver.is_closed:
            try:
                data = connection.recv(65536)
                connection.sendall(session.feed(data))
            except OSError:
                return
            if not data:
                return
