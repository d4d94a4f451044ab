"""What of the reference's Lua is here: each function, method, event and module with its standing.

`same`: it does what it does there. `differs`: it is here, and the text says how it differs. `absent`: it is
not here, and the text says what to use instead. Loading, static reading and the page "Coming from KumoMTA"
take their words from these tables, so that none of them can promise what another refuses.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple


class Standing(NamedTuple):
    """How much of a name is here."""

    status: str
    """`same`, `differs` or `absent`."""
    text: str = ""
    """How it differs, or what to use instead."""


def _differs(text: str) -> Standing:
    return Standing("differs", text)


def _absent(text: str) -> Standing:
    return Standing("absent", text)


_SAME = Standing("same")
_IN_PYTHON = "write this handler in Python (`angarium migrate` begins it), where every library can be had"
_QUEUE_COMMAND = "use the control socket: `angarium queue`, `angarium why`, `angarium logs`"
_TUNING = "take it out: there is nothing of the kind to tune here"

FUNCTIONS: dict[str, Standing] = {
    "kumo.on": _differs("an unknown event is an error when the file is loaded"),
    "kumo.start_esmtp_listener": _differs(
        "the options are those of `[[listener]]`; what believes everybody or answers before the disk does is "
        "refused with the reason"
    ),
    "kumo.make_listener_domain": _differs(
        "`true` for a report means LogThenDrop; `relay_from_authz` and `log_fbl` are known too"
    ),
    "kumo.define_spool": _differs(
        "there is one spool for content and metadata: it is made in `angarium` below the path named `data`"
    ),
    "kumo.configure_local_logs": _differs("once; the options are those of `[log]`"),
    "kumo.configure_bounce_classifier": _differs(
        "`community` and `iana` name the rules that come with Angarium"
    ),
    "kumo.make_queue_config": _differs("the options are those of the queues file"),
    "kumo.make_egress_path": _differs("the options are those of shaping files; `enable_tls` is translated"),
    "kumo.make_egress_source": _differs("the options are those of `[source]` in egress files"),
    "kumo.make_egress_pool": _SAME,
    "kumo.reject": _SAME,
    "kumo.disconnect": _differs("the modes are `ForceDisconnect`, which holds without one, and `If421`"),
    "kumo.json_parse": _SAME,
    "kumo.json_encode": _SAME,
    "kumo.json_encode_pretty": _SAME,
    "kumo.json_load": _differs("the file is watched, and a change loads the policy anew"),
    "kumo.toml_parse": _SAME,
    "kumo.toml_encode": _SAME,
    "kumo.toml_encode_pretty": _SAME,
    "kumo.toml_load": _differs("the file is watched, and a change loads the policy anew"),
    "kumo.serde.json_parse": _SAME,
    "kumo.serde.json_encode": _SAME,
    "kumo.serde.json_encode_pretty": _SAME,
    "kumo.serde.json_load": _differs("the file is watched, and a change loads the policy anew"),
    "kumo.serde.toml_parse": _SAME,
    "kumo.serde.toml_encode": _SAME,
    "kumo.serde.toml_encode_pretty": _SAME,
    "kumo.serde.toml_load": _differs("the file is watched, and a change loads the policy anew"),
    "kumo.domain_map.new": _differs("a wildcard also answers below names that have keys of their own"),
    "kumo.cidr.make_map": _differs("of several networks the narrowest answers"),
    "kumo.log_info": _SAME,
    "kumo.log_warn": _SAME,
    "kumo.log_error": _SAME,
    "kumo.log_debug": _SAME,
    "angarium.configure": _differs(
        "ours alone: options of the main file that have no function (`postmaster`, `hostname`, `user`, "
        "`handler_timeout`, `control`, `dns`, `trace`), and `lua` (`allow`, `max_instructions`, `max_memory`)"
    ),
    # -- not here ------------------------------------------------------------------------------------------
    "kumo.start_http_listener": _absent(_QUEUE_COMMAND),
    "kumo.start_proxy_listener": _absent("use a proxy of its own, named in `proxy_hosts` or `xclient_hosts`"),
    "kumo.configure_log_hook": _absent("read the records as they come: `angarium logs --follow`"),
    "kumo.configure_accounting_db_path": _absent("records are the accounts: `angarium logs`"),
    "kumo.configure_redis_throttles": _absent("limits count within one machine: take it out"),
    "kumo.set_diagnostic_log_filter": _absent("take it out: what is diagnosed goes to standard error"),
    "kumo.set_config_monitor_globs": _absent("take it out: every file that is read is watched"),
    "kumo.eval_config_monitor_globs": _absent("take it out: every file that is read is watched"),
    "kumo.set_spoolin_threads": _absent(_TUNING),
    "kumo.set_memory_soft_limit": _absent("write `content_memory` in `angarium.configure`"),
    "kumo.set_memory_hard_limit": _absent("limit the process: `MemoryMax=` of systemd"),
    "kumo.enable_memory_callstack_tracking": _absent(_TUNING),
    "kumo.set_lruttl_cache_capacity": _absent(_TUNING),
    "kumo.make_throttle": _absent("use the listener's limits, or `max_message_rate` of a queue"),
    "kumo.apply_supplemental_trace_header": _absent(
        "use `trace_headers = { supplemental_header = true }` of the listener, which signs it"
    ),
    "kumo.generate_rfc3464_message": _absent("take it out: who sent mail that fails is told by the server"),
    "kumo.invoke_get_queue_config": _absent("ask `angarium explain`"),
    "kumo.spawn_task": _absent("run a program of its own beside the server"),
    "kumo.sleep": _absent("take it out: a handler that waits holds up everybody"),
    "kumo.validation_failed": _absent("`error` in the file's own text fails `angarium check`"),
    "kumo.add_charset_alias": _absent("take it out: content is carried on as it came"),
    "kumo.available_parallelism": _absent("write `workers` in `angarium.configure`"),
    "kumo.bump_config_epoch": _absent("take it out: every file that is read is watched"),
    "kumo.compute_egress_path_config_constraints": _absent("ask `angarium config why`"),
    "kumo.compute_queue_config_constraints": _absent("ask `angarium config why`"),
    "kumo.configure_log_disposition_hook": _absent("read the records as they come: `angarium logs --follow`"),
    "kumo.configure_suppression_store": _absent("refuse the recipient in `smtp_server_rcpt_to`"),
    "kumo.define_egress_pool": _absent("use `get_egress_pool`, or egress files"),
    "kumo.define_egress_source": _absent("use `get_egress_source`, or egress files"),
    "kumo.format_egress_path_config_constraints": _absent("ask `angarium config why`"),
    "kumo.format_egress_path_config_toml": _absent("ask `angarium config why`"),
    "kumo.format_queue_config_toml": _absent("ask `angarium config why`"),
    "kumo.get_memory_hard_limit": _absent(_TUNING),
    "kumo.get_memory_low_thresh": _absent(_TUNING),
    "kumo.get_memory_soft_limit": _absent(_TUNING),
    "kumo.glob": _absent("name the files one by one: each of them is watched"),
    "kumo.inject_message": _absent("inject over SMTP, on a listener of its own"),
    "kumo.invoke_get_egress_path_config": _absent("ask `angarium config why`"),
    "kumo.invoke_get_egress_pool": _absent("ask `angarium config why`"),
    "kumo.invoke_get_egress_source": _absent("ask `angarium config why`"),
    "kumo.set_httpinject_threads": _absent(_TUNING),
    "kumo.set_httpinject_recipient_rate_limit": _absent("inject over SMTP, on a listener of its own"),
    "kumo.set_lua_gc_on_put": _absent(_TUNING),
    "kumo.set_max_lua_context_age": _absent(_TUNING),
    "kumo.set_max_lua_context_use_count": _absent(_TUNING),
    "kumo.set_max_spare_lua_contexts": _absent(_TUNING),
    "kumo.set_memory_low_thresh": _absent(_TUNING),
    "kumo.set_qmaint_threads": _absent(_TUNING),
    "kumo.set_readyq_threads": _absent(_TUNING),
    "kumo.set_smtpsrv_threads": _absent(_TUNING),
    "kumo.prometheus": _absent("`angarium queue` and the records have the figures"),
    "kumo.regex_set_map": _absent("use Lua's patterns (`string.match`), or Python"),
    "kumo.tsa": _absent("write rates and limits into shaping files"),
    "kumo.serde.yaml_parse": _absent("use TOML or JSON"),
    "kumo.serde.yaml_encode": _absent("use TOML or JSON"),
    "kumo.serde.yaml_load": _absent("use TOML or JSON"),
    "kumo.aaa": _absent("write `smtp_server_auth_plain`, or `users` in `angarium.configure`'s `policy`"),
    "kumo.amqp": _absent(_IN_PYTHON),
    "kumo.api": _absent(_QUEUE_COMMAND),
    "kumo.crypto": _absent(_IN_PYTHON),
    "kumo.digest": _absent(_IN_PYTHON),
    "kumo.dkim": _absent("sign at the host that sends for you: mail is carried on as it came"),
    "kumo.dns": _absent(_IN_PYTHON),
    "kumo.encode": _absent(_IN_PYTHON),
    "kumo.fs": _absent("use `io.open`, or Python"),
    "kumo.http": _absent(_IN_PYTHON),
    "kumo.kafka": _absent(_IN_PYTHON),
    "kumo.memoize": _absent("take it out: files are read once, when the policy is loaded"),
    "kumo.mimepart": _absent(_IN_PYTHON),
    "kumo.nats": _absent(_IN_PYTHON),
    "kumo.regex": _absent("use Lua's patterns (`string.match`), or Python"),
    "kumo.secrets": _absent("read the file with `io.open` when the policy is loaded"),
    "kumo.shared_map": _absent(_IN_PYTHON),
    "kumo.spf": _absent(_IN_PYTHON),
    "kumo.sqlite": _absent(_IN_PYTHON),
    "kumo.string": _absent("use Lua's own `string`"),
    "kumo.time": _absent("use `os.time` and `os.date`"),
    "kumo.timer": _absent("use `os.clock`"),
    "kumo.uuid": _absent("records have the message's id"),
    "kumo.xfer": _absent("use a queue whose `routing_domain` is the other host"),
}

EVENTS: dict[str, Standing] = {
    "pre_init": _differs("runs when the file is loaded, `init` after it"),
    "init": _differs("runs at each load, not only at the first"),
    "get_listener_domain": _differs(
        "asked once a domain and command, so that AUTH and reloads count; what fails costs 451, no session"
    ),
    "get_queue_config": _differs("asked when a queue is made; its answer holds while the queue has messages"),
    "get_egress_pool": _differs(
        "asked when the file is loaded, for the pools that it and the queues files name"
    ),
    "get_egress_source": _differs("asked when the file is loaded, for the sources of those pools"),
    "get_egress_path_config": _differs(
        "asked once, when the file is loaded, and so must not look at its parameters: what is special to a "
        "domain stands in shaping files"
    ),
    "smtp_server_connection_accepted": _SAME,
    "smtp_server_ehlo": _differs("has no third parameter: extensions are those that the listener offers"),
    "smtp_server_auth_plain": _differs("a table of identities is understood; `groups` are not"),
    "smtp_server_mail_from": _SAME,
    "smtp_server_rcpt_to": _SAME,
    "smtp_server_data": _SAME,
    "smtp_server_message_received": _SAME,
    # -- not here ------------------------------------------------------------------------------------------
    "smtp_server_get_dynamic_parameters": _absent("use `peer` and `via` of the listener"),
    "smtp_server_rewrite_response": _absent("replies keep their codes; `kumo.reject` words your own"),
    "smtp_server_split_transaction": _absent("take it out: one message is made per recipient"),
    "smtp_server_message_deferred_inject": _absent("take it out: policy decides before the 250"),
    "http_message_generated": _absent("inject over SMTP, on a listener of its own"),
    "http_server_validate_auth_basic": _absent(_QUEUE_COMMAND),
    "should_enqueue_log_record": _absent("read the records as they come: `angarium logs --follow`"),
    "spool_message_enumerated": _absent("take it out: what was accepted is as it was decided"),
    "requeue_message": _absent(_QUEUE_COMMAND),
    "rebind_message": _absent("use `angarium queue`"),
    "message_expired": _absent("read the Expiration records"),
    "log_disposition": _absent("read the records as they come: `angarium logs --follow`"),
    "get_acl_definition": _absent(_QUEUE_COMMAND),
    "get_site_config": _absent("use `get_egress_path_config`, or shaping files"),
    "http_message_injected": _absent("inject over SMTP, on a listener of its own"),
    "proxy_init": _absent("use a proxy of its own, named in `proxy_hosts` or `xclient_hosts`"),
    "proxy_server_auth_rfc1929": _absent("use a proxy of its own, named in `proxy_hosts` or `xclient_hosts`"),
    "shutdown_logging": _absent("take it out: the log is written to its end when the server stops"),
    "smtp_client_rewrite_delivery_status": _absent("take it out: a next hop's reply counts as it is"),
    "throttle_insert_ready_queue": _absent("use `max_message_rate` of a queue"),
    "xfer_message_received": _absent("use `smtp_server_message_received`: mail between hosts goes by SMTP"),
    "tsa_load_shaping_data": _absent("write rates and limits into shaping files"),
    "tsa_init": _absent("write rates and limits into shaping files"),
    "validate_config": _absent("`error` in the file's own text fails `angarium check`"),
}

MODULES: dict[str, Standing] = {
    "kumo": _SAME,
    "policy-extras.listener_domains": _differs(
        "the lookup is ours: wildcards back up, sections are laid over"
    ),
    "policy-extras.queue": _differs("the options of the files hold with or without `apply`"),
    "policy-extras.sources": _SAME,
    # -- not here ------------------------------------------------------------------------------------------
    "policy-extras.shaping": _absent(
        "name shaping files: `angarium.configure { policy = { shaping = ... } }`"
    ),
    "policy-extras.log_hooks": _absent("read the records as they come: `angarium logs --follow`"),
    "policy-extras.dkim_sign": _absent("sign at the host that sends for you: mail is carried on as it came"),
    "policy-extras.dmarc_rua": _absent(_IN_PYTHON),
    "policy-extras.hornet": _absent(_IN_PYTHON),
    "policy-extras.rspamd": _absent(_IN_PYTHON),
    "policy-extras.warmup": _absent("write rates and limits into shaping files"),
    "policy-extras.mail_auth": _absent(_IN_PYTHON),
    "policy-extras.policy_utils": _absent("copy the functions that you use into a file of your own"),
    "policy-extras.typing": _absent("take it out: options are checked when the file is loaded"),
    "policy-extras.rollup": _absent("use a provider in a shaping file"),
    "policy-extras.docker_utils": _absent("copy the functions that you use into a file of your own"),
}

METHODS: dict[str, Standing] = {
    "listener_domains:setup": _differs("files are read when the policy is loaded, and watched"),
    "queue:setup": _differs("files are read when the policy is loaded, and watched"),
    "queue:setup_with_options": _differs(
        "`file_names` counts; caching options have no effect, and the files' options hold with or without "
        "the hook"
    ),
    "queue:apply": _differs(
        "there is nothing left to apply: the files' options hold anyhow. Tenant, campaign and schedule are "
        "taken from mail of senders with a right of their own alone, where there every message had them"
    ),
    "sources:setup": _differs("files are read when the policy is loaded, and watched"),
    "msg:sender": _SAME,
    "msg:set_sender": _differs("the transaction is decided again"),
    "msg:recipient": _SAME,
    "msg:recipient_list": _SAME,
    "msg:set_recipient": _differs("what your handler writes is allowed by your handler"),
    "msg:get_meta": _SAME,
    "msg:set_meta": _SAME,
    "msg:get_data": _SAME,
    "msg:body": _differs("ours alone: what follows the header section"),
    "msg:size": _differs("ours alone: octets of the whole"),
    "msg:queue_name": _differs("nil until a handler or metadata names a queue"),
    "msg:get_first_named_header_value": _SAME,
    "msg:get_all_named_header_values": _SAME,
    "msg:get_all_headers": _SAME,
    "msg:from_header": _differs("one mailbox: the first"),
    "msg:to_header": _differs("one mailbox: the first"),
    "msg:get_address_header": _differs("one mailbox: the first"),
    "msg:prepend_header": _differs("a value with line breaks is an error"),
    "msg:remove_all_named_headers": _SAME,
    "msg:remove_x_headers": _SAME,
    "msg:import_x_headers": _SAME,
    "conn_meta:get_meta": _SAME,
    "conn_meta:set_meta": _SAME,
    # -- not here ------------------------------------------------------------------------------------------
    "queue:resolve_config": _absent("take it out: the files' options hold without a handler"),
    "conn_meta:auth_info": _absent("use `conn_meta:get_meta 'authz_id'` and `'authn_id'`"),
    "msg:add_authentication_results": _absent("use `msg:prepend_header`"),
    "msg:import_headers": _absent("use `msg:import_x_headers` with the names of the fields"),
    "msg:shrink_data": _absent("take it out: contents leave memory by themselves"),
    "msg:append_header": _absent("use `msg:prepend_header`"),
    "msg:append_text_plain": _absent(_IN_PYTHON),
    "msg:append_text_html": _absent(_IN_PYTHON),
    "msg:set_data": _absent("change header fields; bodies are carried on as they came"),
    "msg:id": _absent("records have the message's id"),
    "msg:dkim_sign": _absent("sign at the host that sends for you: mail is carried on as it came"),
    "msg:dkim_verify": _absent(_IN_PYTHON),
    "msg:arc_seal": _absent("sign at the host that sends for you: mail is carried on as it came"),
    "msg:arc_verify": _absent(_IN_PYTHON),
    "msg:check_fix_conformance": _absent("use `invalid_line_endings` of the listener"),
    "msg:parse_mime": _absent(_IN_PYTHON),
    "msg:parse_rfc3464": _absent("use `log_oob`, and the OOB records"),
    "msg:parse_rfc5965": _absent("use `log_arf`, and the Feedback records"),
    "msg:set_scheduling": _absent("use `scheduling_header` of the queues file"),
    "msg:import_scheduling_header": _absent("use `scheduling_header` of the queues file"),
    "msg:set_due": _absent("use `scheduling_header` of the queues file"),
    "msg:num_attempts": _absent("records say it"),
    "msg:increment_num_attempts": _absent("take it out"),
    "msg:set_force_sync": _absent("take it out: everything that is answered 250 is on stable storage"),
    "msg:shrink": _absent("take it out: contents leave memory by themselves"),
    "msg:save": _absent("take it out: everything that is answered 250 is on stable storage"),
    "msg:load_data": _absent("take it out: a handler has the content always"),
}

UNSAFE = ("os.execute", "io.popen", "package.loadlib")
"""What a policy file does only if it is allowed to."""


def words(*lines: str) -> tuple[str, ...]:
    """The words of a list."""
    return tuple(word for line in lines for word in line.split())


GLOBALS = frozenset(
    words(
        "_ENV _G _VERSION angarium assert collectgarbage error getmetatable ipairs kumo load next",
        "pairs pcall print rawequal rawget rawlen rawset require select self setmetatable",
        "tonumber tostring type warn xpcall",
    )
)
"""What every policy file finds, but libraries."""
LIBRARY: dict[str, tuple[str, ...]] = {
    "coroutine": words("close create isyieldable resume running status wrap yield"),
    "debug": words("traceback"),
    "io": words("close flush input lines open output read stderr stdin stdout tmpfile type", "write"),
    "math": words(
        "abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min",
        "mininteger modf pi rad random randomseed sin sqrt tan tointeger type ult",
    ),
    "os": words("clock date difftime getenv remove rename time tmpname"),
    "package": words("loaded path preload"),
    "string": words(
        "byte char find format gmatch gsub len lower match pack packsize rep reverse", "sub unpack upper"
    ),
    "table": words("concat insert move pack remove sort unpack"),
    "utf8": words("char charpattern codepoint codes len offset"),
}
ABSENT_GLOBALS = {
    "dofile": "use `require`",
    "loadfile": "use `require`",
    "loadstring": "use `load`",
    "unpack": "use `table.unpack`",
    "setfenv": "use the fourth parameter of `load`",
    "getfenv": "use `_ENV`",
    "python": "write `angarium migrate init.lua OUTDIR`, and go on in Python",
}
_REMOVED = ("os.exit", "os.setlocale", "string.dump")

_BY_METHOD = {name.partition(":")[2]: name for name in METHODS}


def standing_of_function(name: str) -> Standing | None:
    """The standing of a dotted name, or of the module that it stands in; None: nothing is known of it."""
    while name:
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        name = name.rpartition(".")[0]
    return None


def is_prefix(name: str) -> bool:
    """Whether functions stand below a dotted name: it is a module."""
    return name in ("kumo", "angarium") or any(
        function.startswith(f"{name}.") and standing.status != "absent"
        for function, standing in FUNCTIONS.items()
    )


def missing_function(name: str) -> str | None:
    """Why a dotted name cannot be had; None: it can."""
    known = standing_of_function(name)
    if is_prefix(name) or (known is not None and known.status != "absent" and name in FUNCTIONS):
        return None
    return _missing(name, known, FUNCTIONS)


def missing_event(name: str) -> str | None:
    """Why an event cannot be handled; None: it can."""
    known = EVENTS.get(name)
    if known is not None and known.status != "absent":
        return None
    return _missing(f"event {name}", known, EVENTS, name)


def missing_module(name: str) -> str | None:
    """Why a module of the reference's cannot be had; None: it can, or it is one of the operator's own."""
    known = MODULES.get(name)
    if not name.startswith("policy-extras.") or (known is not None and known.status != "absent"):
        return None
    return _missing(f"module {name}", known, MODULES, name)


def missing_method(name: str) -> str | None:
    """Why a method of this name cannot be had; None: it can, or nothing is known of it."""
    full = _BY_METHOD.get(name)
    if full is None or METHODS[full].status != "absent":
        return None
    return _missing(full, METHODS[full], METHODS)


def missing_method_of(kind: str, name: str) -> str | None:
    """Why an object of ours (`msg`, `conn_meta`, a helper's name) has no such method; None: it has."""
    full = f"{kind}:{name}"
    if full in METHODS and METHODS[full].status != "absent":
        return None
    known = METHODS.get(full)
    return _missing(full, known, {key: one for key, one in METHODS.items() if key.startswith(f"{kind}:")})


def missing_field(name: str) -> str:
    """What an address has instead of what is asked of it."""
    return f"address.{name} is not available in Angarium: an address has user, domain, email and name"


def missing_global(name: str) -> str | None:
    """Why a name that no file binds cannot be used; None: Lua or Angarium has it."""
    if name in GLOBALS or name in LIBRARY:
        return None
    if name in ABSENT_GLOBALS:
        return f"{name} is not available in Angarium: {ABSENT_GLOBALS[name]}"
    near = get_close_matches(name, [*GLOBALS, *LIBRARY], 1, 0.8)
    hint = f"did you mean {near[0]}?" if near else "no file that is read gives it a value"
    return f"{name} is nowhere: {hint}"


def missing_member(library: str, name: str) -> str | None:
    """Why a function of Lua's own library cannot be used; None: it can, or may if it is allowed."""
    full = f"{library}.{name}"
    if name in LIBRARY[library] or full in UNSAFE:
        return None
    if full in _REMOVED or library in ("debug", "package"):
        return f"{full} is not available in Angarium: it would leave the limits that a policy file has"
    near = get_close_matches(name, LIBRARY[library], 1, 0.8)
    return f"there is no {full} in Lua 5.4{f': did you mean {library}.{near[0]}?' if near else ''}"


def _missing(what: str, known: Standing | None, names: dict[str, Standing], name: str | None = None) -> str:
    if known is not None and known.status == "absent":
        return f"{what} is not available in Angarium: {known.text}"
    here = [other for other, standing in names.items() if standing.status != "absent"]
    near = get_close_matches(name or what, here, 1, 0.8)
    instead = f"did you mean {near[0]}?" if near else _IN_PYTHON
    return f"{what} is not available in Angarium: {instead}"
