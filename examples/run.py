"""Serves `examples/inbound` with a receiving server as its next hop, and says what to type next."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ANGARIUM = str(Path(sys.executable).with_name("angarium"))
CONFIG = str((HERE / "inbound" / "angarium.toml").relative_to(Path.cwd()))
SHOWN = ".venv/bin/angarium"

NEXT = f"""
Mail to example.com is relayed to the receiving server, mail to anywhere else is refused.
In another terminal, try

  .venv/bin/python examples/send.py user@example.com
  {SHOWN} explain -c {CONFIG} --listener public --peer 192.0.2.7 --from you@example.net \\
      --rcpt user@example.org
  {SHOWN} logs -c {CONFIG} --follow

Control-C stops both servers.
"""


def main() -> int:
    """Run both servers until one ends or the user interrupts; returns the relay's exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell's background job ignores SIGINT
        signal.signal(number, _interrupt)
    Path("run").mkdir(exist_ok=True)
    sink = subprocess.Popen([ANGARIUM, "sink", "--listen", "127.0.0.1:2526", "--print"])
    relay = subprocess.Popen([ANGARIUM, "run", CONFIG], stderr=subprocess.PIPE, text=True)
    try:
        for line in relay.stderr or ():
            sys.stderr.write(line)
            if "ready" in line:
                sys.stdout.write(NEXT)
                sys.stdout.flush()
        return relay.wait()
    except KeyboardInterrupt:
        relay.send_signal(signal.SIGTERM)
        sys.stderr.writelines(relay.stderr or ())
        return relay.wait()
    finally:
        sink.terminate()
        sink.wait()


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
