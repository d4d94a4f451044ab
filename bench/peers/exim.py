"""Exim from Debian (exim4-daemon-light), unpacked and not installed; delivers without root's rights."""

from __future__ import annotations

import shutil

from bench.peers import Setup, unpacked
from bench.peers.running import Running
from bench.peers.running import start as start_running

NAME = "exim"
MODES = ("full", "receive")
SETTINGS = (
    "no DNS, TLS, ident or per-message logs; split spool; no limit of messages a connection; each message is "
    "delivered at once, by a process and a connection of its own; receive-only: queue_only"
)

_CONFIG = """\
exim_user = Debian-exim
exim_group = Debian-exim
exim_path = /usr/sbin/exim4
deliver_drop_privilege
never_users =
primary_hostname = bench.invalid
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
tls_advertise_hosts =
host_lookup =
rfc1413_hosts =
split_spool_directory
message_logs = false
smtp_accept_max = 0
smtp_accept_max_per_connection = 0
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 200
{more}
acl_smtp_rcpt = accept

begin acl

accept:
  accept

begin routers

everything:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = next_hop

begin transports

next_hop:
  driver = smtp
  port = {next_hop}
  allow_localhost
  hosts_avoid_tls = *

begin retry

* * F,2h,1m
"""


def missing() -> str | None:
    """Why it cannot be measured here."""
    return unpacked.missing("usr/sbin/exim4")


def version() -> str:
    """As it says itself."""
    words = unpacked.version("exim4 -C /dev/null -bV").split()
    return words[2] if len(words) > 2 and words[0] == "Exim" else "unknown"


def start(setup: Setup) -> Running:
    """Write its configuration, start it, and wait for its greeting."""
    for name in ("spool", "log"):
        (setup.folder / name).mkdir(parents=True)
        shutil.chown(setup.folder / name, 8, 8)
    config = setup.folder / "exim.conf"
    config.write_text(
        _CONFIG.format(
            folder=setup.folder,
            port=setup.port,
            next_hop=setup.next_hop,
            more="" if setup.delivers else "queue_only",
        )
    )
    setup.folder.chmod(0o755)
    shutil.chown(setup.folder, 8, 8)
    command = unpacked.inside(setup.folder, ["Debian-exim"], [f"exim4 -C {config} -bdf"])
    return start_running("Exim", setup, command)
