"""`angarium run`, as a program: how it starts, changes, gives up rights and stops."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from .house import MAIN, angarium, free_port, serving, write


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_starts_and_stops(tmp_path: Path, number: signal.Signals) -> None:
    """It says when it is ready and where it listens, serves, and ends with 0 when asked to."""
    with serving(write(tmp_path)) as server:
        assert server.rcpt("user@example.com") == 250
        assert server.rcpt("user@example.org") == 550
        assert "listening on 127.0.0.1:" in server.said[-1]
        assert "(in)" in server.said[-1]
        assert server.stop(number) == 0
    assert not (tmp_path / "spool" / "control.sock").exists()


def test_changed_file(tmp_path: Path) -> None:
    """A changed file is in force soon, for the next command; a broken one is told and changes nothing."""
    config = write(tmp_path)
    with serving(config) as server:
        (tmp_path / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
        server.wait_for("is in force")
        assert (server.rcpt("user@example.com"), server.rcpt("user@example.org")) == (550, 250)
        (tmp_path / "domains.toml").write_text('["example.com"]\nrelay_too = true\n')
        line = server.wait_for("domains.toml:2: ")
        assert 'did you mean "relay_to"?' in line
        server.wait_for("stays in force")
        assert server.rcpt("user@example.org") == 250


def test_hangup(tmp_path: Path) -> None:
    """SIGHUP reloads, and takes even a file that became empty."""
    config = write(tmp_path)
    with serving(config) as server:
        (tmp_path / "domains.toml").write_text("")
        server.wait_for("nothing is said in it any more")
        server.wait_for("stays in force")
        server.send(signal.SIGHUP)
        server.wait_for("is in force")
        assert server.rcpt("user@example.com") == 550


def test_open_relay(tmp_path: Path) -> None:
    """It does not serve an open relay, unless told to."""
    config = write(tmp_path, domains='["*"]\nrelay_to = true\n')
    done = angarium("run", config)
    assert done.returncode == 1
    assert "domains.toml:2: open relay" in done.stderr
    assert "--allow-open-relay" in done.stderr
    with serving(config, "--allow-open-relay") as server:
        assert server.rcpt("user@anywhere.example") == 250


def test_second_server(tmp_path: Path) -> None:
    """A second server on the same spool does not start, and says why; the first goes on."""
    config = write(tmp_path)
    with serving(config) as server:
        done = angarium("run", config)
        assert done.returncode == 1
        assert "another process uses the spool" in done.stderr
        assert server.rcpt("user@example.com") == 250
        assert angarium("explain", "-c", config, *QUESTION).returncode == 0


def test_address_in_use(tmp_path: Path) -> None:
    """An address that somebody else has is named."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        done = angarium("run", write(tmp_path, MAIN.replace("127.0.0.1:0", f"127.0.0.1:{port}")))
    assert (done.returncode, done.stderr.count("Traceback")) == (1, 0)
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


def test_socket_of_a_dead_server(tmp_path: Path) -> None:
    """What a killed server left behind stops nobody."""
    config = write(tmp_path)
    with serving(config) as server:
        server.process.kill()
        server.process.wait()
    assert (tmp_path / "spool" / "control.sock").exists()
    with serving(config) as server:
        assert server.stop() == 0


def test_service_manager(tmp_path: Path) -> None:
    """It tells the service manager when it is ready, reloads and stops."""
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place))
        manager.settimeout(20)
        with serving(write(tmp_path), env={"NOTIFY_SOCKET": str(place)}) as server:
            assert manager.recv(100) == b"READY=1"
            server.send(signal.SIGHUP)
            assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert manager.recv(100) == b"READY=1"
            assert server.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Passes a socket on as a service manager does."""


def test_socket_activation(tmp_path: Path) -> None:
    """A socket that the service manager passes is served instead of one of its own."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        config = write(tmp_path, MAIN.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
        launcher = (sys.executable, "-c", ACTIVATED, str(sock.fileno()))
        with serving(config, launcher=launcher, pass_fds=(sock.fileno(),)) as server:
            assert server.rcpt("user@example.com") == 250
            assert server.stop() == 0
        other = write(tmp_path, MAIN.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}"))
        with (
            pytest.raises(AssertionError, match=r"no \[\[listener]] has that"),
            serving(other, launcher=launcher, pass_fds=(sock.fileno(),)),
        ):
            pass


QUESTION = ("--peer", "192.0.2.7", "--from", "a@b.example", "--rcpt", "user@example.com")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_gives_up_root() -> None:
    """Started as root it becomes its user, to whom spool and log belong, and can still read its files."""
    folder = Path("/tmp") / f"angarium-rights-{os.getpid()}"
    folder.mkdir(mode=0o755)
    nobody = pwd.getpwnam("nobody")
    try:
        config = write(folder, 'user = "nobody"\n' + MAIN)
        with serving(config) as server:
            status = Path(f"/proc/{server.process.pid}/status").read_text()
            assert f"Uid:\t{nobody.pw_uid}\t{nobody.pw_uid}\t{nobody.pw_uid}" in status
            for name in ("spool", "logs", "spool/control.sock"):
                assert (folder / name).stat().st_uid == nobody.pw_uid
            assert stat.S_IMODE((folder / "spool" / "control.sock").stat().st_mode) == 0o600
            (folder / "domains.toml").write_text('["example.org"]\nrelay_to = true\n')
            server.wait_for("is in force")
            answer = angarium("explain", "-c", config, "--json", *QUESTION)
            assert json.loads(answer.stdout)["verdict"] == "refuse"
            assert server.stop() == 0
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_user_that_does_not_exist(tmp_path: Path) -> None:
    """A user that nobody has made is told before anything is served."""
    done = angarium("run", write(tmp_path, 'user = "nobody-of-that-name"\n' + MAIN))
    assert done.returncode == 1
    assert "does not exist: create it" in done.stderr
