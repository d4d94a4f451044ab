"""What a policy file in Lua declares, in the words of the main file, with the line of each part.

The reference's functions become tables of the configuration: which is read and checked by the same code as a
TOML file. Files that helpers name are named in `[policy]`; tables that stand in the program in their place
become documents of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from angarium.lua.tables import TableText
from angarium.policy import values
from angarium.policy.config import Problem, Source
from angarium.policy.domain_options import OPTIONS as DOMAIN_OPTIONS
from angarium.policy.egress import SOURCE_SCHEMA
from angarium.policy.listeners import LISTENER_SCHEMA
from angarium.policy.main_file import LOG_SCHEMA, MAIN_SCHEMA, SPOOL_SCHEMA
from angarium.policy.queues import QUEUE_SCHEMA
from angarium.policy.rule_files import CLASSIFIER_SCHEMA
from angarium.policy.shaping import SHAPING_SCHEMA
from angarium.policy.source import Document, Key, KeyPath
from angarium.policy.tables import Schema, unknown
from angarium.policy.values import BadValueError, whole_number

SPOOL_FOLDER = "angarium"
"""Below the folder that `define_spool` names, so that what another server keeps there stays as it is."""
_OTHER_STORE = "has no effect here: there is one kind of spool"

_DOMAIN_SCHEMA = Schema(
    {
        name: values.text
        for name in DOMAIN_OPTIONS
        if name not in ("recipients", "invalid_line_endings", "allow")
    },
    ignored={"ttl": "has no effect here: answers are not kept"},
)
_SPOOL_SCHEMA = Schema(
    {
        "name": values.one_of("data", "meta"),
        "path": values.text,
        "min_free_space": SPOOL_SCHEMA.options["min_free_space"],
    },
    ignored=dict.fromkeys(("kind", "flush", "rocks_params", "min_free_inodes"), _OTHER_STORE),
)
_LOG_SCHEMA = Schema(
    {"log_dir": values.text, **{name: parse for name, parse in LOG_SCHEMA.options.items() if name != "dir"}},
    tables=("per_record",),
    refused={name: why for name, why in LOG_SCHEMA.refused.items() if name != "log_dir"},
)
_TLS = {"Opportunistic": "opportunistic", "OpportunisticInsecure": "opportunistic", "Required": "required"}
PATH_SCHEMA = Schema(
    {**SHAPING_SCHEMA.options, "enable_tls": values.one_of(*_TLS, "Disabled")},
    refused={name: why for name, why in SHAPING_SCHEMA.refused.items() if name != "enable_tls"},
)
SOURCE_OPTIONS = SOURCE_SCHEMA._replace(options={"name": values.text, **SOURCE_SCHEMA.options})
POOL_SCHEMA = Schema({"name": values.text, "entries": values.list_of(values.json_table)})
LEAST_MEMORY = 1024 * 1024
"""What a state takes before a file has run, and some room."""


def _memory(value: object) -> int:
    octets = values.size(value)
    if octets < LEAST_MEMORY:
        raise BadValueError(f"{value!r} is too little for any file: write '1 MiB' or more")
    return octets


LIMITS_SCHEMA = Schema(
    {
        "allow": values.list_of(values.one_of("os.execute", "io.popen", "package.loadlib")),
        "max_instructions": whole_number(100_000, 2**53),
        "max_memory": _memory,
    }
)
OWN_TABLES = ("policy", "control", "dns", "trace")

SCHEMAS: dict[str, Schema] = {
    "kumo.start_esmtp_listener": LISTENER_SCHEMA,
    "kumo.make_listener_domain": _DOMAIN_SCHEMA,
    "kumo.define_spool": _SPOOL_SCHEMA,
    "kumo.configure_local_logs": _LOG_SCHEMA,
    "kumo.configure_bounce_classifier": CLASSIFIER_SCHEMA,
    "kumo.make_queue_config": QUEUE_SCHEMA,
    "kumo.make_egress_path": PATH_SCHEMA,
    "kumo.make_egress_source": SOURCE_OPTIONS,
    "kumo.make_egress_pool": POOL_SCHEMA,
    "angarium.configure": Schema(MAIN_SCHEMA.options, tables=(*OWN_TABLES, "lua")),
}
"""Function → the options of the table that it takes."""
LATER = frozenset({"kumo.start_esmtp_listener", "kumo.configure_bounce_classifier", "angarium.configure"})
"""Functions whose tables are read like those of a file once they are declared, with warnings."""


class Call(NamedTuple):
    """Where a function was called, and the table that was written there."""

    source: Source
    text: TableText | None

    def places(self, *path: Key) -> dict[KeyPath, Source]:
        """The place of the call's table and of what is in it, as it stands at a path of the configuration."""
        if self.text is None:
            return {path: self.source}
        return {below: Source(self.source.file, line) for below, line in self.text.lines(*path)}


