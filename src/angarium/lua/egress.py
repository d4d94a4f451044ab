"""Ways out that a policy file says in handlers: asked when it is loaded, for every name there is.

`get_egress_pool` and `get_egress_source` are asked for the pools that the file and the queues files name;
`get_egress_path_config` once, if it does not look at its parameters. The answers become egress and shaping
tables, read and checked like files.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any

from angarium.lua.state import Failure, State
from angarium.lua.values import text_to_lua
from angarium.policy.bindings import parse_socket
from angarium.policy.config import ConfigError
from angarium.policy.egress import NO_POOL
from angarium.policy.source import read_document

if TYPE_CHECKING:
    from angarium.lua.program import Program


def address_of(socket: str) -> IPv4Address | IPv6Address | None:
    """The address of `ip:port`."""
    found = parse_socket(socket)
    return None if found is None else found.address


def ask(program: Program, state: State) -> None:
    """Ask the handlers, and declare what they answer; raises Failure."""
    pools, sources = _pools(program, state)
    if pools or sources:
        source = program.functions["get_egress_pool" if pools else "get_egress_source"][0].source
        program.declared.add_document("egress", {"source": sources, "pool": pools}, source)
    _path(program, state)


def _pools(program: Program, state: State) -> tuple[dict[str, Any], dict[str, Any]]:
    pools: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    if "get_egress_pool" not in program.functions:
        _refuse_alone(program)
        return pools, sources
    for name in dict.fromkeys(_names(program)):
        if name == NO_POOL or (made := _answer(state, "get_egress_pool", name, "pool")) is None:
            continue
        entries = made.get("entries", [])
        pools[name] = {entry["name"]: _without(entry, "name") for entry in entries}
        for entry in entries:
            if "get_egress_source" in program.functions and entry["name"] not in sources:
                found = _answer(state, "get_egress_source", entry["name"], "source")
                sources[entry["name"]] = _without(found or {}, "name")
    return pools, sources


def _refuse_alone(program: Program) -> None:
    if "get_egress_source" in program.functions:
        source = program.functions["get_egress_source"][0].source
        text = "get_egress_source is asked for the sources of pools: add get_egress_pool"
        raise Failure(text, source.file, source.line, 0, is_broken=False)


def _answer(state: State, event: str, name: str, kind: str) -> dict[str, Any] | None:
    value = state.call(event, text_to_lua(name)).value
    if value is None:
        return None
    if kind not in value:
        raise Failure(f"{event} returns what kumo.make_egress_{kind} makes", None, None, 0, is_broken=False)
    made: dict[str, Any] = value[kind]
    return made


def _without(options: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}


def _names(program: Program) -> Iterator[str]:
    """Pools that the program's text and its queues files name."""
    for reading in (program.main, *program.modules.values()):
        yield from reading.pools()
    for name in program.declared.data.get("policy", {}).get("queues", []):
        document = program.declared.documents.get(name)
        if document is not None:
            yield from _named_in(document.data)
            continue
        try:
            yield from _named_in(read_document(program.path.parent / name).data)
        except ConfigError:
            continue  # loading tells of it


def _named_in(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if key == "egress_pool" and isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from _named_in(value)


def _path(program: Program, state: State) -> None:
    functions = program.functions.get("get_egress_path_config", [])
    for function in functions:
        readings = [
            one for one in (program.main, *program.modules.values()) if one.shown == function.source.file
        ]
        if any(reading.uses_parameters(function.source.line) for reading in readings):
            text = (
                "get_egress_path_config must not look at its parameters: what is special to a domain is not "
                "available in Angarium here: write [domain.'example.com'] in a shaping file"
            )
            raise Failure(text, function.source.file, function.source.line, 0, is_broken=False)
    if functions:
        value = state.call("get_egress_path_config", "", "", "").value
        if value is not None:
            program.declared.add_document("shaping", {"default": value.get("path", {})}, functions[0].source)
