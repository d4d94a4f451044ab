"""Sends one mail and shows the dialogue: `send.py user@example.com [127.0.0.1:2525]`."""

from __future__ import annotations

import smtplib
import sys

CONTENT = "From: you@example.net\r\nTo: {}\r\nSubject: hello\r\n\r\nThe road is open.\r\n"


def main() -> int:
    """Send; returns 0 if the mail was accepted, 1 if not, 2 for wrong use."""
    if len(sys.argv) not in (2, 3):
        sys.stderr.write(f"{__doc__}\n")
        return 2
    recipient, server = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "127.0.0.1:2525"
    host, _, port = server.rpartition(":")
    try:
        with smtplib.SMTP(host, int(port)) as client:
            client.set_debuglevel(1)
            client.sendmail("you@example.net", [recipient], CONTENT.format(recipient))
    except (smtplib.SMTPException, OSError) as error:
        sys.stderr.write(f"not accepted: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
