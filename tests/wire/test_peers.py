"""Clients that others wrote, against the real receiver on a real socket."""

from __future__ import annotations

import shutil
import smtplib
import subprocess

import pytest

from angarium.wire.extensions import Extensions

from .client import MEBIBYTE, Session, server

OFFERED = Extensions(size=MEBIBYTE)
MESSAGE = b"Subject: x\r\n\r\n.dot\r\n..\r\n\r\n.\r\nend\r\n"


def test_smtplib() -> None:
    """Python's own client delivers dots and all, hears of refusals, and says goodbye."""
    session = Session(OFFERED)
    with server(lambda: session) as (host, port), smtplib.SMTP(host, port, timeout=10) as client:
        client.sendmail("a@example.com", ["b@example.net", "c@example.net"], MESSAGE)
        assert client.has_extn("size")
        with pytest.raises(smtplib.SMTPSenderRefused):
            client.sendmail("a@example.com", ["b@example.net"], b"x\r\n" * MEBIBYTE)
    assert session.contents == [MESSAGE]


@pytest.mark.peer
@pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
@pytest.mark.parametrize("options", [[], ["--pipeline"], ["--protocol", "SMTP"]])
def test_swaks(options: list[str]) -> None:
    """swaks delivers, with and without pipelining and extensions."""
    session = Session(OFFERED)
    with server(lambda: session) as (host, port):
        command = ["swaks", "--server", f"{host}:{port}", "--from", "a@example.com", "--to", "b@example.net"]
        command += ["--data", "Subject: x\\n\\n.dot\\n", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stdout
    assert b"\r\n\r\n.dot\r\n" in session.contents[0]
