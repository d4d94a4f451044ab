"""Whole small configurations, from texts or at random, and the sessions that can be asked about."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import product
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from angarium.mail.address import Address
from angarium.policy.config import Configuration, Listener
from angarium.policy.context import Context
from angarium.policy.decision import Decision
from angarium.policy.listeners import effective_options
from angarium.policy.load import load
from angarium.policy.networks import NetworkSet
from angarium.policy.relay import decide

DOMAINS = ["a.example", "b.a.example", "c.org", "[192.0.2.1]", "[127.0.0.1]"]
KEYS = ["*", "*.example", "*.a.example", "*.org", *DOMAINS]
NETWORKS = ["198.51.100.0/24", "198.51.100.128/25", "192.0.2.66", "2001:db8::/32", "0.0.0.0/1", "128.0.0.0/1"]
PEERS = ["192.0.2.66", "198.51.100.7", "198.51.100.200", "203.0.113.9", "2001:db8::7", "2a00::1", "10.0.0.1"]
IDENTITIES = [None, "ann", "bob", "eve"]
SENDERS = [None, "x.example", "z.net", *DOMAINS[:3]]
RECIPIENTS = [
    *DOMAINS, "x.example", "q.a.example", "deep.q.a.example", "z.net", "y.org", "[192.0.2.9]", "[127.0.0.9]",
]  # fmt: skip
LOCALS = {"in": ["10.9.9.9"], "wide": ["10.1.1.1", "10.2.2.2", "192.0.2.99"]}
MODES = [False, True, "LogThenRelay"]

_networks = st.lists(st.sampled_from(NETWORKS), max_size=3, unique=True)
entries = st.fixed_dictionaries(
    {},
    optional={
        "relay_to": st.booleans(),
        "log_oob": st.sampled_from(MODES),
        "log_arf": st.sampled_from(MODES),
        "relay_from": _networks,
        "relay_from_authz": st.lists(st.sampled_from(["ann", "bob"]), max_size=2, unique=True),
    },
)
levels = st.dictionaries(st.sampled_from(KEYS), entries, max_size=4)
nulls = st.none() | st.fixed_dictionaries(
    {}, optional={"relay_from": _networks, "relay_from_authz": st.just(["bob"])}
)
options = st.fixed_dictionaries(
    {}, optional={"relay_hosts": _networks, "allow_sender_routing": st.booleans()}
)
overlays = st.dictionaries(st.sampled_from(NETWORKS[:4]), options, max_size=2)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, str]:
    """The main file and the listener_domains file of a configuration."""
    main = ['hostname = "mx.example.net"', '[policy]\nlistener_domains = ["domains.toml"]']
    if draw(st.booleans()):
        main.insert(0, 'postmaster = "ops@inner.example"')
    for name, listen in (("in", "10.9.9.9:25"), ("wide", "0.0.0.0:2525")):
        main.append(f'[[listener]]\nname = "{name}"\nlisten = "{listen}"\n{_table(draw(options))}')
        for kind, overlay in product(("peer", "via"), [draw(overlays)]):
            if kind == "peer" or name == "wide":
                main += [f'[listener.{kind}."{net}"]\n{_table(own)}' for net, own in overlay.items()]
    top = draw(levels)
    null = draw(nulls)
    domains = [
        _entry(f'["{key}"]', values) for key, values in {**top, **({"<>": null} if null else {})}.items()
    ]
    for section in ("in", "10.1.1.1"):
        domains += [_entry(f'[listener."{section}"."{key}"]', own) for key, own in draw(levels).items()]
    return "\n".join(main), "\n".join(domains)


def _entry(header: str, values: dict[str, Any]) -> str:
    return f"{header}\n{_table(values)}"


def _table(values: dict[str, Any]) -> str:
    return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def loaded(main: str, domains: str) -> Configuration:
    """Load texts that hold no error."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "main.toml").write_text(main)
        Path(folder, "domains.toml").write_text(domains)
        return load(Path(folder, "main.toml"))


configurations = texts().map(lambda both: loaded(*both))


def sessions() -> Iterator[dict[str, Any]]:
    """Every session over the small sets above."""
    for label, locals_ in LOCALS.items():
        for local, peer, identity, sender in product(locals_, PEERS, IDENTITIES, SENDERS):
            yield {"label": label, "local": local, "peer": peer, "identity": identity, "sender": sender}


def answer(configuration: Configuration, asked: dict[str, Any], recipient: str) -> Decision:
    """What a session is told about a recipient."""
    listener = next(one for one in configuration.listeners if one.label == asked["label"])
    return decide(configuration, context(configuration, listener, asked, recipient))


def context(configuration: Configuration, listener: Listener, asked: dict[str, Any], to: str) -> Context:
    peer, local = ip_address(asked["peer"]), ip_address(asked["local"])
    given = effective_options(listener, peer, local)
    sender = asked["sender"]
    return Context(
        listener=listener.label,
        local=local,
        peer=peer,
        relay_hosts=NetworkSet(given.relay_hosts),
        identity=asked["identity"],
        sender=None if sender is None else Address("s", sender),
        recipient=Address("Postmaster", "") if to == "Postmaster" else Address.parse(to),
        hostnames=(given.hostname, configuration.hostname),
        postmaster=configuration.postmaster,
        allow_sender_routing=given.allow_sender_routing,
    )


def key_for(keys: set[str], name: str) -> str:
    """Under which key a domain falls, in the contract's words."""
    if name in keys:
        return name
    if name.startswith("["):
        return "[prohibited]" if name.startswith(("[127.", "[169.254.", "[0.")) else "[*]"
    above = [key for key in keys if key.startswith("*.") and name.endswith(key[1:])]
    return max(above, key=len) if above else "*"
