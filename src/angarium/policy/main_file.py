"""What may the main file say outside its listeners? The options of each table, and how each is read."""

from __future__ import annotations

from angarium.policy import values
from angarium.policy.tables import NOT_YET, Schema
from angarium.policy.values import duration, size, whole_number

_OUTCOMES = (
    "Reception",
    "Delivery",
    "TransientFailure",
    "Bounce",
    "Expiration",
    "AdminBounce",
    "AdminRebind",
)
RECORD_TYPES = ("Any", *_OUTCOMES, "Rejection", "OOB", "Feedback", "Delayed")

MAIN_SCHEMA = Schema(
    {
        "hostname": values.domain,
        "postmaster": values.mailbox,
        "workers": whole_number(0, 1024),
        "user": values.text,
        "content_memory": size,
        "shutdown_timeout": duration,
        "handler_timeout": duration,
    },
    tables=("listener", "policy", "classifier", "trace", "spool", "log", "control", "dns"),
)
POLICY_SCHEMA = Schema(
    {
        "listener_domains": values.list_of(values.text),
        "queues": values.list_of(values.text),
        "users": values.list_of(values.text),
        "shaping": values.list_of(values.text),
        "egress": values.list_of(values.text),
    }
)
SPOOL_SCHEMA = Schema({"path": values.text, "segment_size": size, "min_free_space": size})
LOG_SCHEMA = Schema(
    {
        "dir": values.text,
        "max_file_size": size,
        "max_segment_duration": duration,
        "compression_level": whole_number(0, 21),
        "meta": values.list_of(values.text),
        "headers": values.list_of(values.text),
    },
    tables=("keep", "per_record"),
    refused={
        "log_dir": "is called dir here",
        "back_pressure": "has nothing to limit here: records are written as they are made; take it out",
        "min_free_space": "stands under [spool] here",
        **dict.fromkeys(("filter_event", "min_free_inodes"), NOT_YET),
    },
)
KEEP_SCHEMA = Schema({"age": duration, "size": size})
RECORD_SCHEMA = Schema(
    {"enable": values.boolean, "suffix": values.text, "log_dir": values.text},
    refused=dict.fromkeys(("template", "segment_header", "filter_event"), NOT_YET),
)
CONTROL_SCHEMA = Schema({"socket": values.text})
DNS_SCHEMA = Schema({"nameservers": values.list_of(values.nameserver)})
