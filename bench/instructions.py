"""`python -m bench.instructions`: how many instructions do the pure parts of a message's walk take?

Counted by callgrind (Debian's valgrind), so that the figure is the same on a busy machine and on a quiet one,
and a change of one per cent is seen. One run for all: `getppid`, which nobody else calls, tells callgrind
where a part begins and ends. Where valgrind is missing, calls of functions are counted (sys.setprofile).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

from angarium.mail.address import Address
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.header import outline
from angarium.mail.ident import make_ident
from angarium.mail.status import reply
from angarium.mail.trace import Hop, received_field
from angarium.policy.context import Context
from angarium.policy.domains import load_domains
from angarium.policy.match import PolicyTables
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide
from angarium.policy.source import parse_document
from angarium.queue.message import Stored, encode
from angarium.wire.events import NeedData
from angarium.wire.extensions import Extensions
from angarium.wire.receiver import Limits, Receiver
from angarium.wire.sender import Sender
from bench.markdown import table
from bench.tools import BenchError

TIMES = 200
CONTENT = (
    b"Subject: bench\r\nFrom: <a@example.org>\r\n\r\n" + b"The quick brown fox, and the lazy dog.\r\n" * 250
)
SENDER, RECIPIENT = Address.parse("sender@example.org"), Address.parse("recipient@example.com")
ENVELOPE = Envelope(SENDER, (Recipient(RECIPIENT),), size=len(CONTENT))
_OK = reply(250, "2.0.0 OK")
_GO_ON = reply(354, "go on")


class _Configuration:
    """What `decide` asks of a configuration."""

    hash = "bench"

    def __init__(self, domains: PolicyTables) -> None:
        self.domains = domains


def _reception() -> Receiver:
    receiver = Receiver(Limits(message_size=1 << 20), Extensions(size=1 << 20, chunking=True))
    receiver.send_greeting(reply(220, "hello"))
    _hear(receiver, b"EHLO client.example\r\n", 1)
    return receiver


def _hear(receiver: Receiver, octets: bytes, answers: int) -> None:
    receiver.receive_data(octets)
    for _ in range(answers):
        event = receiver.next_event()
        assert not isinstance(event, NeedData)
        receiver.send(_GO_ON if type(event).__name__ == "Data" else _OK)
    receiver.data_to_send()


def _transmission() -> Sender:
    sender = Sender("client.example")
    offered = b"250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE\r\n"
    sender.receive_data(b"220 next.hop\r\n")
    sender.next_event()
    sender.send_ehlo()
    sender.data_to_send()
    sender.receive_data(b"250-next.hop\r\n" + offered)
    sender.next_event()
    return sender


def parts() -> dict[str, Callable[[], object]]:
    """Name → what is done once for a message."""
    receiver, chunks, sender = _reception(), _reception(), _transmission()
    envelope = b"MAIL FROM:<sender@example.org>\r\nRCPT TO:<recipient@example.com>\r\n"
    loaded, problems = load_domains(
        [parse_document(b'["a.example"]\nrelay_to = true\n', Path("domains.toml"))], []
    )
    assert not problems
    configuration = _Configuration(loaded)
    context = Context(
        listener="in",
        peer=ip_address("127.0.0.1"),
        relay_hosts=NetworkSet.parse(["127.0.0.1"]),
        sender=SENDER,
        recipient=RECIPIENT,
        hostnames=("mx.example.net",),
    )
    hop = Hop("client.example", "127.0.0.1", "mx.example.net", "127.0.0.1", "ESMTP")
    ident = make_ident(1.7e9, b"0123456789")
    stored = Stored(
        sender=str(SENDER), recipient=str(RECIPIENT), queue="example.com", prefix=b"x" * 200, size=10_240
    )

    def send() -> None:
        sender.start_transaction(ENVELOPE, [CONTENT])
        sender.data_to_send()
        sender.receive_data(b"250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.0.0 OK\r\n")
        while not isinstance(sender.next_event(), NeedData):
            pass

    data = envelope + b"DATA\r\n" + CONTENT + b".\r\n"
    bdat = envelope + b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT
    return {
        "nothing": lambda: None,
        "2 a transaction received, DATA, 10 KB": lambda: _hear(receiver, data, 4),
        "2 a transaction received, BDAT, 10 KB": lambda: _hear(chunks, bdat, 3),
        "3 a recipient decided": lambda: decide(configuration, context),
        "5 header section looked at": lambda: outline(CONTENT),
        "5 Received field": lambda: received_field(hop, ident, "recipient@example.com", 1.7e9),
        "5 spool record encoded": lambda: encode(stored),
        "9 a transaction sent, BDAT, 10 KB": send,
    }


def work(mark: Callable[[], object]) -> list[str]:
    """Do each part so many times, and call `mark` before and after; returns the names."""
    todo = parts()
    for part in todo.values():  # what is made at first use is made now
        for _ in range(5):
            part()
    for part in todo.values():
        mark()
        for _ in range(TIMES):
            part()
    mark()
    return list(todo)


def counted() -> tuple[str, dict[str, float]]:
    """What was counted, and how much of it for each part."""
    return ("instructions", _instructions()) if shutil.which("valgrind") else ("calls", _calls())


def _instructions() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            "--dump-before=getppid",
            f"--callgrind-out-file={folder}/out",
        ]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        program = [sys.executable, "-m", "bench.instructions", "work"]
        done = subprocess.run(
            [*command, *program], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise BenchError(f"valgrind: {done.stderr[-500:]}")
        dumps = [
            _total(path) for path in sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        ]
    names = done.stdout.split("\n")[: len(parts())]
    return _each(names, dumps[-len(names) :])


def _total(path: Path) -> int:
    match = re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE)
    return int(match[1]) if match else 0


def _calls() -> dict[str, float]:
    counts = [0]

    def count(_frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            counts[-1] += 1

    sys.setprofile(count)
    try:
        names = work(lambda: counts.append(0))
    finally:
        sys.setprofile(None)
    return _each(names, counts[1:-1])


def _each(names: list[str], totals: list[int]) -> dict[str, float]:
    """For one time, without what the loop around it takes."""
    each = {name: total / TIMES for name, total in zip(names, totals, strict=True)}
    return {name: value - each["nothing"] for name, value in each.items() if name != "nothing"}


def main() -> None:
    """Print one row for each part."""
    if sys.argv[1:] == ["work"]:
        print("\n".join(work(os.getppid)))
        return
    try:
        what, figures = counted()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    print(table(["part", what], [(name, f"{value:,.0f}") for name, value in figures.items()]))
    if what == "calls":
        print("\nCalls of functions, since valgrind is not here (apt-get install valgrind).")


if __name__ == "__main__":
    main()
