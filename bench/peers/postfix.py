"""Postfix from Debian, in a folder of its own, on an unprivileged port.

Its master wants to be root, so elsewhere it is skipped. Everything is Postfix's default, except what the
setting needs (where it lives, listens and relays to) and what makes it faster in this setting; see SETTINGS.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from bench.machine import version_of
from bench.peers import Setup
from bench.tools import BenchError, is_greeting, wait_for

NAME = "postfix"
MODES = ("full", "receive")
SETTINGS = (
    "no DNS, TLS, aliases or milters; in_flow_delay = 0; as many deliveries at once as the client has "
    "connections, from the first; log written by its own postlogd to a file (cheaper than syslog without a "
    "listener); receive-only: static:HOLD, so that qmgr never sees the message"
)

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log/postfix.log
maillog_file_prefixes = {folder}
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.invalid
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = {restrictions}
relayhost = [127.0.0.1]:{next_hop}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtp_tls_security_level = none
smtpd_tls_security_level = none
message_size_limit = 50000000
in_flow_delay = 0
default_process_limit = 200
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = {connections}
initial_destination_concurrency = {connections}
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
verify  unix - - n - 1 verify
flush   unix n - n 1000? 0 flush
smtp    unix - - n - - smtp
relay   unix - - n - - smtp
retry   unix - - n - - error
error   unix - - n - - error
anvil   unix - - n - 1 anvil
scache  unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why it cannot be measured here."""
    if not shutil.which("postfix"):
        return "not installed (apt install postfix)"
    return None if os.geteuid() == 0 else "its master runs as root only"


def version() -> str:
    """As `postconf` has it."""
    return version_of("postconf", "-h", "mail_version")


class _Running:
    def __init__(self, config: Path, pid: int) -> None:
        self._config = config
        self.pid = pid

    def stop(self) -> None:
        _postfix(self._config, "stop")


def start(setup: Setup, more: str = "") -> _Running:
    """Write its configuration (`more` comes last, and so prevails), start it, and wait for its greeting."""
    config = _write(setup, more)
    _postfix(config, "start")
    pid_file = setup.folder / "queue" / "pid" / "master.pid"
    wait_for(lambda: is_greeting(setup.port), "Postfix")
    return _Running(config, int(pid_file.read_text()))


def _write(setup: Setup, more: str) -> Path:
    config = setup.folder / "etc"
    for name in ("etc", "queue", "data", "log"):
        (setup.folder / name).mkdir(parents=True)
    shutil.chown(setup.folder / "data", "postfix")
    values = {
        "folder": setup.folder,
        "port": setup.port,
        "next_hop": setup.next_hop,
        "connections": setup.connections,
        "restrictions": "" if setup.delivers else "static:HOLD",
    }
    (config / "main.cf").write_text(_MAIN.format(**values) + more)
    (config / "master.cf").write_text(_MASTER.format(**values))
    return config


def _postfix(config: Path, command: str) -> None:
    done = subprocess.run(
        ["postfix", "-c", str(config), command], capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        log = ""
        with contextlib.suppress(OSError):
            log = (config.parent / "log" / "postfix.log").read_text()[-1000:]
        raise BenchError(f"postfix {command}: {done.stderr.strip()} {log}")
