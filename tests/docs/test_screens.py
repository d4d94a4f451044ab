"""The screens of the guides are what the commands print."""

from __future__ import annotations

import shutil
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import zstandard

from angarium.log.records import EnhancedCode, PeerAddress, Response, encode_record
from angarium.log.segment import make_name
from angarium.mail.address import Address
from angarium.policy.config import Configuration
from angarium.policy.context import Context
from angarium.policy.listeners import effective_options
from angarium.policy.load import load
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide
from angarium.policy.trail import Trail
from tests.admin.records_made import NOW, ident, of_decision, record
from tests.docs.screens import check_screens

ROOT = Path(__file__).parents[2]
SESSIONS = [
    ("192.0.2.10", "ann@sender.example.org", "user@example.com"),
    ("192.0.2.200", "bob@sender.example.org", "friend@example.net"),
    ("192.0.2.201", "cy@sender.example.org", "friend@example.net"),
    ("198.51.100.7", "dan@example.net", "orders@shop.example.com"),
    ("198.51.100.9", "eve@example.net", "someone@example.net"),
    ("192.0.2.11", "ann@sender.example.org", "friend@example.net"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, with the records of a few sessions."""
    for path in (ROOT / "examples" / "inbound").glob("*.toml"):
        shutil.copy(path, tmp_path)
    main = tmp_path / "angarium.toml"
    main.write_text(main.read_text().replace("../../run/", ""))
    (tmp_path / "logs").mkdir()
    monkeypatch.chdir(tmp_path)
    lines = b"".join(line + b"\n" for line in _lines(load("angarium.toml")))
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(lines)
    (tmp_path / "logs" / make_name(NOW, 0, "")).write_bytes(frame)
    return tmp_path


def _lines(configuration: Configuration) -> list[bytes]:
    lines = []
    for number, session in enumerate(SESSIONS, 10):
        question = _context(configuration, *session)
        lines += of_decision(configuration, question, decide(configuration, question), number)
    return [*lines, _refused(configuration), *_delivered(configuration)]


def _context(configuration: Configuration, peer: str, sender: str, recipient: str) -> Context:
    listener = configuration.listeners[0]
    options = effective_options(listener, ip_address(peer), ip_address("127.0.0.1"))
    return Context(
        listener=listener.label,
        local=ip_address("127.0.0.1"),
        peer=ip_address(peer),
        relay_hosts=NetworkSet(options.relay_hosts),
        sender=Address.parse(sender),
        recipient=Address.parse(recipient),
        hostnames=(options.hostname, configuration.hostname),
    )


def _facts(configuration: Configuration, number: int, peer: str) -> dict[str, Any]:
    return {
        "session_id": ident(number, 6),
        "listener": "public",
        "local_address": "127.0.0.1:2525",
        "peer_address": PeerAddress(name="mail.example.org", addr=peer),
        "sender": "ann@sender.example.org",
    }


def _refused(configuration: Configuration) -> bytes:
    question = _context(configuration, "198.51.100.7", "ann@sender.example.org", "user@example.net")
    decision = decide(configuration, question)
    said = Response(
        code=550,
        enhanced_code=EnhancedCode(5, 7, 1),
        content=decision.reply.text,
        command="RCPT TO:<user@example.net>",
    )
    facts = _facts(configuration, 1, "198.51.100.7") | {"session_id": "018bcfe568016000000000000000000f"}
    return encode_record(
        record("Rejection", 1, id="", response=said, decided_by=decision.decided_by, **facts)
    )


def _delivered(configuration: Configuration) -> list[bytes]:
    question = _context(configuration, "192.0.2.10", "ann@sender.example.org", "user@example.com")
    decision = decide(configuration, question)
    facts = _facts(configuration, 5, "192.0.2.10")
    put_off = Response(code=451, enhanced_code=EnhancedCode(4, 3, 2), content="come back later")
    taken = Response(code=250, enhanced_code=EnhancedCode(2, 0, 0), content="OK")
    route = configuration.queues.lookup("example.com").sources["routing_domain"]
    attempt = {
        "id": ident(5),
        "site": "[127.0.0.1]:2526",
        "recipient": "user@example.com",
        "decided_by": Trail(configuration.hash).rule(route, "routing_domain"),
    }
    return [
        encode_record(one)
        for one in (
            record(
                "Reception",
                5,
                recipient="user@example.com",
                queue="example.com",
                disposition="queued",
                size=2048,
                message_id="<5@sender.example.org>",
                decided_by=decision.decided_by,
                **facts,
            ),
            record("TransientFailure", 6, num_attempts=1, response=put_off, **attempt),
            record("Delivery", 306, num_attempts=2, response=taken, **attempt),
        )
    ]


@pytest.mark.parametrize("page", ["change-a-policy.md", "why-refused.md"])
def test_the_screens_of_the_page_are_real(page: str, folder: Path) -> None:
    """Every command on the page, run in order, prints what the page shows."""
    check_screens(ROOT / "docs" / page, folder)
