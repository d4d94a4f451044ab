"""What must hold whatever strangers send: one function for each reader, that asserts it for some octets.

The tests run them on octets of hypothesis; `fuzz.run` on those of atheris, which looks for new paths through
the code. Each asserts invariants of its reader, not only that nothing raises.
"""

from __future__ import annotations

import asyncio
import atexit
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from angarium.mail.address import Address, AddressError, parse_mailbox
from angarium.mail.envelope import Envelope, Recipient
from angarium.mail.status import Reply, reply
from angarium.mail.trace import (
    Key,
    read_reverse_path,
    read_supplemental,
    signed_reverse_path,
    supplemental_field,
)
from angarium.policy.config import ConfigError
from angarium.policy.domains import load_domains
from angarium.policy.source import parse_document
from angarium.policy.users import load_users
from angarium.reports.classify import Classifier
from angarium.reports.detect import examine
from angarium.reports.rules import shipped
from angarium.spool.errors import SpoolError
from angarium.spool.store import Store
from angarium.wire import events, sasl, sender
from angarium.wire.extensions import Extensions
from angarium.wire.framing import is_canonical
from angarium.wire.proxy import MAX_HEADER, ProxyError, ProxyReader
from angarium.wire.receiver import Limits, Receiver

MAX_INPUT = 8192
LIMITS = Limits(message_size=4096)
OFFERED = Extensions(size=4096, starttls=True, auth=("PLAIN", "LOGIN"), xclient=True, chunking=True, dsn=True)
REPLIES = re.compile(rb"(?:[2-5][0-9][0-9][ -][^\x00-\x1f\x7f]*\r\n)*")
CODES = {
    events.Data: 354,
    events.Auth: 334,
    events.AuthResponse: 535,
    events.Quit: 221,
    events.StartTls: 220,
    events.Xclient: 220,
}
PIECES = (1, 2, 3, 7, 64)


def pieces(data: bytes) -> Iterator[bytes]:
    """The octets in uneven pieces, which depend on nothing but the octets."""
    position = 0
    while position < len(data):
        size = PIECES[data[position] % len(PIECES)]
        yield data[position : position + size]
        position += size


# The receiver


def _answer(event: events.Answerable) -> Reply:
    if isinstance(event, events.Refused):
        return event.reply
    return reply(CODES.get(type(event), 250), "said")


def _converse(data: Iterator[bytes]) -> tuple[list[events.Event], bytes]:
    machine, heard, said = Receiver(LIMITS, OFFERED), [], b""
    machine.send_greeting(reply(220, "hello"))
    for piece in data:
        machine.receive_data(piece)
        while not isinstance(event := machine.next_event(), events.NeedData):
            if isinstance(event, events.Disconnected):
                break
            heard.append(event)
            if isinstance(event, events.Ehlo):
                machine.send_ehlo("mx.example")
            else:
                machine.send(_answer(event))
            if isinstance(event, events.Xclient):
                machine.restart(OFFERED)
        said += machine.data_to_send()
    return heard, said + machine.data_to_send()


def receiver(data: bytes) -> None:
    """Any chunking gives the same events; replies are replies; content is canonical and bounded."""
    whole, said = _converse(iter([data]))
    if b"STARTTLS" not in data.upper():  # what comes behind it in one piece closes, by intent
        assert (whole, said) == _converse(pieces(data))
    assert REPLIES.fullmatch(said)
    assert len(whole) <= len(data) + 1
    for event in whole:
        if isinstance(event, events.Content):
            assert is_canonical(event.data)
            assert len(event.data) <= LIMITS.message_size + 2
        elif isinstance(event, events.Mail | events.Rcpt | events.Ehlo | events.Helo):
            assert not re.search(r"[\x00-\x1f\x7f]", repr(event).replace("\\x", "\x00"))


# The sender


def sending(data: bytes) -> None:
    """Whatever a server answers: nothing raises, and what goes out is commands, or content that ends once."""
    cut = data.find(b"\n") + 1
    content, answers = data[:cut].replace(b"\r", b"").replace(b"\n", b"\r\n"), data[cut:]
    machine = sender.Sender("mx.example")
    envelope = Envelope(Address.parse("a@b.example"), (Recipient(Address.parse("c@d.example")),))
    out, steps = b"", 0
    machine.receive_data(answers)
    machine.receive_eof()
    while not isinstance(event := machine.next_event(), sender.Disconnected | sender.ProtocolError):
        steps += 1
        assert steps < len(data) + 10
        if isinstance(event, sender.Greeting) and machine.is_idle:
            machine.send_ehlo()
        elif isinstance(event, sender.EhloReply) and machine.is_idle:
            machine.start_transaction(envelope, [content])
        out += b"".join(map(bytes, machine.data_to_send()))
    assert is_canonical(out)
    assert out.count(b"\r\n.\r\n") <= 1


# Small readers


def address(data: bytes) -> None:
    """What is read as an address is written as one that is read as the same, without control characters."""
    text = data.decode("utf-8", "replace")
    try:
        read = parse_mailbox(text)
    except AddressError:
        return
    written = str(read)
    assert parse_mailbox(written) == read
    assert not re.search(r"[\x00-\x1f\x7f]", written)


