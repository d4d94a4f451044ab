"""OpenSMTPD from Debian, unpacked and not installed, as root with its own users.

Receive-only: on its way to one next hop on loopback each message waits for one of the kernel's delayed
acknowledgements, and now and then nothing is sent for seconds (README.md): a full cycle would measure these.
"""

from __future__ import annotations

from bench.peers import Setup, unpacked
from bench.peers.running import Running
from bench.peers.running import start as start_running

NAME = "opensmtpd"
MODES = ("receive",)
SETTINGS = "no TLS; no limit of messages a session; delivery paused (smtpd -P mta)"

_CONFIG = """\
smtp max-message-size "50M"
smtp limit max-mails 1000000000
listen on 127.0.0.1 port {port} hostname bench.invalid
action "relay" relay host smtp://127.0.0.1:{next_hop}
match from any for any action "relay"
"""


def missing() -> str | None:
    """Why it cannot be measured here."""
    return unpacked.missing("usr/sbin/smtpd")


def version() -> str:
    """As it says itself."""
    return unpacked.version("smtpd -h").partition("\n")[0].removeprefix("version: OpenSMTPD ")


def start(setup: Setup) -> Running:
    """Write its configuration, start it, and wait for its greeting."""
    queue = setup.folder / "queue"
    queue.mkdir(parents=True)
    queue.chmod(0o711)
    config = setup.folder / "smtpd.conf"
    config.write_text(_CONFIG.format(port=setup.port, next_hop=setup.next_hop))
    commands = [  # its paths are built in
        "mount -t tmpfs -o mode=755 tmpfs /var/spool",
        "mkdir /var/spool/smtpd",
        f"mount --bind {queue} /var/spool/smtpd",
        "mount -t tmpfs -o mode=755 tmpfs /var/lib",
        "mkdir -p /var/lib/opensmtpd/empty",
        "mount -t tmpfs -o mode=755 tmpfs /run",
        f"smtpd -d -f {config}" + ("" if setup.delivers else " -P mta"),
    ]
    command = unpacked.inside(setup.folder, ["opensmtpd", "opensmtpq"], commands)
    return start_running("OpenSMTPD", setup, command)
