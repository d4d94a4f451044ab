"""`angarium run init.lua`: a process that serves a policy in Lua, and takes it anew when a file changes."""

import signal
from pathlib import Path

import pytest

from tests.cli.house import angarium, serving

POLICY = """\
angarium.configure { hostname = 'mx.example.com', postmaster = 'ops@example.com' }
angarium.configure { control = { socket = 'c.sock' } }
kumo.on('init', function()
  kumo.start_esmtp_listener { listen = '127.0.0.1:0', relay_hosts = { '10.0.0.0/8' }, tls = 'off' }
end)
local mine = require 'mine'
kumo.on('get_listener_domain', function(domain)
  if domain == mine.domain then return kumo.make_listener_domain { relay_to = true } end
end)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "init.lua").write_text(POLICY)
    (tmp_path / "mine.lua").write_text("return { domain = 'code.example' }\n")
    return tmp_path / "init.lua"


def test_serves_and_reloads(config: Path) -> None:
    """It serves what the file says; a module that changes changes the policy; SIGTERM ends it with 0."""
    with serving(config, cwd=config.parent) as server:
        assert server.rcpt("a@code.example") == 250
        assert server.rcpt("a@new.example") == 550
        (config.parent / "mine.lua").write_text("return { domain = 'new.example' }\n")
        server.wait_for("is in force")
        assert server.rcpt("a@new.example") == 250
        assert server.rcpt("a@code.example") == 550
        assert server.stop() == 0


def test_a_broken_change(config: Path) -> None:
    """A change that does not load is told with its line, and leaves the policy in force."""
    with serving(config, cwd=config.parent) as server:
        config.write_text(POLICY + "kumo.sleep(1)\n")
        said = server.wait_for("kumo.sleep")
        assert f"init.lua:{POLICY.count(chr(10)) + 1}: kumo.sleep is not available in Angarium" in said
        assert server.rcpt("a@code.example") == 250
        server.send(signal.SIGTERM)


def test_refuses_to_start(config: Path) -> None:
    """A policy with something that is not there is not served."""
    config.write_text(POLICY + "kumo.sleep(1)\n")
    run = angarium("run", config)
    assert run.returncode == 1
    assert "kumo.sleep is not available in Angarium" in run.stderr
