"""Haraka from npm: one process, one plugin of a few lines, the rest as it comes."""

from __future__ import annotations

import json
import os
import shutil

from bench.peers import Setup, unpacked
from bench.peers.running import Running
from bench.peers.running import start as start_running

NAME = "haraka"
MODES = ("full", "receive")
SETTINGS = (
    "one process; no TLS, header checks or logs below notices; as many deliveries at once as the client has "
    "connections; receive-only: outbound disabled"
)

_PACKAGE = unpacked.PEERS / "haraka" / "node_modules" / "Haraka"
_PLUGIN = """\
exports.register = function () {{
    this.register_hook('lookup_rdns', 'known');
    this.register_hook('connect', 'trust');
    this.register_hook('rcpt', 'take');
    this.register_hook('get_mx', 'route');
}};
exports.known = function (next) {{ next(OK, 'client.invalid'); }};
exports.trust = function (next, connection) {{ connection.relaying = true; next(); }};
exports.take = function (next) {{ next(OK); }};
exports.route = function (next) {{ next(OK, {{ exchange: '127.0.0.1', port: {next_hop}, priority: 0 }}); }};
"""


def missing() -> str | None:
    """Why it cannot be measured here."""
    if not shutil.which("node"):
        return "node is not installed (apt-get install nodejs npm)"
    return unpacked.missing_here(_PACKAGE)


def version() -> str:
    """As its package says."""
    return str(json.loads((_PACKAGE / "package.json").read_text())["version"])


def start(setup: Setup) -> Running:
    """Write its configuration, start it, and wait for its greeting."""
    config = setup.folder / "config"
    for name in ("config", "plugins", "queue"):
        (setup.folder / name).mkdir(parents=True)
    files = {
        "smtp.ini": f"listen=127.0.0.1:{setup.port}\nnodes=0\n",
        "me": "bench.invalid\n",
        "plugins": "bench\n",
        "queue_dir": f"{setup.folder}/queue\n",
        "outbound.ini": f"enable_tls=false\nconcurrency_max={setup.connections}\n"
        + ("" if setup.delivers else "disabled=true\n"),
        "connection.ini": (
            _PACKAGE / "config" / "connection.ini"
        ).read_text(),  # it has no defaults but these
        "log.ini": "level=NOTICE\n",
    }
    for name, text in files.items():
        (config / name).write_text(text)
    (setup.folder / "plugins" / "bench.js").write_text(_PLUGIN.format(next_hop=setup.next_hop))
    command = ["node", str(_PACKAGE / "bin" / "haraka"), "-c", str(setup.folder)]
    return start_running(
        "Haraka", setup, command, {"NODE_ENV": "production", "HOME": os.environ.get("HOME", "/")}
    )