def _ordered(options: Any, text: TableText | None) -> Any:
    """The options in the order in which they were written, where that can be told; else in that of names."""
    if not isinstance(options, dict):
        return options
    fields = {} if text is None else text.fields
    written = [str(name) for name in fields]
    names = sorted(options, key=lambda name: (written.index(name) if name in written else len(written), name))
    return {name: _ordered(options[name], fields.get(name, (0, None))[1]) for name in names}


class Spread(Document, frozen=True, eq=False):
    """A document whose parts may stand in several files."""

    places: Mapping[KeyPath, Source]

    def source(self, *path: Key) -> Source:
        """Where the part at a path was written; else what holds it."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return Source(self.file, 1)


class Declared:
    """Gathers what the functions declare while a file runs."""

    def __init__(self, path: Path, shown: str) -> None:
        self._path = path
        self._shown = shown
        self.data: dict[str, Any] = {"listener": []}
        self.places: dict[KeyPath, Source] = {}
        self.documents: dict[str, Document] = {}
        self.notes: list[Problem] = []

    def document(self, digest: bytes) -> Spread:
        """Everything that was declared."""
        return Spread(self._shown, self._path.absolute(), self.data, digest, {}, places=self.places)

    def add_listener(self, options: Any, call: Call) -> None:
        """`kumo.start_esmtp_listener`."""
        path = ("listener", len(self.data["listener"]))
        self.data["listener"].append(_with_lists(_ordered(options, call.text), LISTENER_SCHEMA))
        self.places |= call.places(*path)

    def define_spool(self, options: Any, call: Call) -> None:
        """`kumo.define_spool`: of the reference's two, `data` says where ours is."""
        given = _checked(options, _SPOOL_SCHEMA)
        name, path = given.pop("name", None), given.pop("path", None)
        if name is None or path is None:
            raise ValueError("define_spool needs a name ('data' or 'meta') and a path")
        if name == "meta" and "spool" in self.data:
            return
        ours = f"{path}/{SPOOL_FOLDER}"
        self._set("spool", {"path": ours, **given}, call)
        text = f"Angarium has one spool for content and metadata; it is made in {ours}"
        if name == "data":
            self.notes.append(Problem(call.source, text, is_error=False))

    def configure_logs(self, options: Any, call: Call) -> None:
        """`kumo.configure_local_logs`."""
        if "log" in self.data:
            raise ValueError("configure_local_logs is called twice: there is one log; use per_record")
        if not isinstance(options, dict) or "log_dir" not in options:
            raise ValueError("configure_local_logs needs log_dir")
        given = _ordered(options, call.text)
        _refuse_unknown(given, _LOG_SCHEMA)
        self._set("log", {"dir": given.pop("log_dir"), **_with_lists(given, _LOG_SCHEMA)}, call)
        self.places["log", "dir"] = self.places.get(("log", "log_dir"), call.source)

    def configure_classifier(self, options: Any, call: Call) -> None:
        """`kumo.configure_bounce_classifier`."""
        self._set("classifier", _with_lists(_ordered(options, call.text), CLASSIFIER_SCHEMA), call)

    def configure(self, options: Any, call: Call) -> None:
        """`angarium.configure`: options of the main file, laid over those before."""
        if not isinstance(options, dict):
            raise TypeError("angarium.configure takes a table")
        ordered = _ordered(options, call.text)
        given = {name: value for name, value in ordered.items() if name != "lua"}
        _refuse_unknown(given, SCHEMAS["angarium.configure"])
        places = call.places()
        for name, value in given.items():
            known = self.data.get(name)
            self.data[name] = {**known, **value} if isinstance(known, dict) else value
        self.places |= {path: source for path, source in places.items() if path and path[0] != "lua"}
        self.places |= {(name,): call.source for name in given if (name,) not in self.places}

    def add_files(self, option: str, items: Any, call: Call) -> None:
        """Files and tables that a helper's `setup` names, in their order."""
        names = self.data.setdefault("policy", {}).setdefault(option, [])
        for index, item in enumerate(items if isinstance(items, list) else [items]):
            self.places["policy", option, len(names)] = self._item_source(call, index)
            names.append(self._name(option, item, call, index))

    def add_document(self, option: str, data: dict[str, Any], source: Source) -> None:
        """Tables that the program made."""
        self.add_files(option, [data], Call(source, None))

    def _item_source(self, call: Call, index: int) -> Source:
        return call.places().get((index,), call.source)

    def _name(self, option: str, item: Any, call: Call, index: int) -> str:
        if isinstance(item, str):
            if not item.endswith((".toml", ".json")):
                raise ValueError(f"{item} is neither TOML nor JSON by its name: call it .toml or .json")
            return item
        if not isinstance(item, dict):
            raise TypeError(f"a list of files is meant, as texts, not {item!r}")
        name = f"{call.source} {option} {index + 1}"
        places = {path[1:]: place for path, place in call.places().items() if path[:1] == (index,)}
        lines = {path: place.line for path, place in places.items()} or {(): call.source.line}
        path = self._path.absolute()
        data = _ordered(_lists_in(item) if option in _WITH_LISTS else item, None)
        self.documents[name] = Document(call.source.file, path, data, hashlib.sha256(b"").digest(), lines)
        return name

    def _set(self, table: str, options: Any, call: Call) -> None:
        self.data[table] = options
        self.places |= call.places(table)