def proxy(data: bytes) -> None:
    """However it is cut, a header is the same, and nothing behind it is lost; garbage is refused once."""

    def read(parts: Iterator[bytes]) -> object:
        reader, header = ProxyReader(), None
        for part in parts:
            reader.receive_data(part)
            if header is None:
                try:
                    header = reader.next_header()
                except ProxyError:
                    return ProxyError
        assert header is not None or len(reader.rest) <= max(MAX_HEADER, len(data))
        return header, reader.rest if header is not None else b""

    assert read(iter([data])) == read(pieces(data))


SHIPPED_RULES = Classifier.load(shipped())
NOW = 1_712_000_000.0
TRACE_KEY = Key("k1", b"fuzzing is no secret")
TRACE_KEYS = {TRACE_KEY.ident: TRACE_KEY}
SIGNED = "".join(supplemental_field({"id": "0" * 32}, TRACE_KEY, NOW).decode().partition(":")[2].split())
SIGNED_PATH = signed_reverse_path("0" * 32, "example.com", TRACE_KEY, NOW).local_part
KEYS = sasl.ScramKeys(4096, b"salt", bytes(32), bytes(32))


def authentication(data: bytes) -> None:
    """No octets authenticate anybody: a mechanism claims, asks or fails."""
    for mechanism in (
        sasl.PlainServer(),
        sasl.LoginServer(),
        sasl.ScramServer("nonce"),
        sasl.OAuthBearerServer(),
    ):
        for response in (None, *data.split(b"\n")[:5]):
            step = mechanism.step(response)
            assert not isinstance(step, sasl.Authenticated)
            if isinstance(step, sasl.KeysWanted):
                assert isinstance(mechanism, sasl.ScramServer)
                step = mechanism.give_keys(KEYS, known=True)
            if isinstance(step, sasl.Failed | sasl.Password | sasl.Token):
                break


def toml(data: bytes) -> None:
    """A file is read, or every problem has its line; and reading it again says the same."""
    for name in ("domains.toml", "domains.json"):
        try:
            document = parse_document(data, Path(name))
        except ConfigError as error:
            lowest = min((problem.source.line for problem in error.problems), default=0)
            if lowest < 1:
                raise AssertionError("a problem without its line") from error
            continue
        _, problems = load_domains([document], [])
        _, more = load_users([document])
        lines = data.count(b"\n") + data.count(b"\r") + 1
        assert all(1 <= problem.source.line <= lines for problem in (*problems, *more))


def report(data: bytes) -> None:
    """A report, or none, never an exception: usable where it says so, and the same for CRLF and LF."""
    found = examine(data, null_sender=True)
    assert found.kind in {"oob", "arf", "none"}
    assert (found.bounce or found.feedback) or not found.is_usable
    assert msgspec.json.encode(found)
    lone = data.replace(b"\r", b"")
    assert examine(lone) == examine(lone.replace(b"\n", b"\r\n"))
    for one in found.failed:
        assert one.action == "failed"
        assert SHIPPED_RULES.classify(str(one.reply or one.diagnostic or "")).bounce_class


def trace(data: bytes) -> None:
    """Nobody makes a reference that verifies without the key, nor by changing one that does."""
    text = data.decode("utf-8", "replace")
    read = read_supplemental(text, TRACE_KEYS, NOW)
    assert read is None or read.verified is not True or "".join(text.split()) == SIGNED
    mailbox = Address(text.partition("@")[0], "example.com")
    path = read_reverse_path(mailbox, TRACE_KEYS, NOW)
    assert path is None or path.verified is not True or mailbox.local_part.lower() == SIGNED_PATH


# The spool


SEGMENT, MESSAGES = 64 * 1024, 5


@lru_cache(maxsize=1)
def _spool() -> Path:
    """A folder with a few messages, made once for a process."""
    outer = tempfile.TemporaryDirectory(prefix="angarium-fuzz-")
    atexit.register(outer.cleanup)
    folder = Path(outer.name) / "spool"
    asyncio.run(_fill(folder))
    return folder


async def _fill(folder: Path) -> None:
    store = Store.open(folder, segment_size=SEGMENT, min_free_space=1)
    for number in range(MESSAGES):
        store.put([b"content %d\r\n" % number], [(f"{number:032x}", b"message %d" % number)])
    await store.commit()
    store.close()


async def _recovered(folder: Path) -> list[tuple[str, bytes]]:
    try:
        store = Store.open(folder, segment_size=SEGMENT, min_free_space=1)
    except SpoolError:
        return []
    try:
        return [(one.ident, bytes(one.message)) for one in store.recover()]
    except SpoolError:
        return []
    finally:
        store.close()


def spool(data: bytes) -> None:
    """Damage costs messages at most, and is told: what comes back was once put, octet by octet."""
    folder = _spool()
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "spool"
        shutil.copytree(folder, copy)
        _damage(copy, data)
        found = asyncio.run(_recovered(copy))
    put = {(f"{number:032x}", b"message %d" % number) for number in range(MESSAGES)}
    assert set(found) <= put
    assert len(set(found)) == len(found)


def _damage(folder: Path, data: bytes) -> None:
    """Write octets over the files: where, and what, the input says."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    while files and len(data) >= 4:
        path = files[data[0] % len(files)]
        at = int.from_bytes(data[1:3]) % path.stat().st_size
        size, data = data[3] % 32, data[4:]
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data[:size])
        data = data[size:]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "receiver": receiver,
    "sender": sending,
    "address": address,
    "proxy": proxy,
    "sasl": authentication,
    "toml": toml,
    "report": report,
    "trace": trace,
    "spool": spool,
}
