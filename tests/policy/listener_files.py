"""Small listener_domains files as text, and questions about them, for the tests of the relay decision."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from angarium.mail.address import Address
from angarium.policy.config import Listener, ListenerOptions, Problem
from angarium.policy.context import Context
from angarium.policy.decision import Decision
from angarium.policy.domains import load_domains
from angarium.policy.match import Entry, PolicyTables
from angarium.policy.networks import NetworkSet, parse_network
from angarium.policy.relay import decide
from angarium.policy.source import parse_document

OUTSIDER = "192.0.2.66"
RELAY_HOST = "10.0.0.1"


class Configuration(NamedTuple):
    """As much of a configuration as decisions read."""

    domains: PolicyTables
    hash: str = "c0ffee"


def a_listener(listen: str = "127.0.0.1:25", name: str | None = None) -> Listener:
    options = ListenerOptions(hostname="mx.example.net", relay_hosts=(parse_network(RELAY_HOST),))
    return Listener(name=name, listen=listen, options=options)


IN = a_listener("10.9.9.9:25", "in")


def load(
    *texts: str, listeners: tuple[Listener, ...] = (IN,), suffix: str = "toml"
) -> tuple[PolicyTables, list[Problem]]:
    """Load texts as files named a.toml, b.toml, …"""
    documents = [
        parse_document(text.encode(), Path.cwd() / f"{letter}.{suffix}")
        for letter, text in zip("abcdef", texts, strict=False)
    ]
    return load_domains(documents, listeners)


def tables(*texts: str, listeners: tuple[Listener, ...] = (IN,)) -> PolicyTables:
    """Load texts that hold no error."""
    loaded, problems = load(*texts, listeners=listeners)
    assert not [problem for problem in problems if problem.is_error], problems
    return loaded


def lookup(loaded: PolicyTables, domain: str, listener: str = "in", local: str | None = None) -> Entry | None:
    return loaded.lookup(domain, loaded.scope(listener, ip_address(local) if local else None))


def options(entry: Entry | None) -> dict[str, Any]:
    """The options of an entry that are on, as the files write them."""
    if entry is None:
        return {}
    found = {}
    for name in ("relay_to", "relay_from", "relay_from_authz", "log_oob", "log_arf"):
        setting = getattr(entry, name)
        if setting is None:
            continue
        value = setting.value
        plain = value.value if hasattr(value, "value") else value
        found[name] = [str(item) for item in plain] if name.startswith("relay_from") else plain
    return {name: value for name, value in found.items() if value not in (False, "Ignore", [])}


def question(  # the session that most tests ask about
    peer: str = OUTSIDER,
    sender: str | None = "someone@sender.example",
    recipient: str = "someone@recipient.example",
    **more: Any,
) -> Context:
    address = Address("Postmaster", "") if recipient == "Postmaster" else Address.parse(recipient)
    given: dict[str, Any] = {
        "listener": "in",
        "peer": ip_address(peer),
        "relay_hosts": NetworkSet.parse([RELAY_HOST]),
        "sender": None if sender is None else Address.parse(sender),
        "recipient": address,
        "hostnames": ("mx.example.net",),
    }
    return Context(**{**given, **more})


def ask(text: str | PolicyTables, *arguments: Any, **more: Any) -> Decision:
    """The decision about a question, under one file."""
    loaded = tables(text) if isinstance(text, str) else text
    return decide(Configuration(loaded), question(*arguments, **more))