def _with_lists(options: Any, schema: Schema) -> dict[str, Any]:
    """The options, with an empty list where Lua can only say an empty table."""
    if not isinstance(options, dict):
        raise TypeError("a table of options is meant")
    return {name: _empty_as(value, schema.options.get(name)) for name, value in options.items()}


def _empty_as(value: Any, parse: values.Parser | None) -> Any:
    if value != {} or parse is None:
        return value
    try:
        parse([])
    except BadValueError:
        return value
    return []


_WITH_LISTS = ("listener_domains", "queues")


def _lists_in(item: Any) -> Any:
    """Empty tables inside entries are empty lists: no option there is a table."""
    if not isinstance(item, dict):
        return item
    return {key: [] if value == {} else _lists_in(value) for key, value in item.items()}


def _refuse_unknown(options: Mapping[str, Any], schema: Schema) -> None:
    known = [*schema.options, *schema.tables, *schema.refused, *schema.ignored]
    for name in options:
        if name in schema.refused:
            raise ValueError(f"{name} {schema.refused[name]}")
        if name not in known:
            raise ValueError(unknown(name, known))


def checked_options(options: Any, schema: Schema) -> dict[str, Any]:
    """The options as the schema reads them; raises TypeError, ValueError for what it does not take."""
    given = _checked(options, schema)
    return {name: schema.options[name](value) for name, value in given.items()}


def _checked(options: Any, schema: Schema) -> dict[str, Any]:
    """The options that have an effect, unparsed but proved to be readable."""
    given = _with_lists(options, schema)
    _refuse_unknown(given, schema)
    given = {name: value for name, value in given.items() if name in schema.options}
    for name, value in given.items():
        try:
            schema.options[name](value)
        except BadValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return given


def translated_path(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `kumo.make_egress_path` in the words of shaping files."""
    given = _checked(options, PATH_SCHEMA)
    wanted = given.pop("enable_tls", None)
    return given if wanted is None else {**given, "tls": _TLS.get(wanted, "none")}
